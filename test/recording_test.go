package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

const bucket = "recordings"

// recordTo is an s3 destination.
func recordTo(s *harness.Server, t *testing.T, encoder string) types.DestinationConfiguration {
	t.Helper()
	storage, err := s.RealTime.CreateStorageConfiguration(t.Context(), &ivsrealtime.CreateStorageConfigurationInput{
		S3: &types.S3StorageConfiguration{BucketName: new(bucket)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return types.DestinationConfiguration{S3: &types.S3DestinationConfiguration{
		StorageConfigurationArn: storage.StorageConfiguration.Arn, EncoderConfigurationArns: []string{encoder},
		ThumbnailConfigurations: []types.CompositionThumbnailConfiguration{{
			TargetIntervalSeconds: new(int32(3)), Storage: []types.ThumbnailStorageType{types.ThumbnailStorageTypeSequential, types.ThumbnailStorageTypeLatest},
		}},
	}}
}

func compose(s *harness.Server, t *testing.T, stage *types.Stage, to ...types.DestinationConfiguration) *types.Composition {
	t.Helper()
	out, err := s.RealTime.StartComposition(t.Context(), &ivsrealtime.StartCompositionInput{StageArn: stage.Arn, Destinations: to})
	if err != nil {
		t.Fatalf("start-composition: %v", err)
	}
	return out.Composition
}

// recorded are the files below a prefix of the folder store.
func recorded(t *testing.T, s *harness.Server, prefix string) (dir string, files map[string]int64) {
	t.Helper()
	dir, files = filepath.Join(s.DataDir, "objects", bucket, filepath.FromSlash(prefix)), map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(dir, path)
			files[filepath.ToSlash(name)] = info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, files
}

// durationOf reads the length of a recording from the metadata of its end.
func durationOf(t *testing.T, dir string) time.Duration {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "events", "recording-ended.json"))
	var m struct {
		Status string `json:"recording_status"`
		Media  struct {
			HLS struct {
				Duration int64 `json:"duration_ms"`
			} `json:"hls"`
		} `json:"media"`
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil || m.Status != "RECORDING_ENDED" {
		t.Fatalf("%v: %s", err, data)
	}
	return time.Duration(m.Media.HLS.Duration) * time.Millisecond
}

// destinations waits until all destinations of a composition have a state.
func destinations(t *testing.T, s *harness.Server, arn *string, want types.DestinationState) {
	t.Helper()
	harness.Eventually(t, 45*time.Second, "all destinations are "+string(want), func(ctx context.Context) error {
		out, err := s.RealTime.GetComposition(ctx, &ivsrealtime.GetCompositionInput{Arn: arn})
		if err != nil {
			return err
		}
		for _, d := range out.Composition.Destinations {
			if d.State != want {
				return fmt.Errorf("%s is %s", *d.Id, d.State)
			}
		}
		return nil
	})
}

func stopComposition(t *testing.T, s *harness.Server, arn *string) {
	t.Helper()
	if _, err := s.RealTime.StopComposition(t.Context(), &ivsrealtime.StopCompositionInput{Arn: arn}); err != nil {
		t.Fatal(err)
	}
	s.WaitComposition(arn, types.CompositionStateStopped)
}

// TestRecording composes two people to a channel and to the folder store, and judges every key and every picture of
// what was recorded.
func TestRecording(t *testing.T) {
	s := harness.StartServer(t)
	channel, stage := s.CreateChannel("recorded"), s.CreateStage("recorded")
	encoder := s.CreateEncoder(1280, 720, 30, 2_500_000)
	s.Publish(stage, 3, "Ada")
	s.WaitPublishing(stage, 1) // one after the other: the order of arrival is that of the tiles
	s.Publish(stage, 5, "Bob")
	s.WaitPublishing(stage, 2)
	c := compose(s, t, stage,
		types.DestinationConfiguration{Channel: &types.ChannelDestinationConfiguration{ChannelArn: channel.Arn, EncoderConfigurationArn: &encoder}},
		recordTo(s, t, encoder))
	prefix := *c.Destinations[1].Detail.S3.RecordingPrefix
	if want := fmt.Sprintf("%s/%s/%s/composite", id(*stage.Arn), id(*c.Arn), *c.Destinations[1].Id); prefix != want {
		t.Errorf("prefix %s, want %s", prefix, want)
	}
	destinations(t, s, c.Arn, types.DestinationStateActive)
	var live struct {
		Measurements struct {
			Canvases []any `json:"canvases"`
		} `json:"measurements"`
	}
	harness.Eventually(t, 30*time.Second, "ten seconds are recorded", func(context.Context) error {
		if _, files := recorded(t, s, prefix); !slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(k string) bool { return strings.HasSuffix(k, "/4.mp4") }) {
			return fmt.Errorf("%v", files)
		}
		return nil
	})
	if err := json.Unmarshal(s.Call("GET", "compositions/"+id(*c.Arn), "", nil), &live); err != nil || len(live.Measurements.Canvases) != 1 {
		t.Errorf("%d encodes for two destinations with equal settings, %v", len(live.Measurements.Canvases), err)
	}
	watchRecording(t, s)
	stopComposition(t, s, c.Arn)

	dir, files := recorded(t, s, prefix)
	rendition := regexp.MustCompile(`^media/hls/(720p30-[A-Za-z0-9]{12})/`)
	var kept []string
	for _, key := range slices.Sorted(maps.Keys(files)) {
		key = rendition.ReplaceAllString(key, "media/hls/R/")
		if !regexp.MustCompile(`^media/(hls/R/\d+\.mp4|thumbnails/1280x720/\d+\.jpg)$`).MatchString(key) {
			kept = append(kept, key)
		}
	}
	if diff := cmp.Diff([]string{"events/recording-ended.json", "events/recording-started.json", "media/hls/R/init-0.mp4", "media/hls/R/playlist.m3u8",
		"media/hls/multivariant.m3u8", "media/latest_thumbnail/1280x720/thumb.jpg"}, kept); diff != "" {
		t.Errorf("keys: %s", diff)
	}
	if files["media/thumbnails/1280x720/3.jpg"] < 10_000 {
		t.Errorf("thumbnails: %v", files)
	}
	judgePicture(t, filepath.Join(dir, "media/thumbnails/1280x720/3.jpg"), 3, 5)
	length := durationOf(t, dir)
	got := play(t, dir, 2)
	if off := probedDuration(t, dir) - length; off.Abs() > 50*time.Millisecond || length < 9*time.Second {
		t.Errorf("ffprobe says %v more than the metadata's %v", off, length)
	}
	seen(t, got, 2*time.Second, judge.Forever, 3, 5)
	// On a machine that is too slow the composer leaves pictures out, never the sound.
	if cadence := got.Cadence(); cadence.Duplicates > 0 || cadence.Longest > time.Second || len(got.SoundGaps) > 0 {
		t.Errorf("cadence %+v, gaps in the sound %v", cadence, got.SoundGaps)
	}
	if sync := got.LipSync(3); sync.Fine.Abs() > 40*time.Millisecond {
		t.Errorf("lip sync: %+v", sync)
	}
}

// watchRecording opens the recordings page, signs in and plays what is being recorded.
func watchRecording(t *testing.T, s *harness.Server) {
	t.Helper()
	tab := recordingsPage(t, s, "")
	harness.Eventually(t, 45*time.Second, "the page plays the recording", func(context.Context) error {
		at, err := chromedp.Run(tab, chromedp.Evaluate[float64](`(() => {
			const video = document.getElementById("video"), picture = document.querySelector(".row-picture");
			video.muted = true; video.play().catch(() => 0);
			return picture?.naturalWidth > 0 && document.getElementById("state").textContent === "Recording" ? video.currentTime : 0 })()`))
		if err == nil && at < 1 {
			err = fmt.Errorf("at %.1f s", at)
		}
		return err
	})
	photograph(t, tab)
}

// photograph writes a picture of the page to the file that FOOTLIGHT_SCREENSHOT names, for who wants to look at it.
func photograph(t *testing.T, tab context.Context) {
	t.Helper()
	path := os.Getenv("FOOTLIGHT_SCREENSHOT")
	if path == "" {
		return
	}
	picture, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(path, picture, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}

// recordingsPage opens the recordings page in a browser, signed in; with an id, at that recording.
func recordingsPage(t *testing.T, s *harness.Server, id string) (tab context.Context) {
	t.Helper()
	tab, env := harness.Browser(t), s.Env()
	key, err := json.Marshal(map[string]string{"id": env["AWS_ACCESS_KEY_ID"], "secret": env["AWS_SECRET_ACCESS_KEY"]})
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(tab, chromedp.Navigate(s.URL+"/console/recordings#"+id)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(tab, chromedp.Evaluate[bool](fmt.Sprintf(`sessionStorage.setItem("footlight.key", %q); location.reload(); true`, key))); err != nil {
		t.Fatal(err)
	}
	return tab
}

func id(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// play decodes a whole recording, with the tiles of n participants in view.
func play(t *testing.T, dir string, n int) *judge.Capture {
	t.Helper()
	c, err := judge.Record(t.Context(), filepath.Join(dir, "media", "hls", "multivariant.m3u8"), time.Hour, judge.Options{Tiles: harness.GridTiles(n)})
	if err != nil {
		t.Fatalf("play: %v", err)
	}
	return c
}

// probedDuration is the length of a recording as ffprobe says.
func probedDuration(t *testing.T, dir string) time.Duration {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0",
		filepath.Join(dir, "media", "hls", "multivariant.m3u8")).Output()
	if err != nil {
		t.Fatalf("ffprobe: %v", err)
	}
	length, err := time.ParseDuration(strings.TrimSpace(string(out)) + "s")
	if err != nil {
		t.Fatal(err)
	}
	return length
}

// judgePicture finds participants in a thumbnail.
func judgePicture(t *testing.T, path string, indexes ...int) {
	t.Helper()
	c, err := judge.Record(t.Context(), path, time.Second, judge.Options{Tiles: harness.GridTiles(len(indexes))})
	if err != nil || len(c.Frames) != 1 {
		t.Fatalf("%s: %v", path, err)
	}
	for i, want := range indexes {
		if r := c.Frames[0].Tiles[i]; !r.OK || r.Index != want {
			t.Errorf("%s: tile %d shows %+v", path, i, r)
		}
	}
}

// mediaPlaylist reads the only media playlist of a recording.
func mediaPlaylist(t *testing.T, dir string) *playlist.Media {
	t.Helper()
	paths, _ := filepath.Glob(filepath.Join(dir, "media", "hls", "*", "playlist.m3u8"))
	if len(paths) != 1 {
		t.Fatalf("playlists: %v", paths)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	p, err := playlist.Unmarshal(data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return p.(*playlist.Media)
}

// TestRecordingKilled kills the composer, then the server, as kill -9 does: one prefix has all of it.
func TestRecordingKilled(t *testing.T) {
	s := harness.StartServer(t)
	stage := s.CreateStage("recorded")
	s.Publish(stage, 4, "Ada")
	s.WaitPublishing(stage, 1)
	c := compose(s, t, stage, recordTo(s, t, s.CreateEncoder(1280, 720, 30, 2_500_000)))
	prefix := *c.Destinations[0].Detail.S3.RecordingPrefix
	segments := func(n int) {
		t.Helper()
		harness.Eventually(t, 40*time.Second, fmt.Sprintf("%d segments are stored", n), func(context.Context) error {
			count := 0
			_, files := recorded(t, s, prefix)
			for key := range files {
				if strings.HasSuffix(key, ".mp4") && !strings.Contains(key, "init-") {
					count++
				}
			}
			if count < n {
				return fmt.Errorf("%d are", count)
			}
			return nil
		})
	}
	destinations(t, s, c.Arn, types.DestinationStateActive)
	segments(2)
	if err := syscall.Kill(s.Composers()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	segments(5)
	s.Kill()
	s.Start()
	segments(8)
	stopComposition(t, s, c.Arn)

	dir, _ := recorded(t, s, prefix)
	p := mediaPlaylist(t, dir)
	breaks := 0
	for _, segment := range p.Segments {
		if segment.Discontinuity {
			breaks++
		}
	}
	if !p.Endlist || breaks != 2 {
		t.Errorf("%d discontinuities: %s", breaks, harness.JSON(p))
	}
	got, length := play(t, dir, 1), durationOf(t, dir)
	if off := probedDuration(t, dir) - length; off.Abs() > 100*time.Millisecond {
		t.Errorf("ffprobe says %v more than the metadata's %v", off, length)
	}
	if cadence := got.Cadence(); cadence.Duplicates > 2 || cadence.Longest > time.Second || length < 12*time.Second {
		t.Errorf("%v recorded, %+v", length, cadence)
	}
	if share := got.Share(0, 4, 0, judge.Forever); share < 0.5 {
		t.Errorf("Ada is there for %.0f %%", 100*share)
	}
}
