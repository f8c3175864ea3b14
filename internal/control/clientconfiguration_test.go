package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	rttypes "github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/ingest"
	"github.com/footlight-live/footlight/internal/stage"
)

func TestLadder(t *testing.T) {
	picture := func(width, height, fps int) canvas { return canvas{width, height, frameRate{fps, 1}} }
	forStage := stageLimits(8_500_000)
	for _, c := range []struct {
		picture         canvas
		offer           offer
		bitRate, tracks int
		want            string
	}{
		{picture(1920, 1080, 60), channelLimits(channel.FullHD), 0, 0, "1920x1080@60 6000, 1280x720@60 3400, 854x480@30 1400, 640x360@30 630, 284x160@30 230"},
		{picture(1920, 1080, 60), channelLimits(channel.FullHD), 8000, 0, "1280x720@60 3400, 854x480@30 1400, 640x360@30 630, 284x160@30 230"},
		{picture(1920, 1080, 30), channelLimits(channel.FullHD), 0, 3, "1920x1080@30 4500, 1280x720@30 2400, 854x480@30 1400"},
		{picture(1920, 1080, 50), channelLimits(channel.HD), 0, 0, "1280x720@50 3400, 854x480@25 1400, 640x360@25 630, 284x160@25 230"},
		{picture(1920, 1080, 30), channelLimits(channel.SD), 0, 0, "854x480@30 1400, 640x360@30 630, 284x160@30 230"},
		{picture(1080, 1920, 30), channelLimits(channel.HD), 0, 0, "720x1280@30 2400, 480x854@30 1400, 360x640@30 630, 160x284@30 230"},
		{picture(1024, 600, 30), channelLimits(channel.FullHD), 100, 0, "274x160@30 230"},
		{picture(1920, 1080, 60), forStage, 0, 0, "1280x720@60 3400, 640x360@30 630, 320x180@30 230"},
		{picture(1280, 720, 30), forStage, 2000, 0, "640x360@30 630, 320x180@30 230"},
		{picture(1080, 1920, 30), forStage, 0, 2, "720x1280@30 2400, 360x640@30 630"},
		{picture(640, 360, 30), forStage, 0, 9, "640x360@30 630, 320x180@30 230"},
		{picture(1280, 960, 30), forStage, 0, 0, "960x720@30 2400, 480x360@30 630, 240x180@30 230"},
		{picture(2560, 1080, 30), forStage, 0, 0, "854x360@30 630, 426x180@30 230"},
	} {
		var got []string
		for _, r := range c.offer.ladder(c.picture, c.bitRate, c.tracks) {
			got = append(got, fmt.Sprintf("%dx%d@%d %d", r.width, r.height, r.rate.Numerator/r.rate.Denominator, r.bitRate))
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%+v: %s, want %s", c, s, c.want)
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

// clientRequest is what OBS asks with.
func clientRequest(key, preferences string) string {
	return fmt.Sprintf(`{"service":"IVS","schema_version":"2025-01-25","authentication":%q,
		"client":{"name":"obs-studio","version":"31.0.0","supported_codecs":["h264"],"supported_encoders":["obs_x264"]},
		"capabilities":{"cpu":{"physical_cores":4}},"preferences":{%s}}`, key, preferences)
}

const canvas720 = `"canvases":[{"width":1280,"height":720,"canvas_width":1920,"canvas_height":1080,"framerate":{"numerator":30,"denominator":1}}]`

func TestClientConfiguration(t *testing.T) {
	f := start(t)
	created := f.must(t, "CreateChannel", `{"containerFormat":"FRAGMENTED_MP4","insecureIngest":true,
		"multitrackInputConfiguration":{"enabled":true,"policy":"ALLOW","maximumResolution":"HD"}}`)
	key, name := text(t, created, "streamKey", "value"), text(t, created, "channel", "arn")
	const older = `"width":1280,"height":720,"framerate":{"numerator":30,"denominator":1},"maximum_video_tracks":2`
	code, out := f.ask(t, clientRequest(key, canvas720))
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
	if _, two := f.ask(t, clientRequest(key, older)); len(two.Encoders) != 2 {
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
		"another key":     {clientRequest(key[:len(key)-1]+"_", canvas720), "unknown"},
		"the derived key": {clientRequest(derived, canvas720), "unknown"},
		"no picture":      {clientRequest(key, ""), "how large"},
		"no H.264":        {strings.Replace(clientRequest(key, canvas720), `["h264"]`, `["av1"]`, 1), "H.264"},
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
	if _, out := f.ask(t, clientRequest(key, canvas720)); out.Status.Result != "error" || !strings.Contains(out.Status.HTML, "not enabled") {
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

// TestClientConfigurationOfStage asks with the keys of ingest configurations.
func TestClientConfigurationOfStage(t *testing.T) {
	f, _ := startIngests(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	c := f.createIngest(t, rtsdk.CreateIngestConfigurationInput{StageArn: &stageARN})
	plain := f.createIngest(t, rtsdk.CreateIngestConfigurationInput{StageArn: &stageARN, InsecureIngest: true, IngestProtocol: rttypes.IngestProtocolRtmp})
	code, out := f.ask(t, clientRequest(*c.StreamKey, canvas720))
	if code != 200 || out.Status.Result != "success" || len(out.Encoders) != 3 || len(out.Endpoints) != 1 || len(out.Audio.Live) != 1 {
		t.Fatalf("status %d, %+v", code, out)
	}
	for i, want := range []float64{720, 360, 180} {
		e := out.Encoders[i]
		if float64(e.Height) != want || e.Type != "obs_x264" || e.Settings["bf"] != 0.0 || e.Settings["keyint_sec"] != 1.0 || e.Settings["tune"] != "zerolatency" {
			t.Errorf("encoder %+v", e)
		}
	}
	if e := out.Endpoints[0]; e.Protocol != "RTMPS" || e.URLTemplate != testURLs.RTMPS+"{stream_key}" {
		t.Errorf("endpoint %+v", e)
	}
	if _, out := f.ask(t, clientRequest(*plain.StreamKey, canvas720)); len(out.Endpoints) != 2 || out.Endpoints[1].URLTemplate != testURLs.RTMP+"{stream_key}" {
		t.Errorf("with RTMP: %+v", out.Endpoints)
	}
	nvenc := strings.Replace(clientRequest(*c.StreamKey, canvas720), `"obs_x264"`, `"obs_x264","obs_nvenc_h264_tex"`, 1)
	if _, out := f.ask(t, nvenc); out.Encoders[0].Type != "obs_nvenc_h264_tex" || out.Encoders[0].Settings["bf"] != 0.0 || out.Encoders[0].Settings["tune"] != nil {
		t.Errorf("with NVENC: %+v", out.Encoders)
	}

	// The key that was given out opens the configuration, for its time and as long as the configuration's own.
	derived := out.Endpoints[0].Authentication
	got, err := f.ResolveIngestKey(t.Context(), derived)
	if err != nil || !IsIngestKey(derived) || got.ConfigurationID != idOf(*c.Arn) || got.Grant.ParticipantID != *c.ParticipantId || got.AllowPlain || got.Physical != nil {
		t.Errorf("resolved %+v, %v", got, err)
	}
	parts := strings.Split(derived, "_")
	unknown := func(what, key string) {
		t.Helper()
		if _, err := f.ResolveIngestKey(t.Context(), key); !errors.Is(err, ingest.ErrUnknownKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
	unknown("over", f.derivedIngestKey(*c.StreamKey, time.Now().Add(-time.Second)))
	unknown("made longer", strings.Replace(derived, "_"+parts[4]+"_", "_9"+parts[4]+"_", 1))
	unknown("another secret", derived[:len(derived)-1]+"x")
	unknown("of another configuration", strings.Replace(derived, idOf(*c.Arn), idOf(*plain.Arn), 1))

	for what, c := range map[string]struct{ body, words string }{
		"another key":     {clientRequest(*c.StreamKey+"x", canvas720), "unknown"},
		"the derived key": {clientRequest(derived, canvas720), "unknown"},
		"no picture":      {clientRequest(*c.StreamKey, ""), "how large"},
	} {
		if code, out := f.ask(t, c.body); code != 200 || out.Status.Result != "error" || !strings.Contains(out.Status.HTML, c.words) || out.Endpoints != nil {
			t.Errorf("%s: %d %+v", what, code, out)
		}
	}
	f.must(t, "UpdateIngestConfiguration", fmt.Sprintf(`{"arn":%q,"stageArn":""}`, *c.Arn))
	if _, out := f.ask(t, clientRequest(*c.StreamKey, canvas720)); out.Status.Result != "error" || !strings.Contains(out.Status.HTML, "has no stage") {
		t.Errorf("without a stage: %+v", out)
	}

	// With redundant ingest each of the two keys has one of its own, and that of the configuration's own is over.
	red := f.must(t, "UpdateIngestConfiguration", fmt.Sprintf(`{"arn":%q,"stageArn":%q,"redundantIngest":true}`, *c.Arn, stageARN))
	unknown("derived from the configuration's own key, with redundant ingest", derived)
	for i := range 2 {
		credential := at(t, red, "ingestConfiguration", "redundantIngestCredentials", i)
		_, out := f.ask(t, clientRequest(text(t, credential, "streamKey"), canvas720))
		if len(out.Endpoints) != 1 {
			t.Fatalf("redundant: %+v", out)
		}
		got, err := f.ResolveIngestKey(t.Context(), out.Endpoints[0].Authentication)
		if err != nil || got.Stream != i || got.Physical == nil || got.Physical.ParticipantID != text(t, credential, "participantId") {
			t.Errorf("redundant: %+v, %v", got, err)
		}
	}
	f.must(t, "DeleteIngestConfiguration", fmt.Sprintf(`{"arn":%q}`, *c.Arn))
	unknown("of a deleted configuration", derived)
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
			for _, r := range channelLimits(limit).ladder(c, bitRate, tracks) {
				if r.width <= 0 || r.height <= 0 || !limit.TakesMultitrack(r.width, r.height) || r.rate.Denominator <= 0 {
					t.Errorf("%+v %s: %+v", c, limit, r)
				}
			}
		}
		total, all := ladderAudio, stageLimits(8_500_000).ladder(c, bitRate, tracks)
		for _, r := range all {
			if total += r.bitRate; r.width <= 0 || r.height <= 0 || max(r.width, r.height) > 1280 || min(r.width, r.height) > 720 || r.rate.Denominator <= 0 {
				t.Errorf("%+v for a stage: %+v", c, r)
			}
		}
		if len(all) > stage.MaxLayers || total > 8500 {
			t.Errorf("%+v for a stage: %+v", c, all)
		}
	})
}
