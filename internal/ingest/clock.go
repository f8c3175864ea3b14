package ingest

import "time"

const (
	// maxJump is the largest step of an encoder's clock that is taken for time that passed. Sound and picture are
	// interleaved to less than a second.
	maxJump = 3 * time.Second
	// behind is by how much time goes on at least where an encoder's clock begins anew.
	behind = 20 * time.Millisecond
)

// clock brings the times of an encoder, whose origin is of its own choice and changes when it starts again, onto the time
// since the ingest began. Sound and picture share it, so what was together stays together.
type clock struct {
	begun  bool
	offset time.Duration // ours minus the encoder's
	newest time.Duration // ours
}

// at is when something is due that the encoder dates t, and that arrived at now.
func (c *clock) at(t, now time.Duration) time.Duration {
	at := t + c.offset
	if step := at - c.newest; !c.begun || step > maxJump || step < -maxJump {
		least := now
		if c.newest > 0 {
			least = max(now, c.newest+behind)
		}
		c.begun, c.offset = true, least-t
		c.newest = least
		return least
	}
	c.newest = max(c.newest, at)
	return at
}

// restart forgets the encoder's clock: another connection begins.
func (c *clock) restart() { c.begun = false }
