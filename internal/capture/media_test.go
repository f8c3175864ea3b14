package capture

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/record"
)

// TestMediaTypes records the same participant with sound and picture, with sound alone, and with thumbnails alone.
func TestMediaTypes(t *testing.T) {
	const hls = "media/hls/high/"
	events := []string{"events/recording-ended.json", "events/recording-started.json"}
	thumbs := []string{"media/latest_thumbnail/high/thumb.jpg", "media/thumbnails/high/1.jpg"}
	media := []string{hls + "0.mp4", hls + "1.mp4", hls + "2.mp4", hls + "init-0.mp4", hls + "playlist.m3u8", "media/hls/multivariant.m3u8"}
	for _, c := range []struct {
		media  record.MediaTypes
		codecs string
		want   []string
	}{
		{record.AudioVideo, `CODECS="avc1.42C00C,opus",RESOLUTION=320x180,FRAME-RATE=25.000`, slices.Concat(events, media, thumbs)},
		{record.AudioOnly, `CODECS="opus"`, slices.Concat(events, media, thumbs)},
		{record.NoMedia, "", slices.Concat(events, thumbs)},
	} {
		t.Run(string(c.media), func(t *testing.T) {
			objects, err := objectstore.Open(t.Context(), objectstore.Config{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			rec := &record.Recorder{Dir: t.TempDir(), Objects: objects, Reserve: 1,
				Thumbnail: func(context.Context, []byte, int) ([]byte, error) { return []byte("\xff\xd8\xff"), nil }}
			if err := rec.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer rec.Close()
			recording, err := rec.Open(t.Context(), record.Spec{
				ID: "p", Kind: record.Participant, Bucket: "recordings", Prefix: "stage/st-1/alice/now", Started: time.Now(), Media: c.media,
				Segment: 2 * time.Second, Rendition: "high", Thumbnails: record.Thumbnails{Interval: time.Hour, Sequential: true, Latest: true},
			})
			if err != nil {
				t.Fatal(err)
			}
			source := recording.Source()
			s := &scene{sps: sps, reports: true, c: newCapture(source, func() {}, 2*time.Second, time.Now())}
			s.play(0, 6*time.Second)
			s.c.close(6 * time.Second)
			source.Close()
			for recording.Status().ThumbnailKey == "" { // drawn beside the media
				select {
				case <-t.Context().Done():
					t.Fatal("no thumbnail")
				case <-time.After(time.Millisecond):
				}
			}
			if err := recording.End(t.Context(), record.Cause{}); err != nil {
				t.Fatal(err)
			}
			<-recording.Stored()
			bucket, err := objects.Bucket("recordings")
			if err != nil {
				t.Fatal(err)
			}
			var keys []string
			for o, err := range bucket.List(t.Context(), "stage/st-1/alice/now/") {
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, strings.TrimPrefix(o.Key, "stage/st-1/alice/now/"))
			}
			slices.Sort(keys)
			if !slices.Equal(keys, slices.Sorted(slices.Values(c.want))) {
				t.Fatalf("%q", keys)
			}
			if c.codecs == "" {
				return
			}
			body, _, err := bucket.Open(t.Context(), "stage/st-1/alice/now/media/hls/multivariant.m3u8", objectstore.Range{})
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			data, err := io.ReadAll(body)
			if err != nil || !strings.Contains(string(data), c.codecs+"\n") {
				t.Errorf("%v: %s", err, data)
			}
			if length := recording.Status().Duration; (length - 6*time.Second).Abs() > 50*time.Millisecond {
				t.Errorf("%v are recorded", length)
			}
		})
	}
}
