package stage

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const offerHead = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"

// section writes a video section with these rtpmap, fmtp and rtcp-fb lines.
func section(formats string, lines ...string) string {
	return offerHead + "m=video 9 UDP/TLS/RTP/SAVPF " + formats + "\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=" + strings.Join(lines, "\r\na=") + "\r\n"
}

func TestChooseVideo(t *testing.T) {
	for _, c := range []struct {
		name, sdp string
		want      uint8 // payload type, 0 for none
		rtx       uint8
	}{
		{"browser order", section("96 97 102 103 104 105 106 107 108 109",
			"rtpmap:96 VP8/90000", "rtpmap:97 rtx/90000", "fmtp:97 apt=96",
			"rtpmap:102 H264/90000", "fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f", "rtpmap:103 rtx/90000", "fmtp:103 apt=102",
			"rtpmap:104 H264/90000", "fmtp:104 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f", "rtpmap:105 rtx/90000", "fmtp:105 apt=104",
			"rtpmap:106 H264/90000", "fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", "rtpmap:107 rtx/90000", "fmtp:107 apt=106",
			"rtpmap:108 H264/90000", "fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f", "rtpmap:109 rtx/90000", "fmtp:109 apt=108",
		), 106, 107},
		{"one profile of an encoder", section("106", "rtpmap:106 H264/90000", "fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640028"), 106, 0},
		{"capital letters and spaces", section("96", "rtpmap:96 h264/90000", "fmtp:96 Packetization-Mode=1; Profile-Level-Id=42E01F"), 96, 0},
		{"no fmtp", section("96", "rtpmap:96 H264/90000"), 96, 0},
		{"mode 0 only", section("96", "rtpmap:96 H264/90000", "fmtp:96 profile-level-id=42e01f"), 96, 0},
		{"VP8 only", section("96", "rtpmap:96 VP8/90000"), 0, 0},
		{"H.264 not in the m-line", section("97", "rtpmap:96 H264/90000"), 0, 0},
		{"payload type out of range", section("200", "rtpmap:200 H264/90000"), 0, 0},
	} {
		o, err := parseOffer([]byte(c.sdp))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		switch {
		case o.video == nil && c.want != 0:
			t.Errorf("%s: nothing chosen", c.name)
		case o.video != nil && (o.video.payloadType != c.want || o.video.rtx != c.rtx):
			t.Errorf("%s: chose %+v, want %d with RTX %d", c.name, o.video, c.want, c.rtx)
		}
	}
}

func TestFeedback(t *testing.T) {
	o, err := parseOffer([]byte(section("96", "rtpmap:96 H264/90000", "rtcp-fb:* transport-cc", "rtcp-fb:96 nack", "rtcp-fb:96 nack pli", "rtcp-fb:96 goog-remb", "rtcp-fb:97 ccm fir")))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"transport-cc", "nack", "nack pli"}; !slices.Equal(o.video.feedback, want) || !o.video.nack {
		t.Errorf("feedback %q, want %q", o.video.feedback, want)
	}
}

func TestSimulcastOffers(t *testing.T) {
	codec := "rtpmap:96 H264/90000"
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"none", []string{codec}, nil},
		{"two", []string{codec, "rid:hi send", "rid:low send", "simulcast:send hi;low"}, []string{"hi", "low"}},
		{"in the order of the list", []string{codec, "rid:l send", "rid:h send pt=96;max-width=1280", "simulcast:send h;l"}, []string{"h", "l"}},
		{"paused, and alternatives", []string{codec, "rid:1 send", "rid:2 send", "rid:3 send", "simulcast:send ~1;2,3"}, []string{"1", "2"}},
		{"both directions", []string{codec, "rid:1 recv", "rid:2 send", "rid:3 send", "simulcast:recv 1 send 2;3"}, []string{"2", "3"}},
		{"too many", []string{codec, "rid:1 send", "rid:2 send", "rid:3 send", "rid:4 send", "simulcast:send 1;2;3;4"}, []string{"1", "2", "3"}},
		{"named twice", []string{codec, "rid:1 send", "simulcast:send 1;1"}, []string{"1"}},
		{"not declared", []string{codec, "rid:1 send", "simulcast:send 1;2"}, []string{"1"}},
		{"only received", []string{codec, "rid:1 recv", "simulcast:recv 1"}, nil},
		{"no names", []string{codec, "rid:ä send", "rid:12345678901234567 send", "simulcast:send ä;12345678901234567;"}, nil},
		{"rids alone", []string{codec, "rid:1 send"}, nil},
		{"garbage", []string{codec, "rid:", "simulcast:send", "simulcast:"}, nil},
	} {
		// What Chromium once wrote instead of rids is never taken.
		o, err := publishOffer([]byte(section("96", append(c.lines, "ssrc-group:SIM 1 2", "ssrc-group:FID 1 3")...)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !slices.Equal(o.rids, c.want) {
			t.Errorf("%s: took %q, want %q", c.name, o.rids, c.want)
		}
		text, e := o.text()
		if e != nil || strings.Contains(text, "SIM") || !strings.Contains(text, "FID") || strings.Count(text, "a=rid:") != len(c.want) {
			t.Errorf("%s: %v\n%s", c.name, e, text)
		}
		if want := "a=simulcast:send " + strings.Join(c.want, ";") + "\r\n"; c.want != nil && !strings.Contains(text, want) {
			t.Errorf("%s: no %q in\n%s", c.name, want, text)
		}
		if s, err := subscribeOffer([]byte(section("96", c.lines...))); err != nil || strings.Contains(must(s.text()), "simulcast") {
			t.Errorf("%s: a subscriber's simulcast is answered", c.name)
		}
	}
}

func must(text string, err error) string {
	if err != nil {
		panic(err)
	}
	return text
}

func TestBadOffers(t *testing.T) {
	one := "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"
	for name, body := range map[string]string{
		"no mid":        offerHead + one,
		"same mid":      offerHead + one + "a=mid:0\r\n" + one + "a=mid:0\r\n",
		"other kind":    offerHead + "m=text 9 RTP/AVP 96\r\na=mid:0\r\n",
		"many sections": offerHead + strings.Repeat(one+"a=mid:0\r\n", maxSections+1),
		"binary":        "\x00\x01\x02",
	} {
		if _, err := parseOffer([]byte(body)); err == nil || err.Code != InvalidInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFragment(t *testing.T) {
	f, err := parseFragment([]byte("a=ice-ufrag:abcd\na=ice-pwd:efgh\nm=audio 9 RTP/AVP 0\na=mid:0\na=candidate:1 1 udp 1 127.0.0.1 1 typ host\nm=video 9 RTP/AVP 0\na=mid:1\na=candidate:2 1 udp 1 127.0.0.1 2 typ host\na=end-of-candidates\n"))
	if err != nil || f.ufrag != "abcd" || f.pwd != "efgh" || !f.end || len(f.candidates) != 2 || f.candidates[1].mid != "1" || !strings.HasPrefix(f.candidates[1].value, "candidate:2 ") {
		t.Errorf("%+v, %v", f, err)
	}
	for _, bad := range []string{"x", "a", "hello", "a=ice-ufrag:x\r\n", strings.Repeat("a=candidate:1 1 udp 1 127.0.0.1 1 typ host\n", maxCandidates+1)} {
		if _, err := parseFragment([]byte(bad)); err == nil {
			t.Errorf("%.40q is taken", bad)
		}
	}
}

func TestCandidates(t *testing.T) {
	n := &network{
		udpAt: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.5:4081"), netip.MustParseAddrPort("127.0.0.1:4081")},
		tcpAt: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.5:4082")},
	}
	got := n.candidates([]netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("10.0.0.5")})
	want := []string{
		"candidate:1 1 udp 2130706431 198.51.100.7 4081 typ host",
		"candidate:2 1 udp 2130706175 10.0.0.5 4081 typ host",
		"candidate:3 1 udp 2130705919 127.0.0.1 4081 typ host",
		"candidate:4 1 tcp 1520435199 198.51.100.7 4082 typ host tcptype passive",
		"candidate:5 1 tcp 1520434943 10.0.0.5 4082 typ host tcptype passive",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestAllAddresses binds to every address of the machine.
func TestAllAddresses(t *testing.T) {
	r := newRig(t, func(s *Server) { s.UDPAddr, s.TCPAddr = ":0", "0.0.0.0:0" })
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	defer cam.roll(1)()
	checkVideo(t, cam, scr, 20)
}

func TestPortTaken(t *testing.T) {
	r := newRig(t, nil)
	second := &Server{UDPAddr: r.UDPAddress().String(), TCPAddr: "127.0.0.1:0", Admission: testAdmission{}, Log: testLog()}
	if err := second.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "UDP") || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second server on one UDP port: %v", err)
	}
	second = &Server{UDPAddr: "127.0.0.1:0", TCPAddr: r.TCPAddress().String(), Admission: testAdmission{}, Log: testLog()}
	if err := second.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "TCP") {
		t.Errorf("second server on one TCP port: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestStartsKeyFrame(t *testing.T) {
	for _, c := range []struct {
		name    string
		payload []byte
		idr     bool
	}{
		{"empty", nil, false},
		{"SPS", []byte{0x67, 0x42}, false},
		{"PPS", []byte{0x68, 0xce}, false},
		{"IDR, first slice", []byte{0x65, 0x88}, true},
		{"IDR, second slice", []byte{0x65, 0x44}, false},
		{"delta", []byte{0x41, 0x9a}, false},
		{"FU-A, start of an IDR", []byte{0x7c, 0x85, 0x88}, true},
		{"FU-A, start of its second slice", []byte{0x7c, 0x85, 0x44}, false},
		{"FU-A, middle of an IDR", []byte{0x7c, 0x05, 0x88}, false},
		{"FU-A, start of a delta", []byte{0x5c, 0x81, 0x88}, false},
		{"STAP-A, SPS and PPS", []byte{0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce}, false},
		{"STAP-A, SPS, PPS and IDR", []byte{0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88}, true},
		{"STAP-A, SPS and what lies about a length", []byte{0x78, 0, 2, 0x67, 0x42, 0xff, 0xff, 0x65}, false},
		{"STAP-A, SEI and IDR", []byte{0x78, 0, 1, 0x06, 0, 2, 0x65, 0x88}, true},
		{"STAP-A, deltas", []byte{0x78, 0, 2, 0x41, 0x9a, 0, 2, 0x41, 0x9a}, false},
		{"STAP-A, lies about a length", []byte{0x78, 0xff, 0xff, 0x65}, false},
	} {
		sps, idr := startsKeyFrame(c.payload)
		if idr != c.idr || (sps != nil) != strings.Contains(c.name, "SPS") {
			t.Errorf("%s: %v, SPS % x", c.name, idr, sps)
		}
	}
}

func FuzzOffer(f *testing.F) {
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		f.Fatal(err)
	}
	for _, k := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := pc.AddTransceiverFromKind(k); err != nil {
			f.Fatal(err)
		}
	}
	o, err := pc.CreateOffer(nil)
	if err != nil {
		f.Fatal(err)
	}
	if err := pc.GracefulClose(); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(o.SDP))
	f.Add([]byte(section("96", "rtpmap:96 H264/90000", "fmtp:96 packetization-mode=1", "simulcast:send a")))
	f.Add([]byte(section("96", "rtpmap:96 H264/90000", "rid:a send", "rid:b send", "simulcast:send a;~b")))
	f.Add([]byte("v=0"))
	s := &Server{UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0", Log: testLog()}
	if err := s.Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, body []byte) {
		o, refusal := publishOffer(body)
		if refusal != nil {
			return
		}
		pc, err := s.newPeer(o, nil)
		if err != nil {
			return
		}
		answer, _, err := s.negotiate(t.Context(), pc, o)
		if err == nil && !strings.HasPrefix(answer, "v=0") {
			t.Errorf("answer %q", answer)
		}
		if err := pc.GracefulClose(); err != nil {
			t.Error(err)
		}
	})
}

func FuzzFragment(f *testing.F) {
	f.Add([]byte("a=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 1 typ host\r\na=end-of-candidates\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		frag, err := parseFragment(body)
		if err != nil {
			return
		}
		again, err := parseFragment([]byte(frag.String()))
		if err != nil || len(again.candidates) != len(frag.candidates) || again.ufrag != frag.ufrag {
			t.Errorf("%+v became %+v, %v", frag, again, err)
		}
	})
}

func FuzzPacket(f *testing.F) {
	for _, p := range []rtp.Packet{
		{Header: rtp.Header{Version: 2, Marker: true, SequenceNumber: 7}, Payload: []byte{0x65, 0x88, 1}},
		{Header: rtp.Header{Version: 2, Padding: true, CSRC: []uint32{1, 2}}, Payload: []byte{0x7c, 0x85, 0x88}, PaddingSize: 9},
	} {
		b, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := newPacket()
		defer p.release()
		var want rtp.Packet
		ours, theirs := p.parse(copy(p.buf[:], b)), want.Unmarshal(b)
		if ours == nil && len(b) <= maxPacket && theirs == nil {
			if string(p.payload) != string(want.Payload) || p.sequence != want.SequenceNumber || p.time != want.Timestamp || p.marker != want.Marker {
				t.Errorf("parsed %+v, want %+v", p, want.Header)
			}
		}
		sps, _ := startsKeyFrame(p.payload)
		pictureSize(sps)
		p.restore()
	})
}
