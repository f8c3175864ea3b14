package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/api/sigv4"
	"github.com/footlight-live/footlight/internal/control"
	"github.com/footlight-live/footlight/internal/server"
	"github.com/footlight-live/footlight/internal/store"
)

// key is the only access key.
var key = aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}

type keys struct{}

func (keys) Lookup(id string) (string, bool) { return key.SecretAccessKey, id == key.AccessKeyID }

// rig is the API over a store, without media, on a port of loopback.
type rig struct {
	store   *store.Store
	control *control.Control
	handler *api.Handler
}

func newRig(ctx context.Context, dir string) (*rig, error) {
	server.DelayCollector() // as footlight serve does
	s, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	urls := control.URLs{
		HTTP: "http://127.0.0.1:4080", Events: "ws://127.0.0.1:4080/events", WHIP: "http://127.0.0.1:4080/whip",
		RTMP: "rtmp://127.0.0.1:1935/app/", RTMPS: "rtmps://127.0.0.1:1936/app/", IngestEndpoint: "127.0.0.1:1936",
	}
	c := &control.Control{
		Store: s, URLs: func() control.URLs { return urls }, Log: slog.New(slog.DiscardHandler),
		Quotas: control.Quotas{Channels: 1_000_000, Stages: 1_000_000},
	}
	if err := c.Start(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return &rig{s, c, &api.Handler{
		Operations: slices.Concat(ivs.Operations(c.IVS()), ivsrealtime.Operations(c.RealTime())),
		Keys:       keys{}, Log: slog.New(slog.DiscardHandler),
	}}, nil
}

func (r *rig) close() {
	r.control.Close()
	r.store.Close()
}

// seed makes channels and stages, and returns the ARN of one stage.
func (r *rig) seed(ctx context.Context, channels, stages int) (stage string, err error) {
	var work sync.WaitGroup
	var mu sync.Mutex
	const hands = 16
	for hand := range hands {
		work.Go(func() {
			for i := hand; i < channels+stages; i += hands {
				var failed error
				if i < channels {
					_, failed = r.control.IVS().CreateChannel(ctx, &ivs.CreateChannelRequest{Name: new(fmt.Sprintf("channel-%d", i)), Tags: map[string]string{"team": "live"}})
				} else {
					out, e := r.control.RealTime().CreateStage(ctx, &ivsrealtime.CreateStageRequest{Name: new(fmt.Sprintf("stage-%d", i))})
					if failed = e; e == nil {
						mu.Lock()
						stage = *out.Stage.Arn
						mu.Unlock()
					}
				}
				if failed != nil {
					mu.Lock()
					err = failed
					mu.Unlock()
					return
				}
			}
		})
	}
	work.Wait()
	return stage, err
}

// bare is the least that could answer: it verifies the signature, does what it was given to do, if anything, and writes
// bytes that it was given.
func bare(body []byte, do func(context.Context) error) http.Handler {
	v := &sigv4.Verifier{Keys: keys{}, Services: []string{"ivs", "ivsrealtime"}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := v.Verify(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		if do != nil {
			if err := do(r.Context()); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body) // who has gone away needs no answer
	})
}

// listen serves a handler on loopback until the function is called.
func listen(h http.Handler) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go s.Serve(l) // ends with Close
	return l.Addr().String(), func() { s.Close() }, nil
}

// target is something to send a request to, again and again.
type target struct {
	what    string
	address string
	wire    []byte // the request as it goes over the wire; its signature is good for 15 minutes
}

func newTarget(what, address, operation, body string) (target, error) {
	r, err := http.NewRequest(http.MethodPost, "http://"+address+"/"+operation, strings.NewReader(body))
	if err != nil {
		return target{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(context.Background(), key, r, hex.EncodeToString(sum[:]), "ivs", "us-east-1", time.Now()); err != nil {
		return target{}, err
	}
	var wire bytes.Buffer
	r.Body = io.NopCloser(strings.NewReader(body))
	if err := r.Write(&wire); err != nil {
		return target{}, err
	}
	return target{what, address, wire.Bytes()}, nil
}

// answerOf sends the request once.
func answerOf(t target) (body []byte, err error) {
	c, err := dial(t)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	return body, c.do(&body)
}
