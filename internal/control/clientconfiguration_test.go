package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/channel"
)

func TestLadder(t *testing.T) {
	picture := func(width, height, fps int) canvas { return canvas{width, height, frameRate{fps, 1}} }
	for _, c := range []struct {
		picture         canvas
		limit           channel.Resolution
		bitRate, tracks int
		want            string
	}{
		{picture(1920, 1080, 60), channel.FullHD, 0, 0, "1920x1080@60 6000, 1280x720@60 3400, 854x480@30 1400, 640x360@30 630, 284x160@30 230"},
		{picture(1920, 1080, 60), channel.FullHD, 8000, 0, "1280x720@60 3400, 854x480@30 1400, 640x360@30 630, 284x160@30 230"},
		{picture(1920, 1080, 30), channel.FullHD, 0, 3, "1920x1080@30 4500, 1280x720@30 2400, 854x480@30 1400"},
		{picture(1920, 1080, 50), channel.HD, 0, 0, "1280x720@50 3400, 854x480@25 1400, 640x360@25 630, 284x160@25 230"},
		{picture(1920, 1080, 30), channel.SD, 0, 0, "854x480@30 1400, 640x360@30 630, 284x160@30 230"},
		{picture(1080, 1920, 30), channel.HD, 0, 0, "720x1280@30 2400, 480x854@30 1400, 360x640@30 630, 160x284@30 230"},
		{picture(1024, 600, 30), channel.FullHD, 100, 0, "274x160@30 230"},
	} {
		var got []string
		for _, r := range ladderOf(c.picture, c.limit, c.bitRate, c.tracks) {
			got = append(got, fmt.Sprintf("%dx%d@%d %d", r.width, r.height, r.rate.Numerator/r.rate.Denominator, r.bitRate))
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%+v %s: %s, want %s", c.picture, c.limit, s, c.want)
		}
	}
}

// ask posts a request as OBS does.
func (f *fixture) ask(t testing.TB, body string) (int, clientConfiguration) {
	t.Helper()
	w := httptest.NewRecorder()
	f.ClientConfiguration().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", ClientConfigurationPath, strings.NewReader(body)))
	var out clientConfiguration
	if w.Code == 200 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code, out
}

func TestClientConfiguration(t *testing.T) {
	f := start(t)
	created := f.must(t, "CreateChannel", `{"containerFormat":"FRAGMENTED_MP4","insecureIngest":true,
		"multitrackInputConfiguration":{"enabled":true,"policy":"ALLOW","maximumResolution":"HD"}}`)
	key, name := text(t, created, "streamKey", "value"), text(t, created, "channel", "arn")
	request := func(key, preferences string) string {
		return fmt.Sprintf(`{"service":"IVS","schema_version":"2025-01-25","authentication":%q,
			"client":{"name":"obs-studio","version":"31.0.0","supported_codecs":["h264"],"supported_encoders":["obs_x264"]},
			"capabilities":{"cpu":{"physical_cores":4}},"preferences":{%s}}`, key, preferences)
	}
	const newer = `"canvases":[{"width":1280,"height":720,"canvas_width":1920,"canvas_height":1080,"framerate":{"numerator":30,"denominator":1}}]`
	const older = `"width":1280,"height":720,"framerate":{"numerator":30,"denominator":1},"maximum_video_tracks":2`
	code, out := f.ask(t, request(key, newer))
	if code != 200 || out.Status.Result != "success" || out.Meta.SchemaVersion != "2025-01-25" || out.Meta.ConfigID == "" || len(out.Encoders) != 4 {
		t.Fatalf("status %d, %+v", code, out)
	}
	if e := out.Encoders[0]; e.Type != "obs_x264" || e.Width != 1280 || e.Settings["bitrate"] != 2400.0 || e.Settings["keyint_sec"] != 2.0 {
		t.Errorf("encoder %+v", e)
	}
	if len(out.Endpoints) != 2 || out.Endpoints[0].Protocol != "RTMPS" || !strings.HasSuffix(out.Endpoints[0].URLTemplate, "/app/{stream_key}") ||
		out.Endpoints[1].Protocol != "RTMP" || len(out.Audio.Live) != 1 {
		t.Errorf("endpoints %+v, audio %+v", out.Endpoints, out.Audio)
	}
	if _, two := f.ask(t, request(key, older)); len(two.Encoders) != 2 {
		t.Errorf("an older request: %+v", two)
	}

	// The key that was given out opens the channel, for its time and as long as the channel's own.
	derived := out.Endpoints[0].Authentication
	p, err := f.ResolveStreamKey(t.Context(), derived)
	if err != nil || p.Channel.ARN != name || p.Source != "encoder" || !p.AllowPlain || !p.Channel.Multitrack.Enabled {
		t.Errorf("resolved %+v, %v", p, err)
	}
	parts := strings.Split(derived, "_")
	r, _, err := f.channels.Get(t.Context(), parts[2])
	if err != nil {
		t.Fatal(err)
	}
	over := f.multitrackKey(r.ID, *r.StreamKey, time.Now().Add(-time.Second))
	longer := strings.Replace(derived, "_"+parts[3]+"_", "_9"+parts[3]+"_", 1)
	for what, bad := range map[string]string{"over": over, "made longer": longer, "another secret": derived[:len(derived)-1] + "x"} {
		if _, err := f.ResolveStreamKey(t.Context(), bad); !errors.Is(err, channel.ErrUnknownStreamKey) {
			t.Errorf("%s: %v", what, err)
		}
	}

	for what, c := range map[string]struct{ body, words string }{
		"another key":     {request(key[:len(key)-1]+"_", newer), "unknown"},
		"the derived key": {request(derived, newer), "unknown"},
		"no picture":      {request(key, ""), "how large"},
		"no H.264":        {strings.Replace(request(key, newer), `["h264"]`, `["av1"]`, 1), "H.264"},
	} {
		if code, out := f.ask(t, c.body); code != 200 || out.Status.Result != "error" || !strings.Contains(out.Status.HTML, c.words) || out.Endpoints != nil {
			t.Errorf("%s: %d %+v", what, code, out)
		}
	}
	for _, bad := range []string{"", "[]", `{"authentication":7}`, `{"x":"` + strings.Repeat("x", 70_000) + `"}`} {
		if code, _ := f.ask(t, bad); code != 400 {
			t.Errorf("%.20q: status %d", bad, code)
		}
	}
	f.must(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,"multitrackInputConfiguration":{"enabled":false}}`, name))
	if _, out := f.ask(t, request(key, newer)); out.Status.Result != "error" || !strings.Contains(out.Status.HTML, "not enabled") {
		t.Errorf("not enabled: %+v", out)
	}
	if _, err := f.ResolveStreamKey(t.Context(), derived); !errors.Is(err, channel.ErrUnknownStreamKey) {
		t.Errorf("a derived key of a channel without multitrack input: %v", err)
	}
	f.must(t, "UpdateChannel", fmt.Sprintf(`{"arn":%q,"multitrackInputConfiguration":{"enabled":true,"policy":"ALLOW","maximumResolution":"HD"}}`, name))
	f.must(t, "DeleteStreamKey", fmt.Sprintf(`{"arn":%q}`, text(t, created, "streamKey", "arn")))
	if _, err := f.ResolveStreamKey(t.Context(), derived); !errors.Is(err, channel.ErrUnknownStreamKey) {
		t.Errorf("a derived key of a deleted one: %v", err)
	}
}

func FuzzClientConfiguration(f *testing.F) {
	f.Add(1920, 1080, 60, 1, 8000, 3)
	f.Add(160, 16384, 1, 1_000_000, -1, 0)
	f.Fuzz(func(t *testing.T, width, height, numerator, denominator, bitRate, tracks int) {
		c := canvas{width, height, frameRate{numerator, denominator}}
		if !c.valid() {
			return
		}
		for _, limit := range []channel.Resolution{channel.SD, channel.HD, channel.FullHD} {
			for _, r := range ladderOf(c, limit, bitRate, tracks) {
				if r.width <= 0 || r.height <= 0 || !limit.TakesMultitrack(r.width, r.height) || r.rate.Denominator <= 0 {
					t.Errorf("%+v %s: %+v", c, limit, r)
				}
			}
		}
	})
}
