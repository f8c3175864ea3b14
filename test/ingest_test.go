package test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/chromedp/chromedp"

	"github.com/footlight-live/footlight/internal/synth/signal"
	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// ingestClip encodes a synthetic participant as an encoder would send it.
func ingestClip(t *testing.T, index int, length time.Duration) string {
	t.Helper()
	painter, err := signal.NewPainter(index, fmt.Sprintf("Encoder %d", index), 640, 360)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(1764000000, 0)
	path := filepath.Join(t.TempDir(), "clip.flv")
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-nostdin",
		"-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "640x360", "-r", "30", "-i", "pipe:3",
		"-f", "f32le", "-ar", "48000", "-ac", "2", "-i", "pipe:4",
		"-c:v", "libx264", "-preset", "superfast", "-bf", "0", "-b:v", "600k", "-g", "60", "-c:a", "aac", "-b:a", "128k", path)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	var pipes []*os.File
	for range 2 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles, pipes = append(cmd.ExtraFiles, r), append(pipes, w)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range cmd.ExtraFiles {
		f.Close()
	}
	var writers sync.WaitGroup
	writers.Go(func() {
		defer pipes[1].Close()
		pcm := make([]float32, int(2*signal.SampleRate*length/time.Second))
		signal.FillSound(pcm, index, signal.SampleAt(start))
		_ = binary.Write(pipes[1], binary.LittleEndian, pcm) // ffmpeg says what is wrong
	})
	frame := painter.NewFrame()
	for n := range int(30 * length / time.Second) {
		painter.Draw(frame, start.Add(time.Duration(n)*time.Second/30))
		for _, plane := range [][]byte{frame.Y, frame.Cb, frame.Cr} {
			_, _ = pipes[0].Write(plane)
		}
	}
	pipes[0].Close()
	writers.Wait()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, complaints.String())
	}
	return path
}

// pusher is an ffmpeg that publishes.
type pusher struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

func push(t *testing.T, url string, args ...string) *pusher {
	t.Helper()
	p := &pusher{cmd: exec.Command("ffmpeg", append(append([]string{"-v", "error", "-nostdin"}, args...), "-f", "flv", url)...)}
	p.cmd.Stderr = &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// kill is what a power cut does.
func (p *pusher) kill() { p.end(syscall.SIGKILL) }

// end ends it and waits.
func (p *pusher) end(sig syscall.Signal) {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(sig) // it may be gone already
		_ = p.cmd.Wait()              // the signal is why
	}
}

// encoderArgs make a picture that moves and a tone; more are options of the output.
func encoderArgs(more ...string) []string {
	return append([]string{"-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "30", "-b:v", "300k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k"}, more...)
}

func createIngest(t *testing.T, s *harness.Server, stage *types.Stage, change ...func(*ivsrealtime.CreateIngestConfigurationInput)) *types.IngestConfiguration {
	t.Helper()
	in := &ivsrealtime.CreateIngestConfigurationInput{IngestProtocol: types.IngestProtocolRtmp, InsecureIngest: true, StageArn: stage.Arn, UserId: aws.String("encoder")}
	for _, f := range change {
		f(in)
	}
	out, err := s.RealTime.CreateIngestConfiguration(t.Context(), in)
	if err != nil {
		t.Fatalf("create-ingest-configuration: %v", err)
	}
	return out.IngestConfiguration
}

// waitIngest waits until a configuration is in a state.
func waitIngest(t *testing.T, s *harness.Server, arn *string, want types.IngestConfigurationState) {
	t.Helper()
	harness.Eventually(t, time.Minute, fmt.Sprintf("the ingest configuration becomes %s", want), func(ctx context.Context) error {
		out, err := s.RealTime.GetIngestConfiguration(ctx, &ivsrealtime.GetIngestConfigurationInput{Arn: arn})
		if err == nil && out.IngestConfiguration.State != want {
			err = fmt.Errorf("it is %s", out.IngestConfiguration.State)
		}
		return err
	})
}

// participantEvents lists what a participant of the newest session did, oldest first, as names with error codes.
func participantEvents(ctx context.Context, s *harness.Server, stage *types.Stage, participant *string) (string, error) {
	sessions, err := s.RealTime.ListStageSessions(ctx, &ivsrealtime.ListStageSessionsInput{StageArn: stage.Arn})
	if err != nil || len(sessions.StageSessions) == 0 {
		return "", errors.Join(err, errors.New("no session"))
	}
	out, err := s.RealTime.ListParticipantEvents(ctx, &ivsrealtime.ListParticipantEventsInput{
		StageArn: stage.Arn, SessionId: sessions.StageSessions[0].SessionId, ParticipantId: participant,
	})
	if err != nil {
		return "", err
	}
	var names []string
	for _, e := range out.Events {
		name := string(e.Name)
		if e.ErrorCode != "" {
			name += "=" + string(e.ErrorCode)
		}
		names = append([]string{name}, names...)
	}
	return strings.Join(names, " "), nil
}

// waitEvents waits until a participant's events are these.
func waitEvents(t *testing.T, s *harness.Server, stage *types.Stage, participant *string, want string) {
	t.Helper()
	harness.Eventually(t, time.Minute, "events "+want, func(ctx context.Context) error {
		got, err := participantEvents(ctx, s, stage, participant)
		if err == nil && got != want {
			err = fmt.Errorf("they are %s", got)
		}
		return err
	})
}

// TestIngest publishes to a stage by RTMPS and RTMP with ffmpeg, and judges what a subscriber and a composition get.
func TestIngest(t *testing.T) {
	s := harness.StartServer(t)
	stage := s.CreateStage("studio")
	channel := s.CreateChannel("out")
	encoder := s.CreateEncoder(1280, 720, 30, 2_500_000)
	endless := []string{"-stream_loop", "-1", "-re", "-i", ingestClip(t, 3, 20*time.Second), "-c", "copy"}
	c := createIngest(t, s, stage, func(in *ivsrealtime.CreateIngestConfigurationInput) {
		in.IngestProtocol, in.InsecureIngest, in.Attributes = types.IngestProtocolRtmps, false, map[string]string{"username": "studio"}
	})
	url := *stage.Endpoints.Rtmps + *c.StreamKey
	first := push(t, url, endless...)
	s.WaitPublishing(stage, 1)
	waitIngest(t, s, c.Arn, types.IngestConfigurationStateActive)

	got, err := s.RealTime.GetStage(t.Context(), &ivsrealtime.GetStageInput{Arn: stage.Arn})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.RealTime.GetParticipant(t.Context(), &ivsrealtime.GetParticipantInput{StageArn: stage.Arn, SessionId: got.Stage.ActiveSessionId, ParticipantId: c.ParticipantId})
	if err != nil {
		t.Fatal(err)
	}
	if x := p.Participant; x.Protocol != types.ParticipantProtocolRtmps || *x.UserId != "encoder" || x.Attributes["username"] != "studio" || !x.Published {
		t.Errorf("participant %s", harness.JSON(x))
	}
	if _, err := s.RealTime.UpdateIngestConfiguration(t.Context(), &ivsrealtime.UpdateIngestConfigurationInput{Arn: c.Arn, StageArn: aws.String("")}); !isA[*types.ConflictException](err) {
		t.Errorf("update while active: %v", err)
	}

	t.Run("a subscriber gets picture and sound", func(t *testing.T) {
		file, err := whepRecord(t, s, s.Token(stage, "viewer"), *c.ParticipantId, 8*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		capture, err := judge.Record(t.Context(), file, time.Minute, judge.Options{Tiles: fullPicture(640, 360)})
		if err != nil {
			t.Fatal(err)
		}
		if f := capture.Facts; f.VideoCodec != "h264" || f.Width != 640 || f.Height != 360 || f.AudioCodec != "opus" {
			t.Errorf("media is %+v", f)
		}
		seen(t, capture, capture.Start+time.Second, judge.Forever, 3)
		if tones := capture.Tones(capture.Start+time.Second, judge.Forever); !slices.Equal(tones, []int{3}) {
			t.Errorf("the tones of %v are heard", tones)
		}
		for _, gap := range capture.SoundGaps {
			// ffmpeg aligns sound and picture anew when it gets to know the first sender reports.
			if gap.At > capture.Start+3*time.Second {
				t.Errorf("sound has a gap: %+v", gap)
			}
		}
		if sync := capture.LipSync(3); len(sync.Offsets) < 4 || sync.Fine.Abs() > 25*time.Millisecond {
			t.Errorf("lip sync %+v", sync)
		} else {
			t.Logf("sound is %v behind the picture (%d beeps)", sync.Fine, len(sync.Offsets))
		}
	})

	t.Run("a browser shows it", func(t *testing.T) {
		tab := harness.Browser(t)
		join(t, tab, s, s.Token(stage, "todd"))
		video := fmt.Sprintf(`document.querySelector('[data-participant="%s"] video')`, *c.ParticipantId)
		expression := fmt.Sprintf(`(async () => {
			for (let i = 0; i < 300 && !(%[1]s?.videoWidth > 0); i++) await new Promise(done => setTimeout(done, 100));
			const video = %[1]s;
			return await %[2]s(%[3]s, video, [{x: 0, y: 0, width: video.videoWidth, height: video.videoHeight}], 3000);
		})()`, video, judge.WatchJS, judge.StripJS)
		samples, err := chromedp.Run(tab, chromedp.Evaluate[[]judge.WatchSample](expression, harness.AwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		read, newest := 0, int64(0)
		for _, sample := range samples {
			if reading := sample.Readings[0]; reading.OK && reading.Index == 3 && reading.TimeMS != newest {
				read, newest = read+1, reading.TimeMS
			}
		}
		t.Logf("the browser showed %d pictures, %d of them different ones of the encoder", len(samples), read)
		if read < 20 {
			t.Errorf("the browser showed %d pictures, %d of them different ones of the encoder", len(samples), read)
		}
		if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil { // leave the processor to what follows
			t.Error(err)
		}
	})

	t.Run("a composition shows it", func(t *testing.T) {
		composition := s.StartComposition(stage, channel, encoder)
		s.WaitComposition(composition.Arn, types.CompositionStateActive)
		harness.WaitPlayable(t, *channel.PlaybackUrl)
		capture := record(t, *channel.PlaybackUrl, settled+6*time.Second, 1)
		seen(t, capture, settled, judge.Forever, 3)
		// Half a picture's time either way by the canvas's ticks; the rest is for sound that follows a delay.
		if sync := capture.LipSync(3); len(sync.Offsets) < 4 || sync.Fine.Abs() > 40*time.Millisecond {
			t.Errorf("lip sync %+v", sync)
		} else {
			t.Logf("sound is %v behind the picture (%d beeps)", sync.Fine, len(sync.Offsets))
		}
		if _, err := s.RealTime.StopComposition(t.Context(), &ivsrealtime.StopCompositionInput{Arn: composition.Arn}); err != nil {
			t.Error(err)
		}
	})

	t.Run("an encoder that crashes comes back as the same participant", func(t *testing.T) {
		first.kill()
		second := push(t, url, endless...)
		// Subscribed while the encoder may still be away.
		file, err := whepRecord(t, s, s.Token(stage, "viewer"), *c.ParticipantId, 6*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		capture, err := judge.Record(t.Context(), file, time.Minute, judge.Options{Tiles: fullPicture(640, 360)})
		if err != nil {
			t.Fatal(err)
		}
		if tones := capture.Tones(capture.Frames[0].PTS, judge.Forever); len(capture.Frames) < 45 || !slices.Equal(tones, []int{3}) {
			t.Errorf("a subscriber got %d pictures and the tones of %v", len(capture.Frames), tones)
		}
		events, err := participantEvents(t.Context(), s, stage, c.ParticipantId)
		if err != nil || strings.Contains(events, "LEFT") || strings.Count(events, "PUBLISH_STARTED") != 1 {
			t.Errorf("events %s, %v", events, err)
		}
		second.end(syscall.SIGINT) // a goodbye
		waitIngest(t, s, c.Arn, types.IngestConfigurationStateInactive)
		waitEvents(t, s, stage, c.ParticipantId, "JOINED PUBLISH_STARTED PUBLISH_STOPPED LEFT")
	})

	t.Run("a killed server knows that nobody publishes", func(t *testing.T) {
		push(t, url, endless...)
		waitIngest(t, s, c.Arn, types.IngestConfigurationStateActive)
		var before []int // the audio process, which starts when its encoder has
		harness.Eventually(t, 30*time.Second, "there is an audio process", func(context.Context) error {
			if before = s.Composers(); len(before) != 1 {
				return fmt.Errorf("processes %v", before)
			}
			return nil
		})
		s.Kill()
		for _, pid := range before {
			harness.Eventually(t, 30*time.Second, "the audio process ends with the server", func(context.Context) error {
				if syscall.Kill(pid, 0) == nil {
					return errors.New("it is there")
				}
				return nil
			})
		}
		s.Start()
		waitIngest(t, s, c.Arn, types.IngestConfigurationStateInactive)
	})
}

// TestIngestRules has encoders send what a stage does not take, and what looks as if.
func TestIngestRules(t *testing.T) {
	s := harness.StartServer(t)
	stage := s.CreateStage("rules")
	for _, c := range []struct {
		name   string
		args   []string
		change func(*ivsrealtime.CreateIngestConfigurationInput)
		events string
	}{
		{"B-frames", encoderArgs("-bf", "2", "-x264-params", "b-adapt=0"), nil, "JOINED PUBLISH_ERROR=B_FRAME_PRESENT"},
		{"large pictures", encoderArgs("-s", "1920x1080"), nil, "JOINED PUBLISH_ERROR=RESOLUTION_EXCEEDED"},
		{"MP3", encoderArgs("-c:a", "libmp3lame"), nil, "JOINED PUBLISH_ERROR=INVALID_AUDIO_CODEC"},
		{"Sorenson", encoderArgs("-c:v", "flv1"), nil, "JOINED PUBLISH_ERROR=INVALID_VIDEO_CODEC"},
		{"RTMP where RTMPS is asked for", encoderArgs(), func(in *ivsrealtime.CreateIngestConfigurationInput) {
			in.IngestProtocol, in.InsecureIngest = types.IngestProtocolRtmps, false
		}, "JOINED PUBLISH_ERROR=INVALID_PROTOCOL LEFT"},
		{"no sound", encoderArgs("-an"), nil, "JOINED PUBLISH_ERROR=INVALID_INPUT LEFT"},
		{"44.1 kHz mono", encoderArgs(), nil, "JOINED PUBLISH_STARTED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var change []func(*ivsrealtime.CreateIngestConfigurationInput)
			if c.change != nil {
				change = append(change, c.change)
			}
			configuration := createIngest(t, s, stage, change...)
			p := push(t, *stage.Endpoints.Rtmp+*configuration.StreamKey, c.args...)
			harness.Eventually(t, time.Minute, "events "+c.events, func(ctx context.Context) error {
				got, err := participantEvents(ctx, s, stage, configuration.ParticipantId)
				if err == nil && !strings.HasPrefix(strings.ReplaceAll(got, "PUBLISH_STARTED PUBLISH_ERROR", "PUBLISH_ERROR"), c.events) {
					err = fmt.Errorf("they are %s", got)
				}
				return err
			})
			if strings.Contains(c.events, "ERROR") {
				waitIngest(t, s, configuration.Arn, types.IngestConfigurationStateInactive)
			} else {
				waitIngest(t, s, configuration.Arn, types.IngestConfigurationStateActive)
				// Another one with the same key is refused, and the first does not notice.
				other := push(t, *stage.Endpoints.Rtmp+*configuration.StreamKey, encoderArgs()...)
				waitEvents(t, s, stage, configuration.ParticipantId, c.events+" PUBLISH_ERROR=REUSE_OF_STREAM_KEY")
				other.kill()
				if _, err := s.RealTime.DisconnectParticipant(t.Context(), &ivsrealtime.DisconnectParticipantInput{StageArn: stage.Arn, ParticipantId: configuration.ParticipantId}); err != nil {
					t.Fatal(err)
				}
				waitIngest(t, s, configuration.Arn, types.IngestConfigurationStateInactive)
			}
			p.kill()
		})
	}
	// EventBridge hears of publish errors too, with their codes.
	for _, code := range []string{"B_FRAME_PRESENT", "RESOLUTION_EXCEEDED", "INVALID_AUDIO_CODEC", "INVALID_VIDEO_CODEC", "INVALID_PROTOCOL", "INVALID_INPUT", "REUSE_OF_STREAM_KEY"} {
		waitTold(t, s, *stage.Arn, `"event_name":"Participant Publish Error"`, `"error_code":"`+code+`"`)
	}
}

// TestIngestCLI runs the commands of docs/ingest.md as they stand.
func TestIngestCLI(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("no AWS CLI on PATH")
	}
	doc, err := os.ReadFile(filepath.Join(harness.Root(t), "docs", "ingest.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := codeBlocks(string(doc), "sh")
	if len(blocks) != 8 {
		t.Fatalf("found %d code blocks", len(blocks))
	}
	s := harness.StartServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -euo pipefail\n"+strings.Join(blocks, ""))
	cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=")
	for name, value := range s.Env() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"state": "CONNECTED"`, `"published": true`, `"name": "PUBLISH_STARTED"`, "/console/watch?src=http"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the commands do not print %s:\n%s", want, out)
		}
	}
	configurations, err := s.RealTime.ListIngestConfigurations(t.Context(), &ivsrealtime.ListIngestConfigurationsInput{})
	if err != nil || len(configurations.IngestConfigurations) != 0 {
		t.Errorf("after cleaning up: %s, %v", harness.JSON(configurations), err)
	}
}
