package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/test/harness"
)

// whepRecord subscribes to a participant and writes what comes into a file, by way of ffmpeg, which aligns sound and
// picture by the sender reports. It returns the file once it holds the given length. shows, when given, is the width and
// height that the subscriber asks for. Any goroutine may call it.
func whepRecord(t *testing.T, s *harness.Server, token, participant string, length time.Duration, shows ...int) (string, error) {
	dir := t.TempDir()
	var ports [2]int
	var conns [2][2]*net.UDPConn // RTP and RTCP of video and audio
	for i := range ports {
		// Ports that were free a moment ago: an even one and the next.
		for {
			var err error
			if ports[i], err = freePair(); err != nil {
				return "", err
			}
			if ports[i] > 0 && (i == 0 || ports[0] != ports[1]) {
				break
			}
		}
		for k := range conns[i] {
			c, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: ports[i] + k})
			if err != nil {
				return "", err
			}
			defer c.Close()
			conns[i][k] = c
		}
	}
	types := make(chan [2]uint8, 2)
	_, leave, err := whepSubscribe(t, s, token, participant, func(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		i := 0
		if track.Kind() == webrtc.RTPCodecTypeAudio {
			i = 1
		}
		types <- [2]uint8{uint8(i), uint8(track.PayloadType())}
		go func() {
			b := make([]byte, 1500)
			for {
				n, _, err := receiver.Read(b)
				if err != nil {
					return
				}
				_, _ = conns[i][1].Write(b[:n]) // ffmpeg may not listen yet, or any more
			}
		}()
		b := make([]byte, 1500)
		for {
			n, _, err := track.Read(b)
			if err != nil {
				return
			}
			_, _ = conns[i][0].Write(b[:n])
		}
	}, shows...)
	if err != nil {
		return "", err
	}
	defer leave()
	var payload [2]uint8
	for range payload {
		select {
		case p := <-types:
			payload[p[0]] = p[1]
		case <-time.After(30 * time.Second):
			return "", errors.New("no media comes to the subscriber")
		}
	}
	description := fmt.Sprintf("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"+
		"m=video %d RTP/AVP %d\r\na=rtpmap:%d H264/90000\r\na=fmtp:%d packetization-mode=1\r\nm=audio %d RTP/AVP %d\r\na=rtpmap:%d opus/48000/2\r\n",
		ports[0], payload[0], payload[0], payload[0], ports[1], payload[1], payload[1])
	sdp, file := filepath.Join(dir, "whep.sdp"), filepath.Join(dir, "whep.mkv")
	if err := os.WriteFile(sdp, []byte(description), 0o600); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(t.Context(), length+time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-nostdin", "-protocol_whitelist", "file,udp,rtp", "-analyzeduration", "3000000",
		"-i", sdp, "-c", "copy", "-t", fmt.Sprint(length.Seconds()), file).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ffmpeg receives: %w: %s", err, out)
	}
	return file, nil
}

// freePair looks for an even UDP port that was free a moment ago, as was the next one. It returns 0 when it met another.
func freePair() (int, error) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	port := l.LocalAddr().(*net.UDPAddr).Port
	if port%2 != 0 || port > 65000 {
		return 0, nil
	}
	next, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port+1))
	if err != nil {
		return 0, nil
	}
	next.Close()
	return port, nil
}

// whepSubscribe subscribes to a participant until leave is called. shows, when given, is the width and height that the subscriber
// asks for before media come; then it does not have its bandwidth estimated. It returns the session's address. Any goroutine may
// call it.
func whepSubscribe(t *testing.T, s *harness.Server, token, participant string, onTrack func(*webrtc.TrackRemote, *webrtc.RTPReceiver), shows ...int) (session string, leave func(), err error) {
	media := new(webrtc.MediaEngine)
	if err := media.RegisterDefaultCodecs(); err != nil {
		return "", nil, err
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	options := []func(*webrtc.API){webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings)}
	if len(shows) == 2 { // without transport-wide feedback nothing but the size decides, from the beginning
		registry := new(interceptor.Registry)
		if err := errors.Join(webrtc.ConfigureNack(media, registry), webrtc.ConfigureRTCPReports(registry)); err != nil {
			return "", nil, err
		}
		options = append(options, webrtc.WithInterceptorRegistry(registry))
	}
	pc, err := webrtc.NewAPI(options...).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", nil, err
	}
	leave = sync.OnceFunc(func() { _ = pc.GracefulClose() })
	t.Cleanup(leave)
	pc.OnTrack(onTrack)
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return "", nil, err
		}
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return "", nil, err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return "", nil, err
	}
	<-gathered
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/whip/subscribe/"+participant, strings.NewReader(pc.LocalDescription().SDP))
	if err != nil {
		return "", nil, err
	}
	r.Header.Set("Content-Type", "application/sdp")
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusCreated {
		return "", nil, fmt.Errorf("subscribe: %s: %s, %v", response.Status, answer, err)
	}
	if session = response.Header.Get("Location"); len(shows) == 2 {
		if err := tellSize(session, shows[0], shows[1]); err != nil {
			return "", nil, err
		}
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		return "", nil, err
	}
	return session, leave, nil
}

// tellSize asks for the layer of a subscription that suits a size.
func tellSize(session string, width, height int) error {
	response, err := http.Post(session+"/size", "application/json", strings.NewReader(fmt.Sprintf(`{"width":%d,"height":%d}`, width, height)))
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		return fmt.Errorf("size: %s", response.Status)
	}
	return nil
}
