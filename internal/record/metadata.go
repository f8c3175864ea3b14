package record

import (
	"encoding/json"
	"path"
	"time"
)

// The statuses of the metadata files.
const (
	statusStarted     = "RECORDING_STARTED"
	statusEnded       = "RECORDING_ENDED"
	statusStartFailed = "RECORDING_START_FAILED"
	statusEndFailed   = "RECORDING_ENDED_WITH_FAILURE"
)

// metadata is the content of events/recording-*.json (spec/composition.md §5 and §6, spec/lowlatency.md §7).
type metadata struct {
	Version       string        `json:"version"`
	ChannelARN    string        `json:"channel_arn,omitzero"`
	StageARN      string        `json:"stage_arn,omitzero"`
	SessionID     string        `json:"session_id,omitzero"`
	ParticipantID string        `json:"participant_id,omitzero"`
	StartedAt     string        `json:"recording_started_at,omitzero"`
	EndedAt       string        `json:"recording_ended_at,omitzero"`
	Status        string        `json:"recording_status"`
	Message       string        `json:"recording_status_message,omitzero"`
	Media         mediaMetadata `json:"media"`
}

type mediaMetadata struct {
	HLS        *hlsMetadata     `json:"hls,omitzero"`
	Thumbnails *pictureMetadata `json:"thumbnails,omitzero"`
	Latest     *pictureMetadata `json:"latest_thumbnail,omitzero"`
	MP4        *mp4Metadata     `json:"mp4,omitzero"` // beyond IVS
}

// mp4Metadata names the MP4 of a recording.
type mp4Metadata struct {
	Path string `json:"path"`
	File string `json:"file"`
}

type hlsMetadata struct {
	DurationMS *int64              `json:"duration_ms,omitzero"` // once it has ended
	Path       string              `json:"path"`
	Playlist   string              `json:"playlist"`
	ByteRange  string              `json:"byte_range_playlist,omitzero"`
	Renditions []renditionMetadata `json:"renditions"`
}

type renditionMetadata struct {
	Path      string `json:"path,omitzero"`
	Playlist  string `json:"playlist,omitzero"`
	ByteRange string `json:"byte_range_playlist,omitzero"`
	Width     int    `json:"resolution_width,omitzero"`
	Height    int    `json:"resolution_height,omitzero"`
}

type pictureMetadata struct {
	Path        string              `json:"path"`
	Resolutions []renditionMetadata `json:"resolutions,omitzero"` // of compositions
	Renditions  []renditionMetadata `json:"renditions,omitzero"`  // of participants
	Width       int                 `json:"resolution_width,omitzero"`
	Height      int                 `json:"resolution_height,omitzero"`
}

// The keys of the metadata below the prefix.
const (
	startedKey = "events/recording-started.json"
	endedKey   = "events/recording-ended.json"
	failedKey  = "events/recording-failed.json"
)

// describe renders the metadata of a recording that has started, or has ended when end is there. width and height are those
// of the picture that thumbnails are made of; mp4 is the key of its MP4, if there is one.
func describe(spec Spec, renditions []stream, width, height int, duration int64, end *endEntry, mp4 string) (key string, data []byte, err error) {
	m := metadata{
		Version: "v1", ChannelARN: spec.ChannelARN, StageARN: spec.StageARN, SessionID: spec.SessionID, ParticipantID: spec.ParticipantID,
		StartedAt: wallClock(spec.Started), Status: statusStarted,
	}
	key = startedKey
	if end != nil {
		key, m.Status, m.EndedAt, m.Message = endedKey, statusEnded, wallClock(end.Time), end.Message
		switch {
		case end.Code != "" && duration == 0 && spec.Media != NoMedia:
			key, m.Status, m.StartedAt, m.EndedAt = failedKey, statusStartFailed, "", ""
		case end.Code != "":
			key, m.Status = failedKey, statusEndFailed
		}
	}
	if spec.Media != NoMedia {
		h := &hlsMetadata{Path: "media/hls", Playlist: spec.multivariant()}
		if spec.Kind == Channel {
			h.ByteRange = byteRangeMultivariant
		}
		h.Renditions = []renditionMetadata{}
		for _, s := range renditions {
			r := renditionMetadata{Path: s.name, Playlist: "playlist.m3u8"}
			if spec.Kind != Participant {
				r.Width, r.Height = s.width, s.height
			}
			if spec.Kind == Channel {
				r.ByteRange = byteRangeVariant
			}
			h.Renditions = append(h.Renditions, r)
		}
		if end != nil {
			ms := duration * 1000 / ClockRate
			h.DurationMS = &ms
		}
		m.Media.HLS = h
	}
	if spec.Thumbnails.wanted() && spec.Thumbnails.Sequential {
		m.Media.Thumbnails = pictures(spec, "media/thumbnails", width, height)
	}
	if spec.Thumbnails.wanted() && spec.Thumbnails.Latest {
		m.Media.Latest = pictures(spec, "media/latest_thumbnail", width, height)
	}
	if mp4 != "" {
		m.Media.MP4 = &mp4Metadata{Path: path.Dir(mp4), File: path.Base(mp4)}
	}
	data, err = json.Marshal(m)
	return key, data, err
}

func pictures(spec Spec, path string, width, height int) *pictureMetadata {
	p := &pictureMetadata{Path: path}
	width, height = fitHeight(width, height, spec.Thumbnails.Height)
	switch folder := spec.thumbnailFolder(width, height); spec.Kind {
	case Composite:
		p.Resolutions = []renditionMetadata{{Path: folder[:len(folder)-1], Width: width, Height: height}}
	case Participant:
		p.Renditions = []renditionMetadata{{Path: folder[:len(folder)-1]}}
	default:
		p.Width, p.Height = width, height
	}
	return p
}

// fitHeight is the size of a picture that may be no higher than most; 0 is no bound.
func fitHeight(width, height, most int) (int, int) {
	if most <= 0 || height <= most {
		return width, height
	}
	return (width*most/height + 1) &^ 1, most
}

func wallClock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
