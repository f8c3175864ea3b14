package console

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync/atomic"
	"testing"

	"github.com/footlight-live/footlight/internal/channel"
)

const (
	testChannel = "/api/video/v1/us-east-1.000000000000.channel.ChAnNeL12345.m3u8"
	testKey     = "sk_us-east-1_ChAnNeL12345_key"
)

// oneChannel is the control plane's part (channel.Directory).
type oneChannel struct {
	private, normal, fragmented bool
	gate                        channel.Gate
}

func (d oneChannel) ResolveStreamKey(_ context.Context, key string) (channel.Publisher, error) {
	if key != testKey {
		return channel.Publisher{}, channel.ErrUnknownStreamKey
	}
	return channel.Publisher{Channel: d.channel(), Source: "encoder", AllowPlain: true}, nil
}

func (d oneChannel) ResolveChannel(context.Context, string, string, string) (channel.Channel, error) {
	return d.channel(), nil
}

func (d oneChannel) channel() channel.Channel {
	return channel.Channel{ARN: "arn:aws:ivs:us-east-1:000000000000:channel/ChAnNeL12345", ID: "ChAnNeL12345", Authorized: d.private, NormalLatency: d.normal, FragmentedMP4: d.fragmented}
}

// studio is a real channel with the pages before it, on loopback.
type studio struct {
	t       *testing.T
	live    *channel.Server
	web     *httptest.Server
	address string // kept over a restart
}

func newStudio(t *testing.T) *studio { return newStudioOf(t, oneChannel{}) }

func newStudioOf(t *testing.T, d oneChannel) *studio {
	t.Helper()
	s := &studio{t: t, address: "127.0.0.1:0"}
	s.start(d)
	t.Cleanup(s.stop)
	return s
}

func (s *studio) start(d oneChannel) {
	s.t.Helper()
	s.live = &channel.Server{RTMPAddr: "127.0.0.1:0", Directory: d, Gate: d.gate, Log: slog.New(slog.DiscardHandler)}
	if err := s.live.Start(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	ln, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = ln.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("/console/", Handler())
	mux.Handle("/api/video/v1/", s.live.Handler())
	s.web = httptest.NewUnstartedServer(mux)
	s.web.Listener.Close()
	s.web.Listener = ln
	s.web.Start()
}

func (s *studio) stop() {
	s.live.Close() // first: it ends the playlist requests that wait for the next part
	s.web.CloseClientConnections()
	s.web.Close()
}

// publish streams a picture and a tone with ffmpeg until the returned function says goodbye.
func (s *studio) publish(filter string) (goodbye func()) {
	s.t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		s.t.Skip("ffmpeg is not installed")
	}
	cmd := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-re",
		"-f", "lavfi", "-i", filter,
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1", "-g", "60", "-b:v", "800k",
		"-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k", "-ac", "2",
		"-f", "flv", fmt.Sprintf("rtmp://%s/app/%s", s.live.RTMPAddress(), testKey))
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := false
	goodbye = func() {
		if ended {
			return
		}
		ended = true
		fmt.Fprint(in, "q") // ffmpeg's key to stop properly
		in.Close()
		cmd.Wait()
	}
	s.t.Cleanup(goodbye)
	return goodbye
}

// inBoth runs a test for channels of both containers.
func inBoth(t *testing.T, test func(t *testing.T, d oneChannel)) {
	for name, d := range map[string]oneChannel{"TS": {}, "fMP4": {fragmented: true}} {
		t.Run(name, func(t *testing.T) { test(t, d) })
	}
}

const testPicture = "testsrc2=size=320x180:rate=30"

func (s *studio) link(query string) string {
	return fmt.Sprintf("http://%s/console/watch?%s", s.address, query)
}

// awaitPlaying waits until the page plays: the picture has a size and time goes on.
func (p *page) awaitPlaying() {
	p.t.Helper()
	p.await("the page plays", `footlight.state === "playing" && footlight.video.videoWidth > 0`)
	at := evaluate[float64](p, `footlight.video.currentTime`)
	p.await("time goes on", fmt.Sprintf(`footlight.video.currentTime > %f + 1`, at))
}

func TestWatch(t *testing.T) { inBoth(t, testWatch) }

func testWatch(t *testing.T, d oneChannel) {
	s := newStudioOf(t, d)
	p := open(t, s.link("channel="+testChannel), desktop)
	p.awaitText("curtain", "This channel is offline")
	p.awaitText("channel-name", "ChAnNeL12345")

	goodbye := s.publish(testPicture)
	p.awaitPlaying() // by itself
	p.awaitText("status", "Live")
	p.await("the curtain is up", `!document.getElementById("curtain").checkVisibility({ visibilityProperty: true })`)
	p.await("hls.js plays parts", `footlight.hls.latestLevelDetails.partList?.length > 0`)
	p.await("the latency is known and low", `((l) => l.live > 0 && l.live < 3 && l.clock > 0 && l.clock < 4)(footlight.latency())`)
	p.await("the page shows it", `/^\d+\.\d+ s$/.test(document.getElementById("fact-latency").innerText)`)
	p.awaitText("fact-picture", "320 × 180")

	// Sound is off until somebody wants it.
	p.await("a hint offers sound", `footlight.video.muted && document.getElementById("unmute").checkVisibility()`)
	p.click("unmute")
	p.await("there is sound", `!footlight.video.muted && document.getElementById("unmute").hidden`)
	p.click("mute")
	p.await("muted again, without the hint", `footlight.video.muted && document.getElementById("unmute").hidden`)
	p.click("play")
	p.await("paused", `footlight.video.paused`)
	p.click("edge")
	p.awaitPlaying()

	goodbye()
	p.awaitText("curtain", "The stream has ended")
	s.publish(testPicture)
	p.awaitPlaying() // the next stream on the same page
}

func TestWatchServerRestart(t *testing.T) {
	s := newStudio(t)
	goodbye := s.publish(testPicture)
	p := open(t, s.link("channel="+testChannel), desktop)
	p.awaitPlaying()
	s.stop()
	p.await("the page notices", `footlight.state === "reconnecting"`)
	goodbye() // ffmpeg does not reconnect by itself
	s.start(oneChannel{})
	s.publish(testPicture)
	p.awaitPlaying()
}

func TestWatchNative(t *testing.T) {
	s := newStudio(t)
	s.publish(testPicture)
	p := open(t, s.link("engine=native&channel="+testChannel), desktop)
	p.awaitPlaying()
	if evaluate[bool](p, `footlight.hls !== undefined`) {
		t.Error("hls.js plays where the browser was asked to")
	}
}

// TestWatchNormalLatency: whole segments play too, and the page stays as far behind as the playlist says.
func TestWatchNormalLatency(t *testing.T) {
	s := newStudioOf(t, oneChannel{normal: true})
	s.publish(testPicture)
	p := open(t, s.link("channel="+testChannel), desktop)
	p.awaitPlaying()
	// Who comes in a stream's first seconds begins at its beginning, however near that is.
	p.await("there is as much as the hold-back", `footlight.hls.latestLevelDetails.totalduration > 8`)
	p.run(`window.before = true; location.reload()`)
	p.await("the page is another", `window.before === undefined && window.footlight !== undefined`)
	p.awaitPlaying()
	p.await("there are no parts", `!footlight.hls.latestLevelDetails.partList?.length && footlight.hls.latestLevelDetails.holdBack === 6`)
	p.await("the latency is that of the hold-back", `((l) => l.live > 4 && l.live < 10)(footlight.latency())`)
	at := evaluate[float64](p, `footlight.video.currentTime`)
	p.await("it goes on", fmt.Sprintf(`footlight.video.currentTime > %f + 5`, at))
}

func TestWatchRefused(t *testing.T) {
	s := newStudioOf(t, oneChannel{private: true})
	s.publish(testPicture)
	p := open(t, s.link("channel="+testChannel), desktop)
	p.awaitText("curtain", "Playback is refused")
	p.awaitText("curtain", "This channel is private") // the server's words
}

// oneUse is a gate that admits whoever comes first, as a token that works once does.
type oneUse struct{ used atomic.Bool }

func (g *oneUse) AdmitViewer(context.Context, channel.Viewing) (channel.Grant, error) {
	if g.used.Swap(true) {
		return channel.Grant{}, channel.Denied{Code: "token_used", Message: "the playback token has been used"}
	}
	return channel.Grant{}, nil
}

func (*oneUse) ViewerRevoked(string, string, int64) bool { return false }

// TestWatchOnce: the page begins one playback session, so that a token that works once is enough, and it is one viewer.
func TestWatchOnce(t *testing.T) {
	s := newStudioOf(t, oneChannel{private: true, gate: &oneUse{}})
	p := open(t, s.link("channel="+testChannel), desktop)
	p.awaitText("curtain", "This channel is offline") // which uses nothing up
	s.publish(testPicture)
	p.awaitPlaying()
	if live, _ := s.live.Stream(oneChannel{}.channel().ARN); live.ViewerCount != 1 {
		t.Errorf("the page counts as %d viewers, want 1", live.ViewerCount)
	}
	other := open(t, s.link("channel="+testChannel), desktop)
	other.awaitText("curtain", "The playback token has been used.")
}

func TestWatchAddresses(t *testing.T) {
	web := httptest.NewServer(Handler())
	t.Cleanup(web.Close)
	for query, want := range map[string]string{
		"":                            "What would you like to watch?",
		"src=javascript:alert(1)":     "That is not a playback URL",
		"src=ftp://example.com/x":     "That is not a playback URL",
		"channel=" + testChannel:      "This channel is offline",
		"src=http://127.0.0.1:1/x.m3": "This channel is offline",
		"channel=arn:aws:ivs:eu-west-1:123456789012:channel/AbC": "This channel is offline",
	} {
		p := open(t, web.URL+"/console/watch?"+query, desktop)
		p.awaitText("curtain", want)
		if query != "" && query[:3] == "cha" {
			p.awaitText("url", web.URL+"/api/video/v1/")
		}
	}
	p := open(t, web.URL+"/console/watch", desktop)
	p.run(`document.getElementById("address").value = "` + testChannel + `"; document.querySelector("#open button").click()`)
	p.awaitText("channel-name", "ChAnNeL12345")
}
