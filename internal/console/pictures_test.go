package console

import (
	"bytes"
	"context"
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// With these flags pictures of the pages are taken, for docs/images and for a look at a change:
//
//	go test ./internal/console -run Pictures -pictures DIR
//	go test ./internal/console -run Pictures/demo -pictures DIR -watch URL -join URL
//	go test ./internal/console -run Pictures/compositions -pictures DIR
//
// The second form takes the links that a running `footlight demo` prints. The third wants the demo's variables:
// eval "$(bin/footlight env --data-dir DIR)".
var (
	pictures  = flag.String("pictures", "", "write pictures of the pages to this folder")
	demoWatch = flag.String("watch", "", "picture this watch link too")
	demoJoin  = flag.String("join", "", "picture this join link too")
)

var views = map[string]view{
	"dark":        {width: 1280, height: 800},
	"light":       {width: 1280, height: 800, light: true},
	"phone":       {width: 390, height: 844, phone: true},
	"phone-light": {width: 390, height: 844, phone: true, light: true},
}

// picture takes a picture and closes the page.
func (p *page) picture(name string) {
	p.t.Helper()
	defer p.close()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	data, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	// The browser compresses in haste; these stay in the repository.
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		p.t.Fatal(err)
	}
	var small bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&small, img); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*pictures, name+".png"), small.Bytes(), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("only with -pictures DIR")
	}
	t.Run("join", func(t *testing.T) {
		h := newHouse(t, nil)
		for name, v := range views {
			start := open(t, "http://"+h.httpAddr+"/console/", v)
			start.await("the page is there", `document.readyState === "complete"`)
			start.picture("start-" + name)
			lobby := open(t, h.link(h.token("Ada Lovelace", nil), "pattern"), v)
			lobby.await("the pattern is there", `document.getElementById("preview").videoWidth > 0`)
			lobby.picture("lobby-" + name)
			empty := open(t, "http://"+h.httpAddr+"/console/join", v)
			empty.click("join")
			empty.awaitText("message", "No token")
			empty.picture("lobby-empty-" + name)
		}
		for _, name := range []string{"Grace Hopper", "Alan Turing", "Katherine Johnson"} {
			h.join(name, "pattern")
		}
		for name, v := range views {
			t.Run(name, func(t *testing.T) {
				ada := open(t, h.link(h.token("Ada Lovelace", nil), "pattern"), v)
				ada.click("join")
				ada.awaitText("status", "On stage")
				for _, name := range []string{"Grace Hopper", "Alan Turing", "Katherine Johnson"} {
					ada.awaitPicture(strings.ReplaceAll(name, " ", "-"))
				}
				ada.click("mute-mic")
				if name != "light" { // one with everybody alike
					ada.run(`document.querySelector("[data-participant=Alan-Turing] .tile-pin").click()`)
				}
				ada.await("connections are rated", `[...document.querySelectorAll(".tile-bars")].some((b) => b.dataset.bars > 0)`)
				ada.picture("stage-" + name)
			})
		}
	})
	t.Run("watch", func(t *testing.T) {
		s := newStudio(t)
		for name, v := range views {
			p := open(t, s.link("channel="+testChannel), v)
			p.awaitText("curtain", "This channel is offline")
			p.picture("watch-offline-" + name)
		}
		s.publish("gradients=size=1280x720:rate=30:n=5:seed=7:speed=0.02:c0=0x2a1f14:c1=0xffb454:c2=0x5b2a86:c3=0x12313a:c4=0xd9485f,drawtext=text='%{localtime\\:%T}':fontsize=120:fontcolor=white:x=(w-tw)/2:y=(h-th)/2")
		for name, v := range views {
			p := open(t, s.link("channel="+testChannel), v)
			p.awaitPlaying()
			p.await("the latency has settled", `footlight.latency().live < 1.5`)
			p.run(`document.getElementById("play").focus()`)
			p.picture("watch-" + name)
		}
	})
	t.Run("compositions", func(t *testing.T) {
		endpoint, id, secret := os.Getenv("AWS_ENDPOINT_URL"), os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
		if endpoint == "" || id == "" {
			t.Skip("only with the variables of a running demo")
		}
		for name, v := range views {
			p := open(t, endpoint+"/console/compositions", v)
			p.signIn(id, secret)
			p.await("the picture plays", `document.getElementById("screen").dataset.state === "playing" && document.getElementById("video").currentTime > 2`)
			p.await("the layout is drawn", `document.querySelectorAll(".box").length > 0`)
			p.await("there are lines", `document.querySelector(".figure polyline").points.length > 15`)
			p.picture("compositions-" + name)
		}
	})
	t.Run("demo", func(t *testing.T) {
		if *demoWatch == "" || *demoJoin == "" {
			t.Skip("only with -watch URL and -join URL")
		}
		join := open(t, *demoJoin+"&source=pattern&quality=360&join=1", views["dark"])
		join.awaitText("count", "5")
		join.await("all four are seen", `[...document.querySelectorAll("video")].filter((v) => v.currentTime > 3).length === 5`)
		watch := open(t, *demoWatch, views["dark"])
		watch.awaitPlaying()
		watch.await("playback has settled", `footlight.video.getVideoPlaybackQuality().totalVideoFrames > 150 && footlight.latency().live < 1.2`)
		watch.run(`document.getElementById("play").focus()`)
		watch.picture("watch")
		join.picture("join")
	})
}
