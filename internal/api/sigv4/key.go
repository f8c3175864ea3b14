package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// deriveKey is the signing key of one day, region and service: four HMACs from the secret.
func deriveKey(secret string, s scope) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request"} {
		key = mac(key, []byte(part))
	}
	return key
}

func mac(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// sign returns the signature in hexadecimal.
func sign(key, text []byte) []byte { return hex.AppendEncode(nil, mac(key, text)) }

// maxDerived bounds the cache: a few keys times a few regions times two days.
const maxDerived = 64

// keyCache keeps signing keys that have verified a request, so that a stranger cannot fill it.
// Guarded by its mutex.
type keyCache struct {
	mu   sync.Mutex
	keys map[cacheKey][]byte
}

// cacheKey holds the secret too: a key id whose secret changes must not find the old key.
type cacheKey struct {
	id, secret string
	scope      scope
}

// get returns the cached key, or derives it.
func (c *keyCache) get(id, secret string, s scope) []byte {
	c.mu.Lock()
	key := c.keys[cacheKey{id, secret, s}]
	c.mu.Unlock()
	if key == nil {
		key = deriveKey(secret, s)
	}
	return key
}

// put keeps a key that has proved good.
func (c *keyCache) put(id, secret string, s scope, key []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil || len(c.keys) >= maxDerived && c.keys[cacheKey{id, secret, s}] == nil {
		c.keys = make(map[cacheKey][]byte)
	}
	c.keys[cacheKey{id, secret, s}] = key
}
