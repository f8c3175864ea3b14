package control

import (
	"context"
	"time"

	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/arn"
)

// channelRecord is a channel with its stream key: one record, so that there is never a second key, nor a key
// without its channel.
type channelRecord struct {
	ID             string            `json:"id"`
	Created        time.Time         `json:"created"`
	Name           string            `json:"name"`
	Type           string            `json:"type"`
	Preset         string            `json:"preset,omitzero"` // of the types with a ladder
	LatencyMode    string            `json:"latencyMode"`
	InsecureIngest bool              `json:"insecureIngest"`
	Authorized     bool              `json:"authorized,omitzero"`
	Container      string            `json:"containerFormat"`
	Multitrack     multitrackRecord  `json:"multitrack"`
	Tags           map[string]string `json:"tags,omitempty"`
	StreamKey      *streamKeyRecord  `json:"streamKey,omitzero"` // nil after DeleteStreamKey

	RestrictionPolicy      string `json:"playbackRestrictionPolicy,omitzero"` // ids of what is attached
	AdConfiguration        string `json:"adConfiguration,omitzero"`
	RecordingConfiguration string `json:"recordingConfiguration,omitempty"` // id

	listed listedChannel // of records from Sorted
}

// listedChannel is what ListChannels needs of a record. It is made once for each, since every page has a hundred.
type listedChannel struct {
	order   string
	summary ivs.ChannelSummary // only its text
}

// findChannel reads a channel; name, its ARN, is for the answer when there is none.
func (c *Control) findChannel(ctx context.Context, id, name string) (channelRecord, error) {
	r, _, err := c.channels.Get(ctx, id)
	return r, orNotFound(err, name)
}

// viewChannel is the channel as the API shows it (spec/lowlatency.md §1).
func (c *Control) viewChannel(r channelRecord) *ivs.Channel {
	return &ivs.Channel{
		Arn:                          new(c.channelARN(r.ID)),
		Name:                         new(r.Name),
		LatencyMode:                  new(r.LatencyMode),
		Type:                         new(r.Type),
		RecordingConfigurationArn:    c.attachedARN(arn.RecordingConfiguration, r.RecordingConfiguration),
		IngestEndpoint:               new(c.urls().IngestEndpoint),
		PlaybackUrl:                  new(c.playbackURL(r.ID)),
		Authorized:                   new(r.Authorized),
		Tags:                         given(r.Tags),
		InsecureIngest:               new(r.InsecureIngest),
		Preset:                       new(r.Preset),
		PlaybackRestrictionPolicyArn: c.attachedARN(arn.PlaybackRestrictionPolicy, r.RestrictionPolicy),
		MultitrackInputConfiguration: r.Multitrack.view(),
		ContainerFormat:              new(r.Container),
		AdConfigurationArn:           c.attachedARN(arn.AdConfiguration, r.AdConfiguration),
		Srt:                          c.viewSRT(r),
	}
}

// viewSRT is nil while there is no SRT server. A channel that takes SRT in the clear has no passphrase to show.
func (c *Control) viewSRT(r channelRecord) *ivs.Srt {
	endpoint := c.urls().SRTEndpoint
	if endpoint == "" {
		return nil
	}
	passphrase := ""
	if !r.InsecureIngest {
		passphrase = c.srtPassphrase(r.ID)
	}
	return &ivs.Srt{Endpoint: &endpoint, Passphrase: &passphrase}
}

// listChannel prepares a record for ListChannels.
func (c *Control) listChannel(r *channelRecord) {
	summary := ivs.ChannelSummary{
		Arn:                          new(c.channelARN(r.ID)),
		Name:                         &r.Name,
		LatencyMode:                  &r.LatencyMode,
		Authorized:                   &r.Authorized,
		RecordingConfigurationArn:    c.attachedARN(arn.RecordingConfiguration, r.RecordingConfiguration),
		Tags:                         given(r.Tags),
		InsecureIngest:               &r.InsecureIngest,
		Type:                         &r.Type,
		Preset:                       &r.Preset,
		PlaybackRestrictionPolicyArn: c.attachedARN(arn.PlaybackRestrictionPolicy, r.RestrictionPolicy),
		AdConfigurationArn:           c.attachedARN(arn.AdConfiguration, r.AdConfiguration),
	}
	text := summary.AppendJSON(nil)
	end := len(text)
	both := string(append(text, orderKey(r.Created, r.ID)...)) // one piece of memory less for the collector
	r.listed = listedChannel{order: both[end:], summary: ivs.ChannelSummary{Written: both[:end]}}
}

// sweepChannels removes what a crash between two writes may have left: stream keys that no channel has, and
// sessions of channels that are gone. It ends the sessions that were open.
func (c *Control) sweepChannels(ctx context.Context) error {
	channels, err := c.channels.List(ctx, "")
	if err != nil {
		return err
	}
	keys := map[string]string{} // stream key to channel
	exists := map[string]bool{}
	for _, r := range channels {
		exists[r.ID] = true
		if r.StreamKey != nil {
			keys[r.StreamKey.ID] = r.ID
		}
	}
	indexed, err := c.streamKeys.List(ctx, "")
	if err != nil {
		return err
	}
	for _, index := range indexed {
		if keys[index.ID] != index.ChannelID {
			if err := c.streamKeys.Delete(ctx, index.ID); err != nil {
				return err
			}
		}
	}
	sessions, err := c.streamSessions.List(ctx, "")
	if err != nil {
		return err
	}
	if err := c.loadViewers(ctx, exists); err != nil {
		return err
	}
	return c.sweepStreamSessions(ctx, sessions, exists)
}
