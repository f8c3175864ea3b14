package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/footlight-live/footlight/test/harness"
)

// channels goes through the life of a channel with a real encoder and a player.
func channels(c *check) {
	created := c.do("CreateChannel", M{"name": "live", "insecureIngest": true, "adConfigurationArn": c.Ads})
	arn, channel := M{"arn": str(created, "channel", "arn")}, M{"channelArn": str(created, "channel", "arn")}
	key := M{"arn": str(created, "streamKey", "arn")}
	c.has("the stream key", created["streamKey"], M{"channelArn": str(arn, "arn"), "value": "~sk_us-east-1_[A-Za-z0-9]{12}_.{20,}", "tags": noTags})
	c.is("GetStreamKey", at(c.do("GetStreamKey", key), "streamKey"), created["streamKey"])
	c.is("ListStreamKeys", c.do("ListStreamKeys", channel), M{"streamKeys": []any{M{"arn": str(key, "arn"), "channelArn": str(arn, "arn"), "tags": noTags}}})
	c.pages("ListStreamKeys", channel, "streamKeys", "arn", []string{str(key, "arn")})
	c.shows("effect", "GetStreamKey", "ListStreamKeys")
	c.shows("round trip", "GetStreamKey", "ListStreamKeys")

	batch := c.do("BatchGetChannel", M{"arns": []any{str(arn, "arn"), none("channel"), c.Channel}})
	c.has("BatchGetChannel", batch, M{
		"channels": []any{created["channel"], M{"arn": c.Channel}},
		"errors":   []any{M{"arn": none("channel"), "code": "ResourceNotFoundException", "message": "~.*not found"}}})
	batch = c.do("BatchGetStreamKey", M{"arns": []any{str(key, "arn"), none("stream-key")}})
	c.has("BatchGetStreamKey", batch, M{"streamKeys": []any{created["streamKey"]}, "errors": []any{M{"arn": none("stream-key"), "code": "ResourceNotFoundException"}}})
	c.shows("effect", "BatchGetChannel", "BatchGetStreamKey")
	c.filters(arn)

	for _, name := range []string{"GetStream", "StopStream"} {
		c.refused("ChannelNotBroadcasting", name, channel)
	}
	c.refused("ChannelNotBroadcasting", "PutMetadata", M{"channelArn": str(arn, "arn"), "metadata": "x"})
	c.refused("ChannelNotBroadcasting", "InsertAdBreak", M{"channelArn": str(arn, "arn"), "durationSeconds": 1})
	c.refused("ResourceNotFoundException", "GetStreamSession", channel) // never live
	// Multitrack input goes with STANDARD and FRAGMENTED_MP4, and says all of itself.
	for _, bad := range []M{
		{"multitrackInputConfiguration": M{"enabled": true, "maximumResolution": "HD", "policy": "ALLOW"}},
		{"type": "BASIC", "containerFormat": "FRAGMENTED_MP4", "multitrackInputConfiguration": M{"enabled": true, "maximumResolution": "HD", "policy": "ALLOW"}},
		{"containerFormat": "FRAGMENTED_MP4", "multitrackInputConfiguration": M{"enabled": true}},
		{"preset": "HIGHER_BANDWIDTH_DELIVERY"}, // goes with a ladder only
	} {
		c.refused("ValidationException", "CreateChannel", bad)
		bad["arn"] = str(arn, "arn")
		c.refused("ValidationException", "UpdateChannel", bad)
	}
	for kind, preset := range (M{"BASIC": "", "ADVANCED_SD": "HIGHER_BANDWIDTH_DELIVERY", "ADVANCED_HD": "HIGHER_BANDWIDTH_DELIVERY"}) {
		other := c.do("CreateChannel", M{"type": kind})["channel"]
		c.has("a channel of another type", other, M{"type": kind, "preset": preset})
		c.do("DeleteChannel", M{"arn": at(other, "arn")})
	}

	rtmp := str(c.do("GetStage", M{"arn": c.Stage}), "stage", "endpoints", "rtmp")
	stop := c.encode(c.T, rtmp, str(created, "streamKey", "value"))
	var stream M
	c.eventually("the channel is live", func() (err error) {
		stream, err = c.try("GetStream", channel)
		return err
	})
	playbackURL := str(created, "channel", "playbackUrl")
	c.is("GetStream", stream["stream"], M{"channelArn": str(arn, "arn"), "streamId": "~st-[A-Za-z0-9]{23}", "playbackUrl": playbackURL,
		"startTime": "~2.*Z", "state": "LIVE", "health": "~HEALTHY|STARVING|UNKNOWN", "viewerCount": 0})
	harness.WaitPlayable(c.T, playbackURL)
	variant, err := harness.Variant(c.Context(), playbackURL)
	if err != nil {
		c.Fatal(err)
	}
	c.eventually("the player is counted", func() error {
		if _, err := harness.Get(c.Context(), variant); err != nil {
			return err
		}
		if n := at(c.do("GetStream", channel), "stream", "viewerCount"); canonical(n) != "1" {
			return fmt.Errorf("there are %v viewers", n)
		}
		return nil
	})
	c.packaged(playbackURL, "TS")
	c.shows("effect", "CreateChannel", "GetStream")
	c.listed(arn, str(stream, "stream", "streamId"))
	c.whileLive(arn, key, variant)

	session := M{"channelArn": str(arn, "arn"), "streamId": str(stream, "stream", "streamId")}
	c.eventually("the session knows the media", func() error {
		got := at(c.do("GetStreamSession", session), "streamSession")
		if diff := differ("", got, M{"streamId": session["streamId"], "channel": M{"arn": str(arn, "arn"), "name": "live"},
			"ingestConfigurations": M{"videoConfigurations": []any{M{"videoWidth": 320, "videoHeight": 180, "codec": "~avc1\\..*"}},
				"audioConfigurations": []any{M{"channels": 2, "codec": "mp4a.40.2"}}}}, false); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
	c.is("GetStreamSession without a stream", c.do("GetStreamSession", channel), c.do("GetStreamSession", session))

	c.do("StopStream", channel)
	stop()
	c.eventually("the stream ends", func() error {
		if _, err := c.try("GetStream", channel); err == nil {
			return errors.New("it is live")
		}
		return nil
	})
	c.refused("ChannelNotBroadcasting", "GetStream", channel)
	c.eventually("the session has ended", func() error {
		if diff := differ("", c.do("GetStreamSession", session), M{"streamSession": M{"endTime": "~2.*Z", "truncatedEvents": "~.*Session Ended.*"}}, false); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
	c.told(str(arn, "arn"), "Session Created, Stream Start, Ad Break Inserted, Stream End, Session Ended")
	c.shows("effect", "StopStream", "GetStreamSession")

	c.do("UpdateChannel", M{"arn": str(arn, "arn"), "adConfigurationArn": "", "containerFormat": "FRAGMENTED_MP4"})
	c.secondSession(rtmp, channel, str(created, "streamKey", "value"), str(session, "streamId"), playbackURL)
	c.do("DeleteChannel", arn)
	c.refused("ResourceNotFoundException", "GetStreamSession", session)
	c.shows("effect", "DeleteChannel")
}

// filters lists channels by what they have.
func (c *check) filters(arn M) {
	c.Helper()
	for name, value := range (M{"filterByName": "live", "filterByAdConfigurationArn": c.Ads}) {
		out := c.do("ListChannels", M{name: value})
		if !strings.Contains(canonical(out), str(arn, "arn")) || strings.Contains(canonical(out), c.Channel) {
			c.Errorf("%s: %s", name, canonical(out))
		}
	}
	for _, name := range []string{"filterByRecordingConfigurationArn", "filterByPlaybackRestrictionPolicyArn"} {
		kind := map[bool]string{true: "recording-configuration", false: "playback-restriction-policy"}[strings.Contains(name, "Recording")]
		c.is("ListChannels "+name, c.do("ListChannels", M{name: none(kind)}), M{"channels": []any{}})
	}
	c.refused("ConflictException", "ListChannels", M{"filterByName": "live", "filterByAdConfigurationArn": c.Ads})
}

// listed looks for a live stream in the lists.
func (c *check) listed(arn M, stream string) {
	c.Helper()
	out := c.do("ListStreams", M{})
	found := false
	for _, s := range list(out, "streams") {
		if str(s, "channelArn") == str(arn, "arn") {
			found = true
			c.has("ListStreams", s, M{"streamId": stream, "state": "LIVE", "startTime": "~2.*Z", "viewerCount": "~", "health": "~"})
			filtered := c.do("ListStreams", M{"filterBy": M{"health": str(s, "health")}})
			if !strings.Contains(canonical(filtered), str(arn, "arn")) {
				c.Errorf("ListStreams by health %s does not show the stream", str(s, "health"))
			}
		}
	}
	if !found {
		c.Errorf("ListStreams does not show the stream: %s", canonical(out))
	}
	c.pages("ListStreams", nil, "streams", "channelArn", []string{str(arn, "arn")})
	c.shows("effect", "ListStreams")
	sessions := c.do("ListStreamSessions", M{"channelArn": str(arn, "arn")})
	c.is("ListStreamSessions", sessions, M{"streamSessions": []any{M{"streamId": stream, "startTime": "~2.*Z", "hasErrorEvent": false}}})
	c.shows("effect", "ListStreamSessions")
}

// whileLive does to a live channel what one can, and what one cannot.
func (c *check) whileLive(arn, key M, variant string) {
	c.Helper()
	channel := str(arn, "arn")
	c.refused("ConflictException", "UpdateChannel", M{"arn": channel, "name": "new"})
	c.refused("ConflictException", "DeleteChannel", arn)
	c.refused("ConflictException", "DeleteAdConfiguration", M{"arn": c.Ads})

	text := "goal by " + c.sdk.name()
	c.do("PutMetadata", M{"channelArn": channel, "metadata": text})
	c.refused("ValidationException", "PutMetadata", M{"channelArn": channel, "metadata": strings.Repeat("x", 1025)})
	c.eventually("the metadata is in the media", func() error {
		if !strings.Contains(media(c.Context(), variant), text) {
			return errors.New("it is not")
		}
		return nil
	})
	for range 30 { // 5 a second
		if _, err := c.try("PutMetadata", M{"channelArn": channel, "metadata": "more"}); err != nil {
			break
		}
	}
	c.shows("effect", "PutMetadata")

	adBreak := str(c.do("InsertAdBreak", M{"channelArn": channel, "durationSeconds": 300}), "adBreakId")
	c.is("the id of the ad break", adBreak, "~[A-Za-z0-9]{12}")
	c.eventually("the ad break is in the playlist", func() error {
		playlist, err := harness.Get(c.Context(), variant)
		if err == nil && !strings.Contains(playlist, "PLANNED-DURATION=300") {
			err = errors.New("it is not")
		}
		return err
	})
	c.eventually("another ad break is a conflict", func() error { // once the rate allows to ask
		_, err := c.try("InsertAdBreak", M{"channelArn": channel, "durationSeconds": 1})
		if f, ok := errors.AsType[*failure](err); !ok || f.Code != "ConflictException" {
			return fmt.Errorf("got %v", err)
		}
		return nil
	})
	c.shows("error ConflictException", "InsertAdBreak")
	c.shows("effect", "InsertAdBreak")

	// The key goes, the stream stays; a new key is made.
	c.do("DeleteStreamKey", key)
	c.do("GetStream", M{"channelArn": channel})
	c.refused("ResourceNotFoundException", "GetStreamKey", key)
	c.is("ListStreamKeys without a key", c.do("ListStreamKeys", M{"channelArn": channel}), M{"streamKeys": []any{}})
	made := at(c.do("CreateStreamKey", M{"channelArn": channel, "tags": M{"a": "b"}}), "streamKey")
	c.is("CreateStreamKey", made, M{"arn": "~arn:.*", "channelArn": channel, "value": "~sk_.*", "tags": M{"a": "b"}})
	c.is("GetStreamKey after CreateStreamKey", at(c.do("GetStreamKey", M{"arn": str(made, "arn")}), "streamKey"), made)
	c.refused("ServiceQuotaExceededException", "CreateStreamKey", M{"channelArn": channel})
	c.do("ivs TagResource", M{"resourceArn": str(made, "arn"), "tags": M{"c": "d"}})
	c.is("the key's tags", c.do("ivs ListTagsForResource", M{"resourceArn": str(made, "arn")}), M{"tags": M{"a": "b", "c": "d"}})
	c.shows("tags", "CreateStreamKey")
	c.shows("defaults", "CreateStreamKey")
	c.shows("round trip", "CreateStreamKey")
}

// packaged looks at what container the media of a live channel is in.
func (c *check) packaged(playbackURL, container string) {
	c.Helper()
	harness.WaitPlayable(c.T, playbackURL)
	variant, err := harness.Variant(c.Context(), playbackURL)
	if err != nil {
		c.Fatal(err)
	}
	playlist, err := harness.Get(c.Context(), variant)
	if err != nil {
		c.Fatal(err)
	}
	ts, mp4 := strings.Contains(playlist, ".ts\n"), strings.Contains(playlist, ".m4s\n") && strings.Contains(playlist, "#EXT-X-MAP")
	if ts != (container == "TS") || mp4 != (container == "FRAGMENTED_MP4") {
		c.Errorf("the media of a channel with containerFormat %s:\n%s", container, playlist)
	}
}

// secondSession is live again with the new key, since the old one opens nothing, and in the other container, and reads the
// sessions page by page.
func (c *check) secondSession(rtmp string, channel M, oldKey, first, playbackURL string) {
	c.Helper()
	newKey := str(c.do("ListStreamKeys", channel), "streamKeys", 0, "arn")
	value := str(c.do("GetStreamKey", M{"arn": newKey}), "streamKey", "value")
	stopOld := c.encode(c.T, rtmp, oldKey)
	stop := c.encode(c.T, rtmp, value)
	var second string
	c.eventually("the channel is live again", func() error {
		out, err := c.try("GetStream", channel)
		second = str(out, "stream", "streamId")
		return err
	})
	if second == first {
		c.Errorf("the second stream has the id of the first, %s", first)
	}
	c.packaged(playbackURL, "FRAGMENTED_MP4")
	stop()
	stopOld()
	c.try("StopStream", channel) // unless the end of ffmpeg has ended it already
	c.eventually("the second stream ends", func() error {
		if str(c.do("ListStreamSessions", channel), "streamSessions", 0, "endTime") == "" {
			return errors.New("it is open")
		}
		return nil
	})
	c.pages("ListStreamSessions", channel, "streamSessions", "streamId", []string{first, second})
	c.shows("effect", "CreateStreamKey", "DeleteStreamKey")
}

// media is everything that a media playlist refers to.
func media(ctx context.Context, variant string) string {
	playlist, err := harness.Get(ctx, variant)
	if err != nil {
		return ""
	}
	base, err := url.Parse(variant)
	if err != nil {
		return ""
	}
	var all strings.Builder
	for line := range strings.Lines(playlist) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#EXT-X-PART:") {
			_, rest, _ := strings.Cut(line, `URI="`)
			line, _, _ = strings.Cut(rest, `"`)
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if u, err := base.Parse(line); err == nil {
			body, _ := harness.Get(ctx, u.String()) // what has left the window meanwhile is not missed
			all.WriteString(body)
		}
	}
	return all.String()
}

// status asks for a URL as a page of an origin does, and returns the status.
func status(ctx context.Context, address, origin string) (int, string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err.Error()
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}
