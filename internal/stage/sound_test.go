package stage

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
)

// soundPage publishes by way of a relay. Like the web client it adds to the offer that lost sound can be asked for again. It waits until
// five packets were sent again.
const soundPage = `<!doctype html><script>
async function publish(token, port, relay) {
  const media = await navigator.mediaDevices.getUserMedia({audio: true});
  const pc = new RTCPeerConnection({bundlePolicy: "max-bundle"});
  const sender = pc.addTransceiver(media.getAudioTracks()[0], {direction: "sendonly"}).sender;
  pc.addTransceiver("video", {direction: "sendonly"});
  const offer = await pc.createOffer();
  offer.sdp = offer.sdp.replace(/a=rtpmap:(\d+) opus\/48000\/2\r\n/, "$&a=rtcp-fb:$1 nack\r\n");
  await pc.setLocalDescription(offer);
  const r = await fetch("/whip", {method: "POST", body: pc.localDescription.sdp,
    headers: {"Content-Type": "application/sdp", "Authorization": "Bearer " + token}});
  const sdp = (await r.text()).replace(/a=candidate.* tcp .*\r\n/g, "").replaceAll(" " + port + " typ", " " + relay + " typ");
  await pc.setRemoteDescription({type: "answer", sdp});
  for (;;) {
    for (const s of (await sender.getStats()).values()) {
      if (s.type == "outbound-rtp" && s.retransmittedPacketsSent >= 5) return s.retransmittedPacketsSent;
    }
    await new Promise(r => setTimeout(r, 100));
  }
}
</script>`

// lossyRelay passes datagrams on to the server and back, without every tenth of the client's media. It returns its port.
func lossyRelay(t *testing.T, server *net.UDPAddr) int {
	t.Helper()
	relay, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	go func() {
		var client *net.UDPAddr
		b := make([]byte, 1<<16)
		media := 0
		for {
			n, from, err := relay.ReadFromUDP(b)
			if err != nil {
				return
			}
			to := client
			if from.Port != server.Port {
				client, to = from, server
				if n > 0 && b[0]>>6 == 2 { // RTP and RTCP (RFC 7983)
					if media++; media%10 == 0 {
						continue
					}
				}
			}
			if to != nil {
				_, _ = relay.WriteToUDP(b[:n], to)
			}
		}
	}()
	return relay.LocalAddr().(*net.UDPAddr).Port
}

// TestBrowserRepairsSound: Chromium sends lost packets of Opus again when it has offered to.
func TestBrowserRepairsSound(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a browser")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium on PATH")
	}
	r := newRig(t, nil)
	pages := http.NewServeMux()
	pages.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, soundPage)
	})
	pages.Handle("/", r.Handler())
	r.http.Config.Handler = pages
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience) // of real work
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("headless", "new"), chromedp.DisableGPU,
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
	)...)
	defer cancel()
	browser, cancel := chromedp.NewContext(ctx)
	defer cancel()
	defer func() { _ = chromedp.Cancel(browser) }() // waits for the browser's end
	if err := chromedp.Do(browser, chromedp.Navigate(r.http.URL+"/page")); err != nil {
		t.Fatal(err)
	}
	server := net.UDPAddrFromAddrPort(r.UDPAddress())
	again, err := chromedp.Run(browser, chromedp.Evaluate[int](
		fmt.Sprintf(`publish("stage1.cam.p", %d, %d)`, server.Port, lossyRelay(t, server)), chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%v; %+v", err, r.Stats())
	}
	t.Logf("%d packets were sent again", again)
}
