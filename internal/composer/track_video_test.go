package composer

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/clock"
	"github.com/footlight-live/footlight/internal/frame"
)

// TestTimeLeapsWhileCodedWait: pictures that wait to be decoded when the sender's time goes back, and seem to be due in hours
// then, hold nothing up.
func TestTimeLeapsWhileCodedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		decoder, err := av.NewH264Decoder()
		if err != nil {
			t.Fatal(err)
		}
		defer decoder.Close()
		clk := clock.New()
		s := &session{input: &input{clock: clk, meters: &meters{}, log: slog.New(slog.DiscardHandler)}, sync: clock.NewSync()}
		s.pictures.due = func(ts int64) time.Duration { return s.sync.Due(clock.Video, ts) }
		defer s.pictures.clear()
		v := &videoTrack{session: s, decoder: decoder}
		data := coded(t, 6)
		take := func(n int, rtp uint32) {
			ts := s.sync.Arrive(clock.Video, rtp, clk.Now())
			v.coded = append(v.coded, codedUnit{AccessUnit: frame.AccessUnit{Data: data[n], Timestamp: ts, Complete: clk.Now()}})
		}
		const hour = 90_000 * 3600
		take(0, hour)
		for i := range int64(4) { // late by 200 ms in two seconds, from which the delay follows
			s.sync.Complete(clock.Video, i/2*90_000, time.Duration(i/2)*time.Second+200*time.Millisecond)
		}
		for n := 1; n < 6; n++ {
			time.Sleep(10 * time.Millisecond)
			take(n, uint32(900*n)) // the time begins anew
		}
		time.Sleep(v.decode())
		if wait := v.decode(); wait > 10*time.Millisecond || len(v.coded) != 4 {
			t.Errorf("%d pictures wait for %v", len(v.coded), wait)
		}
		if q := s.pictures.queue; len(q) != 1 || q[0].PTS != 900-hour {
			t.Errorf("%d pictures are decoded", len(q))
		}
	})
}

// TestDecodeCost: one slow picture costs nothing from then on, two in a row do.
func TestDecodeCost(t *testing.T) {
	const ms = time.Millisecond
	var c decodeCost
	add := func(n int, took, most time.Duration) {
		t.Helper()
		for range n {
			if c.add(took); c.lately > most {
				t.Fatalf("%v counts as %v", took, c.lately)
			}
		}
	}
	add(30, 5*ms, 6*ms)
	add(1, 300*ms, 6*ms)
	add(60, 5*ms, 6*ms)
	add(2, 40*ms, 40*ms)
	if c.lately != 40*ms {
		t.Errorf("two pictures of 40ms count as %v", c.lately)
	}
}
