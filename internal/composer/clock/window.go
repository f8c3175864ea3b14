package clock

import "time"

// windowSeconds is how long a minimum or a lateness counts: long enough to hold a packet that nothing
// delayed, short enough to follow a drift of 100 ppm to within a millisecond.
const windowSeconds = 10

// minimum is the smallest value of the last ten seconds, in buckets of one second.
type minimum struct {
	any     bool
	seconds [windowSeconds]int64
	values  [windowSeconds]time.Duration
}

func (m *minimum) add(now, v time.Duration) {
	second := int64(now / time.Second)
	i := second % windowSeconds
	if !m.any {
		for j := range m.seconds {
			m.seconds[j] = second - windowSeconds
		}
		m.any = true
	}
	if m.seconds[i] != second {
		m.seconds[i], m.values[i] = second, v
	}
	m.values[i] = min(m.values[i], v)
}

// least is the minimum at now, if there was anything.
func (m *minimum) least(now time.Duration) (least time.Duration, ok bool) {
	second := int64(now / time.Second)
	for j, s := range m.seconds {
		if m.any && s > second-windowSeconds && s <= second && (!ok || m.values[j] < least) {
			least, ok = m.values[j], true
		}
	}
	return least, ok
}

// lateness is how late things are, second by second over the last ten. The largest value of a second is left out,
// and so is the worst of the ten seconds: what happens once (a key frame in a burst, a hiccup of the machine or the
// network) is not worth a longer delay from then on. What happens twice counts.
type lateness struct {
	seconds [windowSeconds]int64
	top     [windowSeconds][kinds][2]time.Duration
}

func (l *lateness) add(k Kind, now, v time.Duration) {
	second := int64(now/time.Second) + windowSeconds // so that the zero value is out of the window
	i := second % windowSeconds
	if l.seconds[i] != second {
		l.seconds[i], l.top[i] = second, [kinds][2]time.Duration{}
	}
	largest(&l.top[i][k], v)
}

// worst is what counts at now, of all tracks together.
func (l *lateness) worst(now time.Duration) time.Duration {
	var w [2]time.Duration
	for i, s := range l.seconds {
		if s > int64(now/time.Second) {
			top := l.top[i][Audio]
			for _, v := range l.top[i][Video] {
				largest(&top, v)
			}
			largest(&w, top[1])
		}
	}
	return w[1]
}

// lower takes d off what is known of a track: what its lateness is counted from has risen by that.
func (l *lateness) lower(k Kind, d time.Duration) {
	for i := range l.top {
		for j, v := range l.top[i][k] {
			l.top[i][k][j] = max(0, v-d)
		}
	}
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
