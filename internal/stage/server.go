package stage

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/arn"
)

const (
	// defaultMedia is where media goes when no address is set.
	defaultMedia = "127.0.0.1:4081"
	// defaultPublishers is IVS's limit of publishers on a stage.
	defaultPublishers = 12
	// defaultSubscribers is IVS's limit of subscribers on a stage.
	defaultSubscribers = 10_000
	// defaultAllPublishers and defaultSubscriptions are IVS's limits of all stages of a region together.
	defaultAllPublishers = 1000
	defaultSubscriptions = 20_000
	// defaultReplications is IVS's limit of replications of one participant.
	defaultReplications = 5
	// defaultLines is IVS's limit of a publisher's resolution: 720p, landscape or portrait.
	defaultLines = 720
	// defaultDuration is IVS's limit of how long one publishes or subscribes.
	defaultDuration = 24 * time.Hour
	// defaultBitRate is IVS's limit of what a publisher sends.
	defaultBitRate = 8_500_000
)

// ICEServer is a STUN or TURN server that clients are told of in Link headers.
type ICEServer struct {
	URL                  string // for example turn:host:3478?transport=udp
	Username, Credential string // empty for STUN
}

// Server holds all stages. Set the exported fields, then Start; after Start they are not to be changed.
type Server struct {
	// UDPAddr and TCPAddr are the host:port that all media goes through; "" is 127.0.0.1:4081. An
	// unspecified host means all addresses of the machine, port 0 any free port.
	UDPAddr, TCPAddr string
	// PublicIPs are addresses at which clients reach both ports besides the bound ones, for
	// example of a router that forwards them. They come first in answers.
	PublicIPs []string
	// PublicURL returns the base of the session URLs, for example http://host:4080. Without it they
	// are built from the request.
	PublicURL func() string
	// ICEServers are told to clients; the stage itself needs none.
	ICEServers []ICEServer
	// TURNAddr is the host:port of a TURN server for clients in closed networks, over UDP and TCP, and over TLS on the
	// same port when TURNTLS is set; "" is none. Clients are told of it under the host of the public URL, with
	// credentials of their own.
	TURNAddr string
	TURNTLS  *tls.Config
	// MaxBitRate is how much one publisher may send, all its simulcast layers and its sound together, in bits per
	// second over 10 s; 0 means IVS's 8.5 Mbit/s. Who sends more is ended.
	MaxBitRate int
	// MaxLines limits the pictures of publishers by their shorter side, in pixels; the longer one may be 16/9 of it. 0 means
	// IVS's 720. Who sends larger ones is ended.
	MaxLines int
	// MaxPublishers and MaxSubscribers limit the participants of one stage that publish, replicas included, and that
	// subscribe; 0 means IVS's 12 and 10000. Hidden participants do not count.
	MaxPublishers, MaxSubscribers int
	// MaxAllPublishers and MaxSubscriptions limit all stages together: the participants that publish, replicas included, and
	// the subscriptions, of which a participant has one to each publisher that it watches; 0 means IVS's 1000 and 20000.
	// Hidden participants do not count.
	MaxAllPublishers, MaxSubscriptions int
	// MaxReplications limits those of one participant; 0 means IVS's 5.
	MaxReplications int
	// MaxDuration ends who has published, or subscribed to one publisher, for so long; 0 means IVS's 24 h. Hidden
	// participants may stay.
	MaxDuration time.Duration

	Admission Admission
	Observer  Observer // may be nil
	Log       *slog.Logger

	ctx         context.Context
	cancel      context.CancelFunc
	work        sync.WaitGroup // stages, sockets, and sessions that close
	network     *network
	lanes       []*lane // of subscribers
	relay       *relay  // nil without TURN
	candidates  []string
	certificate *webrtc.Certificate
	pionLog     logging.LoggerFactory
	counters    counters

	publisherSeats, subscriberSeats seats

	unbind sync.Once

	mu        sync.Mutex
	stages    map[string]*stage   // by stage id
	resources map[string]resource // by session id

	replications map[replicationKey]*replication
}

// resource is what a session URL leads to.
type resource struct {
	session    *session
	publisher  *publisher  // nil for a subscriber
	subscriber *subscriber // nil for a publisher
	// end makes the request that ends the session.
	end func(reason string) request
}

// Start binds the media ports. The server runs until Close or until ctx ends.
func (s *Server) Start(ctx context.Context) error {
	s.Log = cmp.Or(s.Log, slog.Default()).With("component", "stage")
	s.pionLog = pionLog{log: s.Log}
	s.stages = make(map[string]*stage)
	s.resources = make(map[string]resource)
	s.replications = make(map[replicationKey]*replication)

	var public []netip.Addr
	for _, ip := range s.PublicIPs {
		addr, err := netip.ParseAddr(ip)
		if err != nil {
			return fmt.Errorf("start stages: public IP: %w", err)
		}
		public = append(public, addr)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("start stages: make DTLS key: %w", err)
	}
	if s.certificate, err = webrtc.GenerateCertificate(key); err != nil {
		return fmt.Errorf("start stages: make DTLS certificate: %w", err)
	}
	s.network, err = listen(ctx, cmp.Or(s.UDPAddr, defaultMedia), cmp.Or(s.TCPAddr, defaultMedia), s.pionLog)
	if err != nil {
		return fmt.Errorf("start stages: %w", err)
	}
	s.candidates = s.network.candidates(public)
	if s.TURNAddr != "" {
		if s.relay, err = s.startRelay(ctx, public); err != nil {
			return errors.Join(fmt.Errorf("start stages: %w", err), s.network.close())
		}
		s.Log.Info("listening for TURN", "address", s.TURNAddr, "port", s.relay.port, "tls", s.relay.tls)
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.lanes = newLanes(s.network)
	for _, l := range s.lanes {
		s.work.Go(func() { l.run(s.ctx) })
	}
	s.Log.Info("listening for media", "udp", s.network.udpAt, "tcp", s.network.tcpAt, "public", public)
	return nil
}

// Close ends all sessions, closes the ports and waits until everything has stopped.
func (s *Server) Close() error {
	if s.cancel == nil {
		return nil // never started
	}
	s.mu.Lock()
	s.cancel() // no stage is made from here on
	s.mu.Unlock()
	s.work.Wait()
	var err error
	s.unbind.Do(func() {
		err = s.network.close()
		if s.relay != nil {
			err = errors.Join(err, s.relay.close())
		}
	})
	return err
}

// UDPAddress and TCPAddress tell where media is taken, the first address of each.
func (s *Server) UDPAddress() netip.AddrPort { return s.network.udpAt[0] }

// TCPAddress is described at UDPAddress.
func (s *Server) TCPAddress() netip.AddrPort { return s.network.tcpAt[0] }

// ActiveSession returns the id of the stage's session, "" when there is none.
func (s *Server) ActiveSession(stageID string) string {
	if st := s.lookup(stageID); st != nil {
		if id := st.active.Load(); id != nil {
			return *id
		}
	}
	return ""
}

// CloseStage disconnects everybody because the stage was deleted, and ends its session and the replications from and to
// it. It returns when the observer has been told. An Observer must not call it.
func (s *Server) CloseStage(stageID, reason string) {
	s.askStage(stageID, func(reply chan<- error) request { return closeStage{reason, reply} })
	// Behind that, so that no replication begins unseen in between: it would find nobody.
	s.endReplications(reason, func(k replicationKey) bool { return k.source == stageID || k.destination == stageID })
}

// Disconnect ends all that a participant has on a stage: socket, publishing, subscriptions, replications from and to it.
// It returns when the observer has been told. An Observer must not call it. That the participant does not come
// back is the Admission's business.
func (s *Server) Disconnect(stageID, participantID, reason string) {
	s.askStage(stageID, func(reply chan<- error) request { return disconnect{participantID, reason, reply} })
	s.endReplications(reason, func(k replicationKey) bool {
		return k.participant == participantID && (k.source == stageID || k.destination == stageID)
	})
}

// askStage has a stage do something; a stage that nobody is on has nothing to do.
func (s *Server) askStage(stageID string, with func(reply chan<- error) request) {
	if st := s.lookup(stageID); st != nil {
		_ = ask(s.ctx, st, with) // fails only when the stage has ended
	}
}

func (s *Server) maxBitRate() int     { return cmp.Or(s.MaxBitRate, defaultBitRate) }
func (s *Server) maxPublishers() int  { return cmp.Or(s.MaxPublishers, defaultPublishers) }
func (s *Server) maxSubscribers() int { return cmp.Or(s.MaxSubscribers, defaultSubscribers) }

func (s *Server) maxAllPublishers() int { return cmp.Or(s.MaxAllPublishers, defaultAllPublishers) }
func (s *Server) maxSubscriptions() int { return cmp.Or(s.MaxSubscriptions, defaultSubscriptions) }

func (s *Server) maxReplications() int { return cmp.Or(s.MaxReplications, defaultReplications) }
func (s *Server) maxLines() int        { return cmp.Or(s.MaxLines, defaultLines) }

// Duration is how long a participant may publish, or subscribe to one publisher.
func (s *Server) Duration() time.Duration { return cmp.Or(s.MaxDuration, defaultDuration) }

// begin counts the caller among the work that Close waits for; s.work.Done ends it. After Close it fails.
func (s *Server) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return errClosed
	}
	s.work.Add(1)
	return nil
}

// lookup returns the live stage with this id, or nil.
func (s *Server) lookup(id string) *stage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stages[id]
}

var errClosed = errStatus{http.StatusServiceUnavailable, refuse(Internal, "the server is shutting down")}

// join runs f with the grant's stage, which it makes if it is not live. When f fails because the stage
// ended under it, it starts over with a new one.
func (s *Server) join(g Grant, f func(*stage) error) error {
	for {
		st, err := s.liveStage(g.StageID)
		if err != nil {
			return err
		}
		if err = f(st); err == nil {
			return nil
		}
		st.tell(s.ctx, look{}) // a stage that was made for this is not needed
		if !errors.Is(err, errStageEnded) {
			return err
		}
	}
}

func (s *Server) liveStage(id string) (*stage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, errClosed
	}
	st := s.stages[id]
	if st == nil {
		st = newStage(s, id)
		s.stages[id] = st
		s.counters.stages.Add(1)
		s.work.Go(func() { st.run(s.ctx) })
	}
	return st, nil
}

// forgetStage is called by a stage that ends.
func (s *Server) forgetStage(st *stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stages, st.id)
	s.counters.stages.Add(-1)
}

// newSessionID returns a name that cannot be guessed (142 bits).
func newSessionID() string { return arn.NewID(24) }

func (s *Server) remember(r resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resources[r.session.id] = r
}

func (s *Server) forget(sessionID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.resources, sessionID)
}

func (s *Server) resource(sessionID string) (resource, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.resources[sessionID]
	return r, ok
}

// reportRefusal tells the observer of an offer that was refused before there was a session for it, if the stage is live.
func (s *Server) reportRefusal(ctx context.Context, g Grant, kind EventKind, remote string, e *Error) {
	st := s.lookup(g.StageID)
	if st == nil {
		return
	}
	protocol := protocolUnknown
	if kind == PublishError {
		protocol = protocolWHIP
	}
	st.tell(ctx, refused{Event{Kind: kind, Grant: g, Protocol: protocol, RemoteParticipant: remote, ErrorCode: e.Code, Reason: e.Message}})
}
