package control

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ivssdk "github.com/aws/aws-sdk-go-v2/service/ivs"
	"github.com/golang-jwt/jwt/v5"

	"github.com/footlight-live/footlight/internal/channel"
)

// studio is the live side of channels, real, in place of the fake one.
type studio struct {
	*fixture
	live *channel.Server
	web  *httptest.Server
}

func startStudio(t *testing.T) *studio {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	s := &studio{fixture: start(t)}
	s.live = &channel.Server{
		RTMPAddr: "127.0.0.1:0", Directory: s.Control, Observer: s.StreamObserver(), Gate: s.Control,
		SessionKey: s.PlaybackSessionKey(), Log: slog.New(slog.DiscardHandler),
	}
	if err := s.live.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Streams = s.live
	s.web = httptest.NewServer(s.live.Handler())
	t.Cleanup(func() {
		s.live.Close()
		s.web.Close()
	})
	return s
}

// publish streams to a channel until the test ends.
func (s *studio) publish(t *testing.T, key string) {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30",
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1", "-g", "60", "-b:v", "300k", "-pix_fmt", "yuv420p",
		"-f", "flv", "rtmp://"+s.live.RTMPAddress()+"/app/"+key)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // killed: an error is what it should be
	})
}

// get returns the status and the body of a path.
func (s *studio) get(t *testing.T, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.web.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.web.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// await polls until a condition holds.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come about that %s", what)
		}
	}
}

// TestPrivateChannelLive goes the whole way: the API makes a private channel, an encoder publishes, a player watches
// with a token, gets metadata and an ad break, is counted, and is cut off.
func TestPrivateChannelLive(t *testing.T) {
	s := startStudio(t)
	pair := newKeyPair(t)
	s.importKey(t, pair)
	ads := text(t, s.must(t, "CreateAdConfiguration", `{"mediaTailorPlaybackConfigurations":[{"playbackConfigurationArn":"arn:aws:mediatailor:us-east-1:000000000000:playbackConfiguration/ads"}]}`), "adConfiguration", "arn")
	created, err := s.ivs.CreateChannel(t.Context(), &ivssdk.CreateChannelInput{Authorized: true, InsecureIngest: true, AdConfigurationArn: &ads})
	if err != nil {
		t.Fatal(err)
	}
	name := created.Channel.Arn
	master := strings.TrimPrefix(*created.Channel.PlaybackUrl, testURLs.HTTP)
	s.publish(t, *created.StreamKey.Value)
	await(t, "the stream is playable", func() bool {
		status, _ := s.get(t, master)
		return status != http.StatusNotFound
	})
	if status, body := s.get(t, master); status != 403 || !strings.Contains(body, "token_missing") {
		t.Errorf("without a token: %d %s", status, body)
	}
	token := func(version int) string {
		return "?token=" + pair.sign(t, *name, jwt.MapClaims{"aws:viewer-id": "ann", "aws:viewer-session-version": version, "aws:single-use-uuid": fmt.Sprint(version)})
	}
	enter := func(query string) string {
		t.Helper()
		status, body := s.get(t, master+query)
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		lines := strings.Split(strings.TrimSpace(body), "\n")
		return "/api/video/v1/" + lines[len(lines)-1]
	}
	first := token(1)
	media := enter(first)
	if status, body := s.get(t, master+first); status != 403 || !strings.Contains(body, "token_used") {
		t.Errorf("again: %d %s", status, body)
	}

	if _, err := s.ivs.PutMetadata(t.Context(), &ivssdk.PutMetadataInput{ChannelArn: name, Metadata: aws.String("goal of the month")}); err != nil {
		t.Fatal(err)
	}
	folder := media[:strings.LastIndex(media, "/")+1]
	var files []string
	await(t, "the metadata is in the stream", func() bool {
		status, body := s.get(t, media)
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		files = nil
		found := false
		for line := range strings.Lines(body) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") && line != "" {
				files = append(files, line)
				_, data := s.get(t, folder+line)
				found = found || strings.Contains(data, "TXXX") && strings.Contains(data, "goal of the month")
			}
		}
		return found
	})
	stream, err := s.ivs.GetStream(t.Context(), &ivssdk.GetStreamInput{ChannelArn: name})
	if err != nil || stream.Stream.ViewerCount != 1 {
		t.Errorf("stream %+v, %v", stream, err)
	}

	out, err := s.ivs.InsertAdBreak(t.Context(), &ivssdk.InsertAdBreakInput{ChannelArn: name, DurationSeconds: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, body := s.get(t, media); !strings.Contains(body, `#EXT-X-DATERANGE:ID="`+*out.AdBreakId+`"`) {
		t.Errorf("no ad break in\n%s", body)
	}

	if status, _ := s.get(t, folder+files[0]); status != 200 {
		t.Fatalf("before the revocation: %d", status)
	}
	if _, err := s.ivs.StartViewerSessionRevocation(t.Context(), &ivssdk.StartViewerSessionRevocationInput{
		ChannelArn: name, ViewerId: aws.String("ann"), ViewerSessionVersionsLessThanOrEqualTo: 1,
	}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{media, folder + files[0], folder + files[len(files)-1]} {
		if status, body := s.get(t, path); status != 403 || !strings.Contains(body, "session_revoked") {
			t.Errorf("%s: %d %.100s", path, status, body)
		}
	}
	if status, _ := s.get(t, enter(token(2))); status != 200 {
		t.Errorf("a higher version: %d", status)
	}
}
