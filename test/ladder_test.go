package test

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivs"
	"github.com/aws/aws-sdk-go-v2/service/ivs/types"

	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// rungs are what ADVANCED_HD makes of a picture of at least 720 lines.
var rungs = [][2]int{{1280, 720}, {852, 480}, {640, 360}, {284, 160}}

// hdClip is the clip of a synthetic participant in another size, with B-frames.
func hdClip(t *testing.T, index, width, height int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hd.flv")
	out, err := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", ingestClip(t, index, 20*time.Second), "-vf", fmt.Sprintf("scale=%d:%d", width, height),
		"-c:v", "libx264", "-preset", "superfast", "-bf", "2", "-b:v", "3M", "-g", "60", "-c:a", "copy", path).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	return path
}

var streamLine = regexp.MustCompile(`#EXT-X-STREAM-INF:.*RESOLUTION=(\d+)x(\d+).*\n(.*)\n`)

// renditions waits for so many in the multivariant playlist and returns their addresses by size.
func renditions(t *testing.T, playbackURL string, n int) map[[2]int]string {
	t.Helper()
	found := map[[2]int]string{}
	harness.Eventually(t, 30*time.Second, "all renditions are there", func(ctx context.Context) error {
		clear(found)
		text, err := harness.Get(ctx, playbackURL)
		if err != nil {
			return err
		}
		base, err := url.Parse(playbackURL)
		if err != nil {
			return err
		}
		for _, m := range streamLine.FindAllStringSubmatch(text, -1) {
			w, _ := strconv.Atoi(m[1]) // digits
			h, _ := strconv.Atoi(m[2])
			address, err := base.Parse(m[3])
			if err != nil {
				return err
			}
			found[[2]int{w, h}] = address.String()
		}
		if len(found) != n {
			return fmt.Errorf("%d renditions:\n%s", len(found), text)
		}
		return nil
	})
	return found
}

// segments are the lengths of a playlist's segments by their media sequence numbers.
func segments(ctx context.Context, address string) (map[int]string, error) {
	text, err := harness.Get(ctx, address)
	if err != nil {
		return nil, err
	}
	lengths, n := map[int]string{}, 0
	for line := range strings.Lines(text) {
		if s, ok := strings.CutPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"); ok {
			n, _ = strconv.Atoi(strings.TrimSpace(s))
		}
		if s, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			lengths[n] = strings.TrimSpace(s)
			n++
		}
	}
	return lengths, nil
}

// TestLadder publishes to a channel of type ADVANCED_HD and judges every size that players get; then the process that
// makes them is killed.
func TestLadder(t *testing.T) {
	for _, size := range [][2]int{{1280, 720}, {1920, 1080}} {
		t.Run(fmt.Sprintf("%d lines", size[1]), func(t *testing.T) { testLadder(t, size[0], size[1]) })
	}
}

func testLadder(t *testing.T, width, height int) {
	s := harness.StartServer(t, "--max-composer-cores", "8")
	created, err := s.IVS.CreateChannel(t.Context(), &ivs.CreateChannelInput{Type: types.ChannelTypeAdvancedHDChannelType, InsecureIngest: true})
	if err != nil {
		t.Fatal(err)
	}
	channel := created.Channel
	if channel.Preset != types.TranscodePresetHigherBandwidthTranscodePreset {
		t.Errorf("preset %q", channel.Preset)
	}
	const index = 3
	clip := hdClip(t, index, width, height)
	push(t, "rtmps://"+*created.Channel.IngestEndpoint+"/app/"+*created.StreamKey.Value, "-stream_loop", "-1", "-re", "-i", clip, "-c", "copy")
	harness.WaitPlayable(t, *channel.PlaybackUrl)
	found := renditions(t, *channel.PlaybackUrl, len(rungs))

	var recording sync.WaitGroup
	captures := make([]*judge.Capture, len(rungs))
	for i, size := range rungs {
		recording.Go(func() {
			var err error
			captures[i], err = judge.Record(t.Context(), found[size], 12*time.Second, judge.Options{Tiles: fullPicture(size[0], size[1]), InputArgs: []string{"-live_start_index", "-1"}})
			if err != nil {
				t.Errorf("rendition %v: %v", size, err)
			}
		})
	}
	recording.Wait()
	for i, c := range captures {
		if c == nil {
			continue
		}
		if f := c.Facts; f.Width != rungs[i][0] || f.Height != rungs[i][1] || f.VideoCodec != "h264" || f.AudioCodec != "aac" {
			t.Errorf("rendition %v is %+v", rungs[i], f)
		}
		seen(t, c, settled, judge.Forever, index)
		if tones := c.Tones(settled, judge.Forever); !slices.Equal(tones, []int{index}) {
			t.Errorf("rendition %v: the tones of %v are heard", rungs[i], tones)
		}
		if sync := c.LipSync(index); len(sync.Offsets) < 3 || sync.Fine.Abs() > 40*time.Millisecond {
			t.Errorf("rendition %v: sound is %v behind the picture, by %d beeps", rungs[i], sync.Fine, len(sync.Offsets))
		}
		if m := c.Motion(0, index, settled, judge.Forever); m.Back > 1 { // once where the clip begins again
			t.Errorf("rendition %v: %+v", rungs[i], m)
		}
	}
	// The same segments in all of them.
	harness.Eventually(t, 20*time.Second, "the renditions have the same segments", func(ctx context.Context) error {
		var first map[int]string
		for _, size := range rungs {
			next, err := segments(ctx, found[size])
			if err != nil {
				return err
			}
			if first == nil {
				first = next
			}
			common := 0
			for n, length := range next {
				if want, ok := first[n]; ok {
					common++
					if want != length {
						t.Fatalf("segment %d is %s s of %v and %s s of %v", n, want, rungs[0], length, size)
					}
				}
			}
			if common < 2 {
				return fmt.Errorf("segments %v and %v", slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(next)))
			}
		}
		return nil
	})
	session, err := s.IVS.GetStreamSession(t.Context(), &ivs.GetStreamSessionInput{ChannelArn: channel.Arn})
	if err != nil {
		t.Fatal(err)
	}
	if v := session.StreamSession.IngestConfigurations.VideoConfigurations; len(v) != 1 || v[0].VideoWidth != int64(width) || v[0].TargetFramerate != 30 {
		t.Errorf("ingest configurations %s", harness.JSON(v))
	}
	killLadder(t, s, *channel.PlaybackUrl, found[rungs[0]], index)
}

// killLadder watches a rendition while the process that makes it is killed.
func killLadder(t *testing.T, s *harness.Server, playbackURL, address string, index int) {
	t.Helper()
	pids := s.Composers()
	if len(pids) != 1 {
		t.Fatalf("processes %v", pids)
	}
	watched := make(chan *judge.Capture)
	go func() {
		defer close(watched)
		c, err := judge.Record(t.Context(), address, 14*time.Second, judge.Options{Tiles: fullPicture(1280, 720), InputArgs: []string{"-live_start_index", "-1"}})
		if err != nil {
			t.Errorf("watch: %v", err)
			return
		}
		watched <- c
	}()
	time.Sleep(4 * time.Second) // of the recording
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c, ok := <-watched
	if !ok {
		return
	}
	m := c.Motion(0, index, 2*time.Second, judge.Forever)
	if m.Skipped > 3*time.Second || m.Fresh < 30 { // a slow machine leaves pictures out
		t.Errorf("after a crash: %+v", m)
	}
	t.Logf("after a crash pictures of %v are missing", m.Skipped)
	if silent := c.Silent(2*time.Second, judge.Forever); silent > 0.05 {
		t.Errorf("after a crash %.0f %% of the sound is missing", 100*silent)
	}
	if sync := c.LipSync(index); len(sync.Offsets) < 3 || sync.Fine.Abs() > 60*time.Millisecond {
		t.Errorf("after a crash sound is %v behind the picture, by %d beeps", sync.Fine, len(sync.Offsets))
	}
	renditions(t, playbackURL, len(rungs))
	if after := s.Composers(); len(after) != 1 || after[0] == pids[0] {
		t.Errorf("process %v after %v", after, pids)
	}
}

// TestLadderCapacity publishes what the machine is said not to carry.
func TestLadderCapacity(t *testing.T) {
	s := harness.StartServer(t, "--max-composer-cores", "0.05")
	created, err := s.IVS.CreateChannel(t.Context(), &ivs.CreateChannelInput{Type: types.ChannelTypeAdvancedSDChannelType, InsecureIngest: true})
	if err != nil {
		t.Fatal(err)
	}
	push(t, "rtmps://"+*created.Channel.IngestEndpoint+"/app/"+*created.StreamKey.Value, encoderArgs("-s", "640x360")...)
	harness.Eventually(t, 30*time.Second, "the stream fails", func(ctx context.Context) error {
		got, err := s.IVS.GetStreamSession(ctx, &ivs.GetStreamSessionInput{ChannelArn: created.Channel.Arn})
		if err != nil {
			return err
		}
		var names []string
		for _, e := range got.StreamSession.TruncatedEvents {
			names = append(names, *e.Name)
		}
		if !slices.Equal(names, []string{"Session Ended", "Stream Failure", "Session Created"}) {
			return fmt.Errorf("events %v", names)
		}
		return nil
	})
	if pids := s.Composers(); len(pids) > 0 {
		t.Errorf("processes %v", pids)
	}
}
