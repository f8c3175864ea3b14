package store

import (
	"fmt"
	"strings"
)

// maxKey is the longest key in bytes. Escaped three to one it stays below the 4096 bytes that a NATS
// protocol line may have.
const maxKey = 1024

// encodeKey turns any string into the name of a NATS subject below the bucket's own.
//
// A slash separates segments and becomes the dot that NATS matches prefixes by. Letters, digits, - and _
// stand for themselves; every other byte becomes = and two hexadecimal digits; an empty segment becomes a
// lone =. The encoding is one to one: different keys never meet in one record.
func encodeKey(key string) (string, error) {
	if len(key) > maxKey {
		return "", fmt.Errorf("key of %d bytes is longer than %d", len(key), maxKey)
	}
	var b strings.Builder
	b.Grow(len(key) + 8)
	for i, segment := range strings.Split(key, "/") {
		if i > 0 {
			b.WriteByte('.')
		}
		encodeSegment(&b, segment)
	}
	return b.String(), nil
}

const hexDigits = "0123456789ABCDEF"

func encodeSegment(b *strings.Builder, segment string) {
	if segment == "" {
		b.WriteByte('=')
		return
	}
	for i := range len(segment) {
		c := segment[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('=')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// decodeKey reverses encodeKey. It refuses what encodeKey never makes.
func decodeKey(name string) (string, error) {
	var b strings.Builder
	b.Grow(len(name))
	for i, segment := range strings.Split(name, ".") {
		if i > 0 {
			b.WriteByte('/')
		}
		if segment == "=" {
			continue
		}
		if segment == "" {
			return "", fmt.Errorf("decode key %q: empty segment", name)
		}
		for j := 0; j < len(segment); j++ {
			if c := segment[j]; c != '=' {
				if !plain(c) {
					return "", fmt.Errorf("decode key %q: unexpected %q", name, c)
				}
				b.WriteByte(c)
				continue
			}
			if j+2 >= len(segment) {
				return "", fmt.Errorf("decode key %q: cut escape", name)
			}
			hi, lo := strings.IndexByte(hexDigits, segment[j+1]), strings.IndexByte(hexDigits, segment[j+2])
			c := byte(hi<<4 | lo)
			if hi < 0 || lo < 0 || plain(c) || c == '/' {
				return "", fmt.Errorf("decode key %q: bad escape", name)
			}
			b.WriteByte(c)
			j += 2
		}
	}
	return b.String(), nil
}

// encodePrefix returns the narrowest NATS filter that matches every key that starts with prefix.
// It may match more: the caller compares the decoded keys.
func encodePrefix(prefix string) (string, error) {
	whole := strings.LastIndexByte(prefix, '/')
	if whole < 0 {
		return ">", nil
	}
	name, err := encodeKey(prefix[:whole])
	if err != nil {
		return "", err
	}
	return name + ".>", nil
}
