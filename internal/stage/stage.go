package stage

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
)

const (
	// sessionLinger keeps a stage session open after the last participant left, so that a reconnect
	// finds the same session (spec: proposed, IVS says "a few minutes").
	sessionLinger = time.Minute
	// snapshotDelay coalesces changes that come together.
	snapshotDelay = 50 * time.Millisecond
)

// stage is one live stage. The goroutine that executes run owns everything below the line; others send
// it requests. It ends when nobody is on the stage any more and its session is over.
type stage struct {
	id       string
	server   *Server
	log      *slog.Logger
	requests chan request
	done     chan struct{}          // closed when run has ended
	active   atomic.Pointer[string] // the session's id, nil when there is none

	// ----
	participants map[string]*participant // by id, hidden ones and those about to join included
	present      []*participant          // joined and not hidden, in order of arrival
	subscribers  map[*subscriber]struct{}
	subscribed   int    // how many there were
	session      string // st-…, "" before the first join and after the end
	linger       *time.Timer
	snapshot     *time.Timer
	changed      bool           // the snapshot timer runs
	audience     map[string]int // subscriptions by participant, without hidden ones
	watchers     []*replication // of who publishes here
	due          time.Time      // when the snapshot timer ends
	ended        bool
}

// participant is the holder of one token. It is there through its socket, its WHIP session or both.
type participant struct {
	grant     Grant
	joined    bool
	socket    socketOutlet // nil without
	extended  bool         // the socket's client asked for the extended snapshot
	publisher *publisher   // nil without
	muted     muted        // until the participant leaves
	exchanged bool         // its first token was exchanged for the one of the grant
}

// origin is where a replica comes from, nil for everybody else.
func (p *participant) origin() *Origin {
	if p.publisher == nil {
		return nil
	}
	return p.publisher.origin
}

// request is something to do on the stage's goroutine. It must not block.
type request interface{ apply(st *stage) }

func newStage(s *Server, id string) *stage {
	st := &stage{
		id: id, server: s, log: s.Log.With("stage", id),
		requests:     make(chan request),
		done:         make(chan struct{}),
		participants: make(map[string]*participant),
		subscribers:  make(map[*subscriber]struct{}),
		audience:     make(map[string]int),
		linger:       time.NewTimer(sessionLinger),
		snapshot:     time.NewTimer(snapshotDelay),
	}
	st.linger.Stop()
	st.snapshot.Stop()
	return st
}

// run owns the stage until it is empty and its session over, or ctx ends.
func (st *stage) run(ctx context.Context) {
	defer close(st.done)
	defer st.server.forgetStage(st)
	for !st.ended {
		select {
		case r := <-st.requests:
			r.apply(st)
		case <-st.linger.C:
			st.endSession("everybody has left")
		case <-st.snapshot.C:
			st.sendSnapshots()
		case <-ctx.Done():
			st.end(closeShutdown, "the server is shutting down")
		}
		if len(st.participants) == 0 && len(st.subscribers) == 0 && len(st.watchers) == 0 && st.session == "" {
			st.ended = true
		}
	}
}

// post hands a request to the stage; when it returns nil the stage has taken it.
func (st *stage) post(ctx context.Context, r request) error {
	select {
	case st.requests <- r:
		return nil
	case <-st.done:
		return errStageEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tell is post for what does not matter any more when the stage has ended.
func (st *stage) tell(ctx context.Context, r request) { _ = st.post(ctx, r) }

// ask posts the request that with makes and waits for its reply.
func ask(ctx context.Context, st *stage, with func(reply chan<- error) request) error {
	reply := make(chan error, 1)
	if err := st.post(ctx, with(reply)); err != nil {
		return err
	}
	return <-reply
}

// emit tells the observer. Hidden participants cause no events.
func (st *stage) emit(e Event) {
	if st.server.Observer == nil || e.Grant.Hidden {
		return
	}
	e.Time = time.Now()
	e.StageID = st.id
	e.SessionID = st.session
	st.server.Observer.Observe(e)
}

// enter returns the participant of the grant, which may be new and not have joined yet.
func (st *stage) enter(g Grant) *participant {
	p := st.participants[g.ParticipantID]
	if p == nil {
		p = &participant{}
		st.participants[g.ParticipantID] = p
	}
	if p.joined && (p.grant.UserID != g.UserID || !maps.Equal(p.grant.Attributes, g.Attributes)) {
		st.change() // its newer token says something else
	}
	p.grant = g
	return p
}

// join makes the participant present, if it is not yet.
func (st *stage) join(p *participant, agent, protocol string) {
	if p.joined {
		return
	}
	p.joined = true
	if p.grant.Hidden {
		return
	}
	st.linger.Stop()
	if st.session == "" {
		st.session = "st-" + arn.NewID(13)
		st.active.Store(new(st.session))
		st.log.Info("session started", "session", st.session)
		st.emit(Event{Kind: SessionStarted})
	}
	st.present = append(st.present, p)
	st.server.counters.participants.Add(1)
	st.log.Info("participant joined", "participant", p.grant.ParticipantID)
	st.emit(Event{Kind: Joined, Grant: p.grant, UserAgent: agent, Protocol: protocol, Origin: p.origin()})
	st.change()
}

// settle lets the participant go if nothing holds it any more.
func (st *stage) settle(p *participant, reason string) {
	if p.socket != nil || p.publisher != nil {
		return
	}
	delete(st.participants, p.grant.ParticipantID)
	if !p.joined || p.grant.Hidden {
		return
	}
	st.present = slices.DeleteFunc(st.present, func(other *participant) bool { return other == p })
	st.server.counters.participants.Add(-1)
	st.log.Info("participant left", "participant", p.grant.ParticipantID, "reason", reason)
	st.emit(Event{Kind: Left, Grant: p.grant, Reason: reason})
	st.change()
	if len(st.present) == 0 {
		st.linger.Reset(sessionLinger)
	}
}

// endSession ends the stage session.
func (st *stage) endSession(reason string) {
	if st.session == "" {
		return
	}
	st.linger.Stop()
	st.log.Info("session ended", "session", st.session, "reason", reason)
	st.emit(Event{Kind: SessionEnded, Reason: reason})
	st.session = ""
	st.active.Store(nil)
}

// endPublisher ends a publisher's session, unless it has ended already.
func (st *stage) endPublisher(pub *publisher, reason string) {
	if p := st.holder(pub); p != nil {
		st.retire(p, reason)
		st.settle(p, reason)
	}
}

// holder returns the participant that publishes by pub, nil when it has ended.
func (st *stage) holder(pub *publisher) *participant {
	if p := st.participants[pub.grant.ParticipantID]; p != nil && p.publisher == pub {
		return p
	}
	return nil
}

// published tells everybody that the participant's publisher is connected.
func (st *stage) published(p *participant) {
	pub := p.publisher
	st.join(p, pub.agent, pub.protocol)
	pub.connected = true
	pub.log.Info("publisher started", "agent", pub.agent)
	st.emit(Event{Kind: PublishStarted, Grant: p.grant, Protocol: pub.protocol, Origin: pub.origin})
	st.change()
}

// retire ends the participant's publisher and its subscribers. The participant itself stays.
func (st *stage) retire(p *participant, reason string) {
	pub := p.publisher
	p.publisher = nil
	pub.ended.Store(&reason)
	pub.expiry.stop()
	st.server.counters.publishers.Add(-1)
	if pub.seated {
		st.server.publisherSeats.leave()
	}
	if pub.connected {
		pub.log.Info("publisher stopped", "reason", reason)
		st.emit(Event{Kind: PublishStopped, Grant: p.grant, Protocol: pub.protocol, Reason: reason, Origin: pub.origin})
		st.change()
	} else {
		pub.log.Info("publisher never connected", "reason", reason)
	}
	for u := range st.subscribers {
		if u.publisher == pub {
			st.endSubscriber(u, "the publisher stopped: "+reason)
		}
	}
	st.server.forget(pub.id)
	st.server.work.Go(pub.close)
}

// endSubscriber ends a subscriber's session.
func (st *stage) endSubscriber(u *subscriber, reason string) {
	if _, ok := st.subscribers[u]; !ok {
		return // it has ended already
	}
	delete(st.subscribers, u)
	if id := u.grant.ParticipantID; st.audience[id] > 1 {
		st.audience[id]--
	} else {
		delete(st.audience, id)
	}
	u.expiry.stop()
	st.server.counters.subscribers.Add(-1)
	if u.seated {
		st.server.subscriberSeats.leave()
	}
	if u.connected {
		st.counted(u, -1)
		u.log.Debug("subscriber stopped", "publisher", u.publisher.grant.ParticipantID, "reason", reason)
		if !u.publisher.grant.Hidden {
			st.emit(Event{Kind: SubscribeStopped, Grant: u.grant, RemoteParticipant: u.publisher.grant.ParticipantID, Reason: reason, Origin: u.publisher.origin})
		}
	}
	st.server.forget(u.id)
	st.server.work.Go(u.close)
}

// dropSocket ends a participant's socket from our side.
func (st *stage) dropSocket(p *participant, code closeCode, reason string) {
	if p.socket == nil {
		return
	}
	p.socket.shut(code, reason)
	p.socket = nil
	st.server.counters.sockets.Add(-1)
}

// end throws everybody out and ends the session and the stage.
func (st *stage) end(code closeCode, reason string) {
	for _, p := range st.participants {
		st.expel(p, code, reason)
	}
	for u := range st.subscribers {
		st.endSubscriber(u, reason)
	}
	st.endSession(reason)
	st.ended = true
}

// expel ends all that a participant has on the stage.
func (st *stage) expel(p *participant, code closeCode, reason string) {
	st.dropSocket(p, code, reason)
	if p.publisher != nil {
		st.retire(p, reason)
	}
	st.settle(p, reason)
}
