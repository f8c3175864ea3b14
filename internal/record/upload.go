package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/objectstore"
)

const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
	// putTime bounds one object: a store that does not answer is as good as away. More for large ones.
	putTime        = 30 * time.Second
	slowestStore   = 64 << 10 // bytes per second
	slowestMP4     = 1 << 20  // the same, for reading it twice and storing it
	playlistAtMost = 10 * time.Second
)

// uploads is what the store has of a recording.
type uploads struct {
	files        []string // that wait, in order
	started      bool     // the metadata of the start
	known        bool     // the multivariant playlist
	segments     int      // that the store has
	shown        int      // that the playlist there has
	final        int      // objects of the end that the store has
	mp4Tries     int      // that failed
	shownAt      time.Time
	latest       int // thumbnails that were taken for LATEST
	latestStored int
	thumbnail    string // key of the newest one that the store has
	bytes        int64  // that were stored since the start of the server
	away         time.Time
	retries      uint64
	problem      string
}

// resumeUploads finds what still waits after a start: the store has what is no longer in the spool.
func (r *Recording) resumeUploads() {
	u := &r.uploads
	u.segments = len(r.history.segments)
	for _, name := range r.history.files {
		if _, err := os.Stat(r.spool.path(name)); err != nil {
			continue
		}
		u.files = append(u.files, name)
		if isSegment(name) {
			u.segments--
		}
	}
	if n := len(r.history.thumbs); n > 0 {
		if newest := r.history.thumbs[n-1]; !slices.Contains(u.files, thumbName(newest.Number)) {
			u.thumbnail = "media/thumbnails/" + r.spec.thumbnailFolder(newest.Width, newest.Height) + thumbName(newest.Number)
		}
	}
	if _, err := os.Stat(r.spool.path(latestFile)); err == nil {
		u.latest = 1
	}
}

// object is one thing to store: a file of the spool, or data.
type object struct {
	key  string // below the prefix
	file string
	data []byte
	// make makes the content of what is too large for data; size is about how much that is.
	make   func(context.Context, objectstore.Bucket) (io.ReadSeekCloser, error)
	size   int64
	done   func(*uploads)        // with the lock held, once it is stored
	failed func(*uploads, error) // with the lock held, when that failed; may be nil
}

// upload empties the spool into the store, in order, until the store has everything or ctx ends.
func (r *Recording) upload(ctx context.Context) {
	pause := firstRetry
	for {
		o, ok, err := r.nextObject()
		switch {
		case err != nil:
			r.log.Error("cannot render what is to be stored", "error", err)
		case !ok:
			if r.complete(ctx) {
				return
			}
			select {
			case <-r.wake:
				continue
			case <-ctx.Done():
				return
			}
		default:
			err = r.store(ctx, o)
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			pause = firstRetry
			continue
		}
		r.storeFailed(o, err)
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
			pause = min(2*pause, lastRetry)
		case <-ctx.Done():
			return
		}
	}
}

// nextObject is what must be stored next; false: there is nothing now.
func (r *Recording) nextObject() (o object, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, h := &r.uploads, &r.history
	rendition := r.rendition()
	ended := h.end != nil
	switch {
	case !u.started && (rendition != "" || ended || r.spec.Media == NoMedia):
		_, data, err := describe(r.spec, rendition, r.width, r.height, 0, nil, "")
		return object{key: startedKey, data: data, done: func(u *uploads) { u.started = true }}, true, err
	case !u.started:
		return object{}, false, nil
	case u.shown < u.segments && time.Since(u.shownAt) > playlistAtMost && len(u.files) > 0:
		return r.playlist(), true, nil
	case len(u.files) > 0 && !u.known && len(h.segments) > 0:
		return r.multivariant(), true, nil
	case len(u.files) > 0 && (u.known || strings.HasSuffix(u.files[0], ".jpg")):
		return r.nextFile(u.files[0], rendition), true, nil
	case len(u.files) > 0 && !ended:
		return object{}, false, nil // an initialisation section whose first segment is not complete
	case u.latestStored < u.latest:
		return r.latestThumbnail(), true, nil
	case u.shown < u.segments && !ended:
		return r.playlist(), true, nil
	case ended && r.state != Stored:
		last := r.finalPlaylists()
		if u.final < len(last) {
			o := last[u.final]
			o.done = func(u *uploads) { u.final++ }
			return o, true, nil
		}
		if u.final == len(last) && r.mp4Key() != "" {
			return r.mp4Object(), true, nil
		}
		key, data, err := describe(r.spec, rendition, r.width, r.height, h.duration(), h.end, r.mp4Key())
		return object{key: key, data: data, done: func(*uploads) { r.to(Stored, "the store has everything") }}, true, err
	}
	return object{}, false, nil
}

// rendition is the folder of the media; empty until it is known.
func (r *Recording) rendition() string {
	switch {
	case r.spec.Rendition != "":
		return r.spec.Rendition
	case len(r.history.inits) == 0:
		return ""
	}
	first := r.history.inits[0]
	return renditionName(first.Height, first.FrameRate)
}

// nextFile is a file of the spool that is complete.
func (r *Recording) nextFile(name, rendition string) object {
	o := object{file: name, key: "media/hls/" + rendition + "/" + name}
	if number, isThumb := strings.CutSuffix(name, ".jpg"); isThumb {
		t := r.history.thumbs[len(r.history.thumbs)-1]
		for _, e := range r.history.thumbs {
			if fmt.Sprint(e.Number) == number {
				t = e
			}
		}
		o.key = "media/thumbnails/" + r.spec.thumbnailFolder(t.Width, t.Height) + name
	}
	o.done = func(u *uploads) {
		u.files = u.files[1:]
		if isSegment(name) {
			u.segments++
		}
	}
	return o
}

func isSegment(file string) bool {
	return strings.HasSuffix(file, ".mp4") && !strings.HasPrefix(file, "init-")
}

func (r *Recording) latestThumbnail() object {
	taken, width, height := r.uploads.latest, r.width, r.height
	width, height = fitHeight(width, height, r.spec.Thumbnails.Height)
	return object{
		file: latestFile, key: "media/latest_thumbnail/" + r.spec.thumbnailFolder(width, height) + "thumb.jpg",
		done: func(u *uploads) { u.latestStored = taken },
	}
}

// playlist is the growing media playlist of all segments that the store has.
func (r *Recording) playlist() object {
	n := r.uploads.segments
	return object{
		key: "media/hls/" + r.rendition() + "/playlist.m3u8", data: mediaPlaylist(r.spec, r.history.segments[:n], false, false),
		done: func(u *uploads) { u.shown, u.shownAt = n, time.Now() },
	}
}

func (r *Recording) multivariant() object {
	return object{
		key:  "media/hls/" + r.spec.multivariant(),
		data: multivariantPlaylist(r.spec, r.rendition(), "playlist.m3u8", r.history.inits[0], r.history.segments),
		done: func(u *uploads) { u.known = true },
	}
}

// finalPlaylists are those of a recording that is over, in the order in which they are stored. Without media there
// are none.
func (r *Recording) finalPlaylists() []object {
	all := r.history.segments
	if len(all) == 0 {
		return nil
	}
	folder := "media/hls/" + r.rendition() + "/"
	list := []object{{key: folder + "playlist.m3u8", data: mediaPlaylist(r.spec, all, true, false)}, r.multivariant()}
	if r.spec.Kind == Channel {
		list = append(list, object{key: folder + byteRangeVariant, data: mediaPlaylist(r.spec, all, true, true)},
			object{key: "media/hls/" + byteRangeMultivariant, data: multivariantPlaylist(r.spec, r.rendition(), byteRangeVariant, r.history.inits[0], all)})
	}
	return list
}

// store puts one object, takes it out of the spool, and says so.
func (r *Recording) store(ctx context.Context, o object) error {
	bucket, err := r.recorder.Objects.Bucket(r.spec.Bucket)
	if err != nil {
		return err
	}
	var body io.ReadSeeker = bytes.NewReader(o.data)
	size := int64(len(o.data))
	if o.file != "" {
		f, err := os.Open(r.spool.path(o.file))
		if errors.Is(err, fs.ErrNotExist) {
			// It was stored before a crash, or somebody has taken it away: then there is nothing that could be done.
			r.log.Warn("a file is no longer in the spool", "file", o.file)
			r.mu.Lock()
			defer r.mu.Unlock()
			o.done(&r.uploads)
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		body, size = f, info.Size()
	}
	limit := putTime + time.Duration(size/slowestStore)*time.Second
	if o.make != nil {
		size, limit = o.size, putTime+time.Duration(o.size/slowestMP4)*time.Second
	}
	putting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if o.make != nil {
		made, err := o.make(putting, bucket)
		if err != nil {
			return err
		}
		defer func() {
			cancel() // whoever reads it still must not be waited for
			made.Close()
		}()
		body = made
	}
	if err := bucket.Put(putting, r.spec.Prefix+"/"+o.key, body); err != nil {
		return err
	}
	if o.file != "" && o.file != latestFile {
		if err := r.spool.remove(o.file); err != nil {
			r.log.Error("a stored file stays in the spool", "file", o.file, "error", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	u := &r.uploads
	started, wasAway := u.started, u.away
	o.done(u)
	u.bytes += size
	if strings.HasSuffix(o.key, ".jpg") {
		u.thumbnail = o.key
	}
	u.away, u.problem = time.Time{}, ""
	if !wasAway.IsZero() {
		r.log.Info("the object store is back", "away", time.Since(wasAway).Round(time.Second), "waiting", len(u.files))
		r.tell(StoreBack)
	}
	if !started && u.started {
		r.tell(Started)
	}
	return nil
}

func (r *Recording) storeFailed(o object, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := &r.uploads
	if o.failed != nil {
		o.failed(u, err)
	}
	if errors.Is(err, errMP4) {
		return // the store has done its part
	}
	u.retries++
	u.problem = err.Error()
	if !u.away.IsZero() {
		r.log.Debug("the object store does not take it", "error", err)
		return
	}
	u.away = time.Now()
	r.log.Error("the object store is away: recording goes on in the spool", "error", err)
	r.tell(StoreAway)
}

// complete tells whether the store has everything. Then the recording leaves the spool, once that was noted: after a
// crash in between the next start stores the end again, and tells it.
func (r *Recording) complete(ctx context.Context) bool {
	r.mu.Lock()
	all := r.state == Stored
	if all {
		r.tell(Ended)
	}
	r.mu.Unlock()
	if !all {
		return false
	}
	if noted := r.recorder.Noted; noted != nil && noted(ctx) != nil {
		return true // the recorder closes
	}
	if err := r.spool.discard(); err != nil {
		r.log.Error("a stored recording stays in the spool", "error", err)
	}
	r.recorder.forget(r)
	close(r.stored)
	return true
}
