package record

import (
	"testing"
	"time"
)

// TestTakeover has a second source that stands ready while the first one records: it takes the recording over with its
// first picture, not before, and what the first one sends after that is nothing.
func TestTakeover(t *testing.T) {
	c, store := testClip(t), folder(t)
	rec := startRecorder(t, t.TempDir(), store)
	spec := compositeSpec("takeover")
	r, err := rec.Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	first := r.Source()
	c.play(first, 0, 2*time.Second, 0)
	second := r.Source() // has connected
	failed := r.Source() // and so has this one, which never sends a picture
	c.play(first, 2*time.Second, 4*time.Second, 0)
	failed.Close()
	c.play(first, 4*time.Second, 6*time.Second, 0)
	eventually(t, "the first source records on", func() bool { return r.Status().Segments >= 2 })
	c.play(second, 10*time.Second, 12*time.Second, time.Hour)
	c.play(first, 6*time.Second, 8*time.Second, 0) // it is thrown out a moment later
	first.Close()
	if s := r.Status().State; s != Active {
		t.Errorf("when the first source has gone the recording is %s", s)
	}
	c.play(second, 12*time.Second, 14*time.Second, time.Hour)
	second.Close()
	end(t, r, Cause{})

	all := stored(t, store, spec)
	breaks := 0
	for _, s := range parseMedia(t, all["media/hls/"+spec.Rendition+"/playlist.m3u8"]).Segments {
		if s.Discontinuity {
			breaks++
		}
	}
	if f := decode(t, all, "multivariant.m3u8"); f.frames != 10*clipRate || f.longest > 90*time.Millisecond || breaks != 1 {
		t.Errorf("decoded %+v, %d breaks", f, breaks)
	}
}
