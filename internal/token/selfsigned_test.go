package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

const importedARN = "arn:aws:ivs:us-east-1:000000000000:public-key/AbCdEf123456"

// selfSign signs as the owner of an imported key does, with the claims of the documentation changed by change.
func selfSign(t testing.TB, key *ecdsa.PrivateKey, kid string, c Claims, change func(map[string]any)) string {
	t.Helper()
	c.Version = Version
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	m := jwt.MapClaims{}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	// Unmarshalled numbers are float64, which would be signed as 1.7e+09.
	m["exp"], m["iat"] = c.Expires, c.IssuedAt
	if change != nil {
		change(m)
	}
	tok := jwt.NewWithClaims(jwt.SigningMethodES384, m)
	tok.Header["kid"] = kid
	signed, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func finder(key *ecdsa.PublicKey) FindKey {
	return func(arn string) (*ecdsa.PublicKey, error) {
		if arn != importedARN {
			return nil, ErrNoKey
		}
		return key, nil
	}
}

func TestSelfSigned(t *testing.T) {
	now := time.Now()
	ring, key := NewKeyring(newKey(t, elliptic.P384())), newKey(t, elliptic.P384())
	find := finder(&key.PublicKey)
	set := func(name string, v any) func(map[string]any) { return func(m map[string]any) { m[name] = v } }
	without := func(name string) func(map[string]any) { return func(m map[string]any) { delete(m, name) } }
	life := func(d time.Duration) func(map[string]any) { return set("exp", now.Add(d).Unix()) }
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		want   error
		words  string
	}{
		{"as documented", nil, nil, ""},
		{"no user_id", without("user_id"), nil, ""},
		{"no attributes", without("attributes"), nil, ""},
		{"subscribe only", set("capabilities", map[string]bool{"allow_subscribe": true}), nil, ""},
		{"unknown claim", set("nbf2", 1), nil, ""},
		{"14 days", life(MaxLife), nil, ""},
		{"14 days and a second", life(MaxLife + time.Second), ErrMalformed, "14 days"},
		{"expired", life(-time.Second), ErrExpired, "expired"},
		{"no end in sight", set("exp", int64(1)<<62), ErrMalformed, "14 days"},
		{"from the near future", set("iat", now.Add(4*time.Minute).Unix()), nil, ""},
		{"from the future", set("iat", now.Add(6*time.Minute).Unix()), ErrMalformed, "future"},
		{"no exp", without("exp"), ErrMalformed, "exp"},
		{"no iat", without("iat"), ErrMalformed, "iat"},
		{"no jti", without("jti"), ErrMalformed, "jti"},
		{"no resource", without("resource"), ErrMalformed, "resource"},
		{"no topic", without("topic"), ErrMalformed, "topic"},
		{"no events_url", without("events_url"), ErrMalformed, "events_url"},
		{"no whip_url", without("whip_url"), ErrMalformed, "whip_url"},
		{"empty whip_url", set("whip_url", ""), ErrMalformed, "whip_url"},
		{"no capabilities", without("capabilities"), ErrMalformed, "capabilities"},
		{"null capabilities", set("capabilities", nil), ErrMalformed, "capabilities"},
		{"no version", without("version"), ErrMalformed, "version"},
		{"another version", set("version", "0.3"), ErrMalformed, "1.0"},
		{"jti of 64", set("jti", strings.Repeat("a", 64)), nil, ""},
		{"jti of 65", set("jti", strings.Repeat("a", 65)), ErrMalformed, "jti"},
		{"jti with a slash", set("jti", "a/b"), ErrMalformed, "jti"},
		{"jti with a line", set("jti", "a\n"), ErrMalformed, "jti"},
		{"jti of a composer", set("jti", "composition-AbCdEf123456"), ErrMalformed, "composers"},
		{"hidden", set("footlight_hidden", true), ErrMalformed, "hidden"},
		{"HIDDEN", set("FOOTLIGHT_HIDDEN", true), ErrMalformed, "hidden"},
		{"user_id of 128", set("user_id", strings.Repeat("ü", 128)), nil, ""},
		{"user_id of 129", set("user_id", strings.Repeat("u", 129)), ErrMalformed, "user_id"},
		{"attributes of 1024", set("attributes", map[string]string{"k": strings.Repeat("v", 1023)}), nil, ""},
		{"attributes of 1025", set("attributes", map[string]string{"k": strings.Repeat("v", 1024)}), ErrMalformed, "attributes"},
		{"number as attribute", set("attributes", map[string]any{"k": 1}), ErrMalformed, ""},
		{"text as capability", set("capabilities", map[string]any{"allow_publish": "yes"}), ErrMalformed, ""},
	} {
		got, err := ring.VerifyAny(selfSign(t, key, importedARN, claims(now), c.change), find)
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err != nil && (!strings.Contains(err.Error(), c.words) || (got.StageID != "") != (c.want == ErrExpired)) {
			t.Errorf("%s: %+v, %v; want %q", c.name, got, err, c.words)
		}
	}

	want := claims(now)
	want.Version, want.SelfSigned = Version, true
	got, err := ring.VerifyAny(selfSign(t, key, importedARN, claims(now), nil), find)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestSelfSignedKeys(t *testing.T) {
	now := time.Now()
	ring, key := NewKeyring(newKey(t, elliptic.P384())), newKey(t, elliptic.P384())
	find := finder(&key.PublicKey)
	good := selfSign(t, key, importedARN, claims(now), nil)
	for name, signed := range map[string]string{
		"unknown key":            selfSign(t, key, importedARN+"x", claims(now), nil),
		"another private key":    selfSign(t, newKey(t, elliptic.P384()), importedARN, claims(now), nil),
		"the server's name":      selfSign(t, key, keyID, claims(now), nil),
		"another's signature":    good[:strings.LastIndexByte(good, '.')] + selfSign(t, key, importedARN, claims(now), func(m map[string]any) { m["jti"] = "x" })[strings.LastIndexByte(good, '.'):],
		"signature cut":          good[:len(good)-4],
		"signature of all zeros": good[:strings.LastIndexByte(good, '.')+1] + strings.Repeat("A", 128),
	} {
		if _, err := ring.VerifyAny(signed, find); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Tokens of the server itself still count, and Verify takes nobody else's.
	own, err := ring.Mint(claims(now))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.VerifyAny(own, find); err != nil {
		t.Error(err)
	}
	if _, err := ring.Verify(good); !errors.Is(err, ErrMalformed) {
		t.Errorf("Verify took a self-signed token: %v", err)
	}
	// A store that fails is not the caller's fault.
	broken := errors.New("the disk is gone")
	if _, err := ring.VerifyAny(good, func(string) (*ecdsa.PublicKey, error) { return nil, broken }); !errors.Is(err, broken) || errors.Is(err, ErrMalformed) {
		t.Errorf("a failing store: %v", err)
	}
}

// FuzzVerifyAny signs any payload with an imported key: what is accepted keeps the rules.
func FuzzVerifyAny(f *testing.F) {
	now := time.Now()
	ring, key := NewKeyring(newKey(f, elliptic.P384())), newKey(f, elliptic.P384())
	find := finder(&key.PublicKey)
	c := claims(now)
	c.Version = Version
	good, err := json.Marshal(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"exp":9999999999,"iat":1,"jti":"a","JTI":"composition-x"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		text := jwt.New(jwt.SigningMethodES384)
		text.Header["kid"] = importedARN
		head, err := json.Marshal(text.Header)
		if err != nil {
			t.Fatal(err)
		}
		input := text.EncodeSegment(head) + "." + text.EncodeSegment(payload)
		sig, err := jwt.SigningMethodES384.Sign(input, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ring.VerifyAny(input+"."+text.EncodeSegment(sig), find)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrExpired) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if got.Hidden || !participantID.MatchString(got.ParticipantID) || strings.HasPrefix(got.ParticipantID, ComposerPrefix) ||
			got.Expires-got.IssuedAt > int64(MaxLife/time.Second) || AttributeBytes(got.Attributes) > MaxAttributeBytes {
			t.Fatalf("accepted %+v", got)
		}
	})
}
