package channel

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/leak"
	"github.com/footlight-live/footlight/internal/transcode/ladder/worker"
)

// TestMain is also the program: servers start it as the process of a ladder.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "ladder" {
		if worker.Process(os.Stdin, os.Stdout, os.Args[2], os.Args[3], slog.New(slog.NewTextHandler(os.Stderr, nil))) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	leak.Main(m)
}

const (
	testARN  = "arn:aws:ivs:us-east-1:000000000000:channel/AbCdEf123456"
	testName = "us-east-1.000000000000.channel.AbCdEf123456"
	testPath = playbackRoot + testName + ".m3u8"

	secureKey      = "sk_us-east-1_AbCdEf123456_secure"
	plainKey       = "sk_us-east-1_AbCdEf123456_plain"
	compositionKey = "cp_us-east-1_AbCdEf123456_comp1_secret"

	otherKey = "sk_us-east-1_ZyXwVu654321_plain" // of another channel
	otherARN = "arn:aws:ivs:us-east-1:000000000000:channel/ZyXwVu654321"

	passphrase = "0123456789abcdef"
)

// directory knows one channel under three keys, and another one.
type directory struct {
	authorized, restricted, normal, fragmented bool
	multitrack                                 Multitrack
	ladder                                     Ladder
	recorded                                   []Resolution // nil: not recorded
}

func (d directory) ResolveStreamKey(_ context.Context, key string) (Publisher, error) {
	p := Publisher{Channel: Channel{ARN: testARN, ID: "AbCdEf123456", Name: "test", Authorized: d.authorized, Restricted: d.restricted, NormalLatency: d.normal, FragmentedMP4: d.fragmented, Multitrack: d.multitrack, Ladder: d.ladder, Recorded: d.recorded != nil, RecordedSizes: d.recorded}, Source: "encoder", Passphrase: passphrase}
	switch key {
	case secureKey:
	case plainKey:
		p.AllowPlain = true
	case otherKey:
		p.Channel.ARN, p.Channel.ID, p.AllowPlain = otherARN, "ZyXwVu654321", true
	case compositionKey:
		p.Source, p.AllowPlain = "composition/comp1", true
	default:
		return Publisher{}, ErrUnknownStreamKey
	}
	return p, nil
}

func (directory) ResolveChannel(context.Context, string, string, string) (Channel, error) {
	return Channel{}, ErrUnknownChannel
}

// inBoth runs a test for channels of both containers.
func inBoth(t *testing.T, test func(t *testing.T, d directory)) {
	for name, d := range map[string]directory{"TS": {}, "fMP4": {fragmented: true}} {
		t.Run(name, func(t *testing.T) { test(t, d) })
	}
}

// recorder keeps the events of a test.
type recorder struct {
	mu     sync.Mutex
	events []Event
	more   chan struct{}
}

func newRecorder() *recorder { return &recorder{more: make(chan struct{}, 100)} }

func (r *recorder) Observe(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	select {
	case r.more <- struct{}{}:
	default: // enough to wake who waits
	}
}

// await returns the events once there are n.
func (r *recorder) await(t *testing.T, n int) []Event {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		r.mu.Lock()
		events := r.events
		r.mu.Unlock()
		if len(events) >= n {
			return events
		}
		select {
		case <-r.more:
		case <-deadline:
			t.Fatalf("have %d events, want %d", len(events), n)
		}
	}
}

// awaitLife does the same without the events of health, which depend on how busy the machine is.
func (r *recorder) awaitLife(t *testing.T, n int) []Event {
	t.Helper()
	for have := n; ; {
		all := r.await(t, have)
		life := slices.DeleteFunc(slices.Clone(all), func(e Event) bool { return e.Kind == StarvationStart || e.Kind == StarvationEnd })
		if len(life) >= n {
			return life
		}
		have = len(all) + n - len(life)
	}
}

func kinds(events []Event) []EventKind {
	var k []EventKind
	for _, e := range events {
		k = append(k, e.Kind)
	}
	return k
}

// site is a running server and its playback side.
type site struct {
	*Server
	events *recorder
	web    *httptest.Server
	log    *logBuffer
}

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start boots a real server on loopback. Change adapts it before.
func start(t *testing.T, change func(*Server)) *site {
	t.Helper()
	s := &site{events: newRecorder(), log: &logBuffer{}}
	out := io.Writer(s.log)
	if os.Getenv("CHANNEL_LOG") != "" {
		out = io.MultiWriter(s.log, os.Stderr)
	}
	s.Server = &Server{
		RTMPAddr: "127.0.0.1:0", RTMPSAddr: "127.0.0.1:0", SRTAddr: "127.0.0.1:0", TLS: selfSigned(t),
		Directory: directory{}, Observer: s.events, Log: slog.New(slog.NewTextHandler(out, nil)),
	}
	if change != nil {
		change(s.Server)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.web = httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		s.Close()
		s.web.Close()
		http.DefaultClient.CloseIdleConnections()
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	return s
}

func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (s *site) plainURL(key string) string  { return "rtmp://" + s.RTMPAddress() + "/app/" + key }
func (s *site) secureURL(key string) string { return "rtmps://" + s.RTMPSAddress() + "/app/" + key }

// srtURL is for ffmpeg, with more of the address's query.
func (s *site) srtURL(key, more string) string {
	return "srt://" + s.SRTAddress() + "?streamid=" + key + more
}

// get fetches a path or an absolute address and returns status, header and body.
func (s *site) get(t *testing.T, address string) (int, http.Header, string) {
	t.Helper()
	if strings.HasPrefix(address, "/") {
		address = s.web.URL + address
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(body)
}

// mediaURL fetches the multivariant playlist and returns the address of the media playlist in it.
func (s *site) mediaURL(t *testing.T) string {
	t.Helper()
	status, _, body := s.get(t, testPath)
	if status != http.StatusOK {
		t.Fatalf("multivariant playlist: status %d: %s", status, body)
	}
	return playbackRoot + addressIn(t, body)
}

// addressIn returns the address in a multivariant playlist.
func addressIn(t *testing.T, body string) string {
	t.Helper()
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no address in %s", body)
	return ""
}
