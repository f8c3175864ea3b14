package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivs"
	"github.com/aws/aws-sdk-go-v2/service/ivs/types"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/extension"
	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// TestRenditionsRecorded records three sizes of a picture on one channel, of which the largest stops for a while, and the
// small ones on another. All renditions have the same segments and play without a gap.
func TestRenditionsRecorded(t *testing.T) {
	const index = 6
	sizes := [][2]int{{854, 480}, {640, 360}, {320, 180}}
	ladder := harness.NewLadder(t, ingestClip(t, index, 60*time.Second), sizes...)
	s := harness.StartServer(t)
	all := recordedLadder(t, s, &types.RenditionConfiguration{RenditionSelection: types.RenditionConfigurationRenditionSelectionAll})
	small := recordedLadder(t, s, &types.RenditionConfiguration{RenditionSelection: types.RenditionConfigurationRenditionSelectionCustom,
		Renditions: []types.RenditionConfigurationRendition{types.RenditionConfigurationRenditionLowestResolution}})

	ctx, stop := context.WithCancel(t.Context())
	published := make(chan error, 2)
	for _, c := range []recordedChannel{all, small} {
		go func() { published <- ladder.Publish(ctx, c.address, len(sizes)) }()
	}
	harness.WaitPlayable(t, all.playback)
	waitRecorded(t, s, all.id, 9*time.Second)
	ladder.Pause(0, true)
	waitRecorded(t, s, all.id, 18*time.Second)
	ladder.Pause(0, false)
	waitRecorded(t, s, all.id, 38*time.Second)
	stop()
	for range 2 {
		if err := <-published; err != nil {
			t.Errorf("the publisher was cut: %v", err)
		}
	}
	waitStored(t, s, all.id)
	waitStored(t, s, small.id)

	dir := judgeRenditions(t, s, all.id, 0.05, "480p30", "360p30", "180p30")
	// The largest comes back with the segment that begins next, and has those of another size before.
	large, err := os.ReadFile(filepath.Join(dir, "480p30", "playlist.m3u8"))
	if err != nil || strings.Count(string(large), "../360p30/") < 2 || !strings.Contains(string(large), "\n0.mp4") || !regexp.MustCompile(`\n[34]\.mp4\n#EXT-X-ENDLIST`).Match(large) {
		t.Errorf("%v: %s", err, large)
	}
	playRendition(t, s, recordingOf(t, s, all.id), "480p30", sizes[0], sizes[1])
	judgeRenditions(t, s, small.id, 0.05, "360p30", "180p30")
	for i, name := range []string{"360p30", "180p30"} {
		size := sizes[i+1]
		capture, err := judge.Record(t.Context(), filepath.Join(dir, name, "playlist.m3u8"), time.Hour, judge.Options{Tiles: fullPicture(size[0], size[1])})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if share, cadence := capture.Share(0, index, 0, judge.Forever), capture.Cadence(); share < 0.98 || cadence.Missing > 0 || capture.Facts.Height != size[1] {
			t.Errorf("%s: the participant is seen for %.0f %%, %+v, %+v", name, 100*share, cadence, capture.Facts)
		}
		if tone := capture.Tone(index, 0, judge.Forever); tone < -40 {
			t.Errorf("%s: the tone is at %.0f dB", name, tone)
		}
	}
}

// TestLadderRecorded records a channel of type ADVANCED_SD, whose process is killed meanwhile.
func TestLadderRecorded(t *testing.T) {
	const index = 2
	s := harness.StartServer(t, "--max-composer-cores", "8")
	config, err := s.IVS.CreateRecordingConfiguration(t.Context(), &ivs.CreateRecordingConfigurationInput{
		DestinationConfiguration: &types.DestinationConfiguration{S3: &types.S3DestinationConfiguration{BucketName: new(bucket)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	created, err := s.IVS.CreateChannel(t.Context(), &ivs.CreateChannelInput{
		Type: types.ChannelTypeAdvancedSDChannelType, InsecureIngest: true, RecordingConfigurationArn: config.RecordingConfiguration.Arn,
	})
	if err != nil {
		t.Fatal(err)
	}
	channel := created.Channel
	encoder := push(t, "rtmps://"+*channel.IngestEndpoint+"/app/"+*created.StreamKey.Value, "-stream_loop", "-1", "-re", "-i", hdClip(t, index, 854, 480), "-c", "copy")
	found := renditions(t, *channel.PlaybackUrl, 3)
	waitRecorded(t, s, id(*channel.Arn), 8*time.Second)
	pids := s.Composers()
	if len(pids) != 1 {
		t.Fatalf("processes %v", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitRecorded(t, s, id(*channel.Arn), 20*time.Second)
	encoder.end(syscall.SIGINT)
	waitStored(t, s, id(*channel.Arn))
	var names []string
	for _, size := range slices.SortedFunc(maps.Keys(found), func(a, b [2]int) int { return b[1] - a[1] }) {
		names = append(names, fmt.Sprintf("%dp30", size[1]))
	}
	// Without the process there are no pictures; a slow machine leaves some out.
	judgeRenditions(t, s, id(*channel.Arn), 3, names...)
}

type recordedChannel struct{ id, address, playback string }

func recordedLadder(t *testing.T, s *harness.Server, renditions *types.RenditionConfiguration) recordedChannel {
	t.Helper()
	config, err := s.IVS.CreateRecordingConfiguration(t.Context(), &ivs.CreateRecordingConfigurationInput{
		DestinationConfiguration: &types.DestinationConfiguration{S3: &types.S3DestinationConfiguration{BucketName: new(bucket)}},
		RenditionConfiguration:   renditions,
	})
	if err != nil {
		t.Fatal(err)
	}
	channel, address := multitrackChannel(t, s, types.MultitrackPolicyRequire)
	if _, err := s.IVS.UpdateChannel(t.Context(), &ivs.UpdateChannelInput{Arn: channel.Arn, RecordingConfigurationArn: config.RecordingConfiguration.Arn}); err != nil {
		t.Fatal(err)
	}
	return recordedChannel{id(*channel.Arn), address, *channel.PlaybackUrl}
}

// recordingOf finds the recording of a channel; one without an ID when there is none.
func recordingOf(t *testing.T, s *harness.Server, channel string) (found extension.Recording) {
	t.Helper()
	var list extension.Recordings
	if err := json.Unmarshal(s.Call("GET", "recordings", "", nil), &list); err != nil {
		t.Fatal(err)
	}
	for _, r := range list.Recordings {
		if id(r.ChannelARN) == channel {
			found = r
		}
	}
	return found
}

// waitRecorded waits until a channel's recording is at least so long.
func waitRecorded(t *testing.T, s *harness.Server, channel string, least time.Duration) {
	t.Helper()
	harness.Eventually(t, time.Minute, fmt.Sprintf("%v are recorded", least), func(context.Context) error {
		if r := recordingOf(t, s, channel); time.Duration(r.DurationMS)*time.Millisecond < least {
			return fmt.Errorf("%d ms", r.DurationMS)
		}
		return nil
	})
}

// waitStored waits until all of a channel's recording is in its bucket.
func waitStored(t *testing.T, s *harness.Server, channel string) {
	t.Helper()
	harness.Eventually(t, time.Minute, "the recording is stored", func(context.Context) error {
		if r := recordingOf(t, s, channel); r.State != "STORED" {
			return fmt.Errorf("it is %s", r.State)
		}
		return nil
	})
}

// judgeRenditions wants a channel's recording to have these renditions, with the same segments, each of which plays with at most
// so many seconds between two pictures, and returns where they are.
func judgeRenditions(t *testing.T, s *harness.Server, channel string, longest float64, names ...string) (dir string) {
	t.Helper()
	r := recordingOf(t, s, channel)
	dir = filepath.Join(s.DataDir, "objects", r.Bucket, filepath.FromSlash(r.Prefix), "media", "hls")
	master, err := os.ReadFile(filepath.Join(dir, "master.m3u8"))
	if err != nil {
		t.Fatal(err)
	}
	var playlists, listed []string
	for _, name := range names {
		playlists = append(playlists, name+"/playlist.m3u8")
	}
	if diff := cmp.Diff(playlists, regexp.MustCompile(`(?m)^[^#\n]+$`).FindAllString(string(master), -1)); diff != "" {
		t.Errorf("master.m3u8: %s", diff)
	}
	for _, x := range r.Renditions {
		listed = append(listed, x.Name)
	}
	if diff := cmp.Diff(names, listed); diff != "" {
		t.Errorf("renditions: %s", diff)
	}
	var first []string
	for i, name := range playlists {
		text, err := harness.Get(t.Context(), r.Renditions[i].PlaybackURL)
		if err != nil {
			t.Fatal(err)
		}
		times := regexp.MustCompile(`(?m)^#EXTINF.*|^#EXT-X-DISCONTINUITY.*|^#EXT-X-PROGRAM.*`).FindAllString(text, -1)
		if i == 0 {
			first = times
		} else if diff := cmp.Diff(first, times); diff != "" {
			t.Errorf("%s has other segments: %s", name, diff)
		}
		if steps := pictureSteps(t, filepath.Join(dir, filepath.FromSlash(name))); steps.longest > longest || steps.length < float64(r.DurationMS)/1000-0.1 {
			t.Errorf("%s: %+v, of %d ms", name, steps, r.DurationMS)
		}
	}
	return dir
}

// playRendition has hls.js play a rendition on the recordings page, at four times its speed, from the beginning to the end. It
// must show pictures of all these sizes, and no hole between two pictures.
func playRendition(t *testing.T, s *harness.Server, r extension.Recording, name string, sizes ...[2]int) {
	t.Helper()
	tab := recordingsPage(t, s, r.ID)
	harness.Eventually(t, 45*time.Second, "the page offers the renditions", func(context.Context) error {
		chosen, err := chromedp.Run(tab, chromedp.Evaluate[bool](fmt.Sprintf(`(() => {
			const quality = document.getElementById("quality");
			if (quality.options.length < 2) return false;
			quality.value = %q;
			quality.dispatchEvent(new Event("change"));
			return quality.value !== "" })()`, name)))
		if err == nil && !chosen {
			err = errors.New("there is no menu with it")
		}
		return err
	})
	type shown struct {
		Pictures int      `json:"pictures"`
		End      float64  `json:"end"`     // s
		Longest  float64  `json:"longest"` // between two pictures, s
		Sizes    []string `json:"sizes"`
		Error    string   `json:"error"`
	}
	got, err := chromedp.Run(tab, chromedp.Evaluate[shown](`new Promise((resolve) => {
		const video = document.getElementById("video"), got = { pictures: 0, end: 0, longest: 0, sizes: [], error: "" };
		const end = (error) => { got.error = error; resolve(got); };
		const look = (_, { mediaTime, width, height }) => {
			const size = width + "x" + height;
			if (!got.sizes.includes(size)) got.sizes.push(size);
			if (got.pictures++ > 0) got.longest = Math.max(got.longest, mediaTime - got.end);
			got.end = mediaTime;
			video.requestVideoFrameCallback(look);
		};
		video.requestVideoFrameCallback(look);
		video.onended = () => end("");
		video.onerror = () => end(video.error.message);
		setTimeout(() => end("it did not end"), 60000);
		video.muted = true;
		video.playbackRate = 4;
		video.play().catch((e) => end(String(e)));
	})`, harness.AwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	photograph(t, tab)
	t.Logf("in hls.js: %+v", got)
	if got.Error != "" || got.End < float64(r.DurationMS)/1000-0.5 || got.Longest > 1 {
		t.Errorf("%s of %d ms in hls.js: %+v", name, r.DurationMS, got)
	}
	for _, size := range sizes {
		if !slices.Contains(got.Sizes, fmt.Sprintf("%dx%d", size[0], size[1])) {
			t.Errorf("%s: no picture of %v: %+v", name, size, got)
		}
	}
}

type steps struct{ length, longest float64 } // seconds

// pictureSteps reads the times of all pictures, each of which must be decoded.
func pictureSteps(t *testing.T, playlist string) (found steps) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", playlist, "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("decode %s: %v: %.500s", playlist, err, out)
	}
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0", playlist).Output()
	if err != nil {
		t.Fatal(err)
	}
	var begin, last float64
	for i, text := range strings.Fields(string(out)) {
		at, err := strconv.ParseFloat(strings.Trim(text, ","), 64)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			begin, last = at, at
		}
		found.longest, last = max(found.longest, at-last), at
	}
	found.length = last - begin
	return found
}
