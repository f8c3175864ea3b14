package test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivs"
	ivstypes "github.com/aws/aws-sdk-go-v2/service/ivs/types"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/objectstore/s3test"
	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/harness"
)

// TestBucketGone takes the bucket away before anything is recorded: a participant's recording, a composition's and a channel's
// fail and say why, and all three are live all the same.
func TestBucketGone(t *testing.T) {
	store := s3test.Start(t)
	store.MakeBucket(t, bucket)
	s := harness.StartServer(t, "--storage", store.URL())
	encoder := s.CreateEncoder(1280, 720, 15, 1_000_000)
	tape := recordTo(s, t, encoder)
	config, err := s.IVS.CreateRecordingConfiguration(t.Context(), &ivs.CreateRecordingConfigurationInput{
		DestinationConfiguration: &ivstypes.DestinationConfiguration{S3: &ivstypes.S3DestinationConfiguration{BucketName: new(bucket)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	channel, err := s.IVS.CreateChannel(t.Context(), &ivs.CreateChannelInput{RecordingConfigurationArn: config.RecordingConfiguration.Arn})
	if err != nil {
		t.Fatal(err)
	}
	created, err := s.RealTime.CreateStage(t.Context(), &ivsrealtime.CreateStageInput{AutoParticipantRecordingConfiguration: &types.AutoParticipantRecordingConfiguration{
		StorageConfigurationArn: tape.S3.StorageConfigurationArn,
	}})
	if err != nil {
		t.Fatal(err)
	}
	stage := created.Stage
	store.RemoveBucket(t, bucket)

	s.Publish(stage, ada, "Ada", func(p *synth.Publisher) { p.FrameRate = 15 })
	harness.Eventually(t, 30*time.Second, "Ada's recording fails", func(context.Context) error {
		sessions, err := s.RealTime.ListStageSessions(t.Context(), &ivsrealtime.ListStageSessionsInput{StageArn: stage.Arn})
		if err != nil || len(sessions.StageSessions) == 0 {
			return fmt.Errorf("no session: %w", err)
		}
		if p := participants(t, s, stage)["Ada"]; p.RecordingState != types.ParticipantRecordingStateFailed {
			return fmt.Errorf("it is %s", p.RecordingState)
		}
		return nil
	})
	c := compose(s, t, stage, types.DestinationConfiguration{Channel: &types.ChannelDestinationConfiguration{
		ChannelArn: channel.Channel.Arn, EncoderConfigurationArn: &encoder,
	}}, tape)
	harness.Eventually(t, 45*time.Second, "the recording fails, the channel does not", func(ctx context.Context) error {
		out, err := s.RealTime.GetComposition(ctx, &ivsrealtime.GetCompositionInput{Arn: c.Arn})
		if err != nil {
			return err
		}
		d := out.Composition.Destinations
		if out.Composition.State != types.CompositionStateActive || d[0].State != types.DestinationStateActive || d[1].State != types.DestinationStateFailed {
			return fmt.Errorf("%s to %s and %s", out.Composition.State, d[0].State, d[1].State)
		}
		return nil
	})
	harness.WaitPlayable(t, *channel.Channel.PlaybackUrl)
	stopComposition(t, s, c.Arn)
	for resource, want := range map[string][]string{
		*stage.Arn:           {`"event_name":"Recording Start Failure"`, `"error_code":"ResourceNotFoundException"`},
		*c.Arn:               {`"event_name":"Destination Failure"`, `"error_code":"ResourceNotFoundException"`, "S3 bucket not found"},
		*channel.Channel.Arn: {`"recording_status":"Recording Start Failure"`, "there is no such bucket"},
	} {
		waitTold(t, s, resource, want...)
	}
}
