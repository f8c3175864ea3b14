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
	"strconv"
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
	files        []string    // that wait, in order
	waiting      map[int]int // how many segments of a number are among them
	started      bool        // the metadata of the start
	known        int         // renditions in the multivariant playlist
	segments     int         // slots of which the store has all segments
	shown        []int       // that the playlists there have, by rendition
	final        int         // objects of the end that the store has
	mp4Tries     int         // that failed
	shownAt      time.Time
	latest       int // thumbnails that were taken for LATEST
	latestStored int
	thumbnail    string // key of the newest one that the store has
	bytes        int64  // that were stored since the start of the server
	away         time.Time
	retries      uint64
	problem      string
}

// add has a file wait.
func (u *uploads) add(file string) {
	u.files = append(u.files, file)
	if n, ok := segmentOf(file); ok {
		if u.waiting == nil {
			u.waiting = map[int]int{}
		}
		u.waiting[n]++
	}
}

// segmentOf is the number of a segment by the name of its file; false: it is another file.
func segmentOf(file string) (number int, ok bool) {
	_, name := renditionOf(file)
	name, ok = strings.CutSuffix(name, ".mp4")
	number, err := strconv.Atoi(name)
	return number, ok && err == nil
}

// resumeUploads finds what still waits after a start: the store has what is no longer in the spool.
func (r *Recording) resumeUploads() {
	u := &r.uploads
	for _, name := range r.history.files {
		if _, err := os.Stat(r.spool.path(name)); err != nil {
			continue
		}
		u.add(name)
	}
	r.count()
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
	r.count()
	all := r.streams()
	ended := h.end != nil
	late := r.outdated(all)
	switch {
	case !u.started && (r.known() || ended || r.spec.Media == NoMedia):
		_, data, err := describe(r.spec, all, r.width, r.height, 0, nil, "")
		return object{key: startedKey, data: data, done: func(u *uploads) { u.started = true }}, true, err
	case !u.started:
		return object{}, false, nil
	case late >= 0 && time.Since(u.shownAt) > playlistAtMost && len(u.files) > 0:
		return r.playlist(all, late), true, nil
	case len(u.files) > 0 && u.known == 0 && len(h.slots) > 0 && h.settled(h.slots[0].number):
		return r.multivariant(all), true, nil
	case len(u.files) > 0 && (u.known > 0 || strings.HasSuffix(u.files[0], ".jpg")):
		return r.nextFile(u.files[0], all), true, nil
	case len(u.files) > 0 && !ended:
		return object{}, false, nil // an initialisation section whose first segment is not complete
	case u.latestStored < u.latest:
		return r.latestThumbnail(), true, nil
	case late >= 0 && !ended:
		return r.playlist(all, late), true, nil
	case u.known > 0 && u.known < len(all) && !ended:
		return r.multivariant(all), true, nil // after the playlist of the new one
	case ended && r.state != Stored:
		last := r.finalPlaylists(all)
		if u.final < len(last) {
			o := last[u.final]
			o.done = func(u *uploads) { u.final++ }
			return o, true, nil
		}
		if u.final == len(last) && r.mp4Key() != "" {
			return r.mp4Object(), true, nil
		}
		key, data, err := describe(r.spec, all, r.width, r.height, h.duration(), h.end, r.mp4Key())
		return object{key: key, data: data, done: func(*uploads) { r.to(Stored, "the store has everything") }}, true, err
	}
	return object{}, false, nil
}

// known tells whether the renditions that there are at the start are known.
func (r *Recording) known() bool {
	n := len(r.history.renditions)
	return r.spec.Rendition != "" || n > 0 && (r.awaited == 0 || len(r.history.slots) > 0)
}

// streams are the renditions, the largest first; none until the first is known.
func (r *Recording) streams() []stream {
	if r.spec.Rendition != "" {
		s := stream{name: r.spec.Rendition, width: r.width, height: r.height}
		if h := r.history.renditions; len(h) > 0 && len(h[0].inits) > 0 {
			s.first = h[0].inits[0]
		}
		return []stream{s}
	}
	var all []stream
	taken := map[string]int{}
	for k, h := range r.history.renditions {
		if len(h.inits) == 0 {
			continue
		}
		s := stream{number: k, first: h.inits[0]}
		s.width, s.height = s.first.Width, s.first.Height
		s.name = renditionName(s.height, s.first.FrameRate)
		if taken[s.name]++; taken[s.name] > 1 {
			s.name = fmt.Sprintf("%s-%d", s.name, taken[s.name])
		}
		all = append(all, s)
	}
	slices.SortStableFunc(all, func(a, b stream) int { return b.width*b.height - a.width*a.height })
	return all
}

// folder is where a rendition's media is below the prefix, with a slash at its end.
func (s stream) folder() string { return "media/hls/" + s.name + "/" }

func (s stream) playlist() string { return s.folder() + "playlist.m3u8" }

// count finds the slots of which the store has everything that there will be.
func (r *Recording) count() {
	u, h := &r.uploads, &r.history
	for u.segments < len(h.slots) && u.waiting[h.slots[u.segments].number] == 0 && h.settled(h.slots[u.segments].number) {
		u.segments++
	}
}

// outdated finds a rendition whose playlist lacks what the store has; -1: there is none.
func (r *Recording) outdated(all []stream) int {
	u := &r.uploads
	u.shown = append(u.shown, make([]int, max(0, len(all)-len(u.shown)))...)
	return slices.IndexFunc(all, func(s stream) bool { return u.shown[s.number] < u.segments })
}

// nextFile is a file of the spool that is complete.
func (r *Recording) nextFile(file string, all []stream) object {
	k, name := renditionOf(file)
	o := object{file: file}
	for _, s := range all {
		if s.number == k {
			o.key = s.folder() + name
		}
	}
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
		if n, ok := segmentOf(file); ok {
			if u.waiting[n]--; u.waiting[n] == 0 {
				delete(u.waiting, n)
			}
		}
	}
	return o
}

func (r *Recording) latestThumbnail() object {
	taken, width, height := r.uploads.latest, r.width, r.height
	width, height = fitHeight(width, height, r.spec.Thumbnails.Height)
	return object{
		file: latestFile, key: "media/latest_thumbnail/" + r.spec.thumbnailFolder(width, height) + "thumb.jpg",
		done: func(u *uploads) { u.latestStored = taken },
	}
}

// playlist is the growing media playlist of a rendition, of all slots that the store has.
func (r *Recording) playlist(all []stream, i int) object {
	n, this := r.uploads.segments, all[i]
	return object{
		key: this.playlist(), data: mediaPlaylist(r.spec, this, all, r.history.slots[:n], false, false),
		done: func(u *uploads) {
			if u.shown[this.number] = n; i == len(all)-1 {
				u.shownAt = time.Now()
			}
		},
	}
}

func (r *Recording) multivariant(all []stream) object {
	return object{
		key:  "media/hls/" + r.spec.multivariant(),
		data: multivariantPlaylist(r.spec, all, "playlist.m3u8", r.history.slots),
		done: func(u *uploads) { u.known = len(all) },
	}
}

// finalPlaylists are those of a recording that is over, in the order in which they are stored. Without media there
// are none.
func (r *Recording) finalPlaylists(all []stream) (list []object) {
	slots := r.history.slots
	if len(slots) == 0 {
		return nil
	}
	for _, s := range all {
		list = append(list, object{key: s.playlist(), data: mediaPlaylist(r.spec, s, all, slots, true, false)})
	}
	list = append(list, r.multivariant(all))
	if r.spec.Kind != Channel {
		return list
	}
	for _, s := range all {
		list = append(list, object{key: s.folder() + byteRangeVariant, data: mediaPlaylist(r.spec, s, all, slots, true, true)})
	}
	return append(list, object{key: "media/hls/" + byteRangeMultivariant, data: multivariantPlaylist(r.spec, all, byteRangeVariant, slots)})
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
