package stage

import (
	"slices"
	"time"

	"github.com/pion/rtcp"
)

// How missing packets are asked for. At first a retry comes every 60 ms, which covers the round trips of most; then as
// the retransmissions take, so that a long round trip does not bring the same packet many times. After ten retries, or
// when the publisher will hardly have it any more, the packet is given up.
//
// Requests go out when packets come. Of sound there are 50 a second, so a missing one is asked for with the very next:
// the one after it would be 20 ms later, and a packet that was only overtaken costs little.
const (
	nackDelay   = 10 * time.Millisecond // reordering is not loss
	nackRetry   = 60 * time.Millisecond
	nackLongest = 300 * time.Millisecond // between retries
	nackRetries = 10
	nackGiveUp  = 1500 * time.Millisecond
	// A longer hole is not repaired packet by packet but by a key frame.
	nackWindow = 256
)

// losses finds the packets of one publisher's track that did not arrive and says when to ask for them.
// The source owns it and calls it for each packet.
type losses struct {
	missing []missing // by index
	highest int64
	started bool
	hasty   bool          // reordering is not waited for
	trip    time.Duration // that a retransmission takes, smoothed; 0 before the first
}

type missing struct {
	index int64
	due   time.Time
	asked time.Time // the first time
	tries int
}

// arrived notes a packet. It reports false when the hole before it is too long to repair.
func (l *losses) arrived(index int64, now time.Time) bool {
	switch {
	case !l.started:
		l.started, l.highest = true, index
	case index > l.highest:
		gap := index - l.highest - 1
		first, due := l.highest+1, now
		if !l.hasty {
			due = now.Add(nackDelay)
		}
		l.highest = index
		if gap+int64(len(l.missing)) > nackWindow {
			l.missing = l.missing[:0]
			return false
		}
		for i := range gap {
			l.missing = append(l.missing, missing{index: first + i, due: due})
		}
	default:
		i := slices.IndexFunc(l.missing, func(m missing) bool { return m.index == index })
		if i < 0 {
			break
		}
		if m := l.missing[i]; m.tries > 0 {
			l.took(now.Sub(m.asked))
		}
		l.missing = slices.Delete(l.missing, i, i+1)
	}
	return true
}

// took learns from a retransmission, which is taken for the answer to the first request: later ones are mostly there
// because that one was on its way.
func (l *losses) took(trip time.Duration) {
	if l.trip == 0 {
		l.trip = trip
	}
	l.trip += (trip - l.trip) / 8
}

// retry is the time between two requests for one packet.
func (l *losses) retry() time.Duration {
	if l.trip == 0 {
		return nackRetry
	}
	return min(max(l.trip*5/4, nackRetry/2), nackLongest)
}

// due returns what to ask for now, nil when nothing.
func (l *losses) due(now time.Time) []rtcp.NackPair {
	if len(l.missing) == 0 {
		return nil
	}
	var ask []uint16
	l.missing = slices.DeleteFunc(l.missing, func(m missing) bool {
		return m.tries >= nackRetries || m.tries > 0 && now.Sub(m.asked) > nackGiveUp
	})
	for i := range l.missing {
		if m := &l.missing[i]; !now.Before(m.due) {
			if m.tries == 0 {
				m.asked = now
			}
			m.tries++
			m.due = now.Add(l.retry())
			ask = append(ask, uint16(m.index))
		}
	}
	if ask == nil {
		return nil
	}
	return rtcp.NackPairsFromSequenceNumbers(ask)
}
