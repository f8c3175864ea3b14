package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

const channelARN = "arn:aws:ivs:us-east-1:000000000000:channel/AbCdEf123456"

// sign makes a token as the operator of a channel does: with any JWT library, without kid.
func sign(t testing.TB, key *ecdsa.PrivateKey, claims jwt.MapClaims) string {
	t.Helper()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodES384, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestVerifyPlayback(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	key, other := newKey(t, elliptic.P384()), newKey(t, elliptic.P384())
	keys := []*ecdsa.PublicKey{&other.PublicKey, &key.PublicKey}
	soon := now.Add(10 * time.Minute).Unix()
	with := func(change jwt.MapClaims) jwt.MapClaims {
		c := jwt.MapClaims{"aws:channel-arn": channelARN, "exp": soon}
		maps.Copy(c, change)
		return c
	}
	for name, c := range map[string]struct {
		claims jwt.MapClaims
		want   Playback
	}{
		"least":            {with(nil), Playback{}},
		"a fraction":       {with(jwt.MapClaims{"exp": float64(soon) + 0.25}), Playback{}},
		"a day":            {with(jwt.MapClaims{"exp": soon + 86400}), Playback{}},
		"issued":           {with(jwt.MapClaims{"iat": now.Unix(), "jti": "x"}), Playback{}},
		"origins":          {with(jwt.MapClaims{"aws:access-control-allow-origin": "https://a.example, https://*.b.example,"}), Playback{Origins: []string{"https://a.example", "https://*.b.example"}}},
		"strict":           {with(jwt.MapClaims{"aws:access-control-allow-origin": "1,2,3,4,5", "aws:strict-origin-enforcement": true}), Playback{Origins: []string{"1", "2", "3", "4", "5"}, Strict: true}},
		"six without it":   {with(jwt.MapClaims{"aws:access-control-allow-origin": "1,2,3,4,5,6"}), Playback{Origins: []string{"1", "2", "3", "4", "5", "6"}}},
		"once":             {with(jwt.MapClaims{"aws:single-use-uuid": "0cf6b6a2"}), Playback{SingleUse: "0cf6b6a2"}},
		"viewer":           {with(jwt.MapClaims{"aws:viewer-id": strings.Repeat("ü", 40), "aws:viewer-session-version": int64(1) << 62}), Playback{ViewerID: strings.Repeat("ü", 40), Version: 1 << 62}},
		"resolution":       {with(jwt.MapClaims{"aws:maximum-resolution": "HD"}), Playback{MaximumResolution: "HD"}},
		"ads":              {with(jwt.MapClaims{"aws:ads-opt-out": true, "aws:ads-player-params": strings.Repeat("a", 1000), "aws:ads-playback-config-name": "x", "aws:ads-reporting-mode": "CLIENT"}), Playback{}},
		"ads as an object": {with(jwt.MapClaims{"aws:ads-player-params": map[string]string{"a": "b"}}), Playback{}},
	} {
		got, err := VerifyPlayback(sign(t, key, c.claims), keys, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.ChannelARN != channelARN || got.Expires.Before(now) {
			t.Errorf("%s: %+v", name, got)
		}
		got.ChannelARN, got.Expires = "", time.Time{}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for name, c := range map[string]struct {
		claims jwt.MapClaims
		words  string
	}{
		"no channel":       {jwt.MapClaims{"exp": soon}, "aws:channel-arn is missing"},
		"no expiry":        {jwt.MapClaims{"aws:channel-arn": channelARN}, "exp claim is required"},
		"once, long":       {with(jwt.MapClaims{"aws:single-use-uuid": "x", "exp": soon + 1}), "10m0s"},
		"viewer, long":     {with(jwt.MapClaims{"aws:viewer-id": "x", "exp": soon + 1}), "10m0s"},
		"viewer, too long": {with(jwt.MapClaims{"aws:viewer-id": strings.Repeat("v", 41)}), "40"},
		"version":          {with(jwt.MapClaims{"aws:viewer-session-version": -1}), "negative"},
		"six origins":      {with(jwt.MapClaims{"aws:access-control-allow-origin": "1,2,3,4,5,6", "aws:strict-origin-enforcement": true}), "at most 5"},
		"resolution":       {with(jwt.MapClaims{"aws:maximum-resolution": "8K"}), "SD, HD or FULL_HD"},
		"params":           {with(jwt.MapClaims{"aws:ads-player-params": strings.Repeat("a", 1001)}), "1000"},
		"reporting":        {with(jwt.MapClaims{"aws:ads-reporting-mode": "BOTH"}), "CLIENT or SERVER"},
		"wrong type":       {with(jwt.MapClaims{"aws:strict-origin-enforcement": "true"}), "malformed"},
		"too large":        {with(jwt.MapClaims{"x": strings.Repeat("a", 2000)}), "2048"},
		"not yet":          {with(jwt.MapClaims{"nbf": soon}), "not valid yet"},
	} {
		_, err := VerifyPlayback(sign(t, key, c.claims), keys, now)
		if !errors.Is(err, ErrPlayback) || errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlaybackSignature(t *testing.T) {
	now := time.Now()
	key, other := newKey(t, elliptic.P384()), newKey(t, elliptic.P384())
	claims := jwt.MapClaims{"aws:channel-arn": channelARN, "exp": now.Add(time.Minute).Unix()}
	good := sign(t, key, claims)
	keys := []*ecdsa.PublicKey{&key.PublicKey}
	if _, err := VerifyPlayback(good, keys, now.Add(61*time.Second)); !errors.Is(err, ErrExpired) || !errors.Is(err, ErrPlayback) {
		t.Errorf("expired: %v", err)
	}
	// An expired token of somebody else is only somebody else's.
	if _, err := VerifyPlayback(sign(t, other, claims), keys, now.Add(time.Hour)); errors.Is(err, ErrExpired) || !errors.Is(err, ErrPlayback) {
		t.Errorf("expired and of another key: %v", err)
	}
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	hmac, err := jwt.NewWithClaims(jwt.SigningMethodHS384, claims).SignedString([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	p256, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(newKey(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	swapped, err := json.Marshal(jwt.MapClaims{"aws:channel-arn": channelARN, "exp": now.Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	for name, signed := range map[string]string{
		"empty": "", "dots": "..", "text": "token", "none": none + "." + parts[1] + ".", "hmac": hmac, "P-256": p256,
		"another key": sign(t, other, claims), "cut": good[:len(good)-2], "no signature": parts[0] + "." + parts[1] + ".",
		"other claims": parts[0] + "." + base64.RawURLEncoding.EncodeToString(swapped) + "." + parts[2],
	} {
		if _, err := VerifyPlayback(signed, keys, now); !errors.Is(err, ErrPlayback) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := VerifyPlayback(good, nil, now); !errors.Is(err, ErrPlayback) || !strings.Contains(err.Error(), "no playback key pair") {
		t.Errorf("without keys: %v", err)
	}
}

func TestMatchOrigin(t *testing.T) {
	for _, c := range []struct {
		pattern, origin string
		want            bool
	}{
		{"https://example.com", "https://example.com", true},
		{"https://Example.com", "https://example.COM", true},
		{"https://example.com", "https://example.com.evil.net", false},
		{"https://example.com", "https://www.example.com", false},
		{"https://example.com", "http://example.com", false},
		{"https://example.com", "https://example.com:8443", false},
		{"https://example.com", "https://exampleXcom", false},
		{"https://*.example.com", "https://www.example.com", true},
		{"https://*.example.com", "https://a.b.example.com", true},
		{"https://*.example.com", "https://example.com", false},
		{"https://*.example.com", "https://evil.net/.example.com", false},
		{"https://*.example.com", "https://evil.net:1.example.com", false},
		{"https://*", "https://anything.example", true},
		{"https://*", "http://anything.example", false},
		{"https://a*c*e", "https://abcde", true},
		{"https://a*c*e", "https://ace", true},
		{"https://a*c*e", "https://aec", false},
		{"*", "https://anything:1", true},
		{"*", "null", true},
		{"https://(.+)", "https://x", false},
		{"", "https://x", false},
	} {
		if got := MatchOrigin([]string{"https://nothing.test", c.pattern}, c.origin); got != c.want {
			t.Errorf("%s matches %s: %v", c.pattern, c.origin, got)
		}
	}
}

func pemOf(t testing.TB, kind string, der []byte) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestParsePublicKey(t *testing.T) {
	key, p256 := newKey(t, elliptic.P384()), newKey(t, elliptic.P256())
	spki := func(k *ecdsa.PrivateKey) []byte {
		der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	good := pemOf(t, "PUBLIC KEY", spki(key))
	got, err := ParsePublicKey(" \n" + good + "\r\n ")
	if err != nil || !got.Equal(&key.PublicKey) {
		t.Errorf("%v", err)
	}
	for name, text := range map[string]string{
		"empty": "", "text": "hello", "private": pemOf(t, "EC PRIVATE KEY", private), "P-256": pemOf(t, "PUBLIC KEY", spki(p256)),
		"certificate": pemOf(t, "CERTIFICATE", spki(key)), "two": good + good, "cut": good[:80], "not DER": pemOf(t, "PUBLIC KEY", []byte("x")),
		"long": good + strings.Repeat("\n", maxPEM),
	} {
		if _, err := ParsePublicKey(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestFingerprint has a key and what openssl 3 prints for it.
func TestFingerprint(t *testing.T) {
	key, err := ParsePublicKey(opensslKey)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Fingerprint(key); err != nil || got != opensslFingerprint {
		t.Errorf("%s, %v", got, err)
	}
}

func FuzzVerifyPlayback(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	key := newKey(f, elliptic.P384())
	f.Add(sign(f, key, jwt.MapClaims{"aws:channel-arn": channelARN, "exp": now.Unix() + 60}))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, signed string) {
		p, err := VerifyPlayback(signed, []*ecdsa.PublicKey{&key.PublicKey}, now)
		if err == nil && p.ChannelARN != channelARN {
			t.Errorf("forged %+v", p)
		}
		if err != nil && !errors.Is(err, ErrPlayback) {
			t.Errorf("error %v", err)
		}
	})
}

// FuzzPlaybackClaims signs whatever claims: what the operator's own program may get wrong.
func FuzzPlaybackClaims(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	key := newKey(f, elliptic.P384())
	f.Add([]byte(`{"aws:channel-arn":"x","exp":1800000060}`))
	f.Add([]byte(`{"exp":1e400}`))
	f.Add([]byte(`{"exp":-1e18,"aws:viewer-session-version":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, claims []byte) {
		head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES384"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
		sig, err := jwt.SigningMethodES384.Sign(head, key)
		if err != nil {
			t.Fatal(err)
		}
		p, err := VerifyPlayback(head+"."+base64.RawURLEncoding.EncodeToString(sig), []*ecdsa.PublicKey{&key.PublicKey}, now)
		if err == nil && (p.ChannelARN == "" || !p.Expires.After(now) || len([]rune(p.ViewerID)) > maxViewerID || p.Version < 0) {
			t.Errorf("accepted %+v", p)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(opensslKey)
	f.Add("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParsePublicKey(text)
		if err != nil {
			return
		}
		if _, err := Fingerprint(key); err != nil {
			t.Error(err)
		}
	})
}

func FuzzMatchOrigin(f *testing.F) {
	f.Add("https://*.example.com", "https://a.example.com")
	f.Fuzz(func(t *testing.T, pattern, origin string) {
		if !strings.Contains(pattern, "*") && MatchOrigin([]string{pattern}, origin) && !strings.EqualFold(pattern, origin) {
			t.Errorf("%q matches %q", pattern, origin)
		}
	})
}

const (
	opensslKey = `-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE8lz+YkXtqt/kkk4JmlGiGNYbFyks2NRQ
/MrRdQGqsb1tjllAtPr2SMK+gIo0VVtv4+Ov/i5jSI1LYq74AXYGgpchADa4zMH2
irOl4nL2XQT/LVxGSs5l1x8v1M59Ju7r
-----END PUBLIC KEY-----
`
	opensslFingerprint = "c0:25:7d:8b:05:bd:57:f1:48:16:3b:81:ec:f9:17:53"
)
