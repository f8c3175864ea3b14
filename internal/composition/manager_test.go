package composition

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/store"
)

const patience = 90 * time.Second // for anything that must happen on a loaded machine

var account = arn.Account{Region: "us-east-1", ID: "000000000000"}

// rig is a manager with the real composer, an empty stage and a channel server that take every credential.
type rig struct {
	*Manager
	t       *testing.T
	dir     string
	stage   *stage.Server
	channel *channel.Server
	http    *httptest.Server

	gone atomic.Bool // the stage has been deleted
	mu   sync.Mutex
	pids []int // of the composers, from the log
}

func (r *rig) Admit(_ context.Context, bearer string) (stage.Grant, error) {
	return stage.Grant{StageID: bearer, StageARN: account.Of(arn.Stage, bearer).String(), ParticipantID: "hidden",
		Subscribe: true, Hidden: true, Expires: time.Now().Add(time.Hour)}, nil
}

func (r *rig) ResolveStreamKey(ctx context.Context, key string) (channel.Publisher, error) {
	ch, err := r.ResolveChannel(ctx, "", "", key)
	return channel.Publisher{Channel: ch, Source: "composition/" + key, AllowPlain: true}, err
}

func (r *rig) ResolveChannel(_ context.Context, _, _, id string) (channel.Channel, error) {
	return channel.Channel{ARN: account.Of(arn.Channel, id).String(), ID: id}, nil
}

// pidHandler collects the composers' process ids from the log.
type pidHandler struct {
	rig *rig
	slog.Handler
}

func (h pidHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if a.Key == "pid" {
			h.rig.mu.Lock()
			h.rig.pids = append(h.rig.pids, int(a.Value.Int64()))
			h.rig.mu.Unlock()
		}
	}
	return pidHandler{h.rig, h.Handler.WithAttrs(attrs)}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func newRig(t *testing.T) *rig {
	if composerPath == "" {
		t.Skip("the composer cannot be built here")
	}
	r := &rig{t: t, dir: t.TempDir()}
	mux := http.NewServeMux()
	r.http = httptest.NewServer(mux)
	quiet := slog.New(slog.DiscardHandler)
	r.stage = &stage.Server{UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0", Admission: r, Log: quiet}
	r.channel = &channel.Server{RTMPAddr: "127.0.0.1:0", Directory: r, Log: quiet, Grace: time.Minute} // a busy machine starts a composer slowly
	for _, start := range []func(context.Context) error{r.stage.Start, r.channel.Start} {
		if err := start(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	mux.Handle("/", r.stage.Handler())
	r.up()
	t.Cleanup(func() {
		r.down()
		r.channel.Close()
		r.stage.Close()
		r.http.Close()
	})
	return r
}

// up starts a manager on the directory's records, down ends it like a server that ends.
func (r *rig) up() {
	s, err := store.Open(r.t.Context(), store.Options{Dir: r.dir})
	if err != nil {
		r.t.Fatal(err)
	}
	log := slog.New(pidHandler{r, slog.NewTextHandler(testWriter{r.t}, nil)})
	r.Manager = &Manager{Store: s, Composer: composerPath, Job: r.job, Finish: r.channel.Finish, Log: log}
	if err := r.Manager.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) down() {
	r.Manager.Close()
	r.Manager.Store.Close()
}

func (r *rig) job(_ context.Context, rec Record) (wire.Job, error) {
	if r.gone.Load() {
		return wire.Job{}, fmt.Errorf("job of composition %s: %w", rec.ID, ErrStageGone)
	}
	j := wire.Job{CompositionID: rec.ID, EventsURL: "ws" + strings.TrimPrefix(r.http.URL, "http") + "/events/stage1",
		WHIPURL: r.http.URL + "/whip", Token: "stage1", Layout: rec.Layout}
	for _, d := range rec.Destinations {
		if d.State.Ended() {
			continue
		}
		a, err := arn.Parse(d.ChannelARN)
		if err != nil {
			return j, err
		}
		j.Outputs = append(j.Outputs, wire.OutputJob{DestinationID: d.ID, URL: "rtmp://" + r.channel.RTMPAddress() + "/app/", StreamKey: a.ID,
			Width: d.Video.Width, Height: d.Video.Height, FrameRate: d.Video.FrameRate, BitRate: d.Video.BitRate})
	}
	return j, nil
}

func newRecord(id string) Record {
	return Record{ID: id, StageARN: account.Of(arn.Stage, "stage1").String(), State: Starting, Started: time.Now().UTC(), Layout: json.RawMessage(`{}`),
		Destinations: []Destination{{ID: "d-" + id, ChannelARN: account.Of(arn.Channel, "ch"+id).String(), State: Starting,
			Video: Video{Width: 320, Height: 180, FrameRate: 15, BitRate: 200_000}}}}
}

var plenty = Limits{Account: 20, Stage: 5}

func (r *rig) create(id string) {
	r.t.Helper()
	if _, err := r.Create(r.t.Context(), newRecord(id), plenty); err != nil {
		r.t.Fatal(err)
	}
}

// until polls a composition until ok: states come from another process, which nothing here can wait for.
func (r *rig) until(id, what string, ok func(Record) bool) Record {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		rec, err := r.Get(context.Background(), id)
		if err == nil && ok(rec) {
			return rec
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s is not %s: %+v, %v", id, what, rec, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func active(r Record) bool { return r.State == Active && r.Destinations[0].State == Active }

// composer is the pid of the newest composer.
func (r *rig) composer() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pids[len(r.pids)-1]
}

func (r *rig) stream(id string) string {
	s, _ := r.channel.Stream(account.Of(arn.Channel, "ch"+id).String())
	return s.ID
}

// playable waits until the channel has something to continue, and returns its stream.
func (r *rig) playable(id string) string {
	r.until(id, "playable", func(Record) bool {
		s, ok := r.channel.Stream(account.Of(arn.Channel, "ch"+id).String())
		return ok && s.Video != nil && s.Audio != nil
	})
	return r.stream(id)
}

func TestLife(t *testing.T) {
	r := newRig(t)
	r.create("one")
	rec := r.until("one", "active", active)
	if rec.Destinations[0].Started.IsZero() || !rec.Ended.IsZero() {
		t.Errorf("times of an active composition: %+v", rec)
	}
	if used, err := r.InUse(t.Context(), rec.Destinations[0].ChannelARN); !used || err != nil {
		t.Errorf("in use: %v %v", used, err)
	}
	if err := r.Stop(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if rec, err := r.Get(t.Context(), "one"); err != nil || rec.State != Stopping && rec.State != Stopped {
		t.Errorf("right after Stop: %v %v", rec.State, err)
	}
	rec = r.until("one", "stopped", func(r Record) bool { return r.State.Ended() })
	if rec.State != Stopped || rec.Destinations[0].State != Stopped || rec.Ended.IsZero() || rec.Destinations[0].Ended.IsZero() {
		t.Errorf("after the end: %+v", rec)
	}
	if err := r.Stop(t.Context(), "one"); err != nil {
		t.Errorf("stop again: %v", err)
	}
	if err := r.Stop(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("stop of nobody: %v", err)
	}
	if r.stream("one") != "" {
		t.Error("the channel is live after the end")
	}
}

// TestComposerDies: after kill -9, a hang and garbage a new composer continues the same stream of the channel.
func TestComposerDies(t *testing.T) {
	r := newRig(t)
	r.create("two")
	r.until("two", "active", active)
	stream := r.playable("two")
	for name, signal := range map[string]syscall.Signal{"kill -9": syscall.SIGKILL, "hang": syscall.SIGSTOP} {
		old := r.composer()
		if err := syscall.Kill(old, signal); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.until("two", "composed anew after "+name, func(rec Record) bool { return r.composer() != old && active(rec) })
		t.Logf("%s: active again after %v", name, time.Since(began))
		if got := r.playable("two"); got != stream {
			t.Errorf("%s: the stream is %s, was %s", name, got, stream)
		}
		if err := syscall.Kill(old, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s: the old composer %d is still there: %v", name, old, err)
		}
	}
}

// TestServerRestarts: a composition goes on after the end of the manager, to the same destination.
func TestServerRestarts(t *testing.T) {
	r := newRig(t)
	r.create("three")
	r.until("three", "active", active)
	stream, old := r.playable("three"), r.composer()
	r.down()
	if err := syscall.Kill(old, 0); !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("the composer outlives the manager: %v", err)
	}
	r.up()
	began := time.Now()
	r.until("three", "active again", func(rec Record) bool { return r.composer() != old && active(rec) })
	t.Logf("active again after %v", time.Since(began))
	if got := r.stream("three"); got != stream {
		t.Errorf("the stream is %s, was %s", got, stream)
	}
}

func TestStageDeleted(t *testing.T) {
	r := newRig(t)
	r.create("four")
	r.until("four", "active", active)
	if err := r.StageDeleted(t.Context(), account.Of(arn.Stage, "stage1").String()); err != nil {
		t.Fatal(err)
	}
	rec := r.until("four", "ended", func(r Record) bool { return r.State.Ended() })
	if rec.State != Failed || rec.Cause != stageDeleted || rec.Destinations[0].State != Stopped {
		t.Errorf("after the end of the stage: %+v", rec)
	}
}

// TestStageDeletedMeanwhile: the stage goes while the server is down. At the restart the composition ends, where
// any other failure of its job would be tried again; and its key opens the channel no more.
func TestStageDeletedMeanwhile(t *testing.T) {
	r := newRig(t)
	r.create("orphan")
	channelARN := account.Of(arn.Channel, "chorphan").String()
	r.until("orphan", "active", active)
	feeds := func(want bool) {
		t.Helper()
		if got, err := r.Feeds(t.Context(), "orphan", channelARN); got != want || err != nil {
			t.Errorf("feeds its channel: %v, %v", got, err)
		}
	}
	feeds(true)
	for _, other := range [][2]string{{"nobody", channelARN}, {"orphan", account.Of(arn.Channel, "other").String()}} {
		if got, err := r.Feeds(t.Context(), other[0], other[1]); got || err != nil {
			t.Errorf("%v feeds: %v, %v", other, got, err)
		}
	}
	r.down()
	r.gone.Store(true)
	r.up()
	rec := r.until("orphan", "ended", func(r Record) bool { return r.State.Ended() })
	if rec.State != Failed || rec.Cause != stageDeleted || rec.Destinations[0].State != Stopped || rec.Ended.IsZero() {
		t.Errorf("resumed without a stage: %+v", rec)
	}
	feeds(false)
}

// TestBusyChannel: a destination that somebody else publishes to fails, and with it the composition.
func TestBusyChannel(t *testing.T) {
	r := newRig(t)
	r.create("five")
	r.until("five", "active", active)
	taken := newRecord("six")
	taken.Destinations[0].ChannelARN = account.Of(arn.Channel, "chfive").String()
	if _, err := r.Create(t.Context(), taken, plenty); !errors.Is(err, ErrConflict) {
		t.Fatalf("a second composition to the channel: %v", err)
	}
	// Behind the manager's back, as an encoder would.
	if err := r.records.Create(t.Context(), "six", taken); err != nil {
		t.Fatal(err)
	}
	r.Manager.mu.Lock()
	r.begin(taken)
	r.Manager.mu.Unlock()
	rec := r.until("six", "failed", func(r Record) bool { return r.State.Ended() })
	if rec.State != Failed || rec.Cause != destinationFailed || rec.Destinations[0].Cause != (Cause{"ConflictException", "Stream already exists"}) {
		t.Errorf("with a busy channel: %+v", rec)
	}
	r.until("five", "active still", active)
}

// TestNonsense: a program that does not speak the protocol is no composer; the composition can be stopped.
func TestNonsense(t *testing.T) {
	r := newRig(t)
	for name, script := range map[string]string{
		"garbage": "echo garbage >&3; sleep 60", "deaf": "sleep 60", "gone": "exit 3", "chatter": "head -c 3000000 /dev/zero >&2; echo '{}' >&3; sleep 60",
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		r.Manager.Composer = path
		r.create(name)
		r.until(name, "starting", func(r Record) bool { return r.State == Starting })
		if err := r.Stop(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if rec := r.until(name, "ended", func(r Record) bool { return r.State.Ended() }); rec.State != Stopped {
			t.Errorf("%s: %+v", name, rec)
		}
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	first := newRecord("seven")
	first.IdempotencyToken, first.RequestHash = "token", "a"
	if _, err := r.Create(t.Context(), first, plenty); err != nil {
		t.Fatal(err)
	}
	again := newRecord("eight")
	again.IdempotencyToken, again.RequestHash = "token", "a"
	if got, err := r.Create(t.Context(), again, plenty); err != nil || got.ID != "seven" {
		t.Errorf("same token, same request: %v %v", got.ID, err)
	}
	again.RequestHash = "b"
	if _, err := r.Create(t.Context(), again, plenty); !errors.Is(err, ErrConflict) {
		t.Errorf("same token, other request: %v", err)
	}
	if _, err := r.Create(t.Context(), newRecord("nine"), Limits{Account: 1, Stage: 5}); !errors.Is(err, ErrQuota) {
		t.Errorf("account quota: %v", err)
	}
	if _, err := r.Create(t.Context(), newRecord("nine"), Limits{Account: 20, Stage: 1}); !errors.Is(err, ErrQuota) {
		t.Errorf("stage quota: %v", err)
	}
	r.Composer = filepath.Join(r.dir, "nothing")
	if _, err := r.Create(t.Context(), newRecord("nine"), plenty); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "make build") {
		t.Errorf("without composer: %v", err)
	}
}
