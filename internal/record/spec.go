package record

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Kind is what is recorded; it decides about names of keys and the form of the metadata.
type Kind string

// The kinds of recordings.
const (
	Composite   Kind = "composite"
	Participant Kind = "participant"
	Channel     Kind = "channel"
)

// MediaTypes are what of a source is recorded.
type MediaTypes string

// The media types of the API.
const (
	AudioVideo MediaTypes = "AUDIO_VIDEO"
	AudioOnly  MediaTypes = "AUDIO_ONLY"
	NoMedia    MediaTypes = "NONE" // thumbnails only
)

// Spec is everything about a recording that does not change. The spool keeps it.
type Spec struct {
	ID      string     `json:"id"` // of letters, digits, - and _; the same one goes on with the same recording
	Kind    Kind       `json:"kind"`
	Bucket  string     `json:"bucket"`
	Prefix  string     `json:"prefix"` // of all keys; without slash at either end
	Started time.Time  `json:"started"`
	Media   MediaTypes `json:"media"`

	// Segment is the target duration of a segment, in whole seconds.
	Segment time.Duration `json:"segment"`
	// KeyInterval is the distance of the source's key frames where it is known; zero: it is learned.
	KeyInterval time.Duration `json:"keyInterval,omitzero"`
	// Rendition is the folder of the media; empty: <height>p<frame rate>, once they are known.
	Rendition string `json:"rendition,omitzero"`
	// FrameRate, in frames per second, and BitRate, of all media in bits per second, are for the multivariant
	// playlist. Zero: they are measured.
	FrameRate float64 `json:"frameRate,omitzero"`
	BitRate   int     `json:"bitRate,omitzero"`
	// Width and Height of the picture in pixels, where they are known before it comes.
	Width  int `json:"width,omitzero"`
	Height int `json:"height,omitzero"`

	Thumbnails Thumbnails `json:"thumbnails,omitzero"`
	// MP4 asks for one progressive MP4 of everything, once it is over.
	MP4 bool `json:"mp4,omitzero"`

	// What the metadata names: a stage, with a participant of a session of it, or a channel.
	StageARN      string `json:"stageArn,omitzero"`
	SessionID     string `json:"sessionId,omitzero"`
	ParticipantID string `json:"participantId,omitzero"`
	ChannelARN    string `json:"channelArn,omitzero"`
	// Owner is for whoever made the recording.
	Owner string `json:"owner,omitzero"`
}

// Thumbnails say which pictures are kept. The zero value is none.
type Thumbnails struct {
	Interval   time.Duration `json:"interval,omitzero"`
	Sequential bool          `json:"sequential,omitzero"` // 1.jpg, 2.jpg …
	Latest     bool          `json:"latest,omitzero"`     // thumb.jpg, overwritten
	Height     int           `json:"height,omitzero"`     // the largest, in pixels; 0: that of the source
}

func (t Thumbnails) wanted() bool { return t.Interval > 0 && (t.Sequential || t.Latest) }

// ErrInvalid is a Spec that cannot be.
var ErrInvalid = errors.New("invalid recording")

var validID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$`)

func (s Spec) check() error {
	switch {
	case !validID.MatchString(s.ID):
		return fmt.Errorf("%w: id %q", ErrInvalid, s.ID)
	case s.Kind != Composite && s.Kind != Participant && s.Kind != Channel:
		return fmt.Errorf("%w: kind %q", ErrInvalid, s.Kind)
	case s.Media != AudioVideo && s.Media != AudioOnly && s.Media != NoMedia:
		return fmt.Errorf("%w: media types %q", ErrInvalid, s.Media)
	case s.Prefix == "" || strings.Trim(s.Prefix, "/") != s.Prefix:
		return fmt.Errorf("%w: prefix %q", ErrInvalid, s.Prefix)
	case s.Segment < time.Second || s.Segment > time.Minute || s.Segment%time.Second != 0:
		return fmt.Errorf("%w: segments of %v", ErrInvalid, s.Segment)
	case s.Started.IsZero():
		return fmt.Errorf("%w: no start", ErrInvalid)
	case s.Thumbnails.Interval < 0 || s.Thumbnails.Interval > 24*time.Hour:
		return fmt.Errorf("%w: thumbnails every %v", ErrInvalid, s.Thumbnails.Interval)
	}
	return nil
}

// multivariant is the name of the multivariant playlist in media/hls.
func (s Spec) multivariant() string {
	if s.Kind == Channel {
		return "master.m3u8"
	}
	return "multivariant.m3u8"
}

// The playlists that channels have beside the others (spec/lowlatency.md §7).
const (
	byteRangeMultivariant = "byte-range-multivariant.m3u8"
	byteRangeVariant      = "byte-range-variant.m3u8"
)

// thumbnailFolder is what lies between media/thumbnails and the pictures, with a slash at its end where there is one.
func (s Spec) thumbnailFolder(width, height int) string {
	switch s.Kind {
	case Composite:
		return fmt.Sprintf("%dx%d/", width, height)
	case Participant:
		return "high/"
	}
	return ""
}
