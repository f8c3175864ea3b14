package stage

// protocolWHIP and protocolUnknown are the participant protocols of the IVS model that occur here.
const (
	protocolWHIP    = "WHIP"
	protocolUnknown = "UNKNOWN"
)

// socketOutlet is the stage's side of an events socket. Neither method blocks.
type socketOutlet interface {
	// deliver sends the message, or a newer one in its place.
	deliver(message []byte)
	// shut closes the socket with a code and a reason.
	shut(code closeCode, reason string)
}

// joinSocket lets a participant in through its events socket. An older socket of the same participant is closed.
type joinSocket struct {
	grant  Grant
	agent  string
	socket socketOutlet
	reply  chan<- error
}

func (r joinSocket) apply(st *stage) {
	if refusal := st.vet(r.grant); refusal != nil {
		st.emit(Event{Kind: JoinError, Grant: r.grant, ErrorCode: refusal.Code, Reason: refusal.Message})
		r.reply <- refusal
		return
	}
	p := st.enter(r.grant)
	st.dropSocket(p, closeReplaced, "a newer connection with this token took over")
	p.socket, p.extended = r.socket, false
	st.server.counters.sockets.Add(1)
	st.join(p, r.agent, protocolUnknown)
	p.socket.deliver(st.state(false))
	r.reply <- nil
}

// socketEnded says that the client's side of a socket is gone.
type socketEnded struct {
	participantID string
	socket        socketOutlet
	reason        string
}

func (r socketEnded) apply(st *stage) {
	p := st.participants[r.participantID]
	if p == nil || p.socket != r.socket {
		return // replaced, or closed by us
	}
	p.socket = nil
	st.server.counters.sockets.Add(-1)
	st.settle(p, r.reason)
}

// addPublisher takes a publisher that is about to connect. An older one of the same participant ends.
type addPublisher struct {
	publisher *publisher
	reply     chan<- error
}

func (r addPublisher) apply(st *stage) { r.reply <- st.addPublisher(r.publisher) }

func (st *stage) addPublisher(pub *publisher) error {
	g := pub.grant
	if refusal := st.vet(g); refusal != nil {
		st.emit(Event{Kind: PublishError, Grant: g, Protocol: pub.protocol, ErrorCode: refusal.Code, Reason: refusal.Message})
		return refusal
	}
	if refusal := st.roomFor(pub); refusal != nil {
		return refusal
	}
	p := st.enter(g)
	if old := p.publisher; old != nil {
		pub.resumes = old.connected || old.resumes
		st.retire(p, "a newer publish session with this token took over")
	}
	p.publisher = pub
	st.server.counters.publishers.Add(1)
	st.server.remember(resource{
		session: &pub.session, publisher: pub,
		end: func(reason string) request { return publisherEnded{pub, reason} },
	})
	return nil
}

// roomFor makes room for a publisher, or refuses it beyond a limit.
func (st *stage) roomFor(pub *publisher) *Error {
	g := pub.grant
	others := 0
	for id, p := range st.participants {
		if p.publisher != nil && id != g.ParticipantID && !p.grant.Backstage && !p.grant.Hidden {
			others++
		}
	}
	limit := st.server.maxPublishers()
	var err *Error
	if others < limit || g.Backstage || g.Hidden {
		err = st.seatPublisher(pub)
	} else {
		err = refuse(QuotaExceeded, "the stage has its %d publishers already; try again when one has left", limit)
	}
	if err == nil {
		return nil
	}
	st.emit(Event{Kind: PublishError, Grant: g, Protocol: pub.protocol, ErrorCode: err.Code, Reason: err.Message, Origin: pub.origin})
	return err
}

// publisherConnected says that media can flow: the participant is publishing from now on.
type publisherConnected struct{ publisher *publisher }

func (r publisherConnected) apply(st *stage) {
	pub := r.publisher
	p := st.holder(pub)
	if p == nil || pub.connected {
		return
	}
	st.published(p)
	if p.grant.Hidden {
		return
	}
	limit := st.server.Duration()
	refusal := refuse(StreamDurationExceeded, "the participant has published for %s, which is as long as one may", limit)
	pub.expiry = after(limit, func() { st.tell(pub.ctx, publisherExceeded{pub, refusal}) })
}

// publisherEnded ends a publisher, whoever wanted it.
type publisherEnded struct {
	publisher *publisher
	reason    string
}

func (r publisherEnded) apply(st *stage) { st.endPublisher(r.publisher, r.reason) }

// publisherExceeded ends a publisher that sends more than is allowed, or what is not allowed.
type publisherExceeded struct {
	publisher *publisher
	refusal   *Error
}

func (r publisherExceeded) apply(st *stage) {
	pub := r.publisher
	if p := st.holder(pub); p != nil {
		st.emit(Event{Kind: PublishError, Grant: p.grant, Protocol: pub.protocol, ErrorCode: r.refusal.Code, Reason: r.refusal.Message})
	}
	st.endPublisher(pub, r.refusal.Message)
}

// findPublisher looks for a participant that is publishing; nil when it is not.
type findPublisher struct {
	participantID string
	reply         chan<- *publisher
}

func (r findPublisher) apply(st *stage) {
	if p := st.participants[r.participantID]; p != nil && p.publisher != nil && p.publisher.connected && !p.grant.Backstage {
		r.reply <- p.publisher
		return
	}
	r.reply <- nil
}

// addSubscriber takes a subscriber that is about to connect.
type addSubscriber struct {
	subscriber *subscriber
	reply      chan<- error
}

func (r addSubscriber) apply(st *stage) {
	u := r.subscriber
	if st.holder(u.publisher) == nil {
		r.reply <- refuse(PublisherNotFound, "participant %q has stopped publishing", u.publisher.grant.ParticipantID)
		return
	}
	refusal := st.vet(u.grant)
	if limit := st.server.maxSubscribers(); refusal == nil && len(st.audience) >= limit && st.audience[u.grant.ParticipantID] == 0 && !u.grant.Hidden {
		refusal = refuse(QuotaExceeded, "the stage has its %d subscribers already; try again later", limit)
	}
	if refusal == nil {
		refusal = st.seatSubscriber(u)
	}
	if refusal != nil {
		u.fail(refusal)
		r.reply <- refusal
		return
	}
	st.limitRepeats(u)
	st.subscribers[u] = struct{}{}
	if !u.grant.Hidden {
		st.audience[u.grant.ParticipantID]++
	}
	st.server.counters.subscribers.Add(1)
	st.server.remember(resource{
		session: &u.session, subscriber: u,
		end: func(reason string) request { return subscriberEnded{u, reason} },
	})
	r.reply <- nil
}

// maxRepeats is how many subscriptions one participant may have to one publisher: a client that reconnects has two for a
// while. Nobody can use up the stage's subscriptions with one token.
const maxRepeats = 4

// limitRepeats makes room for another subscription of a participant to a publisher by ending the oldest.
func (st *stage) limitRepeats(u *subscriber) {
	st.subscribed++
	u.order = st.subscribed
	var oldest *subscriber
	n := 0
	for other := range st.subscribers {
		if other.publisher != u.publisher || other.grant.ParticipantID != u.grant.ParticipantID {
			continue
		}
		if n++; oldest == nil || other.order < oldest.order {
			oldest = other
		}
	}
	if n >= maxRepeats {
		st.endSubscriber(oldest, "newer subscriptions with this token took over")
	}
}

// subscriberConnected says that media flows to a subscriber.
type subscriberConnected struct{ subscriber *subscriber }

func (r subscriberConnected) apply(st *stage) {
	u := r.subscriber
	if _, ok := st.subscribers[u]; !ok {
		return
	}
	u.connected = true
	st.counted(u, 1)
	u.log.Debug("subscriber started", "publisher", u.publisher.grant.ParticipantID)
	if !u.publisher.grant.Hidden {
		st.emit(Event{Kind: SubscribeStarted, Grant: u.grant, RemoteParticipant: u.publisher.grant.ParticipantID, Origin: u.publisher.origin})
	}
	if !u.grant.Hidden {
		limit := st.server.Duration()
		refusal := refuse(StreamDurationExceeded, "the participant has subscribed for %s, which is as long as one may", limit)
		u.expiry = after(limit, func() { st.tell(u.ctx, subscriberExceeded{u, refusal}) })
	}
}

// subscriberExceeded ends a subscriber that stays longer than is allowed.
type subscriberExceeded struct {
	subscriber *subscriber
	refusal    *Error
}

func (r subscriberExceeded) apply(st *stage) {
	if _, ok := st.subscribers[r.subscriber]; ok {
		r.subscriber.fail(r.refusal)
		st.endSubscriber(r.subscriber, r.refusal.Message)
	}
}

// fail tells the observer of a subscriber's error. Of the stage's goroutine.
func (u *subscriber) fail(refusal *Error) {
	u.stage.emit(Event{
		Kind: SubscribeError, Grant: u.grant, RemoteParticipant: u.publisher.grant.ParticipantID,
		ErrorCode: refusal.Code, Reason: refusal.Message, Origin: u.publisher.origin,
	})
}

// subscriberEnded ends a subscriber, whoever wanted it.
type subscriberEnded struct {
	subscriber *subscriber
	reason     string
}

func (r subscriberEnded) apply(st *stage) { st.endSubscriber(r.subscriber, r.reason) }

// refused reports an offer that was refused before there was a session.
type refused struct{ event Event }

func (r refused) apply(st *stage) { st.emit(r.event) }

// disconnect throws one participant out.
type disconnect struct {
	participantID string
	reason        string
	reply         chan<- error
}

func (r disconnect) apply(st *stage) {
	if p := st.participants[r.participantID]; p != nil {
		st.expel(p, closeDisconnected, r.reason)
	}
	for u := range st.subscribers {
		if u.grant.ParticipantID == r.participantID {
			st.endSubscriber(u, r.reason)
		}
	}
	r.reply <- nil
}

// closeStage throws everybody out; the stage was deleted.
type closeStage struct {
	reason string
	reply  chan<- error
}

func (r closeStage) apply(st *stage) {
	st.end(closeDeleted, r.reason)
	r.reply <- nil
}

// look does nothing; after it the stage looks whether it is still needed.
type look struct{}

func (look) apply(*stage) {}
