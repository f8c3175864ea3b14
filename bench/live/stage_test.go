package live

import (
	"context"
	"fmt"
	"image"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/chromedp/chromedp"

	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// joinStage joins with the stage client and gives the milliseconds from there to the first picture of somebody else that
// the browser presents. The page stays on the stage, its video element in window.video, until leave().
const joinStage = `(async (token) => {
	const { Stage, StageEvents, SubscribeType } = await import("/sdk/stage.mjs");
	const video = document.createElement("video");
	video.autoplay = video.muted = true;
	video.srcObject = new MediaStream();
	document.body.replaceChildren(video);
	const stage = new Stage(token, {
		stageStreamsToPublish: () => [], shouldPublishParticipant: () => false, shouldSubscribeToParticipant: () => SubscribeType.AUDIO_VIDEO,
	});
	stage.on(StageEvents.STAGE_PARTICIPANT_STREAMS_ADDED, (_, streams) => streams.forEach((s) => video.srcObject.addTrack(s.mediaStreamTrack)));
	window.video = video;
	window.leave = stage.leave;
	const shown = new Promise((resolve) => video.requestVideoFrameCallback((now) => resolve(now)));
	const start = performance.now();
	await stage.join();
	return (await shown) - start;
})(%q)`

// BenchmarkStage joins a stage in Chromium, again and again, and reads the clock in the picture of the publisher there.
func BenchmarkStage(b *testing.B) {
	s, stage, _ := scene(b, 1)
	tab, cancel := context.WithTimeout(harness.Browser(b), 3*time.Minute)
	defer cancel()
	if err := chromedp.Do(tab, chromedp.Navigate(s.URL+"/console/")); err != nil {
		b.Fatal(err)
	}
	var joins []float64
	for i := range 11 {
		token := s.Token(stage, fmt.Sprintf("viewer-%d", i))
		ms, err := chromedp.Run(tab, chromedp.Evaluate[float64](fmt.Sprintf(joinStage, token), harness.AwaitPromise))
		if err != nil {
			b.Fatal(err)
		}
		if i > 0 { // the first loads the client
			joins = append(joins, ms)
		}
		if i < 10 {
			if _, err := chromedp.Run(tab, chromedp.Evaluate[bool]("leave(); true")); err != nil {
				b.Fatal(err)
			}
			// A publisher is asked for one key frame in 500 ms: the next one is not to wait because of this one.
			time.Sleep(time.Second)
		}
	}
	samples := harness.WatchVideo(b, tab, "video", []image.Rectangle{image.Rect(0, 0, 640, 360)}, 10*time.Second)
	glass := judge.Latencies(samples)
	record(b, map[string]float64{
		"join-to-picture-median-ms": median(joins), "join-to-picture-max-ms": quantile(joins, 1),
		"glass-to-glass-median-ms": median(glass), "glass-to-glass-p95-ms": quantile(glass, 0.95), "pictures": float64(len(samples)),
	})
}

// watchMix subscribes to what a participant sends, as a plain WHEP client, and shows it in window.video. It asks again while there is
// nothing.
const watchMix = `(async (url, token) => {
	const peer = new RTCPeerConnection();
	peer.addTransceiver("audio", { direction: "recvonly" });
	peer.addTransceiver("video", { direction: "recvonly" });
	const video = document.createElement("video");
	video.autoplay = video.muted = true;
	video.srcObject = new MediaStream();
	peer.ontrack = (e) => video.srcObject.addTrack(e.track);
	document.body.replaceChildren(video);
	window.video = video;
	await peer.setLocalDescription(await peer.createOffer());
	const headers = { "Content-Type": "application/sdp", "Authorization": "Bearer " + token };
	const ask = () => fetch(url, { method: "POST", headers, body: peer.localDescription.sdp });
	let answer = await ask();
	for (; answer.status === 404; answer = await ask()) await new Promise((resolve) => setTimeout(resolve, 100));
	if (answer.status !== 201) throw new Error(await answer.text());
	await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
	await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
	return true;
})(%q, %q)`

// BenchmarkStageComposition reads the clocks in the pictures of two publishers where Chromium shows the composition that it
// has subscribed to over WebRTC.
func BenchmarkStageComposition(b *testing.B) {
	s, stage, channel := scene(b, 2)
	composition := s.StartComposition(stage, channel, s.CreateEncoder(1280, 720, 30, 2_500_000), func(in *ivsrealtime.StartCompositionInput) {
		in.Tags = map[string]string{"footlight:webrtc": "on"}
	})
	tab, cancel := context.WithTimeout(harness.Browser(b), 3*time.Minute)
	defer cancel()
	if err := chromedp.Do(tab, chromedp.Navigate(s.URL+"/console/")); err != nil {
		b.Fatal(err)
	}
	id := (*composition.Arn)[strings.LastIndexByte(*composition.Arn, '/')+1:]
	mix := fmt.Sprintf(watchMix, *stage.Endpoints.Whip+"/subscribe/composition-"+id, s.Token(stage, "viewer"))
	if _, err := chromedp.Run(tab, chromedp.Evaluate[bool](mix, harness.AwaitPromise)); err != nil {
		b.Fatal(err)
	}
	samples := harness.WatchVideo(b, tab, "video", harness.GridTiles(2), 30*time.Second)
	ms := judge.Latencies(samples)
	record(b, map[string]float64{"glass-to-glass-median-ms": median(ms), "glass-to-glass-p95-ms": quantile(ms, 0.95), "pictures": float64(len(samples))})
}
