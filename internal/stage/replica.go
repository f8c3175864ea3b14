package stage

// Origin is where a replica comes from.
type Origin struct{ StageID, SessionID string }

// newReplica makes the publisher of a replica: it shares the tracks of the original, so that subscribers of both stages
// get the same packets, layers and sender reports, and key frames by way of the same arbiter.
func newReplica(st *stage, g Grant, original *publisher, from Origin) *publisher {
	return &publisher{
		session: st.server.newSession(st, g, original.agent, nil, nil),
		video:   original.video, audio: original.audio, protocol: original.protocol,
		origin: &from,
	}
}

// addReplica puts a replica on the stage.
type addReplica struct {
	publisher *publisher
	muted     muted
	session   *string // takes the session's id
	reply     chan<- error
}

func (r addReplica) apply(st *stage) { r.reply <- st.addReplica(r) }

func (st *stage) addReplica(r addReplica) error {
	pub := r.publisher
	if st.participants[pub.grant.ParticipantID] != nil {
		return ErrOnDestination
	}
	if refusal := st.roomFor(pub); refusal != nil {
		return refusal
	}
	p := st.enter(pub.grant)
	p.publisher, p.muted = pub, r.muted
	st.server.counters.publishers.Add(1)
	st.published(p)
	*r.session = st.session
	return nil
}

// changeReplica gives a replica other attributes, or another user id.
type changeReplica struct {
	publisher *publisher
	grant     Grant
	muted     muted
	reply     chan<- error
}

func (r changeReplica) apply(st *stage) {
	if p := st.holder(r.publisher); p != nil {
		changed := !grantsEqual(p.grant, r.grant)
		p.grant, p.muted = r.grant, r.muted
		if changed {
			st.emit(Event{Kind: Changed, Grant: p.grant, Origin: r.publisher.origin})
		}
		st.change()
	}
	r.reply <- nil
}

// removeReplica takes a replica off the stage.
type removeReplica struct {
	publisher *publisher
	reason    string
	reply     chan<- error
}

func (r removeReplica) apply(st *stage) {
	st.endPublisher(r.publisher, r.reason)
	r.reply <- nil
}
