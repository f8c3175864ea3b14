package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/transcode"
	"github.com/footlight-live/footlight/internal/transcode/ladder"
)

// accessUnit is one of a publisher.
type accessUnit struct {
	at  time.Duration
	key bool
	b   []byte // Annex B, with parameter sets before key frames
}

// film has ffmpeg encode a test picture; arguments come before the output.
func film(t testing.TB, size string, rate, seconds int, args ...string) (units []accessUnit) {
	t.Helper()
	source := fmt.Sprintf("testsrc2=size=%s:rate=%d:duration=%d", size, rate, seconds)
	args = append(append([]string{"-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast"}, args...), "-f", "mpegts", "-")
	out, err := exec.Command("ffmpeg", args...).Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	r := &mpegts.Reader{R: bytes.NewReader(out)}
	if err := r.Initialize(); err != nil {
		t.Fatal(err)
	}
	r.OnDataH264(r.Tracks()[0], func(pts, _ int64, au [][]byte) error {
		u := accessUnit{at: time.Duration(pts) * time.Second / 90000}
		for _, n := range au {
			u.key = u.key || n[0]&0x1f == 5
			u.b = append(append(u.b, 0, 0, 0, 1), n...)
		}
		units = append(units, u)
		return nil
	})
	for err == nil {
		err = r.Read()
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return units
}

// laddered is what came of a film.
type laddered struct {
	pictures []picture
	tracks   [][2][]byte // the newest parameter sets
	changes  int         // of them
	nothing  map[ladder.Reason]int
}

type picture struct {
	at    time.Duration
	key   bool
	coded map[int][]byte // Annex B by track, with parameter sets before key frames
}

// run sends messages through a worker that has all the time in the world.
func run(t testing.TB, kind ladder.Type, messages []transcode.Message) *laddered {
	t.Helper()
	var in, out bytes.Buffer
	for _, m := range messages {
		_ = m.Write(&in) // a buffer takes everything
	}
	w := &Worker{Type: kind, Preset: ladder.HigherBandwidth, Log: slog.New(slog.DiscardHandler), MaxLag: time.Hour}
	if err := w.Run(&in, &out); err != nil {
		t.Fatal(err)
	}
	return read1(t, &out)
}

func read1(t testing.TB, out io.Reader) *laddered {
	l := &laddered{nothing: map[ladder.Reason]int{}}
	for {
		m, err := transcode.Read(out, 8<<20)
		if errors.Is(err, io.EOF) {
			return l
		}
		if err != nil {
			t.Fatal(err)
		}
		switch m.Kind {
		case ladder.Tracks:
			l.tracks = nil
			l.changes++
			for b := m.Data; len(b) > 0; {
				var set [2][]byte
				for i := range set {
					n := binary.BigEndian.Uint32(b)
					set[i], b = b[4:4+n], b[4+n:]
				}
				l.tracks = append(l.tracks, set)
			}
		case ladder.Pictures:
			p := picture{at: m.At, key: m.Data[0] == 1, coded: map[int][]byte{}}
			for b := m.Data[1:]; len(b) > 0; {
				track, n := int(b[0]), binary.BigEndian.Uint32(b[1:])
				var annexB []byte
				if p.key {
					for _, set := range l.tracks[track] {
						annexB = append(append(annexB, 0, 0, 0, 1), set...)
					}
				}
				for data := b[5 : 5+n]; len(data) > 0; {
					size := binary.BigEndian.Uint32(data)
					annexB = append(append(annexB, 0, 0, 0, 1), data[4:4+size]...)
					data = data[4+size:]
				}
				p.coded[track], b = annexB, b[5+n:]
			}
			l.pictures = append(l.pictures, p)
		case ladder.Nothing:
			l.nothing[ladder.Reason(m.Data[0])]++
		}
	}
}

func messages(units []accessUnit) (all []transcode.Message) {
	for _, u := range units {
		m := transcode.Message{Kind: ladder.Frame, At: u.at, Data: u.b}
		if u.key {
			m.Kind = ladder.Key
		}
		all = append(all, m)
	}
	return all
}

// luma decodes access units and returns the brightness of each picture at a small size, by its time.
func luma(t testing.TB, units []accessUnit) (size image.Point, small map[time.Duration][]byte) {
	t.Helper()
	d, err := av.NewOrderedH264Decoder()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c, err := av.NewCanvas(64, 36)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	small = map[time.Duration][]byte{}
	for _, u := range units {
		p, err := d.Decode(u.b, int64(u.at))
		if err != nil {
			t.Fatal(err)
		}
		if p == nil {
			continue
		}
		size = image.Pt(p.Width, p.Height)
		if err := c.DrawSamples(p, image.Rectangle{Max: size}, c.Bounds()); err != nil {
			t.Fatal(err)
		}
		y, stride := c.Plane(0)
		var pix []byte
		for row := range c.Height {
			pix = append(pix, y[row*stride:][:c.Width]...)
		}
		small[time.Duration(p.PTS)] = pix
		p.Release()
	}
	return size, small
}

// apart is the mean difference of two pictures.
func apart(a, b []byte) float64 {
	sum := 0
	for i := range a {
		sum += max(int(a[i])-int(b[i]), int(b[i])-int(a[i]))
	}
	return float64(sum) / float64(len(a))
}

// track makes access units of what came out for one.
func (l *laddered) track(n int) (units []accessUnit) {
	for _, p := range l.pictures {
		if b := p.coded[n]; b != nil {
			units = append(units, accessUnit{p.at, p.key, b})
		}
	}
	return units
}

func (l *laddered) times() (at []time.Duration) {
	for _, p := range l.pictures {
		at = append(at, p.at)
	}
	return at
}

// shows checks that a rung has these sides, and that each of its pictures is the publisher's of that time and no other.
func (l *laddered) shows(t *testing.T, n int, size image.Point, units []accessUnit) {
	t.Helper()
	_, want := luma(t, units)
	gotSize, got := luma(t, l.track(n))
	if gotSize != size {
		t.Errorf("track %d is %v, want %v", n, gotSize, size)
	}
	times := make([]time.Duration, 0, len(want))
	for at := range want {
		times = append(times, at)
	}
	slices.Sort(times)
	if len(got) < len(l.track(n))-1 {
		t.Errorf("track %d: %d of %d pictures can be decoded", n, len(got), len(l.track(n)))
	}
	for at, p := range got {
		i, ok := slices.BinarySearch(times, at)
		if !ok {
			t.Fatalf("track %d: a picture at %v, which the publisher has none for", n, at)
		}
		d := apart(p, want[at])
		if d > 6 {
			t.Errorf("track %d at %v: off by %.1f", n, at, d)
		}
		if i > 0 && apart(p, want[times[i-1]]) <= d {
			t.Errorf("track %d at %v shows the picture before", n, at)
		}
	}
}

var hd = []image.Point{{1280, 720}, {852, 480}, {640, 360}, {284, 160}}

func TestLadder(t *testing.T) {
	units := film(t, "1280x720", 30, 5, "-b:v", "4M", "-g", "60", "-bf", "0")
	l := run(t, ladder.AdvancedHD, messages(units))
	if len(l.tracks) != 4 || l.changes != 1 || len(l.pictures) != 150 {
		t.Fatalf("%d tracks, told %d times, %d pictures of 150", len(l.tracks), l.changes, len(l.pictures))
	}
	for i, size := range hd {
		l.shows(t, i, size, units)
	}
	for i, p := range l.pictures {
		if len(p.coded) != 4 || p.at != units[i].at || p.key != (i%60 == 0) {
			t.Errorf("picture %d: %d tracks at %v, key %v", i, len(p.coded), p.at, p.key)
		}
	}
}

// TestOrder has B-frames: pictures come out in the order in which they are shown, without.
func TestOrder(t *testing.T) {
	units := film(t, "640x360", 30, 4, "-bf", "3", "-g", "45")
	l := run(t, ladder.AdvancedSD, messages(units))
	times := l.times()
	if !slices.IsSorted(times) || len(times) < len(units)-4 {
		t.Fatalf("%d pictures of %d, in order %v", len(times), len(units), slices.IsSorted(times))
	}
	shown := make([]time.Duration, len(units))
	for i, u := range units {
		shown[i] = u.at
	}
	slices.Sort(shown)
	if !slices.Equal(times, shown[:len(times)]) {
		t.Error("the times are not those of the publisher")
	}
	l.shows(t, 0, image.Pt(640, 360), units)
}

// TestHalf has 60 pictures a second: only 720 lines have them all.
func TestHalf(t *testing.T) {
	units := film(t, "1280x720", 60, 3, "-g", "60", "-bf", "0", "-b:v", "6M")
	l := run(t, ladder.AdvancedHD, messages(units))
	for i := range hd {
		want := len(units)
		if i > 0 {
			want /= 2
		}
		if got := len(l.track(i)); got != want {
			t.Errorf("track %d: %d pictures, want %d", i, got, want)
		}
	}
	l.shows(t, 0, hd[0], units)
	l.shows(t, 2, hd[2], units)
}

// TestDamage loses pictures, sends garbage, and goes on in another size.
func TestDamage(t *testing.T) {
	first := film(t, "640x360", 30, 3, "-g", "30", "-bf", "0")
	second := film(t, "320x180", 30, 2, "-g", "30", "-bf", "0")
	all := messages(first)
	all[40].Data = bytes.Repeat([]byte{0, 0, 0, 1, 0x41, 0xff}, 40)
	all = slices.Delete(all, 70, 72)
	all = append([]transcode.Message{{Kind: ladder.Key, Data: []byte{0, 0, 1, 0x65}}, {Kind: ladder.Frame}}, all...)
	for _, m := range messages(second) {
		m.At += 3 * time.Second
		all = append(all, m)
	}
	l := run(t, ladder.AdvancedHD, all)
	if l.nothing[ladder.Damaged] < 20 || l.changes != 2 || len(l.tracks) != 1 {
		t.Errorf("%d damaged, %d changes to %d tracks", l.nothing[ladder.Damaged], l.changes, len(l.tracks))
	}
	answers := len(l.pictures) + l.nothing[ladder.Damaged]
	if answers != len(all) {
		t.Errorf("%d answers to %d units", answers, len(all))
	}
	for i, p := range l.pictures {
		if p.at == first[60].at && !p.key || i > 0 && p.at-l.pictures[i-1].at > 700*time.Millisecond {
			t.Errorf("picture %d at %v, key %v", i, p.at, p.key)
		}
	}
}

// TestAgain is a process that follows another one in the middle of a group of pictures.
func TestAgain(t *testing.T) {
	units := film(t, "640x360", 30, 3, "-g", "90", "-bf", "0")
	all := messages(units)
	for i := range all[:50] {
		all[i].Kind = ladder.Again
	}
	l := run(t, ladder.AdvancedSD, all)
	if len(l.pictures) != 40 || l.pictures[0].at != units[50].at || !l.pictures[0].key {
		t.Fatalf("%d pictures, the first at %v", len(l.pictures), l.pictures[0].at)
	}
	l.shows(t, 0, image.Pt(640, 360), units)
}

// TestTimesStandStill sends pictures that are all shown at the same time.
func TestTimesStandStill(t *testing.T) {
	all := messages(film(t, "320x180", 30, 3, "-bf", "0"))
	for i := range all[:60] {
		all[i].At = time.Second
	}
	for i := range all[60:] {
		all[60+i].At = 2*time.Second + time.Duration(i)*time.Second/30
	}
	l := run(t, ladder.AdvancedSD, all)
	if times := l.times(); len(times) != 31 || !slices.IsSorted(times) {
		t.Errorf("pictures at %v", times)
	}
}

// TestTooSlow gives a worker far more than it has time for: what it leaves out is evenly spread.
func TestTooSlow(t *testing.T) {
	units := film(t, "1280x720", 60, 4, "-g", "60", "-bf", "0")
	in, feed := io.Pipe()
	go func() {
		defer feed.Close()
		tick := time.NewTicker(time.Second / 240) // four times real time
		defer tick.Stop()
		for _, m := range messages(units) {
			<-tick.C
			if m.Write(feed) != nil {
				return
			}
		}
	}()
	var out bytes.Buffer
	w := &Worker{Type: ladder.AdvancedHD, Preset: ladder.HigherBandwidth, Log: slog.New(slog.DiscardHandler), MaxLag: 50 * time.Millisecond}
	if err := w.Run(in, &out); err != nil {
		t.Fatal(err)
	}
	l := read1(t, &out)
	if l.nothing[ladder.LeftOut] == 0 {
		t.Skip("this machine has the time")
	}
	if len(l.pictures)+l.nothing[ladder.LeftOut] != len(units) {
		t.Errorf("%d pictures and %d left out of %d", len(l.pictures), l.nothing[ladder.LeftOut], len(units))
	}
	if half := len(l.track(1)); half < len(l.track(0))/2-5 || half > len(l.track(0))/2+5 {
		t.Errorf("%d pictures of track 0, %d of track 1", len(l.track(0)), half)
	}
	t.Logf("%d of %d pictures left out", l.nothing[ladder.LeftOut], len(units))
}

// TestShape has samples that are not square: the rungs have.
func TestShape(t *testing.T) {
	units := film(t, "720x576", 25, 1, "-bf", "0", "-vf", "setsar=64/45") // 16:9
	l := run(t, ladder.AdvancedHD, messages(units))
	l.shows(t, 0, image.Pt(852, 480), units)
}

// TestColour keeps what the publisher says of its colours.
func TestColour(t *testing.T) {
	for _, c := range []struct {
		args string
		want av.Colour
	}{
		{"-bf 0", av.Colour{Primaries: 2, Transfer: 2, Matrix: 2}},
		{"-bf 0 -color_primaries smpte170m -color_trc bt709 -colorspace smpte170m", av.Colour{Primaries: 6, Transfer: 1, Matrix: 6}},
		{"-bf 0 -color_range pc -colorspace bt709 -color_primaries bt709 -color_trc bt709", av.Colour{FullRange: true, Primaries: 1, Transfer: 1, Matrix: 1}},
	} {
		l := run(t, ladder.AdvancedSD, messages(film(t, "640x360", 30, 1, strings.Fields(c.args)...)))
		d, err := av.NewH264Decoder()
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.Decode(l.track(0)[0].b, 0)
		if err != nil {
			t.Fatal(err)
		}
		if p.Colour != c.want {
			t.Errorf("%s: %+v, want %+v", c.args, p.Colour, c.want)
		}
		p.Release()
		d.Close()
	}
}

func TestKeys(t *testing.T) {
	const frame = int64(time.Second) / 30
	for _, c := range []struct {
		name  string
		every int // of the publisher, in pictures of 1/30 s
		want  string
	}{
		{"one second", 30, "0 30 60 90 120 150 180 210"},
		{"two seconds", 60, "0 60 120 180"},
		{"half a second, all during the opening", 15, "0 15 30 45 75 105 135 165 195 225"},
		{"five seconds", 150, "0 60 120 150 210"},
		{"never again", 1000, "0 60 120 180"},
	} {
		var k keys
		var got []string
		for i := range 240 {
			at := int64(i)*int64(time.Second)/30/1e6*1e6 + 7e9 // RTMP's milliseconds
			if i%c.every == 0 {
				k.ask(at)
			}
			due := k.due(at, frame)
			k.made(at, due)
			if due {
				got = append(got, fmt.Sprint(i))
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: key frames %s, want %s", c.name, s, c.want)
		}
	}
}

func TestRate(t *testing.T) {
	for _, fps := range []float64{5, 10, 15, 23.976, 24, 25, 29.97, 30, 37, 50, 59.94, 60, 120} {
		var r rate
		for i := 0; !r.known(); i++ {
			r.add(time.Duration(float64(i)*1000/fps).Nanoseconds() * 1e6)
		}
		if got := r.perSecond(); got < fps*0.97 || got > fps*1.03 {
			t.Errorf("%v pictures per second are taken as %v", fps, got)
		}
		for i := range 40 { // a hole after every fourth
			r.add(int64(10*time.Second) + int64(float64(i+i/4)/fps*1e9))
		}
		if got := r.perSecond(); got < fps*0.97 || got > fps*1.03 {
			t.Errorf("%v pictures per second with holes are taken as %v", fps, got)
		}
	}
	var r rate
	for _, at := range []int64{5, 5, 4, 5} {
		r.add(at)
	}
	if got := r.perSecond(); r.known() || got != 30 {
		t.Errorf("times that stand still are %v per second", got)
	}
}

func TestSource(t *testing.T) {
	for _, c := range []struct {
		w, h int
		want string
	}{
		{1920, 1080, "picture(1920x1080) 0(1278x720) 0(1280x720) 1(852x480)"},
		{1280, 720, "picture(1280x720) 0(1278x720) 0(1280x720) 1(852x480)"},
		{720, 1280, "picture(720x1280) 0(720x1278) 0(720x1280) 1(480x852)"},
		{640, 360, "picture(640x360) 0(639x360)"},
	} {
		p, err := av.NewPicture(image.NewYCbCr(image.Rect(0, 0, c.w, c.h), image.YCbCrSubsampleRatio420), false, av.BT709)
		if err != nil {
			t.Fatal(err)
		}
		rs, err := openRungs(ladder.AdvancedHD, ladder.HigherBandwidth, p, 30)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, r := range rs.all {
			from := "picture"
			if r.from != nil {
				from = fmt.Sprint(slices.Index(rs.all, r.from))
			}
			words = append(words, fmt.Sprintf("%s(%dx%d)", from, r.src.Dx(), r.src.Dy()))
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%dx%d: %s, want %s", c.w, c.h, got, c.want)
		}
		rs.close()
		p.Release()
	}
}

func FuzzRun(f *testing.F) {
	units := film(f, "160x120", 30, 1, "-bf", "2", "-g", "15")
	f.Add(units[0].b, units[1].b, units[2].b)
	f.Add([]byte{0, 0, 1, 0x67}, []byte{0, 0, 1, 0x65, 1, 2, 3}, []byte{})
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		var in bytes.Buffer
		for i, data := range [][]byte{a, b, c, a, b, c, a, b, c, a, b, c} {
			kind := ladder.Frame
			if i%3 == 0 {
				kind = ladder.Key
			}
			_ = transcode.Message{Kind: kind, At: time.Duration(i) * 33 * time.Millisecond, Data: data}.Write(&in)
		}
		w := &Worker{Type: ladder.AdvancedSD, Preset: ladder.HigherBandwidth, Log: slog.New(slog.DiscardHandler), MaxLag: time.Hour}
		if err := w.Run(&in, io.Discard); err != nil {
			t.Fatal(err)
		}
	})
}
