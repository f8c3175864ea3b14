package accesskey

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Further files of the data dir.
const (
	sealName = "access-keys.key"  // 32 random bytes
	lockName = "access-keys.lock" // held while a process changes the keys; nothing is in it
	useName  = "access-keys-used.json"
)

// maxFile bounds what is read, in bytes: thousands of keys.
const maxFile = 4 << 20

// entry is a key in the file. It has one of the two secrets.
type entry struct {
	ID          string     `json:"accessKeyId"`
	Secret      string     `json:"secretAccessKey,omitzero"` // in the clear, as somebody added it by hand
	Sealed      []byte     `json:"sealedSecret,omitzero"`    // nonce, ciphertext and tag of AES-256-GCM
	ReadOnly    bool       `json:"readOnly,omitzero"`
	Description string     `json:"description,omitzero"`
	Created     *time.Time `json:"created,omitzero"`
}

// content is the file with its secrets opened.
type content struct {
	keys    []Key
	inClear bool // a secret stands in the file as it is
}

// read opens the file of a data dir. The error is fs.ErrNotExist when there is none.
func read(dir string) (content, fs.FileInfo, error) {
	path := filepath.Join(dir, FileName)
	data, info, err := readPrivate(path)
	if err != nil {
		return content{}, nil, err
	}
	var c content
	seal := func() (cipher.AEAD, error) {
		aead, err := openSeal(dir)
		if errors.Is(err, fs.ErrNotExist) {
			// Another error: a missing seal must not look like a missing file, which is made anew.
			err = fmt.Errorf("%s is missing, without which its secrets cannot be decrypted: restore it, or delete %s to have a new key made", sealName, FileName)
		}
		return aead, err
	}
	if c, err = parse(data, seal); err != nil {
		return content{}, nil, fmt.Errorf("read access keys %s: %w", path, err)
	}
	return c, info, nil
}

// parse reads the bytes of the file; seal is asked for when a secret is encrypted.
func parse(data []byte, seal func() (cipher.AEAD, error)) (content, error) {
	var file struct {
		Keys []entry `json:"keys"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return content{}, err
	}
	var c content
	var aead cipher.AEAD
	seen := map[string]bool{}
	for i, e := range file.Keys {
		key := Key{ID: e.ID, Secret: e.Secret, ReadOnly: e.ReadOnly, Description: e.Description}
		if e.Created != nil {
			key.Created = e.Created.UTC()
		}
		c.inClear = c.inClear || e.Secret != ""
		if e.Secret == "" && len(e.Sealed) > 0 {
			if aead == nil {
				var err error
				if aead, err = seal(); err != nil {
					return content{}, err
				}
			}
			plain, err := aead.Open(nil, nil, e.Sealed, bound(key))
			if err != nil {
				return content{}, fmt.Errorf("the secret of %q cannot be decrypted: the entry was edited, or %s is not the one it was encrypted with", e.ID, sealName)
			}
			key.Secret = string(plain)
		}
		switch {
		case key.ID == "" || key.Secret == "":
			return content{}, fmt.Errorf("key %d lacks its accessKeyId or its secretAccessKey", i+1)
		case seen[key.ID]:
			return content{}, fmt.Errorf("%s is there twice", key.ID)
		}
		seen[key.ID] = true
		c.keys = append(c.keys, key)
	}
	return c, nil
}

// bound is what a sealed secret cannot be separated from.
func bound(k Key) []byte { return []byte(k.ID + "\x00" + strconv.FormatBool(k.ReadOnly)) }

// format is the file of keys, all secrets encrypted.
func format(keys []Key, aead cipher.AEAD) ([]byte, error) {
	file := struct {
		Keys []entry `json:"keys"`
	}{Keys: []entry{}}
	for _, k := range keys {
		e := entry{ID: k.ID, Sealed: aead.Seal(nil, nil, []byte(k.Secret), bound(k)), ReadOnly: k.ReadOnly, Description: k.Description}
		if !k.Created.IsZero() {
			e.Created = &k.Created
		}
		file.Keys = append(file.Keys, e)
	}
	data, err := json.MarshalIndent(file, "", "  ")
	return append(data, '\n'), err
}

// change reads the keys, lets f change them and writes them, while no other process does. It creates what is missing.
func change(dir string, f func(*content) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("change access keys: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("change access keys: %w", err)
	}
	defer lock.Close() // which frees it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock access keys: %w", err)
	}
	c, _, err := read(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := f(&c); err != nil {
		return err
	}
	aead, err := openSeal(dir)
	if errors.Is(err, fs.ErrNotExist) {
		secret := make([]byte, 32)
		rand.Read(secret)
		if err = replace(filepath.Join(dir, sealName), secret, true); err == nil {
			aead, err = openSeal(dir)
		}
	}
	if err != nil {
		return err
	}
	data, err := format(c.keys, aead)
	if err == nil {
		err = replace(filepath.Join(dir, FileName), data, true)
	}
	if err != nil {
		return fmt.Errorf("write access keys: %w", err)
	}
	return nil
}

// openSeal reads the key that secrets are encrypted with.
func openSeal(dir string) (cipher.AEAD, error) {
	path := filepath.Join(dir, sealName)
	secret, _, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	if len(secret) != 32 {
		return nil, fmt.Errorf("%s has %d bytes instead of 32", path, len(secret))
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// readPrivate reads a file that only its owner can use.
func readPrivate(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open access keys: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("open access keys: %w", err)
	}
	if err := checkMode(path, info); err != nil {
		return nil, nil, err
	}
	if info.Size() > maxFile {
		return nil, nil, fmt.Errorf("access keys %s have %d bytes, which is too much", path, info.Size())
	}
	data := make([]byte, info.Size())
	if _, err := f.ReadAt(data, 0); err != nil && len(data) > 0 {
		return nil, nil, fmt.Errorf("read access keys %s: %w", path, err)
	}
	return data, info, nil
}

// checkMode refuses a file that other accounts of the machine can use.
func checkMode(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("access keys %s can be used by other accounts of this machine (mode %04o): run chmod 600 %s, and delete the file instead if someone may have read it", path, mode, path)
	}
	return nil
}

// replace writes a file with mode 0600 in one step: a reader sees the old one or the new one. durable waits until it
// would survive a power cut.
func replace(path string, data []byte, durable bool) error {
	// CreateTemp makes the file with mode 0600.
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails after the rename, which is fine
	_, err = tmp.Write(data)
	if err == nil && durable {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil || !durable {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
