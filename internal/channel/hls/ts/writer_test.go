package ts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/asticode/go-astits"
	"github.com/google/go-cmp/cmp"
)

// packets reads packets with another's demuxer.
func packets(t *testing.T, b []byte) (list []*astits.Packet) {
	t.Helper()
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(b), astits.DemuxerOptPacketSize(PacketSize))
	for {
		p, err := d.NextPacket()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// units reads tables and PES packets with another's demuxer, which checks the sums of the tables.
func units(t *testing.T, b []byte) (list []*astits.DemuxerData) {
	t.Helper()
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(b), astits.DemuxerOptPacketSize(PacketSize))
	for {
		u, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, u)
	}
}

// newProgram is a writer with one stream of each kind.
func newProgram() (w *Writer, video, sound, tags *Stream) {
	w, video, sound, tags = &Writer{}, &Stream{PID: 0x100, Kind: H264}, &Stream{PID: 0x101, Kind: ADTS}, &Stream{PID: 0x1ffe, Kind: Metadata}
	w.SetProgram([]*Stream{video, sound, tags})
	return w, video, sound, tags
}

// TestUnits writes units of every size up to some packets, with and without what can come before them.
func TestUnits(t *testing.T) {
	w, video, sound, tags := newProgram()
	random := rand.New(rand.NewPCG(1, 2))
	type unit struct {
		pid      uint16
		pts, dts int64
		data     string
	}
	var want, got []unit
	b := w.AppendTables(nil)
	for size := range 4*PacketSize + 10 {
		for i, s := range []*Stream{video, sound, tags} {
			u := Unit{PTS: random.Int64N(1 << 34), Random: random.IntN(2) == 0, Data: make([]byte, size+1)}
			u.DTS = u.PTS
			if i == 0 {
				u.DTS -= random.Int64N(3)
			}
			for n := range u.Data {
				u.Data[n] = byte(random.Uint32())
			}
			if random.IntN(2) == 0 {
				u.Clock = &Clock{Time: random.Int64N(1 << 34)}
			}
			b = w.AppendUnit(b, s, u)
			want = append(want, unit{s.PID, u.PTS & clockMask, u.DTS & clockMask, string(u.Data)})
		}
	}
	for _, u := range units(t, b) {
		if u.PES == nil {
			continue
		}
		head := u.PES.Header.OptionalHeader
		dts := head.PTS
		if head.DTS != nil {
			dts = head.DTS
		}
		got = append(got, unit{u.FirstPacket.Header.PID, head.PTS.Base, dts.Base, string(u.PES.Data)})
	}
	// The demuxer hands them out when the next one of the stream begins: by stream they are in order.
	for _, s := range []*Stream{video, sound, tags} {
		of := func(list []unit) (own []unit) {
			for _, u := range list {
				if u.pid == s.PID {
					own = append(own, u)
				}
			}
			return own
		}
		if diff := cmp.Diff(of(want), of(got), cmp.AllowUnexported(unit{})); diff != "" {
			t.Fatalf("stream %#x: %s", s.PID, diff)
		}
	}
	next := map[uint16]uint8{}
	for i, p := range packets(t, b) {
		h := p.Header
		if h.ContinuityCounter != next[h.PID] {
			t.Fatalf("packet %d of stream %#x has counter %d, want %d", i, h.PID, h.ContinuityCounter, next[h.PID])
		}
		next[h.PID] = (h.ContinuityCounter + 1) & 0xf
	}
}

// TestLargePicture: what is too long for a length has none.
func TestLargePicture(t *testing.T) {
	w, video, _, _ := newProgram()
	data := bytes.Repeat([]byte{1, 2, 3}, 100_000)
	b := w.AppendUnit(w.AppendTables(nil), video, Unit{Data: data})
	for _, u := range units(t, b) {
		if u.PES != nil && (u.PES.Header.PacketLength != 0 || !bytes.Equal(u.PES.Data, data)) {
			t.Errorf("length %d, %d bytes", u.PES.Header.PacketLength, len(u.PES.Data))
		}
	}
}

func TestClock(t *testing.T) {
	w, video, _, _ := newProgram()
	b := w.AppendClock(nil, Clock{Time: 1<<33 - 1})
	b = w.AppendUnit(b, video, Unit{PTS: 1<<33 + 5, DTS: 1 << 33, Random: true, Data: []byte("x"), Clock: &Clock{Time: 1 << 33, Break: true}})
	b = w.AppendClock(b, Clock{Time: 1<<33 + 9, Break: true})
	b = w.AppendUnit(b, video, Unit{Data: []byte("x"), Random: true})
	var got []string
	for _, p := range packets(t, b) {
		a := p.AdaptationField
		clock := int64(-1)
		if a.HasPCR {
			clock = a.PCR.Base*300 + a.PCR.Extension
		}
		got = append(got, fmt.Sprintf("counter %d payload %v clock %d break %v random %v", p.Header.ContinuityCounter, p.Header.HasPayload, clock, a.DiscontinuityIndicator, a.RandomAccessIndicator))
	}
	want := []string{
		"counter 15 payload false clock 2576980377300 break false random false",
		"counter 0 payload true clock 0 break true random true",
		"counter 0 payload false clock 2700 break true random false",
		"counter 1 payload true clock -1 break false random true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTables compares with what "Timed Metadata for HTTP Live Streaming" (Apple) shows of a program with ID3.
func TestTables(t *testing.T) {
	w, video, sound, tags := newProgram()
	check := func(version byte, streams ...*Stream) {
		t.Helper()
		var pat *astits.PATData
		var pmt *astits.PMTData
		b := w.AppendTables(nil)
		for _, u := range units(t, b) {
			if u.PAT != nil {
				pat = u.PAT
			}
			if u.PMT != nil {
				pmt = u.PMT
			}
		}
		if len(b) != 2*PacketSize || pat == nil || pmt == nil {
			t.Fatalf("%d bytes, %v, %v", len(b), pat, pmt)
		}
		if len(pat.Programs) != 1 || pat.Programs[0].ProgramNumber != 1 || pat.Programs[0].ProgramMapID != pmtPID {
			t.Errorf("programs %+v", pat.Programs)
		}
		for _, at := range []int{0, PacketSize} {
			if got := b[at+5+5] >> 1 & 0x1f; got != version {
				t.Errorf("version %d, want %d", got, version)
			}
		}
		if pmt.PCRPID != video.PID || pmt.ProgramNumber != 1 || len(pmt.ElementaryStreams) != len(streams) {
			t.Fatalf("program %+v", pmt)
		}
		for i, s := range streams {
			e := pmt.ElementaryStreams[i]
			if e.ElementaryPID != s.PID || byte(e.StreamType) != byte(s.Kind) {
				t.Errorf("stream %d: %+v", i, e)
			}
			if s.Kind != Metadata {
				continue
			}
			d := e.ElementaryStreamDescriptors
			if len(d) != 1 || d[0].Tag != 0x26 || string(d[0].Unknown.Content) != "\xff\xffID3 \xffID3 \x00\x0f" {
				t.Errorf("metadata descriptor %+v", d)
			}
			d = pmt.ProgramDescriptors
			if len(d) != 1 || d[0].Tag != 0x25 || string(d[0].Unknown.Content) != "\xff\xffID3 \xffID3 \x00\x1f\x00\x01" {
				t.Errorf("metadata pointer descriptor %+v", d)
			}
		}
	}
	check(0, video, sound, tags)
	check(0, video, sound, tags)
	w.SetProgram([]*Stream{video, tags})
	check(1, video, tags)
	w.SetProgram([]*Stream{video})
	check(2, video)
}

func TestNothingIsAllocated(t *testing.T) {
	w, video, sound, _ := newProgram()
	data := make([]byte, 10_000)
	b := make([]byte, 0, 1<<16)
	if n := testing.AllocsPerRun(100, func() {
		b = w.AppendTables(b[:0])
		b = w.AppendUnit(b, video, Unit{PTS: 2, DTS: 1, Data: data})
		b = w.AppendUnit(b, sound, Unit{Data: data})
		b = w.AppendClock(b, Clock{})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
