package record

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// programTime is the form of EXT-X-PROGRAM-DATE-TIME: with milliseconds.
const programTime = "2006-01-02T15:04:05.000Z"

// stream is a rendition as playlists and metadata show it.
type stream struct {
	number        int // in the journal
	name          string
	width, height int
	first         initEntry
}

// from is the rendition whose segment a slot of this one shows: its own, or of the others the one that is nearest in size,
// rather a smaller one.
func (s stream) from(all []stream, at slot) stream {
	best := s
	for _, o := range all {
		switch area, most := o.width*o.height, best.width*best.height; {
		case at.of(o.number) == nil:
		case o.number == s.number:
			return s
		case at.of(best.number) == nil, most > s.width*s.height && area < most, area <= s.width*s.height && area > most:
			best = o
		}
	}
	return best
}

// breaks tells whether a slot does not go on as the one before, in one of the renditions. Players want the same
// discontinuities in all of them.
func (s slot) breaks(before slot) bool {
	if s.broken {
		return true
	}
	for k := range max(len(s.segments), len(before.segments)) {
		is, was := s.of(k), before.of(k)
		if (is == nil) != (was == nil) || is != nil && is.Init != was.Init {
			return true
		}
	}
	return false
}

// mediaPlaylist renders slots of a rendition of all. An ended one is VOD. byteRanges writes where in its file each segment
// lies, which is all of it. A segment that the rendition does not have is that of another one: it has no gaps.
func mediaPlaylist(spec Spec, this stream, all []stream, slots []slot, ended, byteRanges bool) []byte {
	var b strings.Builder
	target, independent := int64(spec.Segment/time.Second), true
	for _, s := range slots {
		target = max(target, (s.duration()+ClockRate/2)/ClockRate)
		independent = independent && s.of(this.from(all, s).number).Key
	}
	kind := "EVENT"
	if ended {
		kind = "VOD"
	}
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:%s\n", target, kind)
	if independent {
		b.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	}
	var run slot
	for i, s := range slots {
		from := this.from(all, s)
		segment, folder := s.of(from.number), ""
		if from.number != this.number {
			folder = "../" + from.name + "/"
		}
		breaks := i > 0 && s.breaks(slots[i-1])
		if s.broken || i == 0 {
			run = s
		}
		if breaks {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if breaks || i == 0 {
			wall := run.wall.Add(span(s.start - run.start))
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"%s\"\n#EXT-X-PROGRAM-DATE-TIME:%s\n", folder+initName(segment.Init), wall.UTC().Format(programTime))
		}
		fmt.Fprintf(&b, "#EXTINF:%.6f,\n", float64(s.duration())/ClockRate)
		if byteRanges {
			fmt.Fprintf(&b, "#EXT-X-BYTERANGE:%d@0\n", segment.Size)
		}
		b.WriteString(folder + segmentName(segment.Number) + "\n")
	}
	if ended {
		b.WriteString("#EXT-X-ENDLIST\n")
	}
	return []byte(b.String())
}

// multivariantPlaylist names the renditions, in their order.
func multivariantPlaylist(spec Spec, all []stream, playlist string, slots []slot) []byte {
	b := []byte("#EXTM3U\n#EXT-X-VERSION:7\n")
	for _, s := range all {
		var segments []*segment
		for _, at := range slots {
			if own := at.of(s.number); own != nil {
				segments = append(segments, own)
			}
		}
		b = fmt.Appendf(b, "#EXT-X-STREAM-INF:%s\n%s/%s\n", s.attributes(spec, segments), s.name, playlist)
	}
	return b
}

func (s stream) attributes(spec Spec, segments []*segment) string {
	peak, mean := bitRates(segments)
	attributes := []string{
		fmt.Sprintf("BANDWIDTH=%d", max(1, peak, spec.BitRate)),
		fmt.Sprintf("AVERAGE-BANDWIDTH=%d", max(1, mean)),
	}
	if mean == 0 {
		attributes = attributes[:1]
	}
	if s.first.Codecs != "" {
		attributes = append(attributes, fmt.Sprintf("CODECS=%q", s.first.Codecs))
	}
	if s.first.Width > 0 {
		attributes = append(attributes, fmt.Sprintf("RESOLUTION=%dx%d", s.first.Width, s.first.Height))
		if s.first.FrameRate > 0 {
			attributes = append(attributes, fmt.Sprintf("FRAME-RATE=%.3f", s.first.FrameRate))
		}
	}
	return strings.Join(attributes, ",")
}

// bitRates are the peak of the segments and the mean over them, in bits per second. Segments shorter than half a
// second do not count for the peak: a key frame fills them.
func bitRates(segments []*segment) (peak, mean int) {
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
