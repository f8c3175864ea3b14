package channel

import (
	"context"
	"errors"
	"time"

	"github.com/footlight-live/footlight/internal/channel/hls"
)

// Channel is what the live side needs to know of a channel resource.
type Channel struct {
	ARN        string
	ID         string
	Name       string
	Authorized bool // playback needs a token
	Restricted bool // playback has a restriction policy
	Recorded   bool // it has a recording configuration

	Basic         bool // of type BASIC, which takes less than STANDARD, see limits.go
	NormalLatency bool // playback by whole segments only
	FragmentedMP4 bool // playback in fragmented MP4, not in MPEG-TS
	Multitrack    Multitrack
	Ladder        Ladder // of the types ADVANCED_SD and ADVANCED_HD

	// RecordedSizes are the classes of pictures that are recorded, the largest one for a class that there is none of; empty: all.
	RecordedSizes []Resolution
}

// container is what players get the channel's media in.
func (c Channel) container() hls.Container {
	if c.FragmentedMP4 {
		return hls.FragmentedMP4
	}
	return hls.MPEGTS
}

// guarded tells whether the Gate decides who may watch.
func (c Channel) guarded() bool { return c.Authorized || c.Restricted }

// Publisher is who a stream key lets in.
type Publisher struct {
	Channel Channel
	// Source says where the media comes from, for logs and health: "encoder" or "composition/<id>".
	Source string
	// AllowPlain permits unencrypted RTMP and SRT: the channel has insecureIngest, or the key is a composition's.
	AllowPlain bool
	// Passphrase encrypts SRT.
	Passphrase string
}

// Directory answers for the channel resources. The control plane implements it.
type Directory interface {
	// ResolveStreamKey returns ErrUnknownStreamKey for a key that opens nothing.
	ResolveStreamKey(ctx context.Context, key string) (Publisher, error)
	// ResolveChannel returns ErrUnknownChannel where no such channel exists.
	ResolveChannel(ctx context.Context, region, account, channelID string) (Channel, error)
}

// Refusals of ingest and playback.
var (
	ErrUnknownStreamKey = errors.New("unknown stream key")
	ErrUnknownChannel   = errors.New("unknown channel")
	ErrAlreadyLive      = errors.New("the channel already has a publisher")
	ErrNotLive          = errors.New("the channel is not live")
	ErrInAdBreak        = errors.New("the channel is in an ad break")
)

// Health of a live stream, as GetStream shows it.
type Health string

// The healths of a stream.
const (
	Healthy  Health = "HEALTHY"
	Starving Health = "STARVING"
	Unknown  Health = "UNKNOWN"
)

// VideoInfo describes the ingested video as really received.
type VideoInfo struct {
	Track         int    // of the publisher, from 0
	Codec         string // RFC 6381, for example avc1.42C028
	Profile       string
	Level         string
	Width, Height int
	FrameRate     float64 // frames per second
	BitRate       int     // bits per second: what the encoder announced, else measured
	Encoder       string  // from onMetaData
}

// AudioInfo describes the ingested audio as really received.
type AudioInfo struct {
	Codec      string // mp4a.40.2
	SampleRate int    // Hz
	Channels   int
	BitRate    int // bits per second
}

// Stream is one live stream of a channel: a snapshot, safe to keep.
type Stream struct {
	ChannelARN  string
	ID          string // st- and 23 characters
	StartTime   time.Time
	Health      Health
	ViewerCount int
	Video       *VideoInfo  // the largest picture; nil until known
	Tracks      []VideoInfo // all pictures, the largest first; one, most of the time
	Renditions  []VideoInfo // what is made of them for players: the same, where the channel has no ladder
	Audio       *AudioInfo
	Source      string // see Publisher
}

// EventKind names a change of a live stream.
type EventKind string

// The changes that an Observer hears of (spec/lowlatency.md §9): those of its life in this order for one stream.
const (
	SessionCreated EventKind = "Session Created" // the encoder is connected
	StreamStart    EventKind = "Stream Start"    // playable
	StreamEnd      EventKind = "Stream End"
	SessionEnded   EventKind = "Session Ended"

	StreamTakeover        EventKind = "Stream Takeover"         // another encoder goes on
	StreamTakeoverFailure EventKind = "Stream Takeover Failure" // it was refused, with a Code
	StarvationStart       EventKind = "Starvation Start"
	StarvationEnd         EventKind = "Starvation End"
	StreamFailure         EventKind = "Stream Failure"    // the picture cannot be transcoded, for a Reason
	AdBreakInserted       EventKind = "Ad Break Inserted" // between start and end

	// The names of limits, of which a Breach tells.
	IngestBitrate        EventKind = "Ingest Bitrate"
	IngestResolution     EventKind = "Ingest Resolution"
	ConcurrentBroadcasts EventKind = "Concurrent Broadcasts" // of a publisher that was refused: there is no stream
	ConcurrentViewers    EventKind = "Concurrent Viewers"
)

// Event is one change of a live stream.
type Event struct {
	Kind        EventKind
	Time        time.Time
	ChannelName string // when the stream began
	Stream      Stream // has no ID where there is none
	Reason      string // why it ended or failed, for humans
	Code        string // why it failed, for programs

	AdBreak *AdBreak // of AdBreakInserted
	Breach  *Breach  // of a limit
}

// Observer hears every change of a stream in order, called from the goroutine that owns the live channel. What concerns
// no stream comes from any goroutine. It must not block.
type Observer interface {
	Observe(Event)
}
