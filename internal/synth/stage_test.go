package synth

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

const patience = 60 * time.Second // for anything that must happen on a loaded machine

// stage is a WHIP server with pion behind it that hands out all packets as they come.
type stage struct {
	*httptest.Server
	t       *testing.T
	packets chan packet
	reports chan *rtcp.SenderReport
	deleted chan struct{}

	mu      sync.Mutex
	refuse  int // status to answer with, 0 to accept
	peers   []*webrtc.PeerConnection
	ssrcs   map[string]webrtc.SSRC // of the newest track of each kind
	clients int
}

type packet struct {
	kind string // video, audio
	*rtp.Packet
}

func newStage(t *testing.T) *stage {
	s := &stage{
		t: t, packets: make(chan packet, 10_000), reports: make(chan *rtcp.SenderReport, 1000),
		deleted: make(chan struct{}, 10), ssrcs: map[string]webrtc.SSRC{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/whip", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("POST /whip", s.join)
	mux.HandleFunc("DELETE /session", func(w http.ResponseWriter, r *http.Request) { s.deleted <- struct{}{} })
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.hangUp()
		s.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

func (s *stage) join(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != 0 || r.Header.Get("Authorization") != "Bearer secret" {
		http.Error(w, "no", max(s.refuse, http.StatusUnauthorized))
		return
	}
	s.clients++
	body, err := io.ReadAll(r.Body)
	media, settings := new(webrtc.MediaEngine), webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	if err == nil {
		err = media.RegisterDefaultCodecs()
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings), webrtc.WithInterceptorRegistry(new(interceptor.Registry)))
	var peer *webrtc.PeerConnection
	if err == nil {
		peer, err = api.NewPeerConnection(webrtc.Configuration{})
	}
	if err != nil {
		s.t.Error(err)
		return
	}
	s.peers = append(s.peers, peer)
	peer.OnTrack(s.receive)
	gathered := webrtc.GatheringCompletePromise(peer)
	err = peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(body)})
	var answer webrtc.SessionDescription
	if err == nil {
		answer, err = peer.CreateAnswer(nil)
	}
	if err == nil {
		err = peer.SetLocalDescription(answer)
	}
	if err != nil {
		s.t.Error(err)
		return
	}
	<-gathered
	w.Header().Set("Location", "/session")
	w.WriteHeader(http.StatusCreated)
	if _, err := io.WriteString(w, peer.LocalDescription().SDP); err != nil {
		s.t.Error(err)
	}
}

func (s *stage) receive(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	s.mu.Lock()
	s.ssrcs[track.Kind().String()] = track.SSRC()
	s.mu.Unlock()
	go func() {
		for {
			reports, _, err := receiver.ReadRTCP()
			if err != nil {
				return
			}
			for _, report := range reports {
				if report, ok := report.(*rtcp.SenderReport); ok {
					select {
					case s.reports <- report:
					default:
					}
				}
			}
		}
	}()
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		select {
		case s.packets <- packet{track.Kind().String(), p}:
		default: // the test does not look any more
		}
	}
}

// hangUp closes all connections, as a server that goes down in an orderly way.
func (s *stage) hangUp() {
	s.mu.Lock()
	peers := s.peers
	s.peers = nil
	s.mu.Unlock()
	for _, peer := range peers {
		if err := peer.GracefulClose(); err != nil {
			s.t.Error(err)
		}
	}
}

func (s *stage) setRefuse(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = status
}

// askForKey asks the newest publisher for a key frame. Should its connection have broken on a busy machine, it
// comes back with one by itself.
func (s *stage) askForKey() {
	s.mu.Lock()
	defer s.mu.Unlock()
	peer := s.peers[len(s.peers)-1]
	_ = peer.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(s.ssrcs["video"])}})
}

// next returns the next packet of the kind.
func (s *stage) next(kind string) *rtp.Packet {
	s.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case p := <-s.packets:
			if p.kind == kind {
				return p.Packet
			}
		case <-timeout:
			s.t.Fatalf("no %s came", kind)
		}
	}
}
