package live

import (
	"context"
	"fmt"
	"testing"
	"time"

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
		}
	}
	whole := `[{"x": 0, "y": 0, "width": 640, "height": 360}]`
	script := fmt.Sprintf("(%s)(%s, video, %s, 10000)", judge.WatchJS, judge.StripJS, whole)
	samples, err := chromedp.Run(tab, chromedp.Evaluate[[]judge.WatchSample](script, harness.AwaitPromise))
	if err != nil {
		b.Fatal(err)
	}
	glass := judge.Latencies(samples)
	record(b, map[string]float64{
		"join-to-picture-median-ms": median(joins), "join-to-picture-max-ms": quantile(joins, 1),
		"glass-to-glass-median-ms": median(glass), "glass-to-glass-p95-ms": quantile(glass, 0.95), "pictures": float64(len(samples)),
	})
}
