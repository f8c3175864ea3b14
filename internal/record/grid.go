package record

import (
	"errors"
	"slices"
	"time"
)

// keptCuts bounds how far a rendition may be behind the one that leads, in cuts.
const keptCuts = 64

// errOutOfStep means that a rendition cannot have the segments of the others: it has no key frame where one begins, or it is
// too far behind.
var errOutOfStep = errors.New("the rendition is out of step")

// grid is where parts and segments end, on the media time that all renditions of a recording have in common. One of them
// leads: its frames decide. The others end theirs there too, whether their frames come before or after those of the lead.
// One that cannot is left out, without the segment that it has begun, until it has a key frame where another one begins.
//
// Segments begin with key frames. They are as long as the target, or shorter when the next key frame would come too
// late; longer only when key frames are further apart than the target, and cut anywhere at longestFactor times that.
// Media time goes on over breaks: the frames of one run follow on the end of the run before, whatever their source's clock
// says.
type grid struct {
	target int64 // ticks
	early  bool  // segments end before the target when the next key frame is expected behind it

	// between runs
	end  int64 // of what has been written
	next int   // the number of the segment that comes next

	// of a run, from its first frame to its break
	lead    *segmenter // nil: there is no run
	members []*segmenter
	origin  int64 // media time of the source's time zero: its ticks
	segment cut   // where the newest segment begins, cuts that wait included
	part    int64 // and the newest part
	lastKey int64
	cuts    []cut // the newest ones
	dropped int   // how many were before those
	behind  int   // how many there were when the newest segment began
}

// cut is a place where a part ends, and perhaps a segment.
type cut struct {
	at           int64 // decoding time of the lead
	segment, key bool
	number       int   // of the segment that begins here
	pts          int64 // of the key frame that it begins with
	broken       bool  // it does not follow on the one before
	wall         time.Time
}

// begin starts a run with a frame of the lead at a time of the source.
func (g *grid) begin(lead *segmenter, dts, pts int64, wall time.Time) {
	g.lead, g.origin = lead, g.end-dts
	g.cuts, g.dropped, g.behind = nil, 0, 0
	g.segment = cut{at: g.end, segment: true, key: true, number: g.next, pts: pts + g.origin, broken: true, wall: wall}
	g.part, g.lastKey = g.end, g.end
}

// opens tells whether the newest segment begins with the key frame of another size that f is.
func (g *grid) opens(f VideoFrame) bool {
	return g.segment.key && abs(f.PTS+g.origin-g.segment.pts) <= f.Duration/2
}

func abs(n int64) int64 { return max(n, -n) }

// video takes the next frame of the lead.
func (g *grid) video(at, pts, duration int64, key bool) {
	switch {
	case at <= g.part:
	case key && g.cutsBefore(at, duration):
		g.cut(cut{at: at, segment: true, key: true, pts: pts})
	case at-g.segment.at >= longestFactor*g.target:
		g.cut(cut{at: at, segment: true, key: key, pts: pts})
	case at-g.part >= partLength-duration/2:
		g.cut(cut{at: at})
	}
	if key {
		g.lastKey = at
	}
}

// sound takes where the lead's sound has come: alone, or while its picture stands still.
func (g *grid) sound(at int64, alone bool) {
	if !alone {
		at -= 2 * soundWait
	}
	switch {
	case at-g.segment.at >= g.target && alone:
		g.cut(cut{at: at, segment: true, key: true, pts: at})
	case at-g.segment.at >= longestFactor*g.target:
		g.cut(cut{at: at, segment: true})
	case at-g.part >= partLength:
		g.cut(cut{at: at})
	}
}

// cutsBefore decides whether a key frame begins a new segment: when the segment is as long as the target, or would
// become longer until the next key frame, if that takes as long as this one took.
func (g *grid) cutsBefore(at, frame int64) bool {
	length := at - g.segment.at
	if length >= g.target-frame/2 {
		return true
	}
	return g.early && length >= g.target/2 && length+at-g.lastKey > g.target+frame/2
}

func (g *grid) cut(c cut) {
	g.part = c.at
	if c.segment {
		c.number = g.segment.number + 1
		g.segment = c
	}
	g.cuts = append(g.cuts, c)
	if over := len(g.cuts) - keptCuts; over > 0 {
		g.cuts, g.dropped = append(g.cuts[:0:0], g.cuts[over:]...), g.dropped+over
	}
	if c.segment {
		g.behind = g.dropped + len(g.cuts)
	}
}

// leave takes a member out of the run. The last one ends it.
func (g *grid) leave(s *segmenter) error {
	if len(g.members) == 1 {
		return g.brk()
	}
	g.members = slices.DeleteFunc(g.members, func(m *segmenter) bool { return m == s })
	if g.lead == s {
		g.lead = g.members[0]
		shift := g.lead.shift
		for _, m := range g.members {
			m.shift -= shift
		}
	}
	s.rest()
	return s.out.dropSegment()
}

// brk ends the run: everything is written, and what follows is a discontinuity. A member that has much less than the others
// loses its last segment.
func (g *grid) brk() error {
	members := g.members
	last := g.part
	defer g.lose()
	for i, s := range members {
		err := s.flush(true)
		if errors.Is(err, errOutOfStep) {
			var end int64
			if end, err = s.stop(g.cuts[max(0, s.next-g.dropped)].at, len(members) > 1); err == nil {
				last, members[i] = max(last, end), nil
			}
		}
		if err != nil {
			return err
		}
		if members[i] != nil {
			last = max(last, s.reach())
		}
	}
	for _, s := range members {
		if s == nil {
			continue
		}
		if err := s.finish(last); err != nil {
			return err
		}
	}
	if len(members) > 0 {
		g.end = last
	}
	return nil
}

// mostLag is how much less than the others a rendition may have of their last segment.
const mostLag = partLength * 3 / 2

// lags tells whether a rendition that ends at a time has too little.
func lags(end, last int64) bool { return last-end > mostLag }

// lose forgets the run without writing.
func (g *grid) lose() {
	for _, s := range g.members {
		s.rest()
	}
	g.lead, g.members = nil, nil
}
