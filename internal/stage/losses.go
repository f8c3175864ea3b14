package stage

import (
	"slices"
	"time"

	"github.com/pion/rtcp"
)

// How missing packets are asked for. A retry every 60 ms covers the round trips on which a
// retransmission is still in time; after ten of them the picture is late anyway.
const (
	nackDelay   = 10 * time.Millisecond // reordering is not loss
	nackRetry   = 60 * time.Millisecond
	nackRetries = 10
	// A longer hole is not repaired packet by packet but by a key frame.
	nackWindow = 256
)

// losses finds the packets of one publisher's track that did not arrive and says when to ask for them.
// The source owns it and calls it for each packet.
type losses struct {
	missing []missing // by index
	highest int64
	started bool
}

type missing struct {
	index int64
	due   time.Time
	tries int
}

// arrived notes a packet. It reports false when the hole before it is too long to repair.
func (l *losses) arrived(index int64, now time.Time) bool {
	switch {
	case !l.started:
		l.started, l.highest = true, index
	case index > l.highest:
		gap := index - l.highest - 1
		first := l.highest + 1
		l.highest = index
		if gap+int64(len(l.missing)) > nackWindow {
			l.missing = l.missing[:0]
			return false
		}
		for i := range gap {
			l.missing = append(l.missing, missing{index: first + i, due: now.Add(nackDelay)})
		}
	default:
		l.missing = slices.DeleteFunc(l.missing, func(m missing) bool { return m.index == index })
	}
	return true
}

// due returns what to ask for now, nil when nothing.
func (l *losses) due(now time.Time) []rtcp.NackPair {
	if len(l.missing) == 0 {
		return nil
	}
	var ask []uint16
	l.missing = slices.DeleteFunc(l.missing, func(m missing) bool { return m.tries >= nackRetries })
	for i := range l.missing {
		if m := &l.missing[i]; !now.Before(m.due) {
			m.tries++
			m.due = now.Add(nackRetry)
			ask = append(ask, uint16(m.index))
		}
	}
	if ask == nil {
		return nil
	}
	return rtcp.NackPairsFromSequenceNumbers(ask)
}
