package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/channel"
)

// streamSessionRecord is one stream of a channel, live or past. Its key is channel/stream.
type streamSessionRecord struct {
	ChannelID string              `json:"channelId"`
	ID        string              `json:"id"`
	Start     time.Time           `json:"start"`
	End       time.Time           `json:"end,omitzero"`       // zero while live
	Channel   channelRecord       `json:"channel"`            // as it was when the stream began, without its key
	Recording *recordingRecord    `json:"recording,omitzero"` // as it was then; nil: the channel had none
	Video     *channel.VideoInfo  `json:"video,omitzero"`     // the largest picture
	Tracks    []channel.VideoInfo `json:"tracks,omitzero"`    // all pictures, where there were several
	Audio     *channel.AudioInfo  `json:"audio,omitzero"`
	Started   bool                `json:"started,omitzero"` // it was playable
	Failed    bool                `json:"failed,omitzero"`  // see streamEventRecord.failure
	Events    []streamEventRecord `json:"events,omitempty"` // oldest first
}

type streamEventRecord struct {
	Name string    `json:"name"`
	Time time.Time `json:"time"`
	Code string    `json:"code,omitzero"` // why it failed
}

// failure tells whether the event is one for hasErrorEvent: a limit that was exceeded, or something that failed.
func (e streamEventRecord) failure() bool {
	return e.Code != "" || e.Name == string(channel.StreamFailure) || eventGroup(channel.EventKind(e.Name)) == limitBreach
}

// maxStreamEvents is how many events a session shows and keeps.
const maxStreamEvents = 500

// limitBreach is the group of events about limits.
const limitBreach = "IVS Limit Breach"

// eventGroup is EventBridge's detail-type of an event.
func eventGroup(kind channel.EventKind) string {
	switch kind {
	case channel.AdBreakInserted:
		return "IVS Ad Break State Change"
	case channel.StarvationStart, channel.StarvationEnd:
		return "IVS Stream Health Change"
	case channel.IngestBitrate, channel.IngestResolution, channel.ConcurrentBroadcasts, channel.ConcurrentViewers:
		return limitBreach
	}
	return "IVS Stream State Change"
}

func (r streamSessionRecord) key() string   { return r.ChannelID + "/" + r.ID }
func (r streamSessionRecord) order() string { return orderKey(r.Start, r.ID) }

// add notes an event. Of too many the oldest go, but not that the stream has started, and that something failed.
func (r *streamSessionRecord) add(e streamEventRecord) {
	r.Failed = r.Failed || e.failure()
	r.Started = r.Started || e.Name == string(channel.StreamStart)
	r.Events = append(r.Events, e)
	if extra := len(r.Events) - maxStreamEvents; extra > 0 {
		r.Events = r.Events[extra:]
	}
}

// ListStreamSessions shows the streams of a channel, newest first.
func (c *Control) ListStreamSessions(ctx context.Context, in *ivs.ListStreamSessionsRequest) (*ivs.ListStreamSessionsResponse, error) {
	r, err := c.channelOf(ctx, *in.ChannelArn)
	if err != nil {
		return nil, err
	}
	c.streamJournal.flush(ctx)
	list, err := c.streamSessions.List(ctx, r.ID+"/")
	if err != nil {
		return nil, err
	}
	page, next, err := newestFirst(c, "ListStreamSessions "+r.ID, list, streamSessionRecord.order, in.MaxResults, in.NextToken, pageOf100)
	if err != nil {
		return nil, err
	}
	return &ivs.ListStreamSessionsResponse{
		StreamSessions: each(page, func(s streamSessionRecord) ivs.StreamSessionSummary {
			return ivs.StreamSessionSummary{
				StreamId:      new(s.ID),
				StartTime:     api.TimeOf(s.Start),
				EndTime:       optionalTime(s.End),
				HasErrorEvent: new(s.Failed),
			}
		}),
		NextToken: next,
	}, nil
}

// GetStreamSession shows one stream of a channel, by default the newest.
func (c *Control) GetStreamSession(ctx context.Context, in *ivs.GetStreamSessionRequest) (*ivs.GetStreamSessionResponse, error) {
	r, err := c.channelOf(ctx, *in.ChannelArn)
	if err != nil {
		return nil, err
	}
	c.streamJournal.flush(ctx)
	s, err := c.streamSession(ctx, r.ID, in.StreamId)
	if err != nil {
		return nil, err
	}
	if live, ok := c.liveStream(*in.ChannelArn); ok && live.ID == s.ID {
		s.learn(live)
	}
	return &ivs.GetStreamSessionResponse{StreamSession: c.viewStreamSession(s)}, nil
}

func (c *Control) streamSession(ctx context.Context, channelID string, streamID *string) (streamSessionRecord, error) {
	if streamID != nil {
		s, _, err := c.streamSessions.Get(ctx, channelID+"/"+*streamID)
		return s, orNotFound(err, *streamID)
	}
	list, err := c.streamSessions.List(ctx, channelID+"/")
	if err != nil {
		return streamSessionRecord{}, err
	}
	if len(list) == 0 {
		return streamSessionRecord{}, api.ResourceNotFoundException("Channel: %s has not been live", c.channelARN(channelID))
	}
	return slices.MaxFunc(list, func(a, b streamSessionRecord) int { return a.Start.Compare(b.Start) }), nil
}

// learn takes over what has become known of the media.
func (r *streamSessionRecord) learn(s channel.Stream) {
	if s.Video != nil {
		r.Video = s.Video
	}
	if len(s.Tracks) > 1 && len(s.Tracks) >= len(r.Tracks) { // one may be gone for a while
		r.Tracks = s.Tracks
	}
	if s.Audio != nil {
		r.Audio = s.Audio
	}
}

// trackName names a track of a publisher.
func trackName(n int) string { return fmt.Sprintf("Track%d", n) }

// videos are the pictures of a stream, by track.
func (r streamSessionRecord) videos() []channel.VideoInfo {
	if len(r.Tracks) > 0 {
		return slices.SortedFunc(slices.Values(r.Tracks), func(a, b channel.VideoInfo) int { return a.Track - b.Track })
	}
	if r.Video != nil {
		return []channel.VideoInfo{*r.Video}
	}
	return nil
}

func viewVideo(v channel.VideoInfo) ivs.VideoConfiguration {
	return ivs.VideoConfiguration{
		AvcProfile: new(""), AvcLevel: new(""),
		Codec: new(v.Codec), Encoder: new(v.Encoder), Profile: new(v.Profile), Level: new(v.Level), Track: new(trackName(v.Track)),
		TargetBitrate: new(int64(v.BitRate)), TargetFramerate: new(int64(v.FrameRate + 0.5)),
		VideoWidth: new(int64(v.Width)), VideoHeight: new(int64(v.Height)),
	}
}

func (c *Control) viewStreamSession(s streamSessionRecord) *ivs.StreamSession {
	out := &ivs.StreamSession{
		StreamId:        new(s.ID),
		StartTime:       api.TimeOf(s.Start),
		EndTime:         optionalTime(s.End),
		Channel:         c.viewChannel(s.Channel),
		TruncatedEvents: []ivs.StreamEvent{},
	}
	if s.Recording != nil {
		out.RecordingConfiguration = c.viewRecording(*s.Recording)
	}
	for _, e := range slices.Backward(s.Events) {
		shown := ivs.StreamEvent{Name: new(e.Name), Type: new(eventGroup(channel.EventKind(e.Name))), EventTime: api.TimeOf(e.Time)}
		if e.Code != "" {
			shown.Code = new(e.Code)
		}
		out.TruncatedEvents = append(out.TruncatedEvents, shown)
	}
	if s.Video == nil && s.Audio == nil {
		return out
	}
	// The single-track view is deprecated; clients that are older than multitrack read it.
	out.IngestConfiguration = &ivs.IngestConfiguration{}
	out.IngestConfigurations = &ivs.IngestConfigurations{
		VideoConfigurations: []ivs.VideoConfiguration{}, AudioConfigurations: []ivs.AudioConfiguration{},
	}
	if v := s.Video; v != nil {
		old := viewVideo(*v)
		old.AvcProfile, old.AvcLevel = new(v.Profile), new(v.Level)
		out.IngestConfiguration.Video = &old
	}
	for _, v := range s.videos() {
		out.IngestConfigurations.VideoConfigurations = append(out.IngestConfigurations.VideoConfigurations, viewVideo(v))
	}
	if a := s.Audio; a != nil {
		modern := ivs.AudioConfiguration{
			Codec: new(a.Codec), TargetBitrate: new(int64(a.BitRate)), SampleRate: new(int64(a.SampleRate)),
			Channels: new(int64(a.Channels)), Track: new(trackName(0)),
		}
		out.IngestConfiguration.Audio = &modern
		out.IngestConfigurations.AudioConfigurations = append(out.IngestConfigurations.AudioConfigurations, modern)
	}
	return out
}

// optionalTime leaves a zero time out of the response.
func optionalTime(t time.Time) *api.Time {
	if t.IsZero() {
		return nil
	}
	return api.TimeOf(t)
}
