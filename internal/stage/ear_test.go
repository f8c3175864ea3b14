package stage

import (
	"errors"
	"testing"
	"time"
)

// TestEar hears a publisher inside the server, sound, picture and reports, and ends with it.
func TestEar(t *testing.T) {
	r := newRig(t, nil)
	if _, err := r.Listen(t.Context(), "stage1", "alice"); !isRefusal(err, PublisherNotFound) {
		t.Errorf("an ear without a stage: %v", err)
	}
	f := r.openFeed(t, "stage1.alice.p")
	f.Start()
	r.observer.wait(t, PublishStarted, "alice", 1)
	if _, err := r.Listen(t.Context(), "stage1", "bob"); !isRefusal(err, PublisherNotFound) {
		t.Errorf("an ear without a publisher: %v", err)
	}
	e, err := r.Listen(t.Context(), "stage1", "alice")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ear is attached", func() bool {
		return attached(f.publisher.video) == 1 && attached(f.publisher.audio) == 1
	})
	first := f.video[0].sequence
	for n := range 20 {
		show(f, n)
		f.Audio(time.Duration(n)*time.Second/30, []byte{0xf8, byte(n)})
	}
	var pictures, sounds, reports int
	for pictures < 40 || sounds < 20 || reports < 2 {
		select {
		case h := <-e.Heard():
			switch {
			case h.NTP != 0:
				reports++
			case h.Video:
				if h.Sequence != first+uint16(pictures) || h.Marker != (pictures%2 == 1) {
					t.Fatalf("picture packet %d: %+v", pictures, h)
				}
				pictures++
			default:
				if h.Payload[1] != byte(sounds) {
					t.Fatalf("sound packet %d: %+v", sounds, h)
				}
				sounds++
			}
		case <-time.After(patience):
			t.Fatalf("%d packets of pictures, %d of sound, %d reports", pictures, sounds, reports)
		}
	}
	e.RequestKeyFrame()
	other, err := r.Listen(t.Context(), "stage1", "alice")
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	closed(t, "an ear that was closed", other.Done())
	f.Close("by the test")
	closed(t, "the ear of who is gone", e.Done())
}

// TestEarBehind does not read: the stage goes on, and what comes after starts with a key frame.
func TestEarBehind(t *testing.T) {
	r := newRig(t, nil)
	f := r.openFeed(t, "stage1.alice.p")
	f.Start()
	r.observer.wait(t, PublishStarted, "alice", 1)
	e, err := r.Listen(t.Context(), "stage1", "alice")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ear is attached", func() bool { return attached(f.publisher.video) == 1 })
	for n := range 1000 { // 2000 packets, of which a sink and an ear hold 600
		show(f, n)
	}
	// What waited comes first, then a gap, then a key frame.
	var before uint16
	var got int
	for broken := false; !broken; {
		select {
		case h := <-e.Heard():
			if h.NTP != 0 {
				continue
			}
			if got++; got > 1 && h.Sequence != before+1 {
				broken = true
				if !keyStart(h.Payload) {
					t.Errorf("after the gap comes %x", h.Payload[:3])
				}
			}
			before = h.Sequence
		default:
			show(f, 30) // a key frame, as soon as there is room
		}
	}
	f.Close("by the test")
	closed(t, "the ear", e.Done())
}

// attached counts the sinks that take what comes from now on.
func attached(t *track) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.sinks {
		k.mu.Lock()
		if k.aim != nil { // only then is it in every source
			n++
		}
		k.mu.Unlock()
	}
	return n
}

func isRefusal(err error, code Code) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}
