package hls

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ticks converts media time to a duration.
func ticks(t int64) time.Duration {
	return time.Duration(t/ClockRate)*time.Second + time.Duration(t%ClockRate)*time.Second/ClockRate
}

// part is one partial segment. It never changes.
type part struct {
	id          int64 // counts over the whole stream
	duration    int64 // ticks
	independent bool  // starts with a key frame
	data        []byte
}

// segment is one media segment. The open one, at the end, has parts but no data yet.
type segment struct {
	sequence      int64
	start         int64 // ticks
	duration      int64 // ticks; of an open segment so far
	discontinuity bool  // a break before it
	key           bool  // starts with a key frame
	initID        int64 // its EXT-X-MAP, where there is one
	parts         []part
	data          []byte // nil while open
}

func (s *segment) complete() bool { return s.data != nil }

// view is everything that a request can see: an immutable snapshot of the stream.
type view struct {
	prefix      string
	format      format
	whole       bool      // Config.WholeSegments
	wall        time.Time // of media time 0
	target      int64     // EXT-X-TARGETDURATION in ticks
	partTarget  int64     // ticks
	sequence    int64     // of segments[0], or of the next segment when there is none
	breaks      int64     // EXT-X-DISCONTINUITY-SEQUENCE
	segments    []segment // listed ones, the open one last
	nextPart    int64     // the id that the next part will have
	ended       bool
	older       []segment        // no longer listed, still served
	inits       map[int64][]byte // by initID
	full, delta []byte           // rendered
	changed     chan struct{}    // closed when a newer view is published
	gone        bool             // the stream ended without an end of list
	adBreaks    []adBreak        // past ones too, while they are in the window
	reports     []report
	end         int64 // ticks: where the newest frame ends
	peak, mean  int   // bits per second of complete segments, or of the parts so far
}

func (v *view) initName(id int64) string { return fmt.Sprintf("%s_init%d.mp4", v.prefix, id) }
func (v *view) segmentName(seq int64) string {
	return fmt.Sprintf("%s_s%d%s", v.prefix, seq, v.format.extension)
}
func (v *view) partName(id int64) string {
	return fmt.Sprintf("%s_p%d%s", v.prefix, id, v.format.extension)
}

// last returns the sequence number and the number of parts of the segment that has the newest part.
func (v *view) last() (sequence int64, parts int) {
	if len(v.segments) == 0 {
		return v.sequence - 1, 0
	}
	s := &v.segments[len(v.segments)-1]
	return s.sequence, len(s.parts)
}

// has tells whether a blocked request for a segment's part can be answered (rfc8216bis §6.2.5.2).
// A part past the end of a complete segment means part 0 of the next one.
func (v *view) has(sequence int64, part int) bool {
	last, parts := v.last()
	return v.ended || last > sequence || last == sequence && parts > part
}

// aligned tells whether every listed segment starts with a key frame.
func (v *view) aligned() bool {
	for i := range v.segments {
		if !v.segments[i].parts[0].independent {
			return false
		}
	}
	return true
}

// skippable counts the segments that a delta update leaves out: those that end before the skip boundary.
func (v *view) skippable() int {
	total := int64(0)
	for i := len(v.segments) - 1; i >= 0; i-- {
		if total >= skipUntilTargets*v.target {
			return i + 1
		}
		total += v.segments[i].duration
	}
	return 0
}

const (
	// skipUntilTargets is CAN-SKIP-UNTIL in target durations: the least that rfc8216bis §4.4.3.8 allows.
	skipUntilTargets = 6
	// partTargets is how many target durations from the end parts are listed (rfc8216bis §6.2.2).
	partTargets = 3
	// holdBackParts is PART-HOLD-BACK in part targets: "SHOULD be at least three times" (rfc8216bis §4.4.3.8).
	holdBackParts = 3
	// holdBackTargets is HOLD-BACK in target durations: the least that rfc8216bis §4.4.3.8 allows.
	holdBackTargets = 3
)

func seconds(t int64) string {
	return strconv.FormatFloat(float64(t)/ClockRate, 'f', 5, 64)
}

// renderMedia writes a media playlist; skip makes it a delta update where that saves something.
func renderMedia(v *view, skip bool) []byte {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:9\n")
	if v.aligned() {
		b.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	}
	fmt.Fprintf(&b, "#EXT-X-TARGETDURATION:%d\n", v.target/ClockRate)
	if v.whole {
		fmt.Fprintf(&b, "#EXT-X-SERVER-CONTROL:HOLD-BACK=%s,CAN-SKIP-UNTIL=%s\n",
			seconds(holdBackTargets*v.target), seconds(skipUntilTargets*v.target))
	} else {
		fmt.Fprintf(&b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=%s,CAN-SKIP-UNTIL=%s\n",
			seconds(holdBackParts*v.partTarget), seconds(skipUntilTargets*v.target))
		fmt.Fprintf(&b, "#EXT-X-PART-INF:PART-TARGET=%s\n", seconds(v.partTarget))
	}
	fmt.Fprintf(&b, "#EXT-X-MEDIA-SEQUENCE:%d\n", v.sequence)
	fmt.Fprintf(&b, "#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", v.breaks)
	for _, a := range v.adBreaks { // in delta updates too: CAN-SKIP-DATERANGES is not offered
		renderBreak(&b, a, v.wall, v.end)
	}

	segments, initID := v.segments, int64(-1)
	if n := v.skippable(); skip && n > 0 {
		fmt.Fprintf(&b, "#EXT-X-SKIP:SKIPPED-SEGMENTS=%d\n", n)
		initID = segments[n-1].initID
		segments = segments[n:]
	}
	fromEnd := int64(0) // from a segment's end to the end of the playlist
	for i := range segments {
		fromEnd += segments[i].duration
	}
	for i := range segments {
		s := &segments[i]
		fromEnd -= s.duration
		if s.discontinuity {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if _, ok := v.inits[s.initID]; ok && s.initID != initID {
			initID = s.initID
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=%q\n", v.initName(initID))
		}
		fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", v.wall.Add(ticks(s.start)).UTC().Format("2006-01-02T15:04:05.000Z"))
		if fromEnd < partTargets*v.target && !v.whole {
			for _, p := range s.parts {
				fmt.Fprintf(&b, "#EXT-X-PART:DURATION=%s,URI=%q", seconds(p.duration), v.partName(p.id))
				if p.independent {
					b.WriteString(",INDEPENDENT=YES")
				}
				b.WriteByte('\n')
			}
		}
		if s.complete() {
			fmt.Fprintf(&b, "#EXTINF:%s,\n%s\n", seconds(s.duration), v.segmentName(s.sequence))
		}
	}
	switch {
	case v.ended:
		b.WriteString("#EXT-X-ENDLIST\n")
	case !v.whole:
		fmt.Fprintf(&b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=%q\n", v.partName(v.nextPart))
		for _, r := range v.reports {
			fmt.Fprintf(&b, "#EXT-X-RENDITION-REPORT:URI=%q,LAST-MSN=%d,LAST-PART=%d\n", r.uri, r.sequence, r.part)
		}
	}
	return []byte(b.String())
}

// Variant describes a rendition in a multivariant playlist.
type Variant struct {
	Name          string // empty: it is the only one
	URI           string
	PeakBitRate   int // bits per second
	MeanBitRate   int // 0: left out
	Codecs        string
	Width, Height int
	FrameRate     float64
}

// RenderMultivariant writes a multivariant playlist.
func RenderMultivariant(renditions []Variant) []byte {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:9\n")
	for _, r := range renditions {
		renderVariant(&b, r)
	}
	return []byte(b.String())
}

// renderVariant writes one rendition. A name stands in a group of its own, as on IVS: a tag without URI names what is in
// the variant itself (rfc8216bis §4.4.6.2.1).
func renderVariant(b *strings.Builder, r Variant) {
	if r.Name != "" {
		fmt.Fprintf(b, "#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=%q,NAME=%q,AUTOSELECT=YES,DEFAULT=YES\n", r.Name, r.Name)
	}
	fmt.Fprintf(b, "#EXT-X-STREAM-INF:BANDWIDTH=%d", max(1, r.PeakBitRate))
	if r.MeanBitRate > 0 {
		fmt.Fprintf(b, ",AVERAGE-BANDWIDTH=%d", min(r.MeanBitRate, max(1, r.PeakBitRate)))
	}
	fmt.Fprintf(b, ",CODECS=%q", r.Codecs)
	if r.Width > 0 && r.Height > 0 {
		fmt.Fprintf(b, ",RESOLUTION=%dx%d", r.Width, r.Height)
	}
	if r.FrameRate > 0 {
		fmt.Fprintf(b, ",FRAME-RATE=%.3f", r.FrameRate)
	}
	if r.Name != "" {
		fmt.Fprintf(b, ",VIDEO=%q", r.Name)
	}
	fmt.Fprintf(b, "\n%s\n", r.URI)
}
