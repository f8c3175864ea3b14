// Package ingest brings RTMP(S) into stages: an encoder with the stream key of an ingest configuration is a participant.
//
// Guarantees:
//   - H.264 reaches the stage as the encoder made it, AAC as Opus (package transcode). Both lie on one clock: what was
//     together at the encoder is together at subscribers. The first three tracks of a multitrack encoder are simulcast layers.
//   - What a stage cannot take ends the encoder with a publish error that says why: B-frames, other codecs, more than 720p
//     or 8.5 Mbit/s, sound or picture missing, more than 24 hours.
//   - An encoder that vanishes has a few seconds to come back as the same participant, and is gone within 10 s. One that
//     says goodbye leaves at once.
//   - With redundant ingest the two encoders are participants of their own behind the one that others see, which goes on
//     with the other encoder's next key frame when the one that it shows fails.
//
// One goroutine owns each live ingest configuration (live.go). RTMP connections send it units and transcoders packets; it
// checks them, gives them times (clock.go) and hands RTP payloads (rtp.go) to the stage's feeds.
package ingest
