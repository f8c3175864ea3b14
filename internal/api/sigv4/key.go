package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
)

// signer signs with the key of one day, region and service. It may be used by many goroutines.
type signer struct {
	desks sync.Pool // of *desk
}

// desk is what one signature is made with; it is used again and again.
type desk struct {
	mac  hash.Hash
	text []byte
	sum  []byte
}

// newSigner derives the key: four HMACs from the secret.
func newSigner(secret string, s scope) *signer {
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request"} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return &signer{sync.Pool{New: func() any { return &desk{mac: hmac.New(sha256.New, key)} }}}
}

// sign returns the signature of a canonical request, in hexadecimal.
func (s *signer) sign(sig *signature, canonical []byte) (out [2 * sha256.Size]byte) {
	d := s.desks.Get().(*desk)
	defer s.desks.Put(d)
	d.text = appendStringToSign(d.text[:0], sig, canonical)
	d.mac.Reset()
	d.mac.Write(d.text)
	d.sum = d.mac.Sum(d.sum[:0])
	hex.Encode(out[:], d.sum)
	return out
}

// maxDerived bounds the cache: a few keys times a few regions times two days.
const maxDerived = 64

// keyCache keeps signers that have verified a request, so that a stranger cannot fill it.
// Guarded by its mutex.
type keyCache struct {
	mu      sync.Mutex
	signers map[cacheKey]*signer
}

// cacheKey holds the secret too: a key id whose secret changes must not find the old key.
type cacheKey struct {
	id, secret string
	scope      scope
}

// get returns the cached signer, or a new one.
func (c *keyCache) get(id, secret string, s scope) *signer {
	c.mu.Lock()
	known := c.signers[cacheKey{id, secret, s}]
	c.mu.Unlock()
	if known == nil {
		return newSigner(secret, s)
	}
	return known
}

// put keeps a signer that has proved good.
func (c *keyCache) put(id, secret string, s scope, good *signer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.signers == nil || len(c.signers) >= maxDerived && c.signers[cacheKey{id, secret, s}] == nil {
		c.signers = make(map[cacheKey]*signer)
	}
	c.signers[cacheKey{id, secret, s}] = good
}
