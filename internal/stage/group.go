package stage

// maxGroup is how many packets of a group of pictures a late subscriber gets at once: about 300 kB, as much as a large key
// frame. The queue holds twice as many.
const maxGroup = videoQueue / 2

// group is the group of pictures that is under way.
type group struct {
	known bool
	start int64  // index of its first packet
	time  uint32 // its timestamp
}

// catchUp begins the subscriber's stream with the group that is under way in place of waiting for the next key frame,
// which nobody can ask for. Its pictures are shown in quick motion up to the present one, so that the delay does not
// grow. The caller holds the source's lock.
func (k *sink) catchUp(src *source, g group) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current() != nil {
		return
	}
	newest := g.time
	if p := src.history.get(src.highest); p != nil {
		newest = p.time
		p.release()
	}
	s := startSegment(src, g.start, g.time)
	s.begin, s.floor, s.floorEnd = g.time, newest-(newest-g.time)/catchUp, src.highest+1
	s.newest = s.floor
	k.aim, k.segments = src, append(k.segments, s)
	for i := g.start; i <= src.highest; i++ {
		if p := src.history.get(i); p != nil {
			k.enqueue(k.current(), p)
			p.release()
		}
	}
}
