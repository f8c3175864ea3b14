package composer

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/coder/websocket"

	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/synth"
)

// small makes a job cheap: what is tested is not the picture.
func small(j *wire.Job) {
	j.Outputs[0].Width, j.Outputs[0].Height, j.Outputs[0].FrameRate, j.Outputs[0].BitRate = 320, 180, 15, 300_000
}

func smallPublisher(p *synth.Publisher) {
	p.Width, p.Height, p.FrameRate, p.BitRate = 320, 180, 15, 200_000
}

// TestTilesWithoutPicture walks through the rules for tiles without picture.
func TestTilesWithoutPicture(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.compose(small)
	p := r.publish(0, smallPublisher)
	voice := r.publish(1, func(p *synth.Publisher) { smallPublisher(p); p.AudioOnly = true })
	huge := r.publish(2, func(p *synth.Publisher) { p.Width, p.Height, p.FrameRate, p.BitRate = 2000, 1100, 2, 500_000 })
	s.shows(0, live, "video")
	p.SetMuted(synth.Muted{Video: true}) // it sends black pictures now
	s.shows(0, muted, "placeholder")
	p.SetMuted(synth.Muted{Audio: true})
	s.shows(0, live, "video")
	s.until("muted sound", func() bool {
		in, _ := s.participant(0)
		return in.Audio == "muted" && !in.Speaking && in.Level < -100
	})
	p.SetMuted(synth.Muted{})
	s.until("sound again", func() bool { in, _ := s.participant(0); return in.Audio == "live" && in.Speaking && in.Level > -40 })
	p.SetFaults(synth.Faults{Width: 180, Height: 320})
	s.until("portrait", func() bool { in, _ := s.participant(0); return in.Width == 180 && in.Height == 320 })
	p.SetFaults(synth.Faults{PauseVideo: true})
	s.shows(0, stalled, "placeholder")
	p.SetFaults(synth.Faults{})
	s.shows(0, live, "video")
	s.shows(1, none, "placeholder")
	s.until("voice", func() bool { in, _ := s.participant(1); return in.Audio == "live" && in.Label == "participantB" })
	s.shows(2, tooLarge, "placeholder")
	voice.Close()
	huge.Close()
	s.until("one tile", func() bool { return len(s.heartbeat.Canvases[0].Tiles) == 1 })
}

// TestOmitStoppedVideo: who has no picture has no tile, and gets it back with the picture; a participant who has
// just come is not omitted for that.
func TestOmitStoppedVideo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.compose(func(j *wire.Job) {
		small(j)
		j.Layout = json.RawMessage(`{"grid":{"omitStoppedVideo":true}}`)
	})
	p := r.publish(0, smallPublisher)
	r.publish(1, smallPublisher)
	s.shows(0, live, "video")
	s.shows(1, live, "video")
	p.SetMuted(synth.Muted{Video: true})
	s.shows(0, muted, "")
	s.shows(1, live, "video")
	p.SetMuted(synth.Muted{})
	s.shows(0, live, "video")
}

// TestScene: the job's scene is worn from the start, another one while it runs, and a bad one changes nothing.
func TestScene(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	region := func(x string) wire.Scene {
		return wire.Scene{Document: json.RawMessage(`{"layout":{"custom":{"width":320,"height":180,"regions":[{"id":"r","x":` + x + `,"y":0,"width":100,"height":60,"select":{}}]}}}`)}
	}
	s := r.compose(func(j *wire.Job) { small(j); j.Scene = region("20") })
	r.publish(0, smallPublisher)
	at := func(x, width int) {
		t.Helper()
		s.until("tile in its place", func() bool { _, tile := s.participant(0); return tile.X == x && tile.Width == width })
	}
	at(20, 100)
	send := func(sc wire.Scene) {
		t.Helper()
		if err := s.Send(wire.Message{Scene: &sc}); err != nil {
			t.Fatal(err)
		}
	}
	send(region("40"))
	at(40, 100)
	send(region(`"left"`))
	send(wire.Scene{Document: json.RawMessage(`{"background":{"image":"logo"}}`)}) // that nobody sent
	send(region("60"))
	at(60, 100)
	send(wire.Scene{})
	at(0, 320)
}

// TestAttributes: attributes that change while everything runs decide the order from then on.
func TestAttributes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.compose(func(j *wire.Job) {
		small(j)
		j.Layout = json.RawMessage(`{"grid":{"participantOrderAttribute":"rank"}}`)
	})
	r.publish(0, smallPublisher)
	r.publish(1, smallPublisher)
	left := func(index int) {
		t.Helper()
		s.until("participant on the left", func() bool {
			_, tile := s.participant(index)
			return tile.Width > 0 && tile.X == 0 && tile.Shows == "video"
		})
	}
	left(0)
	tell := func(rank string) {
		t.Helper()
		token := "participantB." + base64.RawURLEncoding.EncodeToString([]byte(`{"attributes":{"rank":"`+rank+`"}}`)) + "."
		conn, _, err := websocket.Dial(t.Context(), r.events()+"/"+stageID, &websocket.DialOptions{Subprotocols: []string{token}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseNow() })
	}
	tell("7")
	left(1)
	tell("last")
	left(0)
}
