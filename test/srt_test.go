package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivs"

	"github.com/footlight-live/footlight/test/harness"
)

// TestSRT publishes to a channel with what the API says of its SRT server, and lets a second encoder take the stream over.
// What happened is in the stream session and in the events.
func TestSRT(t *testing.T) {
	s := harness.StartServer(t)
	created, err := s.IVS.CreateChannel(t.Context(), &ivs.CreateChannelInput{})
	if err != nil {
		t.Fatal(err)
	}
	channel, srt := created.Channel, created.Channel.Srt
	if srt == nil || len(*srt.Passphrase) < 10 {
		t.Fatalf("srt %+v", srt)
	}
	publish := func(priority int) *exec.Cmd {
		cmd := exec.Command("ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30",
			"-f", "lavfi", "-i", "sine=sample_rate=48000", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
			"-threads", "1", "-g", "30", "-b:v", "800k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", "-f", "mpegts",
			fmt.Sprintf("srt://%s?streamid=#!::u=%s,priority=%d&passphrase=%s", *srt.Endpoint, *created.StreamKey.Value, priority, *srt.Passphrase))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		return cmd
	}
	publish(1)
	harness.WaitPlayable(t, *channel.PlaybackUrl)
	before, err := s.IVS.GetStream(t.Context(), &ivs.GetStreamInput{ChannelArn: channel.Arn})
	if err != nil {
		t.Fatal(err)
	}
	publish(2)
	var names []string
	harness.Eventually(t, 30*time.Second, "the stream is taken over", func(ctx context.Context) error {
		got, err := s.IVS.GetStreamSession(ctx, &ivs.GetStreamSessionInput{ChannelArn: channel.Arn})
		if err != nil {
			return err
		}
		names = nil
		for _, e := range got.StreamSession.TruncatedEvents {
			names = append(names, *e.Name)
		}
		if v := got.StreamSession.IngestConfigurations; v == nil || len(v.VideoConfigurations) != 1 || v.VideoConfigurations[0].VideoWidth != 640 {
			return fmt.Errorf("ingest configurations %s", harness.JSON(v))
		}
		if *got.StreamSession.StreamId != *before.Stream.StreamId {
			t.Fatalf("stream %s became %s", *before.Stream.StreamId, *got.StreamSession.StreamId)
		}
		if !slices.Contains(names, "Stream Takeover") {
			return errors.New("no Stream Takeover")
		}
		return nil
	})
	var out bytes.Buffer
	probe := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-read_intervals", "%+3", "-count_packets",
		"-show_entries", "stream=codec_name,width,height,nb_read_packets", "-of", "csv=p=0", *channel.PlaybackUrl)
	probe.Stdout = &out
	if err := probe.Run(); err != nil || !strings.Contains(out.String(), "h264,640,360,") || !strings.Contains(out.String(), "aac,") {
		t.Errorf("ffprobe: %v\n%s", err, &out)
	}
	waitTold(t, s, *channel.Arn, `"detail-type":"IVS Stream State Change"`,
		fmt.Sprintf(`"detail":{"event_name":"Stream Takeover","channel_name":"","stream_id":%q}}`, *before.Stream.StreamId))
}
