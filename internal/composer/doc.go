// Package composer is what runs in the composer process: it takes a stage in and sends its composite out.
//
// Guarantees: the output has a constant frame rate and gapless sound from one clock, the composer's own, with
// placeholders and silence where inputs give nothing; what one participant captured together is shown and
// heard together (package clock has the model); no input and no destination can block or end another; every
// queue is bounded and drops to the next key frame; when the machine is too slow, pictures are left out and
// sound is not; the process ends when the server's socket closes; no log line holds a token or stream key.
//
// The way of the media:
//
//	roster ─ who publishes ─▶ input (WHEP) ─▶ video: assembler, decoder, pictures ─▶ canvas: layout, mixer, encoder ─┐
//	                                      └─▶ audio: receiver, timeline ──────────▶ sound: mixer, limiter, encoder ─┴─▶ output (RTMP)
//
// Each of these has one goroutine that owns it. The composer's main loop owns their lives and speaks with
// the server (package wire): scenes come from there, measurements go there.
//
// A picture takes the playout delay of its participant (package clock), at most half a tick more or less (canvas.ahead: more
// with few pictures a second), and the time to draw and encode it. Coded pictures wait as they came and are decoded just
// before they are due. What a canvas shows is decided when it is drawn, from the pictures that are due then: every change
// of participants, mutes, sizes and scenes falls on a frame boundary.
package composer
