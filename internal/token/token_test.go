package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func claims(now time.Time) Claims {
	return Claims{
		Expires: now.Add(time.Hour).Unix(), IssuedAt: now.Unix(),
		ParticipantID: "abcDEF123456", StageARN: "arn:aws:ivs:us-east-1:000000000000:stage/AbCdEf123456", StageID: "AbCdEf123456",
		EventsURL: "ws://localhost:4080/events", WHIPURL: "http://localhost:4080/whip",
		UserID: "Jürgen", Attributes: map[string]string{"username": "todd", "isFeatured": "false"},
		Capabilities: Capabilities{AllowPublish: true, AllowSubscribe: true},
	}
}

func TestMintAndVerify(t *testing.T) {
	now := time.Now()
	ring := NewKeyring(newKey(t, elliptic.P384()))
	want := claims(now)
	signed, err := ring.Mint(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ring.Verify(signed)
	if err != nil {
		t.Fatal(err)
	}
	want.Version = "1.0"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// What clients decode without verifying.
	parts := strings.Split(signed, ".")
	if diff := cmp.Diff(map[string]any{"alg": "ES384", "typ": "JWT", "kid": "footlight"}, decode(t, parts[0])); diff != "" {
		t.Error("header", diff)
	}
	if diff := cmp.Diff(map[string]any{
		"exp": float64(want.Expires), "iat": float64(want.IssuedAt), "jti": want.ParticipantID,
		"resource": want.StageARN, "topic": want.StageID, "events_url": want.EventsURL, "whip_url": want.WHIPURL,
		"user_id": "Jürgen", "attributes": map[string]any{"username": "todd", "isFeatured": "false"},
		"capabilities": map[string]any{"allow_publish": true, "allow_subscribe": true}, "version": "1.0",
	}, decode(t, parts[1])); diff != "" {
		t.Error("payload", diff)
	}
	if sig, err := base64.RawURLEncoding.DecodeString(parts[2]); err != nil || len(sig) != 96 {
		t.Errorf("signature of %d bytes, %v; ES384 has 96", len(sig), err)
	}
}

func decode(t *testing.T, part string) map[string]any {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOptionalClaimsAreLeftOut(t *testing.T) {
	ring := NewKeyring(newKey(t, elliptic.P384()))
	c := claims(time.Now())
	c.UserID, c.Attributes, c.Capabilities = "", nil, Capabilities{AllowSubscribe: true}
	c.Hidden = true
	signed, err := ring.Mint(c)
	if err != nil {
		t.Fatal(err)
	}
	payload := decode(t, strings.Split(signed, ".")[1])
	for _, claim := range []string{"user_id", "attributes"} {
		if _, ok := payload[claim]; ok {
			t.Errorf("claim %s is present", claim)
		}
	}
	if diff := cmp.Diff(map[string]any{"allow_subscribe": true}, payload["capabilities"]); diff != "" {
		t.Error(diff)
	}
	if got, err := ring.Verify(signed); err != nil || !got.Hidden || got.Capabilities.AllowPublish {
		t.Errorf("verified %+v, %v", got, err)
	}
}

func TestExpiry(t *testing.T) {
	now := time.Now()
	ring := NewKeyring(newKey(t, elliptic.P384()))
	signed, err := ring.Mint(claims(now))
	if err != nil {
		t.Fatal(err)
	}
	ring.Now = func() time.Time { return now.Add(59 * time.Minute) }
	if _, err := ring.Verify(signed); err != nil {
		t.Errorf("before its expiry: %v", err)
	}
	ring.Now = func() time.Time { return now.Add(61 * time.Minute) }
	if _, err := ring.Verify(signed); !errors.Is(err, ErrExpired) || errors.Is(err, ErrMalformed) {
		t.Errorf("after its expiry: %v", err)
	}
	// An expired token of somebody else is malformed: nothing in it can be trusted.
	if _, err := NewKeyring(newKey(t, elliptic.P384())).Verify(signed); !errors.Is(err, ErrMalformed) {
		t.Errorf("another server's token: %v", err)
	}
}

func TestMalformed(t *testing.T) {
	now := time.Now()
	key := newKey(t, elliptic.P384())
	ring := NewKeyring(key)
	good, err := ring.Mint(claims(now))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	sign := func(method jwt.SigningMethod, header map[string]any, c jwt.Claims, key any) string {
		tok := jwt.NewWithClaims(method, c)
		maps.Copy(tok.Header, header)
		s, err := tok.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	kid := map[string]any{"kid": keyID}
	valid := claims(now)
	valid.Version = Version
	raw := func(change func(map[string]any)) jwt.MapClaims {
		data, err := json.Marshal(valid)
		if err != nil {
			t.Fatal(err)
		}
		m := jwt.MapClaims{}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		return m
	}
	without := func(claim string) string {
		return sign(jwt.SigningMethodES384, kid, raw(func(m map[string]any) { delete(m, claim) }), key)
	}
	tampered, err := json.Marshal(raw(func(m map[string]any) { m["topic"] = "another" }))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"empty":            "",
		"words":            "not a token",
		"two parts":        parts[0] + "." + parts[1],
		"no signature":     parts[0] + "." + parts[1] + ".",
		"swapped payload":  parts[0] + "." + base64.RawURLEncoding.EncodeToString(tampered) + "." + parts[2],
		"other key":        sign(jwt.SigningMethodES384, kid, valid, newKey(t, elliptic.P384())),
		"other key id":     sign(jwt.SigningMethodES384, map[string]any{"kid": "arn:aws:ivs:us-east-1:0:public-key/x"}, valid, key),
		"no key id":        sign(jwt.SigningMethodES384, nil, valid, key),
		"no algorithm":     sign(jwt.SigningMethodNone, kid, valid, jwt.UnsafeAllowNoneSignatureType),
		"shared secret":    sign(jwt.SigningMethodHS384, kid, valid, []byte("secret")),
		"other curve":      sign(jwt.SigningMethodES256, kid, valid, newKey(t, elliptic.P256())),
		"no exp":           without("exp"),
		"no iat":           without("iat"),
		"no jti":           without("jti"),
		"no resource":      without("resource"),
		"no topic":         without("topic"),
		"no version":       without("version"),
		"exp as text":      sign(jwt.SigningMethodES384, kid, raw(func(m map[string]any) { m["exp"] = "tomorrow" }), key),
		"nested attribute": sign(jwt.SigningMethodES384, kid, raw(func(m map[string]any) { m["attributes"] = map[string]any{"a": 1} }), key),
		"too long":         strings.Repeat("a", maxSize+1),
	} {
		if c, err := ring.Verify(token); !errors.Is(err, ErrMalformed) || errors.Is(err, ErrExpired) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	if _, err := NewKeyring(newKey(t, elliptic.P256())).Mint(claims(time.Now())); err == nil {
		t.Error("a key on P-256 signed")
	}
	c := claims(time.Now())
	c.ParticipantID = ""
	if _, err := NewKeyring(newKey(t, elliptic.P384())).Mint(c); err == nil {
		t.Error("a token without participant was minted")
	}
}

// FuzzVerify checks that no bytes panic and that what is accepted has its claims.
func FuzzVerify(f *testing.F) {
	ring := NewKeyring(newKey(f, elliptic.P384()))
	good, err := ring.Mint(claims(time.Now()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("")
	f.Add("a.b.c")
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Fuzz(func(t *testing.T, signed string) {
		c, err := ring.Verify(signed)
		if err == nil {
			if c.complete() != nil {
				t.Fatalf("accepted incomplete claims %+v", c)
			}
			return
		}
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrExpired) {
			t.Fatalf("untyped error %v", err)
		}
	})
}
