package ladder_test

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/footlight-live/footlight/internal/leak"
	"github.com/footlight-live/footlight/internal/transcode/ladder"
	"github.com/footlight-live/footlight/internal/transcode/ladder/worker"
	"github.com/footlight-live/footlight/internal/unit"
)

// TestMain is also the program: the tests start themselves as the process.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "ladder" {
		if worker.Process(os.Stdin, os.Stdout, os.Args[2], os.Args[3], slog.New(slog.NewTextHandler(os.Stderr, nil))) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	leak.Main(m)
}

// patience is how long tests wait for what must happen.
const patience = 60 * time.Second

// film is a publisher's endless picture of 320x180, 30 per second, a key frame every ten seconds.
type film struct {
	params unit.VideoParams
	frames []unit.VideoFrame
}

func newFilm(t *testing.T) film {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=10",
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "300", "-x264-params", "aud=1", "-f", "h264", "-").Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	var f film
	for b := range bytes.SplitSeq(out, []byte{0, 0, 0, 1, 9}) { // access unit delimiters
		if len(b) == 0 {
			continue
		}
		var au h264.AnnexB
		if err := au.Unmarshal(append([]byte{0, 0, 0, 1, 9}, b...)); err != nil {
			t.Fatal(err)
		}
		var frame unit.VideoFrame
		for _, n := range au {
			switch h264.NALUType(n[0] & 0x1f) {
			case h264.NALUTypeSPS:
				f.params.SPS = [][]byte{n}
			case h264.NALUTypePPS:
				f.params.PPS = [][]byte{n}
			case h264.NALUTypeIDR:
				frame.Key = true
				fallthrough
			case h264.NALUTypeNonIDR:
				frame.NALUs = append(frame.NALUs, n)
			}
		}
		f.frames = append(f.frames, frame)
	}
	return f
}

// fast is a pace faster than in reality.
const fast = 10 * time.Millisecond

// rig is a ladder with a publisher that never ends.
type rig struct {
	*ladder.Ladder
	t        *testing.T
	film     film
	n        int
	pace     time.Duration // from one frame to the next
	pictures chan ladder.Picture
}

func newRig(t *testing.T) *rig {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, film: newFilm(t), pace: fast, pictures: make(chan ladder.Picture, 100_000)}
	r.Ladder = &ladder.Ladder{
		Program: program, Type: ladder.AdvancedHD, Preset: ladder.HigherBandwidth, Log: slog.New(slog.DiscardHandler),
		Out: func(p ladder.Picture) { r.pictures <- p },
	}
	r.Start()
	t.Cleanup(r.Close)
	r.Write(r.film.params, time.Now())
	return r
}

func (r *rig) at() time.Duration { return time.Duration(r.n) * time.Second / 30 }

func (r *rig) frame() {
	f := r.film.frames[r.n%len(r.film.frames)]
	f.DTS, f.PTS = r.at(), r.at()
	r.Write(f, time.Now())
	r.n++
}

// until sends frames until a picture of later than now comes.
func (r *rig) until(what string) ladder.Picture {
	r.t.Helper()
	return r.untilAfter(r.at(), what)
}

func (r *rig) untilAfter(after time.Duration, what string) ladder.Picture {
	r.t.Helper()
	timeout := time.After(patience)
	tick := time.NewTicker(r.pace)
	defer tick.Stop()
	for {
		select {
		case p := <-r.pictures:
			if p.Frames[0].PTS >= after {
				return p
			}
		case <-tick.C:
			r.frame()
		case <-timeout:
			r.t.Fatal("never happened: ", what)
		}
	}
}

// TestProcessIsReplaced has key frames so far apart that pictures would be away for long if they waited for one.
func TestProcessIsReplaced(t *testing.T) {
	r := newRig(t)
	for r.n < 600 { // a process that has lived for less is not trusted
		r.until("pictures come")
	}
	first := r.PID()
	before, crashed := r.n, r.at()
	r.pace = time.Second / 30 // as in reality: what comes meanwhile has to wait
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for r.Stats().Restarts == 0 {
		r.frame()
		time.Sleep(r.pace) // paces the publisher; nothing is waited for
	}
	p := r.untilAfter(crashed, "pictures come back after a crash")
	if !p.Frames[0].Key || len(p.Tracks) != 1 || len(p.Frames) != 1 {
		t.Errorf("the first picture after a crash: key %v, %d tracks", p.Frames[0].Key, len(p.Tracks))
	}
	if away := r.n - before; away > 250 {
		t.Errorf("pictures were away for %d frames", away)
	}
	r.pace = fast
	second := r.PID()
	if second == first || second == 0 {
		t.Errorf("process %d after %d", second, first)
	}
	if err := syscall.Kill(second, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.until("pictures come back after the process hung")
	if r.PID() == second {
		t.Error("the process that hangs is still there")
	}
	third := r.PID()
	if err := syscall.Kill(third, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.until("pictures go on after SIGTERM")
	if r.PID() != third {
		t.Error("SIGTERM ended the process")
	}
}

func TestGarbageIsPassedOver(t *testing.T) {
	r := newRig(t)
	r.until("pictures come")
	pid := r.PID()
	for i := range 200 {
		r.n++
		r.Write(unit.VideoFrame{PTS: r.at(), Key: i%2 == 0, NALUs: [][]byte{bytes.Repeat([]byte{0x65, 0xff}, 200)}}, time.Now())
		time.Sleep(time.Millisecond) // paces the publisher; nothing is waited for
	}
	r.until("pictures come back after garbage")
	if r.PID() != pid {
		t.Error("garbage ended the process")
	}
	if s := r.Stats(); s.Damaged == 0 || s.Pictures == 0 || s.P99 <= 0 || s.P50 > s.P99 {
		t.Errorf("%+v", s)
	}
}

func TestNoProgram(t *testing.T) {
	l := &ladder.Ladder{Program: "/nonexistent/footlight-composer", Log: slog.New(slog.DiscardHandler), Out: func(ladder.Picture) {}}
	l.Start()
	defer l.Close()
	for timeout := time.Now().Add(patience); l.Stats().Lost == 0; { // nobody takes them, and nobody waits
		l.Write(unit.VideoFrame{Key: true, NALUs: [][]byte{{0x65}}}, time.Now())
		if time.Now().After(timeout) {
			t.Fatal("nothing was lost")
		}
	}
}
