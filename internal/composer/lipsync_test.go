package composer

import (
	"cmp"
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/clock"
)

// TestLipSyncOverBadLink plays ten minutes of a participant with a clock of its own over a link that loses 2 % of the
// packets, which are there again 60 ms later, and whose delay swings by 50 ms. It takes the parts of the composer that
// decide when something is shown and heard, and no real time. Of the beeps, one a second, 99 % must be heard within
// 40 ms of the picture that was captured with them.
func TestLipSyncOverBadLink(t *testing.T) {
	for _, ppm := range []float64{100, -100} {
		t.Run(fmt.Sprintf("%+.0f ppm", ppm), func(t *testing.T) {
			t.Parallel()
			p := newPerformance(t, ppm)
			for _, a := range p.arrivals(10 * time.Minute) {
				p.playUntil(a.at)
				a.take()
			}
			defer p.pictures.clear()
			within, worst := 0, time.Duration(0)
			beeps := p.heard[2:] // the delay has found its measure
			for _, heard := range beeps {
				off := heard - p.seen[p.beepOf(heard)]
				worst = max(worst, off.Abs())
				if off.Abs() <= 40*time.Millisecond {
					within++
				}
			}
			t.Logf("%d of %d beeps within 40 ms, worst %v; delay %v; %d packets of sound lost of %d", within, len(beeps), worst, p.sync.Delay(), p.receiver.Lost(), p.receiver.Decoded())
			if len(beeps) < 590 || 100*within < 99*len(beeps) {
				t.Errorf("%d of %d beeps are heard with their picture", within, len(beeps))
			}
			if p.back > 0 || p.skipped > len(p.seen)/100*30 {
				t.Errorf("%d pictures went back, %d were left out", p.back, p.skipped)
			}
		})
	}
}

const (
	pictureEvery = time.Second / 30
	packetEvery  = 20 * time.Millisecond
	beepLength   = 100 * time.Millisecond
)

// performance is a participant, and the composer's parts that play it. Times are the composer's but for those that
// begin with local, which the participant's clock shows.
type performance struct {
	ppm    float64
	random *rand.Rand

	sync     *clock.Sync
	pictures pictures
	receiver audio.Receiver
	timeline audio.Timeline
	mixer    audio.Mixer
	pixels   *image.YCbCr

	tick    int64
	shown   int64 // PTS of the picture shown last
	loud    bool
	heard   []time.Duration                 // when each beep began
	seen    map[time.Duration]time.Duration // when the first picture of a second was shown
	back    int
	skipped int
}

func newPerformance(t *testing.T, ppm float64) *performance {
	p := &performance{ppm: ppm, random: rand.New(rand.NewPCG(uint64(ppm), 7)), sync: clock.NewSync(), shown: never,
		seen: map[time.Duration]time.Duration{}, pixels: image.NewYCbCr(image.Rect(0, 0, 2, 2), image.YCbCrSubsampleRatio420)}
	p.pictures.lateness = lateness
	p.pictures.due = func(ts int64) time.Duration { return p.sync.Due(clock.Video, ts) }
	p.receiver = audio.Receiver{Decoder: loudness{}, Timeline: &p.timeline, Due: func(ts int64) time.Duration { return p.sync.Due(clock.Audio, ts) }}
	return p
}

// at is when the participant's clock shows local.
func (p *performance) at(local time.Duration) time.Duration {
	return time.Duration(float64(local) / (1 + p.ppm/1e6))
}

// arrival is something that comes at a time.
type arrival struct {
	at   time.Duration
	take func()
}

// arrivals are all packets, and the sender's reports, in the order in which they come.
func (p *performance) arrivals(length time.Duration) []arrival {
	var all []arrival
	add := func(at time.Duration, take func(at time.Duration)) {
		all = append(all, arrival{at, func() { take(at) }})
	}
	var level, until, last time.Duration
	link := func(sent time.Duration) (at time.Duration) {
		if sent >= until {
			level = time.Duration(p.random.Int64N(int64(50 * time.Millisecond)))
			until = sent + 20*time.Millisecond + time.Duration(p.random.Int64N(int64(180*time.Millisecond)))
		}
		last = max(last, sent+level)
		if p.random.Float64() < 0.02 {
			return last + 60*time.Millisecond // again
		}
		return last
	}
	whole := time.Duration(0) // when all pictures so far were there: later ones have to wait for those before
	sound, picture := 0, 0
	for {
		localSound, localPicture := time.Duration(sound)*packetEvery, time.Duration(picture)*pictureEvery
		if min(localSound, localPicture) >= length {
			break
		}
		if localSound+packetEvery <= localPicture { // what leaves first; a packet of sound leaves with its last sample
			seq, rtp := uint16(sound), uint32(sound*960)
			payload := []byte{loudAt(localSound), loudAt(localSound - packetEvery)}
			add(link(p.at(localSound+packetEvery)), func(at time.Duration) { p.takeSound(at, seq, rtp, payload) })
			if sound%50 == 0 {
				add(p.at(localSound), func(time.Duration) { p.takeReports(localSound) })
			}
			sound++
			continue
		}
		rtp := uint32(picture * 3000)
		came := link(p.at(localPicture + 5*time.Millisecond))
		whole = max(whole, came)
		var ts int64
		add(came, func(at time.Duration) { ts = p.sync.Arrive(clock.Video, rtp, at) })
		add(whole, func(at time.Duration) { p.takePicture(at, ts) })
		picture++
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	return all
}

// loudAt is 1 while the beep of a second lasts.
func loudAt(local time.Duration) byte {
	if local >= 0 && local%time.Second < beepLength {
		return 1
	}
	return 0
}

func (p *performance) takeReports(local time.Duration) {
	const ntpStart = 3_990_000_000
	ntp := (ntpStart+uint64(local/time.Second))<<32 | uint64(local%time.Second)<<32/uint64(time.Second)
	p.sync.Report(clock.Audio, ntp, uint32(clock.Samples(local, 48_000)))
	p.sync.Report(clock.Video, ntp, uint32(clock.Samples(local, 90_000)))
}

func (p *performance) takeSound(now time.Duration, seq uint16, rtp uint32, payload []byte) {
	ts := p.sync.Arrive(clock.Audio, rtp, now)
	p.sync.Complete(clock.Audio, ts, now)
	p.receiver.Push(seq, ts, payload)
	p.receiver.Run(now)
}

func (p *performance) takePicture(now time.Duration, ts int64) {
	p.sync.Complete(clock.Video, ts, now)
	pic, err := av.NewPicture(p.pixels, false, av.BT709)
	if err != nil {
		panic(err) // for lack of memory
	}
	pic.PTS = ts
	p.pictures.push(&shot{pic, now}, now)
}

// playUntil draws the pictures and mixes the sound that are due before now.
func (p *performance) playUntil(now time.Duration) {
	for {
		picture := time.Duration(p.tick) * pictureEvery
		sound := clock.Ticks(p.mixer.Next()+audio.Block, audio.Rate)
		if min(picture, sound) >= now {
			return
		}
		if sound < picture {
			p.receiver.Run(sound)
			p.mix()
		} else {
			p.draw(picture)
		}
	}
}

func (p *performance) mix() {
	var pcm [2 * audio.Block]float32
	from := p.mixer.Next()
	p.mixer.Mix(pcm[:], []*audio.Timeline{&p.timeline})
	for i := range audio.Block {
		v := max(pcm[2*i], -pcm[2*i])
		switch {
		case v > 0.2 && !p.loud:
			p.loud, p.heard = true, append(p.heard, clock.Ticks(from+int64(i), audio.Rate))
		case v < 0.1:
			p.loud = false
		}
	}
}

// draw shows the picture that is due half a tick later, as canvases do.
func (p *performance) draw(at time.Duration) {
	p.tick++
	shown, _ := p.pictures.at(at+pictureEvery/2, maxSlop, 0, p.shown)
	if shown == nil {
		return
	}
	defer shown.Release()
	if p.shown != never {
		if step := (shown.PTS - p.shown) / 3000; step < 0 {
			p.back++
		} else if step > 1 {
			p.skipped += int(step - 1)
		}
	}
	p.shown = shown.PTS
	second := clock.Ticks(shown.PTS, 90_000).Truncate(time.Second)
	if _, ok := p.seen[second]; !ok {
		p.seen[second] = at
	}
}

// beepOf is the participant's second to which a beep belongs that was heard then.
func (p *performance) beepOf(heard time.Duration) time.Duration {
	return (heard - p.sync.Delay()).Round(time.Second)
}

// loudness decodes packets of 20 ms whose first byte tells whether they are loud, and whose second whether the one before
// was.
type loudness struct{}

func (loudness) Decode(packet []byte, pcm []float32) (int, error) { return tone(packet[0], pcm, 960) }
func (loudness) DecodeLost(pcm []float32, n int) (int, error)     { return tone(0, pcm, n) }
func (loudness) DecodeFEC(packet []byte, pcm []float32, n int) (int, error) {
	return tone(packet[1], pcm, n)
}

func tone(loud byte, pcm []float32, n int) (int, error) {
	v := float32(0.02) // too loud to be moved at once
	if loud > 0 {
		v = 0.6
	}
	for i := range 2 * n {
		pcm[i] = v
	}
	return n, nil
}
