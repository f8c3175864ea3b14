package control

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ivssdk "github.com/aws/aws-sdk-go-v2/service/ivs"
	ivstypes "github.com/aws/aws-sdk-go-v2/service/ivs/types"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/transcode/ladder"
)

// goldenChannel is a channel as CreateChannel answers without any parameter (spec/lowlatency.md §1).
const goldenChannel = `{
	"arn": "<arn>", "name": "<name>", "latencyMode": "LOW", "type": "STANDARD",
	"recordingConfigurationArn": "", "playbackRestrictionPolicyArn": "", "adConfigurationArn": "", "preset": "",
	"authorized": false, "insecureIngest": false, "tags": {}, "containerFormat": "TS",
	"multitrackInputConfiguration": {"enabled": false, "maximumResolution": "FULL_HD", "policy": "ALLOW"},
	"ingestEndpoint": "127.0.0.1:1936",
	"playbackUrl": "http://127.0.0.1:4080/api/video/v1/us-east-1.000000000000.channel.<id>.m3u8"
}`

const goldenChannelSummary = `{
	"arn": "<arn>", "name": "<name>", "latencyMode": "LOW", "type": "STANDARD",
	"recordingConfigurationArn": "", "playbackRestrictionPolicyArn": "", "adConfigurationArn": "", "preset": "",
	"authorized": false, "insecureIngest": false, "tags": {}
}`

func fill(golden, resource, name string) string {
	_, id, _ := strings.Cut(resource, "/")
	return strings.NewReplacer("<arn>", resource, "<name>", name, "<id>", id).Replace(golden)
}

func TestChannelEcho(t *testing.T) {
	f := start(t)
	out := f.must(t, "CreateChannel", `{"name":"my-first-low-latency-channel"}`)
	name := text(t, out, "channel", "arn")
	if a, err := arn.Parse(name); err != nil || a.Account != (arn.Account{Region: "us-east-1", ID: "000000000000"}) || a.Type != arn.Channel || len(a.ID) != 12 {
		t.Errorf("channel arn %s", name)
	}
	golden := fill(goldenChannel, name, "my-first-low-latency-channel")
	key, value := text(t, out, "streamKey", "arn"), text(t, out, "streamKey", "value")
	_, id, _ := strings.Cut(name, "/")
	if !strings.HasPrefix(value, "sk_us-east-1_"+id+"_") || len(value) < len("sk_us-east-1_"+id+"_")+30 {
		t.Errorf("stream key %s", value)
	}
	goldenKey := fmt.Sprintf(`{"arn":%q,"value":%q,"channelArn":%q,"tags":{}}`, key, value, name)
	echo(t, out, fmt.Sprintf(`{"channel":%s,"streamKey":%s}`, golden, goldenKey))
	echo(t, f.must(t, "GetChannel", fmt.Sprintf(`{"arn":%q}`, name)), `{"channel":`+golden+`}`)
	echo(t, f.must(t, "BatchGetChannel", fmt.Sprintf(`{"arns":[%q]}`, name)), `{"channels":[`+golden+`],"errors":[]}`)
	echo(t, f.must(t, "ListChannels", `{}`), `{"channels":[`+fill(goldenChannelSummary, name, "my-first-low-latency-channel")+`]}`)
	echo(t, f.must(t, "GetStreamKey", fmt.Sprintf(`{"arn":%q}`, key)), `{"streamKey":`+goldenKey+`}`)
	echo(t, f.must(t, "BatchGetStreamKey", fmt.Sprintf(`{"arns":[%q]}`, key)), `{"streamKeys":[`+goldenKey+`],"errors":[]}`)
	echo(t, f.must(t, "ListStreamKeys", fmt.Sprintf(`{"channelArn":%q}`, name)), fmt.Sprintf(`{"streamKeys":[{"arn":%q,"channelArn":%q,"tags":{}}]}`, key, name))

	unnamed := f.must(t, "CreateChannel", ``)
	if got := text(t, unnamed, "channel", "name"); got != "" {
		t.Errorf("name %q", got)
	}
}

// TestSRT: the endpoint and the passphrase of a channel, and that the live side is told them.
func TestSRT(t *testing.T) {
	urls := testURLs
	urls.SRTEndpoint = "127.0.0.1:9000"
	f := start(t, func(c *Control) { c.URLs = func() URLs { return urls } })
	out := f.must(t, "CreateChannel", `{"latencyMode":"NORMAL","type":"BASIC","containerFormat":"FRAGMENTED_MP4"}`)
	name, key := text(t, out, "channel", "arn"), text(t, out, "streamKey", "value")
	phrase := text(t, out, "channel", "srt", "passphrase")
	if endpoint := text(t, out, "channel", "srt", "endpoint"); endpoint != "127.0.0.1:9000" || len(phrase) != 64 {
		t.Errorf("endpoint %s, passphrase %s", endpoint, phrase)
	}
	p, err := f.ResolveStreamKey(t.Context(), key)
	if err != nil || p.Passphrase != phrase || p.AllowPlain || !p.Channel.Basic || !p.Channel.NormalLatency || !p.Channel.FragmentedMP4 {
		t.Errorf("%+v, %v", p, err)
	}
	if other := text(t, f.must(t, "CreateChannel", `{}`), "channel", "srt", "passphrase"); other == phrase {
		t.Error("two channels have one passphrase")
	}
	f.down() // and up again
	f.up(t, func(c *Control) { c.URLs = func() URLs { return urls } })
	if again := text(t, f.must(t, "GetChannel", fmt.Sprintf(`{"arn":%q}`, name)), "channel", "srt", "passphrase"); again != phrase {
		t.Error("the passphrase changed")
	}
	insecure := f.must(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,"insecureIngest":true}`, name))
	if got := text(t, insecure, "channel", "srt", "passphrase"); got != "" {
		t.Errorf("a channel without encryption has the passphrase %s", got)
	}
}

// TestChannelParameters gives each accepted parameter another value than its default.
func TestChannelParameters(t *testing.T) {
	f := start(t)
	out, err := f.ivs.CreateChannel(t.Context(), &ivssdk.CreateChannelInput{
		Name: aws.String("n"), Type: ivstypes.ChannelTypeBasicChannelType, LatencyMode: ivstypes.ChannelLatencyModeNormalLatency,
		InsecureIngest: true, ContainerFormat: ivstypes.ContainerFormatFragmentedMP4, Authorized: false,
		RecordingConfigurationArn: aws.String(""), PlaybackRestrictionPolicyArn: aws.String(""), AdConfigurationArn: aws.String(""),
		MultitrackInputConfiguration: &ivstypes.MultitrackInputConfiguration{MaximumResolution: ivstypes.MultitrackMaximumResolutionHd},
		Tags:                         map[string]string{"k": "v"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Channel
	if *c.Name != "n" || c.Type != "BASIC" || c.LatencyMode != "NORMAL" || !c.InsecureIngest || c.ContainerFormat != "FRAGMENTED_MP4" ||
		c.MultitrackInputConfiguration.MaximumResolution != "HD" || c.MultitrackInputConfiguration.Policy != "ALLOW" || c.Tags["k"] != "v" {
		t.Errorf("channel %+v", c)
	}
	p, err := f.ResolveStreamKey(t.Context(), *out.StreamKey.Value)
	if err != nil || !p.AllowPlain || p.Source != "encoder" || p.Channel.ARN != *c.Arn || p.Channel.Name != "n" {
		t.Errorf("resolved %+v, %v", p, err)
	}
	if len(out.StreamKey.Tags) != 0 {
		t.Errorf("the stream key has the channel's tags: %v", out.StreamKey.Tags)
	}
}

// TestMultitrackInput enables it, and changes the channel so that it does not fit any more.
func TestMultitrackInput(t *testing.T) {
	f := start(t)
	created := f.must(t, "CreateChannel", `{"containerFormat":"FRAGMENTED_MP4"}`)
	name := text(t, created, "channel", "arn")
	update := func(members string) string { return fmt.Sprintf(`{"arn":%q,%s}`, name, members) }
	f.must(t, "UpdateChannel", update(`"multitrackInputConfiguration":{"enabled":true,"policy":"REQUIRE","maximumResolution":"HD"}`))
	p, err := f.ResolveStreamKey(t.Context(), text(t, created, "streamKey", "value"))
	if want := (channel.Multitrack{Enabled: true, Required: true, Limit: channel.HD}); err != nil || p.Channel.Multitrack != want {
		t.Errorf("resolved %+v, %v", p.Channel.Multitrack, err)
	}
	f.refused(t, "UpdateChannel", update(`"containerFormat":"TS"`), 400, "ValidationException", "FRAGMENTED_MP4")
	f.refused(t, "UpdateChannel", update(`"type":"BASIC"`), 400, "ValidationException", "STANDARD")
	f.must(t, "UpdateChannel", update(`"multitrackInputConfiguration":{"enabled":false},"containerFormat":"TS"`))
	got := f.must(t, "GetChannel", fmt.Sprintf(`{"arn":%q}`, name))
	if policy := text(t, got, "channel", "multitrackInputConfiguration", "policy"); policy != "REQUIRE" {
		t.Errorf("policy %s", policy)
	}
}

// TestLadderChannel goes through the types that have a ladder, and their presets.
func TestLadderChannel(t *testing.T) {
	f := start(t)
	created := f.must(t, "CreateChannel", `{"type":"ADVANCED_HD"}`)
	name, key := text(t, created, "channel", "arn"), text(t, created, "streamKey", "value")
	for _, c := range []struct {
		change string
		want   channel.Ladder
	}{
		{`"name":"x"`, channel.Ladder{Type: ladder.AdvancedHD, Preset: ladder.HigherBandwidth}},
		{`"preset":"CONSTRAINED_BANDWIDTH_DELIVERY"`, channel.Ladder{Type: ladder.AdvancedHD, Preset: ladder.ConstrainedBandwidth}},
		{`"type":"ADVANCED_SD"`, channel.Ladder{Type: ladder.AdvancedSD, Preset: ladder.ConstrainedBandwidth}},
		{`"type":"STANDARD"`, channel.Ladder{}},
		{`"type":"ADVANCED_SD"`, channel.Ladder{Type: ladder.AdvancedSD, Preset: ladder.HigherBandwidth}},
	} {
		changed := f.must(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,%s}`, name, c.change))
		if preset := text(t, changed, "channel", "preset"); preset != string(c.want.Preset) {
			t.Errorf("%s: preset %q", c.change, preset)
		}
		if p, err := f.ResolveStreamKey(t.Context(), key); err != nil || p.Channel.Ladder != c.want {
			t.Errorf("%s: resolved %+v, %v", c.change, p.Channel.Ladder, err)
		}
	}
	f.refused(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,"type":"STANDARD","preset":"HIGHER_BANDWIDTH_DELIVERY"}`, name), 400, "ValidationException", "preset")
}

func TestChannelRefusals(t *testing.T) {
	f := start(t)
	const v, missing, notBuilt = "ValidationException", "ResourceNotFoundException", "NotImplementedException"
	const unknown = "arn:aws:ivs:us-east-1:000000000000:channel/abcdefghijkl"
	const foreign = "arn:aws:ivs:eu-west-1:111111111111:channel/abcdefghijkl"
	existing := text(t, f.must(t, "CreateChannel", `{}`), "channel", "arn")
	for _, c := range []struct {
		operation, body string
		status          int
		code, words     string
	}{
		{"CreateChannel", `{"recordingConfigurationArn":"arn:aws:ivs:us-east-1:000000000000:recording-configuration/abc"}`, 404, missing, "recording-configuration/abc"},
		{"CreateChannel", `{"playbackRestrictionPolicyArn":"arn:aws:ivs:us-east-1:000000000000:playback-restriction-policy/abc"}`, 404, missing, "playback-restriction-policy/abc"},
		{"CreateChannel", `{"adConfigurationArn":"arn:aws:ivs:us-east-1:000000000000:ad-configuration/abc"}`, 404, missing, "ad-configuration/abc"},
		{"CreateChannel", `{"multitrackInputConfiguration":{"enabled":true,"policy":"ALLOW","maximumResolution":"HD"}}`, 400, v, "FRAGMENTED_MP4"},
		{"CreateChannel", `{"containerFormat":"FRAGMENTED_MP4","type":"BASIC","multitrackInputConfiguration":{"enabled":true,"policy":"ALLOW","maximumResolution":"HD"}}`, 400, v, "STANDARD"},
		{"CreateChannel", `{"containerFormat":"FRAGMENTED_MP4","multitrackInputConfiguration":{"enabled":true,"policy":"ALLOW"}}`, 400, v, "maximumResolution"},
		{"CreateChannel", `{"containerFormat":"FRAGMENTED_MP4","multitrackInputConfiguration":{"enabled":true,"maximumResolution":"HD"}}`, 400, v, "policy"},
		{"UpdateChannel", fmt.Sprintf(`{"arn":%q,"multitrackInputConfiguration":{"enabled":true,"policy":"ALLOW","maximumResolution":"HD"}}`, existing), 400, v, "FRAGMENTED_MP4"},
		{"CreateChannel", `{"type":"ADVANCED_HD","preset":"BEST"}`, 400, v, "preset"},
		{"CreateChannel", `{"type":"BASIC","preset":"CONSTRAINED_BANDWIDTH_DELIVERY"}`, 400, v, "preset"},
		{"CreateChannel", `{"preset":"HIGHER_BANDWIDTH_DELIVERY"}`, 400, v, "preset"},
		{"CreateChannel", `{"name":"no spaces"}`, 400, v, "name"},
		{"CreateChannel", `{"type":"HUGE"}`, 400, v, "HUGE"},
		{"CreateChannel", `{"latencyMode":7}`, 400, v, "latencyMode"},
		{"CreateChannel", `{"tags":{"AWS:x":"y"}}`, 400, v, "reserved"},
		{"UpdateChannel", fmt.Sprintf(`{"arn":%q,"playbackRestrictionPolicyArn":"arn:aws:ivs:eu-west-1:000000000000:playback-restriction-policy/abc"}`, existing), 400, v, "playbackRestrictionPolicyArn"},
		{"UpdateChannel", fmt.Sprintf(`{"arn":%q}`, unknown), 404, missing, "Resource: " + unknown + " not found"},
		{"GetChannel", fmt.Sprintf(`{"arn":%q}`, unknown), 404, missing, "Resource: " + unknown + " not found"},
		{"GetChannel", fmt.Sprintf(`{"arn":%q}`, foreign), 404, missing, "Resource: " + foreign + " not found"},
		{"GetChannel", `{"arn":"arn:aws:ivs:us-east-1:000000000000:stage/abcdefghijkl"}`, 400, v, "arn"},
		{"GetChannel", `{"arn":"nonsense"}`, 400, v, "arn"},
		{"GetChannel", `{}`, 400, v, "arn"},
		{"DeleteChannel", fmt.Sprintf(`{"arn":%q}`, unknown), 404, missing, unknown},
		{"CreateStreamKey", fmt.Sprintf(`{"channelArn":%q}`, unknown), 404, missing, unknown},
		{"CreateStreamKey", fmt.Sprintf(`{"channelArn":%q}`, existing), 402, "ServiceQuotaExceededException", "stream key"},
		{"CreateStreamKey", fmt.Sprintf(`{"channelArn":%q,"tags":{"aws:x":""}}`, existing), 400, v, "reserved"},
		{"ListStreamKeys", fmt.Sprintf(`{"channelArn":%q}`, unknown), 404, missing, unknown},
		{"GetStreamKey", `{"arn":"arn:aws:ivs:us-east-1:000000000000:stream-key/abcdefghijkl"}`, 404, missing, "stream-key/abcdefghijkl"},
		{"DeleteStreamKey", `{"arn":"arn:aws:ivs:us-east-1:000000000000:stream-key/abcdefghijkl"}`, 404, missing, "stream-key/abcdefghijkl"},
		{"GetStream", fmt.Sprintf(`{"channelArn":%q}`, unknown), 404, missing, unknown},
		{"StopStream", fmt.Sprintf(`{"channelArn":%q}`, unknown), 404, missing, unknown},
		{"ListStreamSessions", fmt.Sprintf(`{"channelArn":%q}`, unknown), 404, missing, unknown},
		{"GetStreamSession", fmt.Sprintf(`{"channelArn":%q}`, unknown), 404, missing, unknown},
		{"GetStreamSession", fmt.Sprintf(`{"channelArn":%q}`, existing), 404, missing, "has not been live"},
		{"GetStreamSession", fmt.Sprintf(`{"channelArn":%q,"streamId":"st-abcdefghijklmnopqrstuvw"}`, existing), 404, missing, "st-abcdefghijklmnopqrstuvw"},
		{"ListChannels", `{"filterByName":"a","filterByRecordingConfigurationArn":""}`, 409, "ConflictException", "filter"},
		{"ListChannels", `{"nextToken":"forged"}`, 400, v, "nextToken"},
		{"ListChannels", `{"maxResults":101}`, 400, v, "maxResults"},
		{"ListStreamKeys", fmt.Sprintf(`{"channelArn":%q,"maxResults":51}`, existing), 400, v, "maxResults"},
	} {
		f.refused(t, c.operation, c.body, c.status, c.code, c.words)
	}
	if got := f.must(t, "ListChannels", `{}`); len(at(t, got, "channels").([]any)) != 1 {
		t.Errorf("refused requests left channels: %v", got)
	}
}

func TestBatchGet(t *testing.T) {
	f := start(t)
	created := f.must(t, "CreateChannel", `{}`)
	const unknown = "arn:aws:ivs:us-east-1:000000000000:channel/abcdefghijkl"
	channels, err := f.ivs.BatchGetChannel(t.Context(), &ivssdk.BatchGetChannelInput{Arns: []string{unknown, text(t, created, "channel", "arn")}})
	if err != nil || len(channels.Channels) != 1 || len(channels.Errors) != 1 || *channels.Errors[0].Arn != unknown ||
		*channels.Errors[0].Code != "ResourceNotFoundException" || !strings.Contains(*channels.Errors[0].Message, unknown) {
		t.Errorf("channels %+v, %v", channels, err)
	}
	const unknownKey = "arn:aws:ivs:us-east-1:000000000000:stream-key/abcdefghijkl"
	keys, err := f.ivs.BatchGetStreamKey(t.Context(), &ivssdk.BatchGetStreamKeyInput{Arns: []string{text(t, created, "streamKey", "arn"), unknownKey}})
	if err != nil || len(keys.StreamKeys) != 1 || len(keys.Errors) != 1 || *keys.Errors[0].Arn != unknownKey || *keys.StreamKeys[0].Value == "" {
		t.Errorf("stream keys %+v, %v", keys, err)
	}
}

func TestListChannelsFiltersAndPages(t *testing.T) {
	f := start(t)
	for i := range 7 {
		f.must(t, "CreateChannel", fmt.Sprintf(`{"name":"name-%d"}`, i%2))
	}
	var names []string
	pages := ivssdk.NewListChannelsPaginator(f.ivs, &ivssdk.ListChannelsInput{MaxResults: aws.Int32(3)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Channels {
			names = append(names, *c.Name)
		}
	}
	if got := strings.Join(names, " "); got != "name-0 name-1 name-0 name-1 name-0 name-1 name-0" {
		t.Errorf("pages in order of creation: %s", got)
	}
	byName, err := f.ivs.ListChannels(t.Context(), &ivssdk.ListChannelsInput{FilterByName: aws.String("name-1")})
	if err != nil || len(byName.Channels) != 3 || byName.NextToken != nil {
		t.Errorf("by name: %d, %v", len(byName.Channels), err)
	}
	byRecording, err := f.ivs.ListChannels(t.Context(), &ivssdk.ListChannelsInput{FilterByRecordingConfigurationArn: aws.String("arn:aws:ivs:us-east-1:000000000000:recording-configuration/abc")})
	if err != nil || len(byRecording.Channels) != 0 {
		t.Errorf("by recording configuration: %d, %v", len(byRecording.Channels), err)
	}
	// A token of one list is nothing to another.
	first := f.must(t, "ListChannels", `{"maxResults":1}`)
	f.refused(t, "ListChannels", fmt.Sprintf(`{"maxResults":1,"filterByName":"name-1","nextToken":%q}`, text(t, first, "nextToken")), 400, "ValidationException", "nextToken")
	f.refused(t, "ListStages", fmt.Sprintf(`{"nextToken":%q}`, text(t, first, "nextToken")), 400, "ValidationException", "nextToken")
}

func TestUpdateChannel(t *testing.T) {
	f := start(t)
	name := text(t, f.must(t, "CreateChannel", `{"name":"before","tags":{"a":"b"}}`), "channel", "arn")
	out, err := f.ivs.UpdateChannel(t.Context(), &ivssdk.UpdateChannelInput{Arn: &name, InsecureIngest: true, Type: ivstypes.ChannelTypeBasicChannelType})
	if err != nil {
		t.Fatal(err)
	}
	if *out.Channel.Name != "before" || !out.Channel.InsecureIngest || out.Channel.Type != "BASIC" || out.Channel.Tags["a"] != "b" {
		t.Errorf("updated %+v", out.Channel)
	}
	f.streams.set(channel.Stream{ChannelARN: name, ID: "st-1"})
	f.refused(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,"name":"after"}`, name), 409, "ConflictException", "live")
	f.streams.end(name)
	f.must(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,"name":"after"}`, name))
	if got := text(t, f.must(t, "GetChannel", fmt.Sprintf(`{"arn":%q}`, name)), "channel", "name"); got != "after" {
		t.Errorf("name %q", got)
	}
	if _, err := f.ivs.TagResource(t.Context(), &ivssdk.TagResourceInput{ResourceArn: &name, Tags: map[string]string{"a": "c"}}); err != nil {
		t.Fatal(err)
	}
	list, err := f.ivs.ListChannels(t.Context(), &ivssdk.ListChannelsInput{})
	if err != nil || len(list.Channels) != 1 {
		t.Fatalf("listed %+v, %v", list, err)
	}
	if c := list.Channels[0]; *c.Name != "after" || !c.InsecureIngest || c.Type != "BASIC" || c.Tags["a"] != "c" {
		t.Errorf("listed %+v", c)
	}
}

func TestDeleteChannel(t *testing.T) {
	f := start(t)
	created := f.must(t, "CreateChannel", `{}`)
	name, key := text(t, created, "channel", "arn"), text(t, created, "streamKey", "arn")
	body := fmt.Sprintf(`{"arn":%q}`, name)

	stream := channel.Stream{ChannelARN: name, ID: "st-abcdefghijklmnopqrstuvw", StartTime: time.Now()}
	f.streams.set(stream)
	f.refused(t, "DeleteChannel", body, 409, "ConflictException", "live")
	f.streams.end(name)
	f.StreamObserver().Observe(channel.Event{Kind: channel.SessionCreated, Time: time.Now(), Stream: stream})
	f.compositions.use(arn.Channel, name, true)
	f.refused(t, "DeleteChannel", body, 409, "ConflictException", "composition")
	f.compositions.use(arn.Channel, name, false)

	if _, err := f.ivs.DeleteChannel(t.Context(), &ivssdk.DeleteChannelInput{Arn: &name}); err != nil {
		t.Fatal(err)
	}
	_, err := f.ivs.DeleteChannel(t.Context(), &ivssdk.DeleteChannelInput{Arn: &name})
	if _, ok := errors.AsType[*ivstypes.ResourceNotFoundException](err); !ok {
		t.Errorf("second delete: %v", err)
	}
	f.refused(t, "GetStreamKey", fmt.Sprintf(`{"arn":%q}`, key), 404, "ResourceNotFoundException", key)
	if _, err := f.ResolveStreamKey(t.Context(), text(t, created, "streamKey", "value")); !errors.Is(err, channel.ErrUnknownStreamKey) {
		t.Errorf("the stream key still opens: %v", err)
	}
	f.noOrphans(t)
}

// noOrphans expects that nothing is left once every channel and stage is deleted.
func (f *fixture) noOrphans(t *testing.T) {
	t.Helper()
	f.streamJournal.flush(t.Context())
	f.stageJournal.flush(t.Context())
	count := map[string]int{}
	if l, err := f.streamKeys.List(t.Context(), ""); err != nil || len(l) > 0 {
		count["stream keys"] = len(l)
	}
	if l, err := f.streamSessions.List(t.Context(), ""); err != nil || len(l) > 0 {
		count["stream sessions"] = len(l)
	}
	if l, err := f.stageSessions.List(t.Context(), ""); err != nil || len(l) > 0 {
		count["stage sessions"] = len(l)
	}
	if l, err := f.participants.List(t.Context(), ""); err != nil || len(l) > 0 {
		count["participants"] = len(l)
	}
	if l, err := f.events.List(t.Context(), ""); err != nil || len(l) > 0 {
		count["events"] = len(l)
	}
	if l, err := f.viewerRevocations.List(t.Context(), ""); err != nil || len(l) > 0 {
		count["viewer revocations"] = len(l)
	}
	if l, err := f.revocations.List(t.Context(), ""); err != nil || len(l) > 0 {
		count["revocations"] = len(l)
	}
	if l, err := f.replications.List(t.Context(), ""); err != nil || len(l) > 0 {
		count["replications"] = len(l)
	}
	if len(count) > 0 {
		t.Errorf("left behind: %v", count)
	}
}

func TestChannelQuota(t *testing.T) {
	f := start(t, func(c *Control) { c.Quotas.Channels = 3 })
	for range 3 {
		f.must(t, "CreateChannel", `{}`)
	}
	f.refused(t, "CreateChannel", `{}`, 402, "ServiceQuotaExceededException", "quota of 3 channels")
	list := f.must(t, "ListChannels", `{}`)
	f.must(t, "DeleteChannel", fmt.Sprintf(`{"arn":%q}`, text(t, list, "channels", 0, "arn")))
	f.must(t, "CreateChannel", `{}`)
	if keys, err := f.streamKeys.List(t.Context(), ""); err != nil || len(keys) != 3 {
		t.Errorf("%d stream keys for 3 channels, %v", len(keys), err)
	}
}

func TestStreamKeyReset(t *testing.T) {
	f := start(t)
	created := f.must(t, "CreateChannel", `{}`)
	name, old := text(t, created, "channel", "arn"), text(t, created, "streamKey", "arn")
	f.must(t, "DeleteStreamKey", fmt.Sprintf(`{"arn":%q}`, old))
	f.refused(t, "DeleteStreamKey", fmt.Sprintf(`{"arn":%q}`, old), 404, "ResourceNotFoundException", old)
	echo(t, f.must(t, "ListStreamKeys", fmt.Sprintf(`{"channelArn":%q}`, name)), `{"streamKeys":[]}`)
	if _, err := f.ResolveStreamKey(t.Context(), text(t, created, "streamKey", "value")); !errors.Is(err, channel.ErrUnknownStreamKey) {
		t.Errorf("a deleted key opens: %v", err)
	}
	fresh := f.must(t, "CreateStreamKey", fmt.Sprintf(`{"channelArn":%q,"tags":{"a":"b"}}`, name))
	if p, err := f.ResolveStreamKey(t.Context(), text(t, fresh, "streamKey", "value")); err != nil || p.AllowPlain {
		t.Errorf("the new key: %+v, %v", p, err)
	}
	if text(t, fresh, "streamKey", "arn") == old || text(t, fresh, "streamKey", "tags", "a") != "b" {
		t.Errorf("new key %v", fresh)
	}
	f.must(t, "DeleteChannel", fmt.Sprintf(`{"arn":%q}`, name))
	f.noOrphans(t)
}
