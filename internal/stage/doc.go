// Package stage is the SFU: participants of a stage publish over WHIP and subscribe to each other.
//
// What it guarantees:
//
//   - Without simulcast RTP reaches subscribers with the publisher's sequence numbers, timestamps, marker
//     bits and payloads; only SSRC and payload type change and header extensions are dropped. The publisher's
//     sender reports follow with the same NTP/RTP pair, so a subscriber can lip-sync audio and video.
//   - Of a publisher's simulcast layers a subscriber gets the one that suits the size it shows, as one stream:
//     layers change at key frames and between two pictures, numbers have no hole, timestamps are on one timeline, and
//     sender reports fit them.
//   - A slow subscriber never delays a publisher or another subscriber: each has a bounded queue,
//     which for video drops to the next key frame.
//   - A publisher sees at most one key-frame request in 500 ms for each layer, however many subscribers ask.
//   - A hidden participant (a composer) may publish too: who knows its name subscribes to it, and it is in no list, no
//     limit and no event.
//   - A participant that vanishes without a word is gone within 10 s.
//   - An Observer hears of every change of one stage in order.
//
// How it is built: one goroutine per stage (type stage) owns the participants and their sessions and
// takes typed requests. Media does not pass through it: a source (one per publisher, kind and layer) is fed by
// the goroutine that reads the publisher's stream and hands reference-counted packets to one sink per
// subscriber. A few lanes, one goroutine for each processor, send what the sinks have queued. A track is the sources of
// one kind; its goroutine decides which layer each sink gets.
package stage
