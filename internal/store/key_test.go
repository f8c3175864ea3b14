package store

import (
	"strings"
	"testing"
)

func TestKeyEncoding(t *testing.T) {
	for key, want := range map[string]string{
		"":                       "=",
		"aB3-_":                  "aB3-_",
		"stage/st-1/participant": "stage.st-1.participant",
		"a/":                     "a.=",
		"/":                      "=.=",
		"arn:aws:ivs:us-east-1:000000000000:channel/abc": "arn=3Aaws=3Aivs=3Aus-east-1=3A000000000000=3Achannel.abc",
		"a.b":    "a=2Eb",
		"*/>":    "=2A.=3E",
		"=":      "=3D",
		"\x00 é": "=00=20=C3=A9",
	} {
		got, err := encodeKey(key)
		if err != nil || got != want {
			t.Errorf("encodeKey(%q) = %q, %v; want %q", key, got, err, want)
		}
		if back, err := decodeKey(got); err != nil || back != key {
			t.Errorf("decodeKey(%q) = %q, %v; want %q", got, back, err, key)
		}
	}
	if _, err := encodeKey(strings.Repeat("x", maxKey+1)); err == nil {
		t.Error("a key that is too long was accepted")
	}
	for _, bad := range []string{"", "a..b", "a=", "a=4", "=zz", "=41", "=2F", "a b", "a.", "=2e"} {
		if got, err := decodeKey(bad); err == nil {
			t.Errorf("decodeKey(%q) = %q, want an error", bad, got)
		}
	}
}

func TestPrefixEncoding(t *testing.T) {
	for prefix, want := range map[string]string{
		"": ">", "ab": ">", "ab/": "ab.>", "ab/cd": "ab.>", "a:b/c/": "a=3Ab.c.>", "/": "=.>",
	} {
		if got, err := encodePrefix(prefix); err != nil || got != want {
			t.Errorf("encodePrefix(%q) = %q, %v; want %q", prefix, got, err, want)
		}
	}
}

// FuzzKey checks that every key survives the round trip, that nats accepts its encoding and that it lies
// within the filter of each of its prefixes.
func FuzzKey(f *testing.F) {
	for _, seed := range []string{"", "/", "//", "a/b", "arn:aws:ivs:us-east-1:0:stage/x", "..", ">", "*", "= ="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name, err := encodeKey(key)
		if err != nil {
			if len(key) <= maxKey {
				t.Fatalf("encodeKey(%q): %v", key, err)
			}
			return
		}
		if strings.ContainsAny(name, " *>\r\n\t") || strings.Contains("."+name+".", "..") {
			t.Fatalf("encodeKey(%q) = %q is no nats subject", key, name)
		}
		back, err := decodeKey(name)
		if err != nil || back != key {
			t.Fatalf("decodeKey(%q) = %q, %v; want %q", name, back, err, key)
		}
		for i := range key {
			filter, err := encodePrefix(key[:i])
			if err != nil {
				t.Fatalf("encodePrefix(%q): %v", key[:i], err)
			}
			if !strings.HasPrefix(name, strings.TrimSuffix(filter, ">")) {
				t.Fatalf("filter %q of prefix %q leaves out %q", filter, key[:i], name)
			}
		}
	})
}

// FuzzDecodeKey checks that what decodes also encodes to the same name: no two names mean one key.
func FuzzDecodeKey(f *testing.F) {
	for _, seed := range []string{"=", "a.b", "=3A", "a=2Eb", "=.="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key, err := decodeKey(name)
		if err != nil || len(key) > maxKey {
			return
		}
		if again, err := encodeKey(key); err != nil || again != name {
			t.Fatalf("decodeKey(%q) = %q, which encodes to %q, %v", name, key, again, err)
		}
	})
}

// TestNatsAcceptsEncodedKeys writes the awkward keys for real.
func TestNatsAcceptsEncodedKeys(t *testing.T) {
	s := open(t, t.TempDir())
	b := bucket[string](t, s, "keys")
	keys := []string{"", "/", "a.b", "*", ">", "=", "arn:aws:ivs:us-east-1:0:stage/x", " ", "$JS", strings.Repeat("é", maxKey/2)}
	for _, key := range keys {
		if err := b.Create(t.Context(), key, key); err != nil {
			t.Errorf("create %q: %v", key, err)
		}
		if got, _, err := b.Get(t.Context(), key); err != nil || got != key {
			t.Errorf("get %q = %q, %v", key, got, err)
		}
	}
	list, err := b.List(t.Context(), "")
	if err != nil || len(list) != len(keys) {
		t.Errorf("listed %d of %d keys: %v", len(list), len(keys), err)
	}
}
