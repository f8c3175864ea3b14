package control

import (
	"github.com/footlight-live/footlight/internal/arn"
)

// URLs are the addresses under which clients reach this server. They may change from start to start, so
// they are filled into responses and tokens when these are made and never stored.
type URLs struct {
	HTTP           string // http://host:4080
	Events         string // ws://host:4080/events
	WHIP           string // http://host:4080/whip
	RTMP           string // rtmp://host:1935/app/
	RTMPS          string // rtmps://host:1936/app/
	IngestEndpoint string // host:1936, the RTMPS server of channels
	SRTEndpoint    string // host:9000; empty while there is no SRT server
}

func (c *Control) urls() URLs {
	if c.URLs == nil {
		return URLs{}
	}
	return c.URLs()
}

func (c *Control) localURLs() URLs {
	if c.Local == nil {
		return c.urls()
	}
	return c.Local()
}

// playbackURL is the multivariant playlist of a channel, with the path that IVS uses.
func (c *Control) playbackURL(channelID string) string {
	return c.urls().HTTP + "/api/video/v1/" + c.Account.Region + "." + c.Account.ID + ".channel." + channelID + ".m3u8"
}

// PlaybackURL is where a channel of this account is watched, by the channel's id.
func (c *Control) PlaybackURL(channelID string) string { return c.playbackURL(channelID) }

// channelARN, and the functions after it, name resources of this account.
func (c *Control) channelARN(id string) string   { return c.Account.Of(arn.Channel, id).String() }
func (c *Control) streamKeyARN(id string) string { return c.Account.Of(arn.StreamKey, id).String() }
func (c *Control) stageARN(id string) string     { return c.Account.Of(arn.Stage, id).String() }
func (c *Control) encoderConfigurationARN(id string) string {
	return c.Account.Of(arn.EncoderConfiguration, id).String()
}
