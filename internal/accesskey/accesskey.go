// Package accesskey keeps the access keys that API requests are signed with, in the file access-keys.json of the
// data dir.
//
// Guarantees:
//   - The first Open of a data dir creates a key, so that a new server can be used at once.
//   - A change is whole or not there, whenever a process dies, and no change of two processes at once is lost.
//   - A running server sees a key that was created or deleted at the next request.
//   - Secrets stand in the file encrypted (AES-256-GCM) under the key in access-keys.key. Whoever has one of the two
//     files has no secret, and nobody can turn a read-only key into another one by editing. Whoever has both has them
//     all: the server has to know the secrets to verify signatures (AWS Signature Version 4).
//   - Every file is readable by its owner only (mode 0600); one that others can read or write is refused.
//
// A pair that someone adds by hand, with its secret in the clear, is taken and encrypted at the next Open.
package accesskey

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// FileName is the name of the file in the data dir.
const FileName = "access-keys.json"

// Key is a pair as AWS clients expect it. The lengths and alphabets are those of AWS, because
// client libraries and secret scanners check them.
type Key struct {
	ID          string    // AKIA and 16 of A-Z 2-7
	Secret      string    // 40 of A-Z a-z 0-9 + /
	ReadOnly    bool      // may call what reads, and nothing else
	Description string    // for people
	Created     time.Time // UTC, whole seconds; zero when someone added the pair by hand
}

// ErrUnknown is the error of Delete for an id that does not exist.
var ErrUnknown = errors.New("there is no such access key")

// maxDescription is in bytes.
const maxDescription = 256

// Keys are the access keys of a data dir. Safe for concurrent use.
type Keys struct {
	Log *slog.Logger // where it says that the file cannot be read any more; default: discard. Set before use.

	dir string

	mu       sync.Mutex
	list     []Key
	seen     fs.FileInfo // of the file that list is from
	problem  string      // the last one that was logged
	used     map[string]time.Time
	recorded time.Time // when used was written last
}

// Open reads the keys of a data dir, and creates the dir and one key if there is none.
func Open(dir string) (*Keys, error) {
	k := &Keys{dir: dir, Log: slog.New(slog.DiscardHandler), recorded: time.Now()}
	present, _, err := read(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && present.inClear {
		err = change(dir, func(c *content) error {
			if len(c.keys) == 0 {
				c.keys = append(c.keys, newKey())
			}
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	if err := k.load(); err != nil {
		return nil, err
	}
	k.used = readUses(dir)
	return k, nil
}

// load reads the file. The caller holds mu, or has not shown k to anybody.
func (k *Keys) load() error {
	present, info, err := read(k.dir)
	if err != nil {
		return err
	}
	if len(present.keys) == 0 {
		return fmt.Errorf("read access keys %s: it holds no key; delete it to have one made", filepath.Join(k.dir, FileName))
	}
	k.list, k.seen = present.keys, info
	return nil
}

// refresh reads the file again when it is not the one that was read. What cannot be read leaves the keys as they
// were: a slip of the pen must not lock everybody out.
func (k *Keys) refresh() {
	info, err := os.Stat(filepath.Join(k.dir, FileName))
	if err == nil && os.SameFile(info, k.seen) && info.ModTime().Equal(k.seen.ModTime()) && info.Size() == k.seen.Size() {
		return
	}
	if err == nil {
		err = k.load()
	}
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	if problem != "" && problem != k.problem {
		k.Log.Error("access keys cannot be read; those of before stay", "error", err)
	}
	k.problem = problem
}

func (k *Keys) find(id string) (Key, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refresh()
	i := slices.IndexFunc(k.list, func(key Key) bool { return key.ID == id })
	if i < 0 {
		return Key{}, false
	}
	return k.list[i], true
}

// Lookup returns the secret of an access key id.
func (k *Keys) Lookup(id string) (secret string, ok bool) {
	key, ok := k.find(id)
	return key.Secret, ok
}

// ReadOnly reports whether a key may only read. One that does not exist may do no more.
func (k *Keys) ReadOnly(id string) bool {
	key, ok := k.find(id)
	return !ok || key.ReadOnly
}

// First returns the first key that may do everything, or the first one when there is none.
func (k *Keys) First() Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range k.list {
		if !key.ReadOnly {
			return key
		}
	}
	return k.list[0]
}

// Create adds a key to a data dir.
func Create(dir, description string, readOnly bool) (Key, error) {
	if len(description) > maxDescription {
		return Key{}, fmt.Errorf("create access key: a description has at most %d bytes, not %d", maxDescription, len(description))
	}
	key := newKey()
	key.Description, key.ReadOnly = description, readOnly
	err := change(dir, func(c *content) error {
		if len(c.keys) == 0 && readOnly {
			c.keys = append(c.keys, newKey()) // somebody has to be able to write
		}
		c.keys = append(c.keys, key)
		return nil
	})
	if err != nil {
		return Key{}, err
	}
	return key, nil
}

// Delete removes a key, ErrUnknown when there is none. The last one that may do everything stays.
func Delete(dir, id string) error {
	return change(dir, func(c *content) error {
		i := slices.IndexFunc(c.keys, func(k Key) bool { return k.ID == id })
		if i < 0 {
			return fmt.Errorf("delete access key %q: %w", id, ErrUnknown)
		}
		c.keys = slices.Delete(c.keys, i, i+1)
		if !slices.ContainsFunc(c.keys, func(k Key) bool { return !k.ReadOnly }) {
			return fmt.Errorf("delete access key %s: it is the last one that may do everything; create another one first", id)
		}
		return nil
	})
}

// Listed is a key without its secret, with its last use.
type Listed struct {
	Key
	LastUsed time.Time // zero: never, as far as it has been written down; see Keys.Use
}

// List shows the keys of a data dir, oldest first.
func List(dir string) ([]Listed, error) {
	present, _, err := read(dir)
	if err != nil {
		return nil, err
	}
	used := readUses(dir)
	var list []Listed
	for _, key := range present.keys {
		key.Secret = ""
		list = append(list, Listed{key, used[key.ID]})
	}
	slices.SortStableFunc(list, func(a, b Listed) int { return a.Created.Compare(b.Created) })
	return list, nil
}

func newKey() Key {
	// 10 and 30 bytes fill 16 characters of base 32 and 40 of base 64 without padding.
	id, secret := make([]byte, 10), make([]byte, 30)
	rand.Read(id)
	rand.Read(secret)
	return Key{
		ID:      "AKIA" + base32.StdEncoding.EncodeToString(id),
		Secret:  base64.StdEncoding.EncodeToString(secret),
		Created: time.Now().UTC().Truncate(time.Second),
	}
}
