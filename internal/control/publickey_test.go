package control

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/golang-jwt/jwt/v5"

	"github.com/footlight-live/footlight/internal/stage"
)

// newPublicKey makes a key pair of a customer; the public half is PEM.
func newPublicKey(t testing.TB, curve elliptic.Curve) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func (f *fixture) importPublicKey(t testing.TB, text string) string {
	t.Helper()
	out, err := f.rt.ImportPublicKey(t.Context(), &rtsdk.ImportPublicKeyInput{PublicKeyMaterial: &text})
	if err != nil {
		t.Fatal(err)
	}
	return *out.PublicKey.Arn
}

// selfSigned is a token as spec/realtime.md §2.2 has it.
func selfSigned(t testing.TB, key *ecdsa.PrivateKey, kid, stageARN string, change map[string]any) string {
	t.Helper()
	now := time.Now()
	claims := jwt.MapClaims{
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "jti": "my-Participant_1",
		"resource": stageARN, "topic": stageARN[strings.LastIndexByte(stageARN, '/')+1:],
		"events_url": testURLs.Events, "whip_url": testURLs.WHIP,
		"user_id": "u", "attributes": map[string]string{"name": "Ada"},
		"capabilities": map[string]bool{"allow_publish": true, "allow_subscribe": true}, "version": "1.0",
	}
	for name, v := range change {
		claims[name] = v
	}
	tok := jwt.NewWithClaims(jwt.SigningMethodES384, claims)
	tok.Header["kid"] = kid
	signed, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestSelfSignedTokens(t *testing.T) {
	f := start(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	key, public := newPublicKey(t, elliptic.P384())
	kid := f.importPublicKey(t, public)

	g, err := f.Admit(t.Context(), selfSigned(t, key, kid, stageARN, nil))
	if err != nil || g.ParticipantID != "my-Participant_1" || g.StageARN != stageARN || g.UserID != "u" ||
		g.Attributes["name"] != "Ada" || !g.Publish || !g.Subscribe || g.Hidden {
		t.Errorf("admitted %+v, %v", g, err)
	}
	only := map[string]any{"capabilities": map[string]bool{"allow_subscribe": true}}
	if g, err := f.Admit(t.Context(), selfSigned(t, key, kid, stageARN, only)); err != nil || g.Publish || !g.Subscribe {
		t.Errorf("admitted %+v, %v", g, err)
	}

	other, _ := newPublicKey(t, elliptic.P384())
	gone := strings.TrimSuffix(stageARN, stageARN[len(stageARN)-12:]) + "aaaaaaaaaaaa"
	for _, c := range []struct {
		name   string
		signed string
		want   stage.Code
	}{
		{"signed with another key", selfSigned(t, other, kid, stageARN, nil), stage.TokenMalformed},
		{"a key that is not here", selfSigned(t, key, strings.Replace(kid, kid[len(kid)-12:], "aaaaaaaaaaaa", 1), stageARN, nil), stage.TokenMalformed},
		{"a key of another account", selfSigned(t, key, strings.Replace(kid, "000000000000", "111111111111", 1), stageARN, nil), stage.TokenMalformed},
		{"a key of another region", selfSigned(t, key, strings.Replace(kid, "us-east-1", "us-west-2", 1), stageARN, nil), stage.TokenMalformed},
		{"a kid of another type", selfSigned(t, key, strings.Replace(kid, "public-key", "stage", 1), stageARN, nil), stage.TokenMalformed},
		{"a kid that is no ARN", selfSigned(t, key, strings.Repeat("/.", 3000), stageARN, nil), stage.TokenMalformed},
		{"expired", selfSigned(t, key, kid, stageARN, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), stage.TokenExpired},
		{"too long a life", selfSigned(t, key, kid, stageARN, map[string]any{"exp": time.Now().Add(15 * 24 * time.Hour).Unix()}), stage.TokenMalformed},
		{"attributes too large", selfSigned(t, key, kid, stageARN, map[string]any{"attributes": map[string]string{"a": strings.Repeat("x", 1024)}}), stage.TokenMalformed},
		{"hidden", selfSigned(t, key, kid, stageARN, map[string]any{"footlight_hidden": true}), stage.TokenMalformed},
		{"a topic of another stage", selfSigned(t, key, kid, stageARN, map[string]any{"topic": "aaaaaaaaaaaa"}), stage.TokenMalformed},
		{"a stage of another account", selfSigned(t, key, kid, strings.Replace(stageARN, "000000000000", "111111111111", 1), nil), stage.StageNotFound},
		{"a stage that is not here", selfSigned(t, key, kid, gone, nil), stage.StageNotFound},
	} {
		if got := f.admitCode(t, c.signed); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}

	// Disconnecting burns a self-signed token like any other.
	f.must(t, "DisconnectParticipant", fmt.Sprintf(`{"stageArn":%q,"participantId":"my-Participant_1"}`, stageARN))
	if got := f.admitCode(t, selfSigned(t, key, kid, stageARN, nil)); got != stage.ParticipantDisconnected {
		t.Errorf("after DisconnectParticipant: %s", got)
	}
	second := selfSigned(t, key, kid, stageARN, map[string]any{"jti": "second"})
	if _, err := f.Admit(t.Context(), second); err != nil {
		t.Error(err)
	}
	f.restart(t)
	if _, err := f.Admit(t.Context(), second); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	f.must(t, "DeletePublicKey", fmt.Sprintf(`{"arn":%q}`, kid))
	if got := f.admitCode(t, second); got != stage.TokenMalformed {
		t.Errorf("after DeletePublicKey: %s", got)
	}
	// The same key under a new ARN leaves tokens with the old one useless.
	again := f.importPublicKey(t, public)
	if got := f.admitCode(t, second); got != stage.TokenMalformed {
		t.Errorf("after importing again: %s", got)
	}
	if _, err := f.Admit(t.Context(), selfSigned(t, key, again, stageARN, nil)); err == nil {
		t.Error("the new ARN lets a disconnected participant in")
	}
}

func TestPublicKeyEcho(t *testing.T) {
	f := start(t)
	_, public := newPublicKey(t, elliptic.P384())
	public = strings.ReplaceAll(public, "\n", "\r\n")
	material, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	out := f.must(t, "ImportPublicKey", fmt.Sprintf(`{"publicKeyMaterial":%s,"name":"my-key","tags":{"a":"b"}}`, material))
	name, print := text(t, out, "publicKey", "arn"), text(t, out, "publicKey", "fingerprint")
	golden := fmt.Sprintf(`{"publicKey":{"arn":%q,"name":"my-key","publicKeyMaterial":%s,"fingerprint":%q,"tags":{"a":"b"}}}`, name, material, print)
	echo(t, out, golden)
	echo(t, f.must(t, "GetPublicKey", fmt.Sprintf(`{"arn":%q}`, name)), golden)
	echo(t, f.must(t, "ListPublicKeys", `{}`), fmt.Sprintf(`{"publicKeys":[{"arn":%q,"name":"my-key","tags":{"a":"b"}}]}`, name))
	if len(print) != 47 {
		t.Errorf("fingerprint %q", print)
	}

	if _, err := f.send(t, "POST", escaped(name), `{"tags":{"c":"d"}}`); err != nil {
		t.Error(err)
	}
	if _, err := f.send(t, "DELETE", escaped(name)+"?tagKeys=a", ""); err != nil {
		t.Error(err)
	}
	tags, err := f.send(t, "GET", escaped(name), "")
	if err != nil {
		t.Fatal(err)
	}
	echo(t, tags, `{"tags":{"c":"d"}}`)
}

func TestPublicKeyRefusals(t *testing.T) {
	f := start(t)
	const v = "ValidationException"
	const unknown = "arn:aws:ivs:us-east-1:000000000000:public-key/abcdefghijkl"
	material := func(text string) string {
		b, err := json.Marshal(map[string]string{"publicKeyMaterial": text})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	_, good := newPublicKey(t, elliptic.P384())
	_, p256 := newPublicKey(t, elliptic.P256())
	f.importPublicKey(t, good)
	arn := fmt.Sprintf(`{"arn":%q}`, unknown)
	for _, c := range []struct {
		operation, body string
		status          int
		code, words     string
	}{
		{"ImportPublicKey", `{}`, 400, v, "publicKeyMaterial"},
		{"ImportPublicKey", material("hello"), 400, v, "publicKeyMaterial"},
		{"ImportPublicKey", material("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), 400, v, "publicKeyMaterial: parse public key"},
		{"ImportPublicKey", material(p256), 400, v, "P-384"},
		{"ImportPublicKey", material(strings.ReplaceAll(good, "\n", "\r\n")), 409, "ConflictException", "imported already"},
		{"ImportPublicKey", `{"name":"no spaces","publicKeyMaterial":"x"}`, 400, v, "name"},
		{"ImportPublicKey", `{"tags":{"aws:a":"b"},` + material(good)[1:], 400, v, "reserved"},
		{"GetPublicKey", arn, 404, "ResourceNotFoundException", unknown},
		{"GetPublicKey", `{"arn":"arn:aws:ivs:us-east-1:000000000000:stage/abcdefghijkl"}`, 400, v, "public-key"},
		{"DeletePublicKey", arn, 404, "ResourceNotFoundException", unknown},
		{"ListPublicKeys", `{"maxResults":101}`, 400, v, "maxResults"},
		{"ListPublicKeys", `{"maxResults":0}`, 400, v, "maxResults"},
		{"ListPublicKeys", `{"nextToken":"AAAA"}`, 400, v, "nextToken"},
	} {
		f.refused(t, c.operation, c.body, c.status, c.code, c.words)
	}
}

func TestPublicKeyLife(t *testing.T) {
	f := start(t)
	var names []string
	for range 3 {
		_, public := newPublicKey(t, elliptic.P384())
		names = append(names, f.importPublicKey(t, public))
	}
	_, fourth := newPublicKey(t, elliptic.P384())
	_, err := f.rt.ImportPublicKey(t.Context(), &rtsdk.ImportPublicKeyInput{PublicKeyMaterial: &fourth})
	if sdkCode(err) != "ServiceQuotaExceededException" {
		t.Errorf("a fourth key: %v", err)
	}
	var listed []string
	pages := rtsdk.NewListPublicKeysPaginator(f.rt, &rtsdk.ListPublicKeysInput{MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range page.PublicKeys {
			listed = append(listed, *k.Arn)
		}
	}
	if !slices.Equal(listed, names) {
		t.Errorf("listed %v, imported %v", listed, names)
	}
	if _, err := f.rt.DeletePublicKey(t.Context(), &rtsdk.DeletePublicKeyInput{Arn: &names[0]}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.rt.DeletePublicKey(t.Context(), &rtsdk.DeletePublicKeyInput{Arn: &names[0]}); sdkCode(err) != "ResourceNotFoundException" {
		t.Errorf("second delete: %v", err)
	}
	f.importPublicKey(t, fourth) // there is room again
}

func TestImportTheSameKeyAtOnce(t *testing.T) {
	f := start(t)
	_, public := newPublicKey(t, elliptic.P384())
	codes := make([]string, 4)
	var clients sync.WaitGroup
	for i := range codes {
		clients.Go(func() {
			_, err := f.rt.ImportPublicKey(t.Context(), &rtsdk.ImportPublicKeyInput{PublicKeyMaterial: &public})
			codes[i] = sdkCode(err)
		})
	}
	clients.Wait()
	slices.Sort(codes)
	if want := []string{"", "ConflictException", "ConflictException", "ConflictException"}; !slices.Equal(codes, want) {
		t.Errorf("answers %q", codes)
	}
}
