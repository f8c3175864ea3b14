package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/footlight-live/footlight/internal/control"
	"github.com/footlight-live/footlight/test/harness"
)

// world is a running server, and a few resources that checks may use but not change.
type world struct {
	*harness.Server
	operations  operations
	key, secret string

	Channel, StreamKey, Stage, Encoder string // ARNs
	Ads                                string // an ad configuration
	Bucket                             string // of the object store
	Session, Participant               string // ids; there is nobody unless somebody comes
}

// newWorld starts a server in which no quota is in the way, but for those given: "channels=1".
func newWorld(t testing.TB, args ...string) *world {
	t.Helper()
	w := &world{operations: loadOperations(t), Bucket: "recordings", Session: "st-0123456789abc", Participant: "nobody"}
	if len(args) == 0 {
		args = []string{"--quota", quotas(100000)}
	}
	w.Server = harness.StartServer(t, args...)
	env := w.Env()
	w.key, w.secret = env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
	if err := os.MkdirAll(filepath.Join(w.DataDir, "objects", w.Bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

// quotas sets all quotas of how many there may be to n, as the server's flag takes them, but for five replications of a
// participant, which a check makes itself.
func quotas(n int) string {
	others := []string{"ReplicationsPerParticipant", "PublishBitRate", "PublishLines", "ConnectionHours"}
	var all []string
	fields := reflect.TypeFor[control.Quotas]()
	for i := range fields.NumField() {
		if slices.Contains(others, fields.Field(i).Name) {
			continue
		}
		var name strings.Builder
		for j, r := range fields.Field(i).Name {
			if j > 0 && 'A' <= r && r <= 'Z' {
				name.WriteByte('-')
			}
			name.WriteRune(r)
		}
		all = append(all, fmt.Sprintf("%s=%d", strings.ToLower(name.String()), n))
	}
	return strings.Join(all, ";")
}

// furnish makes the resources.
func (w *world) furnish(t testing.TB, by sdk) {
	t.Helper()
	do := func(name string, in M) M {
		out, err := by.call(t.Context(), w.operations.find(t, name), in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return out
	}
	created := do("CreateChannel", M{"name": "furniture", "insecureIngest": true})
	w.Channel, w.StreamKey = str(created, "channel", "arn"), str(created, "streamKey", "arn")
	w.Stage = str(do("CreateStage", M{"name": "furniture"}), "stage", "arn")
	w.Encoder = str(do("CreateEncoderConfiguration", M{"video": M{"width": 320, "height": 180, "framerate": 15, "bitrate": 300000}}), "encoderConfiguration", "arn")
	w.Ads = str(do("CreateAdConfiguration", M{"mediaTailorPlaybackConfigurations": tailor()}), "adConfiguration", "arn")
}

// tailor is a list of one MediaTailor link.
func tailor() []any {
	return []any{M{"playbackConfigurationArn": "arn:aws:mediatailor:us-east-1:000000000000:playbackConfiguration/ads"}}
}

// none is the ARN of a resource that does not exist.
func none(kind string) string {
	kind, _, _ = strings.Cut(strings.TrimPrefix(kind, "live "), " ")
	return "arn:aws:ivs:us-east-1:000000000000:" + kind + "/doesNotExist"
}

// raw sends a signed request that no SDK would send.
func (w *world) raw(ctx context.Context, op *operation, in M) (M, error) {
	path, query, body := op.URI, url.Values{}, M{}
	for name, value := range in {
		m := op.shape(op.Input).Members[name]
		switch {
		case m != nil && m.Location == "uri":
			path = strings.Replace(path, "{"+name+"}", url.QueryEscape(fmt.Sprint(value)), 1)
		case m != nil && m.Location == "querystring":
			keys, _ := value.([]any)
			for _, key := range keys {
				query.Add(name, fmt.Sprint(key))
			}
		default:
			body[name] = value
		}
	}
	path = strings.ReplaceAll(path, "{resourceArn}", "")
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	if op.Method == http.MethodGet || op.Method == http.MethodDelete {
		text = nil
	}
	target := w.URL + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, op.Method, target, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	if err := v4.NewSigner().SignHTTP(ctx, aws.Credentials{AccessKeyID: w.key, SecretAccessKey: w.secret}, r, hex.EncodeToString(sum[:]), "ivs", "us-east-1", time.Now()); err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		var e struct{ Message string }
		if err := json.Unmarshal(answer, &e); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", response.Status, err, answer)
		}
		return nil, &failure{Code: response.Header.Get("X-Amzn-Errortype"), Status: response.StatusCode, Message: e.Message, Typed: true}
	}
	out := M{}
	if len(answer) > 0 {
		err = json.Unmarshal(answer, &out)
	}
	return out, err
}

// encode streams a small picture to a channel over RTMP until the function it returns is called, or the test ends.
func (w *world) encode(t testing.TB, rtmp, streamKey string) (stop func()) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15",
		"-f", "lavfi", "-i", "sine=sample_rate=48000", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1",
		"-g", "15", "-b:v", "200k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", "-b:a", "96k", "-f", "flv", rtmp+streamKey)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	ended := false
	stop = func() {
		if !ended {
			ended = true
			cmd.Process.Kill()
			cmd.Wait() // killed: an error is what it should be
		}
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() && said.Len() > 0 {
			t.Logf("ffmpeg: %s", said.String())
		}
	})
	return stop
}

// events are what the server's event log has about a resource, oldest first.
func (w *world) events(resource string) []any {
	var out []any
	for line := range bytes.Lines(w.Call(http.MethodGet, "events?resource="+url.QueryEscape(resource), "", nil)) {
		var event M
		if json.Unmarshal(line, &event) == nil {
			out = append(out, event)
		}
	}
	return out
}
