package record

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// programTime is the form of EXT-X-PROGRAM-DATE-TIME: with milliseconds.
const programTime = "2006-01-02T15:04:05.000Z"

// mediaPlaylist renders the first n segments. An ended one is VOD. byteRanges writes where in its file each lies,
// which is all of it.
func mediaPlaylist(spec Spec, segments []segment, ended, byteRanges bool) []byte {
	var b strings.Builder
	target, independent := int64(spec.Segment/time.Second), true
	for _, s := range segments {
		target = max(target, (s.duration()+ClockRate/2)/ClockRate)
		independent = independent && s.Key
	}
	kind := "EVENT"
	if ended {
		kind = "VOD"
	}
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:%s\n", target, kind)
	if independent {
		b.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	}
	for i, s := range segments {
		if s.Broken && i > 0 {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if s.Broken || i == 0 {
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"%s\"\n#EXT-X-PROGRAM-DATE-TIME:%s\n", initName(s.Init), s.Wall.UTC().Format(programTime))
		}
		fmt.Fprintf(&b, "#EXTINF:%.6f,\n", float64(s.duration())/ClockRate)
		if byteRanges {
			fmt.Fprintf(&b, "#EXT-X-BYTERANGE:%d@0\n", s.Size)
		}
		b.WriteString(segmentName(s.Number) + "\n")
	}
	if ended {
		b.WriteString("#EXT-X-ENDLIST\n")
	}
	return []byte(b.String())
}

// multivariantPlaylist names the one rendition.
func multivariantPlaylist(spec Spec, rendition, playlist string, first initEntry, segments []segment) []byte {
	peak, mean := bitRates(segments)
	attributes := []string{
		fmt.Sprintf("BANDWIDTH=%d", max(1, peak, spec.BitRate)),
		fmt.Sprintf("AVERAGE-BANDWIDTH=%d", max(1, mean)),
	}
	if mean == 0 {
		attributes = attributes[:1]
	}
	if first.Codecs != "" {
		attributes = append(attributes, fmt.Sprintf("CODECS=%q", first.Codecs))
	}
	if first.Width > 0 {
		attributes = append(attributes, fmt.Sprintf("RESOLUTION=%dx%d", first.Width, first.Height))
		if first.FrameRate > 0 {
			attributes = append(attributes, fmt.Sprintf("FRAME-RATE=%.3f", first.FrameRate))
		}
	}
	return fmt.Appendf(nil, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-STREAM-INF:%s\n%s/%s\n", strings.Join(attributes, ","), rendition, playlist)
}

// bitRates are the peak of the segments and the mean over them, in bits per second. Segments shorter than half a
// second do not count for the peak: a key frame fills them.
func bitRates(segments []segment) (peak, mean int) {
	var bits, length int64
	for _, s := range segments {
		bits += 8 * s.Size
		length += s.duration()
		if s.duration() >= ClockRate/2 {
			peak = max(peak, int(8*s.Size*ClockRate/s.duration()))
		}
	}
	if length > 0 {
		mean = int(bits * ClockRate / length)
	}
	return max(peak, mean), mean
}

// renditionName is <height>p<frame rate>, or audio.
func renditionName(height int, frameRate float64) string {
	if height == 0 {
		return "audio"
	}
	if frameRate == 0 {
		return fmt.Sprintf("%dp", height)
	}
	return fmt.Sprintf("%dp%d", height, int(math.Round(frameRate)))
}
