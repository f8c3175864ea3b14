package composer

import (
	"context"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/clock"
	"github.com/footlight-live/footlight/internal/composer/frame"
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
	// hopeless is when a key frame is asked for all the same, in case the repair fails.
	hopeless = 250 * time.Millisecond
)

// videoTrack assembles and decodes. One goroutine, run, owns it.
type videoTrack struct {
	*session
	packets    <-chan rtpPacket
	requestKey func()

	assembler frame.Assembler
	decoder   *av.H264Decoder
	asked     time.Duration // when a key frame was asked for
	everAsked bool
	lostSeen  uint64
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
			v.noteLoss()
			if !ok {
				break
			}
			v.decode(au)
		}
		timer.Reset(v.next(now))
	}
}

func (v *videoTrack) decode(au frame.AccessUnit) {
	began := v.clock.Now()
	pic, err := v.decoder.Decode(au.Data, au.Timestamp)
	now := v.clock.Now()
	v.meters.decode.add(now, now-began)
	// The delay covers decoding too: what counts is when the picture can be shown.
	v.sync.Complete(clock.Video, au.Timestamp, now)
	if err != nil {
		v.assembler.Reset()
		v.log.Debug("video is damaged", "participant", v.id, "reason", err)
		return
	}
	if pic == nil {
		return
	}
	v.decoded.Add(1)
	v.pictures.push(&shot{pic, au.Complete})
}

// noteLoss lets the decoder begin anew behind a loss.
func (v *videoTrack) noteLoss() {
	if lost := v.assembler.Lost(); lost != v.lostSeen {
		v.lost.Add(lost - v.lostSeen)
		v.lostSeen = lost
		v.decoder.Flush()
	}
}

// next asks for a key frame where one is missing, and returns how long nothing needs to be done.
func (v *videoTrack) next(now time.Duration) time.Duration {
	wait := time.Hour
	missing := v.assembler.Missing(now)
	switch {
	case v.assembler.NeedKey() || v.decoder.NeedsKeyFrame() || missing >= hopeless:
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
