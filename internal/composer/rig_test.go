package composer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/synth"
)

const (
	patience = 90 * time.Second // for anything that must happen on a loaded machine
	stageID  = "stageAAAA001"
)

var account = arn.Account{Region: "us-east-1", ID: "000000000000"}

// rig is a stage and a channel server, without the control plane: every token and every key is good.
type rig struct {
	t       *testing.T
	stage   *stage.Server
	channel *channel.Server
	http    *httptest.Server
}

// Admit takes "<id>.<claims>." for a participant and "hidden" for a composer. Of the claims the attributes count.
func (r *rig) Admit(_ context.Context, bearer string) (stage.Grant, error) {
	bearer, rest, _ := strings.Cut(bearer, ".")
	var claims struct{ Attributes map[string]string }
	if body, err := base64.RawURLEncoding.DecodeString(strings.TrimSuffix(rest, ".")); err == nil {
		_ = json.Unmarshal(body, &claims) // none for the composer
	}
	return stage.Grant{StageID: stageID, StageARN: account.Of(arn.Stage, stageID).String(), ParticipantID: bearer, UserID: bearer,
		Attributes: claims.Attributes, Publish: true, Subscribe: true, Hidden: bearer == "hidden", Expires: time.Now().Add(time.Hour)}, nil
}

func (r *rig) ResolveStreamKey(_ context.Context, key string) (channel.Publisher, error) {
	if key == "unknown" {
		return channel.Publisher{}, channel.ErrUnknownStreamKey
	}
	id := "chan00000001"
	if key == "key2" {
		id = "chan00000002"
	}
	ch, err := r.ResolveChannel(context.Background(), account.Region, account.ID, id)
	return channel.Publisher{Channel: ch, Source: "composition/test", AllowPlain: true}, err
}

func (r *rig) ResolveChannel(_ context.Context, _, _, id string) (channel.Channel, error) {
	return channel.Channel{ARN: account.Of(arn.Channel, id).String(), ID: id}, nil
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	mux := http.NewServeMux()
	r.http = httptest.NewServer(mux)
	r.stage = &stage.Server{UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0", PublicURL: func() string { return r.http.URL }, Admission: r, Log: log}
	r.channel = &channel.Server{RTMPAddr: "127.0.0.1:0", Directory: r, Log: log}
	for _, start := range []func(context.Context) error{r.stage.Start, r.channel.Start} {
		if err := start(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	mux.Handle("/api/video/v1/", r.channel.Handler())
	mux.Handle("/", r.stage.Handler())
	t.Cleanup(func() {
		r.channel.Close()
		r.stage.Close()
		r.http.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return r
}

func (r *rig) playback() string {
	return r.http.URL + "/api/video/v1/" + account.Region + "." + account.ID + ".channel.chan00000001.m3u8"
}

// events is where the events sockets of all stages are.
func (r *rig) events() string { return "ws" + strings.TrimPrefix(r.http.URL, "http") + "/events" }

// publish puts a synthetic participant on the stage, and returns when it is there.
func (r *rig) publish(index int, change func(*synth.Publisher)) *synth.Publisher {
	r.t.Helper()
	id := "participant" + string(rune('A'+index))
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"events_url":"` + r.events() + `","topic":"` + stageID + `"}`))
	p := &synth.Publisher{WHIPURL: r.http.URL + "/whip", Token: id + "." + claims + ".", Name: id, Index: index, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(p)
	}
	there := make(chan struct{}, 1)
	p.OnState = func(state synth.State, _ string) {
		if state == synth.Live {
			select {
			case there <- struct{}{}:
			default:
			}
		}
	}
	if err := p.Start(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { p.Close() })
	select {
	case <-there:
	case <-time.After(patience):
		r.t.Fatalf("%s does not come onto the stage", id)
	}
	return p
}

// server is the other end of a composer's socket.
type server struct {
	*wire.Conn
	t    *testing.T
	done chan error

	mu        sync.Mutex
	cond      sync.Cond
	ready     bool
	states    map[string][]wire.DestinationState
	failure   wire.Destination
	heartbeat wire.Heartbeat
	stopped   *wire.Stopped
}

// compose runs a composer in this process.
func (r *rig) compose(change func(*wire.Job)) *server {
	a, b := net.Pipe()
	s := &server{Conn: wire.NewConn(a), t: r.t, done: make(chan error, 1), states: map[string][]wire.DestinationState{}}
	s.cond.L = &s.mu
	job := wire.Job{CompositionID: "composition1", EventsURL: r.events() + "/" + stageID,
		WHIPURL: r.http.URL + "/whip", Token: "hidden", Layout: json.RawMessage(`{}`),
		Outputs: []wire.OutputJob{{DestinationID: "d1", URL: "rtmp://" + r.channel.RTMPAddress() + "/app/", StreamKey: "key", Width: 1280, Height: 720, FrameRate: 30, BitRate: 2_500_000}}}
	if change != nil {
		change(&job)
	}
	log := slog.New(slog.NewTextHandler(testWriter{r.t}, nil))
	c := &Composer{Conn: wire.NewConn(b), Log: log}
	go func() {
		err := c.Run(context.Background())
		b.Close()
		s.done <- err
	}()
	go s.listen()
	if err := s.Send(wire.Message{Job: &job}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { s.Close(); s.wait() })
	return s
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func (s *server) listen() {
	for {
		m, err := s.Receive()
		s.mu.Lock()
		switch {
		case err != nil:
			s.cond.Broadcast()
			s.mu.Unlock()
			return
		case m.Ready != nil:
			s.ready = true
		case m.Heartbeat != nil:
			s.heartbeat = *m.Heartbeat
		case m.Destination != nil:
			s.states[m.Destination.ID] = append(s.states[m.Destination.ID], m.Destination.State)
			if m.Destination.State == wire.Failed {
				s.failure = *m.Destination
			}
		case m.Stopped != nil:
			s.stopped = m.Stopped
		}
		s.cond.Broadcast()
		s.mu.Unlock()
	}
}

// until waits for something that messages bring about.
func (s *server) until(what string, ok func() bool) {
	s.t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		s.mu.Lock()
		late = true
		s.mu.Unlock()
		s.cond.Broadcast()
	})
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !ok() {
		if late {
			s.t.Fatalf("no %s: ready %v, states %v, heartbeat %+v", what, s.ready, s.states, s.heartbeat)
		}
		s.cond.Wait()
	}
}

// participant is what the latest heartbeat says of one, empty while it says nothing. Its ID is as rig.publish makes it.
func (s *server) participant(index int) (in wire.Input, tile wire.Tile) {
	id := "participant" + string(rune('A'+index))
	for _, p := range s.heartbeat.Participants {
		if p.ID == id {
			in = p
		}
	}
	for _, c := range s.heartbeat.Canvases {
		for _, t := range c.Tiles {
			if t.ParticipantID == id {
				tile = t
			}
		}
	}
	return in, tile
}

// shows waits for the state of a participant's video, and for the tile that goes with it.
func (s *server) shows(index int, video trackState, shows string) {
	s.t.Helper()
	s.until("video "+string(video)+" that shows as "+shows, func() bool {
		in, tile := s.participant(index)
		return in.Video == string(video) && tile.Shows == shows
	})
}

func (s *server) state(id string) wire.DestinationState {
	all := s.states[id]
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// wait returns how the composer ended.
func (s *server) wait() error {
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(patience):
		s.t.Error("the composer does not end")
		return nil
	}
}
