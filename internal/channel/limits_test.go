package channel

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
)

func TestCheckPicture(t *testing.T) {
	for _, c := range []struct {
		w, h int
		want error
	}{
		{1920, 1080, nil}, {1080, 1920, nil}, {1440, 1440, nil}, {320, 180, nil}, {0, 0, nil},
		{1922, 1080, Breach{IngestResolution, 1920, 2, "pixels per edge"}},
		{1080, 3840, Breach{IngestResolution, 1920, 1920, "pixels per edge"}},
		{1920, 1200, Breach{IngestResolution, 2073600, 230400, "total pixels"}},
	} {
		if got := checkPicture(c.w, c.h); got != c.want {
			t.Errorf("%dx%d: %v, want %v", c.w, c.h, got, c.want)
		}
	}
}

func TestBitRateLimit(t *testing.T) {
	for _, c := range []struct {
		basic bool
		w, h  int
		want  int64
	}{{false, 1920, 1080, 8_500_000}, {false, 320, 180, 8_500_000}, {true, 0, 0, 3_500_000}, {true, 1920, 1080, 3_500_000}, {true, 852, 480, 1_500_000}, {true, 480, 852, 1_500_000}} {
		if got := (Channel{Basic: c.basic}).bitRateLimit(1, c.w, c.h); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// TestOverrun gives bit rates, in multiples of the limit, second by second.
func TestOverrun(t *testing.T) {
	const limit = 8_000_000
	steady := func(times float64) func(int) float64 { return func(int) float64 { return times } }
	for _, c := range []struct {
		name    string
		rate    func(second int) float64
		seconds int // after which it must be cut; 0: never, within ten minutes
	}{
		{"at the limit", steady(1), 0},
		{"a little above", steady(1.09), 0},
		{"a fifth above", steady(1.2), 101},
		{"twice", steady(2), 12},
		{"ten times", steady(10), 2},
		// Peaks of five seconds at twice the limit, as variable bit rates have; and a composition's first seconds.
		{"variable", func(s int) float64 {
			if s%20 < 5 {
				return 2
			}
			return 0.8
		}, 0},
		{"a heavy start", func(s int) float64 {
			if s < 3 {
				return 4
			}
			return 1
		}, 0},
	} {
		var o overrun
		now, bytes := time.Unix(0, 0), 0.0
		o.check(now, 0, limit)
		cut := 0
		for s := range 600 {
			now = now.Add(time.Second)
			bytes += c.rate(s) * limit / 8
			if err := o.check(now, uint64(bytes), limit); err != nil {
				b := err.(Breach)
				if want := int64((c.rate(s) - 1) * limit); b.Limit != IngestBitrate || b.Value != limit || b.ExceededBy < want-8 || b.ExceededBy > want+8 {
					t.Errorf("%s: %+v", c.name, b)
				}
				cut = s + 1
				break
			}
		}
		if cut != c.seconds {
			t.Errorf("%s: cut after %d s, want %d", c.name, cut, c.seconds)
		}
	}
}

// tooLarge is an SPS of 3840x2160.
func tooLarge(t *testing.T) rtmp.VideoParams {
	t.Helper()
	sps := []byte{0x67, 0x42, 0xc0, 0x33, 0xda, 0, 0xf0, 1, 0x0f, 0xb0, 0x11, 0, 0, 3, 0, 1, 0, 0, 3, 0, 2, 0x0f, 0x18, 0x32, 0xa0} // of x264
	var parsed h264.SPS
	if err := parsed.Unmarshal(sps); err != nil || parsed.Width() != 3840 {
		t.Fatalf("%dx%d, %v", parsed.Width(), parsed.Height(), err)
	}
	return rtmp.VideoParams{SPS: [][]byte{sps}, PPS: video180.PPS}
}

func TestTooLargePicture(t *testing.T) {
	large := tooLarge(t)
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		e := b.quiet(plainKey, hasSound, stereo, large)
		for i := range 30 {
			at := time.Duration(i) * time.Second / 30
			if e.pub.Write(t.Context(), rtmp.VideoFrame{DTS: at, PTS: at, Key: i == 0, NALUs: [][]byte{{0x65, 1}}}) != nil {
				break
			}
			e.pub.Write(t.Context(), rtmp.AudioFrame{PTS: at, AU: []byte{1}})
			time.Sleep(time.Second / 30)
		}
		if breach, ok := errors.AsType[Breach](e.cutFor()); !ok || breach.Unit != "pixels per edge" || breach.ExceededBy != 1920 {
			t.Errorf("cut for %v", e.cutFor())
		}
		events := b.events.await(t, 3)
		if got := fmt.Sprint(kinds(events)); got != "[Session Created Ingest Resolution Session Ended]" || events[1].Breach == nil {
			t.Errorf("events %s", got)
		}
		if w := b.get(testPath); w.Code != 404 {
			t.Errorf("status %d", w.Code)
		}
	})
}

func TestTooManyBits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		e := b.mustConnect(plainKey)
		e.run(2)
		e.size = 3 * 8_500_000 / 8 / 30 // of a frame
		for range 30 {
			if e.cutFor() != nil {
				break
			}
			e.runUntilCut(1)
		}
		if _, ok := errors.AsType[Breach](e.cutFor()); !ok {
			t.Errorf("cut for %v", e.cutFor())
		}
		events := b.events.await(t, 5)
		if got := fmt.Sprint(kinds(events)); got != "[Session Created Stream Start Ingest Bitrate Stream End Session Ended]" {
			t.Errorf("events %s", got)
		}
		if m := b.playlist(); !m.Endlist {
			t.Error("the playlist has no end")
		}
		if took := events[2].Time.Sub(events[1].Time); took < 5*time.Second || took > 12*time.Second {
			t.Errorf("cut after %v", took)
		}
	})
}

func TestTooManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		b.MaxStreams = 1
		e := b.mustConnect(plainKey)
		e.run(1)
		var refusal rtmp.Refusal
		if _, err := b.connect(otherKey); !errors.As(err, &refusal) || refusal.Code != "NetStream.Publish.Failed" {
			t.Errorf("error %v", err)
		}
		events := b.events.await(t, 3)
		last := events[2]
		if last.Kind != ConcurrentBroadcasts || last.Stream.ID != "" || last.Stream.ChannelARN == testARN || *last.Breach != (Breach{ConcurrentBroadcasts, 1, 1, "active streams"}) {
			t.Errorf("event %+v", last)
		}
		e.leave(true)
		b.mustConnect(otherKey).run(1)
	})
}

func TestTooManyViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		b.MaxViewers = 2
		e := b.mustConnect(plainKey)
		e.run(3)
		for range 2 {
			w := b.get(testPath)
			if w.Code != 200 {
				t.Fatalf("status %d", w.Code)
			}
			b.get(playbackRoot + addressIn(t, w.Body.String()))
		}
		for range 2 {
			if w := b.get(testPath); w.Code != 403 {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		}
		synctest.Wait()
		events := b.events.await(t, 3)
		if len(events) != 3 || *events[2].Breach != (Breach{ConcurrentViewers, 2, 1, "viewers"}) || events[2].Stream.ID == "" {
			t.Errorf("events %+v", events)
		}
		time.Sleep(viewerWindow + 2*time.Second)
		if w := b.get(testPath); w.Code != 200 {
			t.Errorf("after they left: status %d", w.Code)
		}
	})
}

func TestLongestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		b.Longest = 5 * time.Second
		e := b.mustConnect(plainKey)
		e.runUntilCut(8)
		if e.cutFor() == nil {
			t.Error("the stream goes on")
		}
		events := b.events.await(t, 4)
		if got := fmt.Sprint(kinds(events)); got != "[Session Created Stream Start Stream End Session Ended]" {
			t.Errorf("events %s", got)
		}
	})
}

// TestFramesAreMissing: the clock goes on as it should, but two frames of three do not come.
func TestFramesAreMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		e := b.mustConnect(plainKey)
		e.run(6)
		e.leaveOut = true
		e.run(7)
		if s, _ := b.Stream(testARN); s.Health != Starving {
			t.Errorf("health %s", s.Health)
		}
		e.leaveOut = false
		e.run(7)
		if s, _ := b.Stream(testARN); s.Health != Healthy {
			t.Errorf("health %s", s.Health)
		}
		got := fmt.Sprint(kinds(b.events.await(t, 4)))
		if got != "[Session Created Stream Start Starvation Start Starvation End]" {
			t.Errorf("events %s", got)
		}
	})
}

// TestSparseKeyFrames has the log say once what nobody can mend but the encoder.
func TestSparseKeyFrames(t *testing.T) {
	for keyEvery, want := range map[int64]int{60: 0, 115: 0, 250: 1} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, directory{})
			e := b.mustConnect(secureKey)
			e.keyEvery = keyEvery
			e.run(30)
			if n := strings.Count(b.log.String(), "key frames are far apart"); n != want {
				t.Errorf("a key frame in %d pictures: the log says so %d times", keyEvery, n)
			}
			e.pub.Close(true, nil)
			synctest.Wait()
		})
	}
}
