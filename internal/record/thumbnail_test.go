package record

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestThumbnailsAlone records a participant's thumbnails without media, over a restart and with a clock that was set back:
// their numbers go on, the latest one is overwritten, and the metadata name no media.
func TestThumbnailsAlone(t *testing.T) {
	c := testClip(t)
	synctest.Test(t, func(t *testing.T) {
		store, dir := folder(t), t.TempDir()
		spec := Spec{
			ID: "alone", Kind: Participant, Bucket: "recordings", Prefix: "stage/session/ada/now", Started: time.Now().Add(time.Hour), Media: NoMedia,
			Segment: 6 * time.Second, Rendition: "high", Thumbnails: Thumbnails{Interval: 3 * time.Second, Sequential: true, Latest: true},
		}
		drawn := 0
		draw := func(r *Recorder) {
			r.Thumbnail = func(context.Context, []byte, int) ([]byte, error) {
				if drawn++; drawn == 2 {
					return nil, errors.New("no picture")
				}
				return fmt.Appendf(nil, "picture %d", drawn), nil
			}
		}
		publish := func(rec *Recorder, length time.Duration) (*Recording, *Source) {
			r, source := open(t, rec, spec)
			source.SetTracks(c.tracks)
			for at := time.Duration(0); at < length; at += 2 * time.Second {
				f := c.video[0]
				f.DTS, f.PTS = ticks(at), ticks(at)
				source.WriteVideo(f)
				time.Sleep(2 * time.Second)
			}
			return r, source
		}
		first := startRecorder(t, dir, store, draw)
		publish(first, 10*time.Second) // at 0, 4, which fails, and 6
		first.Close()
		second := startRecorder(t, dir, store, draw)
		r, source := publish(second, 6*time.Second) // at 0 and 4
		source.Close()
		end(t, r, Cause{})

		all := stored(t, store, spec)
		want := map[string]string{"media/latest_thumbnail/high/thumb.jpg": "picture 5"}
		for i, picture := range []int{1, 3, 4, 5} {
			want[fmt.Sprintf("media/thumbnails/high/%d.jpg", i+1)] = fmt.Sprint("picture ", picture)
		}
		got := map[string]string{}
		for key, data := range all {
			if key != startedKey && key != endedKey {
				got[key] = string(data)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		m := readMetadata(t, all[endedKey])
		if m.Media.HLS != nil || m.Media.Thumbnails == nil || m.Media.Latest == nil || m.EndedAt < m.StartedAt {
			t.Errorf("metadata: %s", all[endedKey])
		}
		b, err := store.Bucket(spec.Bucket)
		if err != nil {
			t.Fatal(err)
		}
		if report, err := Check(t.Context(), b, spec.Prefix); err != nil || len(report.Problems) > 0 {
			t.Errorf("checked: %v %q", err, report.Problems)
		}
	})
}
