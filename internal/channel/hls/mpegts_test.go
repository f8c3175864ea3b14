package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/asticode/go-astits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/channel/hls/ts"
)

// tsMask is the 33 bits that times have in MPEG-TS.
const tsMask = 1<<33 - 1

// tsUnit is a PES packet.
type tsUnit struct {
	pts, dts int64
	data     []byte
}

// tsMedia is what a demuxer finds in a piece of MPEG-TS.
type tsMedia struct {
	kinds              []astits.StreamType // of the program
	video, sound, tags []tsUnit
}

// demux reads a piece with another's demuxer.
func demux(t testing.TB, data []byte) (m tsMedia) {
	t.Helper()
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(data), astits.DemuxerOptPacketSize(ts.PacketSize))
	for {
		u, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return m
		}
		if err != nil {
			t.Fatal(err)
		}
		if u.PMT != nil {
			m.kinds = nil
			for _, s := range u.PMT.ElementaryStreams {
				m.kinds = append(m.kinds, s.StreamType)
			}
		}
		if u.PES == nil {
			continue
		}
		head := u.PES.Header.OptionalHeader
		unit := tsUnit{head.PTS.Base, head.PTS.Base, u.PES.Data}
		if head.DTS != nil {
			unit.dts = head.DTS.Base
		}
		switch u.FirstPacket.Header.PID {
		case videoPID:
			m.video = append(m.video, unit)
		case soundPID:
			m.sound = append(m.sound, unit)
		case tagPID:
			m.tags = append(m.tags, unit)
		}
	}
}

// tsPackets reads the packets of a piece with another's parser.
func tsPackets(t testing.TB, data []byte) (list []*astits.Packet) {
	t.Helper()
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(data), astits.DemuxerOptPacketSize(ts.PacketSize))
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

// frames are the access units of sound in PES packets, each with its time in ticks of the 33 bits.
func frames(t testing.TB, units []tsUnit) (list []tsUnit) {
	t.Helper()
	for _, u := range units {
		var packets mpeg4audio.ADTSPackets
		if err := packets.Unmarshal(u.data); err != nil {
			t.Fatal(err)
		}
		for i, p := range packets {
			at := (u.pts + int64(i)*samplesPerAU*ClockRate/int64(p.SampleRate)) & tsMask
			list = append(list, tsUnit{at, at, p.AU})
		}
	}
	return list
}

// checkTransport asserts what holds for the packets of every segment in the window: counters go on, and each part has its
// tables, parameter sets and a clock that is on time.
func checkTransport(t *testing.T, s *source) {
	t.Helper()
	next := map[uint16]uint8{}
	clock := int64(-1)
	for _, seg := range s.m.current.Load().segments {
		for i, part := range seg.parts {
			packets := tsPackets(t, part.data)
			for n, p := range packets {
				h := p.Header
				if want, seen := next[h.PID]; seen && h.HasPayload && h.ContinuityCounter != want {
					t.Fatalf("part %d, packet %d: counter %d of stream %#x, want %d", part.id, n, h.ContinuityCounter, h.PID, want)
				}
				if h.HasPayload {
					next[h.PID] = (h.ContinuityCounter + 1) & 0xf
				}
			}
			if len(packets) < 3 || packets[0].Header.PID != 0 || packets[1].Header.PID != 0x1000 {
				t.Fatalf("part %d does not begin with tables", part.id)
			}
			first := int64(-1)
			broken := false
			for _, p := range packets {
				if a := p.AdaptationField; a != nil && a.HasPCR {
					if p.Header.PID != videoPID {
						t.Errorf("a clock in stream %#x", p.Header.PID)
					}
					if step := (a.PCR.Base - clock) & tsMask; clock >= 0 && !a.DiscontinuityIndicator && (step == 0 || step > clockInterval) {
						t.Errorf("part %d: %d ticks between two clocks", part.id, step)
					}
					broken = broken || a.DiscontinuityIndicator
					clock = a.PCR.Base
					if first < 0 {
						first = clock
					}
				}
			}
			if want := seg.discontinuity && i == 0; broken != want {
				t.Errorf("part %d: the clock breaks: %v", part.id, broken)
			}
			m := demux(t, part.data)
			for _, u := range append(m.video, m.sound...) {
				if ahead := (u.dts - first) & tsMask; ahead > 10*ClockRate {
					t.Errorf("part %d: a unit at %d, its first clock is at %d", part.id, u.dts, first)
				}
			}
			if len(m.video) == 0 {
				continue
			}
			var au h264.AnnexB
			if err := au.Unmarshal(m.video[0].data); err != nil {
				t.Fatal(err)
			}
			want := h264.AnnexB{{9, 0xf0}, s.m.tracks.SPS, s.m.tracks.PPS}
			if diff := cmp.Diff(want, au[:min(3, len(au))]); diff != "" && seg.initID == s.m.initID {
				t.Errorf("part %d begins with %x", part.id, m.video[0].data[:min(40, len(m.video[0].data))])
			}
		}
	}
}

func TestTransport(t *testing.T) {
	s := newSource(t, MPEGTS, 30, 1, 60)
	s.run(95)
	s.restart(5 * ClockRate)
	s.run(95)
	if err := s.m.SetTracks(Tracks{SPS: sps360, PPS: pps360}); err != nil {
		t.Fatal(err)
	}
	s.offset, s.frame = s.m.EndTime(), 0
	s.run(95)
	checkTransport(t, s)
	checkMedia(t, s)
	segments := s.m.current.Load().segments
	if got := fmt.Sprint(demux(t, segments[0].data).kinds); got != fmt.Sprint([]astits.StreamType{0x1b, 0x0f, 0x15}) {
		t.Errorf("program with sound: %s", got)
	}
	last := segments[len(segments)-1].parts[0].data
	if got := fmt.Sprint(demux(t, last).kinds); got != fmt.Sprint([]astits.StreamType{0x1b, 0x15}) {
		t.Errorf("program without sound: %s", got)
	}
	version := func(data []byte) byte { return data[ts.PacketSize+5+5] >> 1 & 0x1f }
	if a, b := version(segments[0].data), version(last); a != 0 || b != 1 {
		t.Errorf("versions of the program: %d and %d", a, b)
	}
}

// TestWrapAround lets the 33 bits of times begin anew.
func TestWrapAround(t *testing.T) {
	s := newSource(t, MPEGTS, 30, 1, 60)
	s.offset = 1<<33 - timeOffset - 3*ClockRate
	s.offset -= s.offset % 3000
	s.sound = (s.offset*48000/ClockRate + samplesPerAU - 1) / samplesPerAU * samplesPerAU
	s.run(6 * 30)
	checkTransport(t, s)
	checkMedia(t, s)
	var at []int64
	for _, seg := range s.m.current.Load().segments {
		for _, u := range demux(t, seg.data).video {
			at = append(at, u.dts)
		}
	}
	if at[0] < tsMask-4*ClockRate || at[len(at)-1] > 4*ClockRate {
		t.Errorf("times from %d to %d", at[0], at[len(at)-1])
	}
}

// TestReordered: pictures that are shown later than decoded have both times.
func TestReordered(t *testing.T) {
	m := New(Config{Prefix: "a", Wall: wall, PartTarget: PartTarget(3000)})
	if err := m.SetTracks(tracks180); err != nil {
		t.Fatal(err)
	}
	shown := []int64{6000, 15000, 9000, 12000, 24000, 18000}
	sei := []byte{6, 5, 1, 0}
	for i, pts := range shown {
		f := VideoFrame{DTS: int64(i) * 3000, PTS: pts, Duration: 3000, Key: i == 0, NALUs: [][]byte{sei, {0x41, byte(i)}}}
		if err := m.WriteVideo(f); err != nil {
			t.Fatal(err)
		}
	}
	got := demux(t, m.current.Load().segments[0].parts[0].data).video
	for i, u := range got {
		var au h264.AnnexB
		if err := au.Unmarshal(u.data); err != nil {
			t.Fatal(err)
		}
		want := h264.AnnexB{{9, 0xf0}, sei, {0x41, byte(i)}}
		if i == 0 {
			want = h264.AnnexB{{9, 0xf0}, sps180, pps180, sei, {0x41, 0}}
		}
		if diff := cmp.Diff(want, au); diff != "" || u.pts != shown[i]+timeOffset || u.dts != int64(i)*3000+timeOffset {
			t.Errorf("picture %d, %d at %d: %s", i, u.pts, u.dts, diff)
		}
	}
	if len(got) != len(shown) {
		t.Errorf("%d pictures", len(got))
	}
}

// TestSoundTimes: sound keeps its times at any rate, and over a hole.
func TestSoundTimes(t *testing.T) {
	for _, hz := range []int{48000, 44100, 8000} {
		t.Run(fmt.Sprint(hz), func(t *testing.T) {
			config := &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: hz, ChannelConfig: 1, ChannelCount: 1}
			m := New(Config{Prefix: "a", Wall: wall, PartTarget: PartTarget(3000)})
			if err := m.SetTracks(Tracks{SPS: sps180, PPS: pps180, Audio: config}); err != nil {
				t.Fatal(err)
			}
			var want, got []tsUnit
			next := int64(0)
			for i := range int64(90) {
				f := VideoFrame{DTS: i * 3000, PTS: i * 3000, Duration: 3000, Key: i == 0, NALUs: [][]byte{{0x65}}}
				if err := m.WriteVideo(f); err != nil {
					t.Fatal(err)
				}
				for ; next*ClockRate < (i+1)*3000*int64(hz); next += samplesPerAU {
					if i >= 40 && i < 50 {
						continue // a hole
					}
					a := AudioFrame{DTS: next, AU: []byte{1, byte(next >> 10)}}
					if err := m.WriteAudio(a); err != nil {
						t.Fatal(err)
					}
					at := next*ClockRate/int64(hz) + timeOffset
					want = append(want, tsUnit{at, at, a.AU})
				}
			}
			if err := m.End(); err != nil {
				t.Fatal(err)
			}
			for _, seg := range m.current.Load().segments {
				got = append(got, frames(t, demux(t, seg.data).sound)...)
			}
			if len(got) < len(want)-8 {
				t.Errorf("%d of %d access units", len(got), len(want))
			}
			for i, u := range got {
				if d := u.pts - want[i].pts; d < -1 || d > 1 || !bytes.Equal(u.data, want[i].data) {
					t.Fatalf("access unit %d at %d, want %d", i, u.pts, want[i].pts)
				}
			}
		})
	}
}

// TestSoundAlone: while the picture stands still, the clock goes on with the sound.
func TestSoundAlone(t *testing.T) {
	s := newSource(t, MPEGTS, 30, 1, 60)
	s.run(30)
	for range 200 {
		if err := s.m.WriteAudio(AudioFrame{DTS: s.sound, AU: []byte{1}}); err != nil {
			t.Fatal(err)
		}
		s.sound += samplesPerAU
	}
	checkTransport(t, s)
	checkMedia(t, s)
}

func TestNoRoomForSound(t *testing.T) {
	for _, config := range []mpeg4audio.AudioSpecificConfig{
		{Type: mpeg4audio.ObjectTypeSBR, SampleRate: 48000, ChannelConfig: 2},
		{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 44000, ChannelConfig: 2},
		{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000},
	} {
		m := New(Config{Prefix: "a", Wall: wall, PartTarget: PartTarget(3000)})
		if err := m.SetTracks(Tracks{SPS: sps180, PPS: pps180, Audio: &config}); err == nil || !strings.Contains(err.Error(), "FRAGMENTED_MP4") {
			t.Errorf("%+v: %v", config, err)
		}
	}
	s := newSource(t, MPEGTS, 30, 1, 60)
	s.run(33)
	if err := s.m.WriteAudio(AudioFrame{DTS: s.sound, AU: make([]byte, 1<<13)}); err != nil {
		t.Fatal(err)
	}
	if err := s.m.End(); err == nil || !strings.Contains(err.Error(), "8192 bytes") {
		t.Errorf("%v", err)
	}
}
