package channel

import (
	"fmt"
	"time"
)

// MultitrackBitRate is what all pictures of a publisher and its sound may have together, in bits per second.
const MultitrackBitRate = 15_000_000

// What a stream may bring (spec/lowlatency.md §1). The bit rates are of H.264 and AAC, without their container.
const (
	longestEdge = 1920
	mostPixels  = 1920 * 1080 // as shown: after cropping

	standardBitRate = 8_500_000
	basicBitRate    = 3_500_000
	basicSDBitRate  = 1_500_000 // of a channel of type BASIC, for pictures of up to 480 lines

	// Encoders overshoot the bit rate that they are set to, and variable ones much, for some seconds. So what is above
	// the limit and a tenth adds up, what is below pays back, and the stream is cut when it owes ten seconds' worth of
	// the limit: at twice the limit after 11 s, at a fifth more after 100 s.
	bitRateSlack  = 1.1
	bitRateCredit = 10 * time.Second
)

// Breach says which limit was exceeded, in the words of "IVS Limit Breach".
type Breach struct {
	Limit             EventKind
	Value, ExceededBy int64
	Unit              string
}

func (b Breach) Error() string {
	return fmt.Sprintf("limit of %s: %d %s, exceeded by %d", b.Limit, b.Value, b.Unit, b.ExceededBy)
}

// checkPicture returns the Breach of a picture that is too large, or nil.
func checkPicture(width, height int) error {
	if edge := max(width, height); edge > longestEdge {
		return Breach{IngestResolution, longestEdge, int64(edge - longestEdge), "pixels per edge"}
	}
	if pixels := width * height; pixels > mostPixels {
		return Breach{IngestResolution, mostPixels, int64(pixels - mostPixels), "total pixels"}
	}
	return nil
}

// bitRateLimit is that of all that a publisher brings, with so many sizes of the picture, in bits per second; a size of
// 0, 0 is not known yet.
func (c Channel) bitRateLimit(pictures, width, height int) int64 {
	switch {
	case pictures > 1:
		return MultitrackBitRate
	case !c.Basic:
		return standardBitRate
	case width > 0 && SD.holds(width, height):
		return basicSDBitRate
	}
	return basicBitRate
}

// overrun adds up what a stream brings above its limit.
type overrun struct {
	bits float64
	at   time.Time
	seen uint64 // bytes at that time
}

// check takes the bytes that have come so far, and returns a Breach once too much has added up.
func (o *overrun) check(now time.Time, bytes uint64, limit int64) error {
	seconds := now.Sub(o.at).Seconds()
	if o.at.IsZero() || bytes < o.seen || seconds <= 0 {
		o.at, o.seen = now, bytes
		return nil
	}
	bits := float64(bytes-o.seen) * 8
	o.at, o.seen = now, bytes
	o.bits = max(0, o.bits+bits-float64(limit)*bitRateSlack*seconds)
	if o.bits > float64(limit)*bitRateCredit.Seconds() {
		return Breach{IngestBitrate, limit, max(1, int64(bits/seconds)-limit), "bits per second"}
	}
	return nil
}
