package test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// TestStageMultitrack asks in which sizes to send a picture to a stage, and publishes these by Enhanced RTMP: they are simulcast layers,
// of which subscribers and a composition get the one that suits what they show.
func TestStageMultitrack(t *testing.T) {
	const index = 6
	sizes := [][2]int{{1280, 720}, {640, 360}, {320, 180}}
	ladder := harness.NewLadder(t, ingestClip(t, index, 30*time.Second), sizes...)
	s := harness.StartServer(t)
	stage := s.CreateStage("studio")
	c := createIngest(t, s, stage)
	address := clientConfiguration(t, s, *c.StreamKey, sizes)
	ctx, stop := context.WithCancel(t.Context())
	published := make(chan error, 1)
	go func() { published <- ladder.Publish(ctx, address, len(sizes)) }()
	defer func() {
		stop()
		if err := <-published; err != nil {
			t.Errorf("the publisher was cut: %v", err)
		}
	}()
	s.WaitPublishing(stage, 1)

	t.Run("two subscribers get what suits them", func(t *testing.T) {
		var both sync.WaitGroup
		files := map[[2]int]string{}
		var mu sync.Mutex
		for _, size := range [][2]int{sizes[0], sizes[2]} {
			token := s.Token(stage, "viewer")
			both.Go(func() {
				file, err := whepRecord(t, s, token, *c.ParticipantId, 8*time.Second, size[0], size[1])
				if err != nil {
					t.Errorf("%v: %v", size, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				files[size] = file
			})
		}
		both.Wait()
		for size, file := range files {
			sees(t, file, size[0], size[1], index)
		}
	})

	session, leave, err := whepSubscribe(t, s, s.Token(stage, "viewer"), *c.ParticipantId, drain)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	waitLayer(t, session, "0", "0:1280x720+ 1:640x360+ 2:320x180+")
	if err := tellSize(session, 320, 180); err != nil {
		t.Fatal(err)
	}
	waitLayer(t, session, "2", "0:1280x720+ 1:640x360+ 2:320x180+")

	t.Run("a track that stops is replaced until it comes back", func(t *testing.T) {
		ladder.Pause(2, true)
		waitLayer(t, session, "1", "0:1280x720+ 1:640x360+ 2:320x180-")
		ladder.Pause(1, true)
		waitLayer(t, session, "0", "0:1280x720+ 1:640x360- 2:320x180-")
		ladder.Pause(1, false)
		ladder.Pause(2, false)
		waitLayer(t, session, "2", "0:1280x720+ 1:640x360+ 2:320x180+")
	})
	leave()

	t.Run("a composition gets what its tile needs", func(t *testing.T) {
		channel := s.CreateChannel("small")
		composition := s.StartComposition(stage, channel, s.CreateEncoder(320, 180, 30, 500_000))
		s.WaitComposition(composition.Arn, types.CompositionStateActive)
		harness.WaitPlayable(t, *channel.PlaybackUrl)
		harness.Eventually(t, time.Minute, "the composer decodes the smallest layer", func(context.Context) error {
			var got struct {
				Measurements struct {
					Participants []struct{ Width, Height int }
				}
			}
			if err := json.Unmarshal(s.Call("GET", "compositions/"+id(*composition.Arn), "", nil), &got); err != nil {
				return err
			}
			if p := got.Measurements.Participants; len(p) != 1 || p[0].Width != 320 || p[0].Height != 180 {
				return fmt.Errorf("it has %+v", p)
			}
			return nil
		})
		capture, err := judge.Record(t.Context(), *channel.PlaybackUrl, settled+4*time.Second, judge.Options{
			Tiles: fullPicture(320, 180), InputArgs: []string{"-live_start_index", "-1"},
		})
		if err != nil {
			t.Fatal(err)
		}
		seen(t, capture, settled, judge.Forever, index)
	})
}

// clientConfiguration asks as OBS does, must be told these sizes, and returns where to publish by RTMP.
func clientConfiguration(t *testing.T, s *harness.Server, key string, want [][2]int) (address string) {
	t.Helper()
	request := fmt.Sprintf(`{"service":"IVS","schema_version":"2025-01-25","authentication":%q,"client":{"supported_codecs":["h264"]},
		"preferences":{"canvases":[{"width":1280,"height":720,"framerate":{"numerator":30,"denominator":1}}]}}`, key)
	response, err := http.Post(s.URL+"/api/v3/GetClientConfiguration", "application/json", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got struct {
		Endpoints []struct {
			Protocol, Authentication string
			Template                 string `json:"url_template"`
		} `json:"ingest_endpoints"`
		Encoders []struct{ Width, Height int } `json:"encoder_configurations"`
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	var sizes [][2]int
	for _, e := range got.Encoders {
		sizes = append(sizes, [2]int{e.Width, e.Height})
	}
	if !slices.Equal(sizes, want) {
		t.Errorf("the sizes are %v", sizes)
	}
	for _, e := range got.Endpoints {
		if e.Protocol == "RTMP" {
			address = strings.Replace(e.Template, "{stream_key}", e.Authentication, 1)
		}
	}
	if address == "" {
		t.Fatalf("no address: %+v", got)
	}
	return address + "?clientConfigId=1" // as OBS adds it
}

// sees judges what a subscriber has recorded.
func sees(t *testing.T, file string, width, height, index int) {
	t.Helper()
	capture, err := judge.Record(t.Context(), file, time.Minute, judge.Options{Tiles: fullPicture(width, height)})
	if err != nil {
		t.Fatal(err)
	}
	if f := capture.Facts; f.Width != width || f.Height != height {
		t.Errorf("the picture is %dx%d, want %dx%d", f.Width, f.Height, width, height)
	}
	seen(t, capture, capture.Start+time.Second, judge.Forever, index)
	if tones := capture.Tones(capture.Start+time.Second, judge.Forever); !slices.Equal(tones, []int{index}) {
		t.Errorf("%dx%d: the tones of %v are heard", width, height, tones)
	}
	if sync := capture.LipSync(index); len(sync.Offsets) < 4 || sync.Fine.Abs() > 25*time.Millisecond {
		t.Errorf("%dx%d: lip sync %+v", width, height, sync)
	}
}

// drain takes what a subscriber gets.
func drain(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	for {
		if _, _, err := track.ReadRTP(); err != nil {
			return
		}
	}
}

// waitLayer waits until a subscription gets a layer, and is told of these: rid, size, and whether it is active.
func waitLayer(t *testing.T, session, selected, layers string) {
	t.Helper()
	harness.Eventually(t, 30*time.Second, "layer "+selected+" of "+layers, func(ctx context.Context) error {
		text, err := harness.Get(ctx, session+"/layers")
		if err != nil {
			return err
		}
		var got struct {
			Layers []struct {
				RID           string
				Width, Height int
				Active        bool
			}
			Selected *string
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			return err
		}
		var all []string
		for _, l := range got.Layers {
			all = append(all, fmt.Sprintf("%s:%dx%d%s", l.RID, l.Width, l.Height, map[bool]string{true: "+", false: "-"}[l.Active]))
		}
		if got.Selected == nil || *got.Selected != selected || strings.Join(all, " ") != layers {
			return fmt.Errorf("it is told %s", text)
		}
		return nil
	})
}
