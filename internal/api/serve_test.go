package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
)

const (
	keyID  = "AKIAIOSFODNN7EXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

type oneKey struct{}

func (oneKey) Lookup(id string) (string, bool) { return secret, id == keyID }

var testCredentials = aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}

// server is a Handler on loopback with everything that it logs.
type server struct {
	*httptest.Server
	log *logText
}

// logText collects a log. Guarded by its mutex.
type logText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts a server whose clock is ahead of ours by skew.
func serve(t testing.TB, channels ivs.Service, stages ivsrealtime.Service, skew time.Duration) *server {
	t.Helper()
	log := new(logText)
	s := httptest.NewServer(&api.Handler{
		Operations: slices.Concat(ivs.Operations(channels), ivsrealtime.Operations(stages)),
		Keys:       oneKey{},
		Log:        slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:        func() time.Time { return time.Now().Add(skew) },
	})
	t.Cleanup(s.Close)
	return &server{s, log}
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// send signs a request and sends it.
func (s *server) send(t testing.TB, method, target, body string) answer {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(context.Background(), testCredentials, r, hex.EncodeToString(sum[:]), "ivs", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	return s.do(t, r)
}

// do sends a request as it is.
func (s *server) do(t testing.TB, r *http.Request) answer {
	t.Helper()
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}
