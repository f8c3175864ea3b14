package stage

import (
	"io"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/transport/v5/packetio"
)

// maxUnread is how many bytes of what a subscriber sends wait to be read.
const maxUnread = 32 << 10

// buffer makes the buffers of a subscriber's incoming streams for the WebRTC stack. RTCP does not come out of them but is
// answered where it comes in: no goroutine waits for it, and none is missed. Browsers send transport-wide feedback on
// whichever stream the newest packet was of, be it of retransmissions, whose RTCP the stack gives nobody.
func (u *subscriber) buffer(typ packetio.BufferPacketType, ssrc uint32) io.ReadWriteCloser {
	f := &feedbackBuffer{Buffer: packetio.NewBuffer(), ssrc: ssrc}
	f.SetLimitSize(maxUnread)
	if typ == packetio.RTCPBufferPacket {
		f.subscriber = u
	}
	return f
}

// feedbackBuffer is the buffer of one stream. The goroutine that decrypts the subscriber's RTCP writes, one for all streams.
type feedbackBuffer struct {
	*packetio.Buffer
	subscriber *subscriber // nil for RTP
	ssrc       uint32
}

// Write takes one packet.
func (f *feedbackBuffer) Write(p []byte) (int, error) {
	if f.subscriber == nil {
		return f.Buffer.Write(p, nil)
	}
	if pkts, err := rtcp.Unmarshal(p); err == nil { // what cannot be read is lost
		f.subscriber.hear(f.ssrc, pkts, time.Now())
	}
	return len(p), nil
}

// Read gives one packet.
func (f *feedbackBuffer) Read(p []byte) (int, error) {
	n, _, err := f.Buffer.Read(p, nil)
	return n, err
}

// hear answers RTCP about one stream.
func (u *subscriber) hear(ssrc uint32, pkts []rtcp.Packet, now time.Time) {
	for _, p := range pkts {
		if report, ok := p.(*rtcp.TransportLayerCC); ok && u.bandwidth != nil {
			u.bandwidth.feedback(report, now)
		}
	}
	for _, t := range u.outlets {
		if k := t.sink; k != nil && k.ssrc == ssrc {
			k.feedback(pkts, now)
		}
	}
}
