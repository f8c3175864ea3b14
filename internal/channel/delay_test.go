package channel

import (
	"testing"
	"testing/synctest"
	"time"
)

// Frames at 30 fps in parts of six wait for the frames after them in their part: from none to five.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		if _, ok := b.StreamStats(testARN); ok {
			t.Error("figures of a channel that has no stream")
		}
		e := b.mustConnect(plainKey)
		e.run(6)
		st, ok := b.StreamStats(testARN)
		if !ok {
			t.Fatal("no figures")
		}
		// The first part waits for the probe, a frame longer; a window of ten seconds holds all 180 frames.
		d := st.Delay
		if d.Count != 180 || d.P50 < 66*time.Millisecond || d.P50 > 101*time.Millisecond || d.P99 < 166*time.Millisecond || d.P99 > 201*time.Millisecond {
			t.Errorf("%+v", d)
		}
		e.run(30)
		if st, _ := b.StreamStats(testARN); st.Delay.Count < 294 || st.Delay.Count > 306 {
			t.Errorf("%d frames of the last ten seconds, want 300", st.Delay.Count)
		}
		time.Sleep(9 * time.Second) // nobody publishes; the stream is still there
		if st, _ := b.StreamStats(testARN); st.Delay.Count > 40 {
			t.Errorf("%d frames after nine seconds without any", st.Delay.Count)
		}
		e.leave(true)
	})
}
