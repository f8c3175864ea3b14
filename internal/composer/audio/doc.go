// Package audio turns the participants' Opus packets into one mixed sound.
//
// Guarantees: what a participant captured at one time is heard at one time of the composer's clock, gaps of
// DTX included; packets lost are covered by in-band FEC or concealment and silence is the last resort; no
// edge clicks; the sum never exceeds −1 dBFS and is never clipped hard.
//
// All sound is 48 kHz stereo, float32 in −1..1, left and right interleaved. Positions are counts of samples
// per channel since the composer's clock was zero.
package audio

// Rate is the sample rate of everything here, in Hz.
const Rate = 48_000
