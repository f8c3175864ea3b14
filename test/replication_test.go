package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"image"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/golang-jwt/jwt/v5"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/harness"
)

// TestReplication composes a stage to which somebody on another stage is replicated: her picture and sound are in the mix,
// placed by the attributes of the replica, and by those of a token that she exchanges meanwhile.
func TestReplication(t *testing.T) {
	const grace = 5
	featured := map[string]string{"featured": "true"}
	cfg := layout.Default()
	cfg.FeaturedAttribute = "featured"
	alone := harness.Tiles(cfg, camera("ada", nil))
	two := harness.Tiles(cfg, camera("ada", nil), camera("grace", nil))
	above := harness.Tiles(cfg, camera("ada", nil), camera("grace", featured))

	s := harness.StartServer(t)
	home, away := s.CreateStage("home"), s.CreateStage("away")
	signer := newSigner(t, s)
	plain := signer.sign(t, away, "grace", nil)
	s.Publish(home, ada, "Ada", func(p *synth.Publisher) { p.FrameRate = 15 })
	graces := s.Publish(away, grace, "Grace", func(p *synth.Publisher) { p.Token, p.Layers, p.FrameRate = plain, 2, 15 })
	s.WaitPublishing(home, 1)
	s.WaitPublishing(away, 1)
	replicate := func(attributes map[string]string) {
		if _, err := s.RealTime.StartParticipantReplication(t.Context(), &ivsrealtime.StartParticipantReplicationInput{
			SourceStageArn: away.Arn, DestinationStageArn: home.Arn, ParticipantId: new("grace"), Attributes: attributes,
		}); err != nil {
			t.Errorf("start-participant-replication: %v", err)
		}
	}
	both := func(places []image.Rectangle) []sight {
		return []sight{{ada, places[0], false}, {grace, places[1], false}}
	}
	slow := s.CreateEncoder(1280, 720, 15, 1_500_000) // who is where does not depend on the frame rate
	p := plan{
		start: func(in *ivsrealtime.StartCompositionInput) {
			in.Destinations[0].Channel.EncoderConfigurationArn = &slow
			in.Layout = &types.LayoutConfiguration{Grid: &types.GridConfiguration{FeaturedParticipantAttribute: new("featured")}}
		},
		steps: []step{
			{"Ada is alone", func() {}, []sight{{ada, alone[0], false}}, []int{ada}, time.Second},
			{"Grace is replicated as featured", func() { replicate(featured) }, both(above), []int{ada, grace}, time.Second},
			{"the replication is stopped", func() {
				if _, err := s.RealTime.StopParticipantReplication(t.Context(), &ivsrealtime.StopParticipantReplicationInput{
					SourceStageArn: away.Arn, DestinationStageArn: home.Arn, ParticipantId: new("grace"),
				}); err != nil {
					t.Errorf("stop-participant-replication: %v", err)
				}
			}, []sight{{ada, alone[0], false}}, []int{ada}, time.Second},
			{"Grace is replicated as she is", func() { replicate(nil) }, both(two), []int{ada, grace}, time.Second},
			{"Grace exchanges her token", func() { exchange(t, s, plain, signer.sign(t, away, "grace", featured)) },
				both(above), []int{ada, grace}, time.Second},
			{"Grace leaves", func() { graces.Close() }, []sight{{ada, alone[0], false}}, []int{ada}, time.Second},
		},
	}
	p.carryOut(t, s, home)

	want := []string{
		"Participant Published", "Participant Replication Start", "Participant Replication End", "Participant Replication Start",
		"Token Exchanged", "Participant Unpublished", "Participant Replication End",
	}
	waitEventNames(t, s, *away.Arn, want)
}

// exchange exchanges a participant's token.
func exchange(t *testing.T, s *harness.Server, old, new string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/whip/token", strings.NewReader(new))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+old)
	req.Header.Set("Content-Type", "application/jwt")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusNoContent {
		t.Errorf("exchange of a token: %s: %s", resp.Status, body)
	}
}

// signer signs tokens as a customer does.
type signer struct {
	key *ecdsa.PrivateKey
	kid string // ARN of the imported public half
}

func newSigner(t *testing.T, s *harness.Server) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	material := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	out, err := s.RealTime.ImportPublicKey(t.Context(), &ivsrealtime.ImportPublicKeyInput{PublicKeyMaterial: &material})
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, *out.PublicKey.Arn}
}

// sign makes a token that may publish only.
func (k signer) sign(t *testing.T, stage *types.Stage, participant string, attributes map[string]string) string {
	t.Helper()
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES384, jwt.MapClaims{
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "jti": participant,
		"resource": *stage.Arn, "topic": (*stage.Arn)[strings.LastIndexByte(*stage.Arn, '/')+1:],
		"events_url": *stage.Endpoints.Events, "whip_url": *stage.Endpoints.Whip,
		"attributes": attributes, "capabilities": map[string]bool{"allow_publish": true, "allow_subscribe": false}, "version": "1.0",
	})
	token.Header["kid"] = k.kid
	signed, err := token.SignedString(k.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
