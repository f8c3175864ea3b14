package worker

import "time"

const (
	sampleRate = 48000
	// packetSamples is 20 ms: what every WebRTC client expects.
	packetSamples = 960
	// tolerance is how far the times of units may be from the sum of their samples: RTMP rounds to milliseconds, and some
	// encoders stamp when they got round to it. 40 ms between sound and picture is what nobody sees.
	tolerance = sampleRate / 25
	// longest is the longest hole that is filled with silence. After a longer one, time goes on where the sound does.
	longest = sampleRate
)

// timeline lines decoded sound up without holes and overlaps. Positions are samples at 48 kHz since the server's origin.
type timeline struct {
	start int64     // position of the first sample waiting
	pcm   []float32 // what waits, interleaved stereo
	begun bool
	frame []float32
}

// add takes sound that is due at a position.
func (t *timeline) add(at int64, pcm []float32) {
	off := at - (t.start + int64(len(t.pcm)/2))
	switch {
	case !t.begun || off > longest || off < -longest:
		t.begun, t.start, t.pcm = true, at, t.pcm[:0]
	case off > tolerance:
		t.pcm = append(t.pcm, make([]float32, 2*off)...)
	case off < -tolerance:
		pcm = pcm[min(-2*int(off), len(pcm)):]
	}
	t.pcm = append(t.pcm, pcm...)
}

// take returns the next packet's worth of sound and its position, or nil. It is valid until the next call.
func (t *timeline) take() (at int64, pcm []float32) {
	const n = 2 * packetSamples
	if len(t.pcm) < n {
		return 0, nil
	}
	t.frame = append(t.frame[:0], t.pcm[:n]...)
	t.pcm = append(t.pcm[:0], t.pcm[n:]...)
	at = t.start
	t.start += packetSamples
	return at, t.frame
}

// samples is the position of a time, rounded; duration is the reverse.
func samples(at time.Duration) int64 {
	seconds, rest := int64(at/time.Second), int64(at%time.Second)
	return seconds*sampleRate + (rest*sampleRate+int64(time.Second)/2)/int64(time.Second)
}

func duration(position int64) time.Duration {
	seconds, rest := position/sampleRate, position%sampleRate
	return time.Duration(seconds)*time.Second + time.Duration(rest)*time.Second/sampleRate
}
