package extension

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/store"
)

// How long links to recordings are good.
const (
	linkTime    = time.Hour
	maxLinkTime = 7 * 24 * time.Hour
)

// Recording is one recording. What is zero is left out.
type Recording struct {
	ID          string       `json:"id"`
	Kind        record.Kind  `json:"kind"`
	State       record.State `json:"state"`
	Bucket      string       `json:"bucket"`
	Prefix      string       `json:"prefix"`
	StageARN    string       `json:"stageArn,omitzero"`
	StageName   string       `json:"stageName,omitzero"` // that of now; left out when the stage is gone, as is ChannelName
	Session     string       `json:"sessionId,omitzero"`
	Person      string       `json:"participantId,omitzero"`
	ChannelARN  string       `json:"channelArn,omitzero"`
	ChannelName string       `json:"channelName,omitzero"`
	StartTime   time.Time    `json:"startTime"`
	EndTime     time.Time    `json:"endTime,omitzero"`
	DurationMS  int64        `json:"durationMs"`
	Segments    int          `json:"segments"`
	Stored      int          `json:"storedSegments"`
	Waiting     int          `json:"filesWaiting"`            // for the object store
	AwaySince   time.Time    `json:"storeAwaySince,omitzero"` // since when it takes nothing
	Problem     string       `json:"problem,omitzero"`        // what it says
	Dropped     uint64       `json:"framesDropped,omitzero"`  // lost, because the disk had no room or was too slow
	Failure     string       `json:"failure,omitzero"`        // an error_code
	// Links are good until LinksEnd, for everybody who has them.
	PlaybackURL  string    `json:"playbackUrl,omitzero"`
	ThumbnailURL string    `json:"thumbnailUrl,omitzero"`
	DownloadURL  string    `json:"downloadUrl,omitzero"` // all of it in one MP4
	LinksEnd     time.Time `json:"linksEnd,omitzero"`
	// Renditions are the sizes of the picture, the largest first; none until they are known.
	Renditions []RecordingRendition `json:"renditions,omitzero"`
}

// RecordingRendition is one size of a recording.
type RecordingRendition struct {
	Name        string `json:"name"`
	Width       int    `json:"width,omitzero"`
	Height      int    `json:"height,omitzero"`
	PlaybackURL string `json:"playbackUrl,omitzero"` // of this size alone
}

// Recordings is the answer of listRecordings.
type Recordings struct {
	Recordings []Recording `json:"recordings"` // the newest first
}

func (h *Handler) listRecordings(r *http.Request, _ []byte) (answer, error) {
	all, err := h.Control.Recordings(r.Context())
	if err != nil {
		return answer{}, err
	}
	list, names := Recordings{Recordings: []Recording{}}, h.names(r.Context())
	for _, s := range all {
		list.Recordings = append(list.Recordings, h.viewRecording(s, linkTime, names))
	}
	return answer{value: list}, nil
}

func (h *Handler) getRecording(r *http.Request, _ []byte) (answer, error) {
	good := linkTime
	if text := r.URL.Query().Get("expires"); text != "" {
		seconds, err := strconv.Atoi(text)
		if good = time.Duration(seconds) * time.Second; err != nil || seconds < 1 || seconds > int(maxLinkTime/time.Second) {
			return answer{}, api.ValidationException("expires is in seconds, 1 to %d, not %q", int(maxLinkTime/time.Second), text)
		}
	}
	s, err := h.Control.Recording(r.Context(), r.PathValue("id"))
	if errors.Is(err, store.ErrNotFound) {
		return answer{}, api.ResourceNotFoundException("Recording: %s not found", r.PathValue("id"))
	}
	if err != nil {
		return answer{}, err
	}
	return answer{value: h.viewRecording(s, good, h.names(r.Context()))}, nil
}

func (h *Handler) viewRecording(s record.Status, good time.Duration, names func(arn string) string) Recording {
	v := Recording{
		ID: s.Spec.ID, Kind: s.Spec.Kind, State: s.State, Bucket: s.Spec.Bucket, Prefix: s.Spec.Prefix,
		StageARN: s.Spec.StageARN, StageName: names(s.Spec.StageARN), Session: s.Spec.SessionID, Person: s.Spec.ParticipantID,
		ChannelARN: s.Spec.ChannelARN, ChannelName: names(s.Spec.ChannelARN),
		StartTime: s.Spec.Started.UTC(), EndTime: s.Ended, DurationMS: s.Duration.Milliseconds(), Segments: s.Segments, Stored: s.Stored,
		Waiting: s.Waiting, AwaySince: s.AwaySince, Problem: s.Problem, Dropped: s.Dropped, Failure: s.Cause.Code,
	}
	for _, x := range s.Renditions {
		v.Renditions = append(v.Renditions, RecordingRendition{Name: x.Name, Width: x.Width, Height: x.Height})
	}
	if h.RecordingLink == nil {
		return v
	}
	until := time.Now().Add(good).UTC().Truncate(time.Second)
	link := h.URL + h.RecordingLink(s.Spec.ID, until)
	if s.Stored > 0 {
		v.PlaybackURL, v.LinksEnd = link+s.PlaylistKey, until
		for i, x := range s.Renditions {
			v.Renditions[i].PlaybackURL = link + x.PlaylistKey
		}
	}
	if s.ThumbnailKey != "" {
		v.ThumbnailURL, v.LinksEnd = link+s.ThumbnailKey, until
	}
	if s.MP4Key != "" {
		v.DownloadURL, v.LinksEnd = link+s.MP4Key, until
	}
	return v
}
