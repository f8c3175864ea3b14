package stage

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// page is a minimal client: publish() sends the browser's fake camera and microphone, watch() shows
// a participant and tells what was rendered.
const page = `<!doctype html><video id=v autoplay muted playsinline></video><script>
async function post(pc, url, token) {
  await pc.setLocalDescription(await pc.createOffer());
  const r = await fetch(url, {method: "POST", body: pc.localDescription.sdp,
    headers: {"Content-Type": "application/sdp", "Authorization": "Bearer " + token}});
  if (r.status != 201) throw new Error(r.status + " " + await r.text());
  if (!r.headers.get("Location") || !r.headers.get("ETag")) throw new Error("headers are not exposed");
  pc.location = r.headers.get("Location");
  await pc.setRemoteDescription({type: "answer", sdp: await r.text()});
}
async function publish(base, token, simulcast) {
  const media = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 640, height: 360, frameRate: 15}});
  window.pc = new RTCPeerConnection();
  pc.addTransceiver(media.getAudioTracks()[0], {direction: "sendonly"});
  pc.addTransceiver(media.getVideoTracks()[0], {direction: "sendonly",
    sendEncodings: simulcast ? [{rid: "hi"}, {rid: "low", scaleResolutionDownBy: 2}] : undefined});
  await post(pc, base + "/whip", token);
  return true;
}
async function watch(base, token, id) {
  const pc = window.pc = new RTCPeerConnection(), v = document.getElementById("v");
  pc.addTransceiver("audio", {direction: "recvonly"});
  pc.addTransceiver("video", {direction: "recvonly"});
  v.srcObject = new MediaStream();
  pc.ontrack = e => v.srcObject.addTrack(e.track);
  await post(pc, base + "/whip/subscribe/" + id, token);
  for (;;) {
    const out = {width: v.videoWidth, height: v.videoHeight, frames: v.getVideoPlaybackQuality().totalVideoFrames};
    (await pc.getStats()).forEach(s => {
      if (s.type == "inbound-rtp" && s.kind == "audio") out.audio = s.totalSamplesReceived || 0;
      if (s.type == "inbound-rtp" && s.kind == "video") out.decoded = s.framesDecoded || 0;
      if (s.type == "codec" && s.mimeType.startsWith("video/")) out.codec = s.mimeType;
    });
    if (out.frames > 20 && out.decoded > 20 && out.audio > 48000 && out.width) return out;
    await new Promise(r => setTimeout(r, 100));
  }
}
async function show(width, height, want) {
  const r = await fetch(pc.location + "/size", {method: "POST", body: JSON.stringify({width, height}), headers: {"Content-Type": "application/json"}});
  if (r.status != 204) throw new Error(r.status + " " + await r.text());
  const v = document.getElementById("v"), frames = () => v.getVideoPlaybackQuality().totalVideoFrames;
  while (v.videoWidth != want) await new Promise(r => setTimeout(r, 50));
  for (const n = frames(); frames() < n + 10;) await new Promise(r => setTimeout(r, 50));
  return v.videoWidth;
}
</script>`

// rendered is what a page saw of a participant.
type rendered struct {
	Width   int     `json:"width"`
	Height  int     `json:"height"`
	Frames  int     `json:"frames"`
	Decoded int     `json:"decoded"`
	Audio   float64 `json:"audio"` // samples
	Codec   string  `json:"codec"`
}

// TestBrowser has a real Chromium publish its fake camera and another page of it show that.
func TestBrowser(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a browser")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium on PATH")
	}
	r := newRig(t, nil)
	handler := r.Handler()
	pages := http.NewServeMux()
	pages.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, page)
	})
	pages.Handle("/", handler)
	r.http.Config.Handler = pages

	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("headless", "new"), chromedp.DisableGPU,
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
	)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	publisher, cancel := chromedp.NewContext(ctx)
	defer cancel()
	defer func() { _ = chromedp.Cancel(publisher) }() // waits for the browser's end
	if err := chromedp.Do(publisher); err != nil {    // starts the browser, which both pages share
		t.Fatal(err)
	}
	viewer, cancel := chromedp.NewContext(publisher)
	defer cancel()

	for i, simulcast := range []bool{false, true} {
		id := fmt.Sprint("cam", i)
		err := chromedp.Do(publisher, chromedp.Navigate(r.http.URL+"/page"))
		if err == nil {
			_, err = chromedp.Run(publisher, chromedp.Evaluate[bool](
				fmt.Sprintf(`publish(location.origin, "stage1.%s.p", %v)`, id, simulcast), chromedp.EvalAwaitPromise))
		}
		if err != nil {
			t.Fatal("publish: ", err)
		}
		r.observer.wait(t, PublishStarted, id, 1)
		var seen rendered
		if err = chromedp.Do(viewer, chromedp.Navigate(r.http.URL+"/page")); err == nil {
			seen, err = chromedp.Run(viewer, chromedp.Evaluate[rendered](
				fmt.Sprintf(`watch(location.origin, "stage1.viewer%d.s", %q)`, i, id), chromedp.EvalAwaitPromise))
		}
		if err != nil {
			t.Fatalf("watch (simulcast offered: %v): %v; %+v", simulcast, err, r.Stats())
		}
		t.Logf("simulcast offered: %v: %+v", simulcast, seen)
		if seen.Codec != "video/H264" || seen.Width*9 != seen.Height*16 {
			t.Errorf("simulcast offered: %v: %+v", simulcast, seen)
		}
	}

	// The second publisher sends two layers: the viewer goes back and forth between them and the picture never stops.
	eventually(t, "both layers flow", func() bool {
		n := 0
		for _, l := range r.Stats().Layers {
			if l.ParticipantID == "cam1" && l.Flowing && l.Width > 0 {
				n++
			}
		}
		return n == 2
	})
	for _, c := range []struct{ width, height, want int }{{318, 178, 320}, {640, 360, 640}, {100, 50, 320}} {
		if _, err := chromedp.Run(viewer, chromedp.Evaluate[int](fmt.Sprintf(`show(%d, %d, %d)`, c.width, c.height, c.want), chromedp.EvalAwaitPromise)); err != nil {
			t.Fatalf("show %dx%d: %v; %+v", c.width, c.height, err, r.Stats())
		}
	}
	t.Logf("%+v", r.Stats())

	// The page leaves without a DELETE; a browser says no goodbye on the wire either.
	closing := time.Now()
	if err := chromedp.Do(publisher, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	e := r.observer.wait(t, PublishStopped, "cam1", 1)
	t.Logf("the closed page's publisher ended after %v: %s", e.Time.Sub(closing), e.Reason)
}
