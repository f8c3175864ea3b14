package record

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// State is where a recording is in its life.
type State string

// The states. From each but the last one, what there is in the spool is on its way to the store.
const (
	Waiting     State = "WAITING"     // nothing has come yet
	Active      State = "ACTIVE"      // media comes
	Interrupted State = "INTERRUPTED" // its source is gone and may come back
	Paused      State = "PAUSED"      // the spool has no room: what comes is lost
	Uploading   State = "UPLOADING"   // over; the store does not have everything yet
	Stored      State = "STORED"      // over, and all of it is in the store
)

// inboxSize is how many frames of one picture with its sound may wait for the disk, about six seconds, and inboxSizes of
// several; inboxBytes is how much they may take.
const (
	inboxSize  = 512
	inboxSizes = 4 * inboxSize
	inboxBytes = 32 << 20
)

// errFull says that the spool takes no more media.
var errFull = errors.New("the spool is full")

// Cause says how a recording ended. Code is an error_code of the events, empty when nothing failed.
type Cause struct{ Code, Message string }

// Requests to a recording, in the order of its inbox.
type (
	attached  struct{ source *feed }
	tracksMsg struct{ tracks Tracks }
	videoMsg  struct{ frame VideoFrame }
	audioMsg  struct{ frame AudioFrame }
	breakMsg  struct {
		reason string
		gone   bool // the source will not go on
	}
	lostMsg    struct{} // the picture is gone, and the others are not
	thumbMsg   struct{ thumb thumbnail }
	endRequest struct{ entry endEntry }
)

type message struct {
	source *feed // whose media it is; nil for what is none
	track  int   // and of which picture
	what   any
	size   int64
}

// Recording is one prefix in the store that is being filled. Its methods are for any goroutine.
type Recording struct {
	recorder *Recorder
	spec     Spec
	begun    time.Time // in this process
	log      *slog.Logger
	inbox    chan message
	queued   atomic.Int64  // bytes in the inbox
	wake     chan struct{} // for upload: there may be something to do
	over     chan struct{} // closed when nothing more will come
	stored   chan struct{} // closed when the store has everything
	dropped  atomic.Uint64 // frames that were not recorded

	// owned by run
	source     *feed
	grid       grid
	pictures   []*picture
	renditions []*rendition
	nextThumb  int64 // media time
	drawing    bool  // a thumbnail
	tried      time.Time

	mu      sync.Mutex
	spool   *spool
	history history
	state   State
	awaited int // pictures that have no rendition yet
	width   int // of the newest pictures, the largest of them
	height  int
	uploads uploads
}

func newRecording(rec *Recorder, s Spec, sp *spool, h history) *Recording {
	size := inboxSize
	if s.Kind == Channel {
		size = inboxSizes
	}
	r := &Recording{
		recorder: rec, spec: s, begun: time.Now(), log: rec.log().With("recording", s.ID),
		inbox: make(chan message, size), wake: make(chan struct{}, 1), over: make(chan struct{}), stored: make(chan struct{}),
		spool: sp, history: h, state: Waiting, width: s.Width, height: s.Height,
	}
	r.grid = grid{target: ticks(s.Segment), early: s.Kind == Channel, end: h.mediaEnd()}
	if s.KeyInterval > 0 && s.KeyInterval < s.Segment {
		r.grid.target = ticks(s.Segment / s.KeyInterval * s.KeyInterval)
	}
	for k := range h.renditions {
		r.renditions = append(r.renditions, &rendition{number: k})
	}
	if i := h.newestInit(h.largest()); i.Width > 0 {
		r.width, r.height = i.Width, i.Height
	}
	if len(h.slots) > 0 || len(h.thumbs) > 0 {
		r.state = Interrupted
		if every := ticks(s.Thumbnails.Interval); every > 0 {
			r.nextThumb = ceilDiv(h.mediaEnd(), every) * every
		}
	}
	if h.end != nil {
		r.state = Uploading
	}
	r.resumeUploads()
	return r
}

func ticks(d time.Duration) int64 { return int64(d/time.Millisecond) * ClockRate / 1000 }

// span is how long a number of ticks is.
func span(ticks int64) time.Duration {
	return time.Duration(ticks) * (time.Second / 10000) / (ClockRate / 10000)
}

// Spec is what the recording is.
func (r *Recording) Spec() Spec { return r.spec }

// Over is closed when nothing more will be recorded, and Stored when the store has everything.
func (r *Recording) Over() <-chan struct{} { return r.over }

// Stored is closed when the store has everything, the metadata of the end included.
func (r *Recording) Stored() <-chan struct{} { return r.stored }

// End ends the recording and returns when that is on disk; the upload goes on. Ending it again changes nothing.
func (r *Recording) End(ctx context.Context, c Cause) error {
	select {
	case r.inbox <- message{what: endRequest{endEntry{Time: r.endTime(), Code: c.Code, Message: c.Message}}}:
	case <-r.over:
		return nil
	case <-r.recorder.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-r.over:
		return nil
	case <-r.recorder.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endTime is now, and not before the start: the machine's clock may have been set back.
func (r *Recording) endTime() time.Time {
	now := time.Now().UTC()
	if now.Before(r.spec.Started) {
		return r.spec.Started
	}
	return now
}

// run owns the media, until the recording is over or the recorder closes.
func (r *Recording) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			// What has come is written down; the next start goes on behind it.
			for range len(r.inbox) {
				if r.take(ctx, <-r.inbox) {
					return
				}
			}
			r.brk()
			return
		case m := <-r.inbox:
			if r.take(ctx, m) {
				return
			}
		}
	}
}

// take takes up a message, unless its source was replaced meanwhile; it reports whether the recording is over.
func (r *Recording) take(ctx context.Context, m message) (over bool) {
	r.queued.Add(-m.size)
	return (m.source == nil || m.source == r.source) && r.handle(ctx, m)
}

// handle does what a message says.
func (r *Recording) handle(ctx context.Context, m message) (over bool) {
	switch what := m.what.(type) {
	case attached:
		r.interrupt("another source takes over")
		r.source, r.pictures = what.source, nil
	case tracksMsg:
		r.setTracks(r.picture(m.track), what.tracks)
	case videoMsg:
		r.video(ctx, r.picture(m.track), what.frame)
	case audioMsg:
		p := r.picture(m.track)
		if r.recording(p.segmenter.tracks.video(), false) {
			r.attempt(func() error { return p.segmenter.writeAudio(what.frame) })
		}
	case lostMsg:
		r.lose(m.track)
	case breakMsg:
		if what.gone {
			r.interrupt(what.reason)
		} else {
			r.brk()
		}
	case thumbMsg:
		r.drawing = false
		r.keepThumbnail(what.thumb)
	case endRequest:
		r.interrupt("the recording ends")
		if err := r.finish(what.entry); err != nil {
			r.log.Error("the end of the recording cannot be written down; trying again", "error", err)
			time.AfterFunc(time.Second, func() {
				select {
				case r.inbox <- message{what: what}:
				case <-r.recorder.ctx.Done():
				}
			})
			return false
		}
		return true
	}
	return false
}

// interrupt ends a run of media whose source is gone.
func (r *Recording) interrupt(reason string) {
	r.brk()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == Active {
		r.to(Interrupted, reason)
	}
	r.source = nil
}

// finish writes down that nothing more comes.
func (r *Recording) finish(e endEntry) error {
	if err := r.settle(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.note(entry{End: &e}); err != nil {
		return err
	}
	r.to(Uploading, "the recording is over")
	close(r.over)
	return nil
}

// setTracks takes what comes of a picture from now on. It breaks off what other tracks began.
func (r *Recording) setTracks(p *picture, t Tracks) {
	if p.tracks.equal(t) {
		return
	}
	if p.segmenter.running {
		r.brk()
	}
	p.tracks = t
	if r.spec.Media == AudioOnly {
		t = Tracks{AAC: t.AAC, Opus: t.Opus}
	}
	p.segmenter.setTracks(t)
}

func (r *Recording) video(ctx context.Context, p *picture, f VideoFrame) {
	if p.frameRate == 0 && f.Duration > 0 {
		p.frameRate = float64(ClockRate) / float64(f.Duration)
	}
	if f.Key && p == r.largest() {
		r.wantThumbnail(ctx, p, f)
	}
	if r.spec.Media == AudioVideo && r.recording(true, f.Key) {
		r.attempt(func() error { return p.segmenter.writeVideo(f) })
	}
}

// recording tells whether media is taken: while the disk has no room it is not, and after that a key frame is waited
// for where there is video.
func (r *Recording) recording(video, key bool) bool {
	r.mu.Lock()
	paused := r.state == Paused
	r.mu.Unlock()
	if !paused {
		return r.spec.Media != NoMedia
	}
	if video && !key || time.Since(r.tried) < time.Second || !r.recorder.budget.resumes() || r.settle() != nil {
		r.dropped.Add(1)
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to(Interrupted, "the spool has room again")
	r.tell(SpoolBack)
	return true
}

// attempt does what may fail on the disk. A failure ends the run of media, whose parts so far stay.
func (r *Recording) attempt(write func() error) {
	r.grid.next = r.history.next()
	err := write()
	if err == nil {
		return
	}
	r.tried = time.Now()
	r.grid.lose()
	if e := r.settle(); e != nil {
		err = errors.Join(err, e)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != Uploading && r.state != Stored {
		r.log.Error("recording is paused: what comes now is lost", "error", err)
		r.to(Paused, err.Error())
		r.tell(SpoolFull)
	}
}

// note appends to the journal and to what follows from it. It is called with the lock held.
func (r *Recording) note(e entry) error {
	if err := r.spool.journal.append(e); err != nil {
		return err
	}
	n := len(r.history.files)
	r.history.apply(e)
	for _, file := range r.history.files[n:] {
		r.uploads.add(file)
	}
	r.nudge()
	return nil
}

// to is the one place where the state changes. It is called with the lock held.
func (r *Recording) to(s State, why string) {
	r.log.Info("recording state", "from", r.state, "to", s, "reason", why)
	r.state = s
}

// nudge wakes upload.
func (r *Recording) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
