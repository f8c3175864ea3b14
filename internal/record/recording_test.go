package record

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/objectstore"
)

// TestComposite records a whole clip and judges every key of it.
func TestComposite(t *testing.T) {
	c, store := testClip(t), folder(t)
	rec := startRecorder(t, t.TempDir(), store)
	spec := compositeSpec("whole")
	r, source := open(t, rec, spec)
	c.play(source, 0, clipLength/2, time.Hour)
	eventually(t, "the playlist grows", func() bool { return r.Status().Stored >= 3 })
	var playlist []byte
	eventually(t, "the playlist is there", func() bool {
		playlist = stored(t, store, spec)["media/hls/"+spec.Rendition+"/playlist.m3u8"]
		return strings.Contains(string(playlist), "2.mp4")
	})
	growing := stored(t, store, spec) // listed after the playlist was read: what that names is there
	live := parseMedia(t, playlist)
	if live.Endlist || live.PlaylistType == nil || *live.PlaylistType != "EVENT" {
		t.Errorf("growing playlist: %+v", live)
	}
	for _, s := range live.Segments {
		if len(growing["media/hls/"+spec.Rendition+"/"+s.URI]) == 0 {
			t.Errorf("%s is in the playlist and not in the store", s.URI)
		}
	}
	c.play(source, clipLength/2, clipLength, time.Hour)
	source.Close()
	end(t, r, Cause{})

	all := stored(t, store, spec)
	folder := "media/hls/" + spec.Rendition + "/"
	want := []string{"events/recording-ended.json", "events/recording-started.json"}
	for _, n := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "init-0"} {
		want = append(want, folder+n+".mp4")
	}
	want = append(want, folder+"playlist.m3u8", "media/hls/multivariant.m3u8")
	if diff := cmp.Diff(want, keys(all)); diff != "" {
		t.Errorf("keys: %s", diff)
	}
	final := parseMedia(t, all[folder+"playlist.m3u8"])
	if !final.Endlist || *final.PlaylistType != "VOD" || final.TargetDuration != 2 || final.Version != 7 || len(final.Segments) != 10 {
		t.Errorf("playlist:\n%s", all[folder+"playlist.m3u8"])
	}
	for i, s := range final.Segments {
		if s.Duration.Round(time.Millisecond) != 2*time.Second && i < 9 || s.Discontinuity || (s.DateTime != nil) != (i == 0) {
			t.Errorf("segment %d: %+v", i, s)
		}
	}
	f := decode(t, all, "multivariant.m3u8")
	if want := int(clipLength.Seconds() * clipRate); f.frames != want || f.longest > 41*time.Millisecond || f.sound > 23*time.Millisecond {
		t.Errorf("decoded: %+v, want %d frames", f, want)
	}
	if off := f.duration - clipLength; off.Abs() > 50*time.Millisecond {
		t.Errorf("duration %v", f.duration)
	}
	m := readMetadata(t, all["events/recording-ended.json"])
	if off := time.Duration(*m.Media.HLS.DurationMS)*time.Millisecond - clipLength; off.Abs() > 50*time.Millisecond {
		t.Errorf("duration_ms: %d", *m.Media.HLS.DurationMS)
	}
	m.Media.HLS.DurationMS = nil
	wantMedia := mediaMetadata{HLS: &hlsMetadata{Path: "media/hls", Playlist: "multivariant.m3u8", Renditions: []renditionMetadata{
		{Path: spec.Rendition, Playlist: "playlist.m3u8", Width: 320, Height: 180}}}}
	if diff := cmp.Diff(wantMedia, m.Media); diff != "" || m.Status != "RECORDING_ENDED" || m.StageARN != spec.StageARN || m.StartedAt != wallClock(spec.Started) {
		t.Errorf("metadata: %s %+v", diff, m)
	}
	if rec.Get("whole") != nil || rec.Usage().Bytes != 0 {
		t.Errorf("the spool keeps %+v", rec.Usage())
	}
}

// TestRestart takes the recorder away in the middle and records on in the same prefix.
func TestRestart(t *testing.T) {
	c, store, dir := testClip(t), folder(t), t.TempDir()
	spec := compositeSpec("restart")
	first := startRecorder(t, dir, store)
	_, source := open(t, first, spec)
	c.play(source, 0, 5*time.Second, 0)
	first.Close()

	second := startRecorder(t, dir, store)
	if r := second.Get("restart"); r == nil || r.Status().State != Interrupted {
		t.Fatalf("after the restart: %+v", r)
	}
	spec.Started = spec.Started.Add(time.Hour) // what it was begun with counts
	r, source := open(t, second, spec)
	c.play(source, 4*time.Second, 10*time.Second, 0)
	source.Close()
	end(t, r, Cause{})

	all := stored(t, store, spec)
	p := parseMedia(t, all["media/hls/"+spec.Rendition+"/playlist.m3u8"])
	var breaks []int
	for i, s := range p.Segments {
		if s.Discontinuity {
			breaks = append(breaks, i)
			if s.DateTime == nil {
				t.Errorf("segment %d: %+v", i, s)
			}
		}
	}
	if diff := cmp.Diff([]int{3}, breaks); diff != "" {
		t.Error(diff)
	}
	f := decode(t, all, "multivariant.m3u8")
	if off := f.duration - 11*time.Second; off.Abs() > 50*time.Millisecond || f.frames != 11*clipRate || f.longest > 90*time.Millisecond {
		t.Errorf("decoded: %+v", f)
	}
	if m := readMetadata(t, all[endedKey]); m.StartedAt != wallClock(spec.Started.Add(-time.Hour)) {
		t.Errorf("metadata: %+v", m)
	}
}

func TestRefusals(t *testing.T) {
	store := folder(t)
	rec := startRecorder(t, t.TempDir(), store)
	for name, change := range map[string]func(*Spec){
		"id":       func(s *Spec) { s.ID = "../x" },
		"empty":    func(s *Spec) { s.ID = "" },
		"prefix":   func(s *Spec) { s.Prefix = "/abs" },
		"kind":     func(s *Spec) { s.Kind = "x" },
		"media":    func(s *Spec) { s.Media = "" },
		"segment":  func(s *Spec) { s.Segment = 0 },
		"interval": func(s *Spec) { s.Thumbnails.Interval = -1 },
	} {
		s := compositeSpec("bad")
		change(&s)
		if _, err := rec.Open(t.Context(), s); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	s := compositeSpec("bad")
	s.Prefix = "a/../../b"
	if _, err := rec.Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), objectstore.ErrInvalidName.Error()) {
		t.Errorf("a prefix that leaves: %v", err)
	}
}

// TestNothing ends a recording for which nothing came.
func TestNothing(t *testing.T) {
	store := folder(t)
	rec := startRecorder(t, t.TempDir(), store)
	spec := compositeSpec("nothing")
	r, _ := open(t, rec, spec)
	end(t, r, Cause{Code: "InternalServerException", Message: "nothing came"})
	all := stored(t, store, spec)
	if diff := cmp.Diff([]string{"events/recording-failed.json", "events/recording-started.json"}, keys(all)); diff != "" {
		t.Error(diff)
	}
	if m := readMetadata(t, all[failedKey]); m.Status != "RECORDING_START_FAILED" || m.Message != "nothing came" || *m.Media.HLS.DurationMS != 0 {
		t.Errorf("%s", all[failedKey])
	}
}
