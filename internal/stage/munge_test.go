package stage

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// TestSegments is the exact arithmetic of numbers and times over changes of layers.
func TestSegments(t *testing.T) {
	hi, low := &source{rid: "hi"}, &source{rid: "low"}
	// give sends a packet and checks how it comes out.
	give := func(g *segment, index int64, ts uint32, marker bool, sequence uint16, time uint32) {
		t.Helper()
		if !g.holds(g.source, index, true) {
			t.Fatalf("packet %d is not of the segment", index)
		}
		p := &packet{index: index, sequence: uint16(index), time: ts, marker: marker}
		if s, at := uint16(index+g.shift), g.time(index, ts); s != sequence || at != time {
			t.Errorf("packet %d at %d comes out as %d at %d; want %d at %d", index, ts, s, at, sequence, time)
		}
		g.sent(p, g.time(index, ts))
	}
	u := func(ticks int64) uint32 { return uint32(ticks) } // wraps around
	// A first layer passes as it is, over the wrap-around of both.
	a := startSegment(hi, 65534+65536, 4294966000)
	give(&a, 65534+65536, 4294966000, true, 65534, 4294966000)
	give(&a, 65536+65536, u(4294966000+3000), true, 0, 1704) // 65535 is missing
	give(&a, 65535+65536, 4294966000, true, 65535, 4294966000)
	if a.last != 65536+65536 || a.newest != 1704 || !a.whole {
		t.Errorf("after the first layer: %+v", a)
	}
	// The second one starts at the same time of capture as the last picture: it is pressed behind it.
	b := a.follow(low, 70000, 90000, u(1704-90000))
	give(&b, 70000, 90000, false, 1, 1704+apart)
	give(&b, 70001, 90000, true, 2, 1704+apart)
	give(&b, 70003, 93000, true, 4, 4704)
	give(&b, 70002, 93000, false, 3, 4704)
	// One that lies 3 pictures back hurries until it has caught up.
	c := b.follow(hi, 70000, 1_000_000, u(4704-1_009_000))
	give(&c, 70000, 1_000_000, true, 5, 4704+apart)
	give(&c, 70001, 1_003_000, true, 6, 4704+apart+3000/catchUp)
	give(&c, 70002, 1_006_000, true, 7, 4704+apart+6000/catchUp)
	give(&c, 70003, 1_009_000, true, 8, 4704+apart+9000/catchUp)
	give(&c, 70004, 1_012_000, true, 9, 7704)
	give(&c, 70002+3000, 1_015_000, true, 3007, 10704)
	// Long after it, not even the wrap-around of 2^31 ticks makes a difference.
	give(&c, 70000+catchUpPackets, u(1_000_000+1<<31+5), true, uint16(5+catchUpPackets), u(1<<31+5+4704-9000))
	// Back on a layer that was sent before, from the middle of a picture on.
	d := c.follow(low, 99, 500, 7)
	if d.shift+99 != c.last+c.shift+1 || !d.whole || d.holds(low, 98, true) || d.holds(low, 99, false) || !d.holds(low, 99, true) || d.holds(hi, 99, true) {
		t.Errorf("a segment without a packet: %+v", d)
	}
	give(&d, 99, 500, false, uint16(c.last+c.shift+1), c.newest+apart)
	if d.whole {
		t.Error("the picture is not at its end")
	}
}

func TestAlign(t *testing.T) {
	const second = videoClock
	u := func(ticks int64) uint32 { return uint32(ticks) } // wraps around
	at := time.Unix(1764000000, 0)
	report := func(ntp uint64, rtp uint32) *rtcp.SenderReport {
		return &rtcp.SenderReport{NTPTime: ntp, RTPTime: rtp}
	}
	for _, c := range []struct {
		name     string
		from, to timing
		want     uint32
	}{
		{"arrival at once", timing{nil, at, 1000}, timing{nil, at, 5000}, u(1000 - 5000)},
		{"arrival later", timing{nil, at, 1000}, timing{nil, at.Add(time.Second), 5000}, u(1000 + second - 5000)},
		{"arrival earlier", timing{nil, at, 100000}, timing{nil, at.Add(-500 * time.Millisecond), 5000}, 100000 - second/2 - 5000},
		{"over the wrap-around", timing{nil, at, 4294967000}, timing{nil, at.Add(time.Second), 0}, u(4294967000 + second)},
		{"one report only", timing{report(7<<32, 3), at, 1000}, timing{nil, at, 400}, 600},
		{"reports", timing{report(10<<32, 50000), at, 50500}, timing{report(12<<32, 7000), at.Add(2 * time.Second), 7100}, 50000 + 2*second - 7000},
		{"the newer report is of the old layer", timing{report(12<<32+1<<31, 300000), at, 0}, timing{report(12<<32, 7000), at, 0}, 300000 - second/2 - 7000},
		{"reports that contradict what arrives", timing{report(10<<32, 0), at, 1000}, timing{report(7000<<32, 0), at, 1000}, 0},
		{"NTP wraps around in 2036", timing{report(1<<64-1<<31, 0), at, 0}, timing{report(1<<31, 0), at.Add(time.Second), 0}, second},
	} {
		if got := align(c.from, c.to); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestChooseLayer(t *testing.T) {
	l := func(width, height int) layer { return layer{size: size{width, height}, flows: true} }
	off := func(width, height int) layer { return layer{size: size{width, height}} }
	ladder := []layer{l(1280, 720), l(640, 360), l(320, 180)}
	for _, c := range []struct {
		name   string
		layers []layer
		wanted size
		want   int
	}{
		{"no size", ladder, size{}, 0},
		{"exactly", ladder, size{640, 360}, 1},
		{"a grid's tile", ladder, size{638, 358}, 1},
		{"7/8 of it are enough", ladder, size{731, 411}, 1},
		{"but not less", ladder, size{732, 411}, 0},
		{"in both directions", ladder, size{640, 412}, 0},
		{"tiny", ladder, size{1, 1}, 2},
		{"more than there is", ladder, size{1920, 1080}, 0},
		{"the other way round", []layer{l(320, 180), l(640, 360), l(1280, 720)}, size{638, 358}, 1},
		{"the right one is paused", []layer{l(1280, 720), off(640, 360), l(320, 180)}, size{638, 358}, 0},
		{"only smaller ones flow", []layer{off(1280, 720), off(640, 360), l(320, 180)}, size{638, 358}, 2},
		{"of smaller ones the largest", []layer{l(320, 180), l(640, 360)}, size{1280, 720}, 1},
		{"nothing flows", []layer{off(1280, 720)}, size{638, 358}, -1},
		{"no layers", nil, size{}, -1},
		{"sizes are not known yet", []layer{l(0, 0), l(0, 0)}, size{638, 358}, 0},
		{"one size is known", []layer{l(0, 0), l(320, 180)}, size{638, 358}, 1},
		{"a telephone, upright", []layer{l(720, 1280), l(360, 640)}, size{200, 356}, 1},
	} {
		if got := chooseLayer(c.layers, c.wanted); got != c.want {
			t.Errorf("%s: layer %d, want %d", c.name, got, c.want)
		}
	}
}

func TestPictureSize(t *testing.T) {
	for _, c := range []struct {
		name string
		sps  []byte
		want size
	}{
		// Written by the encoders named, unless it says otherwise.
		{"x264 baseline 640x360", []byte{0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x0f, 0x16, 0x2e, 0x48}, size{640, 360}},
		{"OpenH264 640x480", []byte{0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0x90, 0x0f, 0x08, 0x84, 0x6a}, size{640, 480}},
		{"x264 high 1920x1080", []byte{0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58}, size{1920, 1080}},
		{"no SPS", []byte{0x65, 0x88, 0x84, 0x00, 0x10}, size{}},
		{"no profile", []byte{0x67, 0x43, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0x90, 0x0f, 0x08, 0x84, 0x6a}, size{}},
		{"cut off", []byte{0x67, 0x42, 0xc0, 0x1e, 0xd9}, size{}},
		{"empty", nil, size{}},
	} {
		if got, ok := pictureSize(c.sps); got != c.want || ok != (c.want != size{}) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, ok, c.want)
		}
	}
}

func FuzzPictureSize(f *testing.F) {
	f.Add([]byte{0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58})
	f.Fuzz(func(t *testing.T, sps []byte) {
		if s, ok := pictureSize(sps); ok && (s.width <= 0 || s.height <= 0 || s.width > maxSide || s.height > maxSide) {
			t.Errorf("% x is of %v", sps, s)
		}
	})
}
