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
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivs"
	"github.com/aws/aws-sdk-go-v2/service/ivs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/test/harness"
)

// TestChannelRecording records two streams of a channel, one within the reconnect window of the other: one recording has
// both, at the keys of IVS.
func TestChannelRecording(t *testing.T) {
	s := harness.StartServer(t)
	config, err := s.IVS.CreateRecordingConfiguration(t.Context(), &ivs.CreateRecordingConfigurationInput{
		DestinationConfiguration:        &types.DestinationConfiguration{S3: &types.S3DestinationConfiguration{BucketName: new(bucket)}},
		RecordingReconnectWindowSeconds: 15,
		ThumbnailConfiguration: &types.ThumbnailConfiguration{RecordingMode: types.RecordingModeInterval, TargetIntervalSeconds: new(int64(2)),
			Storage: []types.ThumbnailConfigurationStorage{types.ThumbnailConfigurationStorageSequential, types.ThumbnailConfigurationStorageLatest}},
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := config.RecordingConfiguration.Arn
	channel, err := s.IVS.CreateChannel(t.Context(), &ivs.CreateChannelInput{Name: new("taped"), RecordingConfigurationArn: arn})
	if err != nil || *channel.Channel.RecordingConfigurationArn != *arn {
		t.Fatalf("create-channel: %v %s", err, harness.JSON(channel))
	}
	if _, err := s.IVS.DeleteRecordingConfiguration(t.Context(), &ivs.DeleteRecordingConfigurationInput{Arn: arn}); err == nil {
		t.Error("a recording configuration in use can be deleted")
	}
	for range 2 {
		out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000",
			"-t", "4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-bf", "0", "-c:a", "aac", "-ac", "2",
			"-f", "flv", "rtmps://"+*channel.Channel.IngestEndpoint+"/app/"+*channel.StreamKey.Value).CombinedOutput()
		if err != nil {
			t.Fatalf("ffmpeg: %v: %s", err, out)
		}
	}
	session, err := s.IVS.GetStreamSession(t.Context(), &ivs.GetStreamSessionInput{ChannelArn: channel.Channel.Arn})
	if err != nil || session.StreamSession.RecordingConfiguration == nil || *session.StreamSession.RecordingConfiguration.Arn != *arn {
		t.Errorf("stream session: %v %s", err, harness.JSON(session))
	}
	root := filepath.Join(s.DataDir, "objects", bucket)
	var prefix string
	harness.Eventually(t, 60*time.Second, "the recording is stored", func(context.Context) error {
		return errOr(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Name() == "recording-ended.json" {
				prefix, _ = filepath.Rel(root, filepath.Dir(filepath.Dir(path)))
			}
			return err
		}), prefix == "")
	})
	if want := regexp.MustCompile(`^ivs/v1/000000000000/` + id(*channel.Channel.Arn) + `/20\d\d/[1-9]\d?/[1-9]\d?/\d\d?/\d\d?/[A-Za-z0-9]{12}$`); !want.MatchString(prefix) {
		t.Errorf("prefix %s", prefix)
	}
	dir, files := recorded(t, s, prefix)
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(k string) bool { return strings.HasPrefix(k, "media/thumbnails/") && k != "media/thumbnails/1.jpg" })
	if diff := cmp.Diff([]string{"events/recording-ended.json", "events/recording-started.json", "media/hls/180p25/0.mp4", "media/hls/180p25/1.mp4",
		"media/hls/180p25/byte-range-variant.m3u8", "media/hls/180p25/init-0.mp4", "media/hls/180p25/init-1.mp4", "media/hls/180p25/playlist.m3u8",
		"media/hls/byte-range-multivariant.m3u8", "media/hls/master.m3u8", "media/latest_thumbnail/thumb.jpg", "media/thumbnails/1.jpg"}, keys); diff != "" {
		t.Error(diff)
	}
	var m map[string]any
	data, err := os.ReadFile(filepath.Join(dir, "events", "recording-ended.json"))
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil || m["channel_arn"] != *channel.Channel.Arn || m["recording_status"] != "RECORDING_ENDED" {
		t.Errorf("%v: %s", err, data)
	}
	for _, name := range []string{"master.m3u8", "byte-range-multivariant.m3u8"} {
		out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0",
			filepath.Join(dir, "media", "hls", name)).CombinedOutput()
		if got := strings.Trim(strings.Fields(string(out) + " none")[0], ","); err != nil || got != "200" {
			t.Errorf("%s has %s frames, want 200: %v", name, got, err)
		}
	}
	waitTold(t, s, *channel.Channel.Arn, `"recording_status":"Recording Start"`, `"recording_status":"Recording End"`, fmt.Sprintf(`"recording_s3_key_prefix":%q`, prefix))
}

func errOr(err error, missing bool) error {
	if err == nil && missing {
		return fmt.Errorf("there is no end")
	}
	return err
}
