package test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivs"
	"github.com/aws/aws-sdk-go-v2/service/ivs/types"
	"github.com/chromedp/chromedp"

	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// TestMultitrack publishes three sizes of a picture by Enhanced RTMP to the real server. Every rendition plays and shows
// the clock; the browser changes between them while the clock goes on.
func TestMultitrack(t *testing.T) {
	const index = 5
	sizes := [][2]int{{854, 480}, {640, 360}, {320, 180}}
	ladder := harness.NewLadder(t, ingestClip(t, index, 90*time.Second), sizes...)
	s := harness.StartServer(t)
	channel, address := multitrackChannel(t, s, types.MultitrackPolicyRequire)

	// One picture is not enough for this channel.
	if err := ladder.Publish(t.Context(), address, 1); err == nil {
		t.Error("a single track was taken")
	}
	harness.Eventually(t, time.Minute, "the refusal is told", func(ctx context.Context) error {
		session, err := s.IVS.GetStreamSession(ctx, &ivs.GetStreamSessionInput{ChannelArn: channel.Arn})
		if err != nil {
			return err
		}
		if e := session.StreamSession.TruncatedEvents[0]; *e.Name != "Session Ended" || e.Code == nil || *e.Code != "MultitrackInputRequired" {
			return fmt.Errorf("the last event is %s", harness.JSON(e))
		}
		return nil
	})

	ctx, stop := context.WithCancel(t.Context())
	published := make(chan error, 1)
	go func() { published <- ladder.Publish(ctx, address, len(sizes)) }()
	defer func() {
		stop()
		if err := <-published; err != nil {
			t.Errorf("the publisher was cut: %v", err)
		}
	}()
	harness.WaitPlayable(t, *channel.PlaybackUrl)
	variants := multivariant(t, *channel.PlaybackUrl)
	if len(variants) != len(sizes) {
		t.Fatalf("variants %v", variants)
	}
	for i, size := range sizes {
		if want := fmt.Sprintf("/%dp30.m3u8", size[1]); !strings.Contains(variants[i], want) {
			t.Errorf("rendition %d is %s, want %s", i, variants[i], want)
		}
		capture, err := judge.Record(t.Context(), variants[i], 4*time.Second, judge.Options{Tiles: fullPicture(size[0], size[1]), InputArgs: []string{"-live_start_index", "-2"}})
		if err != nil {
			t.Fatalf("%v: %v", size, err)
		}
		if share, cadence := capture.Share(0, index, 0, 4*time.Second), capture.Cadence(); share < 0.98 || cadence.Missing > 0 || cadence.Frames < 60 || capture.Facts.Height != size[1] {
			t.Errorf("%v: the participant is seen for %.0f %%, %+v, %+v", size, 100*share, cadence, capture.Facts)
		}
		if tone := capture.Tone(index, 0, 4*time.Second); tone < -40 {
			t.Errorf("%v: the tone is at %.0f dB", size, tone)
		}
	}
	session, err := s.IVS.GetStreamSession(t.Context(), &ivs.GetStreamSessionInput{ChannelArn: channel.Arn})
	if err != nil {
		t.Fatal(err)
	}
	videos := session.StreamSession.IngestConfigurations.VideoConfigurations
	for i, v := range videos {
		if *v.Track != fmt.Sprintf("Track%d", i) || v.VideoHeight != int64(sizes[i][1]) || v.TargetBitrate < 10_000 || v.TargetFramerate != 30 {
			t.Errorf("track %s", harness.JSON(v))
		}
	}
	if len(videos) != len(sizes) {
		t.Errorf("%d tracks in the session", len(videos))
	}
	switchRenditions(t, s, *channel.PlaybackUrl)
}

func multitrackChannel(t *testing.T, s *harness.Server, policy types.MultitrackPolicy) (channel *types.Channel, address string) {
	t.Helper()
	created, err := s.IVS.CreateChannel(t.Context(), &ivs.CreateChannelInput{
		InsecureIngest: true, ContainerFormat: types.ContainerFormatFragmentedMP4,
		MultitrackInputConfiguration: &types.MultitrackInputConfiguration{Enabled: true, Policy: policy, MaximumResolution: types.MultitrackMaximumResolutionHd},
	})
	if err != nil {
		t.Fatal(err)
	}
	stage := s.CreateStage("ingest")
	return created.Channel, strings.TrimSuffix(*stage.Endpoints.Rtmp, "/") + "/" + *created.StreamKey.Value
}

// multivariant returns the addresses of the media playlists.
func multivariant(t *testing.T, playbackURL string) (all []string) {
	t.Helper()
	text, err := harness.Get(t.Context(), playbackURL)
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(playbackURL)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`#EXT-X-STREAM-INF:.*\n(.*)`).FindAllStringSubmatch(text, -1) {
		u, err := base.Parse(strings.TrimSpace(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u.String())
	}
	return all
}

// switchRenditions chooses each rendition in turn in the page's menu. The picture's own clock must go on with the media's.
func switchRenditions(t *testing.T, s *harness.Server, playbackURL string) {
	t.Helper()
	tab := harness.Browser(t)
	if err := chromedp.Do(tab, chromedp.Navigate(s.URL+"/console/watch?src="+url.QueryEscape(playbackURL))); err != nil {
		t.Fatalf("open the watch page: %v", err)
	}
	harness.Eventually(t, 60*time.Second, "the watch page plays", func(context.Context) error {
		played, err := chromedp.Run(tab, chromedp.Evaluate[float64](`footlight.video.currentTime - (footlight.video.played.length ? footlight.video.played.start(0) : Infinity)`))
		if err == nil && !(played > 3) {
			err = errors.New("it does not play")
		}
		return err
	})
	const script = `(async () => {
		const {hls, video} = footlight, heights = [], stalls = []
		const menu = document.getElementById('quality'), order = [...menu.options].slice(1).map((o) => o.value)
		video.addEventListener('waiting', () => stalls.push(video.currentTime))
		const plan = [...order, ...order.toReversed()]
		plan.forEach((name, n) => setTimeout(() => { menu.value = name; menu.dispatchEvent(new Event('change')) }, n * 4000))
		const watch = %s, strip = %s
		const samples = await watch((picture) => { heights.push(picture.height); return strip(picture) }, video, [0], plan.length * 4000)
		return {samples, heights, stalls: stalls.length, levels: hls.levels.map((l) => l.height)}
	})()`
	type result struct {
		Samples []judge.WatchSample
		Heights []int
		Stalls  int
		Levels  []int
	}
	got, err := chromedp.Run(tab, chromedp.Evaluate[result](fmt.Sprintf(script, judge.WatchJS, judge.StripJS), harness.AwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	seen, read, offset, last, still := map[int]int{}, 0, math.NaN(), 0.0, 0.0
	for i, sample := range got.Samples {
		if i > 0 {
			still = max(still, (sample.WallMS-got.Samples[i-1].WallMS)/1000)
		}
		seen[got.Heights[i]]++
		r := sample.Readings[0]
		if !r.OK || r.Index != 5 {
			continue
		}
		read++
		// A picture that shows another time than its own place in the media is a glitch of a switch. A busy browser may draw a
		// picture that is a few later than the one it told of.
		if d := float64(r.TimeMS)/1000 - sample.MediaTime; math.IsNaN(offset) {
			offset = d
		} else if math.Abs(d-offset) > 0.2 {
			t.Errorf("at %.2f s (%d lines) the clock is off by %.3f s", sample.MediaTime, got.Heights[i], d-offset)
		}
		if step := sample.MediaTime - last; last > 0 && (step > 1.2 || step < 0) {
			t.Errorf("at %.2f s the picture went on by %.2f s", sample.MediaTime, step)
		}
		last = sample.MediaTime
	}
	t.Logf("levels %v, pictures by height %v, %d of %d read, %d stalls, %.1f s the longest standstill", got.Levels, seen, read, len(got.Samples), got.Stalls, still)
	if len(got.Levels) != 3 || seen[480] < 30 || seen[360] < 30 || seen[180] < 30 || read < len(got.Samples)*9/10 {
		t.Error("not every rendition was seen")
	}
	// With half a second in its buffer a busy browser stands still now and then; a rendition that does not go on would stay so.
	if still > 5 {
		t.Errorf("the picture stood still for %.1f s", still)
	}
}
