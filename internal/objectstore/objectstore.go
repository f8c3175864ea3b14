// Package objectstore keeps recordings: in a folder of this machine, or on any server that speaks S3.
//
// Guarantees:
//   - A Put that succeeded is durable: in a folder it was synced with its directories, on S3 it was acknowledged.
//   - A reader sees the old object or the new one, never half of one.
//   - No key leaves its bucket: what would is refused with ErrInvalidName, and symbolic links out of the folder are
//     not followed.
//   - Errors say which bucket and key, and errors.Is tells their kind.
package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The kinds of errors that callers act on; all others may be tried again.
var (
	ErrNotFound    = errors.New("there is no such object")
	ErrNoBucket    = errors.New("there is no such bucket")
	ErrDenied      = errors.New("the object store denies access")
	ErrInvalidName = errors.New("invalid name")
	ErrRange       = errors.New("the range starts behind the end of the object")
)

// Store has buckets by name. Safe for concurrent use.
type Store interface {
	// Bucket names a bucket without asking whether it exists. The error is ErrInvalidName.
	Bucket(name string) (Bucket, error)
}

// Bucket holds objects under keys such as a/b/c.m4s. Safe for concurrent use.
type Bucket interface {
	// Put stores the whole of body, from its present position on, under a key, in place of what was there. The
	// content type is TypeOf the key.
	Put(ctx context.Context, key string, body io.ReadSeeker) error
	// Open reads an object or a range of it. The Object describes the whole. ErrNotFound, ErrRange.
	Open(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error)
	// Head describes an object. ErrNotFound.
	Head(ctx context.Context, key string) (Object, error)
	// List gives the objects whose keys start with prefix, in the order of the keys' bytes, up to the first error.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	// Delete removes an object. That there is none is no error, as on S3.
	Delete(ctx context.Context, key string) error
}

// Object describes an object.
type Object struct {
	Key         string
	Size        int64     // bytes
	Modified    time.Time // wall clock of the store
	ContentType string    // empty in lists
}

// Range is a part of an object in bytes. The zero value is the whole.
type Range struct {
	Offset int64
	Length int64 // 0: to the end; it may reach behind the end
}

// Config says where the objects are.
type Config struct {
	// URL is file:///absolute/folder, or s3:// for AWS, or s3://?endpoint=https://host&path-style=true&region=name
	// for another server; profile=name takes that profile of the AWS files. Default: file:// and Dir.
	URL string
	Dir string // the folder when URL is empty
}

// Open prepares the store; a folder is created. S3 is not asked anything yet.
func Open(ctx context.Context, c Config) (Store, error) {
	if c.URL == "" {
		return openFolder(c.Dir)
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("object store %q: not a URL", c.URL)
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" {
			return nil, fmt.Errorf("object store %q: want file:/// and an absolute path", c.URL)
		}
		return openFolder(filepath.FromSlash(u.Path))
	case "s3":
		return openS3(ctx, u)
	}
	return nil, fmt.Errorf("object store %q: want file:// or s3://", c.URL)
}

// probeKey is what Check writes. One fixed name leaves one object at most where it may not be deleted.
const probeKey = "footlight-write-test"

// Check finds out by a small object whether a bucket can be written. That the object cannot be deleted again, as on
// buckets that only take, is no error.
func Check(ctx context.Context, b Bucket) error {
	if err := b.Put(ctx, probeKey, bytes.NewReader([]byte("Footlight wrote this to see whether it can record here.\n"))); err != nil {
		return err
	}
	if err := b.Delete(ctx, probeKey); err != nil && !errors.Is(err, ErrDenied) {
		return err
	}
	return nil
}

// TypeOf is the content type of a key, by its ending.
func TypeOf(key string) string {
	switch path.Ext(key) {
	case ".m3u8":
		return "application/vnd.apple.mpegurl"
	case ".mp4", ".m4s", ".m4v":
		return "video/mp4"
	case ".m4a":
		return "audio/mp4"
	case ".ts":
		return "video/mp2t"
	case ".jpg":
		return "image/jpeg"
	case ".json":
		return "application/json"
	case ".vtt":
		return "text/vtt"
	}
	return "application/octet-stream"
}

// bucketName is what is a name on every S3 server and a folder name everywhere.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)*$`)

func checkBucket(name string) error {
	if len(name) < 3 || len(name) > 63 || !bucketName.MatchString(name) || strings.HasSuffix(name, "-") {
		return fmt.Errorf("%w: a bucket is called by 3 to 63 of a-z 0-9 - and single dots, with a letter or digit at both ends, not %q", ErrInvalidName, name)
	}
	return nil
}

// maxKey is S3's limit in bytes; maxName is that of a name in most file systems.
const (
	maxKey  = 1024
	maxName = 255
)

// checkKey takes keys that mean the same on S3, in a folder and in a URL.
func checkKey(key string) error {
	refuse := func(why string) error { return fmt.Errorf("%w: key %q %s", ErrInvalidName, key, why) }
	switch {
	case key == "" || len(key) > maxKey:
		return fmt.Errorf("%w: a key has 1 to %d bytes, not %d", ErrInvalidName, maxKey, len(key))
	case !utf8.ValidString(key):
		return refuse("is not UTF-8")
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return refuse("has a control character or a backslash")
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || part == ".." || len(part) > maxName {
			return refuse("has a part that is empty, . or .., or longer than 255 bytes")
		}
	}
	return nil
}

// checkPrefix takes the beginnings of keys.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return checkKey(prefix + "x")
}

// fail names the operation and the object; keys are not secret.
func fail(op, bucket, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s/%s: %w", op, bucket, key, err)
}

func (r Range) valid() bool { return r.Offset >= 0 && r.Length >= 0 }

// sortByKey puts objects in the order of S3.
func sortByKey(list []Object) {
	slices.SortFunc(list, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
}
