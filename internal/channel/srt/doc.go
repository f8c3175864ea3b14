// Package srt is the SRT ingest server: MPEG-TS with H.264 and AAC over UDP, beside package rtmp.
//
// Guarantees:
//   - A connection that sends garbage, stalls or lies costs only itself. Nothing is read from one before its stream
//     key and its passphrase are accepted.
//   - A refused publisher is told why by a rejection code in the handshake.
//   - Timestamps are handed on as the encoder gave them, both of them (DTS and PTS), on one clock that does not wrap.
//   - A publisher that says goodbye (a shutdown packet) is told apart from one that vanishes.
//
// The protocol is gosrt's, and the container mediacommon's.
package srt
