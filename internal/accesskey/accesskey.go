// Package accesskey keeps the access keys that API requests are signed with, in the file
// access-keys.json of the data dir.
//
// The first Open of a data dir creates a key, so that a new server can be used at once. The file
// is readable by its owner only (mode 0600); Open refuses one that others can read or write. It is
// written to a temporary file, synced, and put in place without replacing anything: a crash leaves
// no file or a whole one, and of two processes that start together both use the same key.
package accesskey

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FileName is the name of the file in the data dir.
const FileName = "access-keys.json"

// Key is a pair as AWS clients expect it. The lengths and alphabets are those of AWS, because
// client libraries and secret scanners check them.
type Key struct {
	ID     string `json:"accessKeyId"`     // AKIA and 16 of A-Z 2-7
	Secret string `json:"secretAccessKey"` // 40 of A-Z a-z 0-9 + /
}

// Keys is the content of the file. It does not change after Open, so many goroutines may use it.
type Keys struct {
	list    []Key
	secrets map[string]string
}

type file struct {
	Keys []Key `json:"keys"`
}

// Open reads the keys of a data dir, and creates the dir and one key if there is none.
func Open(dir string) (*Keys, error) {
	path := filepath.Join(dir, FileName)
	keys, err := read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	if err := create(dir, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create access keys %s: %w", path, err)
	}
	return read(path)
}

// Lookup returns the secret of an access key id.
func (k *Keys) Lookup(id string) (secret string, ok bool) {
	secret, ok = k.secrets[id]
	return secret, ok
}

// First returns the key that was created first.
func (k *Keys) First() Key { return k.list[0] }

func read(path string) (*Keys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open access keys: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open access keys: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("access keys %s can be used by other accounts of this machine (mode %04o): run chmod 600 %s, and delete the file instead if someone may have read it", path, mode, path)
	}
	var content file
	if err := json.NewDecoder(f).Decode(&content); err != nil {
		return nil, fmt.Errorf("read access keys %s: %w", path, err)
	}
	if len(content.Keys) == 0 {
		return nil, fmt.Errorf("read access keys %s: it holds no key; delete it to have one made", path)
	}
	k := &Keys{list: content.Keys, secrets: map[string]string{}}
	for i, key := range content.Keys {
		if key.ID == "" || key.Secret == "" {
			return nil, fmt.Errorf("read access keys %s: key %d lacks its accessKeyId or its secretAccessKey", path, i+1)
		}
		if _, twice := k.secrets[key.ID]; twice {
			return nil, fmt.Errorf("read access keys %s: %s is there twice", path, key.ID)
		}
		k.secrets[key.ID] = key.Secret
	}
	return k, nil
}

// create writes a file with one new key. The error is fs.ErrExist when another process was first.
func create(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(file{Keys: []Key{newKey()}}, "", "  ")
	if err != nil {
		return err
	}
	// CreateTemp makes the file with mode 0600.
	tmp, err := os.CreateTemp(dir, "."+FileName+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(text, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	// A link, unlike a rename, fails when the name is taken.
	if err := os.Link(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the new name survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func newKey() Key {
	// 10 and 30 bytes fill 16 characters of base 32 and 40 of base 64 without padding.
	id, secret := make([]byte, 10), make([]byte, 30)
	rand.Read(id)
	rand.Read(secret)
	return Key{
		ID:     "AKIA" + base32.StdEncoding.EncodeToString(id),
		Secret: base64.StdEncoding.EncodeToString(secret),
	}
}
