package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"sort"
	"strings"
	"sync"
)

// Pager signs and checks the nextToken of the List operations. It may be used by many goroutines
// once its field is set.
type Pager struct {
	// Key signs the tokens; every node that answers the same clients needs the same one. When it is
	// empty the pager makes one that lasts as long as the process.
	Key []byte

	macs sync.Pool // of hash.Hash, with the key
	once sync.Once // for macs
}

// A token is the base64url form of: 16 bytes of HMAC, '<' or '>', the key of the last element.
const tokenMAC = 16

// maxKey keeps a token within the 1024 characters of the model.
const maxKey = 700

// errUnsorted is a bug of the caller: paging would lose elements.
var errUnsorted = errors.New("the keys of the list are not in strict order")

// Page cuts one page out of items, which must be all elements in strictly ascending or strictly
// descending order of key; it looks at few of them, and checks the order where the page lies. The token stands for the last element that was returned, by its key: when
// the list changes between two pages, every element that was there all the time still comes exactly
// once. op names the operation and, after a space, whatever else (a filter, a parent) a token must not
// be used across. A page has maxResults elements, def when that is absent, and never more than max.
//
// The token is nil on the last page. The error is a ValidationException for a token that this pager
// did not make for op and for a maxResults outside 1..max.
func Page[T any](p *Pager, op string, items []T, key func(T) string, maxResults *int32, token *string, def, max int) ([]T, *string, error) {
	size := def
	if maxResults != nil {
		size = int(*maxResults)
		if size < 1 || size > max {
			return nil, nil, ValidationException("1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value between 1 and %d", size, max)
		}
	}
	size = min(size, max)

	direction := byte('>')
	if n := len(items); n > 1 && key(items[0]) > key(items[n-1]) {
		direction = '<'
	}
	start := 0
	if token != nil && *token != "" {
		after, last, err := p.open(op, *token)
		if err != nil {
			return nil, nil, err
		}
		start = sort.Search(len(items), func(i int) bool { return beyond(after, key(items[i]), last) })
	}
	rest := items[start:]
	page := rest[:min(size, len(rest))]
	last := "" // the page's last key
	for i, item := range rest[:min(size+1, len(rest))] {
		k := key(item)
		if i > 0 && !beyond(direction, k, last) {
			return nil, nil, fmt.Errorf("page %s: %w", op, errUnsorted)
		}
		if i < size {
			last = k
		}
	}
	if len(page) == len(rest) {
		return page, nil, nil
	}
	if len(last) > maxKey {
		return nil, nil, fmt.Errorf("page %s: a key of %d bytes does not fit into a token", op, len(last))
	}
	return page, new(p.seal(op, direction, last)), nil
}

// beyond reports whether a key comes after another one in a list that ascends, '>', or descends, '<'.
func beyond(direction byte, key, last string) bool {
	c := strings.Compare(key, last)
	return direction == '>' && c > 0 || direction == '<' && c < 0
}

func (p *Pager) seal(op string, direction byte, last string) string {
	text := string(direction) + last
	return base64.RawURLEncoding.EncodeToString(append(p.mac(op, text), text...))
}

func (p *Pager) open(op, token string) (direction byte, last string, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	// The decoder passes over line breaks; a token has none.
	if err != nil || strings.ContainsAny(token, "\r\n") || len(raw) <= tokenMAC || !hmac.Equal(raw[:tokenMAC], p.mac(op, string(raw[tokenMAC:]))) {
		return 0, "", ValidationException("1 validation error detected: Value at 'nextToken' failed to satisfy constraint: Member must be a token that %s returned", strings.SplitN(op, " ", 2)[0])
	}
	return raw[tokenMAC], string(raw[tokenMAC+1:]), nil
}

func (p *Pager) mac(op, text string) []byte {
	p.once.Do(func() {
		key := p.Key
		if len(key) == 0 {
			key = make([]byte, 32)
			rand.Read(key)
		}
		p.macs.New = func() any { return hmac.New(sha256.New, key) }
	})
	h := p.macs.Get().(hash.Hash)
	defer p.macs.Put(h)
	h.Reset()
	h.Write([]byte(op + "\x00" + text))
	return h.Sum(nil)[:tokenMAC]
}
