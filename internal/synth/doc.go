// Package synth publishes synthetic participants to a stage over real WHIP: what package signal draws and
// sounds, encoded as H.264 baseline and Opus, on the wall clock.
//
// Guarantees:
//   - Pictures are captured on a grid of the frame rate that contains every whole second of the wall clock, so
//     a flash begins with a picture of its own. RTP timestamps and sender reports are functions of the same
//     clock: mapping a timestamp to NTP gives the capture time to the tick, whatever encoding takes.
//   - A decoder's sound is what package signal says for the RTP timestamp: the encoder's own delay is
//     taken out.
//   - A publisher whose connection breaks, or whose server restarts, comes back by itself with back-off; one
//     that is refused for good (a bad token, a bad offer) ends with the reason.
//   - What a publisher does wrong, how bad its links are and who it mutes can be changed at any time (Faults,
//     package link, Muted).
//   - Tokens are never logged.
//
// It links package av, so it belongs into the composer binary and into tests only.
package synth
