package channel

import (
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/unit"
)

// bitWriter writes what an SPS is made of.
type bitWriter struct {
	b []byte
	n int
}

func (w *bitWriter) bits(v uint64, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
}

// ue writes an Exp-Golomb code.
func (w *bitWriter) ue(v uint64) {
	n := 0
	for (v+1)>>(n+1) > 0 {
		n++
	}
	w.bits(0, n)
	w.bits(v+1, n+1)
}

// params are parameter sets of a constrained baseline stream without VUI (ISO/IEC 14496-10 §7.3.2.1.1).
func params(track, width, height int) unit.VideoParams {
	w := &bitWriter{}
	w.bits(0x6742c01f, 32)
	w.ue(0) // seq_parameter_set_id
	w.ue(0) // log2_max_frame_num_minus4
	w.ue(2) // pic_order_cnt_type
	w.ue(1) // max_num_ref_frames
	w.bits(0, 1)
	across, down := (width+15)/16, (height+15)/16
	w.ue(uint64(across - 1))
	w.ue(uint64(down - 1))
	w.bits(1, 1) // frame_mbs_only_flag
	w.bits(1, 1) // direct_8x8_inference_flag
	w.bits(1, 1) // frame_cropping_flag
	w.ue(0)
	w.ue(uint64(across*16-width) / 2)
	w.ue(0)
	w.ue(uint64(down*16-height) / 2)
	w.bits(0, 1) // no VUI
	w.bits(1, 1) // stop bit
	return unit.VideoParams{Track: track, SPS: [][]byte{w.b}, PPS: video180.PPS}
}

// track is one picture of a publisher in a bubble.
type track struct {
	params  unit.VideoParams
	every   int64 // of the publisher's frames it has: 2 is half the rate; 0: each
	absent  bool  // brings nothing
	sparse  bool  // leaves out two of three frames that are no key frames
	reorder int64 // frames from DTS to PTS
	late    int64 // how many frames it arrives after the others
	keyOff  int64 // frames that its key frames are late
	bytes   int   // of a frame
	nextUp  []unit.Unit
}

// studio is a publisher of several pictures.
type studio struct {
	*encoder
	fps    int64
	tracks []*track
}

func (b *bench) studio(fps int64, tracks ...*track) *studio {
	b.t.Helper()
	e, err := b.connect(plainKey)
	if err != nil {
		b.t.Fatal(err)
	}
	s := &studio{encoder: e, fps: fps, tracks: tracks}
	s.try(rtmp.Metadata{Encoder: "test", HasAudio: true}, stereo)
	for _, t := range tracks {
		s.try(t.params)
	}
	return s
}

func (s *studio) try(units ...unit.Unit) {
	for _, u := range units {
		if s.pub.Write(s.ctx, u) != nil {
			return
		}
	}
	synctest.Wait()
}

// run sends some seconds with a key frame every two of them, in real time of the bubble.
func (s *studio) run(seconds float64) {
	for range int(seconds * float64(s.fps)) {
		ms := s.origin + s.frame*1000/s.fps
		at := time.Duration(ms) * time.Millisecond
		for i, t := range s.tracks {
			if t.absent || t.every > 1 && s.frame%t.every != 0 {
				continue
			}
			nalu := make([]byte, max(2, t.bytes))
			nalu[0], nalu[1] = 0x41, byte(i)
			key := (s.frame-t.keyOff)%(2*s.fps) == 0
			if t.sparse && !key && s.frame%3 != 0 {
				continue
			}
			if key {
				nalu[0] = 0x65
			}
			t.nextUp = append(t.nextUp, unit.VideoFrame{Track: t.params.Track, DTS: at - time.Duration(t.reorder)*time.Second/time.Duration(s.fps), PTS: at, Key: key, NALUs: [][]byte{nalu}})
			if int64(len(t.nextUp)) > t.late {
				s.try(t.nextUp[0])
				t.nextUp = t.nextUp[1:]
			}
		}
		for s.sound*1024*1000/48000 <= s.frame*1000/s.fps {
			s.try(rtmp.AudioFrame{PTS: time.Duration(s.origin+s.sound*1024*1000/48000) * time.Millisecond, AU: []byte{1}})
			s.sound++
		}
		s.frame++
		time.Sleep(time.Second / time.Duration(s.fps))
	}
}

// variants reads the multivariant playlist: the lines of renditions, and their names in order.
func (b *bench) variants(header ...string) (lines, names []string) {
	b.t.Helper()
	w := b.get(testPath+"?token=word", header...)
	if w.Code != 200 {
		b.t.Fatalf("status %d %s", w.Code, w.Body)
	}
	for _, m := range regexp.MustCompile(`#EXT-X-STREAM-INF:.*\n.*`).FindAllString(w.Body.String(), -1) {
		lines = append(lines, m)
		if name := regexp.MustCompile(`VIDEO="(.*?)"`).FindStringSubmatch(m); name != nil {
			names = append(names, name[1])
		}
	}
	return lines, names
}

func (b *bench) media(file string) *playlist.Media {
	b.t.Helper()
	w := b.get(playbackRoot + testName + "/" + file)
	p, err := playlist.Unmarshal(w.Body.Bytes())
	if err != nil {
		b.t.Fatalf("%s: status %d: %v in %s", file, w.Code, err, w.Body)
	}
	return p.(*playlist.Media)
}

// inStep compares renditions: what they both have must have the same numbers, times, lengths and breaks. It returns the
// number of segments that they share.
func inStep(t *testing.T, a, b *playlist.Media) (shared int) {
	t.Helper()
	type place struct{ sequence, breaks int }
	places := func(m *playlist.Media) map[place]*playlist.MediaSegment {
		all, breaks := map[place]*playlist.MediaSegment{}, 0
		if m.DiscontinuitySequence != nil {
			breaks = *m.DiscontinuitySequence
		}
		for i, s := range m.Segments {
			if s.Discontinuity {
				breaks++
			}
			all[place{m.MediaSequence + i, breaks}] = s
		}
		return all
	}
	pa, pb := places(a), places(b)
	for at, s := range pb {
		o := pa[at]
		if o == nil {
			if at.sequence >= a.MediaSequence && at.sequence < a.MediaSequence+len(a.Segments) {
				t.Errorf("segment %d with break %d is another one elsewhere", at.sequence, at.breaks)
			}
			continue
		}
		if off := o.DateTime.Sub(*s.DateTime).Abs(); off > 2*time.Millisecond {
			t.Errorf("segment %d begins %v apart", at.sequence, off)
		}
		// At a break a frame may be on its way.
		if off := (o.Duration - s.Duration).Abs(); off > 40*time.Millisecond {
			t.Errorf("segment %d: %v and %v", at.sequence, o.Duration, s.Duration)
		}
		if len(o.Parts) > 0 && len(s.Parts) > 0 && len(o.Parts) != len(s.Parts) {
			t.Errorf("segment %d: %d and %d parts", at.sequence, len(o.Parts), len(s.Parts))
		}
		shared++
	}
	return shared
}

func multitrackDirectory() directory {
	return directory{fragmented: true, multitrack: Multitrack{Enabled: true, Limit: FullHD}}
}
