package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// entry is one line of a recording's journal: exactly one of its pointers is set. With the files beside it, the journal is
// all that there is to know of a recording.
type entry struct {
	Rendition int `json:"r,omitzero"` // whose Init, Open or Close it is

	Init  *initEntry  `json:"init,omitzero"`  // an initialisation section is in the spool
	Open  *openEntry  `json:"open,omitzero"`  // a segment begins to grow
	Close *closeEntry `json:"close,omitzero"` // it is complete
	Thumb *thumbEntry `json:"thumb,omitzero"` // a thumbnail is in the spool
	End   *endEntry   `json:"end,omitzero"`   // nothing more will come
}

type initEntry struct {
	Number    int     `json:"n"`
	Codecs    string  `json:"codecs"` // RFC 6381
	Width     int     `json:"width,omitzero"`
	Height    int     `json:"height,omitzero"`
	FrameRate float64 `json:"frameRate,omitzero"`
	AudioRate int64   `json:"audioRate,omitzero"` // samples per second
}

type openEntry struct {
	Number int       `json:"n"` // the same for all renditions
	Init   int       `json:"init"`
	Start  int64     `json:"start"`           // media time, ticks
	Broken bool      `json:"broken,omitzero"` // in all renditions
	Key    bool      `json:"key,omitzero"`
	Wall   time.Time `json:"wall,omitzero"` // when its first frame was, of those that are Broken
}

type closeEntry struct {
	End  int64 `json:"end"`  // media time, ticks
	Size int64 `json:"size"` // bytes; 0: there is no such segment
}

type thumbEntry struct {
	Number int `json:"n"` // from 1
	Width  int `json:"width"`
	Height int `json:"height"`
}

// endEntry is how a recording ended. Code is an error_code, empty when nothing failed.
type endEntry struct {
	Time    time.Time `json:"time"`
	Code    string    `json:"code,omitzero"`
	Message string    `json:"message,omitzero"`
}

// segment is a segment of a rendition that is complete.
type segment struct {
	openEntry
	closeEntry
}

func (s segment) duration() int64 { return s.End - s.Start }

// history is what a journal says.
type history struct {
	renditions []renditionHistory
	slots      []slot // in the order of their numbers
	thumbs     []thumbEntry
	end        *endEntry
	files      []string // in the order in which they became complete
}

// renditionHistory is what it says of one rendition.
type renditionHistory struct {
	inits []initEntry
	open  *openEntry // the segment that grows
}

// slot is the place of a segment on the timeline. At least one rendition has it.
type slot struct {
	number     int
	start, end int64 // media time, ticks
	broken     bool
	wall       time.Time
	segments   []*segment // by rendition; nil, or none: this one does not have it
}

func (s slot) duration() int64 { return s.end - s.start }

// of is a rendition's segment; nil when it does not have it.
func (s slot) of(rendition int) *segment {
	if rendition < len(s.segments) {
		return s.segments[rendition]
	}
	return nil
}

// maxRenditions bounds how many renditions one recording has.
const maxRenditions = 10

func (h *history) apply(e entry) {
	if e.Rendition >= len(h.renditions) && e.Init != nil {
		h.renditions = append(h.renditions, make([]renditionHistory, e.Rendition+1-len(h.renditions))...)
	}
	var r *renditionHistory
	if e.Rendition < len(h.renditions) {
		r = &h.renditions[e.Rendition]
	}
	switch {
	case e.Init != nil:
		r.inits = append(r.inits, *e.Init)
		h.files = append(h.files, fileName(e.Rendition, initName(e.Init.Number)))
	case e.Open != nil && r != nil:
		r.open = e.Open
	case e.Close != nil && r != nil && r.open != nil:
		if e.Close.Size > 0 {
			h.fill(e.Rendition, segment{*r.open, *e.Close})
			h.files = append(h.files, fileName(e.Rendition, segmentName(r.open.Number)))
		}
		r.open = nil
	case e.Thumb != nil:
		h.thumbs = append(h.thumbs, *e.Thumb)
		h.files = append(h.files, thumbName(e.Thumb.Number))
	case e.End != nil:
		h.end = e.End
	}
}

// fill puts a segment where it belongs.
func (h *history) fill(rendition int, s segment) {
	i := len(h.slots)
	for i > 0 && h.slots[i-1].number >= s.Number {
		i--
	}
	if i == len(h.slots) || h.slots[i].number != s.Number {
		h.slots = slices.Insert(h.slots, i, slot{number: s.Number, start: s.Start, broken: s.Broken, wall: s.Wall})
	}
	p := &h.slots[i]
	// Whoever reads the slots has a copy of them: what is in one is not changed.
	all := make([]*segment, max(len(p.segments), rendition+1))
	copy(all, p.segments)
	all[rendition] = &s
	p.segments, p.end = all, max(p.end, s.End)
}

// settled tells whether no rendition will have a segment of that number any more that it does not have.
func (h *history) settled(number int) bool {
	return !slices.ContainsFunc(h.renditions, func(r renditionHistory) bool { return r.open != nil && r.open.Number <= number })
}

// next is the number of the next segment, when none is open.
func (h *history) next() int {
	if n := len(h.slots); n > 0 {
		return h.slots[n-1].number + 1
	}
	return 0
}

// newestInit is that of a rendition; the zero value when it has none.
func (h *history) newestInit(rendition int) (i initEntry) {
	if rendition < len(h.renditions) {
		if all := h.renditions[rendition].inits; len(all) > 0 {
			i = all[len(all)-1]
		}
	}
	return i
}

// largest is the rendition with the largest newest picture.
func (h *history) largest() (rendition int) {
	most := -1
	for k := range h.renditions {
		if i := h.newestInit(k); i.Width*i.Height > most {
			rendition, most = k, i.Width*i.Height
		}
	}
	return rendition
}

// mediaEnd is where the complete segments end.
func (h *history) mediaEnd() int64 {
	if n := len(h.slots); n > 0 {
		return h.slots[n-1].end
	}
	return 0
}

// duration is the length of all complete segments, in ticks.
func (h *history) duration() (sum int64) {
	for _, s := range h.slots {
		sum += s.duration()
	}
	return sum
}

// closing closes the segments that are open, each of which has media up to a time: where the furthest one of its number
// ends. Those that have much less are taken back.
func (h *history) closing(reach map[int]int64) (ends map[int]int64) {
	ends = map[int]int64{}
	for k := range reach {
		o := h.renditions[k].open
		end := int64(0)
		for other, at := range reach {
			if h.renditions[other].open.Number == o.Number {
				end = max(end, at)
			}
		}
		for i := len(h.slots) - 1; i >= 0 && h.slots[i].number >= o.Number; i-- {
			if h.slots[i].number == o.Number {
				end = max(end, h.slots[i].end)
			}
		}
		if ends[k] = end; lags(reach[k], end) || reach[k] <= o.Start {
			delete(ends, k)
		}
	}
	return ends
}

// fileName is the name of a rendition's file in the spool, which has one folder for all of them.
func fileName(rendition int, name string) string {
	if rendition == 0 {
		return name
	}
	return fmt.Sprintf("r%d-%s", rendition, name)
}

// renditionOf takes a name in the spool apart.
func renditionOf(file string) (rendition int, name string) {
	if rest, ok := strings.CutPrefix(file, "r"); ok {
		number, name, _ := strings.Cut(rest, "-")
		rendition, _ := strconv.Atoi(number)
		return rendition, name
	}
	return 0, file
}

func initName(n int) string    { return fmt.Sprintf("init-%d.mp4", n) }
func segmentName(n int) string { return fmt.Sprintf("%d.mp4", n) }
func thumbName(n int) string   { return fmt.Sprintf("%d.jpg", n) }

// readJournal reads the lines that were written whole, up to the first one that was not, and returns how many bytes
// they take.
func readJournal(r io.Reader) (h history, size int64, err error) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return h, size, nil
		}
		if err != nil {
			return h, size, err
		}
		var e entry
		if json.Unmarshal(bytes.TrimSuffix(line, []byte("\n")), &e) != nil || e.Rendition < 0 || e.Rendition >= maxRenditions {
			return h, size, nil // a torn write: nothing behind it was acknowledged
		}
		h.apply(e)
		size += int64(len(line))
	}
}

// journal appends to the file. Its methods return when the line is on disk.
type journal struct{ file *os.File }

func openJournal(path string) (*journal, history, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, history{}, err
	}
	h, size, err := readJournal(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, history{}, fmt.Errorf("read %s: %w", path, err)
	}
	return &journal{f}, h, nil
}

func (j *journal) append(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	at, err := j.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err = j.file.Write(append(line, '\n')); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		// Half a line must not stand before the next one.
		if j.file.Truncate(at) == nil {
			_, _ = j.file.Seek(at, io.SeekStart)
		}
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}
