package channel

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
)

// TestMultitrackRules brings what the channel does not take.
func TestMultitrackRules(t *testing.T) {
	p720, p360 := params(0, 1280, 720), params(1, 640, 360)
	many := []*track{}
	for i := range 6 {
		many = append(many, &track{params: params(i, 640, 360)})
	}
	for name, c := range map[string]struct {
		rules  Multitrack
		tracks []*track
		code   string
	}{
		"not enabled":  {Multitrack{}, []*track{{params: p720}, {params: p360}}, codeNotAllowed},
		"too few":      {Multitrack{Enabled: true, Required: true, Limit: FullHD}, []*track{{params: p720}}, codeRequired},
		"too large":    {Multitrack{Enabled: true, Limit: SD}, []*track{{params: p720}, {params: p360}}, codeMediaProperties},
		"too many":     {Multitrack{Enabled: true, Limit: FullHD}, many, codeTrackCount},
		"allowed":      {Multitrack{Enabled: true, Limit: HD}, []*track{{params: p720}, {params: p360}}, ""},
		"one is right": {Multitrack{Enabled: true, Limit: SD}, []*track{{params: p720}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, directory{multitrack: c.rules})
				s := b.studio(30, c.tracks...)
				s.run(3)
				if err := s.cutFor(); (err != nil) != (c.code != "") {
					t.Errorf("cut for %v", err)
				}
				if c.code != "" {
					events := b.events.await(t, 2)
					if last := events[len(events)-1]; last.Kind != SessionEnded || last.Code != c.code {
						t.Errorf("%s %s, want the code %s", last.Kind, last.Code, c.code)
					}
				}
			})
		})
	}
}

// TestMultitrackBitRate takes 15 Mb/s of all pictures together, and not more.
func TestMultitrackBitRate(t *testing.T) {
	for bits, cut := range map[int]bool{12_000_000: false, 40_000_000: true} {
		t.Run(fmt.Sprint(bits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, multitrackDirectory())
				s := b.studio(30, &track{params: params(0, 1280, 720), bytes: bits / 8 / 60}, &track{params: params(1, 640, 360), bytes: bits / 8 / 60})
				s.run(14)
				if err := s.cutFor(); (err != nil) != cut {
					t.Errorf("cut for %v", err)
				}
			})
		})
	}
}

// TestMultitrackTakeover replaces a publisher by one with the same pictures, and not by one with others.
func TestMultitrackTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, multitrackDirectory())
		s := b.studio(30, &track{params: params(0, 1280, 720)}, &track{params: params(1, 640, 360)})
		s.run(6)
		other := func(tracks ...*track) *studio {
			e, err := b.connect(plainKey + "?priority=5")
			if err != nil {
				t.Fatal(err)
			}
			o := &studio{encoder: e, fps: 30, tracks: tracks}
			o.try(rtmp.Metadata{HasAudio: true}, stereo)
			for _, t := range tracks {
				o.try(t.params)
			}
			o.run(3)
			return o
		}
		if err := other(&track{params: params(0, 1280, 720)}).cutFor(); err == nil || s.cutFor() != nil {
			t.Errorf("one picture took two over: %v", err)
		}
		s.run(1)
		if err := other(&track{params: params(0, 1280, 720)}, &track{params: params(1, 640, 360)}).cutFor(); err != nil || s.cutFor() == nil {
			t.Errorf("the same pictures did not take over: %v", err)
		}
		high, low := b.media("720p30.m3u8"), b.media("360p30.m3u8")
		if n := inStep(t, high, low); n != len(low.Segments) || discontinuities(low) != 1 {
			t.Errorf("%d of %d segments in step, %d breaks", n, len(low.Segments), discontinuities(low))
		}
	})
}

// TestManyViewersOnce counts a viewer once who loads several renditions.
func TestManyViewersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, multitrackDirectory())
		s := b.studio(30, &track{params: params(0, 1280, 720)}, &track{params: params(1, 640, 360)})
		s.run(4)
		lines, _ := b.variants()
		for _, l := range lines {
			if w := b.get(playbackRoot + strings.Split(l, "\n")[1]); w.Code != 200 {
				t.Errorf("status %d", w.Code)
			}
		}
		if stream, _ := b.Stream(testARN); stream.ViewerCount != 1 {
			t.Errorf("%d viewers", stream.ViewerCount)
		}
	})
}
