package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ivs"
	ivstypes "github.com/aws/aws-sdk-go-v2/service/ivs/types"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/synth"
)

// CreateChannel makes a channel and fails the test when it cannot. change, when given, adjusts it before.
func (s *Server) CreateChannel(name string, change ...func(*ivs.CreateChannelInput)) *ivstypes.Channel {
	s.t.Helper()
	in := &ivs.CreateChannelInput{Name: &name}
	for _, f := range change {
		f(in)
	}
	out, err := s.IVS.CreateChannel(context.Background(), in)
	if err != nil {
		s.t.Fatalf("create-channel: %v", err)
	}
	return out.Channel
}

// FragmentedMP4 is a change for CreateChannel.
func FragmentedMP4(in *ivs.CreateChannelInput) {
	in.ContainerFormat = ivstypes.ContainerFormatFragmentedMP4
}

// CreateStage makes a stage and fails the test when it cannot.
func (s *Server) CreateStage(name string) *types.Stage {
	s.t.Helper()
	out, err := s.RealTime.CreateStage(context.Background(), &ivsrealtime.CreateStageInput{Name: &name})
	if err != nil {
		s.t.Fatalf("create-stage: %v", err)
	}
	return out.Stage
}

// CreateEncoder makes an encoder configuration and returns its ARN.
func (s *Server) CreateEncoder(width, height int32, frameRate float32, bitRate int32) string {
	s.t.Helper()
	out, err := s.RealTime.CreateEncoderConfiguration(context.Background(), &ivsrealtime.CreateEncoderConfigurationInput{
		Video: &types.Video{Width: &width, Height: &height, Framerate: &frameRate, Bitrate: &bitRate},
	})
	if err != nil {
		s.t.Fatalf("create-encoder-configuration: %v", err)
	}
	return *out.EncoderConfiguration.Arn
}

// Token makes a participant token with all capabilities and the attribute username, and more attributes if given.
func (s *Server) Token(stage *types.Stage, user string, more ...map[string]string) string {
	s.t.Helper()
	attributes := map[string]string{"username": user}
	for _, m := range more {
		maps.Copy(attributes, m)
	}
	out, err := s.RealTime.CreateParticipantToken(context.Background(), &ivsrealtime.CreateParticipantTokenInput{
		StageArn: stage.Arn, UserId: &user, Attributes: attributes,
	})
	if err != nil {
		s.t.Fatalf("create-participant-token: %v", err)
	}
	return *out.ParticipantToken.Token
}

// StartComposition composes a stage onto a channel. change, when given, adjusts the request.
func (s *Server) StartComposition(stage *types.Stage, channel *ivstypes.Channel, encoder string, change ...func(*ivsrealtime.StartCompositionInput)) *types.Composition {
	s.t.Helper()
	destination := &types.ChannelDestinationConfiguration{ChannelArn: channel.Arn}
	if encoder != "" {
		destination.EncoderConfigurationArn = &encoder
	}
	in := &ivsrealtime.StartCompositionInput{StageArn: stage.Arn, Destinations: []types.DestinationConfiguration{{Channel: destination}}}
	for _, f := range change {
		f(in)
	}
	out, err := s.RealTime.StartComposition(context.Background(), in)
	if err != nil {
		s.t.Fatalf("start-composition: %v", err)
	}
	return out.Composition
}

// WaitComposition waits until a composition has a state.
func (s *Server) WaitComposition(arn *string, want types.CompositionState) {
	s.t.Helper()
	Eventually(s.t, time.Minute, fmt.Sprintf("composition becomes %s", want), func(ctx context.Context) error {
		out, err := s.RealTime.GetComposition(ctx, &ivsrealtime.GetCompositionInput{Arn: arn})
		if err != nil {
			return err
		}
		if out.Composition.State != want {
			return fmt.Errorf("it is %s: %s", out.Composition.State, JSON(out.Composition.Destinations))
		}
		return nil
	})
}

// MissedFrames is how many pictures a running composition says that its machine was too slow for. What is missing of these
// is missing for nobody's fault.
func (s *Server) MissedFrames(arn string) int {
	s.t.Helper()
	var got struct {
		Measurements struct{ MissedFrames int } `json:"measurements"`
	}
	if err := json.Unmarshal(s.Call("GET", "compositions/"+path.Base(arn), "", nil), &got); err != nil {
		s.t.Fatal(err)
	}
	return got.Measurements.MissedFrames
}

// WaitPublishing waits until n participants of a stage publish.
func (s *Server) WaitPublishing(stage *types.Stage, n int) {
	s.t.Helper()
	Eventually(s.t, time.Minute, fmt.Sprintf("%d participants publish", n), func(ctx context.Context) error {
		got, err := s.RealTime.GetStage(ctx, &ivsrealtime.GetStageInput{Arn: stage.Arn})
		if err != nil {
			return err
		}
		if aws.ToString(got.Stage.ActiveSessionId) == "" {
			return fmt.Errorf("no session")
		}
		list, err := s.RealTime.ListParticipants(ctx, &ivsrealtime.ListParticipantsInput{
			StageArn: stage.Arn, SessionId: got.Stage.ActiveSessionId, FilterByState: types.ParticipantStateConnected,
		})
		if err != nil {
			return err
		}
		publishing := 0
		for _, p := range list.Participants {
			if p.Published {
				publishing++
			}
		}
		if publishing != n {
			return fmt.Errorf("%d publish", publishing)
		}
		return nil
	})
}

// Publish starts a synthetic participant with the picture and sound of the given index, in this process.
// It ends with the test. change, when given, adjusts it before the start.
func (s *Server) Publish(stage *types.Stage, index int, name string, change ...func(*synth.Publisher)) *synth.Publisher {
	s.t.Helper()
	p := &synth.Publisher{WHIPURL: s.URL + "/whip", Token: s.Token(stage, name), Name: name, Index: index}
	for _, f := range change {
		f(p)
	}
	if err := p.Start(context.Background()); err != nil {
		s.t.Fatalf("publish %s: %v", name, err)
	}
	s.t.Cleanup(func() { p.Close() })
	return p
}

// Root is the top folder of the repository.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// WaitDestination waits until the only destination of a composition has a state.
func (s *Server) WaitDestination(arn *string, want types.DestinationState) {
	s.t.Helper()
	Eventually(s.t, time.Minute, fmt.Sprintf("destination becomes %s", want), func(ctx context.Context) error {
		out, err := s.RealTime.GetComposition(ctx, &ivsrealtime.GetCompositionInput{Arn: arn})
		if err != nil {
			return err
		}
		if got := out.Composition.Destinations[0].State; got != want {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
}
