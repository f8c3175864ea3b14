package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// entry is one line of a recording's journal: exactly one member is set. With the files beside it, the journal is all
// that there is to know of a recording.
type entry struct {
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
	Number int       `json:"n"`
	Init   int       `json:"init"`
	Start  int64     `json:"start"` // media time, ticks
	Broken bool      `json:"broken,omitzero"`
	Key    bool      `json:"key,omitzero"`
	Wall   time.Time `json:"wall,omitzero"` // when its first frame was, of those that are Broken
}

type closeEntry struct {
	End  int64 `json:"end"`  // media time, ticks
	Size int64 `json:"size"` // bytes; 0: there is no such segment, and its number is used again
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

// segment is a segment that is complete.
type segment struct {
	openEntry
	closeEntry
}

func (s segment) duration() int64 { return s.End - s.Start }

// history is what a journal says.
type history struct {
	inits    []initEntry
	segments []segment
	open     *openEntry // the segment that grows
	thumbs   []thumbEntry
	end      *endEntry
	files    []string // in the order in which they became complete
}

func (h *history) apply(e entry) {
	switch {
	case e.Init != nil:
		h.inits = append(h.inits, *e.Init)
		h.files = append(h.files, initName(e.Init.Number))
	case e.Open != nil:
		h.open = e.Open
	case e.Close != nil && h.open != nil:
		if e.Close.Size > 0 {
			h.segments = append(h.segments, segment{*h.open, *e.Close})
			h.files = append(h.files, segmentName(h.open.Number))
		}
		h.open = nil
	case e.Thumb != nil:
		h.thumbs = append(h.thumbs, *e.Thumb)
		h.files = append(h.files, thumbName(e.Thumb.Number))
	case e.End != nil:
		h.end = e.End
	}
}

// mediaEnd is where the complete segments end.
func (h *history) mediaEnd() int64 {
	if n := len(h.segments); n > 0 {
		return h.segments[n-1].End
	}
	return 0
}

// duration is the length of all complete segments, in ticks.
func (h *history) duration() (sum int64) {
	for _, s := range h.segments {
		sum += s.duration()
	}
	return sum
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
		if json.Unmarshal(bytes.TrimSuffix(line, []byte("\n")), &e) != nil {
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
