package channel

import (
	"context"
	"net/netip"
	"time"
)

// Gate decides who may watch a channel that is not open to everyone. The control plane implements it.
type Gate interface {
	// AdmitViewer decides about a request of the multivariant playlist, and uses up a token that may be used once. The error
	// is a Denied, or ErrUnknownChannel, or says why nothing can be decided now.
	AdmitViewer(ctx context.Context, v Viewing) (Grant, error)
	// ViewerRevoked says whether the sessions of a viewer up to some version, this one among them, have been revoked. It is
	// asked for every playlist, segment and part, so it must not wait.
	ViewerRevoked(channelARN, viewerID string, version int64) bool
}

// Viewing is a request to watch a channel.
type Viewing struct {
	ChannelARN string
	Token      string     // the parameter token, as it came
	Origin     string     // the header, empty where there was none
	Address    netip.Addr // the player's, or that of the proxy before this server
	Probe      bool       // asks without playing (HEAD): must not use anything up
}

// Grant is what a viewer may do for the length of a session.
type Grant struct {
	// Viewer and Version are what sessions are revoked by; an empty Viewer has no name to be revoked by.
	Viewer  string
	Version int64
	// Origin is the only one whose pages may read the playlist; empty: every one.
	Origin string
	// Strict demands that origin with every request of the session.
	Strict bool
	// Limit is the largest picture: empty for any.
	Limit Resolution
}

// Resolution is a class of picture sizes.
type Resolution string

// The classes, by the picture's shorter side (spec/lowlatency.md §7).
const (
	SD     Resolution = "SD"      // up to 480
	HD     Resolution = "HD"      // up to 720
	FullHD Resolution = "FULL_HD" // up to 1080
)

// Lowest is a class that only recordings know: up to 360.
const Lowest Resolution = "LOWEST_RESOLUTION"

// classOf is the smallest class that a picture is in, of those that recordings know.
func classOf(width, height int) Resolution {
	switch side := min(width, height); {
	case side <= 360:
		return Lowest
	case SD.holds(width, height):
		return SD
	case HD.holds(width, height):
		return HD
	}
	return FullHD
}

// holds tells whether a picture is within the class. A size that is not known (0) is.
func (r Resolution) holds(width, height int) bool {
	side := min(width, height)
	switch r {
	case SD:
		return side <= 480
	case HD:
		return side <= 720
	case FullHD:
		return side <= 1080
	}
	return true
}

// Denied refuses playback: the player gets HTTP status 403 with both fields in the body.
type Denied struct {
	Code    string // for programs, for example token_expired
	Message string // for the developer of the page
}

func (d Denied) Error() string { return d.Code + ": " + d.Message }

// sessionLength is how long a session lasts: as long as a stream can on IVS (spec/lowlatency.md §10).
const sessionLength = 48 * time.Hour
