package stage

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Replication shows a publisher of one stage on another one as well, under the same participant id.
//
// It lasts until StopReplication, until either stage is closed or the participant is disconnected from one of them, or
// until the participant has not published for the window.
type Replication struct {
	SourceID, DestinationID string // the stages
	ParticipantID           string
	Attributes              map[string]string // laid over those of the participant's token
	Window                  time.Duration     // for how long the participant may be away from the source

	// As last seen; StartReplication sets them.
	UserID                            string
	SourceSession, DestinationSession string
}

// replicationKey names a replication: of each there is one at a time.
type replicationKey struct{ source, destination, participant string }

func (r *Replication) key() replicationKey {
	return replicationKey{r.SourceID, r.DestinationID, r.ParticipantID}
}

// Refusals of StartReplication besides *Error, told apart with errors.Is.
var (
	ErrNotPublishing = errors.New("the participant does not publish on the source stage")
	ErrReplicated    = errors.New("the participant is replicated to this stage already")
	ErrReplications  = errors.New("the participant has as many replications as are allowed")
	ErrOnDestination = errors.New("a participant of this id is on the destination stage")
)

// replication is a Replication that runs. Its goroutine (run) owns it: the source stage tells it what the participant
// does (sightings), it tells the destination stage what to show. Neither stage ever waits for it, or for the other one.
type replication struct {
	Replication
	server *Server
	log    *slog.Logger
	source *stage // watched since start

	sightings chan sighting // holds the newest
	stops     chan string   // reasons to end
	done      chan struct{} // closed when it has ended, or never began

	shown *publisher // the replica; nil while the participant is away
	from  *publisher // whose replica it is
	saw   sighting
}

// sighting is what the source stage says of the participant.
type sighting struct {
	publisher *publisher // nil while it does not publish
	grant     Grant
	muted     muted
	session   string
}

// StartReplication begins a replication. When it returns nil the replica is on the destination and the observer has been
// told. It returns an *Error when the destination has no room, or one of the errors above. An Observer must not call it.
func (s *Server) StartReplication(ctx context.Context, of Replication) error {
	return s.replicate(of, func(r *replication) error { return r.start(ctx) })
}

// ResumeReplication goes on with a replication of an earlier process: its participant has the window to come back.
func (s *Server) ResumeReplication(of Replication) error {
	return s.replicate(of, func(r *replication) error { return r.watch(s.ctx, false) })
}

// replicate runs a replication unless begin fails.
func (s *Server) replicate(of Replication, begin func(*replication) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	r, err := s.newReplication(of)
	if err == nil {
		if err = begin(r); err != nil {
			r.leave()
		}
	}
	if err != nil {
		s.work.Done()
		return err
	}
	go r.run()
	return nil
}

// StopReplication ends a replication. It reports whether there was one, and returns when the observer has been told. An
// Observer must not call it.
func (s *Server) StopReplication(sourceID, destinationID, participantID string) bool {
	s.mu.Lock()
	r := s.replications[replicationKey{sourceID, destinationID, participantID}]
	s.mu.Unlock()
	return r != nil && r.stop("stopped by StopParticipantReplication")
}

// endReplications ends all that match and waits for their end.
func (s *Server) endReplications(reason string, match func(replicationKey) bool) {
	var ending []*replication
	s.mu.Lock()
	for key, r := range s.replications {
		if match(key) {
			ending = append(ending, r)
		}
	}
	s.mu.Unlock()
	for _, r := range ending {
		r.stop(reason)
	}
}

// newReplication registers a replication.
func (s *Server) newReplication(of Replication) (*replication, error) {
	r := &replication{
		Replication: of, server: s,
		log:       s.Log.With("stage", of.SourceID, "destination", of.DestinationID, "participant", of.ParticipantID),
		sightings: make(chan sighting, 1), stops: make(chan string), done: make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replications[of.key()] != nil {
		return nil, ErrReplicated
	}
	have := 0
	for key := range s.replications {
		if key.source == of.SourceID && key.participant == of.ParticipantID {
			have++
		}
	}
	if have >= s.maxReplications() {
		return nil, ErrReplications
	}
	s.replications[of.key()] = r
	return r, nil
}

// stop ends the replication and waits for that. It reports false when another end was quicker.
func (r *replication) stop(reason string) bool {
	select {
	case r.stops <- reason:
		<-r.done
		return true
	case <-r.done:
		return false
	}
}

// start looks for the participant and shows its replica.
func (r *replication) start(ctx context.Context) error {
	if err := r.watch(ctx, true); err != nil {
		return err
	}
	if err := r.show(<-r.sightings); err != nil {
		return err
	}
	r.log.Info("replication started", "session", r.DestinationSession, "window", r.Window)
	r.tell(ReplicationStarted, "")
	return nil
}

// watch has the source stage send sightings from now on, the first at once. present refuses a participant who does not
// publish.
func (r *replication) watch(ctx context.Context, present bool) error {
	err := r.server.join(Grant{StageID: r.SourceID}, func(st *stage) error {
		r.source = st
		return ask(ctx, st, func(reply chan<- error) request { return watch{r, present, reply} })
	})
	if err != nil {
		r.source = nil
	}
	return err
}

// leave gives back what a replication takes, which then has ended.
func (r *replication) leave() {
	if r.source != nil {
		r.source.tell(r.server.ctx, unwatch{r})
	}
	r.server.mu.Lock()
	delete(r.server.replications, r.key())
	r.server.mu.Unlock()
	close(r.done)
}

// run follows the participant until the replication ends. At the server's end it stays as it is in the records, so that
// the next process can go on with it.
func (r *replication) run() {
	defer r.server.work.Done()
	reason := r.follow()
	if r.server.ctx.Err() == nil {
		r.hide(reason)
		r.log.Info("replication stopped", "reason", reason)
		r.tell(ReplicationStopped, reason)
	}
	r.leave()
}

// follow keeps the replica as the participant is, and returns why the replication ends.
func (r *replication) follow() (reason string) {
	away := time.NewTimer(r.Window)
	defer away.Stop()
	if r.shown != nil {
		away.Stop()
	}
	for {
		select {
		case <-r.server.ctx.Done():
			return "the server is shutting down"
		case reason := <-r.stops:
			return reason
		case <-away.C:
			return "the participant stopped publishing and did not come back in time"
		case seen := <-r.sightings:
			was := r.shown != nil
			if err := r.update(seen); err != nil {
				return err.Error()
			}
			switch is := r.shown != nil; {
			case was && !is:
				away.Reset(r.Window)
			case is:
				away.Stop()
			}
		}
	}
}

// update makes the replica what the participant is now.
func (r *replication) update(seen sighting) error {
	switch {
	case seen.publisher == r.from && r.from == nil:
		return nil
	case seen.publisher == r.from:
		if grantsEqual(seen.grant, r.saw.grant) && seen.muted == r.saw.muted {
			return nil
		}
		r.saw = seen
		return r.change()
	}
	r.hide("the participant stopped publishing on the source stage")
	if seen.publisher == nil {
		return nil
	}
	if err := r.show(seen); err != nil {
		return err
	}
	r.tell(ReplicationResumed, "")
	return nil
}

// show puts the replica on the destination stage.
func (r *replication) show(seen sighting) error {
	r.saw = seen
	r.SourceSession, r.UserID = seen.session, seen.grant.UserID
	g := r.grant()
	return r.server.join(g, func(st *stage) error {
		pub := newReplica(st, g, seen.publisher, Origin{StageID: r.SourceID, SessionID: seen.session})
		var session string
		err := ask(r.server.ctx, st, func(reply chan<- error) request { return addReplica{pub, seen.muted, &session, reply} })
		if err != nil {
			pub.close()
			return err
		}
		r.shown, r.from, r.DestinationSession = pub, seen.publisher, session
		return nil
	})
}

// change gives the replica the user id, the attributes and the mutes of the participant.
func (r *replication) change() error {
	r.UserID = r.saw.grant.UserID
	return r.onDestination(func(reply chan<- error) request {
		return changeReplica{r.shown, r.grant(), r.saw.muted, reply}
	})
}

// hide takes the replica off the destination stage. It may be gone from there already.
func (r *replication) hide(reason string) {
	if r.shown == nil {
		return
	}
	_ = r.onDestination(func(reply chan<- error) request { return removeReplica{r.shown, reason, reply} })
	r.shown, r.from = nil, nil
}

// onDestination asks the stage that shows the replica. One that has ended shows nothing.
func (r *replication) onDestination(with func(reply chan<- error) request) error {
	if err := ask(r.server.ctx, r.shown.stage, with); err != nil && !errors.Is(err, errStageEnded) {
		return err
	}
	return nil
}

// grant is what the replica is on the destination: it may publish, and its attributes are overridden.
func (r *replication) grant() Grant {
	attributes := maps.Clone(r.saw.grant.Attributes)
	if attributes == nil && len(r.Attributes) > 0 {
		attributes = make(map[string]string)
	}
	maps.Copy(attributes, r.Attributes)
	return Grant{
		StageID: r.DestinationID, ParticipantID: r.ParticipantID, UserID: r.saw.grant.UserID, Attributes: attributes, Publish: true,
	}
}

// tell tells the observer of the replication, as an event of the source stage. The source stage has told of what led to it
// before.
func (r *replication) tell(kind EventKind, reason string) {
	if r.server.Observer == nil {
		return
	}
	of := r.Replication
	g := r.saw.grant
	if g.ParticipantID == "" { // not seen since an earlier process
		g = Grant{StageID: r.SourceID, ParticipantID: r.ParticipantID, UserID: r.UserID}
	}
	r.server.Observer.Observe(Event{
		Kind: kind, Time: time.Now(), StageID: r.SourceID, SessionID: r.SourceSession, Grant: g,
		Replication: &of, Reason: reason,
	})
}

func grantsEqual(a, b Grant) bool {
	return a.UserID == b.UserID && maps.Equal(a.Attributes, b.Attributes)
}

// watch has a replication hear of a participant with every snapshot, and now.
type watch struct {
	by      *replication
	present bool // the participant must publish
	reply   chan<- error
}

func (r watch) apply(st *stage) {
	seen := st.sight(r.by.ParticipantID)
	if r.present && seen.publisher == nil {
		r.reply <- ErrNotPublishing
		return
	}
	st.watchers = append(st.watchers, r.by)
	r.by.see(seen)
	r.reply <- nil
}

// unwatch ends what watch began.
type unwatch struct{ by *replication }

func (r unwatch) apply(st *stage) {
	st.watchers = slices.DeleteFunc(st.watchers, func(other *replication) bool { return other == r.by })
}

// see replaces a sighting that was not looked at yet. Only the source stage's goroutine calls it.
func (r *replication) see(seen sighting) {
	select {
	case <-r.sightings:
	default:
	}
	r.sightings <- seen // never blocks: nobody else sends
}

// sight is how a participant is now. Replicas are no originals, and cannot be replicated further.
func (st *stage) sight(participantID string) sighting {
	p := st.participants[participantID]
	if p == nil || p.publisher == nil || !p.publisher.connected || p.publisher.origin != nil || p.grant.Hidden || p.grant.Backstage {
		return sighting{session: st.session}
	}
	return sighting{publisher: p.publisher, grant: p.grant, muted: p.muted, session: st.session}
}
