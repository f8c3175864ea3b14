package record

import (
	"errors"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
)

const (
	// partLength is how much media goes to the disk at once: what a crash can cost.
	partLength = ClockRate
	// soundWait is how much video waits for the sound that belongs to it, so that segments hold both.
	soundWait = ClockRate / 2
	// joinWait is how long a key frame waits for another size's of the same time, to begin a segment with it.
	joinWait = ClockRate
	// longestFactor times the target is where a segment is cut without a key frame.
	longestFactor = 3
	// pendingSound is how much sound may come before the first picture, in access units.
	pendingSound = 100
)

// VideoFrame is one H.264 access unit, times in ticks of the source's own clock.
type VideoFrame struct {
	DTS, PTS int64
	Duration int64 // as expected: until the next frame
	Key      bool
	NALUs    [][]byte  // without parameter sets and delimiters
	Arrived  time.Time // wall clock
}

// AudioFrame is one access unit of sound, times in samples of the source's clock.
type AudioFrame struct {
	DTS     int64
	Samples int64 // its length
	Data    []byte
	Arrived time.Time // wall clock
}

// segmentWriter gets what a segmenter makes, in order. Times are media time in ticks.
type segmentWriter interface {
	// openSegment begins a segment. joins says that it is the first one of a rendition in a run.
	openSegment(c cut, joins bool) error
	// writePart appends to the open segment media up to a time.
	writePart(data []byte, end int64) error
	closeSegment(end int64) error
	// dropSegment takes the open segment back.
	dropSegment() error
}

// segmenter cuts the frames of one picture of a source, and the sound beside it, into the parts and segments of the grid.
type segmenter struct {
	out  segmentWriter
	grid *grid

	tracks  Tracks
	running bool         // it is a member of the run
	waiting []VideoFrame // from a key frame on, that may begin a segment
	before  []AudioFrame // sound that came before
	next    int          // the cut that it comes to next
	shift   int64        // how much later the same pictures are decoded than those of the lead
	epoch   int64        // media time of the source's time zero, in samples
	video   []videoSample
	audio   []audioSample

	lastVideo int64 // DTS of the newest frame
	videoEnd  int64
	nextSound int64 // samples: where the newest access unit ends
	number    uint32
}

type videoSample struct {
	dts, pts, duration int64
	key                bool
	payload            []byte
}

type audioSample struct {
	dts, samples int64
	payload      []byte
}

// setTracks sets what comes from now on. Call it after a break.
func (s *segmenter) setTracks(t Tracks) {
	s.rest()
	s.tracks = t
}

// rest forgets what has come and was not written.
func (s *segmenter) rest() {
	s.running, s.waiting, s.before, s.video, s.audio = false, nil, nil, nil, nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func ceilDiv(a, b int64) int64 { return -floorDiv(-a, b) }

func (s *segmenter) soundTicks(samples int64) int64 {
	return samples * ClockRate / s.tracks.audioRate()
}

// writeVideo takes the next frame in decoding order.
func (s *segmenter) writeVideo(f VideoFrame) error {
	if !s.tracks.video() {
		return nil
	}
	if !s.running {
		return s.enter(f)
	}
	return s.step(s.addVideo(f))
}

// enter begins a run with a key frame, or joins the one that there is with one that begins a segment there too.
func (s *segmenter) enter(f VideoFrame) error {
	g := s.grid
	switch {
	case f.Key:
		s.waiting = []VideoFrame{f}
	case len(s.waiting) == 0:
		return nil
	default:
		s.waiting = append(s.waiting, f)
	}
	first := s.waiting[0]
	switch {
	case g.lead == nil && f.Key:
		g.begin(s, f.DTS, f.PTS, f.Arrived)
	case g.lead == nil || f.DTS-first.DTS > joinWait:
		s.waiting = nil
		return nil
	case !g.opens(first):
		return nil
	}
	frames, sound := s.waiting, s.before
	if err := s.join(first.DTS); err != nil {
		return err
	}
	for _, a := range sound {
		s.keepAudio(a)
	}
	for _, f := range frames {
		if err := s.addVideo(f); err != nil {
			return s.step(err)
		}
	}
	return nil
}

// join becomes a member of the run, with a frame at a time of the source that begins its newest segment.
func (s *segmenter) join(dts int64) error {
	g := s.grid
	s.rest()
	if rate := s.tracks.audioRate(); rate > 0 {
		s.epoch = floorDiv(g.origin*rate, ClockRate)
		s.nextSound = ceilDiv(g.segment.at*rate, ClockRate)
	}
	s.running, s.next, s.shift = true, g.behind, dts+g.origin-g.segment.at
	s.lastVideo, s.videoEnd = g.segment.at-1, g.segment.at
	g.members = append(g.members, s)
	return s.out.openSegment(g.segment, true)
}

// step leaves the run when the error says so.
func (s *segmenter) step(err error) error {
	if errors.Is(err, errOutOfStep) {
		return s.grid.leave(s)
	}
	return err
}

func (s *segmenter) addVideo(f VideoFrame) error {
	nalus := f.NALUs
	if f.Key { // where a segment of another size follows, ffmpeg goes by these, not by those of a second initialisation section
		nalus = append([][]byte{s.tracks.SPS, s.tracks.PPS}, nalus...)
	}
	payload, err := h264.AVCC(nalus).Marshal()
	if err != nil {
		return fmt.Errorf("package video frame: %w", err)
	}
	at := max(f.DTS+s.grid.origin, s.lastVideo+1) // decoding times grow
	pts := max(at, f.PTS+s.grid.origin)
	if s == s.grid.lead {
		s.grid.video(at, pts, f.Duration, f.Key)
	}
	s.video = append(s.video, videoSample{dts: at, pts: pts, duration: max(1, f.Duration), key: f.Key, payload: payload})
	s.lastVideo = at
	s.videoEnd = at + max(1, f.Duration)
	return s.flush(false)
}

// writeAudio takes the next access unit of sound.
func (s *segmenter) writeAudio(f AudioFrame) error {
	if s.tracks.audioRate() == 0 {
		return nil
	}
	if !s.running {
		if s.tracks.video() {
			s.before = append(s.before, f)
			s.before = s.before[max(0, len(s.before)-pendingSound):]
			return nil
		}
		at := s.soundTicks(f.DTS)
		s.grid.begin(s, at, at, f.Arrived)
		if err := s.join(at); err != nil {
			return err
		}
	}
	if !s.keepAudio(f) {
		return nil
	}
	if s == s.grid.lead {
		s.grid.sound(s.soundTicks(s.audio[len(s.audio)-1].dts), !s.tracks.video())
	}
	return s.step(s.flush(false))
}

// keepAudio takes an access unit unless it belongs before the run or what is there already.
func (s *segmenter) keepAudio(f AudioFrame) bool {
	at := f.DTS + s.epoch
	if late := s.nextSound - at; late > f.Samples/2 {
		return false
	} else if late > 0 {
		at = s.nextSound
	}
	s.audio = append(s.audio, audioSample{at, f.Samples, f.Data})
	s.nextSound = at + f.Samples
	return true
}

// reach is where the media ends that has come.
func (s *segmenter) reach() int64 {
	if s.tracks.audioRate() > 0 {
		return max(s.videoEnd, s.soundTicks(s.nextSound))
	}
	return s.videoEnd
}

// flush carries out the cuts for which everything has come, or all of them.
func (s *segmenter) flush(all bool) error {
	g := s.grid
	for s.next < g.dropped+len(g.cuts) {
		if s.next < g.dropped {
			return errOutOfStep
		}
		c := g.cuts[s.next-g.dropped]
		at, ok := s.find(c)
		switch {
		case !ok && (all || s.lastVideo-at >= soundWait):
			return errOutOfStep
		case !ok || !all && !s.has(c, at):
			return nil
		}
		if err := s.carryOut(c, at); err != nil {
			return err
		}
		s.next++
	}
	return nil
}

// finish ends the run of a member at a time, without its last segment when it has much less.
func (s *segmenter) finish(end int64) error {
	if lags(s.reach(), end) {
		return s.out.dropSegment()
	}
	all := max(end, s.reach()) + 1
	if err := s.writePart(all, all, end); err != nil {
		return err
	}
	return s.out.closeSegment(end)
}

// stop ends the run of a member that is out of step, or has not come to a cut, and returns where.
func (s *segmenter) stop(cut int64, others bool) (end int64, err error) {
	switch past := s.reach() - cut; {
	case !others:
		cut = max(cut, s.reach())
	case past > soundWait/2:
		return 0, s.out.dropSegment()
	}
	return cut, s.finish(cut)
}

// find is where a cut lies between the frames; false: the key frame that belongs there is not there.
func (s *segmenter) find(c cut) (at int64, ok bool) {
	if !s.tracks.video() || !c.segment || !c.key {
		return c.at + s.shift, true
	}
	for _, v := range s.video {
		if v.key && abs(v.pts-c.pts) <= max(1, v.duration/2) {
			return v.dts, true
		}
	}
	return c.at + s.shift, false
}

// has tells whether everything before a cut has come. Neither a picture that stands still nor sound that ends is waited for.
func (s *segmenter) has(c cut, at int64) bool {
	heard := s.tracks.audioRate() == 0 || s.soundTicks(s.nextSound) >= c.at
	switch {
	case !s.tracks.video():
		return true
	case s.lastVideo >= at:
		return heard || s.lastVideo-at >= soundWait
	}
	return s.tracks.audioRate() > 0 && s.soundTicks(s.nextSound)-c.at >= 2*soundWait
}

// carryOut makes a cut.
func (s *segmenter) carryOut(c cut, at int64) error {
	if err := s.writePart(at, c.at, c.at); err != nil {
		return err
	}
	if !c.segment {
		return nil
	}
	if err := s.out.closeSegment(c.at); err != nil {
		return err
	}
	return s.out.openSegment(c, false)
}

// writePart writes the pictures and the sound that lie before a time each, as a part that ends at another.
func (s *segmenter) writePart(seen, heard, end int64) error {
	part := fmp4.Part{SequenceNumber: s.number}
	n := 0
	for n < len(s.video) && s.video[n].dts < seen {
		n++
	}
	if n > 0 {
		track := &fmp4.PartTrack{ID: videoTrackID, BaseTime: uint64(s.video[0].dts)}
		for i, v := range s.video[:n] {
			length := v.duration
			if i+1 < len(s.video) {
				length = s.video[i+1].dts - v.dts
			}
			track.Samples = append(track.Samples, &fmp4.Sample{
				Duration: uint32(max(1, length)), PTSOffset: int32(v.pts - v.dts), IsNonSyncSample: !v.key, Payload: v.payload,
			})
		}
		s.video = append(s.video[:0:0], s.video[n:]...)
		part.Tracks = append(part.Tracks, track)
	}
	n = 0
	for n < len(s.audio) && s.soundTicks(s.audio[n].dts) < heard {
		n++
	}
	if n > 0 {
		track := &fmp4.PartTrack{ID: audioTrackID, BaseTime: uint64(s.audio[0].dts)}
		for i, a := range s.audio[:n] {
			length := a.samples
			if i+1 < n {
				length = s.audio[i+1].dts - a.dts
			}
			track.Samples = append(track.Samples, &fmp4.Sample{Duration: uint32(max(1, length)), Payload: a.payload})
		}
		s.audio = append(s.audio[:0:0], s.audio[n:]...)
		part.Tracks = append(part.Tracks, track)
	}
	if len(part.Tracks) == 0 {
		return nil
	}
	var buf seekablebuffer.Buffer
	if err := part.Marshal(&buf); err != nil {
		return fmt.Errorf("render part: %w", err)
	}
	s.number++
	return s.out.writePart(buf.Bytes(), end)
}
