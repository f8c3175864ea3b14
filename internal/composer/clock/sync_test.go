package clock

import (
	"math/rand/v2"
	"testing"
	"time"
)

const ms = time.Millisecond

// ntp is the NTP time of a sender's wall clock that shows d, some time in 2026.
func ntp(d time.Duration) uint64 {
	const start = 3_990_000_000
	return (start+uint64(d/time.Second))<<32 | uint64(d%time.Second)<<32/uint64(time.Second)
}

// sender simulates a participant whose tracks start at odd RTP times and take different transits.
type sender struct {
	s          *Sync
	audio      uint32
	video      uint32
	audioDelay time.Duration
	videoDelay time.Duration
	ppm        float64
	jitter     time.Duration
	rnd        *rand.Rand
}

func (p *sender) run(from, to time.Duration, reports bool) (lastAudio, lastVideo int64, captured time.Duration) {
	for at := from; at < to; at += 20 * ms {
		local := time.Duration(float64(at) * (1 + p.ppm/1e6)) // the sender's clock
		j := time.Duration(0)
		if p.jitter > 0 {
			j = time.Duration(p.rnd.Int64N(int64(p.jitter)))
		}
		if reports && at%time.Second == 0 {
			p.s.Report(Audio, ntp(local), p.audio+uint32(Samples(local, 48_000)))
			p.s.Report(Video, ntp(local), p.video+uint32(Samples(local, 90_000)))
		}
		lastAudio = p.s.Arrive(Audio, p.audio+uint32(Samples(local, 48_000)), at+p.audioDelay+j)
		p.s.Complete(Audio, lastAudio, at+p.audioDelay+j)
		if at%(40*ms) == 0 {
			lastVideo = p.s.Arrive(Video, p.video+uint32(Samples(local, 90_000)), at+p.videoDelay+j)
			p.s.Complete(Video, lastVideo, at+p.videoDelay+j)
			captured = at
		}
	}
	return lastAudio, lastVideo, captured
}

// TestLipSync: what is captured together is due together within 5 ms, whatever the tracks' transits.
func TestLipSync(t *testing.T) {
	for _, c := range []struct {
		name                   string
		audioDelay, videoDelay time.Duration
		jitter                 time.Duration
		ppm                    float64
		reports                bool
	}{
		{"equal transits, no reports", 5 * ms, 5 * ms, 0, 0, false},
		{"equal transits", 5 * ms, 5 * ms, 0, 0, true},
		{"video 60 ms slower", 5 * ms, 65 * ms, 0, 0, true},
		{"audio 150 ms slower", 155 * ms, 5 * ms, 0, 0, true},
		{"jitter", 5 * ms, 45 * ms, 30 * ms, 0, true},
		{"drift", 5 * ms, 45 * ms, 10 * ms, 100, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &sender{s: NewSync(), audio: 0xffff_ff00, video: 0x1234, audioDelay: c.audioDelay, videoDelay: c.videoDelay,
				ppm: c.ppm, jitter: c.jitter, rnd: rand.New(rand.NewPCG(1, 2))}
			from := time.Duration(0)
			for range 12 {
				to := from + 5*time.Second
				_, video, captured := p.run(from, to, c.reports)
				from = to
				local := time.Duration(float64(captured) * (1 + c.ppm/1e6))
				audio := Samples(local, 48_000)
				a, v := p.s.Due(Audio, audio), p.s.Due(Video, video)
				if d := a - v; d > 5*ms || d < -5*ms {
					t.Fatalf("after %v: audio due %v, video due %v: %v apart", to, a, v, d)
				}
				if late := max(c.audioDelay, c.videoDelay) + c.jitter - (v - captured); late > 0 {
					t.Fatalf("after %v: the slowest media would come %v too late", to, late)
				}
			}
		})
	}
}

// TestLateReports: audio starts seven seconds before video and reports come later still.
func TestLateReports(t *testing.T) {
	s := NewSync()
	for at := time.Duration(0); at < 7*time.Second; at += 20 * ms {
		s.Complete(Audio, s.Arrive(Audio, uint32(Samples(at, 48_000)), at+5*ms), at+5*ms)
	}
	var v int64
	for at := 7 * time.Second; at < 9*time.Second; at += 20 * ms {
		s.Complete(Audio, s.Arrive(Audio, uint32(Samples(at, 48_000)), at+5*ms), at+5*ms)
		v = s.Arrive(Video, 99+uint32(Samples(at, 90_000)), at+50*ms)
		s.Complete(Video, v, at+50*ms)
	}
	at := 9*time.Second - 20*ms
	s.Report(Audio, ntp(at), uint32(Samples(at, 48_000)))
	s.Report(Video, ntp(at), 99+uint32(Samples(at, 90_000)))
	a := Samples(at, 48_000)
	if d := s.Due(Audio, a) - s.Due(Video, v); d > 2*ms || d < -2*ms {
		t.Fatalf("audio and video are due %v apart", d)
	}
}

func TestBrokenReportsAreIgnored(t *testing.T) {
	p := &sender{s: NewSync(), audioDelay: 5 * ms, videoDelay: 5 * ms}
	a, v, _ := p.run(0, 2*time.Second, true)
	want := p.s.Due(Video, v)
	p.s.Report(Audio, ntp(40*time.Second), uint32(a)) // a wall clock that is 38 s off
	if got := p.s.Due(Video, v); got-want > 2*ms || want-got > 2*ms {
		t.Fatalf("a broken report moved the video from %v to %v", want, got)
	}
}

func TestDelayGrowsAndShrinks(t *testing.T) {
	s := NewSync()
	now := time.Duration(0)
	packet := func(late time.Duration) {
		now += 20 * ms
		ts := s.Arrive(Audio, uint32(Samples(now, 48_000)), now+late)
		s.Complete(Audio, ts, now+late)
	}
	for range 100 {
		packet(0)
	}
	if s.Delay() != MinDelay {
		t.Fatalf("calm: %v", s.Delay())
	}
	packet(200 * ms)
	if s.Delay() != MinDelay {
		t.Fatalf("one outlier moved the delay to %v", s.Delay())
	}
	packet(200 * ms)
	if s.Delay() != MinDelay {
		t.Fatalf("one bad second moved the delay to %v", s.Delay())
	}
	for range 50 {
		packet(0)
	}
	packet(200 * ms)
	packet(200 * ms)
	if s.Delay() != 230*ms {
		t.Fatalf("two bad seconds: %v, want 230ms", s.Delay())
	}
	for range 50 * 11 { // the window forgets after ten seconds
		packet(0)
	}
	high := s.Delay()
	for range 50 * 10 {
		packet(0)
	}
	if got := high - s.Delay(); got < 45*ms || got > 55*ms {
		t.Fatalf("the delay fell by %v in ten seconds, want about 50ms", got)
	}
	packet(3 * time.Second)
	for range 2 * 50 { // two seconds of them
		packet(790 * ms)
	}
	if s.Delay() != MaxDelay {
		t.Fatalf("delay %v is not bounded by %v", s.Delay(), MaxDelay)
	}
}

// TestDelayFallsAtOnePace: however seldom somebody sends, as with DTX.
func TestDelayFallsAtOnePace(t *testing.T) {
	for _, every := range []time.Duration{20 * ms, 33 * ms, 130 * ms, 400 * ms} {
		s := NewSync()
		s.delay = 200 * ms
		for now := time.Duration(0); now <= 10*time.Second; now += every {
			s.Complete(Audio, s.Arrive(Audio, uint32(Samples(now, 48_000)), now), now)
		}
		if got := 200*ms - s.Delay(); got < 48*ms || got > 52*ms {
			t.Errorf("a packet every %v: the delay fell by %v in ten seconds, want about 50ms", every, got)
		}
	}
}

// TestTransitRises: the network takes longer from 20 s on, for good. The delay covers it at once; when the window has
// forgotten how it was before, the lateness is the tracks' base and no longer the delay's. That must not be heard.
func TestTransitRises(t *testing.T) {
	step := func(at time.Duration) time.Duration { return 100 * ms }
	ramp := func(at time.Duration) time.Duration { return min(at*150/1000, 450*ms) }
	late := func(at time.Duration) time.Duration { // half of the packets, all the time
		return 60 * ms * (at / (40 * ms) % 2)
	}
	for _, c := range []struct {
		name           string
		rise           func(at time.Duration) time.Duration
		jitter         func(at time.Duration) time.Duration
		video, reports bool
		calm           time.Duration // when nothing moves any more
		delay          time.Duration
	}{
		{"step, audio only", step, nil, false, false, 2 * time.Second, 41 * ms},
		{"step, no reports", step, nil, true, false, 2 * time.Second, 41 * ms},
		{"step", step, nil, true, true, 2 * time.Second, 41 * ms},
		{"step and jitter", step, late, true, true, 2 * time.Second, 91 * ms},
		{"step and jitter, no reports", step, late, true, false, 2 * time.Second, 91 * ms},
		{"ramp, audio only", ramp, nil, false, false, 5 * time.Second, 41 * ms},
		{"ramp, no reports", ramp, nil, true, false, 5 * time.Second, 41 * ms},
		{"ramp", ramp, nil, true, true, 5 * time.Second, 41 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			const from = 20 * time.Second
			tolerance := ms
			if c.video && !c.reports {
				tolerance = 4 * ms // the tracks' fastest packets are not sent at the same time
			}
			s := NewSync()
			var last [kinds]time.Duration
			play := func(k Kind, at, every time.Duration) {
				arrival := at + 5*ms
				if at >= from {
					arrival += c.rise(at - from)
				}
				if c.jitter != nil {
					arrival += c.jitter(at)
				}
				ts := s.Arrive(k, uint32(Samples(at, k.rate())), arrival)
				s.Complete(k, ts, arrival)
				due := s.Due(k, ts)
				if step := due - last[k] - every; at > from+c.calm && step.Abs() > tolerance {
					t.Fatalf("after %v: kind %d is due %v after the one before", at-from, k, step+every)
				}
				if at > from+c.calm && due < arrival {
					t.Fatalf("after %v: kind %d comes %v too late", at-from, k, arrival-due)
				}
				if at > from+c.calm+10*time.Second && s.Delay() > c.delay {
					t.Fatalf("after %v: the delay is %v", at-from, s.Delay())
				}
				last[k] = due
			}
			for at := time.Duration(0); at < from+30*time.Second; at += 20 * ms {
				if c.reports && at%time.Second == 0 {
					s.Report(Audio, ntp(at), uint32(Samples(at, 48_000)))
					s.Report(Video, ntp(at), uint32(Samples(at, 90_000)))
				}
				play(Audio, at, 20*ms)
				if c.video && at%(40*ms) == 20*ms {
					play(Video, at, 40*ms)
				}
			}
		})
	}
}

// pair is a participant whose picture is sent at once and whose sound, of 20 ms, when it is whole. Reports come as a browser
// sends them. What is captured at a time takes late(time) to arrive.
type pair struct {
	s         *Sync
	stood     time.Duration // for how long the RTP time of the sound stood still
	soundOnly bool
}

// play plays what is captured from from to to. check, if any, is given when each packet arrived and is due.
func (p *pair) play(from, to time.Duration, late func(at time.Duration) time.Duration, check func(k Kind, at, arrival, due time.Duration)) {
	packet := func(k Kind, at, stood, arrival time.Duration) {
		ts := p.s.Arrive(k, uint32(Samples(at-stood, k.rate())), arrival)
		p.s.Complete(k, ts, arrival)
		if check != nil {
			check(k, at, arrival, p.s.Due(k, ts))
		}
	}
	for at := from; at < to; at += 20 * ms {
		arrival := at + 5*ms + late(at)
		if at%(40*ms) == 0 && !p.soundOnly {
			packet(Video, at, 0, arrival)
		}
		packet(Audio, at-20*ms, p.stood, arrival)
		if at%time.Second == 0 {
			p.s.Report(Video, ntp(at), uint32(Samples(at, 90_000)))
		}
		if at%(5*time.Second) == 0 {
			p.s.Report(Audio, ntp(at), uint32(Samples(at-p.stood, 48_000)))
		}
	}
}

func punctual(time.Duration) time.Duration { return 0 }

// apart is by how much later sound is due than the picture that is captured with it.
func (p *pair) apart(at time.Duration) time.Duration {
	sound, picture := int64(int32(Samples(at-p.stood+20*ms, 48_000))), Samples(at, 90_000)
	return p.s.Due(Audio, sound) - p.s.Due(Video, picture)
}

// TestSoundStoodStill: browsers count samples for the RTP time of sound, so it stands still while they have no microphone,
// and all that comes later has a longer transit. After a second it is heard again, and the picture does not wait for it.
func TestSoundStoodStill(t *testing.T) {
	for _, pause := range []time.Duration{time.Second, 3 * time.Second, 8 * time.Second} {
		for _, soundOnly := range []bool{true, false} {
			p := &pair{s: NewSync(), soundOnly: soundOnly}
			p.play(0, 10*time.Second, punctual, nil)
			back := 10*time.Second + pause
			if !soundOnly {
				for at := 10 * time.Second; at < back; at += 40 * ms {
					p.s.Complete(Video, p.s.Arrive(Video, uint32(Samples(at, 90_000)), at+5*ms), at+5*ms)
				}
			}
			p.stood = pause
			p.play(back, back+30*time.Second, punctual, func(k Kind, at, arrival, due time.Duration) {
				if k == Audio && at > back+1200*ms && due < arrival {
					t.Fatalf("%v: %v after it sound comes %v too late", pause, at-back, arrival-due)
				}
				if p.s.Delay() > 60*ms {
					t.Fatalf("%v: %v after it the delay is %v", pause, at-back, p.s.Delay())
				}
				if k == Video && at > back+6*time.Second && p.apart(at).Abs() > 5*ms {
					t.Fatalf("%v: %v after it sound is due %v after its picture", pause, at-back, p.apart(at))
				}
			})
		}
	}
}

// TestQueueOverMaxDelay: the network holds everything back for longer than the delay can cover, and recovers.
func TestQueueOverMaxDelay(t *testing.T) {
	for _, lasts := range []time.Duration{500 * ms, 1500 * ms, 4 * time.Second} {
		p := &pair{s: NewSync()}
		p.play(0, 10*time.Second, punctual, nil)
		full := 10*time.Second + lasts
		queue := func(at time.Duration) time.Duration {
			if at < full {
				return 1200 * ms
			}
			return max(0, 1200*ms-(at-full)*9/10) // it drains at ten times the rate
		}
		p.play(10*time.Second, 40*time.Second, queue, func(k Kind, at, arrival, due time.Duration) {
			drained := at > full+1400*ms
			if due < arrival && at > 11200*ms && (drained || lasts > time.Second) {
				t.Fatalf("%v: %v after its beginning kind %d comes %v too late", lasts, at-10*time.Second, k, arrival-due)
			}
			if k == Video && p.apart(at).Abs() > 5*ms && drained {
				t.Fatalf("%v: %v after its beginning sound is due %v after its picture", lasts, at-10*time.Second, p.apart(at))
			}
			if drained && due > arrival+100*ms {
				t.Fatalf("%v: %v after its beginning kind %d is due after %v", lasts, at-10*time.Second, k, due-arrival)
			}
		})
	}
}

// TestCameraStaysOff: the sender's clock drifts away from what is known of a camera that was muted long ago; that must not
// hold the sound back. When the camera is on again the two are together from the first picture on.
func TestCameraStaysOff(t *testing.T) {
	for _, ppm := range []float64{1000, -1000} { // six minutes of it are as much as five hours of 20
		p := &sender{s: NewSync(), audio: 77, video: 0x1234, audioDelay: 25 * ms, videoDelay: 5 * ms, ppm: ppm}
		p.run(0, 20*time.Second, true)
		const off = 6 * time.Minute
		last := time.Duration(0)
		for at := 20 * time.Second; at < off; at += 20 * ms {
			local := time.Duration(float64(at) * (1 + ppm/1e6))
			if at%time.Second == 0 {
				p.s.Report(Audio, ntp(local), p.audio+uint32(Samples(local, 48_000)))
			}
			arrival := at + p.audioDelay
			ts := p.s.Arrive(Audio, p.audio+uint32(Samples(local, 48_000)), arrival)
			p.s.Complete(Audio, ts, arrival)
			due := p.s.Due(Audio, ts)
			if due < arrival || due > arrival+70*ms {
				t.Fatalf("%+.0f ppm, after %v: sound is due after %v", ppm, at, due-arrival)
			}
			if step := due - last - 20*ms; last > 0 && step.Abs() > 10*ms {
				t.Fatalf("%+.0f ppm, after %v: what is due leaps by %v", ppm, at, step)
			}
			last = due
		}
		for at := time.Duration(off); at < off+5*time.Second; at += 40 * ms {
			audio, video, captured := p.run(at, at+40*ms, true)
			if due := p.s.Due(Audio, audio) - (at + 20*ms); due < p.audioDelay || due > 100*ms {
				t.Fatalf("%+.0f ppm, %v after it is on again: sound is due after %v", ppm, at-off, due)
			}
			local := time.Duration(float64(captured) * (1 + ppm/1e6))
			if d := p.s.Due(Audio, Samples(local, 48_000)) - p.s.Due(Video, video); d.Abs() > 5*ms {
				t.Fatalf("%+.0f ppm, %v after it is on again: sound is due %v after its picture", ppm, at-off, d)
			}
		}
	}
}

// TestNewTimeline: a sender that restarts its RTP clock is mapped anew.
func TestNewTimeline(t *testing.T) {
	for _, jump := range []uint32{1 << 29, 1<<32 - 1<<29} {
		s := NewSync()
		var due, now time.Duration
		for i := range 200 {
			now = time.Duration(i) * 20 * ms
			rtp := uint32(i * 960)
			if i >= 100 {
				rtp += jump
			}
			due = s.Due(Audio, s.Arrive(Audio, rtp, now))
		}
		if d := due - now; d != MinDelay {
			t.Fatalf("jump %d: due %v after arrival, want %v", jump, d, MinDelay)
		}
	}
}

func TestTicks(t *testing.T) {
	if got := Ticks(90_000*3600*100, 90_000); got != 100*time.Hour {
		t.Fatalf("100 hours of ticks are %v", got)
	}
	if got := Samples(100*time.Hour+time.Second/2, 48_000); got != 48_000*3600*100+24_000 {
		t.Fatalf("samples: %d", got)
	}
}
