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

	"github.com/footlight-live/footlight/internal/channel"
)

func streamID(c string) string { return "st-" + strings.Repeat(c, 23) }

func TestStreams(t *testing.T) {
	f := start(t)
	began := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var names []string
	for i, health := range []channel.Health{channel.Healthy, channel.Starving, channel.Healthy} {
		name := text(t, f.must(t, "CreateChannel", `{}`), "channel", "arn")
		names = append(names, name)
		f.streams.set(channel.Stream{ChannelARN: name, ID: streamID(fmt.Sprint(i)), StartTime: began.Add(time.Duration(i) * time.Second), Health: health, ViewerCount: i})
	}
	offline := text(t, f.must(t, "CreateChannel", `{}`), "channel", "arn")

	_, id, _ := strings.Cut(names[1], "/")
	echo(t, f.must(t, "GetStream", fmt.Sprintf(`{"channelArn":%q}`, names[1])), fmt.Sprintf(`{"stream":{
		"channelArn":%q,"streamId":%q,"playbackUrl":"http://127.0.0.1:4080/api/video/v1/us-east-1.000000000000.channel.%s.m3u8",
		"startTime":"2026-01-01T12:00:01Z","state":"LIVE","health":"STARVING","viewerCount":1}}`, names[1], streamID("1"), id))
	echo(t, f.must(t, "ListStreams", `{"filterBy":{"health":"STARVING"}}`), fmt.Sprintf(`{"streams":[{
		"channelArn":%q,"streamId":%q,"startTime":"2026-01-01T12:00:01Z","state":"LIVE","health":"STARVING","viewerCount":1}]}`, names[1], streamID("1")))

	var ids []string
	pages := ivssdk.NewListStreamsPaginator(f.ivs, &ivssdk.ListStreamsInput{MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Streams {
			ids = append(ids, *s.StreamId)
		}
	}
	if len(ids) != 3 || ids[0] != streamID("0") || ids[2] != streamID("2") {
		t.Errorf("streams %v", ids)
	}

	_, err := f.ivs.GetStream(t.Context(), &ivssdk.GetStreamInput{ChannelArn: &offline})
	if _, ok := errors.AsType[*ivstypes.ChannelNotBroadcasting](err); !ok {
		t.Errorf("stream of a channel that is not live: %v", err)
	}
	f.refused(t, "StopStream", fmt.Sprintf(`{"channelArn":%q}`, offline), 404, "ChannelNotBroadcasting", offline)
	if _, err := f.ivs.StopStream(t.Context(), &ivssdk.StopStreamInput{ChannelArn: &names[0]}); err != nil {
		t.Fatal(err)
	}
	f.refused(t, "StopStream", fmt.Sprintf(`{"channelArn":%q}`, names[0]), 404, "ChannelNotBroadcasting", names[0])
	if len(f.streams.stopped) != 1 || !strings.HasPrefix(f.streams.stopped[0], names[0]) {
		t.Errorf("stopped %q", f.streams.stopped)
	}
}

func TestStreamSessions(t *testing.T) {
	f := start(t)
	created := f.must(t, "CreateChannel", `{"name":"before"}`)
	name := text(t, created, "channel", "arn")
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	observe := func(s channel.Stream, kinds ...channel.EventKind) {
		for _, kind := range kinds {
			now = now.Add(time.Second)
			f.StreamObserver().Observe(channel.Event{Kind: kind, Time: now, Stream: s})
		}
	}
	first := channel.Stream{ChannelARN: name, ID: streamID("a"), StartTime: now}
	observe(first, channel.SessionCreated)
	f.must(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,"name":"after"}`, name))
	first.Video = &channel.VideoInfo{Codec: "avc1.42C028", Profile: "Baseline", Level: "4.0", Width: 1280, Height: 720, FrameRate: 29.97, BitRate: 2_500_000, Encoder: "obs"}
	first.Audio = &channel.AudioInfo{Codec: "mp4a.40.2", SampleRate: 48000, Channels: 2, BitRate: 160_000}
	observe(first, channel.StreamStart, channel.StreamEnd, channel.SessionEnded)

	video := `"codec":"avc1.42C028","encoder":"obs","targetBitrate":2500000,"targetFramerate":30,"videoWidth":1280,"videoHeight":720,"level":"4.0","profile":"Baseline","track":"Track0"`
	audio := `{"codec":"mp4a.40.2","targetBitrate":160000,"sampleRate":48000,"channels":2,"track":"Track0"}`
	event := func(name string, second int) string {
		return fmt.Sprintf(`{"name":%q,"type":"IVS Stream State Change","eventTime":"2026-01-01T12:00:0%dZ"}`, name, second)
	}
	golden := fmt.Sprintf(`{"streamSession":{"streamId":%q,"startTime":"2026-01-01T12:00:00Z","endTime":"2026-01-01T12:00:04Z","channel":%s,
		"ingestConfiguration":{"video":{"avcProfile":"Baseline","avcLevel":"4.0",%s},"audio":%s},
		"ingestConfigurations":{"videoConfigurations":[{"avcProfile":"","avcLevel":"",%s}],"audioConfigurations":[%s]},
		"truncatedEvents":[%s,%s,%s,%s]}}`, streamID("a"), fill(goldenChannel, name, "before"), video, audio, video, audio,
		event("Session Ended", 4), event("Stream End", 3), event("Stream Start", 2), event("Session Created", 1))
	echo(t, f.must(t, "GetStreamSession", fmt.Sprintf(`{"channelArn":%q}`, name)), golden)

	second := channel.Stream{ChannelARN: name, ID: streamID("b"), StartTime: now.Add(time.Second)}
	observe(second, channel.SessionCreated, channel.StreamStart)
	echo(t, f.must(t, "GetStreamSession", fmt.Sprintf(`{"channelArn":%q,"streamId":%q}`, name, streamID("a"))), golden)
	echo(t, f.must(t, "ListStreamSessions", fmt.Sprintf(`{"channelArn":%q}`, name)), fmt.Sprintf(`{"streamSessions":[
		{"streamId":%q,"startTime":"2026-01-01T12:00:05Z","hasErrorEvent":false},
		{"streamId":%q,"startTime":"2026-01-01T12:00:00Z","endTime":"2026-01-01T12:00:04Z","hasErrorEvent":false}]}`, streamID("b"), streamID("a")))
	// What the media is becomes known while the stream is live, between two events.
	second.Video = first.Video
	f.streams.set(second)
	live, err := f.ivs.GetStreamSession(t.Context(), &ivssdk.GetStreamSessionInput{ChannelArn: &name})
	if err != nil || *live.StreamSession.StreamId != streamID("b") || live.StreamSession.EndTime != nil ||
		len(live.StreamSession.IngestConfigurations.VideoConfigurations) != 1 || len(live.StreamSession.TruncatedEvents) != 2 {
		t.Errorf("live session %+v, %v", live, err)
	}

	// Several tracks are shown each, by their numbers; the single-track view has the largest.
	small := *first.Video
	small.Track, small.Width, small.Height = 1, 640, 360
	second.Tracks = []channel.VideoInfo{*first.Video, small}
	f.streams.set(second)
	live, err = f.ivs.GetStreamSession(t.Context(), &ivssdk.GetStreamSessionInput{ChannelArn: &name})
	if v := live.StreamSession.IngestConfigurations.VideoConfigurations; err != nil || len(v) != 2 ||
		*v[0].Track != "Track0" || v[0].VideoHeight != 720 || *v[1].Track != "Track1" || v[1].VideoHeight != 360 ||
		live.StreamSession.IngestConfiguration.Video.VideoHeight != 720 {
		t.Errorf("tracks %+v, %v", v, err)
	}

	before := time.Now().Truncate(time.Millisecond)
	f.restart(t)
	ended, err := f.ivs.GetStreamSession(t.Context(), &ivssdk.GetStreamSessionInput{ChannelArn: &name})
	if err != nil || ended.StreamSession.EndTime == nil || ended.StreamSession.EndTime.Before(before) {
		t.Fatalf("session after a restart %+v, %v", ended, err)
	}
	var names []string
	for _, e := range ended.StreamSession.TruncatedEvents {
		names = append(names, *e.Name)
	}
	if got := strings.Join(names, ", "); got != "Session Ended, Stream End, Stream Start, Session Created" {
		t.Errorf("events after a restart: %s", got)
	}
	// The session that had ended stays as it was.
	echo(t, f.must(t, "GetStreamSession", fmt.Sprintf(`{"channelArn":%q,"streamId":%q}`, name, streamID("a"))), golden)
}

// TestStreamOfDeletedChannel: a publisher whose key was resolved just before the channel was deleted.
func TestStreamOfDeletedChannel(t *testing.T) {
	f := start(t)
	name := text(t, f.must(t, "CreateChannel", `{}`), "channel", "arn")
	f.must(t, "DeleteChannel", fmt.Sprintf(`{"arn":%q}`, name))
	s := channel.Stream{ChannelARN: name, ID: streamID("a"), StartTime: time.Now()}
	f.streams.set(s)
	f.StreamObserver().Observe(channel.Event{Kind: channel.SessionCreated, Time: time.Now(), Stream: s})
	f.noOrphans(t)
	if len(f.streams.stopped) != 1 {
		t.Errorf("stopped %q", f.streams.stopped)
	}
}

func TestEventsAreTruncated(t *testing.T) {
	var s streamSessionRecord
	for i := range maxStreamEvents + 7 {
		s.add(streamEventRecord{Name: string(channel.StarvationStart), Time: time.Unix(int64(i), 0)})
	}
	if len(s.Events) != maxStreamEvents || s.Events[0].Time != time.Unix(7, 0) {
		t.Errorf("%d events from %s", len(s.Events), s.Events[0].Time)
	}
}

// TestFailuresOfSessions: what failed is in the events with its code, and marks the session.
func TestFailuresOfSessions(t *testing.T) {
	for _, c := range []struct {
		event  channel.Event
		group  string
		failed bool
	}{
		{channel.Event{Kind: channel.StarvationStart}, "IVS Stream Health Change", false},
		{channel.Event{Kind: channel.StreamTakeover}, "IVS Stream State Change", false},
		{channel.Event{Kind: channel.StreamTakeoverFailure, Code: "StreamTakeoverMediaMismatch"}, "IVS Stream State Change", true},
		{channel.Event{Kind: channel.IngestBitrate, Breach: &channel.Breach{Limit: channel.IngestBitrate, Value: 8_500_000, ExceededBy: 1, Unit: "bits per second"}}, "IVS Limit Breach", true},
	} {
		t.Run(string(c.event.Kind), func(t *testing.T) {
			f := start(t)
			name := text(t, f.must(t, "CreateChannel", `{}`), "channel", "arn")
			c.event.Stream = channel.Stream{ChannelARN: name, ID: streamID("a"), StartTime: time.Now()}
			c.event.Time = time.Date(2026, 1, 1, 12, 0, 1, 0, time.UTC)
			f.StreamObserver().Observe(channel.Event{Kind: channel.SessionCreated, Time: c.event.Time.Add(-time.Second), Stream: c.event.Stream})
			f.StreamObserver().Observe(c.event)
			session := f.must(t, "GetStreamSession", fmt.Sprintf(`{"channelArn":%q}`, name))["streamSession"].(map[string]any)
			got := session["truncatedEvents"].([]any)[0].(map[string]any)
			if got["name"] != string(c.event.Kind) || got["type"] != c.group || got["eventTime"] != "2026-01-01T12:00:01Z" || (got["code"] == nil) != (c.event.Code == "") || c.event.Code != "" && got["code"] != c.event.Code {
				t.Errorf("event %v", got)
			}
			listed := f.must(t, "ListStreamSessions", fmt.Sprintf(`{"channelArn":%q}`, name))["streamSessions"].([]any)[0].(map[string]any)
			if listed["hasErrorEvent"] != c.failed {
				t.Errorf("session %v", listed)
			}
		})
	}
}
