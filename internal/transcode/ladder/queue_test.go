package ladder

import (
	"testing"

	"github.com/footlight-live/footlight/internal/transcode"
)

// TestQueuedBytes: what waits for the process is bounded in bytes too, until it is taken.
func TestQueuedBytes(t *testing.T) {
	var l Ladder
	m := transcode.Message{Kind: Key, Data: make([]byte, MaxUnit)}
	if l.say(m) || l.queued.Load() != 0 {
		t.Errorf("a queue without room holds %d bytes", l.queued.Load())
	}
	l.queued.Store(maxKeptBytes + 1)
	if l.say(m); l.process.Dropped() != 1 { // the process was not even asked
		t.Error("more bytes may wait")
	}
	l.remember(nil, m)
	if l.say(m); l.process.Dropped() != 2 {
		t.Error("no more may wait once one has been taken")
	}
}
