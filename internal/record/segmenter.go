package record

import (
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
	// openSegment begins a segment; broken says that it does not follow on the one before, and then wall is when its
	// first frame was. key says that it begins with a key frame.
	openSegment(start int64, broken, key bool, wall time.Time) error
	// writePart appends to the open segment media up to a time.
	writePart(data []byte, end int64) error
	closeSegment(end int64) error
}

// segmenter cuts the frames of a source into parts and segments. Media time goes on over breaks: the frames of one
// run follow on the end of the run before, whatever their source's clock says.
//
// Segments begin with key frames. They are as long as the target, or shorter when the next key frame would come too
// late; longer only when key frames are further apart than the target, and cut anywhere at longestFactor times that.
type segmenter struct {
	out    segmentWriter
	target int64 // ticks
	early  bool  // segments end before the target when the next key frame is expected behind it

	tracks  Tracks
	running bool         // between the first frame of a run and its break
	end     int64        // of what has been written
	origin  int64        // media time of the source's time zero: its ticks
	sound   int64        // and its samples
	before  []AudioFrame // sound that came before the first picture
	video   []videoSample
	audio   []audioSample
	cuts    []cut

	segment   int64 // where the newest segment begins, cuts that wait included
	part      int64 // and the newest part
	lastKey   int64
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

// cut is a place where a part ends, and perhaps a segment.
type cut struct {
	at           int64
	segment, key bool
}

// setTracks sets what the next run is made of. Call it after a break.
func (s *segmenter) setTracks(t Tracks) { s.tracks, s.before = t, nil }

// begin starts a run with a frame at a time of the source.
func (s *segmenter) begin(at int64, key bool, wall time.Time) error {
	s.origin = s.end - at
	if rate := s.tracks.audioRate(); rate > 0 {
		s.sound = floorDiv(s.origin*rate, ClockRate)
		s.nextSound = ceilDiv(s.end*rate, ClockRate)
	}
	s.running = true
	s.segment, s.part, s.lastKey, s.lastVideo, s.videoEnd = s.end, s.end, s.end, s.end-1, s.end
	return s.out.openSegment(s.end, true, key, wall)
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

// writeVideo takes the next frame in decoding order. A run begins with a key frame.
func (s *segmenter) writeVideo(f VideoFrame) error {
	if !s.tracks.video() {
		return nil
	}
	if !s.running {
		if !f.Key {
			return nil
		}
		if err := s.begin(f.DTS, true, f.Arrived); err != nil {
			return err
		}
		for _, a := range s.before {
			s.keepAudio(a)
		}
		s.before = nil
	}
	payload, err := h264.AVCC(f.NALUs).Marshal()
	if err != nil {
		return fmt.Errorf("package video frame: %w", err)
	}
	at := max(f.DTS+s.origin, s.lastVideo+1) // decoding times grow
	switch {
	case at <= s.part:
	case f.Key && s.cutsBefore(at, f.Duration):
		s.cut(cut{at, true, true})
	case at-s.segment >= longestFactor*s.target:
		s.cut(cut{at, true, f.Key})
	case at-s.part >= partLength-f.Duration/2:
		s.cut(cut{at, false, false})
	}
	if f.Key {
		s.lastKey = at
	}
	s.video = append(s.video, videoSample{dts: at, pts: at + max(0, f.PTS-f.DTS), duration: max(1, f.Duration), key: f.Key, payload: payload})
	s.lastVideo = at
	s.videoEnd = at + max(1, f.Duration)
	return s.flush()
}

// cutsBefore decides whether a key frame begins a new segment: when the segment is as long as the target, or would
// become longer until the next key frame, if that takes as long as this one took.
func (s *segmenter) cutsBefore(at, frame int64) bool {
	length := at - s.segment
	if length >= s.target-frame/2 {
		return true
	}
	return s.early && length >= s.target/2 && length+at-s.lastKey > s.target+frame/2
}

func (s *segmenter) cut(c cut) {
	s.cuts = append(s.cuts, c)
	s.part = c.at
	if c.segment {
		s.segment = c.at
	}
}

// writeAudio takes the next access unit of sound.
func (s *segmenter) writeAudio(f AudioFrame) error {
	rate := s.tracks.audioRate()
	if rate == 0 {
		return nil
	}
	if !s.running {
		if s.tracks.video() {
			s.before = append(s.before, f)
			s.before = s.before[max(0, len(s.before)-pendingSound):]
			return nil
		}
		if err := s.begin(s.soundTicks(f.DTS), true, f.Arrived); err != nil {
			return err
		}
	}
	if !s.keepAudio(f) {
		return nil
	}
	at := s.soundTicks(s.audio[len(s.audio)-1].dts)
	if s.tracks.video() {
		at -= 2 * soundWait // the picture stands still: sound goes on alone
	}
	switch {
	case at-s.segment >= s.target && !s.tracks.video():
		s.cut(cut{at, true, true})
	case at-s.segment >= longestFactor*s.target:
		s.cut(cut{at, true, false})
	case at-s.part >= partLength:
		s.cut(cut{at, false, false})
	}
	return s.flush()
}

// keepAudio takes an access unit unless it belongs before the run or what is there already.
func (s *segmenter) keepAudio(f AudioFrame) bool {
	at := f.DTS + s.sound
	if late := s.nextSound - at; late > f.Samples/2 {
		return false
	} else if late > 0 {
		at = s.nextSound
	}
	s.audio = append(s.audio, audioSample{at, f.Samples, f.Data})
	s.nextSound = at + f.Samples
	return true
}

// flush writes the parts that are complete.
func (s *segmenter) flush() error {
	for len(s.cuts) > 0 {
		c := s.cuts[0]
		heard := s.tracks.audioRate() == 0 || s.soundTicks(s.nextSound) >= c.at
		if !heard && s.lastVideo-c.at < soundWait {
			return nil
		}
		if err := s.carryOut(c); err != nil {
			return err
		}
		s.cuts = s.cuts[1:]
	}
	return nil
}

func (s *segmenter) carryOut(c cut) error {
	if err := s.writePart(c.at, c.at); err != nil {
		return err
	}
	s.end = max(s.end, c.at)
	if !c.segment {
		return nil
	}
	if err := s.out.closeSegment(s.end); err != nil {
		return err
	}
	return s.out.openSegment(c.at, false, c.key, time.Time{})
}

// writePart writes what lies before a time, as a part that ends at another.
func (s *segmenter) writePart(until, end int64) error {
	part := fmp4.Part{SequenceNumber: s.number}
	n := 0
	for n < len(s.video) && s.video[n].dts < until {
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
	for n < len(s.audio) && s.soundTicks(s.audio[n].dts) < until {
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

// brk ends the run: everything is written, and what follows is a discontinuity.
func (s *segmenter) brk() error {
	if !s.running {
		s.before = nil
		return nil
	}
	s.running = false
	defer func() { s.video, s.audio, s.cuts, s.before = nil, nil, nil, nil }()
	for _, c := range s.cuts {
		if err := s.carryOut(c); err != nil {
			return err
		}
	}
	last := max(s.end, s.videoEnd)
	if rate := s.tracks.audioRate(); rate > 0 {
		last = max(last, s.soundTicks(s.nextSound))
	}
	if err := s.writePart(last+1, last); err != nil {
		return err
	}
	s.end = last
	return s.out.closeSegment(last)
}

// lose forgets the run without writing: the disk took no more than up to end.
func (s *segmenter) lose(end int64) {
	s.running, s.end = false, end
	s.video, s.audio, s.cuts, s.before = nil, nil, nil, nil
}
