package accesskey

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *Keys {
	t.Helper()
	k, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func create(t *testing.T, dir, description string, readOnly bool) Key {
	t.Helper()
	key, err := Create(dir, description, readOnly)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestARunningServerSeesChanges(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	if !k.ReadOnly("AKIAUNKNOWN") {
		t.Error("a key that does not exist may write")
	}
	reader := create(t, dir, "dashboard", true)
	if secret, ok := k.Lookup(reader.ID); !ok || secret != reader.Secret || !k.ReadOnly(reader.ID) {
		t.Error("a new key is not seen, or not as read-only")
	}
	if k.First().ReadOnly || k.ReadOnly(k.First().ID) {
		t.Error("the first key may only read")
	}
	if err := Delete(dir, reader.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok := k.Lookup(reader.ID); ok {
		t.Error("a deleted key still works")
	}
	if err := Delete(dir, reader.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("second delete: %v", err)
	}
	if err := Delete(dir, k.First().ID); err == nil || !strings.Contains(err.Error(), "last one") {
		t.Errorf("delete of the last key: %v", err)
	}

	// What cannot be read changes nothing.
	first := k.First()
	path := filepath.Join(dir, FileName)
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := k.Lookup(first.ID); !ok {
		t.Error("a broken file locked everybody out")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, ok := k.Lookup(first.ID); !ok {
		t.Error("a missing file locked everybody out")
	}
}

func TestSecretsAreEncrypted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	const byHand = `{"keys":[{"accessKeyId":"AKIABYHAND","secretAccessKey":"a-secret-in-the-clear"}]}`
	if err := os.WriteFile(path, []byte(byHand), 0o600); err != nil {
		t.Fatal(err)
	}
	k := open(t, dir)
	if secret, ok := k.Lookup("AKIABYHAND"); !ok || secret != "a-secret-in-the-clear" {
		t.Error("a pair that was added by hand does not work")
	}
	reader := create(t, dir, "", true)
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "in-the-clear") || strings.Contains(string(text), reader.Secret) {
		t.Errorf("a secret stands in the file, %v: %s", err, text)
	}
	for _, name := range []string{FileName, sealName} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}

	// Nobody becomes a writer by editing.
	edited := strings.Replace(string(text), `"readOnly": true,`, "", 1)
	if edited == string(text) {
		t.Fatalf("nothing to edit in %s", text)
	}
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "was edited") {
		t.Errorf("an edited file: %v", err)
	}
	if !k.ReadOnly(reader.ID) {
		t.Error("an edit made a key a writer")
	}

	// The file is worth nothing without the other one.
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	seal := filepath.Join(dir, sealName)
	if err := os.Chmod(seal, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a seal that others can read: %v", err)
	}
	if err := os.Remove(seal); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("without the seal: %v", err)
	}
	if _, err := Create(dir, "", false); err == nil {
		t.Error("a key was created without the seal")
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(text) {
		t.Errorf("the keys were overwritten: %v", err)
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	reader := create(t, dir, "dashboard", true)
	before := time.Now().Add(-time.Minute)
	k.Use(reader.ID)
	k.Use("AKIAGONE")
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := List(dir)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	for _, l := range list {
		if l.Secret != "" {
			t.Error("a secret is listed")
		}
		if used := l.ID == reader.ID; used != l.LastUsed.After(before) || used != (l.Description == "dashboard") || l.Created.Before(before) {
			t.Errorf("listed %+v", l)
		}
	}
	k = open(t, dir)
	if _, ok := k.used["AKIAGONE"]; ok || !k.used[reader.ID].After(before) {
		t.Errorf("uses after a restart: %v", k.used)
	}
	// Uses are a help: a broken file is none.
	if err := os.WriteFile(filepath.Join(dir, useName), []byte("null"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir).Use(reader.ID)
	if _, err := Create(dir, strings.Repeat("d", maxDescription+1), false); err == nil {
		t.Error("a description without end was taken")
	}
}

func TestChangesAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			key, err := Create(dir, "", false)
			if err != nil {
				t.Error(err)
				return
			}
			if _, ok := k.Lookup(key.ID); !ok {
				t.Errorf("%s is not seen", key.ID)
			}
		})
	}
	writers.Wait()
	if list, err := List(dir); err != nil || len(list) != 9 {
		t.Errorf("%d keys, %v", len(list), err)
	}
}

// FuzzParse checks that no file panics and that what is accepted comes back from what is written.
func FuzzParse(f *testing.F) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		f.Fatal(err)
	}
	seal := func() (cipher.AEAD, error) { return aead, nil }
	good, err := format([]Key{newKey(), {ID: "AKIA", Secret: "s", ReadOnly: true}}, aead)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"keys":[{"accessKeyId":"A","secretAccessKey":"s"}]}`))
	f.Add([]byte(`{"keys":[{"accessKeyId":"A","sealedSecret":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse(data, seal)
		if err != nil {
			return
		}
		written, err := format(c.keys, aead)
		if err != nil {
			return // a year that JSON cannot write
		}
		again, err := parse(written, seal)
		if err != nil || len(again.keys) != len(c.keys) || again.inClear {
			t.Fatalf("%q became %q, %v", data, written, err)
		}
		for i, key := range again.keys {
			if key.ID != c.keys[i].ID || key.Secret != c.keys[i].Secret || key.ReadOnly != c.keys[i].ReadOnly {
				t.Errorf("%+v became %+v", c.keys[i], key)
			}
		}
	})
}
