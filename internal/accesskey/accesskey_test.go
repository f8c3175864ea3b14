package accesskey

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func TestFirstOpenCreatesAKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	k, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	key := k.First()
	if !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(key.ID) {
		t.Errorf("id %q", key.ID)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9+/]{40}$`).MatchString(key.Secret) {
		t.Errorf("secret of %d characters", len(key.Secret))
	}
	if secret, ok := k.Lookup(key.ID); !ok || secret != key.Secret {
		t.Error("Lookup does not find the first key")
	}
	if _, ok := k.Lookup("AKIAOTHER"); ok {
		t.Error("Lookup finds a key that does not exist")
	}
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file has mode %v, %v", info.Mode(), err)
	}
	again, err := Open(dir)
	if err != nil || again.First() != key {
		t.Errorf("the second Open gave %v, %v", again, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 { // with the seal and the lock
		t.Errorf("files left in the data dir: %v, %v", left, err)
	}
}

func TestOpenAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	var got [8]Key
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			if k, err := Open(dir); err != nil {
				t.Error(err)
			} else {
				got[i] = k.First()
			}
		})
	}
	wg.Wait()
	for _, k := range got {
		if k != got[0] {
			t.Fatalf("two processes would use different keys: %s and %s", k.ID, got[0].ID)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	const good = `{"keys":[{"accessKeyId":"A","secretAccessKey":"s"}]}`
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"readable by all", good, 0o644, "chmod 600"},
		{"readable by the group", good, 0o640, "chmod 600"},
		{"no JSON", `nonsense`, 0o600, "read access keys"},
		{"empty", ``, 0o600, "read access keys"},
		{"no key", `{"keys":[]}`, 0o600, "holds no key"},
		{"no secret", `{"keys":[{"accessKeyId":"A"}]}`, 0o600, "key 1 lacks"},
		{"twice", `{"keys":[{"accessKeyId":"A","secretAccessKey":"s"},{"accessKeyId":"A","secretAccessKey":"t"}]}`, 0o600, "twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, FileName)
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			k, err := Open(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Open gave %v, %v, want an error with %q", k, err, c.want)
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != c.text {
				t.Errorf("the file was changed to %q, %v", now, err)
			}
		})
	}
}

func TestOpenWithoutAccess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil {
		t.Error("Open of a file as the data dir gave no error")
	}
}
