package channel

import (
	"cmp"
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
)

// Parameter sets of x264: 320x180 constrained baseline with 30 fps in its VUI, and 640x360 main.
var (
	video180 = rtmp.VideoParams{
		SPS: [][]byte{{0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0f, 0x23, 0xc5, 0x0a, 0xa8}},
		PPS: [][]byte{{0x68, 0xce, 0x0f, 0xc8}},
	}
	video360 = rtmp.VideoParams{
		SPS: [][]byte{{0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc, 0xb8, 0x08, 0x80, 0, 0, 3, 0, 0x80, 0, 0, 0x19, 0x07, 0x8b, 0x16, 0xcb}},
		PPS: [][]byte{{0x68, 0xef, 0x8f, 0xc8}},
	}
	stereo = rtmp.AudioParams{Config: mpeg4audio.AudioSpecificConfig{
		Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2,
	}}
)

// bench is a server without sockets, in a synctest bubble: publishers are called directly and time is not real.
type bench struct {
	*Server
	t      *testing.T
	events *recorder
	log    *logBuffer
}

func newBench(t *testing.T, d Directory) *bench {
	b := &bench{t: t, events: newRecorder(), log: &logBuffer{}}
	b.Server = &Server{Directory: d, Observer: b.events, Log: slog.New(slog.NewTextHandler(b.log, nil))}
	b.begin(t.Context())
	t.Cleanup(func() { b.Close() })
	return b
}

// encoder is a publisher in a bubble.
type encoder struct {
	b      *bench
	pub    rtmp.Publication
	ctx    context.Context
	origin int64 // milliseconds
	frame  int64
	sound  int64 // access units

	size     int   // of a frame, in bytes; 0: two
	leaveOut bool  // two of three frames that are no key frames
	keyEvery int64 // frames; 0: 60
}

func (b *bench) connect(key string) (*encoder, error) {
	key, priority, _ := strings.Cut(key, "?priority=")
	ctx, cut := context.WithCancelCause(b.t.Context())
	p, err := b.publishRTMP(ctx, rtmp.Request{Key: key, Priority: priority, Encrypted: true, Remote: "test", Cut: cut})
	if err != nil {
		cut(nil)
		return nil, err
	}
	return &encoder{b: b, pub: p, ctx: ctx}, nil
}

func (b *bench) mustConnect(key string) *encoder {
	b.t.Helper()
	e, err := b.connect(key)
	if err != nil {
		b.t.Fatal(err)
	}
	e.write(rtmp.Metadata{Encoder: "test", VideoBitRate: 1000000, AudioBitRate: 64000, FrameRate: 30, HasAudio: true}, stereo, video180)
	return e
}

func (e *encoder) write(units ...rtmp.Unit) {
	e.b.t.Helper()
	for _, u := range units {
		if err := e.pub.Write(e.ctx, u); err != nil {
			e.b.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// run sends some seconds of 30 fps with a key frame every two seconds unless keyEvery says otherwise, in real time of the bubble.
func (e *encoder) run(seconds float64) {
	e.b.t.Helper()
	e.runUntilCut(seconds)
	if err := e.cutFor(); err != nil {
		e.b.t.Fatal(err)
	}
}

// runUntilCut does the same, and ends early when the stream does.
func (e *encoder) runUntilCut(seconds float64) {
	for range int(seconds*30 + 0.5) {
		ms := e.origin + e.frame*1000/30
		at := time.Duration(ms) * time.Millisecond
		key := e.frame%cmp.Or(e.keyEvery, 60) == 0
		nalu := make([]byte, max(2, e.size))
		nalu[0], nalu[1] = 0x41, 1
		if key {
			nalu[0] = 0x65
		}
		units := []rtmp.Unit{rtmp.VideoFrame{DTS: at, PTS: at, Key: key, NALUs: [][]byte{nalu}}}
		if e.leaveOut && e.frame%3 != 0 {
			units = nil
		}
		for e.sound*1024*1000/48000 <= e.frame*1000/30 {
			units = append(units, rtmp.AudioFrame{PTS: time.Duration(e.origin+e.sound*1024*1000/48000) * time.Millisecond, AU: []byte{1}})
			e.sound++
		}
		for _, u := range units {
			if err := e.pub.Write(e.ctx, u); err != nil {
				return
			}
		}
		synctest.Wait()
		e.frame++
		time.Sleep(time.Second / 30)
	}
}

func (e *encoder) leave(goodbye bool) {
	e.pub.Close(goodbye, nil)
	synctest.Wait()
}

// cutFor returns why the publisher was cut.
func (e *encoder) cutFor() error {
	synctest.Wait()
	return context.Cause(e.ctx)
}

func (b *bench) get(target string, header ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(b.t.Context(), "GET", target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	b.Handler().ServeHTTP(w, r)
	return w
}

func (b *bench) playlist() *playlist.Media {
	b.t.Helper()
	w := b.get(playbackRoot + testName + "/live.m3u8")
	p, err := playlist.Unmarshal(w.Body.Bytes())
	if err != nil {
		b.t.Fatalf("status %d: %v in %s", w.Code, err, w.Body)
	}
	return p.(*playlist.Media)
}

func discontinuities(m *playlist.Media) (n int) {
	for _, s := range m.Segments {
		if s.Discontinuity {
			n++
		}
	}
	return n
}
