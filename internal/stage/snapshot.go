package stage

import (
	"encoding/json"
	"time"
)

// muted is what a participant said of its own media: that it sends silence, or no picture worth showing.
type muted struct{ audio, video bool }

// change has a snapshot sent soon.
func (st *stage) change() { st.changeWithin(snapshotDelay) }

// changeWithin has a snapshot sent after a delay at most.
func (st *stage) changeWithin(d time.Duration) {
	due := time.Now().Add(d)
	if st.changed && !due.Before(st.due) {
		return
	}
	st.changed, st.due = true, due
	st.snapshot.Reset(d)
}

// sendSnapshots gives every socket the snapshot of its kind, and every replication the state of its participant.
func (st *stage) sendSnapshots() {
	st.changed = false
	for _, r := range st.watchers {
		r.see(st.sight(r.ParticipantID))
	}
	var plain, extended []byte
	for _, p := range st.participants {
		switch {
		case p.socket == nil:
		case p.extended:
			if extended == nil {
				extended = st.state(true)
			}
			p.socket.deliver(extended)
		default:
			if plain == nil {
				plain = st.state(false)
			}
			p.socket.deliver(plain)
		}
	}
}

// state is the STAGE_STATE message: everybody who is present, in order of arrival. Clients that asked for
// the extended one hear who is muted, which layers there are and how many receive them, and of those who do not publish who is about to again, over a new connection
// that took the place of the one before; others get the members that they know and no more.
func (st *stage) state(extended bool) []byte {
	type entry struct {
		ID           string            `json:"id"`
		UserID       string            `json:"userId"`
		Attributes   map[string]string `json:"attributes"`
		IsPublishing bool              `json:"isPublishing"`
		AudioMuted   *bool             `json:"audioMuted,omitempty"`
		VideoStopped *bool             `json:"videoStopped,omitempty"`
		Resuming     bool              `json:"resuming,omitempty"`
		Subscribers  *int              `json:"subscribers,omitempty"` // how many receive what it publishes
		Layers       []layerState      `json:"layers,omitempty"`      // of the video that it publishes
	}
	var m struct {
		Type    string `json:"type"`
		Payload struct {
			StageID      string  `json:"stageId"`
			Participants []entry `json:"participants"`
		} `json:"payload"`
	}
	m.Type = "STAGE_STATE"
	m.Payload.StageID = st.id
	m.Payload.Participants = make([]entry, 0, len(st.present))
	for _, p := range st.present {
		if p.grant.Backstage {
			continue
		}
		e := entry{
			ID: p.grant.ParticipantID, UserID: p.grant.UserID, Attributes: p.grant.Attributes,
			IsPublishing: p.publisher != nil && p.publisher.connected,
		}
		if e.Attributes == nil {
			e.Attributes = map[string]string{}
		}
		if extended {
			e.AudioMuted, e.VideoStopped = new(p.muted.audio), new(p.muted.video)
			e.Resuming = p.publisher != nil && p.publisher.resumes && !p.publisher.connected
			if e.IsPublishing {
				e.Subscribers, e.Layers = new(p.publisher.audience), p.publisher.video.states(time.Now())
				for i := range e.Layers {
					e.Layers[i].BitRate = 0 // it changes all the time
				}
			}
		}
		m.Payload.Participants = append(m.Payload.Participants, e)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic("stage: a snapshot of strings cannot fail to marshal: " + err.Error())
	}
	return b
}

// hello asks for the extended snapshot from now on.
type hello struct {
	participantID string
	socket        socketOutlet
}

func (r hello) apply(st *stage) {
	p := st.participants[r.participantID]
	if p == nil || p.socket != r.socket {
		return // replaced, or closed by us
	}
	p.extended = true
	r.socket.deliver(st.state(true))
}

// setMuted takes what a participant says of its own media. Only a client that said hello may.
type setMuted struct {
	participantID string
	socket        socketOutlet
	muted         muted
}

func (r setMuted) apply(st *stage) {
	p := st.participants[r.participantID]
	if p == nil || p.socket != r.socket || !p.extended || p.muted == r.muted {
		return
	}
	p.muted = r.muted
	st.log.Debug("participant muted", "participant", r.participantID, "audio", r.muted.audio, "video", r.muted.video)
	st.change()
}
