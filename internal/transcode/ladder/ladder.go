// Package ladder sends a picture in several sizes: the transcoding of channels of the types ADVANCED_SD and ADVANCED_HD.
//
// Guarantees, beside those of package transcode:
//   - All sizes show the same pictures at the times that the publisher gave them, in the order in which they are shown;
//     the smaller ones at most 30 per second. They have no B-frames.
//   - Key frames of all sizes are at the same pictures, at most about two seconds apart.
//   - After a crash pictures come back as soon as there is another process, not only with the publisher's next key frame:
//     it decodes again what came since the last one.
//   - What is too much for the machine leaves pictures out, evenly and in all sizes: one is left out whenever it is a quarter
//     of a second late.
//
// The other side is package worker, in the process "footlight-composer ladder TYPE PRESET".
package ladder

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/footlight-live/footlight/internal/transcode"
	"github.com/footlight-live/footlight/internal/unit"
)

const (
	// queueLength is how many access units may wait for the process: with 60 in a second more than come while one that hangs
	// is found out, after 3 s, and replaced. They have at most maxKeptBytes too, one aside; at the largest bit rate of a
	// channel it is 5 MB.
	queueLength = 256
	// What is kept to decode again is at most what 10 s of 60 pictures at the largest bit rate of a channel have. After
	// more than that without a key frame a new process waits for the next one.
	maxKept, maxKeptBytes = 600, 12 << 20
)

// Picture is one picture in all sizes that have it.
type Picture struct {
	Tracks  []unit.VideoParams // all, if they begin or change with this picture
	Frames  []unit.VideoFrame  // by track
	Arrived time.Time          // when it came to Write
}

// Ladder is one publisher's picture on its way to several sizes. Set the fields, then Start.
type Ladder struct {
	Program string // path of footlight-composer
	Type    Type
	Preset  Preset
	// Out takes what comes out. One goroutine calls it at a time; it may block for a moment, but must return on Close.
	Out func(Picture)
	Log *slog.Logger // nil: slog.Default()

	process transcode.Process

	// of the caller of Write
	sets [][]byte // parameter sets, for the next key frame
	lost bool     // a unit: those up to the next key frame are of no use

	mu      sync.Mutex
	arrived map[time.Duration]time.Time // of what has not come out, by the time at which it is shown
	delays  delays

	tracks []unit.VideoParams // for the next picture; of Out's goroutine
	kept   int                // bytes; of the process's goroutine
	queued atomic.Int64       // bytes that wait for the process
	counts counters
}

// Start starts the process and returns.
func (l *Ladder) Start() {
	l.arrived = map[time.Duration]time.Time{}
	l.process = transcode.Process{
		Program: l.Program, Args: []string{"ladder", string(l.Type), string(l.Preset)}, Log: l.Log,
		Queue: queueLength, MaxAnswer: maxAnswer, Hear: l.hear, Remember: l.remember,
	}
	l.process.Start()
}

// Close ends the process and waits for it, and for Out.
func (l *Ladder) Close() { l.process.Close() }

// PID is the process now, or 0.
func (l *Ladder) PID() int { return l.process.PID() }

// Write takes VideoParams and VideoFrame of track 0, which are not changed any more, and passes over all else. It never
// blocks. One goroutine calls it at a time.
func (l *Ladder) Write(u unit.Unit, arrived time.Time) {
	switch u := u.(type) {
	case unit.VideoParams:
		if u.Track == 0 {
			l.sets = append(append([][]byte(nil), u.SPS...), u.PPS...)
		}
	case unit.VideoFrame:
		if u.Track == 0 {
			l.frame(u, arrived)
		}
	}
}

func (l *Ladder) frame(f unit.VideoFrame, arrived time.Time) {
	if l.lost && !f.Key {
		l.counts.lost.Add(1)
		return
	}
	m := transcode.Message{Kind: Frame, At: f.PTS}
	nalus := f.NALUs
	if f.Key {
		m.Kind = Key
		nalus = append(l.sets[:len(l.sets):len(l.sets)], nalus...)
	}
	m.Data, _ = h264.AnnexB(nalus).Marshal() // it never fails
	l.expect(f.PTS, arrived)
	if l.lost = len(m.Data) > MaxUnit || !l.say(m); l.lost {
		l.counts.lost.Add(1)
	}
}

// say has the process take a message, if there is room for it.
func (l *Ladder) say(m transcode.Message) bool {
	if l.queued.Load() > maxKeptBytes {
		return false
	}
	l.queued.Add(int64(len(m.Data)))
	if !l.process.Say(m) {
		l.queued.Add(-int64(len(m.Data)))
		return false
	}
	return true
}

// remember keeps what came since the last key frame. m does not wait any more.
func (l *Ladder) remember(before []transcode.Message, m transcode.Message) []transcode.Message {
	l.queued.Add(-int64(len(m.Data)))
	switch {
	case m.Kind == Key:
		before, l.kept = nil, 0
	case len(before) == 0:
		return nil // of no use without its key frame
	}
	if l.kept += len(m.Data); len(before) == maxKept || l.kept > maxKeptBytes {
		return nil
	}
	m.Kind = Again
	return append(before, m)
}

// hear takes what the process says.
func (l *Ladder) hear(m transcode.Message) (err error) {
	switch m.Kind {
	case Tracks:
		l.tracks, err = parseTracks(m.Data)
		return err
	case Pictures:
		p := Picture{Tracks: l.tracks}
		if p.Frames, err = parsePictures(m); err != nil {
			return err
		}
		l.tracks = nil
		p.Arrived = l.came(m.At)
		l.counts.pictures.Add(1)
		l.Out(p)
		return nil
	case Nothing:
		if len(m.Data) != 1 {
			return fmt.Errorf("nothing, of %d bytes", len(m.Data))
		}
		switch Reason(m.Data[0]) {
		case LeftOut:
			l.counts.leftOut.Add(1)
		case Damaged:
			l.counts.damaged.Add(1)
		}
		return nil
	}
	return fmt.Errorf("message %q", m.Kind)
}
