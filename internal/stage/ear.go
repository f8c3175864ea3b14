package stage

import (
	"context"
	"sync"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// Ear is a subscriber that is no WebRTC client: something in the server hears a publisher by it, such as the recording
// of participants. It gets what a subscriber gets that wants no size: the largest simulcast layer, from a key frame on,
// numbered and timed as one stream whatever layers it is made of. Who takes too long to read loses packets up to the
// next key frame, which the ear asks for; the stage never waits. Ears appear in no session record and no limit.
type Ear struct {
	heard  chan Heard
	done   chan struct{}
	cancel context.CancelFunc
	video  *sink
}

// Heard is an RTP packet of a publisher, or a sender report in place of one. Payload is the receiver's to keep.
type Heard struct {
	Video     bool
	Sequence  uint16
	Timestamp uint32 // of the RTP clock: 90 kHz for video, 48 kHz for audio
	Marker    bool
	Payload   []byte

	// NTP is the publisher's wall clock at Timestamp, as NTP writes it (RFC 3550 section 6.4.1); zero for a packet.
	NTP uint64
}

// earQueue is how many packets may wait in an ear beyond those that wait in its sinks.
const earQueue = 64

// Listen hears a participant who publishes on the stage, until Close or until the publisher's session ends. It returns an
// *Error of code PublisherNotFound when there is none. An Observer must not call it.
func (s *Server) Listen(ctx context.Context, stageID, participantID string) (*Ear, error) {
	notFound := refuse(PublisherNotFound, "participant %q is not publishing on this stage", participantID)
	st := s.lookup(stageID)
	if st == nil {
		return nil, notFound
	}
	found := make(chan *publisher, 1)
	if err := st.post(ctx, findPublisher{participantID, found}); err != nil {
		return nil, notFound
	}
	p := <-found
	if p == nil {
		return nil, notFound
	}
	ctx, cancel := context.WithCancel(p.ctx)
	e := &Ear{heard: make(chan Heard, earQueue), done: make(chan struct{}), cancel: cancel}
	e.video = e.sink(ctx, p, p.video)
	sound := e.sink(ctx, p, p.audio)
	var both sync.WaitGroup
	both.Add(2)
	for _, k := range []*sink{e.video, sound} {
		p.spawn(func() {
			defer both.Done()
			k.run(ctx)
		})
	}
	p.spawn(func() {
		both.Wait()
		cancel()
		close(e.done)
	})
	if p.ctx.Err() != nil {
		cancel()
		return nil, notFound // spawn may have done nothing
	}
	return e, nil
}

func (e *Ear) sink(ctx context.Context, p *publisher, t *track) *sink {
	video := t == p.video
	tell := func(h Heard) error {
		h.Video = video
		select {
		case e.heard <- h:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return newSink(t, earWriter(tell), func(reports []rtcp.Packet) error {
		for _, r := range reports {
			if r, ok := r.(*rtcp.SenderReport); ok {
				if err := tell(Heard{Timestamp: r.RTPTime, NTP: r.NTPTime}); err != nil {
					return err
				}
			}
		}
		return nil
	}, p.log)
}

// earWriter is an ear as a sink sends to it.
type earWriter func(Heard) error

// WriteRTP implements rtpWriter.
func (w earWriter) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	p := append([]byte(nil), payload...) // the packet's memory is used again
	return len(p), w(Heard{Sequence: h.SequenceNumber, Timestamp: h.Timestamp, Marker: h.Marker, Payload: p})
}

// Heard is what comes, audio and video in the order of their arrival each.
func (e *Ear) Heard() <-chan Heard { return e.heard }

// Done is closed when nothing more comes; what Heard holds can still be read.
func (e *Ear) Done() <-chan struct{} { return e.done }

// RequestKeyFrame asks the publisher for a key frame, together with all who want one. It never blocks.
func (e *Ear) RequestKeyFrame() { e.video.requestKeyFrame() }

// Close stops listening. It does not wait.
func (e *Ear) Close() { e.cancel() }
