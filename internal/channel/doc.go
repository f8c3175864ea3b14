// Package channel is the live side of channels: ingest, stream sessions and playback.
//
// Guarantees:
//   - A channel has at most one publisher. Another one is refused and the first does not notice, unless it has a greater
//     priority and the same kind of media: then it goes on with the stream, and no time is missing.
//   - A publisher that vanishes has ten seconds to come back; the same playlist then goes on after an
//     EXT-X-DISCONTINUITY. One that says goodbye ends the stream at once.
//   - A publisher's picture in several sizes is as many renditions, with the same segments, numbers and breaks. One that
//     cannot keep step is taken out, and the others do not notice.
//   - Events of one stream come in order, from the goroutine that owns it.
//   - Slow or dead players cost the stream nothing: they read snapshots.
//
// One goroutine owns each live channel (live.go). Connections (packages rtmp and srt) send it units; it gives
// them exact times (feed.go, cadence.go), keeps several pictures in step (picture.go, step.go), and hands them to a packager
// for each rendition (rendition.go, package hls). Where the channel has a ladder, the picture goes by way of a process first
// (transcoder.go, package ladder).
package channel
