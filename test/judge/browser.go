package judge

import _ "embed"

// StripJS is ReadStrip for a page: an expression whose value is
//
//	function (imageData, rect) → {index, timeMS, ok}
//
// imageData is what a canvas' getImageData returns, or any {data, width, height} with RGBA bytes; rect is
// {x, y, width, height} of the whole picture within it, all of it by default.
//
//go:embed strip.js
var StripJS string

// WatchJS measures a playing video element. It is an expression whose value is
//
//	function (readStrip, video, rects, milliseconds) → Promise of [{wallMS, mediaTime, readings}]
//
// with one entry for each picture that the browser presents: wallMS is the wall clock (milliseconds since
// the Unix epoch, with fractions) at which it is shown, mediaTime its PTS in seconds, and readings what
// readStrip found in each of the rects, which are in pixels of the video. Glass-to-glass latency is
// wallMS - readings[i].timeMS, where publisher and browser share a clock.
//
//go:embed watch.js
var WatchJS string

// WatchSample is one entry of what WatchJS resolves to.
type WatchSample struct {
	WallMS    float64        `json:"wallMS"`
	MediaTime float64        `json:"mediaTime"`
	Readings  []WatchReading `json:"readings"`
}

// WatchReading is what was found in one rectangle.
type WatchReading struct {
	Index  int   `json:"index"`
	TimeMS int64 `json:"timeMS"`
	OK     bool  `json:"ok"`
}

// Latencies returns glass-to-glass in milliseconds of each strip that was read.
func Latencies(samples []WatchSample) []float64 {
	var all []float64
	for _, sample := range samples {
		for _, reading := range sample.Readings {
			if reading.OK {
				all = append(all, sample.WallMS-float64(reading.TimeMS))
			}
		}
	}
	return all
}
