package control

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"slices"

	"github.com/footlight-live/footlight/internal/arn"
)

// ClientConfigurationPath is where encoders ask in which sizes to send their picture, and for a key to send them with.
// OBS has it from its option --config-url. Requests and answers are those of OBS's own source.
const ClientConfigurationPath = "/api/v3/GetClientConfiguration"

// maxClientConfiguration bounds a request; OBS's have about 2 KB.
const maxClientConfiguration = 64 << 10

// clientConfigurationRequest is what of a request matters. Canvases are in newer ones, the size beside them in older ones.
type clientConfigurationRequest struct {
	SchemaVersion  string `json:"schema_version"`
	Authentication string `json:"authentication"` // the stream key
	Client         struct {
		Codecs   []string `json:"supported_codecs"`
		Encoders []string `json:"supported_encoders"`
	} `json:"client"`
	Preferences struct {
		canvas
		Canvases       []canvas `json:"canvases"`
		MaximumBitRate int      `json:"maximum_aggregate_bitrate"` // kbit/s; 0: no wish
		MaximumTracks  int      `json:"maximum_video_tracks"`      // 0: no wish
	} `json:"preferences"`
}

// canvas is the picture that an encoder can send.
type canvas struct {
	Width     int       `json:"width"`
	Height    int       `json:"height"`
	FrameRate frameRate `json:"framerate"`
}

type frameRate struct {
	Numerator   int `json:"numerator"`
	Denominator int `json:"denominator"`
}

type clientConfiguration struct {
	Meta      configurationMeta      `json:"meta"`
	Status    configurationStatus    `json:"status"`
	Endpoints []ingestEndpoint       `json:"ingest_endpoints,omitempty"`
	Encoders  []encoderConfiguration `json:"encoder_configurations,omitempty"`
	Audio     *audioConfigurations   `json:"audio_configurations,omitzero"`
}

type configurationMeta struct {
	Service       string `json:"service"`
	SchemaVersion string `json:"schema_version"`
	ConfigID      string `json:"config_id"`
}

type configurationStatus struct {
	Result string `json:"result"`               // success or error
	HTML   string `json:"html_en_us,omitempty"` // what the user reads
}

type ingestEndpoint struct {
	Protocol       string `json:"protocol"` // RTMPS or RTMP
	URLTemplate    string `json:"url_template"`
	Authentication string `json:"authentication"` // the key to publish with
}

type encoderConfiguration struct {
	Type      string         `json:"type"`
	Width     int            `json:"width"`
	Height    int            `json:"height"`
	FrameRate frameRate      `json:"framerate"`
	Settings  map[string]any `json:"settings"`
}

type audioConfigurations struct {
	Live []audioConfiguration `json:"live"`
}

type audioConfiguration struct {
	Codec    string         `json:"codec"`
	Track    int            `json:"track_id"`
	Channels int            `json:"channels"`
	Settings map[string]any `json:"settings"`
}

// ClientConfiguration answers encoders at ClientConfigurationPath. What is refused is told in an answer of status 200, since
// OBS shows only that to its user.
func (c *Control) ClientConfiguration() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		var in clientConfigurationRequest
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxClientConfiguration))
		if err == nil {
			err = json.Unmarshal(body, &in)
		}
		if err != nil {
			http.Error(w, "the body is no client configuration request: "+err.Error(), http.StatusBadRequest)
			return
		}
		out, err := c.configureClient(r.Context(), in)
		if err != nil {
			refusal, ok := errors.AsType[clientRefusal](err)
			if !ok {
				c.Log.Error("cannot configure an encoder", "error", err)
				http.Error(w, "encoders cannot be configured now, try again", http.StatusServiceUnavailable)
				return
			}
			out = clientConfiguration{Status: configurationStatus{"error", html.EscapeString(string(refusal))}}
		}
		out.Meta = configurationMeta{"IVS", in.SchemaVersion, arn.NewID(12)}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(out)
	})
}

// clientRefusal is why an encoder gets no configuration, for its user.
type clientRefusal string

func (r clientRefusal) Error() string { return string(r) }

func (c *Control) configureClient(ctx context.Context, in clientConfigurationRequest) (clientConfiguration, error) {
	offer := c.channelOffer
	if IsIngestKey(in.Authentication) {
		offer = c.stageOffer
	}
	o, err := offer(ctx, in.Authentication)
	if err != nil {
		return clientConfiguration{}, err
	}
	picture := in.Preferences.canvas
	if len(in.Preferences.Canvases) > 0 {
		picture = in.Preferences.Canvases[0]
	}
	switch {
	case in.Client.Codecs != nil && !slices.Contains(in.Client.Codecs, "h264"):
		return clientConfiguration{}, clientRefusal("The encoder has no H.264.")
	case !picture.valid():
		return clientConfiguration{}, clientRefusal("The encoder does not say how large its picture is.")
	}
	out := clientConfiguration{
		Status: configurationStatus{Result: "success"},
		Audio: &audioConfigurations{[]audioConfiguration{
			{Codec: "aac", Track: 1, Channels: 2, Settings: map[string]any{"bitrate": ladderAudio}},
		}},
	}
	for _, rung := range o.ladder(picture, in.Preferences.MaximumBitRate, in.Preferences.MaximumTracks) {
		out.Encoders = append(out.Encoders, o.encoder(rung, in.Client.Encoders))
	}
	if len(out.Encoders) == 0 {
		return clientConfiguration{}, clientRefusal("None of the sizes that this channel or stage takes fits the encoder's picture.")
	}
	out.Endpoints = []ingestEndpoint{{"RTMPS", c.urls().RTMPS + "{stream_key}", o.key}}
	if o.allowPlain {
		out.Endpoints = append(out.Endpoints, ingestEndpoint{"RTMP", c.urls().RTMP + "{stream_key}", o.key})
	}
	return out, nil
}
