// Package rtmp is the RTMP and RTMPS ingest server.
//
// Guarantees:
//   - A connection that sends garbage, stalls or lies costs only itself: nothing else notices, and
//     before its stream key is accepted it gets ten seconds and 128 KiB.
//   - A refused publisher is told why in an onStatus of level error before the connection closes.
//   - Timestamps are handed on as the encoder gave them, both of them (DTS and PTS), in milliseconds.
//   - Of Enhanced RTMP v2 it reads H.264 and AAC, several video tracks of it too; the sound is that of track 0.
//   - A publisher that says goodbye (FCUnpublish, deleteStream, closeStream) is told apart from one that vanishes.
//
// The handshake, the chunk stream and AMF0 are gortmplib's. Its ServerConn is not used, because it
// answers "publish start" before the key can be checked, and neither is its Reader, because it holds
// two seconds of media back to find the tracks.
package rtmp
