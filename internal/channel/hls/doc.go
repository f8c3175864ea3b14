// Package hls packages one live stream as Low-Latency HLS (draft-pantos-hls-rfc8216bis) and serves it.
//
// Guarantees:
//   - Every part but the last of a segment has the same length, chosen once for the whole stream.
//   - A playlist is playable from the first part on, and is rendered once per part, not once per request.
//   - Media time only grows, over reconnects too; a break is an EXT-X-DISCONTINUITY, a change of
//     parameters a new EXT-X-MAP with it, where the container has one.
//   - What players see does not depend on the container but for names and bytes: the cuts are the same.
//   - A blocked request waits for its part, its own context or three target durations, whichever is first.
//   - Muxers that follow another one have its segments, with its numbers and breaks, or fail.
//   - Names are never used twice: they carry a random prefix of the stream session.
//   - Memory is bounded by the window and a limit of bytes per segment.
//
// A container, MPEG-TS (mpegts.go) or fragmented MP4 (fmp4.go), is a packager (container.go). All rendering of playlists is
// pure (playlist.go); the Muxer (muxer.go) is owned by one goroutine; requests
// (serve.go) read immutable views that it publishes.
package hls
