package composer

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/synth"
)

// twoOutputs adds a second destination, with a channel of its own.
func twoOutputs(change func(*wire.OutputJob)) func(*wire.Job) {
	return func(j *wire.Job) {
		small(j)
		other := j.Outputs[0]
		other.DestinationID, other.StreamKey = "d2", "key2"
		if change != nil {
			change(&other)
		}
		j.Outputs = append(j.Outputs, other)
	}
}

// TestSharedEncode: two destinations of the same settings get the same pictures, encoded once.
func TestSharedEncode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.compose(twoOutputs(nil))
	r.publish(0, smallPublisher)
	s.shows(0, live, "video")
	s.until("two served destinations", func() bool {
		d := s.heartbeat.Destinations
		return s.state("d1") == wire.Active && s.state("d2") == wire.Active && d[0].Bytes > 50_000 && d[1].Bytes > 50_000
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if cs := s.heartbeat.Canvases; len(cs) != 1 || len(cs[0].Destinations) != 2 || cs[0].Encoder == "" {
		t.Errorf("canvases %+v", cs)
	}
}

// TestSharedDecode: two destinations of different settings, among them 60 and 1 picture a second and a portrait
// canvas, get their own pictures of participants who are decoded once.
func TestSharedDecode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.compose(func(j *wire.Job) {
		twoOutputs(func(o *wire.OutputJob) { o.Width, o.Height, o.FrameRate = 180, 320, 1 })(j)
		j.Outputs[0].FrameRate = 60
	})
	p := r.publish(0, func(p *synth.Publisher) { smallPublisher(p); p.AudioOnly = false })
	s.shows(0, live, "video")
	s.until("two served destinations", func() bool {
		d := s.heartbeat.Destinations
		return s.state("d1") == wire.Active && s.state("d2") == wire.Active && d[0].Bytes > 50_000 && d[1].Bytes > 50_000
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	cs := s.heartbeat.Canvases
	if len(cs) != 2 || cs[0].FrameRate != 60 || cs[1].FrameRate != 1 || cs[1].Height != 320 {
		t.Fatalf("canvases %+v", cs)
	}
	for _, c := range cs {
		if len(c.Tiles) != 1 || c.Tiles[0].Shows != "video" {
			t.Errorf("canvas of %v pictures a second shows %+v", c.FrameRate, c.Tiles)
		}
	}
	// Sound packets come at 50 a second, pictures at 15.
	if in, _ := s.participant(0); in.Decoded > in.Received || p.Stats().Pictures == 0 {
		t.Errorf("decoded %d of %d packets", in.Decoded, in.Received)
	}
}

// TestCutIngest: a destination whose ingest is cut, as StopStream does, is connected again.
func TestCutIngest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.compose(small)
	s.until("playable stream", func() bool {
		all := r.channel.Streams()
		return s.state("d1") == wire.Active && len(all) == 1 && all[0].Video != nil
	})
	ch, err := r.ResolveChannel(t.Context(), account.Region, account.ID, "chan00000001")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.channel.Stop(ch.ARN, "StopStream was called"); err != nil {
		t.Fatal(err)
	}
	want := []wire.DestinationState{wire.Connecting, wire.Active, wire.Reconnecting, wire.Active}
	s.until("connection anew", func() bool { return slices.Equal(s.states["d1"], want) })
}

// TestStalledDestination: after an overflow a key frame is asked for as soon as it would be taken, and not before.
func TestStalledDestination(t *testing.T) {
	o := &output{open: true, queue: make(chan *packet, outputQueue), log: slog.New(slog.DiscardHandler)}
	c := &canvas{outputs: []*output{o}}
	key := &packet{video: true, key: true}
	wants := func(when string, used, begins bool) {
		t.Helper()
		if u, b := c.wanted(); u != used || b != begins {
			t.Fatalf("%s: wanted %v, a key frame %v", when, u, b)
		}
	}
	wants("at the start", true, true)
	for range outputQueue {
		o.offer(key)
	}
	wants("full", true, false)
	o.offer(key)
	for len(o.queue) > outputQueue/2 {
		wants("more than half full after an overflow", false, false)
		<-o.queue
	}
	wants("half empty", true, true)
	o.offer(key)
	wants("served again", true, false)
}
