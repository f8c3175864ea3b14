package composer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/clock"
)

const (
	// liveBitRate is that of the Opus sound: transparent for speech and good for music.
	liveBitRate = 128_000
	// opusFrame is 20 ms of samples per channel.
	opusFrame = audio.Rate / 50
	// liveQueue is how many frames may wait for the connection: a second. Who is live has no use for older ones.
	liveQueue = 80
	// livePayload is the most bytes in an RTP packet, so that it fits through tunnels.
	livePayload = 1150
	// liveReports is how often the receiver is told how sound and picture belong together.
	liveReports = time.Second
)

// webcast publishes the mix to the stage as a hidden participant, over WHIP: subscribers get it within a fraction of the
// time that a playlist takes. It sends the pictures of a canvas as they are coded for its destinations, and the sound as
// Opus. Its goroutine, run, owns the connection; canvas and sound loop offer frames and never wait.
//
// A nil webcast takes everything and does nothing.
type webcast struct {
	api    *webrtc.API
	url    string // WHIP
	bearer string
	clock  *clock.Clock
	log    *slog.Logger
	sps    []byte
	pps    []byte
	queue  chan *packet
	open   atomic.Bool // connected
	key    atomic.Bool // a key frame is asked for
	gap    bool        // of the canvas: a picture was left out, and no key frame came since

	// Of the sound loop.
	encoder *av.OpusEncoder
	pcm     []float32 // samples that do not fill a frame yet
	next    int64     // position of the first of them
	coded   [1500]byte
}

// newWebcast makes a publisher of pictures with these parameter sets. close frees it.
func newWebcast(url, bearer string, sps, pps []byte, clk *clock.Clock, log *slog.Logger) (*webcast, error) {
	media := &webrtc.MediaEngine{}
	err := media.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: 102, RTPCodecCapability: liveVideo(sps)}, webrtc.RTPCodecTypeVideo)
	if err == nil {
		err = media.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: 111, RTPCodecCapability: liveAudio}, webrtc.RTPCodecTypeAudio)
	}
	if err != nil {
		return nil, fmt.Errorf("publish live: register codecs: %w", err)
	}
	responder, err := nack.NewResponderInterceptor()
	if err != nil {
		return nil, fmt.Errorf("publish live: set up retransmission: %w", err)
	}
	registry := &interceptor.Registry{}
	registry.Add(responder)
	encoder, err := av.NewOpusEncoder(liveBitRate)
	if err != nil {
		return nil, err
	}
	return &webcast{
		api: webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(iceSettings())),
		url: url, bearer: bearer, clock: clk, log: log, sps: sps, pps: pps, queue: make(chan *packet, liveQueue), encoder: encoder,
	}, nil
}

var liveAudio = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: audio.Rate, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1"}

func liveVideo(sps []byte) webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
		SDPFmtpLine:  "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=" + hex.EncodeToString(sps[1:4]),
		RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}},
	}
}

// wants tells whether frames are of use.
func (l *webcast) wants() bool { return l != nil && l.open.Load() }

// asksKey tells whether somebody waits for a key frame, which is then taken as made.
func (l *webcast) asksKey() bool { return l.wants() && l.key.CompareAndSwap(true, false) }

// offer takes a picture if there is room. Those behind one that was left out refer to it, up to the next key frame: they
// are left out too, since receivers, who miss no packet, would show them. The canvas calls it.
func (l *webcast) offer(p *packet) {
	if !l.wants() || l.gap && !p.key {
		return
	}
	select {
	case l.queue <- p:
		l.gap = false
	default:
		l.gap = true
		l.key.Store(true)
	}
}

// listen takes the mixed sound from a position on, in samples of the composer's clock.
func (l *webcast) listen(pcm []float32, at int64) error {
	if !l.wants() {
		if l != nil {
			l.pcm = l.pcm[:0]
		}
		return nil
	}
	if len(l.pcm) == 0 {
		l.next = at
	}
	l.pcm = append(l.pcm, pcm...)
	for len(l.pcm) >= 2*opusFrame {
		n, err := l.encoder.Encode(l.pcm[:2*opusFrame], l.coded[:])
		if err != nil {
			return fmt.Errorf("encode live sound: %w", err)
		}
		// A decoder's sound is late by the encoder's delay, which must not become a lip sync error.
		pts := clock.Ticks(l.next-int64(l.encoder.Delay()), audio.Rate)
		select {
		case l.queue <- &packet{pts: pts, data: bytes.Clone(l.coded[:n])}:
		default: // 20 ms are missing, which receivers get over
		}
		l.pcm = append(l.pcm[:0], l.pcm[2*opusFrame:]...)
		l.next += opusFrame
	}
	return nil
}

// close frees the encoder; the sound loop has ended.
func (l *webcast) close() {
	if l != nil {
		l.encoder.Close()
	}
}

// run publishes until ctx ends, again and again when the connection breaks.
func (l *webcast) run(ctx context.Context) {
	for retries := 0; ; {
		began := time.Now()
		err := l.publish(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > giveUpAfter {
			retries = 0
		}
		l.log.Warn("live is not connected", "reason", err, "retries", retries)
		if !sleep(ctx, retryPauses[min(retries, len(retryPauses)-1)]) {
			return
		}
		retries++
	}
}

// publish sends over one connection until it ends.
func (l *webcast) publish(ctx context.Context) error {
	var ending sync.WaitGroup
	defer ending.Wait()
	pc, err := l.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return fmt.Errorf("publish live: %w", err)
	}
	defer func() { _ = pc.GracefulClose() }() // the server notices anyway
	states := make(chan webrtc.PeerConnectionState, 8)
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		select {
		case states <- s:
		default:
		}
	})
	out := outgoing{live: l, pc: pc}
	if err := out.add(&ending); err != nil {
		return err
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("publish live: make an offer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return fmt.Errorf("publish live: set the offer: %w", err)
	}
	<-gathered
	w := whep{http: &http.Client{}, url: l.url, bearer: l.bearer}
	answer, location, err := w.post(ctx, pc.LocalDescription().SDP)
	if err != nil {
		return fmt.Errorf("publish live: %w", err)
	}
	defer w.delete(location)
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return fmt.Errorf("publish live: take the answer: %w", err)
	}
	defer l.open.Store(false)
	reports := time.NewTicker(liveReports)
	defer reports.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-states:
			switch s {
			case webrtc.PeerConnectionStateConnected:
				for len(l.queue) > 0 {
					<-l.queue
				}
				l.key.Store(true)
				l.open.Store(true)
				l.log.Info("live is connected")
				out.report()
			case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
				return errors.New("the connection broke")
			}
		case <-reports.C:
			if l.open.Load() {
				out.report()
			}
		case p := <-l.queue:
			if err := out.send(p); err != nil {
				return err
			}
		}
	}
}

// outgoing is the two tracks of a connection.
type outgoing struct {
	live         *webcast
	pc           *webrtc.PeerConnection
	video, sound *webrtc.TrackLocalStaticRTP
	senders      [2]*webrtc.RTPSender
	payloader    codecs.H264Payloader
	videoSeq     uint16
	soundSeq     uint16
	counts       [2]struct{ packets, octets uint32 }
	keyed        bool // a key frame was sent
}

// add makes the tracks. What reads their feedback runs in wg until the connection is closed.
func (o *outgoing) add(wg *sync.WaitGroup) error {
	var err error
	if o.video, err = webrtc.NewTrackLocalStaticRTP(liveVideo(o.live.sps), "video", "mix"); err == nil {
		o.sound, err = webrtc.NewTrackLocalStaticRTP(liveAudio, "audio", "mix")
	}
	for i, t := range []*webrtc.TrackLocalStaticRTP{o.video, o.sound} {
		if err != nil {
			break
		}
		o.senders[i], err = o.pc.AddTrack(t)
	}
	if err != nil {
		return fmt.Errorf("publish live: add tracks: %w", err)
	}
	for _, sender := range o.senders {
		wg.Go(func() { o.live.feedback(sender) })
	}
	return nil
}

// feedback takes the requests for key frames until the connection is closed. Reading is also what drives
// retransmission.
func (l *webcast) feedback(sender *webrtc.RTPSender) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				l.key.Store(true)
			}
		}
	}
}

// send writes a frame.
func (o *outgoing) send(p *packet) error {
	if !p.video {
		o.soundSeq++
		return o.write(1, o.sound, &rtp.Packet{
			Header:  rtp.Header{Version: 2, SequenceNumber: o.soundSeq, Timestamp: uint32(clock.Samples(p.pts, audio.Rate))},
			Payload: p.data,
		})
	}
	if o.keyed = o.keyed || p.key; !o.keyed {
		return nil
	}
	payloads := o.payloader.Payload(livePayload, o.live.annexB(p))
	for i, payload := range payloads {
		o.videoSeq++
		if err := o.write(0, o.video, &rtp.Packet{
			Header: rtp.Header{
				Version: 2, SequenceNumber: o.videoSeq, Marker: i == len(payloads)-1,
				Timestamp: uint32(clock.Samples(p.pts, 90000)),
			},
			Payload: payload,
		}); err != nil {
			return err
		}
	}
	return nil
}

// annexB is a picture as a byte stream (ITU-T H.264 annex B), with the parameter sets in front of a key frame.
func (l *webcast) annexB(p *packet) []byte {
	var stream []byte
	if p.key {
		for _, nal := range [][]byte{l.sps, l.pps} {
			stream = append(append(stream, 0, 0, 0, 1), nal...)
		}
	}
	at := len(stream)
	stream = append(stream, p.data...)
	for at+4 <= len(stream) { // lengths of four bytes become start codes of four bytes
		size := int(binary.BigEndian.Uint32(stream[at:]))
		binary.BigEndian.PutUint32(stream[at:], 1)
		at += 4 + size
	}
	return stream
}

func (o *outgoing) write(i int, t *webrtc.TrackLocalStaticRTP, p *rtp.Packet) error {
	o.counts[i].packets++
	o.counts[i].octets += uint32(len(p.Payload))
	if err := t.WriteRTP(p); err != nil {
		return fmt.Errorf("publish live: %w", err)
	}
	return nil
}

// report says which moment of the composer's clock is now, on both tracks, so that they stay together whatever
// coding took (RFC 3550 section 6.4.1).
func (o *outgoing) report() {
	now, at := time.Now(), o.live.clock.Now()
	const era = 2_208_988_800 // seconds from 1900 to 1970
	ntp := uint64(now.Unix()+era)<<32 | uint64(now.Nanosecond())<<32/1_000_000_000
	for i, rate := range []int64{90000, audio.Rate} {
		e := o.senders[i].GetParameters().Encodings
		if len(e) == 0 {
			continue
		}
		// The connection's end is told by its state.
		_ = o.pc.WriteRTCP([]rtcp.Packet{&rtcp.SenderReport{
			SSRC: uint32(e[0].SSRC), NTPTime: ntp, RTPTime: uint32(clock.Samples(at, rate)),
			PacketCount: o.counts[i].packets, OctetCount: o.counts[i].octets,
		}})
	}
}
