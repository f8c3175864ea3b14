package record

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	store := folder(t)
	rec := startRecorder(t, t.TempDir(), store)
	spec := compositeSpec("checked")
	r, source := open(t, rec, spec)
	testClip(t).play(source, 0, 7*time.Second, 0)
	source.Close()
	end(t, r, Cause{})
	b, err := store.Bucket(spec.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	check := func() Report {
		t.Helper()
		report, err := Check(t.Context(), b, spec.Prefix)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if got := check(); len(got.Problems) > 0 || len(got.Loose) > 0 || got.Segments != 4 || !got.Ended || !got.Closed || (got.Duration-7*time.Second).Abs() > 50*time.Millisecond {
		t.Errorf("%+v", got)
	}
	whole := stored(t, store, spec)
	folder := "media/hls/" + spec.Rendition + "/"
	put := func(key string, data []byte) {
		t.Helper()
		if err := b.Put(t.Context(), spec.Prefix+"/"+key, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	for want, spoil := range map[string]func(context.Context) error{
		"1.mp4 is missing":            func(ctx context.Context) error { return b.Delete(ctx, spec.Prefix+"/"+folder+"1.mp4") },
		"bytes are whole":             func(context.Context) error { put(folder+"2.mp4", whole[folder+"2.mp4"][:5000]); return nil },
		"init-0.mp4 cannot be read":   func(context.Context) error { put(folder+"init-0.mp4", []byte("nothing")); return nil },
		"metadata of the end":         func(ctx context.Context) error { return b.Delete(ctx, spec.Prefix+"/"+endedKey) },
		"from where the playlist has": func(context.Context) error { put(folder+"0.mp4", whole[folder+"3.mp4"]); return nil },
		"no multivariant playlist":    func(ctx context.Context) error { return b.Delete(ctx, spec.Prefix+"/media/hls/multivariant.m3u8") },
	} {
		if err := spoil(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := check()
		if !strings.Contains(strings.Join(got.Problems, "\n"), want) {
			t.Errorf("want %q: %q", want, got.Problems)
		}
		if want == "1.mp4 is missing" && len(got.Problems) != 1 {
			t.Errorf("what is missing is told once: %q", got.Problems)
		}
		for key, data := range whole {
			put(key, data)
		}
	}

	// Neither end nor metadata: as a lost spool leaves it.
	open := strings.ReplaceAll(strings.Replace(string(whole[folder+"playlist.m3u8"]), "VOD", "EVENT", 1), "#EXT-X-ENDLIST\n", "")
	put(folder+"playlist.m3u8", []byte(open))
	put(folder+"4.mp4", whole[folder+"3.mp4"])
	if err := b.Delete(t.Context(), spec.Prefix+"/"+endedKey); err != nil {
		t.Fatal(err)
	}
	if got := check(); len(got.Problems) != 2 || len(got.Loose) != 1 {
		t.Errorf("%+v", got)
	}
	if err := Repair(t.Context(), b, spec.Prefix); err != nil {
		t.Fatal(err)
	}
	if got := check(); len(got.Problems) != 0 {
		t.Errorf("after the repair: %+v", got)
	}
	if m := readMetadata(t, stored(t, store, spec)[endedKey]); *m.Media.HLS.DurationMS < 6900 || m.Status != statusEnded {
		t.Errorf("%+v", m)
	}
}

// TestLocked: two recorders must not have one spool.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	startRecorder(t, dir, folder(t))
	second := &Recorder{Dir: dir, Objects: folder(t)}
	if err := second.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		second.Close()
		t.Errorf("a second recorder: %v", err)
	}
}
