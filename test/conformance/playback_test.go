package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/footlight-live/footlight/test/harness"
)

// keyPair is a P-384 key of which others get the public half.
type keyPair struct {
	private *ecdsa.PrivateKey
	public  string // PEM
}

func newKeyPair() keyPair {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return keyPair{key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

// newPublicKey is the public half of a new key.
func newPublicKey() string { return newKeyPair().public }

// sign makes a token of claims. kid may be empty.
func (k keyPair) sign(kid string, claims jwt.MapClaims) string {
	token := jwt.NewWithClaims(jwt.SigningMethodES384, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	signed, err := token.SignedString(k.private)
	if err != nil {
		panic(err)
	}
	return signed
}

// playback watches private and restricted channels.
func playback(c *check) {
	pair := newKeyPair()
	key := M{"arn": str(c.do("ImportPlaybackKeyPair", M{"publicKeyMaterial": pair.public}), "keyPair", "arn")}
	c.refused("ConflictException", "ImportPlaybackKeyPair", M{"publicKeyMaterial": pair.public})

	created := c.do("CreateChannel", M{"authorized": true, "insecureIngest": true})
	channel := str(created, "channel", "arn")
	rtmp := str(c.do("GetStage", M{"arn": c.Stage}), "stage", "endpoints", "rtmp")
	stop := c.encode(c.T, rtmp, str(created, "streamKey", "value"))
	address := str(created, "channel", "playbackUrl")
	viewer := func(name string, version int) string {
		return address + "?token=" + pair.sign("", jwt.MapClaims{"aws:channel-arn": channel, "exp": time.Now().Add(5 * time.Minute).Unix(),
			"aws:viewer-id": name, "aws:viewer-session-version": version})
	}
	harness.WaitPlayable(c.T, viewer("zoe", 0))
	watch := func(name string, version int) (child string) {
		c.Helper()
		child, err := harness.Variant(c.Context(), viewer(name, version))
		if err != nil {
			c.Fatal(err)
		}
		if code, body := status(c.Context(), child, ""); code != http.StatusOK {
			c.Errorf("%s watches and gets %d %s", name, code, body)
		}
		return child
	}
	if code, _ := status(c.Context(), address, ""); code != http.StatusForbidden {
		c.Errorf("without a token: %d", code)
	}
	ann, bob, cy := watch("ann", 0), watch("bob", 2), watch("cy", 0)
	c.do("StartViewerSessionRevocation", M{"channelArn": channel, "viewerId": "ann"})
	out := c.do("BatchStartViewerSessionRevocation", M{"viewerSessions": []any{
		M{"channelArn": channel, "viewerId": "bob", "viewerSessionVersionsLessThanOrEqualTo": 2}, M{"channelArn": none("channel"), "viewerId": "bob"}}})
	c.has("BatchStartViewerSessionRevocation", out, M{"errors": []any{M{"channelArn": none("channel"), "viewerId": "bob", "code": "ResourceNotFoundException", "message": "~"}}})
	for what, want := range map[string]struct {
		address string
		status  int
	}{
		"ann's session": {ann, 403}, "bob's session": {bob, 403}, "cy's session": {cy, 200}, "ann with the same version": {viewer("ann", 0), 403},
		"ann with the next version": {viewer("ann", 1), 200}, "bob with the next version": {viewer("bob", 3), 200},
	} {
		if code, body := status(c.Context(), want.address, ""); code != want.status {
			c.Errorf("%s: %d %s, want %d", what, code, body, want.status)
		}
	}
	c.shows("effect", "StartViewerSessionRevocation", "BatchStartViewerSessionRevocation", "ImportPlaybackKeyPair")
	c.do("DeletePlaybackKeyPair", key)
	if code, body := status(c.Context(), viewer("dan", 0), ""); code != http.StatusForbidden || !strings.Contains(body, "token_invalid") {
		c.Errorf("a token of a key that was deleted: %d %s", code, body)
	}
	if code, _ := status(c.Context(), cy, ""); code != http.StatusOK {
		c.Errorf("who watches is cut off by deleting the key: %d", code)
	}
	c.shows("effect", "DeletePlaybackKeyPair")
	stop()
	c.restricted(rtmp)
}

// restricted watches a channel with a policy, which changes.
func (c *check) restricted(rtmp string) {
	c.Helper()
	policy := M{"arn": str(c.do("CreatePlaybackRestrictionPolicy", M{"allowedOrigins": []any{"https://good.example"}}), "playbackRestrictionPolicy", "arn")}
	created := c.do("CreateChannel", M{"insecureIngest": true, "playbackRestrictionPolicyArn": str(policy, "arn")})
	channel := M{"arn": str(created, "channel", "arn")}
	c.has("CreateChannel with a policy", created["channel"], M{"playbackRestrictionPolicyArn": str(policy, "arn")})
	c.has("ListChannels by policy", c.do("ListChannels", M{"filterByPlaybackRestrictionPolicyArn": str(policy, "arn")}), M{"channels": []any{channel}})
	c.refused("ConflictException", "DeletePlaybackRestrictionPolicy", policy)
	defer c.encode(c.T, rtmp, str(created, "streamKey", "value"))()
	address := str(created, "channel", "playbackUrl")
	from := func(origin string, want int) {
		c.Helper()
		c.eventually(fmt.Sprintf("a page of %s gets %d", origin, want), func() error {
			if code, body := status(c.Context(), address, origin); code != want {
				return fmt.Errorf("it gets %d %s", code, body)
			}
			return nil
		})
	}
	from("https://good.example", 200)
	from("https://bad.example", 403)
	c.do("UpdatePlaybackRestrictionPolicy", M{"arn": str(policy, "arn"), "allowedOrigins": []any{"https://bad.example"}})
	from("https://bad.example", 200)
	from("https://good.example", 403)
	c.shows("effect", "CreatePlaybackRestrictionPolicy", "UpdatePlaybackRestrictionPolicy")
}
