package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/stage"
)

// footlight is our own SFU: this program run with "serve", which has the stage and nothing else.
type footlight struct {
	profile string // where the server writes its processor profile, "" for nowhere
	url     string
	sound   bool // subscribers receive sound too
}

func (*footlight) name() string { return "footlight" }

func (f *footlight) start() (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "serve", f.profile)
	cmd.Stderr = os.Stderr
	return launch(cmd, func(line string) bool {
		url, ok := strings.CutPrefix(line, "ready ")
		f.url = url
		return ok
	})
}

func (f *footlight) publish(c *camera, at *port) (*peer, error) {
	p, err := newPeer(at)
	if err != nil {
		return nil, err
	}
	sender, err := p.pc.AddTrack(c.track)
	if err != nil {
		return nil, err
	}
	go c.listen(sender)
	return p, f.connect(p, "/whip", "bench.camera.p")
}

func (f *footlight) subscribe(n int, at *port) (*peer, error) {
	p, err := newPeer(at)
	if err != nil {
		return nil, err
	}
	return p, f.watch(p, fmt.Sprintf("bench.viewer%d.s", n))
}

// watch has a peer receive the camera.
func (f *footlight) watch(p *peer, token string) error {
	_, err := p.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	if err == nil && f.sound {
		_, err = p.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	}
	if err != nil {
		return err
	}
	return f.connect(p, "/whip/subscribe/camera", token)
}

func (f *footlight) connect(p *peer, path, token string) error {
	offer, err := p.local(p.pc.CreateOffer(nil))
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, f.url+path, strings.NewReader(offer))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/sdp")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %s", res.Status, answer)
	}
	p.location = res.Header.Get("Location")
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		return err
	}
	return p.connected()
}

// admission takes tokens of the form stage.participant.rights.
type admission struct{}

func (admission) Admit(_ context.Context, bearer string) (stage.Grant, error) {
	part := strings.Split(bearer, ".")
	if len(part) != 3 {
		return stage.Grant{}, &stage.Error{Code: stage.TokenMalformed, Message: "not stage.participant.rights"}
	}
	return stage.Grant{
		StageID: part[0], ParticipantID: part[1],
		Publish: strings.Contains(part[2], "p"), Subscribe: strings.Contains(part[2], "s"),
	}, nil
}

// serve is the server's process.
func serve(profile string) error {
	if profile != "" {
		runtime.MemProfileRate = 512
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := &stage.Server{
		UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0", Admission: admission{}, MaxSubscribers: 100_000,
		Log: slog.New(slog.DiscardHandler),
	}
	if err := s.Start(context.Background()); err != nil {
		return err
	}
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.Handler())
	mux.HandleFunc("GET /bench/state", func(w http.ResponseWriter, _ *http.Request) {
		// A stack that is not used any more shrinks by half with every collection.
		for range 4 {
			debug.FreeOSMemory()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprintln(w, runtime.NumGoroutine(), m.HeapAlloc+m.StackInuse)
	})
	mux.HandleFunc("GET /bench/profile/{name}", func(w http.ResponseWriter, r *http.Request) {
		if p := pprof.Lookup(r.PathValue("name")); p != nil {
			_ = p.WriteTo(w, 0)
		}
	})
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = h.Serve(l) }()
	defer h.Close()
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	fmt.Println("ready http://" + l.Addr().String())
	<-ctx.Done()
	return nil
}
