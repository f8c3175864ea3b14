package channel

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/transcode/ladder"
	"github.com/footlight-live/footlight/internal/unit"
)

// Ladder says in which sizes a channel shows the picture of its publisher. Its zero value: as it comes.
type Ladder struct {
	Type   ladder.Type
	Preset ladder.Preset
}

// Capacity is what transcoders may take of the machine.
type Capacity interface {
	// Reserve takes so many cores until release is called. An error says that they are not there.
	Reserve(cores float64) (release func(), err error)
}

// capacityError ends the stream of a publisher whose picture the machine cannot transcode.
type capacityError struct{ reason error }

// Error is what the event says (spec/lowlatency.md §9).
func (capacityError) Error() string { return "Transcode capacity exceeded. Please try again." }

var errNoLadder = errors.New("the server has no program to transcode with")

const (
	// soundPatience is how long sound waits for the picture of its time, once there are pictures. It is more than a ladder
	// takes by far.
	soundPatience = time.Second
	// mostSound is how many units of sound wait for the first picture: about 5 s.
	mostSound = 256
	// assumedRate is that of encoders that do not say it, in pictures per second. It decides about the capacity only.
	assumedRate = 30
)

// transcoder stands between a publisher and its feed, where the channel has a ladder: the picture goes by way of the ladder,
// and sound waits for it. The live channel's goroutine owns it.
type transcoder struct {
	in      *ingest
	ladder  ladder.Ladder
	running bool          // the ladder
	gone    chan struct{} // closed when nothing of it is wanted any more
	release func()        // what was reserved

	input   picture // as the publisher sends it
	started bool    // the first key frame has come
	shown   bool    // a picture has come out
	meta    unit.Metadata
	got     received
	sound   []held // waits for pictures; with the parameters between
}

// newTranscoder prepares for a publisher; nil: its channel has no ladder.
func newTranscoder(in *ingest, log *slog.Logger) *transcoder {
	c := in.publisher.Channel.Ladder
	if c.Type == "" {
		return nil
	}
	t := &transcoder{in: in, gone: make(chan struct{})}
	t.ladder = ladder.Ladder{
		Program: in.live.server.Composer, Type: c.Type, Preset: c.Preset, Log: log,
		Out: func(p ladder.Picture) {
			select {
			case in.live.inbox <- codedMessage{in, p}:
			case <-t.gone:
			case <-in.live.done:
			}
		},
	}
	return t
}

// close ends the ladder, without waiting for it.
func (t *transcoder) close() {
	close(t.gone)
	if t.running {
		t.running = false
		t.in.live.server.running.Go(t.ladder.Close)
		t.release()
	}
}

// write takes one unit of the publisher.
func (t *transcoder) write(u unit.Unit, arrived time.Time) error {
	switch u := u.(type) {
	case unit.Metadata:
		t.meta = u
		u.VideoBitRate = 0 // it is not that of the sizes
		return t.in.feed.write(u, arrived)
	case unit.VideoParams:
		return t.parameters(parameterSets{sps: u.SPS, pps: u.PPS}, arrived)
	case unit.VideoFrame:
		return t.frame(u, arrived)
	case unit.AudioParams:
		if len(t.sound) == 0 {
			return t.in.feed.write(u, arrived)
		}
	case unit.AudioFrame:
		t.got.audio += uint64(len(u.AU))
	}
	t.sound = append(t.sound, held{u, arrived})
	n := 0
	for n < len(t.sound) && t.shown && arrived.Sub(t.sound[n].arrived) > soundPatience {
		n++
	}
	return t.let(max(n, len(t.sound)-mostSound))
}

// parameters looks at what the publisher is about to send, before the ladder does.
func (t *transcoder) parameters(sets parameterSets, arrived time.Time) error {
	if len(sets.sps) == 0 || t.input.sets.equal(sets) {
		return nil
	}
	t.input.setParameters(sets)
	t.ladder.Write(unit.VideoParams{SPS: sets.sps, PPS: sets.pps}, arrived)
	return checkPicture(sets.size())
}

func (t *transcoder) frame(u unit.VideoFrame, arrived time.Time) error {
	t.got.frames++
	for _, n := range u.NALUs {
		t.got.video += uint64(len(n))
	}
	au := sortNALUs(u.NALUs)
	u.Key = u.Key || au.random
	if u.Key && len(au.inband.pps) > 0 {
		if err := t.parameters(au.inband, arrived); err != nil {
			return err
		}
	}
	u.NALUs = au.nalus
	switch {
	case len(u.NALUs) == 0 || !t.started && !u.Key:
		return nil
	case len(t.input.sets.sps) == 0:
		return errNoVideo
	case !t.running:
		if err := t.start(); err != nil {
			return err
		}
	}
	t.started = true
	t.learn(u)
	t.ladder.Write(u, arrived)
	return nil
}

// start starts the ladder if the machine has the capacity.
func (t *transcoder) start() error {
	s := t.in.live.server
	if s.Composer == "" {
		return capacityError{errNoLadder}
	}
	t.release = func() {}
	if s.Capacity != nil {
		w, h := t.input.sets.size()
		source := ladder.Source{Width: w, Height: h, FrameRate: assumedRate}
		for _, r := range t.input.rateHints(t.meta) {
			if r.known() {
				source.FrameRate = float64(r.num) / float64(r.den)
				break
			}
		}
		release, err := s.Capacity.Reserve(ladder.Cores(t.ladder.Type, t.ladder.Preset, source))
		if err != nil {
			return capacityError{err}
		}
		t.release = release
	}
	t.ladder.Start()
	t.running = true
	if t.in == t.in.live.in {
		t.in.live.coder.Store(t)
	}
	return nil
}

// learn keeps what is told of the publisher's picture: its parameters from a key frame on, and its rate.
func (t *transcoder) learn(u unit.VideoFrame) {
	p := &t.input
	if u.Key && p.changed {
		p.tracks, p.changed = hls.Tracks{SPS: p.sets.sps[0], PPS: p.sets.pps[0]}, false
	}
	p.millis = append(p.millis[max(0, len(p.millis)-cadenceWindow+1):], u.DTS.Milliseconds())
	if len(p.millis) == probeFrames || len(p.millis) == cadenceWindow && !p.cadence.rate.known() {
		p.judge(t.meta)
	}
}

// codedMessage brings a picture that comes from a ladder.
type codedMessage struct {
	in      *ingest
	picture ladder.Picture
}

// emit gives the feed a picture in all sizes, and then the sound up to it.
func (t *transcoder) emit(p ladder.Picture) error {
	t.shown = true
	for _, u := range p.Tracks {
		if err := t.in.feed.write(u, p.Arrived); err != nil {
			return err
		}
	}
	for _, u := range p.Frames {
		if err := t.in.feed.write(u, p.Arrived); err != nil {
			return err
		}
	}
	n := 0
	for n < len(t.sound) {
		if u, ok := t.sound[n].unit.(unit.AudioFrame); ok && u.PTS > p.Frames[0].PTS {
			break
		}
		n++
	}
	return t.let(n)
}

// let gives the feed the first n units of the sound that waits.
func (t *transcoder) let(n int) error {
	for i, h := range t.sound[:n] {
		if err := t.in.feed.write(h.unit, h.arrived); err != nil {
			t.sound = slices.Delete(t.sound, 0, i+1)
			return err
		}
	}
	t.sound = slices.Delete(t.sound, 0, n)
	return nil
}

// received counts what has come from the publisher.
func (t *transcoder) received() received { return t.got }

// videoInfo describes the picture as the publisher sends it, not the sizes that are made of it.
func (t *transcoder) videoInfo(measured int) []VideoInfo {
	if t.input.tracks.SPS == nil || !t.in.feed.running {
		return nil
	}
	v := t.input.info()
	v.Encoder, v.BitRate = t.meta.Encoder, cmp.Or(t.meta.VideoBitRate, measured)
	return []VideoInfo{v}
}

func (t *transcoder) size() (pictures, width, height int) {
	if t.input.tracks.SPS != nil {
		width, height = t.input.tracks.Size()
	}
	return 1, width, height
}

func (t *transcoder) constantRate() rate { return t.input.cadence.constantRate() }

// fail ends a stream whose picture cannot be transcoded.
func (l *live) fail(err capacityError) {
	l.log.Error("publisher cut", "remote", l.in.remote, "reason", err, "error", err.reason)
	l.observe(Event{Kind: StreamFailure, Reason: err.Error()})
	l.in.cut(err)
	l.end(err.Error())
}
