package test

import (
	"context"
	"fmt"
	"image"
	_ "image/jpeg" // of thumbnails
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// TestReplicaRecording replicates Grace from a stage that keeps thumbnails of her to one that records everybody and to one that
// records no replicas. Her names try to lead out of the bucket.
func TestReplicaRecording(t *testing.T) {
	const grace = 5
	s := harness.StartServer(t)
	storage, err := s.RealTime.CreateStorageConfiguration(t.Context(), &ivsrealtime.CreateStorageConfigurationInput{
		S3: &types.S3StorageConfiguration{BucketName: new(bucket)},
	})
	if err != nil {
		t.Fatal(err)
	}
	stage := func(media types.ParticipantRecordingMediaType, options ...func(*ivsrealtime.Options)) *types.Stage {
		t.Helper()
		out, err := s.RealTime.CreateStage(t.Context(), &ivsrealtime.CreateStageInput{
			AutoParticipantRecordingConfiguration: &types.AutoParticipantRecordingConfiguration{
				StorageConfigurationArn: storage.StorageConfiguration.Arn, MediaTypes: []types.ParticipantRecordingMediaType{media},
				HlsConfiguration: &types.ParticipantRecordingHlsConfiguration{TargetSegmentDurationSeconds: new(int32(2))},
				ThumbnailConfiguration: &types.ParticipantThumbnailConfiguration{RecordingMode: types.ThumbnailRecordingModeInterval, TargetIntervalSeconds: new(int32(1)),
					Storage: []types.ThumbnailStorageType{types.ThumbnailStorageTypeSequential, types.ThumbnailStorageTypeLatest}},
			},
		}, options...)
		if err != nil {
			t.Fatal(err)
		}
		return out.Stage
	}
	home := stage(types.ParticipantRecordingMediaTypeNone)
	all, none := stage(types.ParticipantRecordingMediaTypeAudioVideo), stage(types.ParticipantRecordingMediaTypeAudioVideo, withoutReplicas)
	tricks := map[string]string{"../../..": "../../../../etc/passwd", "recordingS3Prefix": "../x"}
	publisher := s.Publish(home, grace, "Grace", func(p *synth.Publisher) { p.Token, p.FrameRate = s.Token(home, "../../../grace", tricks), 15 })
	s.WaitPublishing(home, 1)
	s.Publish(all, ada, "Ada", func(p *synth.Publisher) { p.FrameRate = 15 })
	s.WaitPublishing(all, 1)
	graceID := participants(t, s, home)["../../../grace"]
	for _, to := range []*types.Stage{all, none} {
		if _, err := s.RealTime.StartParticipantReplication(t.Context(), &ivsrealtime.StartParticipantReplicationInput{
			SourceStageArn: home.Arn, DestinationStageArn: to.Arn, ParticipantId: graceID.ParticipantId, Attributes: tricks,
		}); err != nil {
			t.Fatal(err)
		}
	}
	pictures := func(prefix string) []string { return keysLike(t, s, prefix, "media/thumbnails/high/*.jpg") }
	var replica, original types.Participant
	harness.Eventually(t, 60*time.Second, "there are three segments of the replica and three thumbnails of each", func(context.Context) error {
		replica, original = participants(t, s, all)["../../../grace"], participants(t, s, home)["../../../grace"]
		if replica.RecordingState != types.ParticipantRecordingStateActive || original.RecordingState != types.ParticipantRecordingStateActive {
			return fmt.Errorf("the replica's recording is %s, the original's %s", replica.RecordingState, original.RecordingState)
		}
		a, b, c := keysLike(t, s, *replica.RecordingS3Prefix, "media/hls/high/2.mp4"), pictures(*replica.RecordingS3Prefix), pictures(*original.RecordingS3Prefix)
		if len(a) < 1 || len(b) < 3 || len(c) < 3 {
			return fmt.Errorf("%v %v %v", a, b, c)
		}
		return nil
	})
	if p := participants(t, s, none)["../../../grace"]; p.RecordingState != types.ParticipantRecordingStateDisabled || *p.RecordingS3Prefix != "" {
		t.Errorf("where replicas are not recorded: %s at %q", p.RecordingState, *p.RecordingS3Prefix)
	}
	if _, err := s.RealTime.StopParticipantReplication(t.Context(), &ivsrealtime.StopParticipantReplicationInput{
		SourceStageArn: home.Arn, DestinationStageArn: all.Arn, ParticipantId: graceID.ParticipantId,
	}); err != nil {
		t.Fatal(err)
	}
	stopped := func(stage *types.Stage, user string) {
		t.Helper()
		harness.Eventually(t, 60*time.Second, user+"'s recording ends", func(context.Context) error {
			if got := participants(t, s, stage)[user].RecordingState; got != types.ParticipantRecordingStateStopped {
				return fmt.Errorf("it is %s", got)
			}
			return nil
		})
	}
	stopped(all, "../../../grace") // Ada and the original go on
	publisher.Close()
	stopped(home, "../../../grace")

	dir, _ := recorded(t, s, *replica.RecordingS3Prefix)
	got, err := judge.Record(t.Context(), filepath.Join(dir, "media/hls/multivariant.m3u8"), time.Hour, judge.Options{Tiles: fullPicture(640, 360)})
	if err != nil {
		t.Fatal(err)
	}
	seen(t, got, 0, judge.Forever, grace)
	if length := durationOf(t, dir); length < 5*time.Second || !slices.Equal(got.Tones(time.Second, length-time.Second), []int{grace}) {
		t.Errorf("%v with the tones of %v", length, got.Tones(time.Second, length-time.Second))
	}
	for _, p := range []types.Participant{replica, original} {
		judgeThumbnails(t, s, *p.RecordingS3Prefix, grace)
	}
	_, files := recorded(t, s, *original.RecordingS3Prefix)
	maps.DeleteFunc(files, func(key string, _ int64) bool { return strings.HasPrefix(key, "media/thumbnails/high/") })
	if diff := cmp.Diff([]string{"events/recording-ended.json", "events/recording-started.json", "media/latest_thumbnail/high/thumb.jpg"},
		slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("thumbnails alone: %s", diff)
	}
	// Nothing else is there, wherever names tried to lead, but what is being written before it gets its name.
	top, err := fs.Glob(os.DirFS(filepath.Join(s.DataDir, "objects")), "*/*")
	top = slices.DeleteFunc(top, func(path string) bool { return strings.HasPrefix(path, ".incoming/") })
	slices.Sort(top)
	want := []string{bucket + "/" + id(*all.Arn), bucket + "/" + id(*home.Arn)}
	slices.Sort(want)
	if diff := cmp.Diff(want, top); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// withoutReplicas has a stage record no replicas. The SDK's type has no way to say so: it leaves a false out, and the default is
// true.
func withoutReplicas(o *ivsrealtime.Options) {
	o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
		return s.Build.Add(middleware.BuildMiddlewareFunc("without replicas", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (out middleware.BuildOutput, m middleware.Metadata, err error) {
			request := in.Request.(*smithyhttp.Request)
			body, err := io.ReadAll(request.GetStream())
			if err == nil {
				const member = `"autoParticipantRecordingConfiguration":{`
				in.Request, err = request.SetStream(strings.NewReader(strings.Replace(string(body), member, member+`"recordParticipantReplicas":false,`, 1)))
			}
			if err != nil {
				return out, m, err
			}
			return next.HandleBuild(ctx, in)
		}), middleware.Before)
	})
}

// participants are those of a stage's newest session, by user id.
func participants(t *testing.T, s *harness.Server, stage *types.Stage) map[string]types.Participant {
	t.Helper()
	sessions, err := s.RealTime.ListStageSessions(t.Context(), &ivsrealtime.ListStageSessionsInput{StageArn: stage.Arn})
	if err != nil || len(sessions.StageSessions) == 0 {
		t.Fatalf("list-stage-sessions: %v", err)
	}
	session := sessions.StageSessions[0].SessionId
	list, err := s.RealTime.ListParticipants(t.Context(), &ivsrealtime.ListParticipantsInput{StageArn: stage.Arn, SessionId: session})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]types.Participant{}
	for _, p := range list.Participants {
		out, err := s.RealTime.GetParticipant(t.Context(), &ivsrealtime.GetParticipantInput{StageArn: stage.Arn, SessionId: session, ParticipantId: p.ParticipantId})
		if err != nil {
			t.Fatal(err)
		}
		all[*p.UserId] = *out.Participant
	}
	return all
}

// keysLike are the files below a prefix that match a pattern.
func keysLike(t *testing.T, s *harness.Server, prefix, pattern string) []string {
	t.Helper()
	names, err := fs.Glob(os.DirFS(filepath.Join(s.DataDir, "objects", bucket, filepath.FromSlash(prefix))), pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// judgeThumbnails finds one participant in all thumbnails of a recording, which are numbered from 1 and as large as the
// picture that was sent. Each is of a later moment than the one before; the latest one is the last.
func judgeThumbnails(t *testing.T, s *harness.Server, prefix string, index int) {
	t.Helper()
	dir, _ := recorded(t, s, prefix)
	read := func(name string) (timeMS int64) {
		t.Helper()
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		picture, kind, err := image.Decode(f)
		if err != nil || kind != "jpeg" || picture.Bounds() != image.Rect(0, 0, 640, 360) {
			t.Fatalf("%s: %v, a %s", name, err, kind)
		}
		who, at, ok := judge.ReadStrip(picture, picture.Bounds())
		if !ok || who != index {
			t.Errorf("%s shows participant %d, %v", name, who, ok)
		}
		return at
	}
	last := int64(0)
	for i := range keysLike(t, s, prefix, "media/thumbnails/high/*.jpg") {
		at := read(fmt.Sprintf("media/thumbnails/high/%d.jpg", i+1))
		if at <= last {
			t.Errorf("thumbnail %d is of %d ms, the one before of %d ms", i+1, at, last)
		}
		last = at
	}
	if at := read("media/latest_thumbnail/high/thumb.jpg"); at != last {
		t.Errorf("the latest thumbnail is of %d ms, the last one of %d ms", at, last)
	}
}
