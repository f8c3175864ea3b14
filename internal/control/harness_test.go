package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	ivssdk "github.com/aws/aws-sdk-go-v2/service/ivs"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/leak"
	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/store"
)

func TestMain(m *testing.M) {
	flushTimeout = time.Minute // what was observed is read as it is, however slow the disk
	leak.Main(m)
}

const (
	keyID  = "AKIAIOSFODNN7EXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

type oneKey struct{}

func (oneKey) Lookup(id string) (string, bool) { return secret, id == keyID }

// fixture is a Control behind the real API on loopback, with the official clients.
type fixture struct {
	*Control
	dir          string
	http         *httptest.Server
	ivs          *ivssdk.Client
	rt           *rtsdk.Client
	streams      *fakeStreams
	stages       *fakeStages
	compositions *fakeCompositions
	recorder     *record.Recorder
}

var testURLs = URLs{
	HTTP: "http://127.0.0.1:4080", Events: "ws://127.0.0.1:4080/events", WHIP: "http://127.0.0.1:4080/whip",
	RTMP: "rtmp://127.0.0.1:1935/app/", RTMPS: "rtmps://127.0.0.1:1936/app/", IngestEndpoint: "127.0.0.1:1936",
}

// start runs a Control over a new store. configure, if any, changes it before its Start.
func start(t testing.TB, configure ...func(*Control)) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir()}
	f.up(t, configure...)
	t.Cleanup(func() { f.down() })
	return f
}

func (f *fixture) up(t testing.TB, configure ...func(*Control)) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: f.dir})
	if err != nil {
		t.Fatal(err)
	}
	f.streams = &fakeStreams{live: map[string]channel.Stream{}}
	f.stages = &fakeStages{sessions: map[string]string{}}
	f.compositions = &fakeCompositions{used: map[string]bool{}, fed: map[string]bool{}}
	objects, err := objectstore.Open(t.Context(), objectstore.Config{Dir: filepath.Join(f.dir, "objects")})
	if err != nil {
		t.Fatal(err)
	}
	f.recorder = &record.Recorder{Dir: filepath.Join(f.dir, "spool"), Objects: objects}
	if err := f.recorder.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Control = &Control{
		Store: s, Objects: objects, Recorder: f.recorder, URLs: func() URLs { return testURLs },
		Streams: f.streams, Stages: f.stages, Compositions: f.compositions,
	}
	for _, change := range configure {
		change(f.Control)
	}
	if err := f.Control.Start(t.Context()); err != nil {
		s.Close()
		t.Fatal(err)
	}
	f.http = httptest.NewServer(&api.Handler{
		Operations: slices.Concat(ivs.Operations(f.IVS()), ivsrealtime.Operations(f.RealTime())),
		Keys:       oneKey{},
	})
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, nil
	})
	f.ivs = ivssdk.New(ivssdk.Options{Region: "us-east-1", BaseEndpoint: &f.http.URL, Credentials: credentials, HTTPClient: f.http.Client(), RetryMaxAttempts: 1})
	f.rt = rtsdk.New(rtsdk.Options{Region: "us-east-1", BaseEndpoint: &f.http.URL, Credentials: credentials, HTTPClient: f.http.Client(), RetryMaxAttempts: 1})
}

// down ends everything; the directory stays.
func (f *fixture) down() {
	f.http.Close()
	f.Control.Close()
	f.recorder.Close()
	f.Control.Store.Close()
}

// restart ends everything and starts it again on the same directory.
func (f *fixture) restart(t testing.TB) {
	t.Helper()
	f.down()
	f.up(t)
}

// call sends a signed request and returns the JSON of the answer. A status of 400 and above is an error.
func (f *fixture) call(t testing.TB, operation, body string) (map[string]any, error) {
	t.Helper()
	return f.send(t, http.MethodPost, "/"+operation, body)
}

func (f *fixture) send(t testing.TB, method, target, body string) (map[string]any, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, f.http.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	credentials := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), "ivs", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	response, err := f.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &out); err != nil {
			t.Fatalf("%s answered %q: %v", target, data, err)
		}
	}
	if response.StatusCode >= 400 {
		message, _ := out["message"].(string)
		return nil, &api.Error{Code: response.Header.Get("X-Amzn-Errortype"), Status: response.StatusCode, Message: message}
	}
	return out, nil
}

// must calls an operation that has to succeed.
func (f *fixture) must(t testing.TB, operation, body string) map[string]any {
	t.Helper()
	out, err := f.call(t, operation, body)
	if err != nil {
		t.Fatalf("%s %s: %v", operation, body, err)
	}
	return out
}

// refused calls an operation that has to fail with the code, the status and words in the message.
func (f *fixture) refused(t testing.TB, operation, body string, status int, code, words string) {
	t.Helper()
	_, err := f.call(t, operation, body)
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		t.Errorf("%s %s succeeded, want %d %s", operation, body, status, code)
		return
	}
	if e.Status != status || e.Code != code || !strings.Contains(e.Message, words) {
		t.Errorf("%s %s: %d %v, want %d %s with %q", operation, body, e.Status, e, status, code, words)
	}
}

// echo compares the JSON of an answer with what the specification says.
func echo(t testing.TB, got map[string]any, want string) {
	t.Helper()
	var w map[string]any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, got); diff != "" {
		t.Errorf("response differs from the specification (-want +got):\n%s", diff)
	}
}

// at walks down an answer.
func at(t testing.TB, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = v.(map[string]any)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	return v
}

func text(t testing.TB, v any, path ...any) string {
	t.Helper()
	s, ok := at(t, v, path...).(string)
	if !ok {
		t.Fatalf("no text at %v in %v", path, v)
	}
	return s
}

// sdkCode is the code and the type name of an SDK's error.
func sdkCode(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func escaped(resource string) string { return "/tags/" + url.PathEscape(resource) }

// fakeStreams is the live side of channels. Guarded by mu.
type fakeStreams struct {
	mu       sync.Mutex
	live     map[string]channel.Stream
	stopped  []string
	metadata []string
	inBreak  bool
}

func (f *fakeStreams) Stream(channelARN string) (channel.Stream, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.live[channelARN]
	return s, ok
}

func (f *fakeStreams) Streams() []channel.Stream {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.live))
}

func (f *fakeStreams) Stop(channelARN, reason string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.live[channelARN]; !ok {
		return channel.ErrNotLive
	}
	delete(f.live, channelARN)
	f.stopped = append(f.stopped, channelARN+" "+reason)
	return nil
}

func (f *fakeStreams) PutMetadata(channelARN, text string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.live[channelARN]; !ok {
		return channel.ErrNotLive
	}
	f.metadata = append(f.metadata, channelARN+" "+text)
	return nil
}

func (f *fakeStreams) InsertAdBreak(channelARN, id string, _ time.Duration) (channel.AdBreak, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.live[channelARN]; !ok {
		return channel.AdBreak{}, channel.ErrNotLive
	}
	if f.inBreak {
		return channel.AdBreak{}, channel.ErrInAdBreak
	}
	f.inBreak = true
	return channel.AdBreak{ID: id}, nil
}

func (f *fakeStreams) set(s channel.Stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live[s.ChannelARN] = s
}

func (f *fakeStreams) end(channelARN string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.live, channelARN)
}

// fakeStages is the live side of stages. Guarded by mu.
type fakeStages struct {
	mu       sync.Mutex
	sessions map[string]string
	calls    []string
}

func (f *fakeStages) CloseStage(stageID, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sessions, stageID)
	f.calls = append(f.calls, "close "+stageID)
}

func (f *fakeStages) Disconnect(stageID, participantID, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "disconnect "+stageID+" "+participantID+": "+reason)
}

func (f *fakeStages) StartReplication(context.Context, stage.Replication) error {
	return stage.ErrNotPublishing
}

func (f *fakeStages) ResumeReplication(stage.Replication) error { return nil }

func (f *fakeStages) StopReplication(string, string, string) bool { return false }

func (f *fakeStages) Listen(context.Context, string, string) (*stage.Ear, error) {
	return nil, &stage.Error{Code: stage.PublisherNotFound}
}

func (f *fakeStages) ActiveSession(stageID string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sessions[stageID]
}

func (f *fakeStages) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// fakeCompositions uses what the test says. Guarded by mu.
type fakeCompositions struct {
	mu      sync.Mutex
	used    map[string]bool
	fed     map[string]bool // composition and channel ARN
	deleted []string
}

func (f *fakeCompositions) InUse(_ context.Context, kind arn.Type, resourceARN string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used[string(kind)+" "+resourceARN], nil
}

func (f *fakeCompositions) Feeds(_ context.Context, id, channelARN string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fed[id+" "+channelARN], nil
}

func (f *fakeCompositions) StageDeleted(_ context.Context, stageARN string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deleted = append(f.deleted, stageARN)
	return nil
}

func (f *fakeCompositions) use(kind arn.Type, resourceARN string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used[string(kind)+" "+resourceARN] = on
}

func (f *fakeCompositions) feed(id, channelARN string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fed[id+" "+channelARN] = on
}
