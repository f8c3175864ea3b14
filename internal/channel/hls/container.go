package hls

// Container is what media is packaged in.
type Container int

// The containers.
const (
	MPEGTS Container = iota
	FragmentedMP4
)

// packager renders the media of one stream. A Muxer has one of its own, and gives it one part after the other.
type packager interface {
	format() format
	// initialization renders the section that EXT-X-MAP names, or nothing where there is no such thing. It fails for
	// tracks that the container has no room for.
	initialization(Tracks) ([]byte, error)
	// part renders a part, and keeps nothing of the content. A segment is its parts, one behind the other.
	part(content) ([]byte, error)
}

// format is how a container shows outside.
type format struct {
	extension string // of the names of parts and segments
	mediaType string
}

// content is what a part holds, all of it in decoding order.
type content struct {
	tracks        Tracks
	number        int64 // counts over the whole stream
	start, end    int64 // ticks
	discontinuity bool  // a break before it
	video         []videoSample
	audio         []AudioFrame
	tags          []tag
}

func (c Container) packager() packager {
	if c == FragmentedMP4 {
		return &fragmentedMP4{}
	}
	return newMPEGTS()
}
