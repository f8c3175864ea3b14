package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/ingest"
	"github.com/footlight-live/footlight/internal/leak"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/transcode/worker"
)

// TestMain is also the composer program, as which the server starts it for sound.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "audio" {
		if err := worker.Process(os.Stdin, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	leak.Main(m)
}

// patience is how long tests wait for what must happen.
const patience = 90 * time.Second

// directory knows the keys "one", and "a" and "b" of redundant ingest. All take RTMP.
type directory struct {
	mu   sync.Mutex
	gone bool
}

func (d *directory) ResolveIngestKey(_ context.Context, key string) (ingest.Credential, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	grant := func(participant string) stage.Grant {
		return stage.Grant{StageID: "stage", StageARN: "arn:aws:ivs:us-east-1:000000000000:stage/stage", ParticipantID: participant, Publish: true}
	}
	if d.gone {
		return ingest.Credential{}, ingest.ErrUnknownKey
	}
	switch key {
	case "rt_one":
		return ingest.Credential{ConfigurationID: "one", AllowPlain: true, Grant: grant("one")}, nil
	case "rt_a", "rt_b":
		physical := grant("physical-" + key[3:])
		physical.Backstage = true
		return ingest.Credential{ConfigurationID: "two", AllowPlain: true, Grant: grant("virtual"), Stream: int(key[3] - 'a'), Physical: &physical}, nil
	}
	return ingest.Credential{}, ingest.ErrUnknownKey
}

func (d *directory) ResolveStreamKey(context.Context, string) (channel.Publisher, error) {
	return channel.Publisher{}, channel.ErrUnknownStreamKey
}

func (d *directory) ResolveChannel(context.Context, string, string, string) (channel.Channel, error) {
	return channel.Channel{}, channel.ErrUnknownChannel
}

func (d *directory) Admit(_ context.Context, bearer string) (stage.Grant, error) {
	return stage.Grant{StageID: "stage", StageARN: "arn:aws:ivs:us-east-1:000000000000:stage/stage", ParticipantID: bearer, Subscribe: true}, nil
}

// rig is a real RTMP server before a real stage.
type rig struct {
	*ingest.Server
	t         *testing.T
	directory directory
	http      *httptest.Server
	rtmp      string

	mu     sync.Mutex
	events []string
}

func (r *rig) Observe(e stage.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := e.Grant.ParticipantID + " " + string(e.Kind)
	if e.ErrorCode != "" {
		text += "=" + string(e.ErrorCode)
	}
	r.events = append(r.events, text)
}

// count is how often something happened to a participant.
func (r *rig) count(event string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e == event {
			n++
		}
	}
	return n
}

// happens waits until something has happened n times.
func (r *rig) happens(event string, n int) {
	r.t.Helper()
	r.eventually(fmt.Sprintf("%s %d times", event, n), func() bool { return r.count(event) >= n })
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.t.Fatalf("never happened: %s; but %v", what, r.events)
		}
	}
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not on PATH")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("INGEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	r := &rig{t: t}
	stages := &stage.Server{UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0", Admission: &r.directory, Observer: r, Log: log}
	if err := stages.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stages.Close() })
	r.http = httptest.NewServer(stages.Handler())
	t.Cleanup(r.http.Close)
	r.Server = &ingest.Server{Directory: &r.directory, Stages: stages, Composer: program, Log: log}
	r.Server.Start(context.Background())
	t.Cleanup(r.Server.Close)
	channels := &channel.Server{RTMPAddr: "127.0.0.1:0", Directory: &r.directory, Log: log,
		Route: func(string) func(context.Context, rtmp.Request) (rtmp.Publication, error) { return r.Publish }}
	if err := channels.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { channels.Close() })
	r.rtmp = "rtmp://" + channels.RTMPAddress() + "/app/"
	return r
}

// encoder is an ffmpeg that publishes a small moving picture and a tone.
type encoder struct{ cmd *exec.Cmd }

func (r *rig) encode(key string, more ...string) *encoder {
	r.t.Helper()
	args := append([]string{"-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-bf", "0", "-g", "30", "-b:v", "300k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k"}, more...)
	e := &encoder{exec.Command("ffmpeg", append(args, "-f", "flv", r.rtmp+key)...)}
	if err := e.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { e.end(syscall.SIGKILL) })
	return e
}

func (e *encoder) end(sig syscall.Signal) {
	if e.cmd.ProcessState == nil {
		_ = e.cmd.Process.Signal(syscall.SIGCONT)
		_ = e.cmd.Process.Signal(sig) // it may be gone already
		_ = e.cmd.Wait()              // the signal is why
	}
}

// screen receives what a participant publishes.
type screen struct{ video, audio chan *rtp.Packet }

func (r *rig) subscribe(participant string) *screen {
	r.t.Helper()
	s := &screen{make(chan *rtp.Packet, 20_000), make(chan *rtp.Packet, 20_000)}
	media := new(webrtc.MediaEngine)
	if err := media.RegisterDefaultCodecs(); err != nil {
		r.t.Fatal(err)
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = pc.GracefulClose() })
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		out := s.video
		if track.Kind() == webrtc.RTPCodecTypeAudio {
			out = s.audio
		}
		for {
			p, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			select {
			case out <- p:
			default:
			}
		}
	})
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			r.t.Fatal(err)
		}
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		r.t.Fatal(err)
	}
	<-gathered
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.http.URL+"/whip/subscribe/"+participant, strings.NewReader(pc.LocalDescription().SDP))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/sdp")
	request.Header.Set("Authorization", "Bearer viewer")
	response, err := r.http.Client().Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusCreated {
		r.t.Fatalf("subscribe to %s: %s: %s", participant, response.Status, answer)
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// take reads n packets. In the order of their numbers their times must not go back; what was lost may come late.
func (r *rig) take(what string, packets <-chan *rtp.Packet, n int) {
	r.t.Helper()
	timeout := time.After(patience)
	var before *rtp.Packet
	for range n {
		select {
		case p := <-packets:
			if before != nil && int16(p.SequenceNumber-before.SequenceNumber) <= 0 {
				continue
			}
			if before != nil && int32(p.Timestamp-before.Timestamp) < 0 {
				r.t.Fatalf("%s: packet %d at %d after %d at %d", what, p.SequenceNumber, p.Timestamp, before.SequenceNumber, before.Timestamp)
			}
			before = p
		case <-timeout:
			r.t.Fatalf("%s: no packets", what)
		}
	}
}

// empty passes over what has come already.
func empty(packets <-chan *rtp.Packet) {
	for {
		select {
		case <-packets:
		default:
			return
		}
	}
}

// audioProcesses are the processes of this one that transcode sound.
func audioProcesses(t *testing.T) (pids []int) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		b, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children") // a thread may end meanwhile
		for _, field := range strings.Fields(string(b)) {
			var pid int
			if _, err := fmt.Sscan(field, &pid); err != nil {
				continue
			}
			if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); bytes.HasSuffix(line, []byte("\x00audio\x00")) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func TestEncoderComesAndGoes(t *testing.T) {
	r := newRig(t)
	e := r.encode("rt_one")
	r.happens("one PUBLISH_STARTED", 1)
	if !r.Active("one") || r.Active("two") {
		t.Error("who is active is not known")
	}
	screen := r.subscribe("one")
	r.take("picture", screen.video, 60)
	r.take("sound", screen.audio, 50)

	// The audio process crashes: picture goes on, sound comes back.
	pids := audioProcesses(t)
	if len(pids) != 1 {
		t.Fatalf("audio processes %v", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	r.eventually("another audio process", func() bool { now := audioProcesses(t); return len(now) == 1 && now[0] != pids[0] })
	empty(screen.audio)
	r.take("sound after the crash", screen.audio, 50)
	r.take("picture after the crash", screen.video, 60)

	// The encoder is suspended, as one whose network is gone: the participant leaves.
	if err := e.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.happens("one LEFT", 1)
	t.Logf("it left after %v", time.Since(began)) // nominally 9 s
	r.eventually("it is not active", func() bool { return !r.Active("one") })
	if n := r.count("one PUBLISH_STOPPED"); n != 1 {
		t.Errorf("it stopped %d times", n)
	}
	r.eventually("no audio process", func() bool { return len(audioProcesses(t)) == 0 })

	// Stop tells the encoder, and it may come again unless its configuration is gone.
	e.end(syscall.SIGKILL)
	e = r.encode("rt_one")
	r.happens("one PUBLISH_STARTED", 2)
	r.directory.mu.Lock()
	r.directory.gone = true
	r.directory.mu.Unlock()
	r.Stop("one", "the ingest configuration was deleted")
	if r.count("one LEFT") != 2 || r.Active("one") {
		t.Error("it is still there after Stop")
	}
	if err := e.cmd.Wait(); err == nil {
		t.Error("the encoder does not know that it was stopped")
	}
}

// TestRedundantIngest has two encoders behind one participant, and one after the other fail.
func TestRedundantIngest(t *testing.T) {
	r := newRig(t)
	a := r.encode("rt_a")
	r.happens("virtual PUBLISH_STARTED", 1)
	r.encode("rt_b")
	r.happens("physical-b PUBLISH_STARTED", 1)
	screen := r.subscribe("virtual")
	r.take("picture of the first", screen.video, 60)
	if seen := r.snapshot(); seen != "viewer virtual" && seen != "virtual viewer" {
		t.Errorf("others see %s", seen)
	}
	// One is suspended: its connection stands, but nothing comes.
	if err := a.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.take("picture over the change", screen.video, 300)
	r.take("sound over the change", screen.audio, 200)
	r.happens("physical-a LEFT", 1)
	if r.count("virtual PUBLISH_STOPPED")+r.count("virtual LEFT") > 0 || !r.Active("two") {
		t.Error("others noticed")
	}
	// It comes back, and the other one is ended for what it sends.
	a.end(syscall.SIGKILL)
	a = r.encode("rt_a")
	r.happens("physical-a PUBLISH_STARTED", 2)
	r.encode("rt_b", "-bf", "2") // refused: the first b is there
	r.happens("physical-b PUBLISH_ERROR=REUSE_OF_STREAM_KEY", 1)
	r.Stop("two", "by the test")
	if r.count("virtual LEFT") != 1 || r.count("physical-a LEFT") != 2 || r.count("physical-b LEFT") != 1 {
		t.Errorf("after Stop: %v", r.events)
	}
	a.end(syscall.SIGKILL)
}

// snapshot is who is on the stage as a participant sees it.
func (r *rig) snapshot() string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(r.http.URL, "http")+"/events/stage", &websocket.DialOptions{Subprotocols: []string{"viewer"}})
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.CloseNow()
	_, body, err := conn.Read(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	var m struct {
		Payload struct{ Participants []struct{ ID string } }
	}
	if err := json.Unmarshal(body, &m); err != nil {
		r.t.Fatal(err)
	}
	var ids []string
	for _, p := range m.Payload.Participants {
		ids = append(ids, p.ID)
	}
	return strings.Join(ids, " ")
}
