package transcode_test

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/leak"
	"github.com/footlight-live/footlight/internal/transcode"
	"github.com/footlight-live/footlight/internal/transcode/worker"
)

// TestMain is also the program: the tests start themselves as the audio process.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "audio" {
		if err := worker.Process(os.Stdin, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	leak.Main(m)
}

// patience is how long tests wait for what must happen.
const patience = 60 * time.Second

// rig is a transcoder with an endless sound.
type rig struct {
	*transcode.Transcoder
	t       *testing.T
	encoder *av.AACEncoder
	units   int
	packets chan time.Duration
}

func newRig(t *testing.T) *rig {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, packets: make(chan time.Duration, 10_000)}
	r.Transcoder = &transcode.Transcoder{
		Program: program, Log: slog.New(slog.DiscardHandler),
		Packet: func(at time.Duration, opus []byte) { r.packets <- at },
	}
	if r.encoder, err = av.NewAACEncoder(96_000); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.encoder.Close)
	r.Start()
	t.Cleanup(r.Close)
	r.Config(r.encoder.Config())
	return r
}

// unit sends the next unit.
func (r *rig) unit() {
	frame, err := r.encoder.Encode(make([]float32, 2*av.AACFrame))
	if err != nil {
		r.t.Fatal(err)
	}
	if frame != nil {
		r.Unit(time.Duration(r.units)*av.AACFrame*time.Second/48000, bytes.Clone(frame))
	}
	r.units++
}

// until sends units, faster than in reality, until a packet of later than now comes.
func (r *rig) until(what string) {
	r.t.Helper()
	after := time.Duration(r.units) * av.AACFrame * time.Second / 48000
	timeout := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case at := <-r.packets:
			if at >= after {
				return
			}
		case <-tick.C:
			r.unit()
		case <-timeout:
			r.t.Fatal("never happened: ", what)
		}
	}
}

func TestProcessIsReplaced(t *testing.T) {
	r := newRig(t)
	r.until("sound comes")
	first := r.PID()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("sound comes back after a crash")
	second := r.PID()
	if second == first || r.Restarts() == 0 {
		t.Errorf("process %d after %d", second, first)
	}
	if err := syscall.Kill(second, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.until("sound comes back after the process hung")
	if r.PID() == second {
		t.Error("the process that hangs is still there")
	}
	third := r.PID()
	if err := syscall.Kill(third, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.until("sound goes on after SIGTERM")
	if r.PID() != third {
		t.Error("SIGTERM ended the process")
	}
}

// TestGarbageIsAnswered sends nothing but garbage: the process stays.
func TestGarbageIsAnswered(t *testing.T) {
	r := newRig(t)
	r.until("sound comes")
	pid := r.PID()
	for range 400 {
		r.units++
		r.Unit(time.Duration(r.units)*av.AACFrame*time.Second/48000, bytes.Repeat([]byte{0xff}, 300))
		time.Sleep(time.Millisecond) // paces the writer; nothing is waited for
	}
	r.until("sound comes back after garbage")
	if r.PID() != pid {
		t.Error("garbage ended the process")
	}
}

func TestNoProgram(t *testing.T) {
	tr := &transcode.Transcoder{Program: "/nonexistent/footlight-composer", Log: slog.New(slog.DiscardHandler), Packet: func(time.Duration, []byte) {}}
	tr.Start()
	for range 200 { // nobody takes them, and nobody waits
		tr.Unit(0, []byte{1})
	}
	tr.Close()
	if tr.Dropped() == 0 {
		t.Error("nothing was dropped")
	}
}

func TestMessages(t *testing.T) {
	var b bytes.Buffer
	want := transcode.Message{Kind: transcode.Packet, At: -time.Hour, Data: []byte("abc")}
	if err := want.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := transcode.Read(&b, 3)
	if err != nil || got.Kind != want.Kind || got.At != want.At || string(got.Data) != "abc" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := transcode.Read(&b, 3); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	const at = "\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, text := range []string{"c", "c" + at + "\x00\x00\x00\x02a", "u" + at + "\x00\x00\x00\x04abcd", "u" + at + "\xff\xff\xff\xff"} {
		if m, err := transcode.Read(bytes.NewReader([]byte(text)), 3); err == nil || err == io.EOF {
			t.Errorf("Read(%q) = %+v, %v", text, m, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("c\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02ab"))
	f.Add([]byte("p\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x10\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			m, err := transcode.Read(r, transcode.MaxSound)
			if err != nil {
				return
			}
			if len(m.Data) > transcode.MaxSound {
				t.Fatal("too much data")
			}
		}
	})
}
