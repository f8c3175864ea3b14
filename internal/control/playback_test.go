package control

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ivssdk "github.com/aws/aws-sdk-go-v2/service/ivs"
	ivstypes "github.com/aws/aws-sdk-go-v2/service/ivs/types"
	"github.com/golang-jwt/jwt/v5"

	"github.com/footlight-live/footlight/internal/channel"
)

// keyPair is what an operator makes with openssl.
type keyPair struct{ private *ecdsa.PrivateKey }

func newKeyPair(t testing.TB) keyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{key}
}

func (k keyPair) public(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// sign makes a token for a channel that is good for five minutes, with more claims.
func (k keyPair) sign(t testing.TB, channelARN string, more jwt.MapClaims) string {
	t.Helper()
	claims := jwt.MapClaims{"aws:channel-arn": channelARN, "exp": time.Now().Add(5 * time.Minute).Unix()}
	maps.Copy(claims, more)
	signed, err := jwt.NewWithClaims(jwt.SigningMethodES384, claims).SignedString(k.private)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (f *fixture) importKey(t testing.TB, k keyPair) string {
	t.Helper()
	out, err := f.ivs.ImportPlaybackKeyPair(t.Context(), &ivssdk.ImportPlaybackKeyPairInput{PublicKeyMaterial: aws.String(k.public(t))})
	if err != nil {
		t.Fatal(err)
	}
	return *out.KeyPair.Arn
}

// admit asks for a viewer; the code is that of the refusal.
func (f *fixture) admit(t testing.TB, v channel.Viewing) (channel.Grant, string) {
	t.Helper()
	g, err := f.AdmitViewer(t.Context(), v)
	if err == nil {
		return g, ""
	}
	denied, ok := errors.AsType[channel.Denied](err)
	if !ok {
		t.Fatalf("admit %+v: %v", v, err)
	}
	return g, denied.Code
}

func TestPlaybackKeyPairs(t *testing.T) {
	f := start(t)
	pairs := []keyPair{newKeyPair(t), newKeyPair(t), newKeyPair(t), newKeyPair(t)}
	first, err := f.ivs.ImportPlaybackKeyPair(t.Context(), &ivssdk.ImportPlaybackKeyPairInput{
		Name: aws.String("mine"), PublicKeyMaterial: aws.String(pairs[0].public(t)), Tags: map[string]string{"a": "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := *first.KeyPair.Arn
	fingerprint := *first.KeyPair.Fingerprint
	if !strings.Contains(arn, ":playback-key/") || len(fingerprint) != 47 {
		t.Errorf("key pair %s %s", arn, fingerprint)
	}
	want := fmt.Sprintf(`{"keyPair":{"arn":%q,"name":"mine","fingerprint":%q,"tags":{"a":"b"}}}`, arn, fingerprint)
	echo(t, f.must(t, "GetPlaybackKeyPair", fmt.Sprintf(`{"arn":%q}`, arn)), want)

	bodyOf := func(k keyPair) string { return fmt.Sprintf(`{"publicKeyMaterial":%q}`, k.public(t)) }
	f.refused(t, "ImportPlaybackKeyPair", bodyOf(pairs[0]), 409, "ConflictException", fingerprint)
	unnamed := f.must(t, "ImportPlaybackKeyPair", bodyOf(pairs[1]))
	if text(t, unnamed, "keyPair", "name") != "" || len(at(t, unnamed, "keyPair", "tags").(map[string]any)) != 0 {
		t.Errorf("defaults %v", unnamed)
	}
	f.must(t, "ImportPlaybackKeyPair", bodyOf(pairs[2]))
	f.refused(t, "ImportPlaybackKeyPair", bodyOf(pairs[3]), 402, "ServiceQuotaExceededException", "3 playback key pairs")
	f.refused(t, "ImportPlaybackKeyPair", bodyOf(pairs[0]), 409, "ConflictException", fingerprint)

	var listed []string
	pages := ivssdk.NewListPlaybackKeyPairsPaginator(f.ivs, &ivssdk.ListPlaybackKeyPairsInput{MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range page.KeyPairs {
			listed = append(listed, *k.Arn)
		}
	}
	if len(listed) != 3 || listed[0] != arn {
		t.Errorf("listed %v", listed)
	}
	const v, missing = "ValidationException", "ResourceNotFoundException"
	const unknown = `{"arn":"arn:aws:ivs:us-east-1:000000000000:playback-key/abcdefghijkl"}`
	f.refused(t, "GetPlaybackKeyPair", unknown, 404, missing, "playback-key")
	f.refused(t, "DeletePlaybackKeyPair", unknown, 404, missing, "playback-key")
	f.refused(t, "GetPlaybackKeyPair", `{"arn":"arn:aws:ivs:us-east-1:000000000000:channel/abcdefghijkl"}`, 400, v, "arn")
	f.refused(t, "ImportPlaybackKeyPair", `{}`, 400, v, "publicKeyMaterial")
	f.refused(t, "ImportPlaybackKeyPair", `{"publicKeyMaterial":"hello"}`, 400, v, "not PEM")
	f.refused(t, "ImportPlaybackKeyPair", fmt.Sprintf(`{"publicKeyMaterial":%q,"tags":{"aws:x":"y"}}`, pairs[3].public(t)), 400, v, "reserved")
	f.refused(t, "ListPlaybackKeyPairs", `{"maxResults":0}`, 400, v, "maxResults")
	f.refused(t, "ListPlaybackKeyPairs", `{"maxResults":101}`, 400, v, "maxResults")
	f.refused(t, "ListPlaybackKeyPairs", `{"nextToken":"forged"}`, 400, v, "nextToken")
	f.tagsWork(t, arn)

	if _, err := f.ivs.DeletePlaybackKeyPair(t.Context(), &ivssdk.DeletePlaybackKeyPairInput{Arn: &arn}); err != nil {
		t.Fatal(err)
	}
	f.refused(t, "GetPlaybackKeyPair", fmt.Sprintf(`{"arn":%q}`, arn), 404, missing, arn)
	f.must(t, "ImportPlaybackKeyPair", bodyOf(pairs[0]))
}

// tagsWork adds a tag to a resource and takes it away.
func (f *fixture) tagsWork(t testing.TB, resource string) {
	t.Helper()
	if _, err := f.ivs.TagResource(t.Context(), &ivssdk.TagResourceInput{ResourceArn: &resource, Tags: map[string]string{"added": "yes"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := f.ivs.ListTagsForResource(t.Context(), &ivssdk.ListTagsForResourceInput{ResourceArn: &resource})
	if err != nil || tags.Tags["added"] != "yes" {
		t.Errorf("tags %v, %v", tags, err)
	}
	if _, err := f.ivs.UntagResource(t.Context(), &ivssdk.UntagResourceInput{ResourceArn: &resource, TagKeys: []string{"added"}}); err != nil {
		t.Fatal(err)
	}
	tags, err = f.ivs.ListTagsForResource(t.Context(), &ivssdk.ListTagsForResourceInput{ResourceArn: &resource})
	if _, there := tags.Tags["added"]; err != nil || there {
		t.Errorf("tags %v, %v", tags, err)
	}
}

func (f *fixture) createChannel(t testing.TB, in ivssdk.CreateChannelInput) string {
	t.Helper()
	out, err := f.ivs.CreateChannel(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.Channel.Arn
}

func TestPlaybackTokens(t *testing.T) {
	f := start(t)
	name := f.createChannel(t, ivssdk.CreateChannelInput{Authorized: true})
	other := f.createChannel(t, ivssdk.CreateChannelInput{Authorized: true})
	if got := at(t, f.must(t, "GetChannel", fmt.Sprintf(`{"arn":%q}`, name)), "channel", "authorized"); got != true {
		t.Errorf("authorized %v", got)
	}
	mine, stranger := newKeyPair(t), newKeyPair(t)
	view := func(token, origin string) channel.Viewing {
		return channel.Viewing{ChannelARN: name, Token: token, Origin: origin}
	}
	if _, code := f.admit(t, view(mine.sign(t, name, nil), "")); code != "token_invalid" {
		t.Errorf("before the import: %s", code)
	}
	f.importKey(t, newKeyPair(t))
	arn := f.importKey(t, mine)
	const home = "https://www.home.example"
	once := mine.sign(t, name, jwt.MapClaims{"aws:single-use-uuid": "a/b c"})
	for _, c := range []struct {
		what, token, origin, code string
		want                      channel.Grant
	}{
		{"none", "", "", "token_missing", channel.Grant{}},
		{"nonsense", "x.y.z", "", "token_invalid", channel.Grant{}},
		{"a stranger's", stranger.sign(t, name, nil), "", "token_invalid", channel.Grant{}},
		{"another channel's", mine.sign(t, other, nil), "", "token_invalid", channel.Grant{}},
		{"expired", mine.sign(t, name, jwt.MapClaims{"exp": time.Now().Unix() - 1}), "", "token_expired", channel.Grant{}},
		{"plain", mine.sign(t, name, nil), "https://anywhere.example", "", channel.Grant{}},
		{"a day", mine.sign(t, name, jwt.MapClaims{"exp": time.Now().Unix() + 86400}), "", "", channel.Grant{}},
		{"a picture", mine.sign(t, name, jwt.MapClaims{"aws:maximum-resolution": "HD"}), "", "", channel.Grant{Limit: channel.HD}},
		{"a viewer", mine.sign(t, name, jwt.MapClaims{"aws:viewer-id": "ann", "aws:viewer-session-version": 3}), "", "", channel.Grant{Viewer: "ann", Version: 3}},
		{"once", once, "", "", channel.Grant{}},
		{"twice", once, "", "token_used", channel.Grant{}},
		{"another id", mine.sign(t, name, jwt.MapClaims{"aws:single-use-uuid": "a/b d"}), "", "", channel.Grant{}},
		{"its origin", mine.sign(t, name, jwt.MapClaims{"aws:access-control-allow-origin": "https://x.example,https://*.home.example"}), home, "", channel.Grant{Origin: home}},
		{"another origin", mine.sign(t, name, jwt.MapClaims{"aws:access-control-allow-origin": "https://*.home.example"}), "https://home.example", "origin_not_allowed", channel.Grant{}},
		{"no origin", mine.sign(t, name, jwt.MapClaims{"aws:access-control-allow-origin": home}), "", "", channel.Grant{}},
		{"strict", mine.sign(t, name, jwt.MapClaims{"aws:access-control-allow-origin": home, "aws:strict-origin-enforcement": true}), home, "", channel.Grant{Origin: home, Strict: true}},
		{"strict, no origin", mine.sign(t, name, jwt.MapClaims{"aws:access-control-allow-origin": home, "aws:strict-origin-enforcement": true}), "", "origin_not_allowed", channel.Grant{}},
	} {
		if got, code := f.admit(t, view(c.token, c.origin)); code != c.code || got != c.want {
			t.Errorf("%s: %+v, %q; want %+v, %q", c.what, got, code, c.want, c.code)
		}
	}
	// A refusal and a look do not use a token up.
	spare := mine.sign(t, name, jwt.MapClaims{"aws:single-use-uuid": "spare", "aws:access-control-allow-origin": home})
	f.admit(t, view(spare, "https://other.example"))
	f.admit(t, channel.Viewing{ChannelARN: name, Token: spare, Probe: true})
	if _, code := f.admit(t, view(spare, home)); code != "" {
		t.Errorf("spare: %s", code)
	}
	// What was used stays used.
	f.restart(t)
	if _, code := f.admit(t, view(once, "")); code != "token_used" {
		t.Errorf("after a restart: %q", code)
	}
	f.must(t, "DeletePlaybackKeyPair", fmt.Sprintf(`{"arn":%q}`, arn))
	if _, code := f.admit(t, view(mine.sign(t, name, nil), "")); code != "token_invalid" {
		t.Errorf("after the key pair is gone: %q", code)
	}
	for _, foreign := range []string{"arn:aws:ivs:eu-west-1:000000000000:channel/abcdefghijkl", "arn:aws:ivs:us-east-1:000000000000:channel/abcdefghijkl", "x"} {
		if _, err := f.AdmitViewer(t.Context(), channel.Viewing{ChannelARN: foreign}); !errors.Is(err, channel.ErrUnknownChannel) {
			t.Errorf("%s: %v", foreign, err)
		}
	}
}

func TestViewerSessionRevocation(t *testing.T) {
	f := start(t, func(c *Control) { c.Rates.Revocations, c.Rates.RevocationBatches = -1, -1 })
	name := f.createChannel(t, ivssdk.CreateChannelInput{Authorized: true})
	pair := newKeyPair(t)
	f.importKey(t, pair)
	enter := func(viewer string, version int) string {
		_, code := f.admit(t, channel.Viewing{ChannelARN: name, Token: pair.sign(t, name, jwt.MapClaims{"aws:viewer-id": viewer, "aws:viewer-session-version": version})})
		return code
	}
	expect := func(when string, viewer string, upTo int) {
		t.Helper()
		for version := range 6 {
			revoked := version <= upTo
			if f.ViewerRevoked(name, viewer, int64(version)) != revoked || (enter(viewer, version) == "session_revoked") != revoked {
				t.Errorf("%s: %s version %d", when, viewer, version)
			}
		}
	}
	expect("at the start", "ann", -1)
	if _, err := f.ivs.StartViewerSessionRevocation(t.Context(), &ivssdk.StartViewerSessionRevocationInput{ChannelArn: &name, ViewerId: aws.String("ann")}); err != nil {
		t.Fatal(err)
	}
	expect("by default version 0", "ann", 0)
	expect("another viewer", "bob/../ann", -1)
	f.must(t, "StartViewerSessionRevocation", fmt.Sprintf(`{"channelArn":%q,"viewerId":"ann","viewerSessionVersionsLessThanOrEqualTo":3}`, name))
	f.must(t, "StartViewerSessionRevocation", fmt.Sprintf(`{"channelArn":%q,"viewerId":"ann","viewerSessionVersionsLessThanOrEqualTo":1}`, name))
	expect("the higher one stays", "ann", 3)

	const unknown = "arn:aws:ivs:us-east-1:000000000000:channel/abcdefghijkl"
	batch, err := f.ivs.BatchStartViewerSessionRevocation(t.Context(), &ivssdk.BatchStartViewerSessionRevocationInput{
		ViewerSessions: []ivstypes.BatchStartViewerSessionRevocationViewerSession{
			{ChannelArn: &name, ViewerId: aws.String("bob/../ann"), ViewerSessionVersionsLessThanOrEqualTo: 2},
			{ChannelArn: aws.String(unknown), ViewerId: aws.String("bob")},
		},
	})
	if err != nil || len(batch.Errors) != 1 || *batch.Errors[0].ChannelArn != unknown || *batch.Errors[0].ViewerId != "bob" ||
		*batch.Errors[0].Code != "ResourceNotFoundException" || !strings.Contains(*batch.Errors[0].Message, unknown) {
		t.Errorf("batch %+v, %v", batch, err)
	}
	expect("by a batch", "bob/../ann", 2)
	f.restart(t)
	expect("after a restart", "ann", 3)

	const v = "ValidationException"
	f.refused(t, "StartViewerSessionRevocation", fmt.Sprintf(`{"channelArn":%q,"viewerId":"x"}`, unknown), 404, "ResourceNotFoundException", unknown)
	f.refused(t, "StartViewerSessionRevocation", fmt.Sprintf(`{"channelArn":%q,"viewerId":""}`, name), 400, v, "viewerId")
	f.refused(t, "StartViewerSessionRevocation", fmt.Sprintf(`{"channelArn":%q,"viewerId":%q}`, name, strings.Repeat("v", 41)), 400, v, "viewerId")
	f.must(t, "StartViewerSessionRevocation", fmt.Sprintf(`{"channelArn":%q,"viewerId":%q}`, name, strings.Repeat("v", 40)))
	f.refused(t, "StartViewerSessionRevocation", fmt.Sprintf(`{"channelArn":%q,"viewerId":"x","viewerSessionVersionsLessThanOrEqualTo":-1}`, name), 400, v, "viewerSessionVersions")
	pairOf := fmt.Sprintf(`{"channelArn":%q,"viewerId":"x"}`, name)
	f.refused(t, "BatchStartViewerSessionRevocation", `{"viewerSessions":[]}`, 400, v, "viewerSessions")
	f.refused(t, "BatchStartViewerSessionRevocation", `{"viewerSessions":[`+strings.Repeat(pairOf+",", 20)+pairOf+`]}`, 400, v, "viewerSessions")
	f.must(t, "BatchStartViewerSessionRevocation", `{"viewerSessions":[`+strings.Repeat(pairOf+",", 19)+pairOf+`]}`)

	f.must(t, "DeleteChannel", fmt.Sprintf(`{"arn":%q}`, name))
	if f.ViewerRevoked(name, "ann", 0) {
		t.Error("a deleted channel's revocation stays")
	}
	f.noOrphans(t)
}

// at4 knows countries by the first byte of an address.
type at4 map[byte]string

func (c at4) Country(a netip.Addr) string {
	if !a.Is4() {
		return ""
	}
	return c[a.As4()[0]]
}

func TestPlaybackRestrictionPolicies(t *testing.T) {
	f := start(t, func(c *Control) { c.Countries = at4{1: "DE", 2: "FR"} })
	none := f.must(t, "CreatePlaybackRestrictionPolicy", `{}`)
	arn := text(t, none, "playbackRestrictionPolicy", "arn")
	echo(t, none, fmt.Sprintf(`{"playbackRestrictionPolicy":{"arn":%q,"name":"","allowedCountries":[],"allowedOrigins":[],"enableStrictOriginEnforcement":false,"tags":{}}}`, arn))
	full, err := f.ivs.CreatePlaybackRestrictionPolicy(t.Context(), &ivssdk.CreatePlaybackRestrictionPolicyInput{
		AllowedCountries: []string{"DE", "US"}, AllowedOrigins: []string{"https://*.home.example"}, EnableStrictOriginEnforcement: aws.Bool(true),
		Name: aws.String("p"), Tags: map[string]string{"a": "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := *full.PlaybackRestrictionPolicy.Arn
	want := fmt.Sprintf(`{"arn":%q,"name":"p","allowedCountries":["DE","US"],"allowedOrigins":["https://*.home.example"],"enableStrictOriginEnforcement":true,"tags":{"a":"b"}}`, p)
	echo(t, f.must(t, "GetPlaybackRestrictionPolicy", fmt.Sprintf(`{"arn":%q}`, p)), `{"playbackRestrictionPolicy":`+want+`}`)
	f.tagsWork(t, p)

	// One by one by default.
	first := f.must(t, "ListPlaybackRestrictionPolicies", `{}`)
	if len(at(t, first, "playbackRestrictionPolicies").([]any)) != 1 || text(t, first, "playbackRestrictionPolicies", 0, "arn") != arn {
		t.Errorf("first page %v", first)
	}
	echo(t, f.must(t, "ListPlaybackRestrictionPolicies", fmt.Sprintf(`{"nextToken":%q}`, text(t, first, "nextToken"))), `{"playbackRestrictionPolicies":[`+want+`]}`)

	name := f.createChannel(t, ivssdk.CreateChannelInput{PlaybackRestrictionPolicyArn: &p})
	if got := text(t, f.must(t, "GetChannel", fmt.Sprintf(`{"arn":%q}`, name)), "channel", "playbackRestrictionPolicyArn"); got != p {
		t.Errorf("attached %s", got)
	}
	f.createChannel(t, ivssdk.CreateChannelInput{})
	filtered, err := f.ivs.ListChannels(t.Context(), &ivssdk.ListChannelsInput{FilterByPlaybackRestrictionPolicyArn: &p})
	if err != nil || len(filtered.Channels) != 1 || *filtered.Channels[0].Arn != name || *filtered.Channels[0].PlaybackRestrictionPolicyArn != p {
		t.Errorf("filtered %+v, %v", filtered, err)
	}
	const home = "https://www.home.example"
	from := func(a, origin, code string) {
		t.Helper()
		g, got := f.admit(t, channel.Viewing{ChannelARN: name, Address: netip.MustParseAddr(a), Origin: origin})
		if got != code || code == "" && g != (channel.Grant{Origin: origin, Strict: true}) {
			t.Errorf("from %s, %q: %+v, %q; want %q", a, origin, g, got, code)
		}
	}
	from("1.0.0.1", home, "")
	from("2.0.0.1", home, "country_not_allowed")
	from("3.0.0.1", home, "")
	from("::1", home, "")
	from("1.0.0.1", "", "origin_not_allowed")
	from("1.0.0.1", "https://home.example", "origin_not_allowed")
	if _, err := f.ivs.UpdatePlaybackRestrictionPolicy(t.Context(), &ivssdk.UpdatePlaybackRestrictionPolicyInput{Arn: &p, AllowedCountries: []string{}}); err != nil {
		t.Fatal(err)
	}
	from("2.0.0.1", home, "") // for new sessions, at once
	updated := f.must(t, "UpdatePlaybackRestrictionPolicy", fmt.Sprintf(`{"arn":%q,"enableStrictOriginEnforcement":false}`, p))
	echo(t, updated, fmt.Sprintf(`{"playbackRestrictionPolicy":{"arn":%q,"name":"p","allowedCountries":[],"allowedOrigins":["https://*.home.example"],"enableStrictOriginEnforcement":false,"tags":{"a":"b"}}}`, p))

	// A private channel asks for a token and nothing else.
	f.must(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,"authorized":true}`, name))
	from("1.0.0.1", home, "token_missing")

	const v, missing = "ValidationException", "ResourceNotFoundException"
	body := fmt.Sprintf(`{"arn":%q}`, p)
	f.refused(t, "DeletePlaybackRestrictionPolicy", body, 409, "ConflictException", name)
	f.must(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,"playbackRestrictionPolicyArn":""}`, name))
	f.must(t, "CreatePlaybackRestrictionPolicy", `{}`)
	f.refused(t, "CreatePlaybackRestrictionPolicy", `{}`, 402, "ServiceQuotaExceededException", "3 playback restriction policies")
	if _, err := f.ivs.DeletePlaybackRestrictionPolicy(t.Context(), &ivssdk.DeletePlaybackRestrictionPolicyInput{Arn: &p}); err != nil {
		t.Fatal(err)
	}
	for _, operation := range []string{"GetPlaybackRestrictionPolicy", "DeletePlaybackRestrictionPolicy", "UpdatePlaybackRestrictionPolicy"} {
		f.refused(t, operation, body, 404, missing, p)
	}
	for body, words := range map[string]string{
		`{"allowedCountries":["de"]}`:                                     "'de'",
		`{"allowedCountries":["XX"]}`:                                     "'XX'",
		`{"allowedCountries":["USA"]}`:                                    "allowedCountries",
		`{"allowedCountries":["UK"]}`:                                     "'UK'",
		`{"allowedCountries":[` + strings.Repeat(`"DE",`, 200) + `"DE"]}`: "200",
		`{"allowedOrigins":["1","2","3","4","5","6"]}`:                    "5",
		`{"allowedOrigins":[""]}`:                                         "empty",
		`{"allowedOrigins":["` + strings.Repeat("x", 129) + `"]}`:         "allowedOrigins",
		`{"name":"a b"}`:                                                  "name",
		`{"tags":{"aws:a":""}}`:                                           "reserved",
	} {
		f.refused(t, "CreatePlaybackRestrictionPolicy", body, 400, v, words)
	}
	f.refused(t, "ListPlaybackRestrictionPolicies", `{"maxResults":101}`, 400, v, "maxResults")
	f.must(t, "CreatePlaybackRestrictionPolicy", `{"allowedCountries":[`+strings.Repeat(`"DE",`, 199)+`"DE"],"allowedOrigins":["1","2","3","4","5"]}`)
}

func TestCountriesNeedADatabase(t *testing.T) {
	f := start(t)
	f.refused(t, "CreatePlaybackRestrictionPolicy", `{"allowedCountries":["DE"]}`, 400, "ValidationException", "GeoIP")
}

func TestPutMetadata(t *testing.T) {
	now := time.Now()
	f := start(t, func(c *Control) { c.Now = func() time.Time { return now } })
	name, other := f.createChannel(t, ivssdk.CreateChannelInput{}), f.createChannel(t, ivssdk.CreateChannelInput{})
	body := fmt.Sprintf(`{"channelArn":%q,"metadata":"x"}`, name)
	f.refused(t, "PutMetadata", body, 404, "ChannelNotBroadcasting", name)
	now = now.Add(time.Second)
	for _, c := range []string{name, other} {
		f.streams.set(channel.Stream{ChannelARN: c, ID: "st-1"})
	}
	if _, err := f.ivs.PutMetadata(t.Context(), &ivssdk.PutMetadataInput{ChannelArn: &name, Metadata: aws.String(strings.Repeat("€", 341) + "x")}); err != nil {
		t.Fatal(err)
	}
	if want := []string{name + " " + strings.Repeat("€", 341) + "x"}; !slices.Equal(f.streams.metadata, want) {
		t.Errorf("put %v", f.streams.metadata)
	}
	const unknown = "arn:aws:ivs:us-east-1:000000000000:channel/abcdefghijkl"
	f.refused(t, "PutMetadata", fmt.Sprintf(`{"channelArn":%q,"metadata":%q}`, name, strings.Repeat("€", 341)+"xx"), 400, "ValidationException", "1024")
	f.refused(t, "PutMetadata", fmt.Sprintf(`{"channelArn":%q,"metadata":""}`, name), 400, "ValidationException", "metadata")
	f.refused(t, "PutMetadata", fmt.Sprintf(`{"channelArn":%q,"metadata":"x"}`, unknown), 404, "ResourceNotFoundException", unknown)
	for range 4 {
		f.must(t, "PutMetadata", body)
	}
	_, err := f.ivs.PutMetadata(t.Context(), &ivssdk.PutMetadataInput{ChannelArn: &name, Metadata: aws.String("x")})
	if _, ok := errors.AsType[*ivstypes.ThrottlingException](err); !ok {
		t.Errorf("the sixth in a second: %v", err)
	}
	f.refused(t, "PutMetadata", body, 429, "ThrottlingException", "5")
	f.must(t, "PutMetadata", fmt.Sprintf(`{"channelArn":%q,"metadata":"x"}`, other))
	now = now.Add(200 * time.Millisecond)
	f.must(t, "PutMetadata", body)
	f.refused(t, "PutMetadata", body, 429, "ThrottlingException", "5")
}

func TestPaces(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var p paces
	for range 1000 {
		if err := p.take("unlimited", "", -1, now); err != nil {
			t.Fatal(err)
		}
	}
	passed := 0
	for i := range 300 { // three seconds
		if p.take("y", "", 10, now.Add(time.Duration(i)*10*time.Millisecond)) == nil {
			passed++
		}
	}
	if passed < 38 || passed > 41 {
		t.Errorf("%d calls passed, want a burst of 10 and 10 each second", passed)
	}
}

func TestAdConfigurations(t *testing.T) {
	f := start(t, func(c *Control) { c.Quotas.AdConfigurations = 3 })
	const target = "arn:aws:mediatailor:us-east-1:000000000000:playbackConfiguration/ads"
	one := `{"playbackConfigurationArn":"` + target + `"}`
	out, err := f.ivs.CreateAdConfiguration(t.Context(), &ivssdk.CreateAdConfigurationInput{
		Name: aws.String("ads"), Tags: map[string]string{"a": "b"},
		MediaTailorPlaybackConfigurations: []ivstypes.MediaTailorPlaybackConfiguration{{PlaybackConfigurationArn: aws.String(target)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := *out.AdConfiguration.Arn
	want := fmt.Sprintf(`{"arn":%q,"name":"ads","mediaTailorPlaybackConfigurations":[%s],"tags":{"a":"b"}}`, arn, one)
	echo(t, f.must(t, "GetAdConfiguration", fmt.Sprintf(`{"arn":%q}`, arn)), `{"adConfiguration":`+want+`}`)
	echo(t, f.must(t, "ListAdConfigurations", `{}`), `{"adConfigurations":[`+want+`]}`)
	f.tagsWork(t, arn)
	unnamed := f.must(t, "CreateAdConfiguration", `{"mediaTailorPlaybackConfigurations":[`+one+`,`+one+`,`+one+`]}`)
	if text(t, unnamed, "adConfiguration", "name") != "" {
		t.Errorf("defaults %v", unnamed)
	}
	const v, missing = "ValidationException", "ResourceNotFoundException"
	f.refused(t, "CreateAdConfiguration", `{}`, 400, v, "mediaTailor")
	f.refused(t, "CreateAdConfiguration", `{"mediaTailorPlaybackConfigurations":[]}`, 400, v, "mediaTailor")
	f.refused(t, "CreateAdConfiguration", `{"mediaTailorPlaybackConfigurations":[`+one+`,`+one+`,`+one+`,`+one+`]}`, 400, v, "mediaTailor")
	f.refused(t, "CreateAdConfiguration", `{"mediaTailorPlaybackConfigurations":[{"playbackConfigurationArn":"arn:aws:ivs:x"}]}`, 400, v, "mediaTailor")
	f.refused(t, "CreateAdConfiguration", `{"mediaTailorPlaybackConfigurations":[`+one+`],"tags":{"aws:a":""}}`, 400, v, "reserved")
	f.must(t, "CreateAdConfiguration", `{"mediaTailorPlaybackConfigurations":[`+one+`]}`)
	f.refused(t, "CreateAdConfiguration", `{"mediaTailorPlaybackConfigurations":[`+one+`]}`, 402, "ServiceQuotaExceededException", "3 ad configurations")

	n := 0
	pages := ivssdk.NewListAdConfigurationsPaginator(f.ivs, &ivssdk.ListAdConfigurationsInput{MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.AdConfigurations)
	}
	if n != 3 {
		t.Errorf("%d in pages", n)
	}
	f.refused(t, "ListAdConfigurations", `{"maxResults":101}`, 400, v, "maxResults")

	name := f.createChannel(t, ivssdk.CreateChannelInput{AdConfigurationArn: &arn})
	filtered, err := f.ivs.ListChannels(t.Context(), &ivssdk.ListChannelsInput{FilterByAdConfigurationArn: &arn})
	if err != nil || len(filtered.Channels) != 1 || *filtered.Channels[0].AdConfigurationArn != arn {
		t.Errorf("filtered %+v, %v", filtered, err)
	}
	body := fmt.Sprintf(`{"arn":%q}`, arn)
	f.refused(t, "DeleteAdConfiguration", body, 409, "ConflictException", name)
	f.refused(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,"containerFormat":"FRAGMENTED_MP4"}`, name), 400, v, "TS")
	f.refused(t, "CreateChannel", fmt.Sprintf(`{"adConfigurationArn":%q,"containerFormat":"FRAGMENTED_MP4"}`, arn), 400, v, "TS")
	f.must(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,"adConfigurationArn":""}`, name))
	if _, err := f.ivs.DeleteAdConfiguration(t.Context(), &ivssdk.DeleteAdConfigurationInput{Arn: &arn}); err != nil {
		t.Fatal(err)
	}
	f.refused(t, "DeleteAdConfiguration", body, 404, missing, arn)
	f.refused(t, "GetAdConfiguration", body, 404, missing, arn)
}

func TestInsertAdBreak(t *testing.T) {
	now := time.Now()
	f := start(t, func(c *Control) { c.Now = func() time.Time { return now } })
	ads := text(t, f.must(t, "CreateAdConfiguration", `{"mediaTailorPlaybackConfigurations":[{"playbackConfigurationArn":"arn:aws:mediatailor:us-east-1:000000000000:playbackConfiguration/ads"}]}`), "adConfiguration", "arn")
	without := f.createChannel(t, ivssdk.CreateChannelInput{})
	name := f.createChannel(t, ivssdk.CreateChannelInput{AdConfigurationArn: &ads})
	body := func(channel string, seconds int) string {
		return fmt.Sprintf(`{"channelArn":%q,"durationSeconds":%d}`, channel, seconds)
	}
	const v = "ValidationException"
	const unknown = "arn:aws:ivs:us-east-1:000000000000:channel/abcdefghijkl"
	f.refused(t, "InsertAdBreak", body(unknown, 30), 404, "ResourceNotFoundException", unknown)
	f.refused(t, "InsertAdBreak", body(without, 30), 400, v, "no ad configuration")
	f.refused(t, "InsertAdBreak", body(name, 0), 400, v, "durationSeconds")
	f.refused(t, "InsertAdBreak", body(name, 301), 400, v, "durationSeconds")
	f.refused(t, "InsertAdBreak", body(name, 30), 404, "ChannelNotBroadcasting", name)
	f.refused(t, "InsertAdBreak", body(name, 30), 429, "ThrottlingException", "1")
	now = now.Add(time.Second)
	f.streams.set(channel.Stream{ChannelARN: name, ID: "st-1"})
	out, err := f.ivs.InsertAdBreak(t.Context(), &ivssdk.InsertAdBreakInput{ChannelArn: &name, DurationSeconds: aws.Int32(300)})
	if err != nil || len(*out.AdBreakId) != 12 {
		t.Fatalf("%+v, %v", out, err)
	}
	now = now.Add(time.Second)
	f.refused(t, "InsertAdBreak", body(name, 1), 409, "ConflictException", "ad break")

	// The session tells of it.
	stream := channel.Stream{ChannelARN: name, ID: "st-abcdefghijklmnopqrstuvw", StartTime: now}
	f.StreamObserver().Observe(channel.Event{Kind: channel.SessionCreated, Time: now, Stream: stream})
	f.StreamObserver().Observe(channel.Event{Kind: channel.AdBreakInserted, Time: now, Stream: stream, AdBreak: &channel.AdBreak{ID: *out.AdBreakId}})
	session := f.must(t, "GetStreamSession", fmt.Sprintf(`{"channelArn":%q}`, name))
	if event := at(t, session, "streamSession", "truncatedEvents", 0); text(t, event, "name") != "Ad Break Inserted" || text(t, event, "type") != "IVS Ad Break State Change" {
		t.Errorf("event %v", event)
	}
}
