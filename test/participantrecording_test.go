package test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// TestParticipantRecording records somebody who publishes twice within the reconnect window, and somebody who
// is only heard. It judges keys, playlist, metadata, picture and sound of what was recorded.
func TestParticipantRecording(t *testing.T) {
	s := harness.StartServer(t)
	storage, err := s.RealTime.CreateStorageConfiguration(t.Context(), &ivsrealtime.CreateStorageConfigurationInput{
		S3: &types.S3StorageConfiguration{BucketName: new(bucket)},
	})
	if err != nil {
		t.Fatal(err)
	}
	created, err := s.RealTime.CreateStage(t.Context(), &ivsrealtime.CreateStageInput{
		AutoParticipantRecordingConfiguration: &types.AutoParticipantRecordingConfiguration{
			StorageConfigurationArn: storage.StorageConfiguration.Arn, RecordingReconnectWindowSeconds: 20,
			HlsConfiguration: &types.ParticipantRecordingHlsConfiguration{TargetSegmentDurationSeconds: new(int32(2))},
			ThumbnailConfiguration: &types.ParticipantThumbnailConfiguration{RecordingMode: types.ThumbnailRecordingModeInterval, TargetIntervalSeconds: new(int32(2)),
				Storage: []types.ThumbnailStorageType{types.ThumbnailStorageTypeSequential, types.ThumbnailStorageTypeLatest}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	stage, token := created.Stage, s.Token(created.Stage, "Ada")
	bob := s.Publish(stage, 5, "Bob", func(p *synth.Publisher) { p.AudioOnly = true })
	sent := uint64(0)
	for range 2 {
		ada := s.Publish(stage, 3, "Ada", func(p *synth.Publisher) { p.Token, p.FrameRate = token, 25 })
		harness.Eventually(t, time.Minute, "Ada is live", func(context.Context) error {
			if ada.Stats().KeyPictures == 0 {
				return fmt.Errorf("%+v", ada.Stats())
			}
			return nil
		})
		before := ada.Stats().Pictures
		harness.Eventually(t, time.Minute, "some seconds were sent", func(context.Context) error {
			if n := ada.Stats().Pictures - before; n < 6*25 {
				return fmt.Errorf("%d pictures", n)
			}
			return nil
		})
		sent += ada.Stats().Pictures
		ada.Close()
	}
	bob.Close()

	people := map[string]types.Participant{}
	harness.Eventually(t, 2*time.Minute, "both are recorded", func(ctx context.Context) error {
		sessions, err := s.RealTime.ListStageSessions(ctx, &ivsrealtime.ListStageSessionsInput{StageArn: stage.Arn})
		if err != nil {
			return err
		}
		session := sessions.StageSessions[0].SessionId
		list, err := s.RealTime.ListParticipants(ctx, &ivsrealtime.ListParticipantsInput{StageArn: stage.Arn, SessionId: session,
			FilterByRecordingState: types.ParticipantRecordingFilterByRecordingStateStopped})
		if err != nil {
			return err
		}
		for _, p := range list.Participants {
			out, err := s.RealTime.GetParticipant(ctx, &ivsrealtime.GetParticipantInput{StageArn: stage.Arn, SessionId: session, ParticipantId: p.ParticipantId})
			if err != nil {
				return err
			}
			people[*p.UserId] = *out.Participant
			if want := fmt.Sprintf("%s/%s/%s/", id(*stage.Arn), *session, *p.ParticipantId); !strings.HasPrefix(*out.Participant.RecordingS3Prefix, want) || *out.Participant.RecordingS3BucketName != bucket {
				t.Errorf("recorded to %s in %s, want %s", *out.Participant.RecordingS3Prefix, *out.Participant.RecordingS3BucketName, want)
			}
		}
		if len(people) != 2 {
			return fmt.Errorf("%d are", len(people))
		}
		return nil
	})
	judgeParticipant(t, s, people["Ada"], sent)
	judgeHeard(t, s, people["Bob"])
	waitTold(t, s, *stage.Arn, `"IVS Participant Recording State Change"`, `"event_name":"Recording Start"`, `"event_name":"Recording End"`,
		fmt.Sprintf(`"recording_s3_key_prefix":%q`, *people["Ada"].RecordingS3Prefix))
}

// judgeParticipant judges a recording of two fragments, of which so many pictures were sent.
func judgeParticipant(t *testing.T, s *harness.Server, p types.Participant, sent uint64) {
	t.Helper()
	dir, files := recorded(t, s, *p.RecordingS3Prefix)
	var kept []string
	for _, key := range slices.Sorted(maps.Keys(files)) {
		if !regexp.MustCompile(`^media/(hls/high/\d+\.mp4|thumbnails/high/\d+\.jpg)$`).MatchString(key) {
			kept = append(kept, key)
		}
	}
	if diff := cmp.Diff([]string{"events/recording-ended.json", "events/recording-started.json", "media/hls/high/init-0.mp4", "media/hls/high/init-1.mp4",
		"media/hls/high/playlist.m3u8", "media/hls/multivariant.m3u8", "media/latest_thumbnail/high/thumb.jpg"}, kept); diff != "" {
		t.Errorf("keys: %s", diff)
	}
	var m struct {
		Session     string `json:"session_id"`
		Participant string `json:"participant_id"`
	}
	data, err := os.ReadFile(filepath.Join(dir, "events", "recording-ended.json"))
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil || m.Participant != *p.ParticipantId || !strings.HasPrefix(m.Session, "st-") || !strings.Contains(string(data), `"renditions":[{"path":"high"`) {
		t.Errorf("%v: %s", err, data)
	}
	data, err = os.ReadFile(filepath.Join(dir, "media/hls/high/playlist.m3u8"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := playlist.Unmarshal(data)
	list, ok := parsed.(*playlist.Media)
	if err != nil || !ok {
		t.Fatalf("%v: %s", err, data)
	}
	breaks, sum := 0, time.Duration(0)
	for _, segment := range list.Segments {
		sum += segment.Duration
		if segment.Discontinuity {
			breaks++
			if segment.DateTime == nil {
				t.Errorf("no time after a discontinuity: %s", data)
			}
		}
	}
	if breaks != 1 || !list.Endlist || sum < 10*time.Second {
		t.Errorf("%d discontinuities, %v: %s", breaks, sum, data)
	}
	length := durationOf(t, dir)
	if off := probedDuration(t, dir) - length; off.Abs() > 50*time.Millisecond || (sum-length).Abs() > 50*time.Millisecond {
		t.Errorf("ffprobe says %v more than the metadata's %v", off, length)
	}
	got, err := judge.Record(t.Context(), filepath.Join(dir, "media/hls/multivariant.m3u8"), time.Hour, judge.Options{Tiles: fullPicture(640, 360)})
	if err != nil {
		t.Fatal(err)
	}
	if f := got.Facts; f.VideoCodec != "h264" || f.AudioCodec != "opus" || f.Width != 640 || f.Height != 360 {
		t.Errorf("%+v", f)
	}
	seen(t, got, 0, judge.Forever, 3)
	if sync := got.LipSync(3); len(sync.Offsets) < 6 || sync.Fine.Abs() > 40*time.Millisecond {
		t.Errorf("lip sync: %+v", sync)
	}
	if silent := got.Silent(time.Second, length-time.Second); silent > 0.05 {
		t.Errorf("silent for %.0f %% of the time", 100*silent)
	}
	if 10*len(got.Frames) < 8*int(sent) { // the publisher leaves pictures out on a busy machine
		t.Errorf("%d pictures of %d in %v", len(got.Frames), sent, length)
	}
	picture, err := judge.Record(t.Context(), filepath.Join(dir, "media/thumbnails/high/2.jpg"), time.Second, judge.Options{Tiles: fullPicture(640, 360)})
	if err != nil || len(picture.Frames) != 1 || picture.Frames[0].Tiles[0].Index != 3 {
		t.Errorf("thumbnail: %v", err)
	}
}

// judgeHeard judges the recording of somebody who sent no picture.
func judgeHeard(t *testing.T, s *harness.Server, p types.Participant) {
	t.Helper()
	dir, _ := recorded(t, s, *p.RecordingS3Prefix)
	got, err := judge.Record(t.Context(), filepath.Join(dir, "media/hls/multivariant.m3u8"), time.Hour, judge.Options{})
	if err != nil {
		t.Fatal(err)
	}
	length := durationOf(t, dir)
	if f := got.Facts; f.VideoCodec != "" || f.AudioCodec != "opus" || length < 10*time.Second || got.Tone(5, time.Second, length-time.Second) < -40 {
		t.Errorf("%+v, %v, tone at %.0f dBFS", f, length, got.Tone(5, time.Second, length-time.Second))
	}
}
