package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/frame"
	"github.com/footlight-live/footlight/internal/tryout"
)

const participant = "doctor"

// token asks for a participant token and returns the participant's id with it.
func (d *Doctor) token(ctx context.Context, name string) (id, token string, err error) {
	var out ivsrealtime.CreateParticipantTokenResponse
	in := ivsrealtime.CreateParticipantTokenRequest{StageArn: d.stage.Arn, UserId: new(name), Attributes: map[string]string{"username": name}}
	if err := d.API.Call(ctx, "CreateParticipantToken", in, &out); err != nil {
		return "", "", err
	}
	return *out.ParticipantToken.ParticipantId, *out.ParticipantToken.Token, nil
}

// publish has a synthetic participant step onto the stage.
func (d *Doctor) publish(ctx context.Context) (string, error) {
	_, token, err := d.token(ctx, participant)
	if err != nil {
		return "", err
	}
	start := time.Now()
	d.publishers, err = tryout.StartPublishers(d.Composer, *d.stage.Endpoints.Whip, []string{participant}, []string{token}, d.Log)
	if err != nil {
		return "", err
	}
	err = tryout.Poll(ctx, 15*time.Second, func() error {
		select {
		case err := <-d.publishers.Ended:
			d.publishers = nil
			return fmt.Errorf("the synthetic participant ended: %w", err)
		default:
		}
		_, err := d.publisher(ctx)
		return err
	})
	return fmt.Sprintf("on the stage after %v", time.Since(start).Round(10*time.Millisecond)), err
}

// publisher is the id of who publishes on the stage.
func (d *Doctor) publisher(ctx context.Context) (string, error) {
	var stage ivsrealtime.GetStageResponse
	if err := d.API.Call(ctx, "GetStage", ivsrealtime.GetStageRequest{Arn: d.stage.Arn}, &stage); err != nil {
		return "", err
	}
	if stage.Stage.ActiveSessionId == nil {
		return "", errors.New("nobody is on the stage")
	}
	var list ivsrealtime.ListParticipantsResponse
	in := ivsrealtime.ListParticipantsRequest{StageArn: d.stage.Arn, SessionId: stage.Stage.ActiveSessionId, FilterByPublished: new(true)}
	if err := d.API.Call(ctx, "ListParticipants", in, &list); err != nil {
		return "", err
	}
	if len(list.Participants) == 0 {
		return "", errors.New("nobody publishes on the stage")
	}
	return *list.Participants[0].ParticipantId, nil
}

func (d *Doctor) overUDP(ctx context.Context) (string, error) {
	return d.subscribe(ctx, []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6}, webrtc.Configuration{})
}

func (d *Doctor) overTCP(ctx context.Context) (string, error) {
	return d.subscribe(ctx, []webrtc.NetworkType{webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6}, webrtc.Configuration{})
}

func (d *Doctor) overTURN(ctx context.Context) (string, error) {
	servers, err := d.iceServers(ctx)
	if err != nil {
		return "", err
	}
	if len(servers) == 0 {
		return "", tryout.NotTried("the server names no TURN server (--turn-addr)")
	}
	return d.subscribe(ctx, nil, webrtc.Configuration{ICEServers: servers, ICETransportPolicy: webrtc.ICETransportPolicyRelay})
}

// iceServers asks the server for the TURN servers that it offers to a subscriber.
func (d *Doctor) iceServers(ctx context.Context) ([]webrtc.ICEServer, error) {
	id, err := d.publisher(ctx)
	if err != nil {
		return nil, err
	}
	_, token, err := d.token(ctx, participant+"-relay")
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodOptions, *d.stage.Endpoints.Whip+"/subscribe/"+id, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	res.Body.Close()
	return readLinks(res.Header.Values("Link")), nil
}

// readLinks reads the ICE servers of Link headers (RFC 9725 section 4.6).
func readLinks(headers []string) []webrtc.ICEServer {
	var servers []webrtc.ICEServer
	for link := range strings.SplitSeq(strings.Join(headers, ","), ",<") {
		target, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(link), "<"), ">")
		if !ok || !strings.Contains(rest, `rel="ice-server"`) || !strings.HasPrefix(target, "turn") {
			continue
		}
		s := webrtc.ICEServer{URLs: []string{target}}
		for parameter := range strings.SplitSeq(rest, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
			value = strings.Trim(value, `"`)
			switch name {
			case "username":
				s.Username = value
			case "credential":
				s.Credential = value
			}
		}
		servers = append(servers, s)
	}
	return servers
}

// listening is how long media is watched for losses once it flows.
const listening = 2 * time.Second

// subscribe receives the participant over the given kinds of network, for a moment, and tells how long sound and
// picture took, how old the first picture was when it had come, and what was lost.
func (d *Doctor) subscribe(ctx context.Context, networks []webrtc.NetworkType, config webrtc.Configuration) (string, error) {
	id, err := d.publisher(ctx)
	if err != nil {
		return "", err
	}
	_, token, err := d.token(ctx, participant+"-ear")
	if err != nil {
		return "", err
	}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	if networks != nil {
		settings.SetNetworkTypes(networks)
	}
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return "", err
	}
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings)).NewPeerConnection(config)
	if err != nil {
		return "", err
	}
	defer pc.Close()
	ear := newEar()
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { ear.listen(t) })
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return "", err
		}
	}
	start := time.Now()
	if err := exchange(ctx, pc, *d.stage.Endpoints.Whip+"/subscribe/"+id, token); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	select {
	case <-ear.both:
	case <-ctx.Done():
		return "", fmt.Errorf("no media within 10 s: the connection is %s", pc.ConnectionState())
	}
	first := time.Since(start)
	select {
	case <-time.After(listening):
	case <-ctx.Done():
	}
	h := ear.end()
	if h.key == nil {
		return "", fmt.Errorf("no whole picture within %v, %d of %d packets lost", listening, h.lost, h.packets+h.lost)
	}
	drawn, err := d.drawn(ctx, h.key)
	if err != nil {
		return "", err
	}
	if err := d.listen(ctx, h.sound); err != nil {
		return "", err
	}
	return fmt.Sprintf("sound and picture after %d ms, a picture %d ms old, %d of %d packets lost",
		first.Milliseconds(), h.came.Sub(drawn).Milliseconds(), h.lost, h.packets+h.lost), nil
}

// exchange posts the offer and takes the answer.
func exchange(ctx context.Context, pc *webrtc.PeerConnection, address, token string) error {
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return ctx.Err()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(pc.LocalDescription().SDP))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/sdp")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusCreated {
		return fmt.Errorf("POST %s: %s: %s", address, res.Status, strings.TrimSpace(string(answer)))
	}
	return pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)})
}

// ear counts what arrives on two tracks, and keeps the first picture and the sound. Each track has a goroutine, which ends with the
// connection.
type ear struct {
	both chan struct{} // closed when sound and picture flow

	mu    sync.Mutex
	kinds map[webrtc.RTPCodecType]bool
	ended bool
	heard
}

// heard is what has arrived.
type heard struct {
	packets, lost int
	key           []byte // the first key frame, whole, in Annex B form
	came          time.Time
	sound         sound
}

func newEar() *ear {
	return &ear{both: make(chan struct{}), kinds: make(map[webrtc.RTPCodecType]bool)}
}

func (e *ear) listen(t *webrtc.TrackRemote) {
	var pictures frame.Assembler
	start := time.Now()
	var next uint16 // the sequence number behind the newest
	started := false
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		e.mu.Lock()
		if !e.kinds[t.Kind()] {
			e.kinds[t.Kind()] = true
			if len(e.kinds) == 2 {
				close(e.both)
			}
		}
		e.packets++
		switch ahead := int16(p.SequenceNumber - next); {
		case !started || ahead >= 0:
			if started {
				e.lost += int(ahead)
			}
			next, started = p.SequenceNumber+1, true
			if t.Kind() == webrtc.RTPCodecTypeAudio && len(p.Payload) > 0 && !e.ended {
				e.sound.units = append(e.sound.units, p.Payload)
			}
		default:
			e.lost-- // it was late
		}
		if t.Kind() == webrtc.RTPCodecTypeVideo && e.key == nil {
			now := time.Since(start)
			pictures.Push(frame.Packet{Sequence: p.SequenceNumber, Timestamp: int64(p.Timestamp), Marker: p.Marker, Payload: p.Payload, Arrival: now})
			if unit, ok := pictures.Pop(now); ok {
				e.key, e.came = unit.Data, start.Add(unit.Complete)
			}
		}
		e.mu.Unlock()
	}
}

// end returns what has arrived until now.
func (e *ear) end() heard {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	e.lost = max(0, e.lost)
	return e.heard
}
