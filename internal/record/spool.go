package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// The files of a recording in the spool, beside its media: what it is, and what has become of it.
const (
	specFile    = "recording.json"
	journalFile = "journal"
	latestFile  = "latest.jpg"
)

// spool is the folder of one recording on the local disk. The recording's run writes it; its upload only removes
// files. What its methods have written is on disk when they return.
type spool struct {
	dir     string
	journal *journal
	budget  *budget
}

// growing is the file of a segment that grows.
type growing struct {
	spool *spool
	file  *os.File
	size  int64
}

// createSpool makes the folder of a new recording. It appears under its name only when it is whole.
func createSpool(root string, s Spec, b *budget) (*spool, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	building, err := os.MkdirTemp(root, ".new-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(building) // gone after the rename
	// The names of both files are on disk before the folder has its own.
	if err := errors.Join(writeFile(filepath.Join(building, journalFile), nil), writeFile(filepath.Join(building, specFile), data)); err != nil {
		return nil, err
	}
	dir := filepath.Join(root, s.ID)
	if err := os.Rename(building, dir); err != nil {
		return nil, err
	}
	if err := syncDir(root); err != nil {
		return nil, err
	}
	sp, _, err := openSpool(dir, b)
	return sp, err
}

// openSpool opens a folder as a crash may have left it: the segment that grew is cut after its last whole part and
// closed.
func openSpool(dir string, b *budget) (*spool, history, error) {
	j, h, err := openJournal(filepath.Join(dir, journalFile))
	if err != nil {
		return nil, history{}, err
	}
	sp := &spool{dir: dir, journal: j, budget: b}
	if err := sp.recover(&h); err != nil {
		j.file.Close()
		return nil, history{}, fmt.Errorf("recover %s: %w", dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		j.file.Close()
		return nil, history{}, err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && counts(e.Name()) {
			b.add(info.Size())
		}
	}
	return sp, h, nil
}

// counts says which files the budget is for: what leaves the spool when it is stored.
func counts(name string) bool { return name != specFile && name != journalFile }

// recover closes the segments that were open.
func (sp *spool) recover(h *history) error {
	reach, sizes := map[int]int64{}, map[int]int64{}
	for k, r := range h.renditions {
		if r.open == nil {
			continue
		}
		audioRate := int64(0)
		if r.open.Init >= 0 && r.open.Init < len(r.inits) {
			audioRate = r.inits[r.open.Init].AudioRate
		}
		size, end, err := repair(sp.path(fileName(k, segmentName(r.open.Number))), audioRate)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if reach[k] = r.open.Start; size > 0 {
			reach[k], sizes[k] = max(end, r.open.Start), size
		}
	}
	ends := h.closing(reach)
	for _, k := range slices.Sorted(maps.Keys(reach)) {
		o := h.renditions[k].open
		done := closeEntry{End: ends[k], Size: sizes[k]}
		if _, whole := ends[k]; !whole {
			done = closeEntry{End: o.Start}
			if err := os.Remove(sp.path(fileName(k, segmentName(o.Number)))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		e := entry{Rendition: k, Close: &done}
		if err := sp.journal.append(e); err != nil {
			return err
		}
		h.apply(e)
	}
	return nil
}

func (sp *spool) path(name string) string { return filepath.Join(sp.dir, name) }

// put writes a whole file.
func (sp *spool) put(name string, data []byte) error {
	before, _ := os.Stat(sp.path(name))
	if err := writeFile(sp.path(name), data); err != nil {
		return err
	}
	sp.budget.add(int64(len(data)))
	if before != nil {
		sp.budget.add(-before.Size())
	}
	return nil
}

// grow begins the file of a segment.
func (sp *spool) grow(name string) (*growing, error) {
	f, err := os.OpenFile(sp.path(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syncDir(sp.dir); err != nil {
		f.Close()
		return nil, err
	}
	return &growing{spool: sp, file: f}, nil
}

// append adds a part. After an error the file is as it was.
func (g *growing) append(data []byte) error {
	_, err := g.file.Write(data)
	if err == nil {
		err = g.file.Sync()
	}
	if err != nil {
		_, seekErr := g.file.Seek(g.size, 0)
		return errors.Join(err, g.file.Truncate(g.size), seekErr)
	}
	g.size += int64(len(data))
	g.spool.budget.add(int64(len(data)))
	return nil
}

// finish closes the file; an empty one is removed. Whatever the error, what was appended is there.
func (g *growing) finish() error {
	if g.file == nil {
		return nil // it was tried before
	}
	err := g.file.Close()
	if g.size == 0 {
		err = errors.Join(err, os.Remove(g.file.Name()))
	}
	g.file = nil
	return err
}

// discard closes the file and removes it.
func (g *growing) discard() error {
	name := g.file.Name()
	_ = g.file.Close() // its content does not matter any more
	err := os.Remove(name)
	if err == nil {
		g.spool.budget.add(-g.size)
	}
	return err
}

// remove takes a file out, once it is stored. Nobody waits for the disk: after a crash it is stored again.
func (sp *spool) remove(name string) error {
	info, err := os.Stat(sp.path(name))
	if err == nil {
		err = os.Remove(sp.path(name))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		sp.budget.add(-info.Size())
	}
	return err
}

func (sp *spool) close() { sp.journal.file.Close() }

// discard forgets the recording.
func (sp *spool) discard() error {
	sp.close()
	if entries, err := os.ReadDir(sp.dir); err == nil {
		for _, e := range entries {
			if info, err := e.Info(); err == nil && counts(e.Name()) {
				sp.budget.add(-info.Size())
			}
		}
	}
	// The description goes first: a folder without one is swept at the next start.
	if err := os.Remove(sp.path(specFile)); err != nil {
		return err
	}
	return os.RemoveAll(sp.dir)
}

// readSpec reads what a folder of the spool is for.
func readSpec(dir string) (s Spec, err error) {
	data, err := os.ReadFile(filepath.Join(dir, specFile))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read %s: %w", filepath.Join(dir, specFile), err)
	}
	return s, s.check()
}

// writeFile writes a file that is there whole or not at all, whatever happens to the machine.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".part-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(f.Name())
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
