package signal

import (
	"math"
	"time"
)

// SampleRate is the clock of all sound: samples per second and channel.
const SampleRate = 48000

// Amplitudes of the sound, where 1 is full scale.
var (
	ToneAmplitude = math.Pow(10, -30.0/20) // -30 dBFS
	BeepAmplitude = math.Pow(10, -12.0/20) // -12 dBFS
)

const (
	beepSamples = int64(SampleRate * FlashLength / time.Second)
	beepEdge    = SampleRate * 2 / 1000 // raised cosine of 2 ms at both ends
)

// ToneHz is the frequency of the participant's steady tone: 300 to 1290 Hz, 90 Hz apart.
func ToneHz(index int) int { return 300 + 90*(index%Participants) }

// BeepHz is the frequency of the participant's beep: 2200 to 5500 Hz, 300 Hz apart.
func BeepHz(index int) int { return 2200 + 300*(index%Participants) }

// SampleAt is the number of the sample that sounds at t, counted from the Unix epoch.
func SampleAt(t time.Time) int64 {
	return t.Unix()*SampleRate + int64(t.Nanosecond())*SampleRate/int64(time.Second)
}

// TimeOf is the inverse of SampleAt.
func TimeOf(sample int64) time.Time {
	return time.Unix(sample/SampleRate, sample%SampleRate*int64(time.Second)/SampleRate)
}

// FillSound writes the participant's sound from the given sample (see SampleAt) on: stereo, interleaved,
// both channels equal, len(pcm)/2 samples. The same sample number always gives the same value, so calls
// in any order fit together.
func FillSound(pcm []float32, index int, sample int64) {
	tone, beep := int64(ToneHz(index)), int64(BeepHz(index))
	for i := range len(pcm) / 2 {
		inSecond := (sample + int64(i)) % SampleRate
		value := ToneAmplitude * sine(tone*inSecond)
		if inSecond < beepSamples {
			value += BeepAmplitude * beepEnvelope(inSecond) * sine(beep*inSecond)
		}
		pcm[2*i], pcm[2*i+1] = float32(value), float32(value)
	}
}

// sine is the sine at phase steps of 1/SampleRate of a turn. Frequencies are whole numbers of hertz, so
// every second begins with phase 0 and no phase has to be kept.
func sine(phase int64) float64 { return sineTable[phase%SampleRate] }

var sineTable = func() (table [SampleRate]float64) {
	for i := range table {
		table[i] = math.Sin(2 * math.Pi * float64(i) / SampleRate)
	}
	return table
}()

func beepEnvelope(inBeep int64) float64 {
	fromEdge := min(inBeep, beepSamples-1-inBeep)
	if fromEdge >= beepEdge {
		return 1
	}
	return 0.5 - 0.5*math.Cos(math.Pi*(float64(fromEdge)+0.5)/beepEdge)
}

// ToneLevel is how loud the participant's steady tone is in sound, in dBFS, where 0 is a full-scale sine and -120 is nothing. The
// sound is stereo, interleaved; 50 ms of it keep the tones apart.
func ToneLevel(pcm []float32, index int) float64 {
	const quietest = -120
	n := len(pcm) / 2
	if n == 0 {
		return quietest
	}
	// Goertzel's algorithm, with a Hann window, whose mean is 1/2.
	coefficient := 2 * math.Cos(2*math.Pi*float64(ToneHz(index))/SampleRate)
	var s1, s2 float64
	for i := range n {
		value := (float64(pcm[2*i]) + float64(pcm[2*i+1])) / 2
		window := 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(n))
		s1, s2 = value*window+coefficient*s1-s2, s1
	}
	power := s1*s1 + s2*s2 - coefficient*s1*s2
	return max(quietest, 20*math.Log10(4*math.Sqrt(max(power, 0))/float64(n)))
}
