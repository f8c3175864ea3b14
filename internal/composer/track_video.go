package composer

import (
	"context"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/clock"
	"github.com/footlight-live/footlight/internal/frame"
)

const (
	// pliInterval is the least time between two requests for a key frame: a key frame costs the sender many
	// times a normal one.
	pliInterval = 500 * time.Millisecond
	// decodeTime is what to leave between the last retransmission and the time a picture is due.
	decodeTime = 30 * time.Millisecond
	// repairTime is for how long a missing packet may still come. A picture that comes late shows for less time
	// or not at all, but those after it need no key frame: that costs the tile less than giving up.
	repairTime = 600 * time.Millisecond
	// hopeless is when a key frame is asked for all the same, in case the repair fails; later where the playout
	// delay says that repairs take longer.
	hopeless = 250 * time.Millisecond
	// decodeAhead is how long before it is due a picture is decoded, if it is there by then. Until then it waits
	// as it came, a fiftieth of the size. Canvases look ahead by no more.
	decodeAhead = 40 * time.Millisecond
	// maxCoded bounds what waits to be decoded: more than the largest playout delay at 60 pictures a second.
	maxCoded = 64
)

// videoTrack assembles and decodes. One goroutine, run, owns it.
type videoTrack struct {
	*session
	packets    <-chan rtpPacket
	requestKey func()

	assembler frame.Assembler
	coded     []codedUnit // in decoding order
	decoder   *av.H264Decoder
	cost      decodeCost
	asked     time.Duration // when a key frame was asked for
	everAsked bool
	lostSeen  uint64
}

// codedUnit waits to be decoded.
type codedUnit struct {
	frame.AccessUnit
	gap bool // something before it is lost
}

// decodeCost is how long decoding takes lately. Only what two pictures in a row took counts: one may have waited for
// the processor.
type decodeCost struct{ lately, last time.Duration }

func (c *decodeCost) add(took time.Duration) {
	c.lately, c.last = max(min(took, c.last), c.lately-c.lately/64), took
}

func (v *videoTrack) run(ctx context.Context) {
	decoder, err := av.NewH264Decoder()
	if err != nil {
		v.log.Error("no video decoder", "participant", v.id, "reason", err)
		return
	}
	defer decoder.Close()
	v.decoder = decoder
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case p, ok := <-v.packets:
			if !ok {
				return
			}
			v.assembler.Push(frame.Packet{Sequence: p.seq, Timestamp: p.ts, Marker: p.marker, Payload: p.payload, Arrival: p.arrival})
		case <-timer.C:
		}
		now := v.clock.Now()
		v.assembler.Wait, v.assembler.Overdue = repairTime, max(v.sync.Delay()-decodeTime, decodeTime)
		for {
			au, ok := v.assembler.Pop(now)
			if !ok {
				break
			}
			// The delay covers decoding too: what counts is when the picture could be shown.
			v.sync.Complete(clock.Video, au.Timestamp, now+v.cost.lately)
			v.coded = append(v.coded, codedUnit{au, v.noteLoss()})
		}
		v.noteLoss()
		timer.Reset(min(v.decode(), v.ask(now)))
	}
}

// noteLoss counts what was given up since the last call, and tells whether there was anything.
func (v *videoTrack) noteLoss() bool {
	lost := v.assembler.Lost() - v.lostSeen
	v.lostSeen += lost
	v.lost.Add(lost)
	return lost > 0
}

// decode decodes what is due soon. It returns how long the rest can wait. What is left of before the sender's time began
// anew, and now seems to be due who knows when, is not waited for.
func (v *videoTrack) decode() (wait time.Duration) {
	for len(v.coded) > 0 {
		u, newest := &v.coded[0], &v.coded[len(v.coded)-1]
		if wait := v.sync.Due(clock.Video, u.Timestamp) - decodeAhead - v.clock.Now(); wait > 0 && len(v.coded) <= maxCoded && u.Timestamp <= newest.Timestamp {
			return max(wait, time.Millisecond)
		}
		if u.gap {
			v.decoder.Flush()
		}
		v.picture(u.AccessUnit)
		v.coded = slices.Delete(v.coded, 0, 1)
	}
	return time.Hour
}

// picture decodes one.
func (v *videoTrack) picture(au frame.AccessUnit) {
	began := v.clock.Now()
	pic, err := v.decoder.Decode(au.Data, au.Timestamp)
	now := v.clock.Now()
	v.meters.decode.add(now, now-began)
	v.cost.add(now - began)
	if err != nil {
		v.assembler.Reset()
		v.log.Debug("video is damaged", "participant", v.id, "reason", err)
		return
	}
	if pic == nil {
		return
	}
	v.decoded.Add(1)
	v.pictures.push(&shot{pic, au.Complete}, now)
}

// ask asks for a key frame where one is missing, and returns how long nothing needs to be done.
func (v *videoTrack) ask(now time.Duration) time.Duration {
	wait := time.Hour
	missing, hopeless := v.assembler.Missing(now), max(hopeless, v.sync.Delay())
	stuck := v.decoder.NeedsKeyFrame() && !slices.ContainsFunc(v.coded, func(u codedUnit) bool { return u.Key })
	switch {
	case v.assembler.NeedKey() || stuck || missing >= hopeless:
		if !v.everAsked || now-v.asked >= pliInterval {
			v.everAsked, v.asked = true, now
			v.keyRequests.Add(1)
			v.requestKey()
		}
		wait = v.asked + pliInterval - now
	case missing > 0:
		wait = hopeless - missing
	}
	if at, ok := v.assembler.Deadline(); ok {
		wait = min(wait, at-now)
	}
	return max(wait, time.Millisecond)
}
