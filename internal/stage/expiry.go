package stage

import "time"

// expiry ends a session that lasts too long. The zero value never does.
type expiry struct{ timer *time.Timer }

// after calls end on a goroutine of its own once the time is over.
func after(limit time.Duration, end func()) expiry {
	return expiry{time.AfterFunc(limit, end)}
}

func (e expiry) stop() {
	if e.timer != nil {
		e.timer.Stop()
	}
}
