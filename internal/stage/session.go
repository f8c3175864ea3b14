package stage

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// connectTimeout ends a session whose ICE or DTLS never gets through.
const connectTimeout = 20 * time.Second

// session is what a publisher and a subscriber have in common: one peer connection behind one WHIP
// resource. Its stage's goroutine decides its life; only the negotiation has a lock of its own,
// since it may take longer than a stage may wait.
type session struct {
	id     string // unguessable: who knows it may end the session
	server *Server
	stage  *stage
	grant  Grant
	agent  string // the client's User-Agent
	log    *slog.Logger

	// ctx ends when the session does.
	ctx    context.Context
	cancel context.CancelFunc

	spawning sync.Mutex // guards closed, and work against being waited for while it grows
	closed   bool
	work     sync.WaitGroup // goroutines that end with ctx or with the peer connection

	pc *webrtc.PeerConnection

	expiry expiry // of the stage's goroutine

	negotiation sync.Mutex // guards offer and local
	offer       *offer
	offered     string   // the offer's text, from which it is read again when it is needed
	local       fragment // our ICE credentials and candidates
}

func (s *Server) newSession(st *stage, g Grant, agent string, o *offer, pc *webrtc.PeerConnection) session {
	ctx, cancel := context.WithCancel(s.ctx)
	id := newSessionID()
	return session{
		id: id, server: s, stage: st, grant: g, agent: agent,
		log: s.Log.With("stage", g.StageID, "participant", g.ParticipantID, "session", id[:6]),
		ctx: ctx, cancel: cancel, pc: pc, offer: o,
	}
}

// watch reports the connection's states: connected at most once, ended with the reason.
func (s *session) watch(connected func(), ended func(reason string)) {
	timer := time.AfterFunc(connectTimeout, func() { ended("the client did not connect in time") })
	var once sync.Once
	s.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			timer.Stop()
			s.leaveTCP()
			once.Do(connected)
		case webrtc.PeerConnectionStateFailed:
			timer.Stop()
			ended("the client vanished")
		case webrtc.PeerConnectionStateClosed:
			timer.Stop()
			ended("the client closed the connection")
		}
	})
}

// remote is the client's address, the zero one while it has none.
func (s *session) remote() netip.AddrPort {
	pair, err := s.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return netip.AddrPort{}
	}
	ip, err := netip.ParseAddr(pair.Remote.Address)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip, pair.Remote.Port)
}

// leaveTCP frees what the connection keeps for ICE over TCP, an eighth of its memory, once it runs over UDP. A client that
// can use UDP no more restarts ICE, and then there is TCP again.
func (s *session) leaveTCP() {
	transport := s.pc.SCTP().Transport().ICETransport()
	pair, err := transport.GetSelectedCandidatePair()
	if err != nil || pair == nil || pair.Local.Protocol != webrtc.ICEProtocolUDP {
		return
	}
	if local, err := transport.GetLocalParameters(); err == nil {
		s.server.network.tcp.RemoveConnByUfrag(local.UsernameFragment)
	}
}

// answer negotiates the offer that the session was made with.
func (s *session) answer(ctx context.Context) (string, error) {
	s.negotiation.Lock()
	defer s.negotiation.Unlock()
	if s.ctx.Err() != nil {
		return "", errSessionEnded
	}
	text, local, err := s.server.negotiate(ctx, s.pc, s.offer)
	if err != nil {
		return "", err
	}
	s.local = local
	return text, s.shelve(s.offer)
}

// shelve keeps an offer that is answered as text: parsed it takes several times as much memory.
func (s *session) shelve(o *offer) error {
	text, err := o.text()
	if err != nil {
		return err
	}
	s.offered = text
	o.desc, o.of = nil, nil
	s.offer = o
	return nil
}

// reopen returns a copy of the offer with its description.
func (s *session) reopen() (*offer, error) {
	o := *s.offer
	o.desc = new(sdp.SessionDescription)
	if err := o.desc.UnmarshalString(s.offered); err != nil {
		return nil, fmt.Errorf("read the offer again: %w", err)
	}
	return &o, nil
}

// errSessionEnded is what a request gets whose session was ended meanwhile, as by a newer one with the same token.
var errSessionEnded = errStatus{http.StatusConflict, refuse(SessionNotFound, "the session has ended; a newer one with this token may have taken over")}

// etag names the current ICE session (RFC 9725 section 4.3.1.1).
func (s *session) etag() string {
	s.negotiation.Lock()
	defer s.negotiation.Unlock()
	return `"` + s.local.ufrag + `"`
}

func precondition(status int, message string) error {
	return errStatus{status, refuse(InvalidInput, "%s", message)}
}

// patch applies a trickled fragment. It returns a fragment to answer with when ICE was restarted, else nil.
// match is the If-Match header, which tells which ICE session the client means (RFC 9725 section 4.3.1.1).
func (s *session) patch(ctx context.Context, match string, f fragment) (*fragment, error) {
	s.negotiation.Lock()
	defer s.negotiation.Unlock()
	if s.ctx.Err() != nil {
		return nil, errSessionEnded
	}
	o, err := s.reopen()
	if err != nil {
		return nil, err
	}
	remote, _ := iceCredentials(o.desc)
	restart := f.ufrag != "" && f.ufrag != remote
	switch {
	case match == "":
		return nil, precondition(http.StatusPreconditionRequired, `send If-Match with the ETag of the session, or "*" to restart ICE`)
	case match == "*" && restart:
		return s.restart(ctx, o, f)
	case match != "*" && match != `"`+s.local.ufrag+`"`:
		return nil, precondition(http.StatusPreconditionFailed, "If-Match names an ICE session that is over; use the newest ETag")
	case restart:
		return nil, precondition(http.StatusPreconditionFailed, "the fragment has new ICE credentials; send If-Match: * to restart ICE")
	}
	for _, c := range f.candidates {
		if err := s.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: c.value, SDPMid: new(c.mid)}); err != nil {
			return nil, refuse(InvalidInput, "candidate %q cannot be used: %v", c.value, err)
		}
	}
	return nil, nil
}

// restart begins a new ICE session with the client's new credentials, by negotiating the same offer
// again with only those changed.
func (s *session) restart(ctx context.Context, o *offer, f fragment) (*fragment, error) {
	desc := o.desc
	sections := desc.MediaDescriptions
	desc.Origin.SessionVersion++
	desc.Attributes = withICE(desc.Attributes, fragment{})
	desc.MediaDescriptions = nil
	for i, m := range sections {
		section := *m
		with := fragment{ufrag: f.ufrag, pwd: f.pwd}
		if i == 0 {
			with.candidates = f.candidates
		}
		section.Attributes = withICE(m.Attributes, with)
		desc.MediaDescriptions = append(desc.MediaDescriptions, &section)
	}
	_, local, err := s.server.negotiate(ctx, s.pc, o)
	if err != nil {
		return nil, fmt.Errorf("restart ICE: %w", err)
	}
	s.local = local
	return &local, s.shelve(o)
}

// withICE returns the attributes with the credentials and candidates of f in place of those that were there.
func withICE(attributes []sdp.Attribute, f fragment) []sdp.Attribute {
	var out []sdp.Attribute
	for _, a := range attributes {
		switch a.Key {
		case "ice-ufrag", "ice-pwd", "candidate", "end-of-candidates":
		default:
			out = append(out, a)
		}
	}
	if f.ufrag != "" {
		out = append(out, sdp.Attribute{Key: "ice-ufrag", Value: f.ufrag}, sdp.Attribute{Key: "ice-pwd", Value: f.pwd})
	}
	for _, c := range f.candidates {
		out = append(out, sdp.Attribute{Key: "candidate", Value: c.value[len("candidate:"):]})
	}
	return out
}

// iceCredentials finds the user fragment and password of a description, at whichever level they are.
func iceCredentials(desc *sdp.SessionDescription) (ufrag, pwd string) {
	ufrag, _ = desc.Attribute("ice-ufrag")
	pwd, _ = desc.Attribute("ice-pwd")
	for _, m := range desc.MediaDescriptions {
		if u, ok := m.Attribute("ice-ufrag"); ok {
			p, _ := m.Attribute("ice-pwd")
			return u, p
		}
	}
	return ufrag, pwd
}

// spawn runs f on a goroutine that close waits for. After close it does nothing.
func (s *session) spawn(f func()) {
	s.spawning.Lock()
	defer s.spawning.Unlock()
	if !s.closed {
		s.work.Go(f)
	}
}

// finally runs f on a goroutine when ctx has ended, and close waits for it. After close it runs f at once.
func (s *session) finally(f func()) {
	s.spawning.Lock()
	closed := s.closed
	if !closed {
		s.work.Add(1)
	}
	s.spawning.Unlock()
	if closed {
		f()
		return
	}
	context.AfterFunc(s.ctx, func() {
		defer s.work.Done()
		f()
	})
}

// close ends the peer connection and waits for the session's goroutines. It may block for a while.
func (s *session) close() {
	s.cancel()
	s.spawning.Lock()
	done := s.closed
	s.closed = true
	s.spawning.Unlock()
	if done {
		return
	}
	if s.pc != nil { // a feed has none
		// A negotiation that goes on while the connection is closed would leave an ICE agent behind.
		s.negotiation.Lock()
		err := s.pc.GracefulClose()
		s.negotiation.Unlock()
		if err != nil {
			s.log.Debug("close peer connection", "error", err)
		}
	}
	s.work.Wait()
}
