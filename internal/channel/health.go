package channel

import (
	"errors"
	"fmt"
	"time"
)

// sparseKeys is how far apart key frames may be without a word in the log. Encoders that are not told otherwise have one in 250
// pictures: OBS does.
const sparseKeys = 4 * time.Second

// measure runs once a second.
func (l *live) measure(now time.Time) {
	l.checkChallenger(now)
	if l.in == nil {
		return
	}
	if longest := l.server.longest(); now.Sub(l.started) > longest {
		err := fmt.Errorf("a stream lasts %v at most", longest)
		l.in.cut(err)
		l.end(err.Error())
		return
	}
	n := l.received()
	limit := l.channel.bitRateLimit(l.in.size())
	if breach, tooMuch := errors.AsType[Breach](l.overrun.check(now, n.video+n.audio, limit)); tooMuch {
		l.breach(breach)
		return
	}
	if l.state == stateConnected && now.Sub(l.in.came) > videoDeadline {
		err := errNothingPlayable
		l.in.cut(err)
		l.detach(err.Error(), false)
	}
	if l.state != statePlaying || l.in == nil {
		return
	}
	for _, p := range l.in.feed.pictures {
		p.measure()
	}
	if in := l.in; in.coder == nil && !in.sparse && in.feed.sinceKey() > sparseKeys {
		in.sparse = true
		l.log.Warn("key frames are far apart: who begins to watch waits for the next one; set the encoder's key-frame interval to 2 s",
			"remote", in.remote, "since", in.feed.sinceKey())
	}
	l.judge(l.meter.measure(now, l.muxer.Load().EndTime(), n, l.in.constantRate(), l.shown.Load().Health))
}

// judge shows the health, and tells when it changes for the worse or back.
func (l *live) judge(h Health) {
	before := l.shown.Load().Health
	l.show(h)
	if h == before {
		return
	}
	l.log.Info("stream health", "from", before, "to", h)
	switch {
	case h == Starving:
		l.observe(Event{Kind: StarvationStart})
	case before == Starving:
		l.observe(Event{Kind: StarvationEnd})
	}
}
