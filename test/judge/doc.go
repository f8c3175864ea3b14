// Package judge reads media as a player gets it and says what is in it: who is visible in which tile, whose
// tone and beep are in the mix, whether sound and picture fit together, and whether the cadence is whole.
//
// It expects the synthetic participants of package signal. It decodes with the ffmpeg and ffprobe on PATH
// and looks at pictures and samples as they stream by; only readings are kept, so memory does not grow with
// the size of the pictures. For a browser, StripJS holds the same reader of the strip in JavaScript.
package judge
