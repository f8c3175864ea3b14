package clock

import "time"

// windowSeconds is how long a minimum or a lateness counts: long enough to hold a packet that nothing
// delayed, short enough to follow a drift of 100 ppm to within a millisecond.
const windowSeconds = 10

// minimum is the smallest value of the last ten seconds, in buckets of one second.
// While nothing comes, the last known minimum stays.
type minimum struct {
	any     bool
	seconds [windowSeconds]int64
	values  [windowSeconds]time.Duration
}

// add takes a value and returns the minimum with it.
func (m *minimum) add(now, v time.Duration) time.Duration {
	second := int64(now / time.Second)
	i := second % windowSeconds
	if !m.any || m.seconds[i] != second {
		m.seconds[i], m.values[i] = second, v
	}
	if !m.any {
		for j := range m.seconds {
			m.seconds[j] = second - windowSeconds
		}
		m.seconds[i], m.any = second, true
	}
	m.values[i] = min(m.values[i], v)
	least := m.values[i]
	for j, s := range m.seconds {
		if s > second-windowSeconds && s <= second {
			least = min(least, m.values[j])
		}
	}
	return least
}

// lateness is the second-largest value per second over the last ten: one outlier a second (a key frame of
// a burst, a retransmission) does not move it, two do.
type lateness struct {
	seconds [windowSeconds]int64
	top     [windowSeconds][2]time.Duration
	now     int64
}

func (l *lateness) add(now, v time.Duration) {
	second := int64(now/time.Second) + windowSeconds // so that the zero value is out of the window
	l.now = second
	i := second % windowSeconds
	if l.seconds[i] != second {
		l.seconds[i], l.top[i] = second, [2]time.Duration{}
	}
	t := &l.top[i]
	switch {
	case v > t[0]:
		t[0], t[1] = v, t[0]
	case v > t[1]:
		t[1] = v
	}
}

func (l *lateness) worst() time.Duration {
	var w time.Duration
	for i, s := range l.seconds {
		if s > l.now-windowSeconds {
			w = max(w, l.top[i][1])
		}
	}
	return w
}
