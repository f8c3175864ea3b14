package api_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
)

const (
	channelARN = "arn:aws:ivs:us-east-1:000000000000:channel/abcdEFGH1234"
	stageARN   = "arn:aws:ivs:us-east-1:000000000000:stage/abcdEFGH1234"
	encoderARN = "arn:aws:ivs:us-east-1:000000000000:encoder-configuration/abcdEFGH1234"
)

func TestValidRequests(t *testing.T) {
	for name, in := range map[string]api.Input{
		"nothing":        &ivs.CreateChannelRequest{},
		"empty values":   &ivs.CreateChannelRequest{Name: new(""), RecordingConfigurationArn: new(""), Tags: map[string]string{}},
		"odd tags":       &ivs.TagResourceRequest{ResourceArn: new(channelARN), Tags: map[string]string{"naïve key_.:/=+-@": ""}},
		"tag operations": &ivsrealtime.UntagResourceRequest{ResourceArn: new(stageARN), TagKeys: []string{"a"}},
		"composition": &ivsrealtime.StartCompositionRequest{StageArn: new(stageARN), IdempotencyToken: new("a-b_c"),
			Destinations: []ivsrealtime.DestinationConfiguration{{Channel: &ivsrealtime.ChannelDestinationConfiguration{
				ChannelArn: new(channelARN), EncoderConfigurationArn: new(encoderARN)}}}},
		"encoder": &ivsrealtime.CreateEncoderConfigurationRequest{Video: &ivsrealtime.Video{
			Width: new(int32(1280)), Height: new(int32(720)), Framerate: new(29.97), Bitrate: new(int32(2500000))}},
		"bounds": &ivsrealtime.ListStagesRequest{MaxResults: new(int32(100)), NextToken: new("Aa0+/=_-")},
		"longest name, in characters": &ivsrealtime.DisconnectParticipantRequest{StageArn: new(stageARN),
			ParticipantId: new("p"), Reason: new(strings.Repeat("é", 128))},
		"public key": &ivsrealtime.ImportPublicKeyRequest{
			PublicKeyMaterial: new("-----BEGIN PUBLIC KEY-----\nAAAA\nBBBB\n-----END PUBLIC KEY-----\n")},
	} {
		if err := in.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInvalidRequests(t *testing.T) {
	long := strings.Repeat("a", 129)
	destination := func(edit func(*ivsrealtime.ChannelDestinationConfiguration)) api.Input {
		c := &ivsrealtime.ChannelDestinationConfiguration{ChannelArn: new(channelARN)}
		edit(c)
		return &ivsrealtime.StartCompositionRequest{StageArn: new(stageARN), Destinations: []ivsrealtime.DestinationConfiguration{{Channel: c}}}
	}
	for _, c := range []struct {
		in   api.Input
		want string
	}{
		{&ivs.GetChannelRequest{}, "1 validation error detected: Value null at 'arn' failed to satisfy constraint: Member must not be null"},
		{&ivs.GetChannelRequest{Arn: new("")}, "Value '' at 'arn' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{&ivs.GetChannelRequest{Arn: new(stageARN)}, "Member must satisfy regular expression pattern: arn:aws:ivs:[a-z0-9-]+:[0-9]+:channel/[a-zA-Z0-9-]+"},
		{&ivs.GetChannelRequest{Arn: new("x" + channelARN)}, "pattern"},
		{&ivs.GetChannelRequest{Arn: new(channelARN + "\n")}, "pattern"},
		{&ivs.CreateChannelRequest{Name: &long}, "at 'name' failed to satisfy constraint: Member must have length less than or equal to 128"},
		{&ivs.CreateChannelRequest{Name: new("no spaces")}, "Value 'no spaces' at 'name'"},
		{&ivs.CreateChannelRequest{Type: new("standard")}, "Value 'standard' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [BASIC, STANDARD, ADVANCED_SD, ADVANCED_HD]"},
		{&ivs.CreateChannelRequest{RecordingConfigurationArn: new(" ")}, "'recordingConfigurationArn'"},
		{&ivs.CreateChannelRequest{Name: new("a b"), Type: new("x")}, "2 validation errors detected: Value 'a b' at 'name'"},
		{&ivs.CreateChannelRequest{Tags: map[string]string{"": "v"}}, "at 'tags.key'"},
		{&ivs.CreateChannelRequest{Tags: map[string]string{"k": "<"}}, "Value '<' at 'tags.k.value'"},
		{&ivs.CreateChannelRequest{Tags: many(51)}, "at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50"},
		{&ivs.BatchGetChannelRequest{Arns: []string{}}, "at 'arns' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{&ivs.BatchGetChannelRequest{Arns: []string{channelARN, "x"}}, "Value 'x' at 'arns.2.member'"},
		{&ivs.PutMetadataRequest{ChannelArn: new(channelARN), Metadata: new("")}, "Value at 'metadata'"},
		{&ivs.ListChannelsRequest{MaxResults: new(int32(101))}, "Value '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100"},
		{&ivs.ListChannelsRequest{MaxResults: new(int32(0))}, "Member must have value greater than or equal to 1"},
		{&ivs.ListChannelsRequest{NextToken: new("a b")}, "'nextToken'"},
		{&ivs.InsertAdBreakRequest{ChannelArn: new(channelARN), DurationSeconds: new(int32(301))}, "'durationSeconds'"},
		{&ivsrealtime.CreateEncoderConfigurationRequest{Video: &ivsrealtime.Video{Framerate: new(60.5)}}, "Value '60.5' at 'video.framerate'"},
		{&ivsrealtime.CreateEncoderConfigurationRequest{Video: &ivsrealtime.Video{Width: new(int32(1))}}, "'video.width'"},
		{&ivsrealtime.StartCompositionRequest{StageArn: new(stageARN)}, "Value null at 'destinations'"},
		{destination(func(c *ivsrealtime.ChannelDestinationConfiguration) { c.ChannelArn = nil }), "Value null at 'destinations.1.member.channel.channelArn'"},
		{destination(func(c *ivsrealtime.ChannelDestinationConfiguration) { c.EncoderConfigurationArn = new("x") }), "'destinations.1.member.channel.encoderConfigurationArn'"},
		{&ivsrealtime.CreateParticipantTokenRequest{StageArn: new(stageARN), Duration: new(int32(20161))}, "'duration'"},
		{&ivsrealtime.CreateParticipantTokenRequest{StageArn: new(stageARN), Capabilities: []string{"FLY"}}, "'capabilities.1.member'"},
		{&ivsrealtime.ImportPublicKeyRequest{PublicKeyMaterial: new("no PEM")}, "'publicKeyMaterial'"},
		{&ivs.ListTagsForResourceRequest{ResourceArn: &long}, "'resourceArn'"},
	} {
		var e *api.Error
		if err := c.in.Validate(); !errors.As(err, &e) || e.Code != "ValidationException" || !strings.Contains(e.Message, c.want) {
			t.Errorf("%T: %v, want %q", c.in, err, c.want)
		}
	}
}

func many(n int) map[string]string {
	m := map[string]string{}
	for i := range n {
		m[strings.Repeat("k", i+1)] = "v"
	}
	return m
}
