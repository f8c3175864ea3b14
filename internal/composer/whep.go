package composer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/webrtc/v4"
)

const (
	// nackInterval is how often missing packets are asked for. The library's 100 ms would use up the whole
	// playout delay for one attempt.
	nackInterval = 20 * time.Millisecond
	whepTimeout  = 5 * time.Second
	maxAnswer    = 256 << 10
)

// newAPI returns what makes peer connections that receive H.264 and Opus, ask for lost packets and report.
func newAPI() (*webrtc.API, error) {
	media := &webrtc.MediaEngine{}
	feedback := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}}
	var err error
	add := func(p webrtc.RTPCodecParameters, k webrtc.RTPCodecType) {
		if err == nil {
			err = media.RegisterCodec(p, k)
		}
	}
	add(webrtc.RTPCodecParameters{PayloadType: 111, RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, RTCPFeedback: feedback[:1], SDPFmtpLine: "minptime=10;useinbandfec=1;stereo=1"}}, webrtc.RTPCodecTypeAudio)
	// Whatever profile a participant publishes: the decoder takes all of them.
	for i, profile := range []string{"42e01f", "42001f", "4d001f", "64001f"} {
		pt := webrtc.PayloadType(102 + 2*i)
		add(webrtc.RTPCodecParameters{PayloadType: pt, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeH264, ClockRate: 90000, RTCPFeedback: feedback,
			SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=" + profile}}, webrtc.RTPCodecTypeVideo)
		add(webrtc.RTPCodecParameters{PayloadType: pt + 1, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: fmt.Sprintf("apt=%d", pt)}}, webrtc.RTPCodecTypeVideo)
	}
	if err != nil {
		return nil, fmt.Errorf("register codecs: %w", err)
	}
	registry := &interceptor.Registry{}
	generator, err := nack.NewGeneratorInterceptor(nack.GeneratorInterval(nackInterval), nack.GeneratorMaxNacksPerPacket(20))
	if err != nil {
		return nil, fmt.Errorf("set up retransmission: %w", err)
	}
	receiver, err := report.NewReceiverInterceptor()
	if err != nil {
		return nil, fmt.Errorf("set up receiver reports: %w", err)
	}
	registry.Add(generator)
	registry.Add(receiver)

	return webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(iceSettings())), nil
}

// iceSettings are those of all connections to the server.
func iceSettings() webrtc.SettingEngine {
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true) // the server is usually on this machine
	settings.SetICETimeouts(3*time.Second, 6*time.Second, time.Second)
	return settings
}

// whep subscribes to one participant. The session lives at location, where it is deleted.
type whep struct {
	api         *webrtc.API
	http        *http.Client
	url, bearer string
}

// subscription is an open peer connection.
type subscription struct {
	answer string
	end    func()                                             // closes it and tells the server, in the background
	resize func(ctx context.Context, width, height int) error // tells the server which size is of use
}

// subscribe opens a peer connection; setUp is called before anything can arrive on it. What its end needs to
// do runs in wg.
func (w *whep) subscribe(ctx context.Context, wg *sync.WaitGroup, setUp func(*webrtc.PeerConnection)) (_ *subscription, err error) {
	pc, err := w.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, pc.Close())
		}
	}()
	setUp(pc)
	recvonly := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := pc.AddTransceiverFromKind(kind, recvonly); err != nil {
			return nil, fmt.Errorf("subscribe: %w", err)
		}
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return nil, fmt.Errorf("subscribe: make an offer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return nil, fmt.Errorf("subscribe: set the offer: %w", err)
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	answer, location, err := w.post(ctx, pc.LocalDescription().SDP)
	if err != nil {
		return nil, err
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		w.delete(location)
		return nil, fmt.Errorf("subscribe: take the answer: %w", err)
	}
	return &subscription{
		answer: answer,
		end: func() {
			wg.Go(func() {
				// The other side notices a closed connection anyway; saying so merely frees it sooner.
				_ = pc.Close()
				w.delete(location)
			})
		},
		resize: func(ctx context.Context, width, height int) error { return w.resize(ctx, location, width, height) },
	}, nil
}

func (w *whep) post(ctx context.Context, offer string) (answer, location string, err error) {
	ctx, cancel := context.WithTimeout(ctx, whepTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, strings.NewReader(offer))
	if err != nil {
		return "", "", fmt.Errorf("subscribe: %w", err)
	}
	req.Header.Set("Content-Type", "application/sdp")
	req.Header.Set("Authorization", "Bearer "+w.bearer)
	res, err := w.http.Do(req)
	if err != nil {
		return "", "", fmt.Errorf("subscribe: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return "", "", fmt.Errorf("subscribe: read the answer: %w", err)
	}
	if res.StatusCode != http.StatusCreated {
		return "", "", fmt.Errorf("subscribe: %s: %s", res.Status, bytes.TrimSpace(body[:min(len(body), 300)]))
	}
	if l, err := res.Request.URL.Parse(res.Header.Get("Location")); err == nil {
		location = l.String()
	}
	return string(body), location, nil
}

// delete ends the session on the server, best effort.
func (w *whep) delete(location string) {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, location, nil)
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+w.bearer)
	if res, err := w.http.Do(req); err == nil {
		res.Body.Close()
	}
}

// errFixedSize says that the server has one size for everybody.
var errFixedSize = errors.New("the server offers no sizes")

// resize tells the server at location how large the video is shown: POST …/size.
func (w *whep) resize(ctx context.Context, location string, width, height int) error {
	ctx, cancel := context.WithTimeout(ctx, whepTimeout)
	defer cancel()
	body := fmt.Sprintf(`{"width":%d,"height":%d}`, width, height)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, location+"/size", strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask for a size: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+w.bearer)
	res, err := w.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask for a size: %w", err)
	}
	res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		return nil
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return errFixedSize
	}
	return fmt.Errorf("ask for a size: %s", res.Status)
}

// sends tells whether an answer will send video, or audio: its section is neither rejected nor inactive.
func sends(answer, kind string) bool {
	here, sends := false, false
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "m=") {
			here = strings.HasPrefix(line, "m="+kind+" ") && !strings.HasPrefix(line, "m="+kind+" 0 ")
			sends = sends || here
		}
		if here && (line == "a=inactive" || line == "a=recvonly") {
			return false
		}
	}
	return sends
}
