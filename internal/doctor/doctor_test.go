package doctor

import (
	"crypto/x509"
	"image"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/webrtc/v4"

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
	for _, bad := range []string{"", "#EXTM3U\n", head, head + "#EXTINF:1,\ns1.m4s\n", head + "#EXT-X-PART:DURATION=0.2,URI=\"p1.m4s\"\n", strings.Replace(head, "2026", "soon", 1)} {
		if e, err := readEdge(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: %+v", bad, e)
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
	if _, err := remaining(&x509.Certificate{NotAfter: time.Now().Add(24 * time.Hour)}); err == nil {
		t.Error("a certificate that ends tomorrow passed")
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
