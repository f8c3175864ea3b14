package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/event"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/store"
)

// channelSegment is the target duration of a channel's segments (spec/lowlatency.md §7).
const channelSegment = 10 * time.Second

// tapes are the recordings of channels, by channel id. A recording goes on over the streams that follow within its
// reconnect window. Safe for concurrent use.
type tapes struct {
	mu    sync.Mutex
	tapes map[string]*tape
}

type tape struct {
	recording *record.Recording
	window    time.Duration
	streams   []string // ids, in order
	stream    string   // the newest of the channel
	runs      int      // streams that were begun: an end that was planned before counts no more
}

// of is called with the lock held.
func (t *tapes) of(channelID string) *tape {
	if t.tapes == nil {
		t.tapes = map[string]*tape{}
	}
	if t.tapes[channelID] == nil {
		t.tapes[channelID] = &tape{}
	}
	return t.tapes[channelID]
}

// observe hears of the streams of channels. It does not block.
func (t *tapes) observe(c *Control, channelID string, e channel.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.of(channelID)
	switch p.stream = e.Stream.ID; {
	case p.recording == nil:
	case e.Kind == channel.StreamStart:
		p.streams = append(p.streams, e.Stream.ID)
	case e.Kind == channel.SessionEnded:
		t.endLater(c, channelID, p)
	}
}

// endLater ends a recording unless another stream begins within its window. It is called with the lock held.
func (t *tapes) endLater(c *Control, channelID string, p *tape) {
	recording, run, window := p.recording, p.runs, p.window
	c.background.start(func(ctx context.Context) {
		select {
		case <-time.After(window):
		case <-ctx.Done():
			return // the next start ends it
		}
		t.mu.Lock()
		if p.runs != run || p.recording != recording {
			t.mu.Unlock()
			return
		}
		p.recording = nil
		t.mu.Unlock()
		if err := recording.End(ctx, record.Cause{}); err != nil && ctx.Err() == nil {
			c.Log.Error("cannot end the recording of a channel", "channel", channelID, "error", err)
		}
	})
}

// RecordChannel implements channel.Recordings.
func (c *Control) RecordChannel(ctx context.Context, ch channel.Channel) (channel.Tape, func()) {
	source, err := c.recordChannel(ctx, ch)
	if err != nil {
		c.Log.Error("a channel is not recorded", "channel", ch.ID, "error", err)
		c.publishRecordingState(ch.ID, "Recording Start Failure", time.Now(), record.Status{}, err.Error())
		return nil, nil
	}
	if source == nil {
		return nil, nil
	}
	return recordingTape{source, c.Now()}, source.Close
}

func (c *Control) recordChannel(ctx context.Context, ch channel.Channel) (*record.Source, error) {
	r, _, err := c.channels.Get(ctx, ch.ID)
	if err != nil {
		return nil, err
	}
	config, err := c.recordingOf(ctx, r)
	if err != nil || config == nil || c.Recorder == nil {
		return nil, err
	}
	if config.State != ivs.RecordingConfigurationStateActive {
		return nil, fmt.Errorf("recording configuration %s is %s", config.ID, config.State)
	}
	c.tapes.mu.Lock()
	p := c.tapes.of(ch.ID)
	p.runs++
	recording := p.recording
	c.tapes.mu.Unlock()
	if recording != nil && recording.Spec().Bucket == config.Bucket {
		select {
		case <-recording.Over():
		default:
			// Who is to take the stream over does so with the first picture, and may fail before that.
			return recording.Source(), nil
		}
	}
	if recording, err = c.Recorder.Open(ctx, channelSpec(c.Account, ch, *config, c.Now())); err != nil {
		return nil, err
	}
	c.tapes.mu.Lock()
	defer c.tapes.mu.Unlock()
	p.recording, p.window, p.streams = recording, time.Duration(config.ReconnectWindow)*time.Second, nil
	return recording.Source(), nil
}

// recordingOf is the recording configuration of a channel; nil when it has none.
func (c *Control) recordingOf(ctx context.Context, r channelRecord) (*recordingRecord, error) {
	if r.RecordingConfiguration == "" {
		return nil, nil
	}
	config, _, err := c.recordings.Get(ctx, r.RecordingConfiguration)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &config, err
}

// thumbnailHeights are the largest pictures of the resolutions, in pixels.
var thumbnailHeights = map[string]int{
	ivs.ThumbnailConfigurationResolutionFullHd: 1080, ivs.ThumbnailConfigurationResolutionHd: 720,
	ivs.ThumbnailConfigurationResolutionSd: 480, ivs.ThumbnailConfigurationResolutionLowestResolution: 360,
}

// channelSpec is a new recording of a channel. The channel says which renditions come (channel.Channel.RecordedSizes).
func channelSpec(account arn.Account, ch channel.Channel, config recordingRecord, now time.Time) record.Spec {
	id, now := arn.NewID(12), now.UTC()
	s := record.Spec{
		ID: "channel-" + ch.ID + "-" + id, Kind: record.Channel, Bucket: config.Bucket, Started: now, Media: record.AudioVideo,
		Prefix:  fmt.Sprintf("ivs/v1/%s/%s/%d/%d/%d/%d/%d/%s", account.ID, ch.ID, now.Year(), int(now.Month()), now.Day(), now.Hour(), now.Minute(), id),
		Segment: channelSegment, ChannelARN: ch.ARN, Owner: ch.ID,
	}
	if config.Renditions.Selection == ivs.RenditionConfigurationRenditionSelectionNone {
		s.Media = record.NoMedia
	}
	if t := config.Thumbnails; t.Mode == ivs.RecordingModeInterval {
		s.Thumbnails = record.Thumbnails{
			Interval:   time.Duration(t.Interval) * time.Second,
			Sequential: slices.Contains(t.Storage, ivs.ThumbnailConfigurationStorageSequential),
			Latest:     slices.Contains(t.Storage, ivs.ThumbnailConfigurationStorageLatest),
			Height:     thumbnailHeights[t.Resolution],
		}
	}
	return s
}

// resumeTapes takes up the recordings of channels that an earlier process left: each waits for the channel's next stream
// for its window, which has begun with the start.
func (c *Control) resumeTapes(ctx context.Context) error {
	c.tapes.mu.Lock()
	defer c.tapes.mu.Unlock()
	for _, recording := range c.Recorder.All() {
		s := recording.Spec()
		if s.Kind != record.Channel || recording.Status().State == record.Uploading {
			continue
		}
		p := c.tapes.of(s.Owner)
		p.recording = recording
		if r, _, err := c.channels.Get(ctx, s.Owner); err == nil {
			config, err := c.recordingOf(ctx, r)
			if err != nil {
				return err
			}
			if config != nil {
				p.window = time.Duration(config.ReconnectWindow) * time.Second
			}
		}
		c.tapes.endLater(c, s.Owner, p)
	}
	return nil
}

// channelRecordingDetail is the detail of "IVS Recording State Change" (spec/lowlatency.md §9).
type channelRecordingDetail struct {
	ChannelName string   `json:"channel_name"`
	StreamID    string   `json:"stream_id"`
	Status      string   `json:"recording_status"`
	Reason      string   `json:"recording_status_reason"`
	Bucket      string   `json:"recording_s3_bucket_name"`
	Prefix      string   `json:"recording_s3_key_prefix"`
	DurationMS  int64    `json:"recording_duration_ms"`
	Session     string   `json:"recording_session_id"`
	Streams     []string `json:"recording_session_stream_ids,omitzero"` // at the end
}

// publishRecordingState tells what has become of a channel's recording. It does not block.
func (c *Control) publishRecordingState(channelID, status string, at time.Time, s record.Status, reason string) {
	c.tapes.mu.Lock()
	p := c.tapes.of(channelID)
	stream, streams := p.stream, slices.Clone(p.streams)
	c.tapes.mu.Unlock()
	c.recordingJournal.observe(func(ctx context.Context) error {
		d := channelRecordingDetail{
			StreamID: stream, Status: status, Reason: reason, Bucket: s.Spec.Bucket, Prefix: s.Spec.Prefix, DurationMS: s.Duration.Milliseconds(),
			Session: s.Spec.ID[strings.LastIndexByte(s.Spec.ID, '-')+1:],
		}
		if r, _, err := c.channels.Get(ctx, channelID); err == nil {
			d.ChannelName = r.Name
		}
		if status == string(record.Ended) {
			d.Streams = streams
		}
		id := event.IDOf(channelID, s.Spec.ID, status)
		if s.Spec.ID == "" {
			id = event.NewID()
		}
		return c.publish(ctx, id, "IVS Recording State Change", c.channelARN(channelID), at, d)
	})
}
