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

// lateness is how late things are, second by second over the last ten. The largest value of a second is left out,
// and so is the worst of the ten seconds: what happens once (a key frame in a burst, a hiccup of the machine or the
// network) is not worth a longer delay from then on. What happens twice counts.
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
	largest(&l.top[i], v)
}

func (l *lateness) worst() time.Duration {
	var w [2]time.Duration
	for i, s := range l.seconds {
		if s > l.now-windowSeconds {
			largest(&w, l.top[i][1])
		}
	}
	return w[1]
}

// largest keeps the two largest values.
func largest(top *[2]time.Duration, v time.Duration) {
	switch {
	case v > top[0]:
		top[0], top[1] = v, top[0]
	case v > top[1]:
		top[1] = v
	}
}
