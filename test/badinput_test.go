package test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ivs"
	ivstypes "github.com/aws/aws-sdk-go-v2/service/ivs/types"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/coder/websocket"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/harness"
)

// show is what runs while a server is fed with bad input: two participants in a composition.
type show struct {
	*harness.Server
	env         map[string]string // of the command line: access key and region
	stage       *types.Stage
	channel     *ivstypes.Channel
	key         *ivstypes.StreamKey // of the channel
	encoder     string              // ARN
	composition *types.Composition
	grace       *synth.Publisher // of index 2, who misbehaves; Ada has index 1
	composers   []int
	variant     string       // media playlist of the channel
	playlist    string       // what it held last
	restarts    int          // of composers, for which the machine had to answer
	stall       atomic.Int64 // the longest time.Duration that this process did not run since then
}

func newShow(t *testing.T) *show {
	s := &show{Server: harness.StartServer(t)}
	s.env = s.Env()
	created, err := s.IVS.CreateChannel(t.Context(), &ivs.CreateChannelInput{Name: aws.String("show")})
	if err != nil {
		t.Fatal(err)
	}
	s.channel, s.key, s.stage = created.Channel, created.StreamKey, s.CreateStage("show")
	s.Publish(s.stage, 1, "Ada")
	s.WaitPublishing(s.stage, 1)
	s.grace = s.Publish(s.stage, 2, "Grace")
	s.WaitPublishing(s.stage, 2)
	s.encoder = s.CreateEncoder(1280, 720, 15, 1_500_000)
	s.composition = s.StartComposition(s.stage, s.channel, s.encoder)
	s.WaitDestination(s.composition.Arn, types.DestinationStateActive)
	harness.WaitPlayable(t, *s.channel.PlaybackUrl)
	s.composers, s.variant = s.Composers(), variantURL(t, *s.channel.PlaybackUrl)
	go s.watchMachine(t.Context())
	if s.playlist, err = harness.Get(t.Context(), s.variant); err != nil {
		t.Fatal(err)
	}
	return s
}

// watchMachine notes how long this process did not run.
func (s *show) watchMachine(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		s.stall.Store(max(s.stall.Load(), int64(now.Sub(last))))
		last = now
	}
}

// goesOn fails the test unless everything still runs: the same composer feeds a playlist that grows, and both
// participants publish. A composer that missed its heartbeats, which are due within two seconds, while this process stood
// still too is the machine's fault.
func (s *show) goesOn(t *testing.T) {
	t.Helper()
	s.WaitDestination(s.composition.Arn, types.DestinationStateActive)
	got, err := s.RealTime.GetComposition(t.Context(), &ivsrealtime.GetCompositionInput{Arn: s.composition.Arn})
	if err != nil || got.Composition.State != types.CompositionStateActive {
		t.Fatalf("the composition is %s, %v", harness.JSON(got), err)
	}
	if pids := s.Composers(); !slices.Equal(pids, s.composers) {
		var now struct {
			Composer struct {
				Restarts int
				LastExit string
			}
		}
		if err := json.Unmarshal(s.Call("GET", "compositions/"+id(*s.composition.Arn), "", nil), &now); err != nil {
			t.Fatal(err)
		}
		stall := time.Duration(s.stall.Swap(0))
		if c := now.Composer; c.Restarts != s.restarts+1 || c.LastExit != "no heartbeat" || stall < time.Second {
			t.Fatalf("composers %v, were %v: %+v; the machine stood still for %v", pids, s.composers, c, stall)
		}
		s.composers, s.restarts = pids, s.restarts+1
	}
	s.WaitPublishing(s.stage, 2)
	before := s.playlist
	for range 2 { // what grew while the step ran could have stopped by now
		harness.Eventually(t, 30*time.Second, "the playlist grows", func(ctx context.Context) (err error) {
			s.playlist, err = harness.Get(ctx, s.variant)
			if err == nil && (s.playlist == before || strings.Contains(s.playlist, "#EXT-X-ENDLIST")) {
				err = fmt.Errorf("it stays\n%s", s.playlist)
			}
			return err
		})
		before = s.playlist
	}
}

// TestBadInput feeds one server with everything that users, programs and strangers get wrong. Each gets a typed
// error, and the show goes on.
func TestBadInput(t *testing.T) {
	s := newShow(t)
	short, err := s.RealTime.CreateParticipantToken(t.Context(), &ivsrealtime.CreateParticipantTokenInput{StageArn: s.stage.Arn, Duration: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"signatures", s.signatures}, {"requests", s.requests}, {"in use", s.inUse}, {"tokens", s.tokens}, {"offers", s.offers},
		{"rtmp garbage", s.rtmpGarbage}, {"encoders", s.encoders}, {"publisher", s.misbehaving},
		{"expired token", func(t *testing.T) { s.expired(t, *short.ParticipantToken.Token) }},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.run(t)
			s.goesOn(t)
		})
	}
}

// request is one on the wire. The zero values are right: now, and the keys of the data dir.
type request struct {
	method, path, body string
	id, secret         string
	skew               time.Duration
	change             func(*http.Request) // after signing
	status             int
	code, words        string // of the answer
}

// try sends a signed request and compares the refusal.
func (s *show) try(t *testing.T, q request) {
	t.Helper()
	if q.method == "" {
		q.method = http.MethodPost
	}
	if q.id == "" {
		q.id = s.env["AWS_ACCESS_KEY_ID"]
	}
	if q.secret == "" {
		q.secret = s.env["AWS_SECRET_ACCESS_KEY"]
	}
	r, err := http.NewRequestWithContext(t.Context(), q.method, s.URL+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256([]byte(q.body))
	keys := aws.Credentials{AccessKeyID: q.id, SecretAccessKey: q.secret}
	if err := v4.NewSigner().SignHTTP(t.Context(), keys, r, hex.EncodeToString(sum[:]), "ivs", "us-east-1", time.Now().Add(q.skew)); err != nil {
		t.Fatal(err)
	}
	if q.change != nil {
		q.change(r)
	}
	answer, body := do(t, r)
	var e struct{ Message, ExceptionMessage string }
	if err := json.Unmarshal(body, &e); err != nil || answer.StatusCode != q.status || answer.Header.Get("X-Amzn-Errortype") != q.code ||
		answer.Header.Get("X-Amzn-Requestid") == "" || !strings.Contains(e.Message, q.words) || e.Message != e.ExceptionMessage {
		t.Errorf("%s %s %.200s: %s %s %s, want %d %s with %q", q.method, q.path, q.body, answer.Status, answer.Header.Get("X-Amzn-Errortype"), body, q.status, q.code, q.words)
	}
}

func do(t *testing.T, r *http.Request) (*http.Response, []byte) {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, body
}

func (s *show) signatures(t *testing.T) {
	const invalid = "InvalidSignatureException"
	body := fmt.Sprintf(`{"arn":%q}`, *s.stage.Arn)
	for _, q := range []request{
		{change: func(r *http.Request) { r.Header.Del("Authorization") }, code: "MissingAuthenticationToken"},
		{change: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, code: "IncompleteSignature"},
		{secret: "wrong", code: invalid, words: "does not match"},
		{id: "AKIAAAAAAAAAAAAAAAAA", code: "UnrecognizedClientException"},
		{skew: -20 * time.Minute, code: invalid, words: "Signature expired"},
		{skew: 20 * time.Minute, code: invalid, words: "not yet current"},
		{change: func(r *http.Request) { r.URL.Path = "/DeleteChannel" }, code: invalid, words: "does not match"},
		{change: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(strings.Repeat(" ", len(body)))) }, code: invalid},
	} {
		q.path, q.body, q.status = "/DeleteStage", body, 403
		s.try(t, q)
	}
}

func (s *show) requests(t *testing.T) {
	const validation, missing = "ValidationException", "ResourceNotFoundException"
	start := func(stageARN, channelARN, encoderARN string) string {
		return fmt.Sprintf(`{"stageArn":%q,"destinations":[{"channel":{"channelArn":%q,"encoderConfigurationArn":%q}}]}`, stageARN, channelARN, encoderARN)
	}
	nobody := func(arn string) string { return arn[:strings.LastIndex(arn, "/")+1] + "AAAAAAAAAAAA" }
	foreign := strings.NewReplacer("us-east-1", "eu-west-1", "000000000000", "123456789012").Replace
	st, ch, en := *s.stage.Arn, *s.channel.Arn, s.encoder
	for _, q := range []request{
		{path: "/CreateChannel", body: `{"name":`, status: 400, code: "SerializationException", words: "JSON"},
		{path: "/CreateChannel", body: `["name"]`, status: 400, code: "SerializationException", words: "object"},
		{path: "/CreateChannel", body: `{"name":7}`, status: 400, code: validation, words: "'name'"},
		{path: "/CreateChannel", body: `{"type":"HUGE"}`, status: 400, code: validation, words: "HUGE"},
		{path: "/ListChannels", body: `{"maxResults":1000}`, status: 400, code: validation, words: "maxResults"},
		{path: "/ListChannels", body: `{"nextToken":"forged"}`, status: 400, code: validation, words: "nextToken"},
		{path: "/CreateStage", body: `{"name":"` + strings.Repeat("n", 129) + `"}`, status: 400, code: validation, words: "'name'"},
		{path: "/CreateParticipantToken", body: fmt.Sprintf(`{"stageArn":%q,"duration":0}`, st), status: 400, code: validation, words: "duration"},
		{path: "/CreateParticipantToken", body: fmt.Sprintf(`{"stageArn":%q,"capabilities":["FLY"]}`, st), status: 400, code: validation, words: "FLY"},
		{path: "/CreateEncoderConfiguration", body: `{"video":{"width":1921}}`, status: 400, code: validation, words: "width"},
		{path: "/CreateEncoderConfiguration", body: `{"video":{"width":639}}`, status: 400, code: validation, words: "even"},
		{path: "/CreateEncoderConfiguration", body: `{"video":{"framerate":0.5}}`, status: 400, code: validation, words: "framerate"},
		{path: "/StartComposition", body: `{"stageArn":"` + st + `","destinations":[]}`, status: 400, code: validation, words: "destinations"},
		{path: "/NoSuchOperation", body: `{}`, status: 404, code: "UnknownOperationException"},
		{path: "/GetChannel", body: `{"arn":"no ARN"}`, status: 400, code: validation, words: "arn"},
		{path: "/GetChannel", body: fmt.Sprintf(`{"arn":%q}`, nobody(ch)), status: 404, code: missing, words: nobody(ch)},
		{path: "/GetChannel", body: fmt.Sprintf(`{"arn":%q}`, foreign(ch)), status: 404, code: missing},
		{path: "/DeleteStage", body: fmt.Sprintf(`{"arn":%q}`, foreign(st)), status: 404, code: missing},
		{path: "/DeleteStage", body: fmt.Sprintf(`{"arn":%q}`, ch), status: 400, code: validation},
		{path: "/StopComposition", body: fmt.Sprintf(`{"arn":%q}`, nobody(*s.composition.Arn)), status: 404, code: missing},
		{path: "/StartComposition", body: start(nobody(st), ch, en), status: 404, code: missing},
		{path: "/StartComposition", body: start(st, foreign(ch), en), status: 400, code: validation, words: "channelArn"},
		{path: "/StartComposition", body: start(st, ch, nobody(en)), status: 404, code: missing},
		{method: "DELETE", path: "/tags/arn%3Aaws%3As3%3A%3A%3Abucket?tagKeys=a", status: 400, code: validation},
	} {
		s.try(t, q)
	}
}

func (s *show) inUse(t *testing.T) {
	arn := func(v string) string { return fmt.Sprintf(`{"arn":%q}`, v) }
	for _, q := range []request{
		{path: "/DeleteChannel", body: arn(*s.channel.Arn), words: "Channel"},
		{path: "/DeleteEncoderConfiguration", body: arn(s.encoder), words: "in use"},
		{path: "/StartComposition", body: fmt.Sprintf(`{"stageArn":%q,"destinations":[{"channel":{"channelArn":%q}}]}`, *s.stage.Arn, *s.channel.Arn), words: "another composition"},
		{path: "/UpdateChannel", body: fmt.Sprintf(`{"arn":%q,"name":"other"}`, *s.channel.Arn), words: "live"},
	} {
		q.status, q.code = 409, "ConflictException"
		s.try(t, q)
	}
}

// knock posts an offer, or dials an events socket when body is empty, and compares the refusal.
func (s *show) knock(t *testing.T, path, token, body string, status int, code stage.Code) {
	t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
		if conn, _, err := websocket.Dial(t.Context(), s.URL+path, &websocket.DialOptions{Subprotocols: []string{token}}); err == nil {
			conn.CloseNow()
			t.Errorf("%s opens a socket with %.40s…", path, token)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/sdp")
	r.Header.Set("Authorization", "Bearer "+token)
	if body == "" {
		r.Header.Set("Sec-WebSocket-Protocol", token)
	}
	answer, text := do(t, r)
	var e struct {
		Code    stage.Code
		Message string
	}
	if err := json.Unmarshal(text, &e); err != nil || answer.StatusCode != status || e.Code != code || e.Message == "" {
		t.Errorf("%s %s %.40q: %s %s, want %d %s", method, path, body, answer.Status, text, status, code)
	}
}

// offer is a browser-like offer to send video in the given codec, and Opus.
func offer(t *testing.T, video string) string {
	t.Helper()
	media := &webrtc.MediaEngine{}
	for kind, capability := range map[webrtc.RTPCodecType]webrtc.RTPCodecCapability{
		webrtc.RTPCodecTypeVideo: {MimeType: video, ClockRate: 90000}, webrtc.RTPCodecTypeAudio: {MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2},
	} {
		if err := media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: capability, PayloadType: webrtc.PayloadType(100 + kind)}, kind); err != nil {
			t.Fatal(err)
		}
	}
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(media)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := pc.AddTransceiverFromKind(kind); err != nil {
			t.Fatal(err)
		}
	}
	out, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out.SDP
}

func (s *show) tokens(t *testing.T) {
	other := s.CreateStage("other")
	events := "/events/" + (*s.stage.Arn)[strings.LastIndex(*s.stage.Arn, "/")+1:]
	whip := offer(t, webrtc.MimeTypeH264)
	good := s.Token(s.stage, "Eve")
	silent, err := s.RealTime.CreateParticipantToken(t.Context(), &ivsrealtime.CreateParticipantTokenInput{
		StageArn: s.stage.Arn, Capabilities: []types.ParticipantTokenCapability{types.ParticipantTokenCapabilitySubscribe}})
	if err != nil {
		t.Fatal(err)
	}
	// More rights than were signed, and a signature of somebody else.
	part := strings.Split(*silent.ParticipantToken.Token, ".")
	claims, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	raised := part[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims), `"allow_subscribe"`, `"allow_publish":true,"allow_subscribe"`, 1))) + "." + part[2]
	swapped := good[:strings.LastIndex(good, ".")+1] + part[2]
	for _, token := range []string{"garbage", raised, swapped} {
		s.knock(t, "/whip", token, whip, 401, stage.TokenMalformed)
		s.knock(t, events, token, "", 401, stage.TokenMalformed)
	}
	s.knock(t, "/whip", *silent.ParticipantToken.Token, whip, 403, stage.InsufficientCapability)
	wrong := s.Token(other, "Eve")
	s.knock(t, events, wrong, "", 403, stage.InsufficientCapability)
	participant := s.participant(t)
	s.knock(t, "/whip/subscribe/"+participant, wrong, whip, 404, stage.PublisherNotFound)
	if _, err := s.RealTime.DeleteStage(t.Context(), &ivsrealtime.DeleteStageInput{Arn: other.Arn}); err != nil {
		t.Fatal(err)
	}
	s.knock(t, "/whip", wrong, whip, 404, stage.StageNotFound)
}

// participant is the id of somebody on the stage.
func (s *show) participant(t *testing.T) string {
	t.Helper()
	got, err := s.RealTime.GetStage(t.Context(), &ivsrealtime.GetStageInput{Arn: s.stage.Arn})
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.RealTime.ListParticipants(t.Context(), &ivsrealtime.ListParticipantsInput{StageArn: s.stage.Arn, SessionId: got.Stage.ActiveSessionId})
	if err != nil || len(list.Participants) == 0 {
		t.Fatalf("nobody is on the stage: %v", err)
	}
	return *list.Participants[0].ParticipantId
}

func (s *show) offers(t *testing.T) {
	token := s.Token(s.stage, "Eve")
	good := offer(t, webrtc.MimeTypeH264)
	s.knock(t, "/whip", token, offer(t, webrtc.MimeTypeVP8), 400, stage.InvalidVideoCodec)
	for _, garbage := range []string{"garbage", "v=0\r\n", good[:len(good)/3], strings.ReplaceAll(good, "a=fingerprint", "a=x"), strings.Repeat("\x00\xff", 5000)} {
		s.knock(t, "/whip", token, garbage, 400, stage.InvalidInput)
	}
}

// expired waits for the end of the shortest token that can be had, a minute.
func (s *show) expired(t *testing.T, token string) {
	whip := offer(t, webrtc.MimeTypeVP8) // refused either way
	harness.Eventually(t, 70*time.Second, "the token expires", func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/whip", strings.NewReader(whip))
		if err != nil {
			return err
		}
		r.Header = http.Header{"Content-Type": {"application/sdp"}, "Authorization": {"Bearer " + token}}
		if answer, _ := do(t, r); answer.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("answered %s", answer.Status)
		}
		return nil
	})
	s.knock(t, "/whip", token, offer(t, webrtc.MimeTypeH264), 401, stage.TokenExpired)
	s.knock(t, "/events/"+(*s.stage.Arn)[strings.LastIndex(*s.stage.Arn, "/")+1:], token, "", 401, stage.TokenExpired)
}
