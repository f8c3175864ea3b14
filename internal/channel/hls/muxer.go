package hls

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// targetSeconds is EXT-X-TARGETDURATION: the key-frame interval that IVS asks encoders for.
	targetSeconds = 2
	// longestSegment is the longest that still rounds down to the target duration (rfc8216bis §4.4.3.1),
	// less a margin for rounded part lengths.
	longestSegment = (targetSeconds*1000 + 490) * ClockRate / 1000
	// roundedTicks is what frames that are no whole number of ticks (59.94 and 23.976 fps) can add up to over a part.
	roundedTicks = 30
	// audioSlack is how far sound may run ahead of the picture before a part goes out without picture.
	audioSlack = ClockRate
	// unitOverhead is what a NAL unit takes beyond its own bytes while it waits for its part to end, so that a great many
	// tiny ones count as the memory that they are.
	unitOverhead = 24
	// pendingAudio bounds the sound that waits for picture, in access units (about 10 s at 48 kHz).
	pendingAudio = 500
)

// ErrTooMuchData means that one segment exceeded Config.SegmentLimit.
var ErrTooMuchData = errors.New("too much data for one segment")

// Config sets up a Muxer. Fields without a default must be set.
type Config struct {
	Prefix     string    // of every name; random
	Wall       time.Time // wall clock at media time 0
	PartTarget int64     // ticks; see PartTarget
	Sequence   int64     // media sequence number of the first segment
	Breaks     int64     // EXT-X-DISCONTINUITY-SEQUENCE to begin with

	Container Container

	// WholeSegments leaves out the parts: players stay three target durations behind, and no request waits for media.
	WholeSegments bool

	Window       int // length of the playlist in target durations; 0: 10
	SegmentLimit int // bytes; 0: 32 MiB
}

// PartTarget returns the part length for a frame duration, both in ticks: the whole number of frames that is
// nearest to 200 ms, at least one.
func PartTarget(frame int64) int64 {
	const ideal = ClockRate / 5
	if frame <= 0 {
		return ideal
	}
	return max(1, (ideal+frame/2)/frame) * frame
}

// VideoFrame is one access unit, times in ticks. Its NAL units must not change any more.
type VideoFrame struct {
	DTS, PTS int64
	Duration int64 // as expected: until the next frame's DTS
	Key      bool
	NALUs    [][]byte  // without parameter sets
	Arrived  time.Time // for Delay; zero: unknown
}

// AudioFrame is one AAC access unit, which must not change any more.
type AudioFrame struct {
	DTS int64 // in samples since media time 0
	AU  []byte
}

type videoSample struct {
	dts, pts int64
	key      bool
	nalus    [][]byte
	arrived  time.Time
}

// Muxer cuts a stream into parts and segments and publishes the playlists.
// One goroutine owns the writing side; the serving side (serve.go) is for everyone.
type Muxer struct {
	cfg      Config
	packager packager
	tracks   Tracks
	initID   int64
	inits    map[int64][]byte // without those that are empty; replaced, never changed: views share it

	segments []segment // complete ones, older and listed
	open     *segment  // nil between streams
	openSize int
	listed   int // index in segments of the first listed one
	sequence int64
	breaks   int64
	broken   bool // the next segment follows a break

	partStart  int64
	partLength int64
	nextPart   int64
	video      []videoSample
	audio      []AudioFrame // arrived, in no part yet
	first      int64        // where the stream began
	lastKey    int64
	lastEnd    int64       // expected end of the newest frame
	arrived    []time.Time // of the frames in parts that are not published yet

	tags      []tag     // on their way into a part
	adBreaks  []adBreak // that the playlist tells of
	nextBreak uint32

	lead     *Muxer // see Follow
	reorder  int64  // ticks from DTS to PTS of the newest key frame
	siblings []Sibling

	delays  delays
	current atomic.Pointer[view]
}

// New makes a muxer that has nothing to play yet.
func New(cfg Config) *Muxer {
	cfg.Window = cmp.Or(cfg.Window, 10)
	cfg.SegmentLimit = cmp.Or(cfg.SegmentLimit, 32<<20)
	m := &Muxer{
		cfg: cfg, packager: cfg.Container.packager(), initID: -1, inits: map[int64][]byte{},
		sequence: cfg.Sequence, breaks: cfg.Breaks,
	}
	m.current.Store(&view{
		changed: make(chan struct{}), prefix: cfg.Prefix, format: m.packager.format(), target: targetSeconds * ClockRate,
	})
	return m
}

// SetTracks sets the parameters of the frames that follow; other parameters than before are a break.
// Call it before the first frame, and at a key frame.
func (m *Muxer) SetTracks(t Tracks) error {
	if m.initID >= 0 && m.tracks.Equal(t) {
		return nil
	}
	data, err := m.packager.initialization(t)
	if err != nil {
		return err
	}
	if m.initID >= 0 {
		if err := m.Break(); err != nil {
			return err
		}
	}
	m.tracks, m.audio = t, nil
	m.initID++
	inits := map[int64][]byte{}
	if data != nil {
		inits[m.initID] = data
	}
	for _, s := range m.segments {
		if old, ok := m.inits[s.initID]; ok {
			inits[s.initID] = old
		}
	}
	m.inits = inits
	return nil
}

// Break ends the current segment; the next one begins with the next key frame after an EXT-X-DISCONTINUITY.
func (m *Muxer) Break() error {
	if m.open == nil {
		return nil
	}
	err := m.closePart(max(m.lastEnd, m.partStart))
	m.closeSegment()
	m.audio = nil
	m.broken = true
	m.publish()
	return err
}

// End finishes the playlist with EXT-X-ENDLIST.
func (m *Muxer) End() error {
	err := m.Break()
	v := *m.current.Load()
	v.ended = true
	m.replace(&v)
	return err
}

// Abandon wakes everyone who waits, without an end of list: a player that stays will find the stream's continuation.
func (m *Muxer) Abandon() {
	v := *m.current.Load()
	v.gone = true
	m.replace(&v)
}

// Wall is the wall clock at media time 0.
func (m *Muxer) Wall() time.Time { return m.cfg.Wall }

// EndTime is the media time where the newest frame ends, in ticks.
func (m *Muxer) EndTime() int64 { return m.lastEnd }

// WriteVideo takes the next frame in decoding order. DTS must grow.
func (m *Muxer) WriteVideo(f VideoFrame) error {
	if m.open == nil {
		if ok, err := m.begin(f); !ok || err != nil {
			return err
		}
	}
	if m.lead != nil {
		if err := m.followTo(f); err != nil {
			return err
		}
	}
	if err := m.passGrid(f.DTS); err != nil {
		return err
	}
	if f.Key && m.lead == nil && m.cutBefore(f) {
		if err := m.closePart(f.DTS); err != nil {
			return err
		}
		m.closeSegment()
		m.openSegment(f)
		m.publish()
	}
	if len(m.video) == 0 && len(m.audio) == 0 {
		m.gridFor(f)
	}
	if len(m.video) == 0 && len(m.open.parts) == 0 {
		if m.open.key = f.Key; m.lead != nil {
			if err := m.checkStep(f); err != nil {
				return err
			}
		}
	}
	size := 0
	for _, n := range f.NALUs {
		size += len(n) + unitOverhead
	}
	if err := m.grow(size); err != nil {
		return err
	}
	m.video = append(m.video, videoSample{dts: f.DTS, pts: f.PTS, key: f.Key, nalus: f.NALUs, arrived: f.Arrived})
	m.lastEnd = max(m.lastEnd, f.DTS+f.Duration)
	if f.Key {
		m.lastKey, m.reorder = f.DTS, f.PTS-f.DTS
	}
	// The part's last frame is here: do not wait for the next one to find out.
	grid, end := m.partStart+m.partLength, f.DTS+f.Duration
	if end >= grid-f.Duration/4 {
		if end < grid-roundedTicks || end > grid+roundedTicks {
			end = grid // irregular frames: the grid wins
		}
		if err := m.closePart(end); err != nil {
			return err
		}
		m.gridFor(f)
		m.limitSegment(f)
		m.publish()
	}
	return nil
}

// WriteAudio takes the next access unit. DTS must grow.
func (m *Muxer) WriteAudio(f AudioFrame) error {
	if m.tracks.Audio == nil {
		return nil
	}
	m.audio = append(m.audio, f)
	if m.open == nil {
		// Sound may come a little before its picture.
		m.audio = m.audio[max(0, len(m.audio)-pendingAudio/4):]
		return nil
	}
	if err := m.grow(len(f.AU)); err != nil {
		return err
	}
	// The picture stands still: parts go on with sound alone.
	before, until := m.nextPart, m.tracks.ticks(f.DTS)-audioSlack
	if m.lead != nil {
		if err := m.followTo(VideoFrame{DTS: until}); err != nil {
			return err
		}
	}
	if err := m.passGrid(until); err != nil {
		return err
	}
	if m.nextPart != before {
		m.publish()
	}
	m.audio = m.audio[max(0, len(m.audio)-pendingAudio):]
	return nil
}

func (m *Muxer) grow(n int) error {
	m.openSize += n
	if m.openSize > m.cfg.SegmentLimit {
		return fmt.Errorf("%w: more than %d bytes in %v", ErrTooMuchData, m.cfg.SegmentLimit, ticks(longestSegment))
	}
	return nil
}

// cutBefore decides whether a key frame begins a new segment: when the segment is as long as the target, or
// would become too long until the next key frame.
func (m *Muxer) cutBefore(f VideoFrame) bool {
	length := f.DTS - m.open.start
	return length >= targetSeconds*ClockRate-f.Duration/2 || length+f.DTS-m.lastKey > longestSegment
}

// limitSegment ends a segment that has no room for another part, because the key frame comes too late.
//
// In the first two seconds every part is a segment of its own. hls.js (1.6) takes parts only where a complete
// segment with parts lies behind them; without one it waits for it, and stays that far behind for good.
// (Measured: first picture after 2.1 s and 2.5 s of latency with placeholders marked EXT-X-GAP.)
func (m *Muxer) limitSegment(f VideoFrame) {
	if m.lead != nil {
		return
	}
	young := !m.cfg.WholeSegments && m.open.start+m.open.duration <= m.first+targetSeconds*ClockRate
	if !young && m.open.duration+m.cfg.PartTarget <= longestSegment {
		return
	}
	m.closeSegment()
	m.openSegment(VideoFrame{DTS: m.partStart, Duration: f.Duration})
}

// gridFor sets the length of the part that begins: as many whole frames as fit the target.
func (m *Muxer) gridFor(f VideoFrame) {
	m.partLength = m.cfg.PartTarget
	if f.Duration > 0 {
		// A quarter of a frame forgives rates that are not a whole number of ticks.
		if n := (m.cfg.PartTarget + f.Duration/4) / f.Duration; n > 0 {
			m.partLength = min(m.partLength, n*f.Duration)
		}
	}
}

// passGrid closes the parts that end at or before a time. Time in which nothing came makes no parts.
func (m *Muxer) passGrid(dts int64) error {
	for dts >= m.partStart+m.partLength {
		end := m.partStart + m.partLength
		if len(m.video) == 0 && (len(m.audio) == 0 || m.tracks.ticks(m.audio[0].DTS) >= end) {
			if next := m.nothingUntil(dts); next > m.partStart {
				m.partStart = next
				continue
			}
		}
		if err := m.closePart(end); err != nil {
			return err
		}
		m.limitSegment(VideoFrame{})
	}
	return nil
}

// nothingUntil is where the next part can begin: at the pending sound, or at dts.
func (m *Muxer) nothingUntil(dts int64) int64 {
	if len(m.audio) == 0 {
		return dts
	}
	return min(dts, m.tracks.ticks(m.audio[0].DTS))
}

func (m *Muxer) openSegment(f VideoFrame) {
	m.open = &segment{
		sequence: m.sequence, start: f.DTS, initID: m.initID, discontinuity: m.broken,
	}
	if m.nextPart == 0 {
		m.first = f.DTS
	}
	if m.broken || m.nextPart == 0 {
		m.dropAudioBefore(f.DTS)
	}
	m.sequence++
	m.broken = false
	m.openSize = 0
	m.partStart = f.DTS
	m.lastEnd = max(m.lastEnd, f.DTS)
	if f.Key {
		m.lastKey = f.DTS
	}
	m.gridFor(f)
}

func (m *Muxer) dropAudioBefore(dts int64) {
	for len(m.audio) > 0 && m.tracks.ticks(m.audio[0].DTS) < dts {
		m.audio = m.audio[1:]
	}
}
