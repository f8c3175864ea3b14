package ingest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp/codecs"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/stage"
)

func TestClock(t *testing.T) {
	const ms = time.Millisecond
	var c clock
	for i, step := range []struct{ t, now, want time.Duration }{
		{5000 * ms, 100 * ms, 100 * ms},       // begins when it arrives
		{5033 * ms, 120 * ms, 133 * ms},       // its own time counts, not arrival
		{5010 * ms, 400 * ms, 110 * ms},       // sound after picture
		{5900 * ms, 5000 * ms, 1000 * ms},     // held up on the way
		{9100 * ms, 5100 * ms, 5100 * ms},     // a jump of the encoder's clock
		{9133 * ms, 5133 * ms, 5133 * ms},     //
		{0, 5200 * ms, 5200 * ms},             // it begins anew
		{3600_000 * ms, 5100 * ms, 5220 * ms}, // and again, and time does not go back
	} {
		if got := c.at(step.t, step.now); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	c.restart()
	if got := c.at(7*ms, 9000*ms); got != 9000*ms {
		t.Errorf("after another connection: %v", got)
	}
}

func TestPace(t *testing.T) {
	var p pace
	for i := range 600 { // one minute with a stall of 4 s and a burst after it
		at, now := time.Duration(i)*100*time.Millisecond, time.Duration(i)*100*time.Millisecond
		if i > 200 && i < 240 {
			now = 24 * time.Second
		}
		if p.tooFast(at, now) {
			t.Fatalf("real time is too fast at %v", at)
		}
	}
	p = pace{}
	for i := range 300 {
		if p.tooFast(time.Duration(i)*100*time.Millisecond, time.Duration(i)*10*time.Millisecond) {
			return
		}
	}
	t.Error("ten times real time is not noticed")
}

// TestPaceOfABacklog: a connection trickles for 20 s until 7 s of media are held up, whose window begins where they come
// all at once. That catches up; it is not faster than real time.
func TestPaceOfABacklog(t *testing.T) {
	const step = 100 * time.Millisecond
	var p pace
	at := time.Duration(0)
	for now := time.Duration(0); now < time.Minute; now += step {
		switch {
		case now <= 20200*time.Millisecond: // the window that begins here has all of it
			at += step * 65 / 100
		case at < now:
			at = min(at+10*step, now)
		default:
			at = now
		}
		if p.tooFast(at, now) {
			t.Fatalf("media of %v are too fast at %v", at, now)
		}
	}
}

// nalu makes a NAL unit of a type and size with recognisable bytes.
func nalu(header byte, size int) []byte {
	b := bytes.Repeat([]byte{0x80 | header}, size)
	b[0] = header
	return b
}

func TestPayloads(t *testing.T) {
	sps, pps := nalu(0x67, 20), nalu(0x68, 6)
	var sets parameterSets
	p := sets.take([][]byte{nalu(0x09, 2), sps, pps, nalu(0x06, 40), nalu(0x65, 5000), nalu(0x65, stage.MaxPayload), nalu(0x0c, 900)})
	if !p.idr || len(p.nalus) != 5 {
		t.Fatalf("picture of %d NAL units, key %v", len(p.nalus), p.idr)
	}
	payloads := p.payloads()
	for i, b := range payloads {
		if len(b) > stage.MaxPayload {
			t.Errorf("payload %d has %d bytes", i, len(b))
		}
	}
	// SPS and PPS; SEI; 5000 bytes in five; one whole.
	if len(payloads) != 1+1+5+1 || payloads[0][0]&0x1f != stapA {
		t.Errorf("%d payloads", len(payloads))
	}
	var depacketizer codecs.H264Packet
	var out, want []byte
	for _, b := range payloads {
		part, err := depacketizer.Unmarshal(b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, part...)
	}
	for _, n := range p.nalus {
		want = append(append(want, 0, 0, 0, 1), n...)
	}
	if !bytes.Equal(out, want) {
		t.Error("what another depacketizer gets differs from what went in")
	}
	// Later key frames have the parameter sets in front, other pictures do not.
	if p := sets.take([][]byte{nalu(0x65, 10)}); len(p.nalus) != 3 {
		t.Errorf("a key frame has %d NAL units", len(p.nalus))
	}
	if p := sets.take([][]byte{nalu(0x41, 10)}); len(p.nalus) != 1 || p.idr {
		t.Errorf("a picture has %d NAL units", len(p.nalus))
	}
}

func TestBidirectional(t *testing.T) {
	for _, c := range []struct {
		name string
		nalu []byte
		want bool
	}{
		{"P", []byte{0x41, 0b11100000, 0}, false},               // first_mb_in_slice 0 is 1; slice_type 0 is 1
		{"B", []byte{0x01, 0b10100000, 0}, true},                // 010: 1
		{"I", []byte{0x41, 0b10110000, 0}, false},               // 011: 2
		{"P all", []byte{0x41, 0b10011000, 0}, false},           // 00110: 5
		{"B all", []byte{0x01, 0b10011100, 0}, true},            // 00111: 6
		{"I all", []byte{0x65, 0b10001000, 0}, false},           // 0001000: 7
		{"second slice", []byte{0x01, 0b01010000, 0xff}, false}, // not looked at
		{"garbage", []byte{0x01, 0b10000000, 0}, false},
		{"short", []byte{0x01, 0x80}, false},
		{"SEI", []byte{0x06, 0b10100000, 0}, false},
	} {
		if got := (picture{nalus: [][]byte{c.nalu}}).bidirectional(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func FuzzPicture(f *testing.F) {
	f.Add([]byte{0x67, 1, 2, 3}, []byte{0x65, 0x88, 0x80, 0x10}, []byte{0x01, 0xa0, 0})
	f.Add(nalu(0x67, 3000), nalu(0x65, 3000), nalu(0x1c, 1300))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		var in [][]byte
		for _, n := range [][]byte{a, b, c} {
			if len(n) > 0 { // package rtmp leaves empty ones out
				in = append(in, n)
			}
		}
		var sets parameterSets
		for range 2 {
			p := sets.take(in)
			p.bidirectional()
			checkVideo(new(stage.Server), sets.sps)
			for _, b := range p.payloads() {
				if len(b) == 0 || len(b) > stage.MaxPayload {
					t.Fatalf("a payload of %d bytes", len(b))
				}
			}
		}
	})
}

func TestRules(t *testing.T) {
	audio := func(rate, channels int) *stage.Error {
		return checkAudio(rtmp.AudioParams{Config: mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: rate, ChannelConfig: uint8(channels)}})
	}
	for _, c := range []struct {
		rate, channels int
		fine           bool
	}{{44100, 1, true}, {44100, 2, true}, {48000, 1, true}, {48000, 2, true}, {22050, 2, false}, {96000, 2, false}, {48000, 6, false}, {48000, 0, false}} {
		if e := audio(c.rate, c.channels); (e == nil) != c.fine || e != nil && e.Code != stage.InvalidAudioCodec {
			t.Errorf("%d Hz, %d channels: %v", c.rate, c.channels, e)
		}
	}
	if e := codecError(rtmp.UnsupportedError{What: "MP3 audio", Audio: true}); e == nil || e.Code != stage.InvalidAudioCodec || !strings.Contains(e.Message, "MP3") {
		t.Errorf("MP3: %v", e)
	}
	if e := codecError(rtmp.UnsupportedError{What: "H.265 video"}); e == nil || e.Code != stage.InvalidVideoCodec {
		t.Errorf("H.265: %v", e)
	}
	if e := codecError(errEnded); e != nil {
		t.Errorf("another end: %v", e)
	}
	if e := checkVideo(new(stage.Server), [][]byte{{0x67}}); e == nil || e.Code != stage.InvalidVideoCodec {
		t.Errorf("no parameters: %v", e)
	}
}
