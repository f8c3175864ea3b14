package objectstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

// incoming is where objects are written before they get their name. No bucket can be called so.
const incoming = ".incoming"

// folder is a Store in a directory: <bucket>/<key>. A bucket appears with its first object.
type folder struct{ root *os.Root }

func openFolder(dir string) (Store, error) {
	if dir == "" {
		return nil, errors.New("object store: no folder")
	}
	// What is recorded is nobody's business but the server's.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("object store: make the folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("object store: %w", err)
	}
	if err := sweep(root); err != nil {
		return nil, fmt.Errorf("object store: prepare %s: %w", dir, err)
	}
	return folder{root}, nil
}

// stale is older than any write that still goes on, of this process or another one on the same folder.
const stale = 24 * time.Hour

// sweep removes what a crash left half-written: it was never acknowledged.
func sweep(root *os.Root) error {
	if err := root.Mkdir(incoming, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	entries, err := fs.ReadDir(root.FS(), incoming)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > stale {
			err = root.Remove(path.Join(incoming, entry.Name()))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func (f folder) Bucket(name string) (Bucket, error) {
	if err := checkBucket(name); err != nil {
		return nil, err
	}
	return folderBucket{f.root, name}, nil
}

type folderBucket struct {
	root *os.Root
	name string
}

// kind turns an error of the file system into one of this package.
func kind(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}

func (b folderBucket) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return fail("put", b.name, key, b.put(ctx, path.Join(b.name, key), body))
}

func (b folderBucket) put(ctx context.Context, name string, body io.Reader) error {
	tmp := path.Join(incoming, rand.Text())
	f, err := b.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return kind(err)
	}
	defer b.root.Remove(tmp) // fails after the rename, which is fine
	_, err = io.Copy(f, reader{ctx, body})
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return kind(err)
	}
	dir := path.Dir(name)
	// A Delete may take an empty directory away between the two steps; then again.
	for range 10 {
		if err = b.root.MkdirAll(dir, 0o700); err != nil {
			break
		}
		if err = b.root.Rename(tmp, name); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) || errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: in a folder no key can go on after another key and a slash: %w", ErrInvalidName, err)
		}
		return kind(err)
	}
	// The names of the object and of the directories that were made for it survive a power cut too.
	for ; ; dir = path.Dir(dir) {
		if err := b.sync(dir); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}

func (b folderBucket) sync(dir string) error {
	d, err := b.root.Open(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		return kind(err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// reader ends a copy when nobody waits for it any more.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func (b folderBucket) Open(_ context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	if err := checkKey(key); err != nil {
		return nil, Object{}, err
	}
	body, o, err := b.open(key, r)
	return body, o, fail("get", b.name, key, err)
}

func (b folderBucket) open(key string, r Range) (io.ReadCloser, Object, error) {
	f, err := b.root.Open(path.Join(b.name, key))
	if err != nil {
		return nil, Object{}, kind(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotFound
	}
	if err == nil && (!r.valid() || r.Offset > 0 && r.Offset >= info.Size()) {
		err = ErrRange
	}
	if err != nil {
		f.Close()
		return nil, Object{}, err
	}
	length := info.Size() - r.Offset
	if r.Length > 0 {
		length = min(length, r.Length)
	}
	body := struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, r.Offset, length), f}
	return body, describe(key, info), nil
}

func describe(key string, info fs.FileInfo) Object {
	return Object{Key: key, Size: info.Size(), Modified: info.ModTime(), ContentType: TypeOf(key)}
}

func (b folderBucket) Head(_ context.Context, key string) (Object, error) {
	if err := checkKey(key); err != nil {
		return Object{}, err
	}
	info, err := b.root.Stat(path.Join(b.name, key))
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotFound
	}
	if err != nil {
		return Object{}, fail("head", b.name, key, kind(err))
	}
	return describe(key, info), nil
}

func (b folderBucket) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		list, err := b.list(ctx, prefix)
		for _, o := range list {
			if !yield(o, nil) {
				return
			}
		}
		if err != nil {
			yield(Object{}, fail("list", b.name, prefix, err))
		}
	}
}

// list reads the whole part of the tree: its order is not that of the keys.
func (b folderBucket) list(ctx context.Context, prefix string) ([]Object, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	// The deepest directory that has all of the prefix.
	dir := path.Join(b.name, prefix[:strings.LastIndexByte(prefix, '/')+1])
	var list []Object
	err := fs.WalkDir(b.root.FS(), dir, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // no such bucket or directory, or deleted while we walk
		}
		if err != nil {
			return kind(err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		key := strings.TrimPrefix(name, b.name+"/")
		if !entry.Type().IsRegular() || !strings.HasPrefix(key, prefix) {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return kind(err)
		}
		list = append(list, Object{Key: key, Size: info.Size(), Modified: info.ModTime()})
		return nil
	})
	if err != nil {
		return nil, err
	}
	sortByKey(list)
	return list, nil
}

func (b folderBucket) Delete(_ context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	name := path.Join(b.name, key)
	info, err := b.root.Lstat(name)
	if err == nil && info.IsDir() {
		return nil // that is no object
	}
	if err == nil {
		err = b.root.Remove(name)
	}
	if err = kind(err); errors.Is(err, ErrNotFound) {
		return nil
	}
	// Directories are no objects: they go with their last one. The bucket stays.
	for dir := path.Dir(name); err == nil && dir != b.name; dir = path.Dir(dir) {
		if b.root.Remove(dir) != nil {
			break
		}
	}
	return fail("delete", b.name, key, err)
}
