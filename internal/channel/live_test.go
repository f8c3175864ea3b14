package channel

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
)

func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{fragmented: true})
		e := b.mustConnect(plainKey)
		e.run(6)
		stream, ok := b.Stream(testARN)
		if !ok || stream.Health != Healthy {
			t.Fatalf("stream %+v", stream)
		}
		before := b.playlist()
		e.leave(false)
		if s, ok := b.Stream(testARN); !ok || s.Health != Starving {
			t.Errorf("in the gap: %v %+v", ok, s)
		}
		if m := b.playlist(); m.Endlist || m.PreloadHint == nil {
			t.Error("the gap looks like the end")
		}
		// A blocked request lasts over the gap and is answered with the first part after it.
		gap := b.playlist()
		answer := make(chan *httptest.ResponseRecorder, 1)
		go func() {
			answer <- b.get(fmt.Sprintf("%s%s/live.m3u8?_HLS_msn=%d&_HLS_part=0", playbackRoot, testName, gap.MediaSequence+len(gap.Segments)))
		}()
		time.Sleep(4 * time.Second)
		e = b.mustConnect(plainKey)
		e.origin = 777000 // another clock
		e.run(1)
		synctest.Wait()
		if len(answer) != 1 {
			t.Fatal("the blocked request is not answered")
		}
		if w := <-answer; w.Code != 200 || !strings.Contains(w.Body.String(), "#EXT-X-DISCONTINUITY\n") {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		e.run(5)
		after := b.playlist()
		if after.MediaSequence != before.MediaSequence || discontinuities(after) != 1 || after.Map.URI != before.Map.URI {
			t.Errorf("%d discontinuities, sequence %d, before %d", discontinuities(after), after.MediaSequence, before.MediaSequence)
		}
		if text := b.get(playbackRoot + testName + "/live.m3u8").Body.String(); strings.Count(text, "#EXT-X-MAP") != 1 {
			t.Errorf("same parameters, but another map:\n%s", text)
		}
		at := slices.IndexFunc(after.Segments, func(s *playlist.MediaSegment) bool { return s.Discontinuity })
		// Media time follows the wall clock over the gap.
		if d := after.Segments[at].DateTime.Sub(*after.Segments[at-1].DateTime) - after.Segments[at-1].Duration; d < 3900*time.Millisecond || d > 4300*time.Millisecond {
			t.Errorf("the gap is %v in the playlist", d)
		}
		now, ok := b.Stream(testARN)
		if !ok || now.ID != stream.ID || now.Health != Healthy {
			t.Errorf("stream %+v", now)
		}
		if got := fmt.Sprint(kinds(b.events.await(t, 4))); got != "[Session Created Stream Start Starvation Start Starvation End]" {
			t.Errorf("events %v", got)
		}
		if st := b.Stats(); len(st.Streams) != 1 || st.Streams[0].Reconnects != 1 || st.Streams[0].VideoBytes == 0 {
			t.Errorf("stats %+v", st)
		}
		e.leave(true)
		if m := b.playlist(); !m.Endlist {
			t.Error("no end after the goodbye")
		}
		if w := b.get(testPath); w.Code != 404 {
			t.Errorf("multivariant playlist after the end: status %d", w.Code)
		}
		if _, ok := b.Stream(testARN); ok {
			t.Error("live after the goodbye")
		}
		events := b.events.await(t, 6)
		if got := fmt.Sprint(kinds(events[4:])); got != "[Stream End Session Ended]" {
			t.Errorf("events %v", got)
		}
		// The end can be watched for a minute.
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if w := b.get(playbackRoot + testName + "/live.m3u8"); w.Code != 404 {
			t.Errorf("after the linger: status %d", w.Code)
		}
	})
}

func TestGraceRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{fragmented: true})
		e := b.mustConnect(plainKey)
		e.run(3)
		e.leave(false)
		time.Sleep(9900 * time.Millisecond)
		if _, ok := b.Stream(testARN); !ok {
			t.Fatal("ended too early")
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if _, ok := b.Stream(testARN); ok {
			t.Fatal("still live")
		}
		events := b.events.await(t, 5)
		if !strings.Contains(events[4].Reason, "did not come back") {
			t.Errorf("reason %q", events[4].Reason)
		}
		first := b.playlist()
		if !first.Endlist {
			t.Error("no end")
		}
		// The next stream on the same address has later numbers and other names.
		b.mustConnect(plainKey).run(1)
		second := b.playlist()
		if second.MediaSequence < first.MediaSequence+len(first.Segments) || *second.DiscontinuitySequence <= *first.DiscontinuitySequence {
			t.Errorf("sequence %d after %d", second.MediaSequence, first.MediaSequence)
		}
		if second.Map.URI == first.Map.URI || second.Endlist {
			t.Error("the new stream looks like the old one")
		}
		if w := b.get(playbackRoot + testName + "/" + first.Segments[0].URI); w.Code != 404 {
			t.Errorf("old segment: status %d", w.Code)
		}
	})
}

func TestSecondPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		e := b.mustConnect(plainKey)
		for range 2 { // before the stream is playable, and after
			_, err := b.connect(plainKey)
			var refusal rtmp.Refusal
			if !errors.As(err, &refusal) || refusal.Code != "NetStream.Publish.BadName" || refusal.Reason != ErrAlreadyLive.Error() {
				t.Errorf("error %v", err)
			}
			e.run(2)
		}
		if e.cutFor() != nil {
			t.Errorf("the first publisher was cut: %v", e.cutFor())
		}
		if m := b.playlist(); discontinuities(m) != 0 {
			t.Error("the first publisher's stream broke")
		}
		// In the gap only the same publisher continues the stream; another one begins its own.
		old, _ := b.Stream(testARN)
		e.leave(false)
		b.mustConnect(compositionKey).run(1)
		now, ok := b.Stream(testARN)
		if !ok || now.ID == old.ID || now.Source != "composition/comp1" {
			t.Errorf("stream %+v", now)
		}
		got := fmt.Sprint(kinds(b.events.await(t, 7)))
		if got != "[Session Created Stream Start Starvation Start Stream End Session Ended Session Created Stream Start]" {
			t.Errorf("events %v", got)
		}
	})
}

func TestStopAndFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		if err := b.Stop(testARN, "x"); !errors.Is(err, ErrNotLive) {
			t.Errorf("error %v", err)
		}
		b.Finish(testARN)
		e := b.mustConnect(plainKey)
		e.run(3)
		b.Finish(testARN) // an encoder goes on
		if _, ok := b.Stream(testARN); !ok {
			t.Error("finish cut an encoder")
		}
		if err := b.Stop(testARN, "StopStream was called"); err != nil {
			t.Error(err)
		}
		if err := e.cutFor(); err == nil || err.Error() != "StopStream was called" {
			t.Errorf("cut for %v", err)
		}
		if !b.playlist().Endlist {
			t.Error("no end")
		}
		if err := b.Stop(testARN, "x"); !errors.Is(err, ErrNotLive) {
			t.Errorf("error %v", err)
		}
		e.leave(false)

		e = b.mustConnect(compositionKey) // at once again
		e.run(1)
		b.Finish(testARN)
		if e.cutFor() == nil {
			t.Error("finish left a composition running")
		}
		if _, ok := b.Stream(testARN); ok {
			t.Error("live after finish")
		}
		e.leave(false)
		e = b.mustConnect(plainKey)
		e.run(1)
		e.leave(false)
		b.Finish(testARN) // nobody will continue
		if !b.playlist().Endlist {
			t.Error("no end after finish in the gap")
		}
	})
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		e := b.mustConnect(plainKey)
		if s, ok := b.Stream(testARN); !ok || s.Health != Unknown || s.Video != nil {
			t.Errorf("at first: %v %+v", ok, s)
		}
		e.run(6)
		s, _ := b.Stream(testARN)
		if s.Health != Healthy || s.Video.FrameRate != 30 || s.Video.BitRate != 1000000 || s.Video.Profile != "Baseline" || s.Video.Level != "1.3" {
			t.Errorf("%+v %+v", s, s.Video)
		}
		if s.Audio.Channels != 2 || s.Audio.BitRate != 64000 {
			t.Errorf("%+v", s.Audio)
		}
		for range 5 { // half of real time
			e.run(0.5)
			time.Sleep(500 * time.Millisecond)
		}
		if s, _ := b.Stream(testARN); s.Health != Starving {
			t.Errorf("health %s", s.Health)
		}
		e.run(8)
		if s, _ := b.Stream(testARN); s.Health != Healthy {
			t.Errorf("health %s", s.Health)
		}
	})
}

func TestNoVideo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		e := b.mustConnect(plainKey)
		for i := range 2000 {
			if e.cutFor() != nil {
				break
			}
			e.write(rtmp.AudioFrame{PTS: time.Duration(i) * 21 * time.Millisecond, AU: []byte{1}})
			time.Sleep(21 * time.Millisecond)
		}
		if err := e.cutFor(); !errors.Is(err, errNothingPlayable) {
			t.Errorf("cut for %v", err)
		}
		if got := fmt.Sprint(kinds(b.events.await(t, 2))); got != "[Session Created Session Ended]" {
			t.Errorf("events %v", got)
		}
		if w := b.get(testPath); w.Code != 404 {
			t.Errorf("status %d", w.Code)
		}
	})
}

func TestParametersChangeMidStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{fragmented: true})
		e := b.mustConnect(plainKey)
		e.run(4)
		e.write(video180) // the same again, as some encoders send with every key frame
		e.run(4)
		if n := discontinuities(b.playlist()); n != 0 {
			t.Errorf("%d discontinuities for the same parameters", n)
		}
		e.write(video360)
		e.run(4)
		if text := b.get(playbackRoot + testName + "/live.m3u8").Body.String(); strings.Count(text, "#EXT-X-DISCONTINUITY\n") != 1 || strings.Count(text, "#EXT-X-MAP") != 2 {
			t.Errorf("change of size:\n%s", text)
		}
		if s, _ := b.Stream(testARN); s.Video.Width != 640 || s.Video.Profile != "Main" {
			t.Errorf("%+v", s.Video)
		}
		if m := b.get(testPath).Body.String(); !strings.Contains(m, `CODECS="avc1.4D401E,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=30.000`) {
			t.Error(m)
		}
		// In band, in the key frame itself.
		at := time.Duration(e.frame*1000/30) * time.Millisecond
		e.write(rtmp.VideoFrame{DTS: at, PTS: at, Key: true, NALUs: [][]byte{video180.SPS[0], video180.PPS[0], {0x65, 2}}})
		e.frame++
		e.run(3)
		if s, _ := b.Stream(testARN); s.Video.Width != 320 {
			t.Errorf("%+v", s.Video)
		}
		// A leap of the clock is a break, not a hole and not the end.
		e.origin += 3600_000
		e.frame = (e.frame + 59) / 60 * 60
		e.run(3)
		e.origin -= 3600_000
		e.frame = (e.frame + 59) / 60 * 60
		e.run(3)
		if err := e.cutFor(); err != nil {
			t.Errorf("cut for %v", err)
		}
		m := b.playlist()
		for _, s := range m.Segments {
			if s.Duration > 2500*time.Millisecond {
				t.Errorf("segment of %v", s.Duration)
			}
		}
		if d := time.Since(*m.Segments[len(m.Segments)-1].DateTime); d < 0 || d > 6*time.Second {
			t.Errorf("the newest segment is %v old", d)
		}
	})
}

func TestVideoOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		e, err := b.connect(plainKey)
		if err != nil {
			t.Fatal(err)
		}
		e.write(rtmp.Metadata{FrameRate: 30}, video180)
		e.sound = 1 << 40
		e.run(1)
		if s, ok := b.Stream(testARN); !ok || s.Health != Healthy || s.Audio != nil || s.Video == nil {
			t.Errorf("%+v", s)
		}
	})
}

func TestViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		e := b.mustConnect(plainKey)
		e.run(1)
		viewers := func() int {
			s, _ := b.Stream(testARN)
			return s.ViewerCount
		}
		var urls []string
		for range 3 {
			body := b.get(testPath).Body.String()
			lines := strings.Split(strings.TrimSpace(body), "\n")
			urls = append(urls, playbackRoot+lines[len(lines)-1])
		}
		if n := viewers(); n != 0 {
			t.Errorf("%d viewers before anyone watches", n)
		}
		for _, u := range slices.Concat(urls, urls, []string{playbackRoot + testName + "/live.m3u8?viewer=short", playbackRoot + testName + "/live.m3u8"}) {
			if w := b.get(u); w.Code != 200 {
				t.Errorf("%s: status %d", u, w.Code)
			}
		}
		if n := viewers(); n != 3 {
			t.Errorf("%d viewers, want 3", n)
		}
		e.run(20)
		b.get(urls[0])
		e.run(15)
		if n := viewers(); n != 1 {
			t.Errorf("%d viewers, want 1", n)
		}
	})
}

func TestViewerTableIsBounded(t *testing.T) {
	var v viewers
	now := time.Now()
	for i := range maxViewers + 1000 {
		v.note(fmt.Sprintf("%016d", i), now)
	}
	if n := v.count(now); n != maxViewers {
		t.Errorf("%d viewers are kept, want at most %d", n, maxViewers)
	}
	v.note("abcdefghijklmnop", now.Add(time.Minute))
	if n := v.count(now.Add(time.Minute)); n != 1 {
		t.Errorf("%d viewers a minute later", n)
	}
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		e := b.mustConnect(plainKey)
		e.run(3)
		go func() { // a session's goroutine closes its publication when it is cut
			<-e.ctx.Done()
			e.pub.Close(false, context.Cause(e.ctx))
		}()
		b.Close()
		events := b.events.await(t, 4)
		if got := fmt.Sprint(kinds(events)); got != "[Session Created Stream Start Stream End Session Ended]" || events[3].Reason != errShutdown.Error() {
			t.Errorf("events %v, %s", got, events[3].Reason)
		}
		if _, err := b.connect(plainKey); !errors.Is(err, errShutdown) {
			t.Errorf("error %v", err)
		}
	})
}

func TestHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		e := b.mustConnect(plainKey)
		if w := b.get(testPath); w.Code != 404 {
			t.Errorf("before the first part: status %d", w.Code)
		}
		e.run(3)
		w := b.get(testPath)
		if h := w.Header(); w.Code != 200 || h.Get("Content-Type") != "application/vnd.apple.mpegurl" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("status %d, %v", w.Code, h)
		}
		if _, err := playlist.Unmarshal(w.Body.Bytes()); err != nil {
			t.Error(err)
		}
		for _, target := range []string{
			playbackRoot, playbackRoot + "x.m3u8", playbackRoot + testName, playbackRoot + testName + "/", playbackRoot + testName + "/x.m4s",
			playbackRoot + "us-east-1.000000000000.channel.ZZZZZZZZZZZZ.m3u8", playbackRoot + "us-east-1.000000000000.stage.AbCdEf123456.m3u8",
			playbackRoot + strings.Repeat("a", 5000) + ".m3u8", playbackRoot + "a.b.channel..m3u8",
		} {
			w := b.get(target)
			if h := w.Header(); w.Code != 404 || w.Body.String() != offlineBody || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: status %d %s", target, w.Code, w.Body)
			}
		}
		for method, want := range map[string]int{"OPTIONS": 204, "HEAD": 200, "POST": 405, "DELETE": 405} {
			w := httptest.NewRecorder()
			b.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, testPath, nil))
			if w.Code != want || w.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: status %d, %v", method, w.Code, w.Header())
			}
		}
	})
}

// TestNormalLatency: a channel with latency mode NORMAL is played by whole segments.
func TestNormalLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{normal: true})
		e := b.mustConnect(plainKey)
		e.run(1.5)
		if w := b.get(testPath); w.Code != 404 {
			t.Errorf("before the first segment: status %d", w.Code)
		}
		e.run(5)
		w := b.get(playbackRoot + testName + "/live.m3u8")
		if text := w.Body.String(); strings.Contains(text, "#EXT-X-PART") || !strings.Contains(text, "HOLD-BACK=6.00000") || strings.Count(text, "#EXTINF") != 3 {
			t.Errorf("playlist:\n%s", text)
		}
		e.leave(true)
		if got := fmt.Sprint(kinds(b.events.await(t, 4))); got != "[Session Created Stream Start Stream End Session Ended]" {
			t.Errorf("events %s", got)
		}
	})
}
