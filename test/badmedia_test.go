package test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"image"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ivs"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// rtmpGarbage: what is no TLS, no RTMP, or RTMP no longer, is hung up on.
func (s *show) rtmpGarbage(t *testing.T) {
	addr := *s.channel.IngestEndpoint
	garbage := make([]byte, 64<<10)
	rand.NewChaCha8([32]byte{1}).Read(garbage)
	handshake := append([]byte{3}, make([]byte, 2*1536)...) // C0, C1 and C2
	for name, sent := range map[string][]byte{
		"no TLS": garbage, "no handshake": garbage, "no chunks": append(handshake, bytes.Repeat([]byte{0xff}, 64<<10)...),
		"random chunks": append(bytes.Clone(handshake), garbage...),
	} {
		conn, err := net.Dial("tcp", addr)
		if err == nil && name != "no TLS" {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			err = conn.(*tls.Conn).HandshakeContext(t.Context())
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		go conn.Write(sent) // fails when the server hangs up first
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: the server still listens: %v", name, err)
		}
		conn.Close()
	}
}

// encoder is a running ffmpeg that publishes to a channel's ingest server.
type encoder struct {
	out  bytes.Buffer // read it after done
	done chan error
	kill func() error
}

func (s *show) encode(t *testing.T, key string) *encoder {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "warning", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15",
		"-f", "lavfi", "-i", "sine=sample_rate=48000", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1", "-g", "30",
		"-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", "-f", "flv", "rtmps://"+*s.channel.IngestEndpoint+"/app/"+key)
	e := &encoder{done: make(chan error, 1)}
	cmd.Stderr = &e.out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start ffmpeg: %v", err)
	}
	go func() { e.done <- cmd.Wait() }()
	e.kill = cmd.Process.Kill
	t.Cleanup(func() { e.kill() })
	return e
}

// refused waits until the encoder has given up, for the reason given.
func (e *encoder) refused(t *testing.T, reason string) {
	t.Helper()
	select {
	case err := <-e.done:
		if err == nil || !strings.Contains(e.out.String(), reason) {
			t.Errorf("the encoder ended with %v, want the reason %q:\n%s", err, reason, e.out.String())
		}
	case <-time.After(30 * time.Second):
		t.Errorf("the encoder was not refused: %s", reason)
	}
}

// encoders: wrong keys, and second publishers to live channels, of a composition and of an encoder.
func (s *show) encoders(t *testing.T) {
	own, err := s.IVS.CreateChannel(t.Context(), &ivs.CreateChannelInput{Name: aws.String("encoder")})
	if err != nil {
		t.Fatal(err)
	}
	first := s.encode(t, *own.StreamKey.Value)
	var stream string
	live := func(ctx context.Context) error {
		got, err := s.IVS.GetStream(ctx, &ivs.GetStreamInput{ChannelArn: own.Channel.Arn})
		if err == nil && *got.Stream.StreamId != cmp.Or(stream, *got.Stream.StreamId) {
			t.Fatalf("the stream is %s, was %s", *got.Stream.StreamId, stream)
		}
		if err == nil {
			stream = *got.Stream.StreamId
		}
		return err
	}
	harness.Eventually(t, 30*time.Second, "the encoder is live", live)

	const unknown, busy = "unknown stream key", "already has a publisher"
	_, id, _ := strings.Cut(*s.channel.Arn, "/")
	_, composition, _ := strings.Cut(*s.composition.Arn, "/")
	for key, reason := range map[string]string{
		*own.StreamKey.Value + "x": unknown,
		"cp_us-east-1_" + id + "_" + composition + "_" + strings.Repeat("0", 64): unknown,
		*own.StreamKey.Value: busy, *s.key.Value: busy,
	} {
		s.encode(t, key).refused(t, reason)
	}
	// A key that is deleted opens nothing more; the stream that it opened goes on.
	if _, err := s.IVS.DeleteStreamKey(t.Context(), &ivs.DeleteStreamKeyInput{Arn: own.StreamKey.Arn}); err != nil {
		t.Errorf("delete-stream-key in use: %v", err)
	}
	s.encode(t, *own.StreamKey.Value).refused(t, unknown)
	if err := live(t.Context()); err != nil {
		t.Errorf("the first encoder's stream: %v", err)
	}
	select {
	case err := <-first.done:
		t.Errorf("the first encoder ended: %v\n%s", err, first.out.String())
	default:
	}
}

// misbehaving lets a participant of the composition fall silent, send garbage and change her picture's size and
// shape: the other's tile stays perfect, and hers is back when she is.
func (s *show) misbehaving(t *testing.T) {
	plan := []synth.Faults{{}, {Silent: true}, {Garbage: true}, {Width: 320, Height: 180}, {Width: 360, Height: 640}, {}}
	const each = 3 * time.Second
	var begin time.Time // of the player
	t.Cleanup(func() { s.grace.SetFaults(synth.Faults{}) })
	const length = 25 * time.Second // players lag, so what is done at 15 s is seen some seconds later
	c, err := judge.Record(t.Context(), *s.channel.PlaybackUrl, length, judge.Options{
		Tiles: harness.GridTiles(2), InputArgs: []string{"-live_start_index", "-1"},
		OnFrame: func(n int, _ *image.Gray) {
			if n == 0 {
				begin = time.Now()
			}
			s.grace.SetFaults(plan[min(int(time.Since(begin)/each), len(plan)-1)])
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	seen(t, c, 0, judge.Forever, 1)
	if ada := c.Motion(0, 1, 0, judge.Forever); ada.Frozen > 2*time.Second || ada.Back > 0 {
		t.Errorf("Ada's picture does not move on: %+v", ada)
	}
	if grace := c.Motion(1, 2, 0, judge.Forever); grace.Skipped < 3*time.Second {
		t.Errorf("Grace's faults are not seen: %+v", grace)
	}
	if share := c.Share(1, 2, length-3*time.Second, judge.Forever); share < 0.9 {
		t.Errorf("Grace is back in her tile for %.0f %% of the time", 100*share)
	}
	if tones := c.Tones(length-3*time.Second, judge.Forever); len(tones) != 2 {
		t.Errorf("the mix holds the tones of %v, want both", tones)
	}
	s.WaitDestination(s.composition.Arn, types.DestinationStateActive)
	if n := s.grace.Stats().Connections; n != 1 {
		t.Errorf("Grace connected %d times, the stage hung up on her", n)
	}
}
