package composer

import (
	"bytes"
	"encoding/binary"
	"image"
	"io"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/clock"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/test/judge"
)

// watched is what a subscriber of the mix got.
type watched struct {
	delay time.Duration // from when a picture was drawn until it was decoded
	sound float64       // root mean square
}

// watch subscribes to the mix and decodes it until close.
func (r *rig) watch(t *testing.T) (pictures <-chan watched, sounds <-chan watched, reports <-chan *rtcp.SenderReport, end func()) {
	t.Helper()
	api, err := newAPI()
	if err != nil {
		t.Fatal(err)
	}
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	p, s, rep := make(chan watched, 1000), make(chan watched, 1000), make(chan *rtcp.SenderReport, 100)
	pc.OnTrack(func(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		go func() {
			for {
				packets, _, err := receiver.ReadRTCP()
				if err != nil {
					return
				}
				for _, pkt := range packets {
					if sr, ok := pkt.(*rtcp.SenderReport); ok {
						select {
						case rep <- sr:
						default:
						}
					}
				}
			}
		}()
		if track.Kind() == webrtc.RTPCodecTypeAudio {
			hear(t, track, s)
			return
		}
		see(t, track, p)
	})
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	var answer []byte
	for until := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) { // the composer needs a while to be there
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.http.URL+"/whip/subscribe/hidden", bytes.NewReader([]byte(pc.LocalDescription().SDP)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/sdp")
		req.Header.Set("Authorization", "Bearer viewer")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err = io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode == http.StatusCreated {
			break
		}
		if res.StatusCode != http.StatusNotFound || time.Now().After(until) {
			t.Fatalf("subscribe to the mix: %s: %s", res.Status, answer)
		}
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		t.Fatal(err)
	}
	return p, s, rep, func() { _ = pc.GracefulClose() }
}

// see decodes pictures and reads when they were drawn.
func see(t *testing.T, track *webrtc.TrackRemote, out chan<- watched) {
	decoder, err := av.NewH264Decoder()
	if err != nil {
		t.Error(err)
		return
	}
	defer decoder.Close()
	var unit []byte
	var depacketizer codecs.H264Packet
	for n := 0; ; {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		nal, err := depacketizer.Unmarshal(p.Payload)
		if err != nil {
			t.Error(err)
			return
		}
		if unit = append(unit, nal...); !p.Marker {
			continue
		}
		picture, err := decoder.Decode(unit, int64(n))
		unit = unit[:0]
		now := time.Now()
		if err != nil || picture == nil {
			continue
		}
		if n++; n%4 == 0 {
			gray := image.NewGray(image.Rect(0, 0, picture.Width, picture.Height))
			for i := range gray.Pix {
				gray.Pix[i] = picture.Luma(i%gray.Stride, i/gray.Stride)
			}
			if index, drawn, ok := judge.ReadStrip(gray, gray.Rect); ok && index == 0 {
				select {
				case out <- watched{delay: now.Sub(time.UnixMilli(drawn))}:
				default:
				}
			}
		}
		picture.Release()
	}
}

// hear decodes sound and says how loud it is.
func hear(t *testing.T, track *webrtc.TrackRemote, out chan<- watched) {
	decoder, err := av.NewOpusDecoder()
	if err != nil {
		t.Error(err)
		return
	}
	defer decoder.Close()
	pcm := make([]float32, 2*5760)
	last := uint32(0)
	for n := 0; ; n++ {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		if n > 0 && p.Timestamp-last != opusFrame {
			t.Errorf("sound jumps by %d samples", p.Timestamp-last)
		}
		last = p.Timestamp
		samples, err := decoder.Decode(p.Payload, pcm)
		if err != nil {
			t.Error(err)
			return
		}
		sum := 0.0
		for _, v := range pcm[:2*samples] {
			sum += float64(v) * float64(v)
		}
		select {
		case out <- watched{sound: math.Sqrt(sum / float64(2*samples))}:
		default:
		}
	}
}

// TestLive subscribes to the mix over WebRTC while it also goes to a channel: picture and sound are those of the
// participant, and sooner than a playlist has them. The composer stays in no list.
func TestLive(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(0, nil)
	s := r.compose(func(job *wire.Job) { job.Live = true })
	s.until("the channel is live", func() bool { return s.state("d1") == wire.Active })
	pictures, sounds, reports, end := r.watch(t)
	defer end()
	next := func(c <-chan watched, what string) watched {
		select {
		case w := <-c:
			return w
		case <-time.After(patience):
			t.Fatal("no ", what)
			return watched{}
		}
	}
	var delays []time.Duration
	for range 30 {
		delays = append(delays, next(pictures, "picture").delay)
	}
	slices.Sort(delays)
	t.Logf("from drawn to decoded: median %v, most %v", delays[15], delays[29])
	if delays[0] < 0 || delays[15] > 10*time.Second {
		t.Errorf("delays %v", delays)
	}
	loud := 0
	for range 100 {
		if next(sounds, "sound").sound > 0.01 {
			loud++
		}
	}
	if loud < 50 {
		t.Errorf("%d of 100 frames have sound", loud)
	}
	select {
	case sr := <-reports:
		if age := time.Since(time.Unix(int64(sr.NTPTime>>32)-2_208_988_800, 0)); age < -time.Minute || age > time.Minute {
			t.Errorf("a report of %v ago", age)
		}
	case <-time.After(patience):
		t.Error("no sender report")
	}
	if st := r.stage.Stats(); st.Participants != 1 {
		t.Errorf("%d participants are on the stage, want the one that anybody sees", st.Participants)
	}

	// The stage throws the mix out; the composer comes back by itself.
	end()
	r.stage.Disconnect(stageID, "hidden", "test")
	pictures, _, _, end = r.watch(t)
	defer end()
	next(pictures, "picture after the connection was lost")
}

// TestLiveUnits: what is sent is what was coded, with parameter sets in front of key frames.
func TestLiveUnits(t *testing.T) {
	avcc := func(nals ...string) (b []byte) {
		for _, n := range nals {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(n))), n...)
		}
		return b
	}
	l := &webcast{sps: []byte("\x67\x42\xc0\x1f"), pps: []byte("\x68\xce")}
	for _, c := range []struct {
		key  bool
		data []byte
		want string
	}{
		{false, avcc("\x41ab", "\x41cd"), "\x00\x00\x00\x01\x41ab\x00\x00\x00\x01\x41cd"},
		{true, avcc("\x65ab"), "\x00\x00\x00\x01\x67\x42\xc0\x1f\x00\x00\x00\x01\x68\xce\x00\x00\x00\x01\x65ab"},
		{false, avcc("\x41ab")[:5], "\x00\x00\x00\x01\x41"},
	} {
		if got := l.annexB(&packet{key: c.key, data: c.data}); string(got) != c.want {
			t.Errorf("%x: got %x, want %x", c.data, got, c.want)
		}
	}
}

// TestLiveLeavesPicturesOut: behind a picture for which there is no room nothing is sent that refers to it, until a key
// frame, which is asked for. Sound for which there is none asks for nothing.
func TestLiveLeavesPicturesOut(t *testing.T) {
	encoder, err := av.NewOpusEncoder(liveBitRate)
	if err != nil {
		t.Fatal(err)
	}
	l := &webcast{queue: make(chan *packet, 3), encoder: encoder}
	defer l.close()
	l.open.Store(true)
	picture := func(n int, key bool) { l.offer(&packet{video: true, key: key, pts: time.Duration(n)}) }
	for n := range 3 {
		picture(n, n == 0)
	}
	if err := l.listen(make([]float32, 2*opusFrame), 0); err != nil {
		t.Fatal(err)
	}
	if l.asksKey() {
		t.Error("sound that is left out asks for a key frame")
	}
	picture(3, false)
	if !l.asksKey() {
		t.Error("a picture that is left out asks for no key frame")
	}
	var sent []time.Duration
	take := func() { sent = append(sent, (<-l.queue).pts) }
	take()
	picture(4, false) // refers to 3
	picture(5, true)
	take()
	picture(6, false)
	for len(l.queue) > 0 {
		take()
	}
	if want := []time.Duration{0, 1, 2, 5, 6}; !slices.Equal(sent, want) {
		t.Errorf("pictures %d are sent, want %d", sent, want)
	}
	if l.asksKey() {
		t.Error("another key frame is asked for")
	}
}

// TestLiveSoundIsDated: what a decoder gives is where the packets say, to half a millisecond.
func TestLiveSoundIsDated(t *testing.T) {
	const began, click = 48_000, 3*opusFrame + 500
	encoder, err := av.NewOpusEncoder(liveBitRate)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := av.NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	l := &webcast{queue: make(chan *packet, liveQueue), encoder: encoder}
	defer l.close()
	l.open.Store(true)
	pcm := make([]float32, 2*6*opusFrame)
	pcm[2*click], pcm[2*click+1] = 1, 1
	if err := l.listen(pcm, began); err != nil {
		t.Fatal(err)
	}
	var loudest float32
	var at int64
	for len(l.queue) > 0 {
		p := <-l.queue
		n, err := decoder.Decode(p.data, pcm)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if pcm[2*i] > loudest {
				loudest, at = pcm[2*i], clock.Samples(p.pts, audio.Rate)+int64(i)
			}
		}
	}
	if off := at - began - click; off < -24 || off > 24 {
		t.Errorf("a click is %d samples late", off)
	}
}
