// Package worker is what runs in the process "footlight-composer ladder": it decodes a picture once and encodes it in
// several sizes. See package ladder.
package worker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/video"
	"github.com/footlight-live/footlight/internal/transcode"
	"github.com/footlight-live/footlight/internal/transcode/ladder"
)

const (
	goMemory = 64 << 20 // bytes

	// queueLength is how many units may wait to be decoded; more wait in the pipe and in the server.
	queueLength = 64
	// maxLag is how late a picture may be before others are left out for it.
	maxLag = 250 * time.Millisecond
	// maxHeld bounds the pictures that wait while their times stand still.
	maxHeld = 16
	// hopeless is how late a picture may be before those up to the next key frame are not even decoded any more.
	hopeless = 2 * time.Second
)

// Worker makes the rungs of one picture. Set the fields, then Run.
type Worker struct {
	Type   ladder.Type
	Preset ladder.Preset
	Log    *slog.Logger
	MaxLag time.Duration // how late a picture may be before others are left out; 0: 250 ms

	out     io.Writer
	decoder *av.H264Decoder
	rate    rate
	held    []*av.Picture // until the rate is known
	keys    keys
	rungs   *rungs // nil before the first picture is coded
	effort  video.Effort
	last    int64 // PTS of the newest picture
	given   bool  // up: passing over units up to a key frame
	trouble trouble
}

// Process is the whole of "footlight-composer ladder TYPE PRESET".
func Process(in io.Reader, out io.Writer, kind, preset string, log *slog.Logger) error {
	transcode.Confine(goMemory, log)
	return (&Worker{Type: ladder.Type(kind), Preset: ladder.Preset(preset), Log: log}).Run(in, out)
}

// job is a message and when it came.
type job struct {
	transcode.Message
	came time.Time
	err  error // in place of a message: io.EOF at the end
}

// Run codes what it reads until the input ends.
func (w *Worker) Run(in io.Reader, out io.Writer) (err error) {
	if w.MaxLag == 0 {
		w.MaxLag = maxLag
	}
	w.out = out
	if w.decoder, err = av.NewOrderedH264Decoder(); err != nil {
		return err
	}
	defer w.close()
	jobs, done := make(chan job, queueLength), make(chan struct{})
	defer close(done)
	go read(bufio.NewReader(in), jobs, done)
	for j := range jobs {
		if err = j.err; err == nil {
			err = w.take(j)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read notes when messages come, however long those before them take.
func read(in io.Reader, jobs chan<- job, done <-chan struct{}) {
	for {
		m, err := transcode.Read(in, ladder.MaxUnit)
		select {
		case jobs <- job{m, time.Now(), err}:
		case <-done:
			return
		}
		if err != nil {
			return
		}
	}
}

// take handles one message. An error is of the streams or of the machine: what cannot be decoded is passed over.
func (w *Worker) take(j job) error {
	switch j.Kind {
	case ladder.Key, ladder.Frame, ladder.Again:
	default:
		return fmt.Errorf("message %q is not for the worker", j.Kind)
	}
	if late := time.Since(j.came); w.MaxLag < hopeless && late > hopeless && !w.given {
		w.decoder.Flush()
		w.given = true
	}
	if w.given = w.given && j.Kind != ladder.Key; w.given {
		w.trouble.leftOut(w.Log)
		return w.nothing(j, ladder.LeftOut)
	}
	if j.Kind == ladder.Key {
		w.keys.ask(int64(j.At))
	}
	p, err := w.decoder.Decode(j.Data, int64(j.At))
	if p != nil {
		defer p.Release()
	}
	switch {
	case j.Kind == ladder.Again:
		if p != nil {
			w.rate.add(p.PTS)
		}
		return nil // what is wrong with it has been told
	case err != nil:
		w.trouble.damaged(w.Log, err)
		return w.nothing(j, ladder.Damaged)
	case p == nil && w.decoder.NeedsKeyFrame():
		return w.nothing(j, ladder.Damaged)
	case p == nil:
		return w.nothing(j, ladder.Delayed)
	}
	return w.picture(j, p)
}

// picture takes a decoded one, in the order in which they are shown.
func (w *Worker) picture(j job, p *av.Picture) error {
	w.rate.add(p.PTS)
	if w.rungs == nil && !w.rate.known() && len(w.held) < maxHeld {
		w.held = append(w.held, p.Retain())
		return w.nothing(j, ladder.Delayed)
	}
	held := w.held
	w.held = nil
	for i, h := range held {
		err := w.code(h)
		h.Release()
		if err != nil {
			release(held[i+1:])
			return err
		}
	}
	if len(held) == 0 && time.Since(j.came) > w.MaxLag {
		w.trouble.leftOut(w.Log)
		return w.nothing(j, ladder.LeftOut)
	}
	return w.code(p)
}

// code encodes a picture in all rungs that are to have it.
func (w *Worker) code(p *av.Picture) error {
	began := time.Now()
	if w.rungs != nil && p.PTS <= w.last && p.PTS > w.last-int64(leap) {
		return w.nothing(job{Message: transcode.Message{At: time.Duration(p.PTS)}}, ladder.Damaged)
	}
	key := w.keys.due(p.PTS, w.rate.distance())
	if w.rungs == nil || !w.rungs.fit(p, w.rate.perSecond(), key) {
		if err := w.open(p); err != nil {
			return err
		}
		key = true
	}
	w.last = p.PTS
	coded, err := w.rungs.code(p, key)
	if err != nil {
		return err
	}
	w.keys.made(p.PTS, key)
	w.rungs.hurry(w.effort.Note(time.Since(began), time.Duration(w.rate.distance()), 1))
	m := transcode.Message{Kind: ladder.Pictures, At: time.Duration(p.PTS), Data: ladder.AppendPictures(nil, key, coded)}
	return m.Write(w.out)
}

// open makes new rungs for pictures like this one, and tells of them.
func (w *Worker) open(p *av.Picture) error {
	if w.rungs != nil {
		w.rungs.close()
		w.rungs = nil
	}
	rungs, err := openRungs(w.Type, w.Preset, p, w.rate.perSecond())
	if err != nil {
		return err
	}
	w.rungs = rungs
	m := transcode.Message{Kind: ladder.Tracks, At: time.Duration(p.PTS)}
	for _, r := range rungs.all {
		m.Data = ladder.AppendTrack(m.Data, r.encoder.SPS(), r.encoder.PPS())
	}
	return m.Write(w.out)
}

func (w *Worker) nothing(j job, why ladder.Reason) error {
	if j.Kind == ladder.Again {
		return nil
	}
	return transcode.Message{Kind: ladder.Nothing, At: j.At, Data: []byte{byte(why)}}.Write(w.out)
}

func (w *Worker) close() {
	w.decoder.Close()
	release(w.held)
	if w.rungs != nil {
		w.rungs.close()
	}
}

func release(pictures []*av.Picture) {
	for _, p := range pictures {
		p.Release()
	}
}

// trouble counts what went wrong and logs it once a second.
type trouble struct {
	left, bad int
	logged    time.Time
}

func (t *trouble) leftOut(log *slog.Logger) {
	t.left++
	t.tell(log, nil)
}

func (t *trouble) damaged(log *slog.Logger, err error) {
	t.bad++
	t.tell(log, err)
}

func (t *trouble) tell(log *slog.Logger, err error) {
	if now := time.Now(); now.Sub(t.logged) >= time.Second {
		log.Warn("pictures are missing", "too slow for", t.left, "not decodable", t.bad, "error", err)
		*t = trouble{logged: now}
	}
}
