package stage

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/pion/stun/v4"
)

// Fakes of encoders that cannot run in tests, made from what is known of them.

// TestFFmpeg is FFmpeg's WHIP muxer: it offers to be the DTLS server, takes the first UDP candidate of the answer and no other,
// gathers none of its own, sends STUN requests that name neither a role nor a priority, offers no header extensions and
// never sends a sender report.
func TestFFmpeg(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	certificate, print := newCertificate(t)
	section := "c=IN IP4 0.0.0.0\r\na=ice-ufrag:ffmp\r\na=ice-pwd:ffmpegffmpegffmpegffmpeg\r\na=fingerprint:sha-256 " + print +
		"\r\na=setup:passive\r\n"
	offer := "v=0\r\no=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1\r\ns=FFmpegPublishSession\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n" +
		"a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" + section + "a=mid:0\r\na=sendonly\r\na=msid:FFmpeg audio\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n" +
		"a=ssrc:7001 cname:FFmpeg\r\na=ssrc:7001 msid:FFmpeg audio\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 106\r\n" + section + "a=mid:1\r\na=sendonly\r\na=msid:FFmpeg video\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:106 H264/90000\r\n" +
		"a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42c01f\r\na=ssrc:7002 cname:FFmpeg\r\na=ssrc:7002 msid:FFmpeg video\r\n"
	e, _ := r.encode(t, "ffmpeg", offer, "ffmp", "ffmpegffmpegffmpegffmpeg", certificate)
	defer e.close()
	r.watchEncoder(t, e, "ffmpeg", 7002, 106, 7001, 111)
}

// TestOBS is OBS with libdatachannel: credentials for the whole session, video and sound that it only sends, and no PATCH. It takes a
// 201 with a Location only, within 8 s in all, never sends a sender report, and wants 200 for its DELETE.
func TestOBS(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	certificate, print := newCertificate(t)
	offer := "v=0\r\no=rtc 2654713 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=group:LS 0 1\r\na=msid-semantic:WMS *\r\n" +
		"a=setup:actpass\r\na=ice-ufrag:obsu\r\na=ice-pwd:obsobsobsobsobsobsobsobs\r\na=ice-options:ice2,trickle\r\na=fingerprint:sha-256 " + print + "\r\n" +
		"m=audio 50123 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 127.0.0.1\r\na=mid:0\r\na=sendonly\r\na=ssrc:8001 cname:obs\r\na=ssrc:8001 msid:obs obs-audio\r\n" +
		"a=msid:obs obs-audio\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1\r\n" +
		"a=candidate:1 1 UDP 2122317823 127.0.0.1 50123 typ host\r\na=end-of-candidates\r\n" +
		"m=video 50123 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 127.0.0.1\r\na=mid:1\r\na=sendonly\r\na=ssrc:8002 cname:obs\r\na=ssrc:8002 msid:obs obs-video\r\n" +
		"a=msid:obs obs-video\r\na=rtcp-mux\r\na=rtpmap:96 H264/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 goog-remb\r\n" +
		"a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1\r\n"
	began := time.Now()
	e, res := r.encode(t, "obs", offer, "obsu", "obsobsobsobsobsobsobsobs", certificate)
	defer e.close()
	t.Logf("connected after %v", time.Since(began))
	session := res.Header.Get("Location")
	if session == "" || res.Header.Get("Content-Type") != typeSDP {
		t.Errorf("the 201 has %v", res.Header)
	}
	r.watchEncoder(t, e, "obs", 8002, 96, 8001, 111)
	if res, body := r.do(t, "DELETE", session, "", "Authorization", "Bearer stage1.obs.p"); res.StatusCode != http.StatusOK {
		t.Errorf("DELETE: %s %s", res.Status, body)
	}
	r.observer.wait(t, PublishStopped, "obs", 1)
}

// TestWHIPSink is GStreamer's whipsink: sections whose names are words, all but the first with port 0 since they are to be bundled or
// nothing, an encoding in capitals, and no retransmissions. It fails without a Location.
func TestWHIPSink(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	certificate, print := newCertificate(t)
	e, res := r.encode(t, "gst", webrtcbinOffer(print), "gstu", "gstgstgstgstgstgstgstgst", certificate)
	defer e.close()
	if res.Header.Get("Location") == "" {
		t.Error("no Location")
	}
	r.watchEncoder(t, e, "gst", 9002, 96, 9001, 97)
}

// TestSimpleWHIPClientScript is what simple-whip-client does, which is made of webrtcbin too: it asks for ICE servers, posts an
// offer without candidates, trickles them with the ETag that it got, and takes the session back.
func TestSimpleWHIPClientScript(t *testing.T) {
	t.Parallel()
	r, servers := newRelayRig(t)
	if len(servers) == 0 {
		t.Error("no ICE servers")
	}
	certificate, print := newCertificate(t)
	e, res := r.encode(t, "simple", webrtcbinOffer(print), "gstu", "gstgstgstgstgstgstgstgst", certificate)
	defer e.close()
	session, token := res.Header.Get("Location"), []string{"Authorization", "Bearer stage1.simple.p"}
	at := e.wire.LocalAddr().(*net.UDPAddr)
	for _, attribute := range []string{fmt.Sprintf("candidate:1 1 UDP 2015363327 127.0.0.1 %d typ host", at.Port), "end-of-candidates"} {
		body := "a=ice-ufrag:gstu\r\na=ice-pwd:gstgstgstgstgstgstgstgst\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:video0\r\na=" + attribute + "\r\n"
		res, said := r.do(t, "PATCH", session, body, append(token, "Content-Type", typeFragment, "If-Match", res.Header.Get("ETag"))...)
		if res.StatusCode != http.StatusNoContent {
			t.Errorf("PATCH %s: %s %s", attribute, res.Status, said)
		}
	}
	r.watchEncoder(t, e, "simple", 9002, 96, 9001, 97)
	if res, said := r.do(t, "DELETE", session, "", token...); res.StatusCode != http.StatusOK {
		t.Errorf("DELETE: %s %s", res.Status, said)
	}
	r.observer.wait(t, PublishStopped, "simple", 1)
}

// webrtcbinOffer is an offer of GStreamer's webrtcbin.
func webrtcbinOffer(print string) string {
	section := "c=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=ice-ufrag:gstu\r\na=ice-pwd:gstgstgstgstgstgstgstgst\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=sendonly\r\n" +
		"a=fingerprint:sha-256 " + print + "\r\n"
	return "v=0\r\no=- 4120385102947384601 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-options:trickle\r\na=group:BUNDLE video0 audio1\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" + section + "a=mid:video0\r\na=rtpmap:96 H264/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 ccm fir\r\n" +
		"a=rtcp-fb:96 transport-cc\r\na=framerate:30\r\na=fmtp:96 packetization-mode=1;profile-level-id=42c01f;sprop-parameter-sets=Z0LAH5WgFAFuQA==,aM48gA==\r\n" +
		"a=ssrc:9002 msid:user0@host webrtctransceiver0\r\na=ssrc:9002 cname:user0@host\r\n" +
		"m=audio 0 UDP/TLS/RTP/SAVPF 97\r\n" + section + "a=bundle-only\r\na=mid:audio1\r\na=rtpmap:97 OPUS/48000/2\r\na=rtcp-fb:97 transport-cc\r\n" +
		"a=fmtp:97 sprop-maxcapturerate=48000;sprop-stereo=1\r\na=ssrc:9001 msid:user0@host webrtctransceiver1\r\na=ssrc:9001 cname:user0@host\r\n"
}

// newCertificate makes a certificate and its fingerprint.
func newCertificate(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	certificate, err := selfsign.GenerateSelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	var print []string
	for _, b := range sha256.Sum256(certificate.Certificate[0]) {
		print = append(print, strings.ToUpper(hex.EncodeToString([]byte{b})))
	}
	return certificate, strings.Join(print, ":")
}

// encode posts an offer and connects.
func (r *rig) encode(t testing.TB, name, offer, ufrag, pwd string, certificate tls.Certificate) (*encoder, *http.Response) {
	t.Helper()
	res, answer := r.do(t, "POST", "/whip", offer, "Content-Type", typeSDP, "Authorization", "Bearer stage1."+name+".p")
	if res.StatusCode != 201 || !strings.HasPrefix(answer, "v=") {
		t.Fatal(res.Status, answer)
	}
	if !strings.Contains(answer, "a=setup:active") {
		t.Errorf("the stage must be the DTLS client:\n%s", answer)
	}
	if strings.Contains(answer, "m=audio 0 ") || strings.Contains(answer, "m=video 0 ") {
		t.Errorf("a section is refused:\n%s", answer)
	}
	user, theirs := credentials(answer)
	var first string
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		switch f := strings.Fields(line); {
		case strings.HasPrefix(line, "a=candidate:") && first == "" && strings.Contains(line, " udp ") && strings.Contains(line, " typ host"):
			first = net.JoinHostPort(f[4], f[5])
		}
	}
	wire, err := net.Dial("udp", first)
	if err != nil {
		t.Fatal(err)
	}
	e := newEncoder(wire, user+":"+ufrag, theirs, pwd)
	e.dtlsServer(t, certificate)
	r.observer.wait(t, PublishStarted, name, 1)
	return e, res
}

// watchEncoder has the encoder send, and judges what a subscriber gets.
func (r *rig) watchEncoder(t *testing.T, e *encoder, name string, videoSSRC uint32, videoType uint8, audioSSRC uint32, audioType uint8) {
	t.Helper()
	scr := r.subscribe(t, "stage1.bob.s", name, clientOptions{})
	stop := e.roll(videoSSRC, videoType, audioSSRC, audioType)
	defer stop()
	// It begins at the parameter sets, which come in packets of their own, and with all slices of the picture.
	for i, want := range []byte{0x67, 0x68, 0x65, 0x65, 0x41, 0x41} {
		if p := next(t, scr.video); p.Payload[0] != want {
			t.Errorf("packet %d begins with %x, want %x", i, p.Payload[0], want)
		}
	}
	next(t, scr.audio)
	// A message for the player passes as it is.
	eventually(t, "an SEI message comes", func() bool {
		p := next(t, scr.video)
		return string(p.Payload) == seiMessage
	})
}

// seiMessage is a NAL unit of user data (ITU-T H.264 annex D.1.7).
const seiMessage = "\x06\x05\x140123456789abcdefwhen\x80"

// encoder is a hand-made WebRTC sender.
type encoder struct {
	wire    net.Conn
	user    string
	theirs  string // password of the stage
	ours    string
	dtls    chan []byte
	answers chan struct{}
	session *srtp.SessionSRTP
	conn    *dtls.Conn
	done    chan struct{}
}

func newEncoder(wire net.Conn, user, theirs, ours string) *encoder {
	e := &encoder{wire: wire, user: user, theirs: theirs, ours: ours, dtls: make(chan []byte, 100), answers: make(chan struct{}, 1), done: make(chan struct{})}
	go e.read()
	go e.check()
	return e
}

// check sends binding requests with the least that RFC 8489 asks for.
func (e *encoder) check() {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		e.ask()
		select {
		case <-ticker.C:
		case <-e.done:
			return
		}
	}
}

// ask sends one of them.
func (e *encoder) ask() {
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername(e.user), stun.RawAttribute{Type: stun.AttrUseCandidate},
		stun.NewShortTermIntegrity(e.theirs), stun.Fingerprint)
	if err == nil {
		_, _ = e.wire.Write(m.Raw)
	}
}

func (e *encoder) read() {
	b := make([]byte, 2000)
	for {
		n, err := e.wire.Read(b)
		if err != nil {
			close(e.dtls)
			return
		}
		switch {
		case stun.IsMessage(b[:n]):
			m := &stun.Message{Raw: append([]byte(nil), b[:n]...)}
			if m.Decode() != nil {
				continue
			}
			switch m.Type {
			case stun.BindingSuccess:
				signal(e.answers)
			case stun.BindingRequest:
				reply, err := stun.Build(m, stun.BindingSuccess, &stun.XORMappedAddress{IP: net.IPv4(127, 0, 0, 1), Port: 1},
					stun.NewShortTermIntegrity(e.ours), stun.Fingerprint)
				if err == nil {
					_, _ = e.wire.Write(reply.Raw)
				}
			}
		case b[0] >= 20 && b[0] <= 63:
			e.dtls <- append([]byte(nil), b[:n]...)
		}
	}
}

// dtlsSide is the encoder's connection as DTLS sees it.
type dtlsSide struct{ *encoder }

func (d dtlsSide) ReadFrom(b []byte) (int, net.Addr, error) {
	p, ok := <-d.dtls
	if !ok {
		return 0, nil, net.ErrClosed
	}
	return copy(b, p), d.wire.RemoteAddr(), nil
}
func (d dtlsSide) WriteTo(b []byte, _ net.Addr) (int, error) { return d.wire.Write(b) }
func (d dtlsSide) Close() error                              { return nil }
func (d dtlsSide) LocalAddr() net.Addr                       { return d.wire.LocalAddr() }
func (d dtlsSide) SetDeadline(time.Time) error               { return nil }
func (d dtlsSide) SetReadDeadline(time.Time) error           { return nil }
func (d dtlsSide) SetWriteDeadline(time.Time) error          { return nil }

// dtlsServer waits for the stage's handshake and keys SRTP.
func (e *encoder) dtlsServer(t testing.TB, certificate tls.Certificate) {
	t.Helper()
	select {
	case <-e.answers:
	case <-time.After(patience):
		t.Fatal("the stage does not answer STUN")
	}
	conn, err := dtls.ServerWithOptions(dtlsSide{e}, e.wire.RemoteAddr(),
		dtls.WithCertificates(certificate), dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AES128_CM_HMAC_SHA1_80))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		t.Fatal("DTLS: ", err)
	}
	e.conn = conn
	state, ok := conn.ConnectionState()
	if !ok {
		t.Fatal("no DTLS state")
	}
	config := &srtp.Config{Profile: srtp.ProtectionProfileAes128CmHmacSha1_80}
	if err := config.ExtractSessionKeysFromDTLS(&state, false); err != nil {
		t.Fatal(err)
	}
	if e.session, err = srtp.NewSessionSRTP(&sending{e.wire, e.done}, config); err != nil {
		t.Fatal(err)
	}
}

// sending is the encoder's connection as SRTP sees it, which only writes.
type sending struct {
	net.Conn
	done chan struct{}
}

func (s *sending) Read([]byte) (int, error) {
	<-s.done
	return 0, net.ErrClosed
}
func (s *sending) SetReadDeadline(time.Time) error { return nil }
func (s *sending) Close() error                    { return nil }

func (e *encoder) close() {
	close(e.done)
	if e.conn != nil {
		_ = e.conn.Close()
	}
	_ = e.wire.Close()
	if e.session != nil {
		_ = e.session.Close()
	}
}

// roll sends, until stop is called, 25 pictures a second of two slices each, every tenth a key frame with its parameter
// sets in packets of their own, as OBS and x264 with sliced threads make them, and an SEI message now and then.
func (e *encoder) roll(videoSSRC uint32, videoType uint8, audioSSRC uint32, audioType uint8) (stop func()) {
	w, err := e.session.OpenWriteStream()
	if err != nil {
		return func() {}
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(40 * time.Millisecond)
		defer ticker.Stop()
		var video, sound uint16
		for n := 0; ; n++ {
			var units []string
			if n%10 == 0 {
				units = []string{"\x67\x42\xc0\x1f\x95\xa0\x14\x01\x6e\x40", "\x68\xce\x3c\x80", "\x65\x88slice", "\x65\x1e\x20slice"}
			} else {
				units = []string{"\x41\x9aslice", "\x41\x1fslice"}
			}
			if n%10 == 5 {
				units = append([]string{seiMessage}, units...)
			}
			for i, u := range units {
				video++
				_, _ = w.WriteRTP(&rtp.Header{Version: 2, PayloadType: videoType, SSRC: videoSSRC, SequenceNumber: video,
					Timestamp: uint32(n * 3600), Marker: i == len(units)-1}, []byte(u))
			}
			for range 2 {
				sound++
				_, _ = w.WriteRTP(&rtp.Header{Version: 2, PayloadType: audioType, SSRC: audioSSRC, SequenceNumber: sound,
					Timestamp: uint32(sound) * 960}, []byte("\xf8\xff\xfe"))
			}
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-stopped }
}
