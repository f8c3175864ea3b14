package doctor

import (
	"crypto/x509"
	"errors"
	"image"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/google/go-cmp/cmp"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/synth/signal"
)

func TestReadEdge(t *testing.T) {
	const head = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.500Z\n"
	at := func(ms int) time.Time { return time.Date(2026, 1, 2, 3, 4, 5, ms*1e6, time.UTC) }
	for name, c := range map[string]struct {
		playlist string
		part     string
		began    time.Time
		key      string
		keyBegan time.Time
		length   time.Duration
	}{
		"only parts": {head + "#EXT-X-PART:DURATION=0.2,URI=\"p1.m4s\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.2,URI=\"p2.m4s\"\n", "p2.m4s", at(700), "p1.m4s", at(500), 400 * time.Millisecond},
		"a segment and a part": {head + "#EXT-X-PART:DURATION=1.5,URI=\"p1.m4s\",INDEPENDENT=YES\n#EXTINF:1.500,\ns1.m4s\n#EXT-X-PART:DURATION=0.250,URI=\"p2.m4s\",INDEPENDENT=YES\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p3.m4s\"\n",
			"p2.m4s", at(2000), "p2.m4s", at(2000), 1750 * time.Millisecond},
		"a break": {head + "#EXTINF:1,\ns1.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:09.000Z\n#EXT-X-PART:DURATION=0.5,URI=\"p8.m4s\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.5,URI=\"p9.m4s\"\n",
			"p9.m4s", at(4500), "p8.m4s", at(4000), 2000 * time.Millisecond},
	} {
		e, err := readEdge(strings.NewReader(c.playlist))
		if err != nil || e.part != c.part || !e.began.Equal(c.began) || e.key != c.key || !e.keyBegan.Equal(c.keyBegan) || e.length != c.length || e.init != "init.mp4" {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	plain := strings.NewReplacer("#EXT-X-MAP:URI=\"init.mp4\"\n", "", ".m4s", ".ts").Replace(head + "#EXT-X-PART:DURATION=0.2,URI=\"p1.m4s\",INDEPENDENT=YES\n")
	if e, err := readEdge(strings.NewReader(plain)); err != nil || e.part != "p1.ts" || e.init != "" {
		t.Errorf("without EXT-X-MAP: %+v, %v", e, err)
	}
	for _, bad := range []string{"", "#EXTM3U\n", head, head + "#EXTINF:1,\ns1.m4s\n", head + "#EXT-X-PART:DURATION=0.2,URI=\"p1.m4s\"\n", strings.Replace(head, "2026", "soon", 1)} {
		if e, err := readEdge(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: %+v", bad, e)
		}
	}
}

// TestPiece reads what the packager makes, in both containers: sound that begins 20 ms after the picture.
func TestPiece(t *testing.T) {
	sps := []byte{0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0f, 0x23, 0xc5, 0x0a, 0xa8}
	tracks := hls.Tracks{SPS: sps, PPS: []byte{0x68, 0xce, 0x0f, 0xc8}, Audio: &mpeg4audio.AudioSpecificConfig{
		Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2}}
	for name, container := range map[string]hls.Container{"TS": hls.MPEGTS, "fMP4": hls.FragmentedMP4} {
		m := hls.New(hls.Config{Prefix: "x", Wall: time.Now(), PartTarget: 18000, Container: container})
		if err := m.SetTracks(tracks); err != nil {
			t.Fatal(err)
		}
		for i := range int64(6) {
			if err := m.WriteVideo(hls.VideoFrame{DTS: i * 3000, PTS: i * 3000, Duration: 3000, Key: i == 0, NALUs: [][]byte{{0x65}}}); err != nil {
				t.Fatal(err)
			}
			if i < 2 {
				if err := m.WriteAudio(hls.AudioFrame{DTS: 960 + i*1024, AU: []byte{1, 2}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		get := func(name string) []byte {
			w := httptest.NewRecorder()
			m.ServeFile(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), name, hls.Public)
			return w.Body.Bytes()
		}
		w := httptest.NewRecorder()
		m.ServePlaylist(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), hls.Public)
		e, err := readEdge(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		p, err := pieceOf(get(e.init), get(e.part))
		if err != nil || len(p.starts) != 2 || p.starts[1]-p.starts[0] != 20*time.Millisecond {
			t.Errorf("%s: %v, %v", name, p.starts, err)
		}
		config, err := tracks.Audio.Marshal()
		if diff := cmp.Diff(sound{config, [][]byte{{1, 2}, {1, 2}}}, p.sound, cmp.AllowUnexported(sound{})); diff != "" || err != nil {
			t.Errorf("%s: %s %v", name, diff, err)
		}
		if diff := cmp.Diff(h264.AnnexB{tracks.SPS, tracks.PPS, {0x65}}, p.picture); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, bad := range [][]byte{nil, []byte("nothing")} {
			if p, err := pieceOf(get(e.init), bad); err == nil {
				t.Errorf("%s: %q is %v", name, bad, p)
			}
		}
	}
}

func TestReadLinks(t *testing.T) {
	got := readLinks([]string{
		`<turn:h:3478?transport=udp>; rel="ice-server"; username="1:a,b"; credential="x=y"; credential-type="password",<turns:h:5349?transport=tcp>; rel="ice-server"; username="u"; credential="p"`,
		`<stun:h:3478>; rel="ice-server"`, `<https://h/>; rel="help"`, "nonsense",
	})
	want := []webrtc.ICEServer{
		{URLs: []string{"turn:h:3478?transport=udp"}, Username: "1:a,b", Credential: "x=y"},
		{URLs: []string{"turns:h:5349?transport=tcp"}, Username: "u", Credential: "p"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := readLinks(nil); got != nil {
		t.Error(got)
	}
}

func TestRemaining(t *testing.T) {
	if said, err := remaining(&x509.Certificate{NotAfter: time.Now().Add(100*24*time.Hour + time.Hour)}); err != nil || said != "valid for 100 days" {
		t.Error(said, err)
	}
	_, err := remaining(&x509.Certificate{NotAfter: time.Now().Add(24 * time.Hour)})
	if err == nil || !strings.Contains(err.Error(), "less than 7 days") {
		t.Errorf("of a certificate that ends tomorrow: %v", err)
	}
	if advised, ok := errors.AsType[*trouble](err); !ok || !strings.Contains(advised.advice, "renew") {
		t.Errorf("the advice is not to renew it: %v", err)
	}
}

func TestReadDrawn(t *testing.T) {
	at := time.UnixMilli(1764000012345)
	draw := func(index int) *image.Gray {
		painter, err := signal.NewPainter(index, "doctor", 640, 360)
		if err != nil {
			t.Fatal(err)
		}
		picture := image.NewYCbCr(image.Rect(0, 0, 640, 360), image.YCbCrSubsampleRatio420)
		painter.Draw(picture, at)
		return signal.Luma(picture, picture.Rect)
	}
	if got, err := readDrawn(draw(0)); err != nil || !got.Equal(at) {
		t.Errorf("%v, %v", got, err)
	}
	for what, luma := range map[string]*image.Gray{"somebody else": draw(1), "nothing": image.NewGray(image.Rect(0, 0, 640, 360))} {
		if got, err := readDrawn(luma); err == nil {
			t.Errorf("%s: %v", what, got)
		}
	}
}

func TestJudgeTone(t *testing.T) {
	const samples = signal.SampleRate / 5
	of := func(index int) []float32 {
		pcm := make([]float32, 2*samples)
		signal.FillSound(pcm, index, 0)
		return pcm
	}
	if err := judgeTone(of(0)); err != nil {
		t.Error(err)
	}
	both := of(1)
	for i, v := range of(0) {
		both[i] += v / 2
	}
	for what, pcm := range map[string][]float32{"somebody else": of(1), "two": both, "silence": make([]float32, 2*samples), "nothing": nil} {
		if judgeTone(pcm) == nil {
			t.Errorf("%s passes", what)
		}
	}
}
