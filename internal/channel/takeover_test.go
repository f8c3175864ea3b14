package channel

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
)

// codes are the events but those of the health, with their codes.
func codes(events []Event) (list []string) {
	for _, e := range events {
		if e.Kind != StarvationStart && e.Kind != StarvationEnd {
			list = append(list, strings.TrimSpace(string(e.Kind)+" "+e.Code))
		}
	}
	return list
}

// quiet connects a publisher that announces a picture of its choice, and sends nothing of it yet.
func (b *bench) quiet(key string, units ...rtmp.Unit) *encoder {
	b.t.Helper()
	e, err := b.connect(key)
	if err != nil {
		b.t.Fatal(err)
	}
	e.write(units...)
	return e
}

var hasSound = rtmp.Metadata{Encoder: "test", FrameRate: 30, HasAudio: true}

func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		first := b.mustConnect(plainKey)
		first.run(4)
		before, _ := b.Stream(testARN)
		second := b.quiet(plainKey+"?priority=5", hasSound, stereo, video180)
		second.origin = 900000 // another clock
		first.run(1)           // both send
		if first.cutFor() != nil {
			t.Fatalf("cut before the other one has a picture: %v", first.cutFor())
		}
		second.run(3)
		if err := first.cutFor(); !errors.Is(err, errTakenOver) {
			t.Errorf("the first publisher: %v", err)
		}
		first.leave(false) // says nothing to the stream any more
		if now, ok := b.Stream(testARN); !ok || now.ID != before.ID || now.Health != Healthy {
			t.Errorf("stream %+v", now)
		}
		m := b.playlist()
		if discontinuities(m) != 1 || m.Endlist {
			t.Errorf("%d discontinuities, end %v", discontinuities(m), m.Endlist)
		}
		// No time is missing: the takeover waits for the first frames of the new publisher.
		for i, s := range m.Segments[1:] {
			if d := s.DateTime.Sub(*m.Segments[i].DateTime) - m.Segments[i].Duration; d < -time.Millisecond || d > 50*time.Millisecond {
				t.Errorf("segment %d begins %v late", i+1, d)
			}
		}
		// Not greater, not a number, and another kind of media: refused, and the stream goes on.
		for _, priority := range []string{"5", "4", "0", "-1", "x", "2147483648"} {
			var refusal rtmp.Refusal
			if _, err := b.connect(plainKey + "?priority=" + priority); !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, "priority") {
				t.Errorf("priority %s: %v", priority, err)
			}
		}
		if _, err := b.connect(plainKey); err == nil {
			t.Error("a publisher without priority was let in")
		}
		synctest.Wait()
		for _, units := range [][]rtmp.Unit{{hasSound, stereo, video360}, {rtmp.Metadata{FrameRate: 30}, video180}} {
			other := b.quiet(plainKey+"?priority=6", units...)
			for other.cutFor() == nil {
				at := time.Duration(other.frame) * time.Second / 30
				if other.pub.Write(t.Context(), rtmp.VideoFrame{DTS: at, PTS: at, Key: other.frame == 0, NALUs: [][]byte{{0x65, 1}}}) != nil {
					break
				}
				other.frame++
				second.run(1. / 30)
			}
			if err := other.cutFor(); !strings.Contains(fmt.Sprint(err), "stream takeover") {
				t.Errorf("another kind of media: %v", err)
			}
		}
		// One who brings no picture.
		mute := b.quiet(plainKey + "?priority=7")
		second.run(videoDeadline.Seconds() + 2)
		if mute.cutFor() == nil {
			t.Error("a publisher without picture waits for ever")
		}
		if second.cutFor() != nil {
			t.Errorf("the second publisher: %v", second.cutFor())
		}
		want := []string{"Session Created", "Stream Start", "Stream Takeover"}
		for range 6 {
			want = append(want, "Stream Takeover Failure StreamTakeoverInvalidPriority")
		}
		for range 3 {
			want = append(want, "Stream Takeover Failure StreamTakeoverMediaMismatch")
		}
		if diff := cmp.Diff(want, codes(b.events.await(t, len(want)))); diff != "" {
			t.Error(diff)
		}
		second.leave(true)
	})
}

// TestTakeoverAtTheEnd: the present publisher goes while the next one is about to begin.
func TestTakeoverAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		first := b.mustConnect(plainKey + "?priority=1")
		first.run(3)
		before, _ := b.Stream(testARN)
		second := b.quiet(plainKey+"?priority=2", hasSound, stereo, video180)
		first.leave(true)
		second.run(2)
		if now, ok := b.Stream(testARN); !ok || now.ID != before.ID {
			t.Errorf("stream %+v", now)
		}
		// A challenger that goes leaves the stream alone.
		third := b.quiet(plainKey+"?priority=3", hasSound)
		third.leave(false)
		second.run(1)
		if second.cutFor() != nil {
			t.Error("cut")
		}
		if got := fmt.Sprint(codes(b.events.await(t, 3))); got != "[Session Created Stream Start Stream Takeover]" {
			t.Errorf("events %s", got)
		}
	})
}

func TestTakeoverLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		e := b.mustConnect(plainKey)
		e.run(1)
		for i := range mostTakeovers {
			next := b.quiet(fmt.Sprintf("%s?priority=%d", plainKey, i+1), hasSound, stereo, video180)
			next.run(0.5)
			if e.cutFor() == nil {
				t.Fatalf("takeover %d: the one before goes on", i+1)
			}
			e = next
		}
		if _, err := b.connect(plainKey + "?priority=1000"); err == nil || !strings.Contains(err.Error(), "100 times") {
			t.Errorf("one more: %v", err)
		}
		synctest.Wait()
		all := codes(b.events.await(t, mostTakeovers+3))
		if last := all[len(all)-1]; last != "Stream Takeover Failure StreamTakeoverLimitBreached" {
			t.Errorf("event %s", last)
		}
	})
}
