// Package capture makes the frames of a recording out of what a stage's publisher sends, without transcoding.
//
// Guarantees:
//   - Pictures are whole access units with their SEI; the first one and the first one after a loss are key frames, and
//     whoever publishes is asked for them.
//   - Sound and picture that were captured together have the same time: by the sender reports of both, by their
//     arrival as long as there are none. Corrections of more than maxShift are a break, which players see.
//   - What is kept in memory is bounded, whatever is sent: a second of pictures, three of sound, and the assembler's window.
//
// The picture's RTP clock is the recording's clock. A publisher that restarts its clock, or lets it stand, causes a break.
package capture

import (
	"bytes"
	"context"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/footlight-live/footlight/internal/frame"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/stage"
)

const (
	// pictureWait and soundWait are how long a packet is waited for that is missing. Nobody watches, so that a repair may
	// take its time; a recording's segments can wait for half a second of difference between picture and sound.
	pictureWait = 500 * time.Millisecond
	soundWait   = 300 * time.Millisecond
	// startWait is how long the first picture waits for sound and for the reports of both.
	startWait = time.Second
	// aloneWait is how long sound waits for a picture.
	aloneWait = 3 * time.Second
	// tickInterval is how often deadlines are looked at, keyInterval how often a key frame is asked for.
	tickInterval = 100 * time.Millisecond
	keyInterval  = time.Second
	// usual is a picture's length where it cannot be known.
	usual = record.ClockRate / 30
)

// Output takes the frames; a record.Source is one.
type Output interface {
	SetTracks(record.Tracks)
	WriteVideo(record.VideoFrame)
	WriteAudio(record.AudioFrame)
	Break()
}

// Run feeds the output with what an ear hears, until its publisher is gone or ctx ends. Browsers make key frames only when
// they are asked: segments of about the given length are what they are asked for.
func Run(ctx context.Context, ear *stage.Ear, out Output, segment time.Duration) {
	c := newCapture(out, ear.RequestKeyFrame, segment, time.Now())
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	defer func() { c.close(time.Since(c.start)) }()
	for {
		select {
		case h := <-ear.Heard():
			c.hear(h, time.Since(c.start))
		case <-ticker.C:
			c.tick(time.Since(c.start))
		case <-ctx.Done():
			return
		case <-ear.Done():
			for range len(ear.Heard()) {
				c.hear(<-ear.Heard(), time.Since(c.start))
			}
			return
		}
	}
}

// capture is owned by one goroutine. Times of its own are since start.
type capture struct {
	out     Output
	ask     func() // for a key frame
	segment int64  // ticks
	start   time.Time
	asked   time.Duration
	cut     int64 // time of the key frame that began the newest segment

	video, audio pulse
	pictures     frame.Assembler
	sounds       reorder
	shift        int64 // samples to add to the time of sound for the recording's time

	running bool          // tracks have been announced
	tracks  record.Tracks // of the newest announcement
	params  [2][]byte     // SPS and PPS of the newest key frame
	held    *record.VideoFrame
	length  int64                                  // of the newest picture, in ticks
	since   struct{ picture, sound time.Duration } // when the first one came that waits, or came
	heard   bool                                   // there is sound

	waitingPictures []record.VideoFrame
	waitingSounds   []packet
}

func newCapture(out Output, ask func(), segment time.Duration, start time.Time) *capture {
	c := &capture{out: out, ask: ask, segment: int64(segment.Seconds() * record.ClockRate), start: start, video: pulse{rate: record.ClockRate}, audio: pulse{rate: soundRate}, length: usual}
	c.pictures.Wait, c.pictures.Overdue = pictureWait, pictureWait
	return c
}

// hear takes a packet or a report.
func (c *capture) hear(h stage.Heard, now time.Duration) {
	p := &c.audio
	if h.Video {
		p = &c.video
	}
	if h.NTP != 0 {
		p.report(h.NTP, h.Timestamp)
		c.align()
		return
	}
	ts, leapt := p.arrive(h.Timestamp, now)
	if leapt {
		c.restart()
		ts, _ = p.arrive(h.Timestamp, now)
	}
	if h.Video {
		c.pictures.Push(frame.Packet{Sequence: h.Sequence, Timestamp: ts, Marker: h.Marker, Payload: h.Payload, Arrival: now})
	} else {
		c.sounds.push(packet{sequence: h.Sequence, at: ts, data: h.Payload, arrival: now})
	}
	c.work(now)
}

// tick does what only time brings.
func (c *capture) tick(now time.Duration) {
	c.work(now)
	if c.held != nil && c.start.Add(now).Sub(c.held.Arrived) > startWait/2 {
		c.release(c.length) // the picture stands still
	}
	due := c.held != nil && c.held.DTS-c.cut >= c.segment
	if c.video.seen && (due || c.pictures.NeedKey()) && now-c.asked >= keyInterval {
		c.asked = now
		c.ask()
	}
}

// work takes what is complete.
func (c *capture) work(now time.Duration) {
	for {
		au, ok := c.pictures.Pop(now)
		if !ok {
			break
		}
		c.picture(au)
	}
	for {
		p, ok := c.sounds.pop(now)
		if !ok {
			break
		}
		c.sound(p, now)
	}
	if !c.running {
		c.begin(now)
	}
}

// picture takes an access unit. Parameter sets and delimiters go, all else stays.
func (c *capture) picture(au frame.AccessUnit) {
	var units h264.AnnexB
	if units.Unmarshal(au.Data) != nil {
		c.pictures.Reset()
		return
	}
	f := record.VideoFrame{DTS: c.video.offset() + au.Timestamp, Key: au.Key, Arrived: c.start.Add(au.Complete)}
	f.PTS = f.DTS
	params := c.params
	for _, n := range units {
		if len(n) == 0 {
			continue
		}
		switch h264.NALUType(n[0] & 0x1f) {
		case h264.NALUTypeSPS:
			params[0] = n
		case h264.NALUTypePPS:
			params[1] = n
		case h264.NALUTypeAccessUnitDelimiter:
		default:
			f.NALUs = append(f.NALUs, n)
		}
	}
	if len(f.NALUs) == 0 {
		return
	}
	if f.Key && (!bytes.Equal(params[0], c.params[0]) || !bytes.Equal(params[1], c.params[1])) {
		if !readable(params[0]) || len(params[1]) == 0 {
			c.pictures.Reset()
			return
		}
		c.params = [2][]byte{bytes.Clone(params[0]), bytes.Clone(params[1])}
		c.waitingPictures = nil // of the smaller layer with which a publisher began
	}
	if c.params[0] == nil {
		return
	}
	if !c.running {
		if len(c.waitingPictures) == 0 {
			c.since.picture = au.Complete
		}
		c.waitingPictures = append(c.waitingPictures, f)
		return
	}
	c.write(f)
}

// readable tells whether a sequence parameter set can be written into a file.
func readable(sps []byte) bool {
	var s h264.SPS
	return s.Unmarshal(sps) == nil && s.Width() > 0 && s.Height() > 0
}

// write gives a picture to the output once the next one tells how long it is.
func (c *capture) write(f record.VideoFrame) {
	if c.held != nil {
		length := f.DTS - c.held.DTS
		if length <= 0 || length > record.ClockRate {
			length = c.length
		}
		c.release(length)
	}
	if f.Key {
		began := c.announce(record.Tracks{SPS: c.params[0], PPS: c.params[1], Opus: c.channels()})
		if began || f.DTS-c.cut >= c.segment-c.length/2 {
			c.cut = f.DTS
		}
	} else if c.tracks.SPS == nil {
		return // sound was alone; a key frame begins
	}
	c.held = &f
}

func (c *capture) release(length int64) {
	f := *c.held
	c.held = nil
	c.length, f.Duration = length, length
	c.out.WriteVideo(f)
}

// announce tells of the tracks that follow, if they are others. That is a break, at which sound can find its place.
func (c *capture) announce(t record.Tracks) (others bool) {
	if c.running && t.Opus == c.tracks.Opus && bytes.Equal(t.SPS, c.tracks.SPS) && bytes.Equal(t.PPS, c.tracks.PPS) {
		return false
	}
	c.running, c.tracks, c.shift = true, t, shiftOf(&c.video, &c.audio)
	c.out.SetTracks(t)
	return true
}

func (c *capture) channels() int {
	if c.heard {
		return soundChannels
	}
	return 0
}

// sound takes a packet of Opus.
func (c *capture) sound(p packet, now time.Duration) {
	if p.samples = opusSamples(p.data); p.samples == 0 {
		return
	}
	if !c.heard {
		c.heard, c.since.sound = true, now
		if c.running {
			c.ask() // the tracks change with the next key frame
		}
	}
	switch {
	case !c.running:
		c.waitingSounds = append(c.waitingSounds, p)
	case c.tracks.Opus > 0:
		c.writeSound(p)
	}
}

func (c *capture) writeSound(p packet) {
	c.out.WriteAudio(record.AudioFrame{DTS: p.at + c.shift, Samples: p.samples, Data: p.data, Arrived: c.start.Add(p.arrival)})
}

// begin begins to write when there is enough to know what the tracks are and how they lie to each other.
func (c *capture) begin(now time.Duration) {
	pictures := len(c.waitingPictures) > 0
	known := c.heard && c.video.reported && c.audio.reported
	switch {
	case pictures && (known || now-c.since.picture >= startWait):
	case !pictures && c.heard && now-c.since.sound >= aloneWait:
	default:
		return
	}
	if !pictures {
		c.announce(record.Tracks{Opus: soundChannels})
	}
	for _, f := range c.waitingPictures {
		c.write(f)
	}
	for _, p := range c.waitingSounds {
		c.writeSound(p)
	}
	c.waitingPictures, c.waitingSounds = nil, nil
}

// align takes up what reports say about the distance of sound and picture.
func (c *capture) align() {
	if !c.running || c.tracks.SPS == nil {
		return
	}
	shift := shiftOf(&c.video, &c.audio)
	switch off := max(shift-c.shift, c.shift-shift); {
	case off > maxShift:
		c.restart()
	case off > leastShift:
		c.shift = shift
	}
}

// restart begins anew after a break.
func (c *capture) restart() {
	if c.held != nil {
		c.release(c.length)
	}
	if c.running {
		c.out.Break()
	}
	c.running, c.heard = false, false
	c.video, c.audio = pulse{rate: record.ClockRate}, pulse{rate: soundRate}
	c.pictures, c.sounds = frame.Assembler{Wait: pictureWait, Overdue: pictureWait}, reorder{}
	c.waitingPictures, c.waitingSounds = nil, nil
	c.ask()
}

// close writes what waits: nothing more comes.
func (c *capture) close(now time.Duration) {
	c.work(now + aloneWait + pictureWait + soundWait)
	if c.held != nil {
		c.release(c.length)
	}
}
