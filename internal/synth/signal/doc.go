// Package signal says what a synthetic participant shows and sounds, so that a machine can read it back.
//
// Everything is a pure function of the participant's index and the wall clock:
//
//   - each picture carries a strip of 64 black and white cells with the index, the capture time in
//     milliseconds and a checksum. It sits near the vertical middle axis, so that it survives cropping
//     down to 3:4, and each cell is still 7 pixels wide when 640x360 is shown at 318x178;
//   - in the first 100 ms of each second of the wall clock a large lamp is white and a beep sounds;
//   - each participant has its own hue, its own quiet steady tone and its own beep frequency.
//
// The package draws and encodes nothing but pixels and samples: no cgo, no clock, no goroutine.
// ReadStrip reads the strip back; package judge under test/ reads the rest.
package signal
