package main

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// What the publisher sends: 720p30 at 1.5 Mbit/s with a key frame of four times a picture's size every 2 s and whenever
// one is asked for, spread as libwebrtc spreads it, at 2.5 times the rate.
const (
	frameRate  = 30
	bitRate    = 1_500_000
	packetSize = 1100 // of payload, bytes
	gop        = 2 * frameRate
	keySize    = 4
	pacing     = 5 * bitRate / 2
)

// sps and pps are of a 1280x720 constrained baseline stream.
var (
	sps = []byte{0x67, 0x42, 0xc0, 0x1f, 0x95, 0xa0, 0x14, 0x01, 0x6e, 0x40}
	pps = []byte{0x68, 0xce, 0x3c, 0x80}
)

var h264 = webrtc.RTPCodecCapability{
	MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
	SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
}

// camera makes packets that look like H.264 to a server that does not decode. Each payload ends with the time at which
// it was sent.
type camera struct {
	track  *webrtc.TrackLocalStaticRTP
	sent   atomic.Int64
	frames atomic.Int64
	muted  atomic.Bool
	key    atomic.Bool
	stop   chan struct{}
	ended  chan struct{}
}

func newCamera() (*camera, error) {
	track, err := webrtc.NewTrackLocalStaticRTP(h264, "video", "camera")
	if err != nil {
		return nil, err
	}
	return &camera{track: track, stop: make(chan struct{}), ended: make(chan struct{})}, nil
}

// listen takes the requests for key frames.
func (c *camera) listen(sender *webrtc.RTPSender) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				c.key.Store(true)
			}
		}
	}
}

// run sends until close.
func (c *camera) run() {
	defer close(c.ended)
	start := time.Now()
	var sequence uint16
	next := start // when the pacer may send
	base := bitRate / 8 / frameRate * gop / (gop - 1 + keySize)
	for n := 0; ; n++ {
		due := start.Add(time.Duration(n) * time.Second / frameRate)
		if next.Before(due) {
			next = due
		}
		size, key := base, n%gop == 0 || c.key.CompareAndSwap(true, false)
		if key {
			size *= keySize
		}
		payloads := fragment(size, key)
		if c.muted.Load() {
			payloads = nil
		}
		c.frames.Add(1)
		if payloads == nil {
			select {
			case <-c.stop:
				return
			case <-time.After(time.Until(next)):
			}
		}
		for i, payload := range payloads {
			select {
			case <-c.stop:
				return
			case <-time.After(time.Until(next)):
			}
			next = next.Add(time.Duration(len(payload)) * 8 * time.Second / pacing)
			binary.BigEndian.PutUint64(payload[len(payload)-8:], uint64(time.Now().UnixNano()))
			_ = c.track.WriteRTP(&rtp.Packet{ // the connection's end shows in what arrives
				Header: rtp.Header{
					Version: 2, SequenceNumber: sequence, Marker: i == len(payloads)-1,
					Timestamp: uint32(n * 90000 / frameRate),
				},
				Payload: payload,
			})
			sequence++
			c.sent.Add(1)
		}
	}
}

func (c *camera) close() {
	close(c.stop)
	<-c.ended
}

// fragment makes the payloads of a picture (RFC 6184 sections 5.7.1, 5.8).
func fragment(size int, key bool) [][]byte {
	var out [][]byte
	typ := byte(0x41)
	if key {
		typ = 0x65
		b := []byte{0x78} // STAP-A
		for _, nal := range [][]byte{sps, pps} {
			b = append(append(b, byte(len(nal)>>8), byte(len(nal))), nal...)
		}
		// Room for the time, within a NAL unit that means nothing: filler data.
		b = append(append(b, 0, 9, 0x6c), make([]byte, 8)...)
		out = append(out, b)
	}
	for at := 0; at < size; at += packetSize {
		b := make([]byte, max(min(packetSize, size-at), 32))
		b[0], b[1], b[2] = typ&0x60|28, typ&0x1f, 0x9a
		if at == 0 {
			b[1] |= 0x80
		}
		if at+packetSize >= size {
			b[1] |= 0x40
		}
		out = append(out, b)
	}
	return out
}
