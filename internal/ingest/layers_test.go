package ingest_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
)

// clip is a second of a picture in one size: a key frame, and 29 others.
type clip struct {
	params rtmp.VideoParams
	units  [][][]byte
}

func newClip(t *testing.T, size string, args ...string) clip {
	t.Helper()
	all := append([]string{"-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=" + size + ":rate=30", "-frames:v", "30",
		"-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-bf", "0", "-g", "30", "-pix_fmt", "yuv420p"}, args...)
	b, err := exec.CommandContext(t.Context(), "ffmpeg", append(all, "-bsf:v", "h264_metadata=aud=insert", "-f", "h264", "-")...).Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	var c clip
	for _, n := range bytes.Split(bytes.ReplaceAll(b, []byte{0, 0, 0, 1}, []byte{0, 0, 1}), []byte{0, 0, 1}) {
		if len(n) == 0 {
			continue
		}
		switch h264.NALUType(n[0] & 0x1f) {
		case h264.NALUTypeAccessUnitDelimiter:
			c.units = append(c.units, nil)
			continue
		case h264.NALUTypeSPS:
			c.params.SPS = [][]byte{n}
		case h264.NALUTypePPS:
			c.params.PPS = [][]byte{n}
		}
		c.units[len(c.units)-1] = append(c.units[len(c.units)-1], n)
	}
	return c
}

// device is an encoder that sends what the test says, of several tracks.
type device struct {
	rtmp.Publication
	t   *testing.T
	cut chan error
	n   int // pictures so far
}

func (r *rig) plug(key string) *device {
	r.t.Helper()
	d := &device{t: r.t, cut: make(chan error, 1)}
	var err error
	d.Publication, err = r.Publish(r.t.Context(), rtmp.Request{Key: key, Remote: "test", Cut: func(err error) {
		select {
		case d.cut <- err:
		default:
		}
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

func (d *device) write(units ...rtmp.Unit) {
	d.t.Helper()
	for _, u := range units {
		if err := d.Write(d.t.Context(), u); err != nil && len(d.cut) == 0 {
			d.t.Fatal(err)
		}
	}
}

// announce sends the parameters of tracks.
func (d *device) announce(tracks map[int]clip) {
	for number := range 10 { // in order
		if c, ok := tracks[number]; ok {
			p := c.params
			p.Track = number
			d.write(p)
		}
	}
}

// roll sends a number of pictures of every track, and sound, all at once.
func (d *device) roll(n int, tracks map[int]clip) {
	for range n {
		at := time.Duration(d.n) * time.Second / 30
		for number := range 10 {
			if c, ok := tracks[number]; ok {
				nalus := c.units[d.n%len(c.units)]
				d.write(rtmp.VideoFrame{Track: number, DTS: at, PTS: at, NALUs: nalus})
			}
		}
		d.write(rtmp.AudioFrame{PTS: at, AU: []byte{0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c}}) // silence
		d.n++
	}
}

// layers says what others see of a participant: rid, size, and how many packets came.
func (r *rig) layers(participant string) (text string, packets [3]uint64) {
	var all []string
	for _, l := range r.Stages.Stats().Layers {
		if l.ParticipantID == participant {
			if len(all) < len(packets) {
				packets[len(all)] = l.Packets
			}
			all = append(all, fmt.Sprintf("%s:%dx%d", l.RID, l.Width, l.Height))
		}
	}
	return strings.Join(all, " "), packets
}

// waitLayers waits until others see these layers.
func (r *rig) waitLayers(participant, want string) {
	r.t.Helper()
	r.eventually("layers "+want, func() bool { text, _ := r.layers(participant); return text == want })
}

func stereo() rtmp.AudioParams {
	return rtmp.AudioParams{Config: mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2}}
}

// TestMultitrack: the first three tracks of an encoder are layers, whatever their numbers are; the others may be anything.
func TestMultitrack(t *testing.T) {
	r := newRig(t)
	r.Silence, r.Grace = patience, patience
	large, medium, small := newClip(t, "640x360"), newClip(t, "320x180"), newClip(t, "160x90")
	tracks := map[int]clip{2: large, 3: medium, 5: small, 7: newClip(t, "1920x1080", "-bf", "2")}
	d := r.plug("rt_one")
	d.write(stereo())
	d.announce(tracks)
	d.roll(3, tracks)
	r.happens("one PUBLISH_STARTED", 1)
	r.waitLayers("one", "0:640x360 1:320x180 2:160x90")

	// The connection breaks, and the encoder comes back with tracks of other numbers: they take the places, each from
	// its first key frame on.
	d.Close(false, nil)
	d = r.plug("rt_one") // which is let in after what came before
	_, before := r.layers("one")
	d.write(stereo())
	tracks = map[int]clip{0: medium, 1: large}
	d.announce(tracks)
	d.n = 1
	d.roll(5, tracks)
	d.n = 30
	d.roll(1, map[int]clip{1: large})
	r.waitLayers("one", "0:640x360 1:640x360 2:160x90")
	_, after := r.layers("one")
	if after[0] != before[0] || after[2] != before[2] || after[1] == before[1] {
		t.Errorf("packets %v after %v", after, before)
	}
	d.n = 60
	d.roll(1, tracks)
	r.waitLayers("one", "0:320x180 1:640x360 2:160x90")

	// A track that is announced late is a layer as well.
	d.Close(true, nil)
	r.happens("one LEFT", 1)
	d = r.plug("rt_one")
	d.write(stereo())
	d.announce(map[int]clip{0: large})
	d.roll(3, map[int]clip{0: large})
	r.happens("one PUBLISH_STARTED", 2)
	r.waitLayers("one", "0:640x360")
	d.announce(map[int]clip{1: small})
	r.waitLayers("one", "0:640x360 1:0x0")
	d.n = 30
	d.roll(3, map[int]clip{0: large, 1: small})
	r.waitLayers("one", "0:640x360 1:160x90")
	d.Close(true, nil)
	r.happens("one LEFT", 2)
}

// TestMultitrackRules has the second track be what a stage does not take.
func TestMultitrackRules(t *testing.T) {
	r := newRig(t)
	r.Silence, r.Grace = patience, patience
	good := newClip(t, "320x180")
	for code, bad := range map[string]clip{
		"RESOLUTION_EXCEEDED": newClip(t, "1920x1080"),
		"B_FRAME_PRESENT":     newClip(t, "160x90", "-bf", "2", "-x264-params", "b-adapt=0"),
	} {
		d := r.plug("rt_one")
		tracks := map[int]clip{0: good, 1: bad}
		d.write(stereo())
		d.announce(tracks)
		d.roll(10, tracks)
		r.happens("one PUBLISH_ERROR="+code, 1)
		select {
		case <-d.cut:
		case <-time.After(patience):
			t.Errorf("%s: the encoder was not cut", code)
		}
		d.Close(false, nil)
	}
}

// TestMaxLines: where the stages allow larger pictures, encoders may send them too.
func TestMaxLines(t *testing.T) {
	r := newRig(t)
	r.Stages.MaxLines = 1080
	large := map[int]clip{0: newClip(t, "1920x1080")}
	d := r.plug("rt_one")
	d.write(stereo())
	d.announce(large)
	d.roll(3, large)
	r.happens("one PUBLISH_STARTED", 1)
	r.waitLayers("one", "0:1920x1080")
}

// TestSparseKeyFrames has the log say once that subscribers wait.
func TestSparseKeyFrames(t *testing.T) {
	r := newRig(t)
	var log bytes.Buffer
	r.Log = slog.New(slog.NewTextHandler(&log, nil))
	c := newClip(t, "160x90")
	delta := clip{c.params, c.units[1:2]}
	d := r.plug("rt_one")
	d.write(stereo())
	d.announce(map[int]clip{0: c})
	d.roll(1, map[int]clip{0: c})
	d.roll(130, map[int]clip{0: delta})
	d.Close(true, nil)
	r.happens("one LEFT", 1)
	r.Close() // nothing writes the log any more
	if n := strings.Count(log.String(), "key frames are far apart"); n != 1 {
		t.Errorf("the log says so %d times: %s", n, log.String())
	}
}

// TestRedundantMultitrack: when the shown encoder fails, each layer goes on with the other encoder's next key frame.
func TestRedundantMultitrack(t *testing.T) {
	r := newRig(t)
	r.Silence, r.Grace = patience, patience
	tracks := map[int]clip{0: newClip(t, "320x180"), 1: newClip(t, "160x90")}
	a, b := r.plug("rt_a"), r.plug("rt_b")
	for _, d := range []*device{a, b} {
		d.write(stereo())
		d.announce(tracks)
		d.roll(3, tracks)
	}
	r.happens("virtual PUBLISH_STARTED", 1)
	r.happens("physical-b PUBLISH_STARTED", 1)
	a.n = 30
	a.roll(3, tracks)
	r.waitLayers("virtual", "0:320x180 1:160x90")
	a.Close(true, nil)
	r.happens("physical-a LEFT", 1)
	_, before := r.layers("virtual")
	b.roll(3, tracks)
	b.n = 30
	b.roll(1, map[int]clip{1: tracks[1]}) // the key frame of one
	b.roll(3, map[int]clip{0: tracks[0]}) // the other one has not had one
	first := before[0]
	r.eventually("the second layer goes on", func() bool { _, now := r.layers("virtual"); return now[1] > before[1] })
	a = r.plug("rt_a") // which is let in after what came before
	if _, before = r.layers("virtual"); before[0] != first {
		t.Error("the first layer goes on without a key frame")
	}
	_, taken := r.layers("physical-b")
	b.n = 60
	b.roll(1, tracks)
	r.eventually("the first layer goes on", func() bool { _, now := r.layers("virtual"); return now[0] > before[0] })
	a.Close(true, nil)
	r.happens("physical-a LEFT", 2)
	_, now := r.layers("virtual")
	_, all := r.layers("physical-b")
	if now[0]-before[0] != all[0]-taken[0] || taken[0] <= all[0]-taken[0] {
		t.Errorf("packets %v after %v, of %v after %v", now, before, all, taken)
	}
	b.Close(true, nil)
	r.happens("virtual LEFT", 1)
}
