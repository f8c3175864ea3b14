package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// maxPEM bounds what ParsePublicKey reads, in bytes. A P-384 key has about 215.
const maxPEM = 4096

// PublicKey is a public key on P-384 that somebody signs tokens with.
type PublicKey struct {
	Key *ecdsa.PublicKey
	DER []byte // SubjectPublicKeyInfo; equal for equal keys, however their PEM is written
}

// ParsePublicKey reads one PEM block "PUBLIC KEY" (RFC 7468, section 13) that holds a key on P-384. The error says
// what is wrong in words for whoever made the PEM.
func ParsePublicKey(text string) (PublicKey, error) {
	if len(text) > maxPEM {
		return PublicKey{}, fmt.Errorf("%d bytes are too long for a public key on P-384", len(text))
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return PublicKey{}, errors.New("it is no PEM block that can be read")
	case block.Type != "PUBLIC KEY":
		return PublicKey{}, fmt.Errorf("it is a PEM block %q, not \"PUBLIC KEY\"", block.Type)
	case strings.TrimSpace(string(rest)) != "":
		return PublicKey{}, errors.New("there is something after the PEM block")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return PublicKey{}, errors.New("the PEM block holds no public key")
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P384() {
		return PublicKey{}, errors.New("it is not an elliptic curve key on P-384 (secp384r1), which ES384 needs")
	}
	// Written again, since a parser takes more than one form of the same key.
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return PublicKey{}, fmt.Errorf("write the public key again: %w", err)
	}
	return PublicKey{Key: key, DER: der}, nil
}

// Fingerprint is the MD5 of the DER form as 16 pairs of hex digits with colons between them. It has the look of
// IVS's, whose algorithm is not published; it identifies a key and proves nothing.
func (k PublicKey) Fingerprint() string {
	sum := md5.Sum(k.DER)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02x", b)
	}
	return strings.Join(pairs, ":")
}
