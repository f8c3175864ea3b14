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

// catchUp begins the stream of a subscriber that is to get this layer with the group that is under way, in place of waiting
// for the next key frame, which nobody can ask for. Its pictures are shown in quick motion up to the present one, so that the
// delay does not grow.
func (s *source) catchUp(k *sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.group.known && s.highest-s.group.start < maxGroup {
		k.catchUp(s, s.group)
	}
}

// catchUp is its part of the sink, unless that has begun meanwhile, or is to get another layer. The caller holds the
// source's lock.
func (k *sink) catchUp(src *source, g group) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current() != nil || k.aim != src {
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
	k.segments = append(k.segments, s)
	for i := g.start; i <= src.highest; i++ {
		if p := src.history.get(i); p != nil {
			k.enqueue(k.current(), p)
			p.release()
		}
	}
}
