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

// maxPEM bounds what ParsePublicKey reads, in bytes: the PEM of a P-384 key has 215.
const maxPEM = 4 << 10

// ParsePublicKey reads a public key on the curve P-384 in PEM form (RFC 7468 §13), with nothing but white space
// around it.
func ParsePublicKey(text string) (*ecdsa.PublicKey, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("parse public key: %d bytes are too long", len(text))
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, errors.New("parse public key: it is not PEM")
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, errors.New("parse public key: it is a private key, which nobody else should have")
	case block.Type != "PUBLIC KEY":
		return nil, fmt.Errorf("parse public key: it is a %s", block.Type)
	case strings.TrimSpace(string(rest)) != "":
		return nil, errors.New("parse public key: there is more than one key")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse public key: %w", err)
	}
	ec, ok := key.(*ecdsa.PublicKey)
	if !ok || ec.Curve != elliptic.P384() {
		return nil, errors.New("parse public key: it is not an EC key on the curve P-384 (secp384r1)")
	}
	return ec, nil
}

// Fingerprint names a public key: the MD5 of its DER form in hexadecimal with colons, which is what
// "openssl pkey -pubin -outform DER | openssl md5 -c" prints. AWS shows sixteen bytes in this form, and documents for
// the imported keys of EC2 that they are this digest; for IVS it does not say.
func Fingerprint(key *ecdsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("fingerprint of a public key: %w", err)
	}
	sum := md5.Sum(der) // a name, not a protection
	return strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":"), nil
}
