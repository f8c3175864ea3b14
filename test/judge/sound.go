package judge

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"io"
	"math"
	"math/cmplx"
	"slices"
	"sort"
	"time"

	"github.com/footlight-live/footlight/internal/synth/signal"
)

// SoundWindow is how loud each participant's steady tone is in 100 ms of sound.
type SoundWindow struct {
	PTS   time.Duration // of its first sample
	Level float64       // of everything, dBFS: 0 is a full-scale sine
	Peak  float64       // the largest sample, 1 is full scale
	Tones [signal.Participants]float64
}

// Beep is one beep that was heard.
type Beep struct {
	PTS    time.Duration // of its first sample, as the participant sent it
	Index  int
	Level  float64       // dBFS
	Length time.Duration // between the points of half amplitude
}

const (
	windowSamples = signal.SampleRate / 10
	blockSamples  = signal.SampleRate / 1000 // the envelope's resolution: 1 ms
	quietest      = -120                     // dBFS, instead of minus infinity
)

// soundReader listens to stereo samples of 48 kHz and keeps a reading per 100 ms, and each participant's
// beep as an envelope with a value per millisecond.
type soundReader struct {
	windows   []SoundWindow
	envelopes [signal.Participants][]complex64 // mean of sample times carrier
	samples   int

	window []float64
}

func (s *soundReader) read(r io.Reader) error {
	in := bufio.NewReaderSize(r, 1<<16)
	raw := make([]byte, 4*blockSamples)
	var block [blockSamples]float64
	for {
		if _, err := io.ReadFull(in, raw); err != nil {
			return unlessEnd("read sound", err)
		}
		for i := range block {
			left := int16(binary.LittleEndian.Uint16(raw[4*i:]))
			right := int16(binary.LittleEndian.Uint16(raw[4*i+2:]))
			block[i] = (float64(left) + float64(right)) / 65536
		}
		s.add(&block)
	}
}

func (s *soundReader) add(block *[blockSamples]float64) {
	for index := range s.envelopes {
		// Carriers are whole numbers of hertz: the phase repeats each second.
		step := 2 * math.Pi * float64(signal.BeepHz(index)) / signal.SampleRate
		turn := cmplx.Rect(1, -step)
		carrier := cmplx.Rect(1, -step*float64(s.samples%signal.SampleRate))
		var sum complex128
		for _, value := range block {
			sum += complex(value, 0) * carrier
			carrier *= turn
		}
		s.envelopes[index] = append(s.envelopes[index], complex64(sum/blockSamples))
	}
	s.samples += blockSamples
	s.window = append(s.window, block[:]...)
	if len(s.window) == windowSamples {
		s.windows = append(s.windows, judgeWindow(s.window))
		s.window = s.window[:0]
	}
}

func judgeWindow(samples []float64) SoundWindow {
	var window SoundWindow
	var power float64
	for _, value := range samples {
		power += value * value
		window.Peak = max(window.Peak, math.Abs(value))
	}
	window.Level = decibels(math.Sqrt(2 * power / float64(len(samples))))
	for index := range window.Tones {
		window.Tones[index] = decibels(amplitude(samples, float64(signal.ToneHz(index))))
	}
	return window
}

// hann is the window that keeps neighbouring tones apart: 100 ms of it tell 20 Hz apart.
var hann = func() (window [windowSamples]float64) {
	for i := range window {
		window[i] = 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/windowSamples)
	}
	return window
}()

// amplitude is that of the sine of the given frequency in windowSamples samples, by Goertzel's algorithm.
func amplitude(samples []float64, hertz float64) float64 {
	coefficient := 2 * math.Cos(2*math.Pi*hertz/signal.SampleRate)
	var s1, s2 float64
	for i, value := range samples {
		s1, s2 = value*hann[i]+coefficient*s1-s2, s1
	}
	power := s1*s1 + s2*s2 - coefficient*s1*s2
	return 2 * math.Sqrt(max(power, 0)) / (float64(len(samples)) / 2) // the window's mean is 1/2
}

func decibels(amplitude float64) float64 {
	return max(20*math.Log10(amplitude), quietest)
}

// judge returns the readings with their PTS.
func (s *soundReader) judge(pts func(sample float64) time.Duration) ([]SoundWindow, []Beep) {
	for i := range s.windows {
		s.windows[i].PTS = pts(float64(i * windowSamples))
	}
	var beeps []Beep
	for index, envelope := range s.envelopes {
		for _, found := range findBeeps(envelope) {
			length := time.Duration((found.fall - found.rise) * float64(time.Millisecond))
			// The middle is where it is whatever a limiter or a codec did to both edges.
			middle := pts((found.rise + found.fall) / 2 * blockSamples)
			beeps = append(beeps, Beep{PTS: middle - signal.FlashLength/2, Index: index, Level: found.level, Length: length})
		}
	}
	slices.SortFunc(beeps, func(a, b Beep) int {
		return cmp.Or(cmp.Compare(a.PTS, b.PTS), cmp.Compare(a.Index, b.Index))
	})
	return s.windows, beeps
}

// beepEdges are the points of half amplitude, in milliseconds from the first sample.
type beepEdges struct{ rise, fall, level float64 }

// findBeeps looks for 100 ms of steady sound in an envelope. Two moving means of 10 ms take out the other
// participants' beeps, whose frequencies are multiples of 100 Hz away, and keep edges where they are.
func findBeeps(envelope []complex64) []beepEdges {
	const reach = 10 // ms
	smooth := movingMean(movingMean(envelope, reach), reach)
	level := make([]float64, len(smooth))
	for i, value := range smooth {
		level[i] = 2 * cmplx.Abs(complex128(value))
	}
	const (
		faintest = 0.008                                                   // -42 dBFS
		length   = float64(signal.FlashLength) / float64(time.Millisecond) // between half amplitudes
	)
	var found []beepEdges
	for at := 0; at < len(level); {
		if level[at] < faintest {
			at++
			continue
		}
		// The plateau: the largest value within the next beep's length.
		top := at
		for i := at; i < min(at+int(length), len(level)); i++ {
			if level[i] > level[top] {
				top = i
			}
		}
		half := level[top] / 2
		rise, fall := top, top
		for rise > 0 && level[rise-1] >= half {
			rise--
		}
		for fall < len(level)-1 && level[fall+1] >= half {
			fall++
		}
		if rise > 0 && fall < len(level)-1 {
			// Value i of two means of 10 ms stands for the moment i-9 ms plus half a block.
			const delay = float64(2*(reach-1))/2 - 0.5
			edges := beepEdges{
				rise:  float64(rise) - (level[rise]-half)/(level[rise]-level[rise-1]) - delay,
				fall:  float64(fall) + (level[fall]-half)/(level[fall]-level[fall+1]) - delay,
				level: decibels(level[top]),
			}
			if math.Abs(edges.fall-edges.rise-length) < 0.3*length {
				found = append(found, edges)
			}
		}
		// What is left of the sound is not the start of the next beep.
		for at = fall + 1; at < len(level) && level[at] >= faintest && level[at] < half; at++ {
		}
	}
	return found
}

// movingMean is the mean of the last n values.
func movingMean(values []complex64, n int) []complex64 {
	means := make([]complex64, len(values))
	var sum complex128
	for i, value := range values {
		sum += complex128(value)
		if i >= n {
			sum -= complex128(values[i-n])
		}
		means[i] = complex64(sum / complex(float64(n), 0))
	}
	return means
}

// soundClock maps sample numbers to PTS.
type soundClock []stamp

func (c soundClock) pts(sample float64) time.Duration {
	if len(c) == 0 {
		return 0
	}
	after := sort.Search(len(c), func(i int) bool { return float64(c[i].first) > sample })
	run := c[max(after-1, 0)]
	return run.pts + samplesLength(sample-float64(run.first))
}

func (c soundClock) gaps(start time.Duration) []Gap {
	var gaps []Gap
	for i := 1; i < len(c); i++ {
		expected := c[i-1].pts + samplesLength(float64(c[i-1].samples))
		if jump := c[i].pts - expected; jump.Abs() > 2*time.Millisecond {
			gaps = append(gaps, Gap{At: expected - start, Length: jump})
		}
	}
	return gaps
}

func samplesLength(samples float64) time.Duration {
	return time.Duration(samples * float64(time.Second) / signal.SampleRate)
}
