package record

import (
	"time"
)

// EventKind names something that happened to a recording.
type EventKind string

// What an observer hears. After a restart of the server it may hear Started and Ended again.
const (
	Started   EventKind = "Recording Start"    // the store has the first object
	Ended     EventKind = "Recording End"      // the store has everything
	StoreAway EventKind = "Object Store Away"  // the store refuses or does not answer; recording goes on in the spool
	StoreBack EventKind = "Object Store Back"  // it takes objects again
	SpoolFull EventKind = "Recording Paused"   // the disk takes no more: what comes is lost
	SpoolBack EventKind = "Recording Going On" // it does again
)

// Event is one thing that happened to a recording.
type Event struct {
	Kind   EventKind
	Time   time.Time
	Status Status
}

// Status is a recording as it fares now.
type Status struct {
	Spec         Spec
	State        State
	Renditions   []Rendition   // the largest first; none until they are known
	PlaylistKey  string        // of the multivariant playlist, below the prefix
	ThumbnailKey string        // of the newest thumbnail; empty: none is stored
	MP4Key       string        // of the MP4; empty: there is none, or not yet
	Duration     time.Duration // of the media that is written down in whole segments
	Segments     int
	Stored       int       // segments that the store has
	Bytes        int64     // that were stored since the start of the server
	Waiting      int       // files that wait for the store
	AwaySince    time.Time // since when the store takes nothing; zero while it does
	Problem      string    // what it says
	Retries      uint64
	Dropped      uint64    // frames that were lost, since the start of the server
	Ended        time.Time // zero until it is over
	Cause        Cause
}

// Rendition is one folder of a recording's media.
type Rendition struct {
	Name          string
	Width, Height int    // in pixels; 0 of sound alone
	PlaylistKey   string // below the prefix
}

// Status is a snapshot.
func (r *Recording) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status()
}

// status is called with the lock held.
func (r *Recording) status() Status {
	u := &r.uploads
	s := Status{
		Spec: r.spec, State: r.state, Duration: span(r.history.duration()),
		Segments: len(r.history.slots), Stored: u.segments, Bytes: u.bytes, Waiting: len(u.files),
		AwaySince: u.away, Problem: u.problem, Retries: u.retries, Dropped: r.dropped.Load(),
	}
	for _, x := range r.streams() {
		s.Renditions = append(s.Renditions, Rendition{x.name, x.width, x.height, x.playlist()})
	}
	s.PlaylistKey = "media/hls/" + r.spec.multivariant()
	s.ThumbnailKey = u.thumbnail
	if r.state == Stored {
		s.MP4Key = r.mp4Key()
	}
	if e := r.history.end; e != nil {
		s.Ended, s.Cause = e.Time, Cause{Code: e.Code, Message: e.Message}
	}
	return s
}

// tell tells the observer. It is called with the lock held, so that what one recording tells is in order.
func (r *Recording) tell(kind EventKind) {
	if observe := r.recorder.Observe; observe != nil {
		observe(Event{Kind: kind, Time: time.Now().UTC(), Status: r.status()})
	}
}
