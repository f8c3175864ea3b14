package synth

import (
	"errors"
	"fmt"
	"image"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp/codecs"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/synth/link"
	"github.com/footlight-live/footlight/internal/synth/signal"
	"github.com/footlight-live/footlight/test/judge"
)

// publish starts a publisher at the stage, which ends with the test.
func publish(t *testing.T, s *stage, p *Publisher) *Publisher {
	t.Helper()
	if p.WHIPURL == "" {
		p.WHIPURL = s.URL + "/whip"
	}
	if p.Token == "" {
		p.Token = "secret"
	}
	p.Name, p.Log = "Grace", slog.New(slog.DiscardHandler)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // tests that care ask themselves
	return p
}

// watcher decodes the video that comes to a stage.
type watcher struct {
	stage   *stage
	decoder *av.H264Decoder
	unit    []byte
	depack  codecs.H264Packet
}

func newWatcher(t *testing.T, s *stage) *watcher {
	t.Helper()
	decoder, err := av.NewH264Decoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(decoder.Close)
	return &watcher{stage: s, decoder: decoder}
}

// next returns the next picture, its RTP timestamp and whether its access unit holds a key frame.
func (w *watcher) next() (img *image.YCbCr, timestamp uint32, key bool) {
	w.stage.t.Helper()
	for {
		p := w.stage.next("video")
		part, err := w.depack.Unmarshal(p.Payload)
		if err != nil {
			continue
		}
		w.unit = append(w.unit, part...)
		if !p.Marker {
			continue
		}
		unit := w.unit
		w.unit = nil
		picture, err := w.decoder.Decode(unit, int64(p.Timestamp))
		if err != nil || picture == nil {
			continue
		}
		canvas, err := av.NewCanvas(picture.Width, picture.Height)
		if err != nil {
			w.stage.t.Fatal(err)
		}
		err = canvas.DrawPicture(picture, canvas.Bounds(), canvas.Bounds())
		picture.Release()
		if err != nil {
			w.stage.t.Fatal(err)
		}
		img = canvas.Image()
		canvas.Close()
		return img, p.Timestamp, hasIDR(unit)
	}
}

func hasIDR(annexB []byte) bool {
	for i := 3; i < len(annexB); i++ {
		if annexB[i-3] == 0 && annexB[i-2] == 0 && annexB[i-1] == 1 && annexB[i]&0x1f == 5 {
			return true
		}
	}
	return false
}

func TestPictureCarriesIndexAndCaptureTime(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	publish(t, s, &Publisher{Index: 6, WHIPURL: s.URL + "/moved"})
	w := newWatcher(t, s)
	var lastMS int64
	var lastStamp uint32
	for n := range 60 {
		img, timestamp, key := w.next()
		index, ms, ok := judge.ReadStrip(img, img.Rect)
		if !ok || index != 6 {
			t.Fatalf("picture %d: read %d, %v", n, index, ok)
		}
		if n == 0 && !key {
			t.Error("the first picture is no key frame")
		}
		if off := time.Since(time.UnixMilli(ms)); off < -time.Second || off > patience {
			t.Errorf("picture %d was captured %v ago", n, off)
		}
		// Timestamps and strips run alike, to the millisecond to which strips are cut.
		if n > 0 {
			if got, want := float64(int32(timestamp-lastStamp))/90, float64(ms-lastMS); math.Abs(got-want) > 1.1 {
				t.Errorf("picture %d: timestamps differ by %v ms, strips by %v ms", n, got, want)
			}
		}
		lastMS, lastStamp = ms, timestamp
	}
}

func TestSenderReportsGiveTheCaptureTime(t *testing.T) {
	s := newStage(t)
	publish(t, s, &Publisher{Index: 1})
	w := newWatcher(t, s)
	img, timestamp, _ := w.next()
	_, ms, ok := judge.ReadStrip(img, img.Rect)
	if !ok {
		t.Fatal("the strip cannot be read")
	}
	timeout := time.After(patience)
	for {
		select {
		case report := <-s.reports:
			s.mu.Lock()
			video := report.SSRC == uint32(s.ssrcs["video"])
			s.mu.Unlock()
			if !video {
				continue
			}
			at := time.Unix(int64(report.NTPTime>>32)-2208988800, int64((report.NTPTime&math.MaxUint32)*1e9>>32))
			captured := at.Add(time.Duration(int32(timestamp-report.RTPTime)) * time.Second / 90000)
			if off := captured.Sub(time.UnixMilli(ms)); off < -time.Millisecond || off > 2*time.Millisecond {
				t.Errorf("the report says %v more than the strip", off)
			}
			return
		case <-timeout:
			t.Fatal("no sender report for the video came")
		}
	}
}

func TestSoundFitsItsTimestamps(t *testing.T) {
	s := newStage(t)
	const index = 3
	publish(t, s, &Publisher{Index: index})
	decoder, err := av.NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	pcm := make([]float32, 2*5760)
	// The clock of the track: at sample n of the epoch the timestamp is base + n.
	first := s.next("audio")
	var report uint32
	var now time.Time
	for report == 0 {
		select {
		case r := <-s.reports:
			s.mu.Lock()
			if r.SSRC == uint32(s.ssrcs["audio"]) {
				report = r.RTPTime
				now = time.Unix(int64(r.NTPTime>>32)-2208988800, int64((r.NTPTime&math.MaxUint32)*1e9>>32))
			}
			s.mu.Unlock()
		case <-time.After(patience):
			t.Fatal("no sender report for the audio came")
		}
	}
	sample := signal.SampleAt(now) + int64(int32(first.Timestamp-report))
	// Hear a piece of a beep, and look where in what should sound it is.
	start, last := sample, first.SequenceNumber-1
	for p := first; ; p = s.next("audio") {
		sample = start + int64(int32(p.Timestamp-first.Timestamp))
		n, err := decoder.Decode(p.Payload, pcm)
		if err != nil || n != packetSamples {
			t.Fatalf("decoded %d samples: %v", n, err)
		}
		whole := p.SequenceNumber == last+1 // behind a packet that was lost the decoder has to guess
		last = p.SequenceNumber
		if inSecond := sample % signal.SampleRate; whole && inSecond > signal.SampleRate/100 && inSecond < signal.SampleRate/20 {
			break
		}
	}
	best, shift := 0.0, int64(0)
	want := make([]float32, 2*packetSamples)
	for off := int64(-7); off <= 7; off++ { // half a wave to both sides
		signal.FillSound(want, index, sample+off)
		if c := correlation(pcm[:2*packetSamples], want); c > best {
			best, shift = c, off
		}
	}
	if best < 0.9 || shift < -3 || shift > 3 {
		t.Errorf("correlation %v with what should sound %d samples later", best, shift)
	}
}

func correlation(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

func TestKeyFrameOnRequest(t *testing.T) {
	s := newStage(t)
	p := publish(t, s, &Publisher{FrameRate: 10}) // a key frame by itself every 20 pictures
	w := newWatcher(t, s)
	for n := 0; ; n++ {
		if _, _, key := w.next(); n > 0 && !key {
			break
		}
	}
	s.askForKey()
	for n := range 15 {
		if _, _, key := w.next(); key {
			if requests := p.Stats().KeyRequests; requests == 0 {
				t.Error("no request was counted")
			}
			return
		} else if n == 14 {
			t.Error("no key frame among 15 pictures after the request")
		}
	}
}

func TestReconnects(t *testing.T) {
	s := newStage(t)
	states := make(chan State, 100)
	p := publish(t, s, &Publisher{OnState: func(state State, _ string) { states <- state }})
	newWatcher(t, s).next()
	s.setRefuse(http.StatusServiceUnavailable)
	s.hangUp()
	waitState(t, states, Reconnecting)
	s.setRefuse(0)
	waitState(t, states, Live)
	newWatcher(t, s).next()
	if err := p.Close(); err != nil {
		t.Errorf("closed with %v", err)
	}
	waitState(t, states, Closed)
	select {
	case <-s.deleted:
	case <-time.After(patience):
		t.Error("the session was not deleted")
	}
	if n := p.Stats().Connections; n != 2 {
		t.Errorf("%d connections; want 2", n)
	}
}

func waitState(t *testing.T, states <-chan State, want State) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case state := <-states:
			if state == want {
				return
			}
		case <-timeout:
			t.Fatalf("never %s", want)
		}
	}
}

func TestReconnectsAfterTheLineWasCut(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	states := make(chan State, 100)
	p := publish(t, s, &Publisher{OnState: func(state State, _ string) { states <- state }})
	waitState(t, states, Live)
	p.SetFaults(Faults{Offline: true})
	waitState(t, states, Reconnecting)
	p.SetFaults(Faults{})
	waitState(t, states, Live)
}

func TestRefusedForGood(t *testing.T) {
	s := newStage(t)
	states := make(chan State, 100)
	p := publish(t, s, &Publisher{Token: "wrong secret", OnState: func(state State, _ string) { states <- state }})
	err := p.Wait()
	var refused *refusal
	if !errors.As(err, &refused) || refused.status != http.StatusUnauthorized {
		t.Errorf("ended with %v", err)
	}
	if strings.Contains(fmt.Sprint(err), "wrong secret") {
		t.Errorf("the error shows the token: %v", err)
	}
	waitState(t, states, Failed)
}

func TestFaults(t *testing.T) {
	s := newStage(t)
	p := publish(t, s, &Publisher{Index: 2, FrameRate: 15})
	w := newWatcher(t, s)
	w.next()

	p.SetFaults(Faults{Width: 320, Height: 180})
	for img, _, _ := w.next(); img.Rect.Dx() != 320; img, _, _ = w.next() {
	}
	img, _, _ := w.next()
	if index, _, ok := judge.ReadStrip(img, img.Rect); !ok || index != 2 {
		t.Errorf("at 320x180: read %d, %v", index, ok)
	}

	p.SetFaults(Faults{PauseVideo: true})
	count := p.Stats().Pictures + 1 // one may be under way
	for range 50 {
		s.next("audio")
	}
	if now := p.Stats().Pictures; now > count {
		t.Errorf("%d pictures while video is paused", now-count)
	}

	p.SetFaults(Faults{Garbage: true})
	for n := 0; n < 5; n++ {
		if packet := s.next("video"); !packet.Marker {
			n--
		}
	}
	p.SetFaults(Faults{Silent: true})
	// Whatever was under way comes; then nothing more.
	for silent := false; !silent; {
		select {
		case <-s.packets:
		case <-time.After(300 * time.Millisecond):
			silent = true
		}
	}
	p.SetFaults(Faults{})
	s.askForKey()
	for img, _, _ := w.next(); img.Rect.Dx() != 640; img, _, _ = w.next() {
	}
}

func TestLoss(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := publish(t, s, &Publisher{})
	p.SetFaults(Faults{Up: link.Conditions{Loss: 0.2}})
	missing, got := 0, 0
	last := s.next("audio").SequenceNumber
	for range 200 {
		sequence := s.next("audio").SequenceNumber
		missing += int(sequence - last - 1)
		last = sequence
		got++
	}
	if share := float64(missing) / float64(missing+got); share < 0.08 || share > 0.35 {
		t.Errorf("%v of the packets are missing; want 0.2", share)
	}
}

func TestOneMediumOnly(t *testing.T) {
	s := newStage(t)
	audio := publish(t, s, &Publisher{AudioOnly: true})
	for range 20 {
		if p := <-s.packets; p.kind != "audio" {
			t.Fatalf("%s came", p.kind)
		}
	}
	if err := audio.Close(); err != nil {
		t.Fatal(err)
	}
	for len(s.packets) > 0 {
		<-s.packets
	}
	publish(t, s, &Publisher{VideoOnly: true})
	s.next("video") // behind the last sound of the one before
	for range 20 {
		if p := <-s.packets; p.kind != "video" {
			t.Fatalf("%s came", p.kind)
		}
	}
}

func TestStartRefusesNonsense(t *testing.T) {
	for _, p := range []*Publisher{
		{AudioOnly: true, VideoOnly: true}, {Width: 641}, {FrameRate: 1000}, {Index: -1}, {Index: signal.MaxIndex + 1},
	} {
		if err := p.Start(t.Context()); err == nil {
			t.Errorf("%+v is accepted", p)
		}
		if err := p.Close(); err != nil {
			t.Errorf("closing what was not started: %v", err)
		}
	}
}

func TestPictureGrid(t *testing.T) {
	for _, rate := range []float64{1, 15, 24, 25, 29.97, 30, 60} {
		now := time.Unix(1764000000, 123456789)
		n := pictureAfter(now, rate)
		if !pictureTime(n, rate).After(now) || pictureTime(n-1, rate).After(now) {
			t.Errorf("rate %v: picture %d is at %v", rate, n, pictureTime(n, rate))
		}
		for range 100 {
			step := pictureTime(n+1, rate).Sub(pictureTime(n, rate)).Seconds()
			if math.Abs(step-1/rate) > 1e-5 {
				t.Fatalf("rate %v: a step of %v", rate, step)
			}
			n++
		}
	}
	if at := pictureTime(30*1764000000, 30); at.Nanosecond() != 0 || at.Unix() != 1764000000 {
		t.Errorf("no picture at the whole second: %v", at)
	}
}
