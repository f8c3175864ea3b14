package channel

import (
	"fmt"

	"github.com/footlight-live/footlight/internal/unit"
)

// Multitrack says what a channel thinks of publishers that bring their picture in several sizes.
type Multitrack struct {
	Enabled  bool
	Required bool       // a publisher with one picture is refused
	Limit    Resolution // of the largest picture
}

// Codes of SessionEnded, for a publisher that brings what its channel does not take (spec/lowlatency.md §9).
const (
	codeNotAllowed      = "MultitrackInputNotAllowed"
	codeRequired        = "MultitrackInputRequired"
	codeTrackCount      = "InvalidMultitrackInputTrackCount"
	codeMediaProperties = "InvalidMultitrackInputVideoTrackMediaProperties"
)

// inputError ends the stream of a publisher that brings what its channel does not take.
type inputError struct{ code, text string }

func (e inputError) Error() string { return e.text }

// The largest pictures of a class of multitrack input (spec/lowlatency.md §3), in pixels.
var multitrackEdges = map[Resolution]int{SD: 864, HD: 1280, FullHD: longestEdge}

// multitrackPixels: 0.4, 0.9 and 2.1 million, which are the pictures of these classes at 16:9.
var multitrackPixels = map[Resolution]int{SD: 854 * 480, HD: 1280 * 720, FullHD: mostPixels}

// TakesMultitrack tells whether a picture is small enough for multitrack input of the class.
func (r Resolution) TakesMultitrack(width, height int) bool {
	edge, ok := multitrackEdges[r]
	return !ok || max(width, height) <= edge && width*height <= multitrackPixels[r]
}

// checkUnit refuses what belongs to a second picture where there may be one only.
func (c Channel) checkUnit(u unit.Unit) error {
	track := 0
	switch u := u.(type) {
	case unit.VideoParams:
		track = u.Track
	case unit.VideoFrame:
		track = u.Track
	}
	if track > 0 && !c.Multitrack.Enabled {
		return inputError{codeNotAllowed, "this channel takes one video track: enable multitrackInputConfiguration of the channel"}
	}
	return nil
}

// checkPictures refuses pictures that are larger than the channel takes, or fewer. Number is how many the publisher brings
// in all.
func (c Channel) checkPictures(pictures []*picture, number int) error {
	if c.Multitrack.Required && number < 2 {
		return inputError{codeRequired, "this channel takes several video tracks only: policy of its multitrackInputConfiguration is REQUIRE"}
	}
	for _, p := range pictures {
		w, h := p.sets.size()
		if err := checkPicture(w, h); err != nil {
			return err
		}
		if number > 1 && c.Multitrack.Enabled && !c.Multitrack.Limit.TakesMultitrack(w, h) {
			return inputError{codeMediaProperties, fmt.Sprintf("video track %d of %dx%d is larger than maximumResolution %s of the channel's multitrackInputConfiguration",
				p.track, w, h, c.Multitrack.Limit)}
		}
	}
	return nil
}
