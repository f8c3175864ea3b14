package record

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/footlight-live/footlight/internal/objectstore"
)

// One progressive MP4 of a recording that is over: a moov box that says where the samples lie, and after it the segments as
// they are, one after another in one mdat box. So nothing is encoded, moved or copied to the disk: the segments are read twice
// from the object store, once for the moov box and once as the content of the new object. The moof boxes between the samples
// are dead weight there, half a percent of it. All media must be of one kind, as that of a composition is: players do not
// follow other parameter sets within a track.

// mp4Tries is how often storing an MP4 may fail before there is none. Between two of them the store took something else.
const mp4Tries = 3

// mp4Key is where the MP4 of a recording is; empty when there is none, or none is wanted.
func (r *Recording) mp4Key() string {
	if !r.spec.MP4 || len(r.history.slots) == 0 || r.uploads.mp4Tries >= mp4Tries {
		return ""
	}
	return mp4Folder + "/" + mp4Name(r.streams()[0].name)
}

const mp4Folder = "media/mp4"

func mp4Name(rendition string) string { return rendition + ".mp4" }

// mp4Object is the MP4 of the segments of the largest rendition in the store, as what is stored next. It is called with the
// lock held.
func (r *Recording) mp4Object() object {
	largest := r.streams()[0]
	folder := r.spec.Prefix + "/" + largest.folder()
	inits := r.history.renditions[largest.number].inits // nothing is appended any more
	var segments []segment
	size := int64(0)
	for _, s := range r.history.slots {
		if own := s.of(largest.number); own != nil {
			segments = append(segments, *own)
			size += own.Size
		}
	}
	return object{
		key: r.mp4Key(), size: size,
		make: func(ctx context.Context, b objectstore.Bucket) (io.ReadSeekCloser, error) {
			f, err := openMP4(ctx, b, folder, inits, segments)
			if errors.Is(err, objectstore.ErrNotFound) {
				err = fmt.Errorf("%w: %w", errMP4, err)
			}
			return f, err
		},
		done: func(u *uploads) { u.final++ },
		failed: func(u *uploads, err error) {
			// The last playlist is stored once more before the next try: that tells a store that is away from one that does
			// not take this file.
			u.final--
			if u.mp4Tries++; errors.Is(err, errMP4) {
				u.mp4Tries = mp4Tries
			}
			if u.mp4Tries >= mp4Tries {
				r.log.Error("there will be no MP4 of this recording; its playlists are complete", "error", err)
			}
		},
	}
}

// openMP4 reads all segments, and returns the MP4 of them. Reading it reads them again. Errors: errMP4, and those of the
// store.
func openMP4(ctx context.Context, b objectstore.Bucket, folder string, inits []initEntry, segments []segment) (io.ReadSeekCloser, error) {
	var x mp4Index
	file := &joined{ctx: ctx, bucket: b}
	last := -1
	for _, s := range segments {
		if s.Init != last {
			if s.Init < 0 || s.Init >= len(inits) {
				return nil, fmt.Errorf("%w: %s has no initialisation section", errMP4, segmentName(s.Number))
			}
			data, err := readObject(ctx, b, folder+initName(inits[s.Init].Number))
			if err == nil {
				err = x.setInit(data)
			}
			if err != nil {
				return nil, err
			}
			last = s.Init
		}
		key := folder + segmentName(s.Number)
		body, o, err := b.Open(ctx, key, objectstore.Range{})
		if err != nil {
			return nil, err
		}
		size, err := x.addSegment(body)
		body.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if size != s.Size || size != o.Size {
			return nil, fmt.Errorf("%w: %s has %d bytes, %d of them whole, and was written with %d", errMP4, key, o.Size, size, s.Size)
		}
		file.objects = append(file.objects, o)
	}
	file.header = x.header()
	return file, nil
}

// maxInit bounds an initialisation section, in bytes.
const maxInit = 1 << 20

func readObject(ctx context.Context, b objectstore.Bucket, key string) ([]byte, error) {
	body, _, err := b.Open(ctx, key, objectstore.Range{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, maxInit))
}

// joined reads a header and objects behind one another as one file. Safe for concurrent use: a client of HTTP may read
// on for a moment after its request has failed.
type joined struct {
	ctx     context.Context
	bucket  objectstore.Bucket
	header  []byte
	objects []objectstore.Object

	mu   sync.Mutex
	at   int64
	body io.ReadCloser // the object at at; nil: it must be opened
	left int64         // of body
}

// Seek implements io.Seeker.
func (j *joined) Seek(offset int64, whence int) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += j.at
	case io.SeekEnd:
		offset += int64(len(j.header))
		for _, o := range j.objects {
			offset += o.Size
		}
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	if offset != j.at {
		j.close()
		j.at = offset
	}
	return offset, nil
}

// Read implements io.Reader.
func (j *joined) Read(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.at < int64(len(j.header)) {
		n := copy(p, j.header[j.at:])
		j.at += int64(n)
		return n, nil
	}
	if j.body == nil {
		if err := j.open(); err != nil {
			return 0, err
		}
	}
	n, err := j.body.Read(p[:min(int64(len(p)), j.left)])
	j.at += int64(n)
	j.left -= int64(n)
	switch {
	case j.left == 0:
		j.close()
		return n, nil
	case errors.Is(err, io.EOF):
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// open opens the object that has the byte at at.
func (j *joined) open() error {
	from := int64(len(j.header))
	for _, o := range j.objects {
		if j.at < from+o.Size {
			body, now, err := j.bucket.Open(j.ctx, o.Key, objectstore.Range{Offset: j.at - from})
			if err != nil {
				return err
			}
			if now.Size != o.Size {
				body.Close()
				return fmt.Errorf("%w: %s has changed", errMP4, o.Key)
			}
			j.body, j.left = body, from+o.Size-j.at
			return nil
		}
		from += o.Size
	}
	return io.EOF
}

func (j *joined) close() {
	if j.body != nil {
		j.body.Close()
		j.body = nil
	}
}

// Close implements io.Closer.
func (j *joined) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.close()
	return nil
}

// box renders a box of what is inside it.
func box(kind string, content ...[]byte) []byte {
	size := 8
	for _, c := range content {
		size += len(c)
	}
	b := append(binary.BigEndian.AppendUint32(make([]byte, 0, size), uint32(size)), kind...)
	for _, c := range content {
		b = append(b, c...)
	}
	return b
}

// words renders numbers of 32 bits.
func words(numbers ...uint32) []byte {
	b := make([]byte, 0, 4*len(numbers))
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// long renders a number of 64 bits.
func long(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

const mdatHeader = 16 // bytes, with a size of 64 bits

// header is all that comes before the segments.
func (x *mp4Index) header() []byte {
	ftyp := box("ftyp", []byte("isom"), words(0x200), []byte("isomiso2avc1mp41"))
	size := len(ftyp) + len(x.moov(0)) + mdatHeader // offsets have 64 bits, so that it is always as long
	b := append(ftyp, x.moov(uint64(size))...)
	b = append(b, words(1)...)
	b = append(b, "mdat"...)
	return append(b, long(mdatHeader+x.size)...)
}

// moov renders the index, for segments that begin at an offset of the file.
func (x *mp4Index) moov(base uint64) []byte {
	length, next := int64(0), uint32(1)
	var traks [][]byte
	for _, t := range x.tracks {
		if len(t.sizes) == 0 {
			continue
		}
		length, next = max(length, t.movieTime(t.end)), max(next, t.id+1)
		traks = append(traks, t.trak(base))
	}
	mvhd := box("mvhd", words(1<<24), long(0), long(0), words(ClockRate), long(length), words(0x10000, 0x1000000, 0, 0),
		words(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000), make([]byte, 24), words(next))
	return box("moov", append([][]byte{mvhd}, traks...)...)
}

func (t *mp4Track) movieTime(n int64) int64 { return n * ClockRate / t.scale }

func (t *mp4Track) trak(base uint64) []byte {
	tkhd := box("tkhd", words(1<<24|3), long(0), long(0), words(t.id, 0), long(t.movieTime(t.end)), t.header.tkhd)
	lasting := t.end - t.start
	mdhd := box("mdhd", words(1<<24), long(0), long(0), words(uint32(t.scale)), long(lasting), words(0x55c40000)) // und
	mdia := box("mdia", mdhd, t.header.media, box("minf", t.header.info, t.stbl(base)))
	if t.start == 0 {
		return box("trak", tkhd, mdia)
	}
	// What begins later than the recording waits in an edit list.
	wait := append(append(long(t.movieTime(t.start)), long(-1)...), words(0x10000)...)
	all := append(append(long(t.movieTime(lasting)), long(0)...), words(0x10000)...)
	return box("trak", tkhd, box("edts", box("elst", words(1<<24, 2), wait, all)), mdia)
}

// stbl renders the tables of the samples.
func (t *mp4Track) stbl(base uint64) []byte {
	newest := appendRun(append([]mp4Run(nil), t.lengths...), uint32(t.end-t.last))
	boxes := [][]byte{box("stsd", words(0, 1), t.description), box("stts", runs(newest))}
	if len(t.offsets) != 1 || t.offsets[0].value != 0 {
		boxes = append(boxes, box("ctts", runs(t.offsets)))
	}
	if len(t.keys) != len(t.sizes) {
		boxes = append(boxes, box("stss", words(0, uint32(len(t.keys))), words(t.keys...)))
	}
	stsc := words(0, uint32(len(t.chunkRuns)))
	for _, c := range t.chunkRuns {
		stsc = append(stsc, words(c.first, c.samples, 1)...)
	}
	co64 := words(0, uint32(len(t.chunks)))
	for _, c := range t.chunks {
		co64 = append(co64, long(int64(base+c))...)
	}
	boxes = append(boxes, box("stsc", stsc), box("stsz", words(0, 0, uint32(len(t.sizes))), words(t.sizes...)), box("co64", co64))
	return box("stbl", boxes...)
}

func runs(list []mp4Run) []byte {
	b := words(0, uint32(len(list)))
	for _, r := range list {
		b = append(b, words(r.count, r.value)...)
	}
	return b
}
