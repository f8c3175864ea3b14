package channel

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/unit"
)

const (
	// MaxPictures is how many sizes of the picture a publisher may bring.
	MaxPictures = 5
	// apart is how far pictures may be from one another, less than a muxer waits for pictures when there is sound. The one
	// that is behind is lost then.
	apart = 700 * time.Millisecond
	// heldFrames and heldBytes bound what one picture may be ahead of the leading one.
	heldFrames, heldBytes = 256, 8 << 20
)

// picture is one size of what a publisher shows, on its way to a rendition (unit.VideoFrame). The feed owns it.
type picture struct {
	track   int
	sets    parameterSets
	changed bool       // sets differ from tracks
	tracks  hls.Tracks // what the sink was told
	sink    Sink       // nil until it is open
	cadence cadence
	millis  []int64 // DTS of the frames of the probe; then, while there is no sink, of the newest

	begun     bool          // the probe has its first key frame
	seen      bool          // lastDTS is of the feed's clock
	lastDTS   time.Duration // of the newest frame
	beforeDTS time.Duration // of the one before
	lastPTS   time.Duration // the latest that was written
	held      []held        // frames that are ahead of the leading picture
	size      int           // of held, in bytes

	bytes    uint64 // received
	readings []uint64
	rate     int // measured, bits per second
}

// measure is called once a second.
func (p *picture) measure() {
	p.readings = append(p.readings[max(0, len(p.readings)-meterWindow):], p.bytes)
	if n := len(p.readings); n > 1 {
		p.rate = int(p.readings[n-1]-p.readings[0]) * 8 / (n - 1)
	}
}

// outran tells whether another picture is too far behind this one. One frame of this one says nothing: after a gap in all of
// them one has to come first.
func (p *picture) outran(other *picture) bool { return p.beforeDTS-other.lastDTS > apart }

// leads tells whether the leading picture has come as far as a frame of another one: of an encoder that reorders less
// or more, too.
func (p *picture) leads(u unit.VideoFrame) bool { return p.lastDTS >= u.DTS && p.lastPTS >= u.PTS }

// hold keeps a frame until the leading picture has come as far, and reports whether there was room.
func (p *picture) hold(h held) bool {
	for _, n := range h.unit.(unit.VideoFrame).NALUs {
		p.size += len(n)
	}
	p.held = append(p.held, h)
	return len(p.held) <= heldFrames && p.size <= heldBytes
}

// ahead takes the first of the frames that the leading picture has come as far as.
func (p *picture) ahead(lead *picture) (h held, ok bool) {
	if len(p.held) == 0 || !lead.leads(p.held[0].unit.(unit.VideoFrame)) {
		return held{}, false
	}
	h = p.held[0]
	p.held = p.held[1:]
	for _, n := range h.unit.(unit.VideoFrame).NALUs {
		p.size -= len(n)
	}
	return h, true
}

func (p *picture) setParameters(s parameterSets) {
	if !p.sets.equal(s) {
		p.sets, p.changed = s, true
	}
}

// stop forgets how far the picture has come; it starts again at a key frame.
func (p *picture) stop() {
	p.begun, p.millis, p.held, p.size, p.lastPTS = false, nil, nil, 0, 0
}

// rateHints are the frame rates that the encoder claims: in onMetaData and in the SPS.
func (p *picture) rateHints(m unit.Metadata) []rate {
	var hints []rate
	if m.FrameRate > 0 {
		hints = append(hints, rateOf(m.FrameRate))
	}
	var sps h264.SPS
	if sps.Unmarshal(p.sets.sps[0]) == nil && sps.VUI != nil && sps.VUI.TimingInfo != nil {
		if fps := sps.FPS(); fps > 0 && fps < 1000 {
			hints = append(hints, rateOf(fps))
		}
	}
	return hints
}

// judge decides about the frame rate by the timestamps that have come.
func (p *picture) judge(m unit.Metadata) {
	p.cadence = cadence{hints: p.rateHints(m)}
	p.cadence.start(p.millis)
}

// meanFrame is the length of a frame in ticks as the probe shows it.
func (p *picture) meanFrame() int64 {
	if p.cadence.rate.known() {
		return p.cadence.rate.frame()
	}
	n := int64(len(p.millis))
	if n < 2 || p.millis[n-1] <= p.millis[0] {
		return 0
	}
	return (p.millis[n-1] - p.millis[0]) * ticksPerMilli / (n - 1)
}

// frameRate is what was measured, in frames per second.
func (p *picture) frameRate() float64 {
	if r := p.cadence.rate; r.known() {
		return float64(r.num) / float64(r.den)
	}
	return hls.ClockRate / float64(p.cadence.frame())
}

// outlet is where a feed's pictures go.
type outlet interface {
	// open gives each picture its sink, or refuses all of them. The first one leads: the others come as far as it does, and
	// no further.
	open(pictures []*picture, began time.Time) error
	// join gives a sink to a picture that comes later, or none. An error refuses the publisher.
	join(p *picture) error
	// lead makes another picture the leading one of those that are left, if it can be.
	lead(p *picture, others []*picture) bool
	// lose hears that a picture has no sink any more.
	lose(p *picture, reason error)
}
