package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/pion/webrtc/v4"
	"google.golang.org/protobuf/encoding/protowire"
)

// livekit is livekit-server, built from its Go module by bench/stage/livekit. The client here speaks as much of its
// signalling as publishing and subscribing take.
type livekit struct {
	program string
	address string
}

const (
	livekitKey    = "bench"
	livekitSecret = "a-secret-for-a-server-that-listens-on-loopback"
)

func (*livekit) name() string { return "livekit-server" }

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (k *livekit) start() (*process, error) {
	http1, tcp, udp := freePort(), freePort(), freePort()
	k.address = fmt.Sprintf("127.0.0.1:%d", http1)
	config := fmt.Sprintf(`port: %d
bind_addresses: ["127.0.0.1"]
rtc: {tcp_port: %d, udp_port: %d, node_ip: 127.0.0.1, use_external_ip: false, enable_loopback_candidate: true}
keys: {%s: %s}
logging: {level: error}
`, http1, tcp, udp, livekitKey, livekitSecret)
	cmd := exec.Command(k.program, "--config-body", config)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", k.program, err)
	}
	p := &process{cmd}
	for range 100 {
		res, err := http.Get("http://" + k.address)
		if err == nil {
			res.Body.Close()
			return p, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("%s does not answer", k.program)
}

func (k *livekit) dial(identity string, publish bool) (*websocket.Conn, error) {
	now := time.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": livekitKey, "sub": identity, "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"video": map[string]any{"room": "bench", "roomJoin": true, "canPublish": publish, "canSubscribe": !publish},
	}).SignedString([]byte(livekitSecret))
	if err != nil {
		return nil, err
	}
	ws, _, err := websocket.Dial(context.Background(), "ws://"+k.address+"/rtc?protocol=12&auto_subscribe=1&access_token="+token, nil)
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(1 << 20)
	return ws, nil
}

// Fields of livekit's SignalRequest, SignalResponse and what is in them (livekit_rtc.proto).
const (
	requestOffer, requestAnswer, requestTrickle, requestAddTrack           = 1, 2, 3, 4
	responseAnswer, responseOffer, responseTrickle, responseTrackPublished = 2, 3, 4, 6
	targetPublisher, targetSubscriber                                      = 0, 1
)

func message(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		n := protowire.Number(fields[i].(int))
		switch v := fields[i+1].(type) {
		case string:
			b = protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v)
		case []byte:
			b = protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
		case int:
			b = protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
		}
	}
	return b
}

// fields returns the members of a message: bytes or numbers.
func fields(b []byte) map[int][]byte {
	out := make(map[int][]byte)
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return out
		}
		b = b[size:]
		size = protowire.ConsumeFieldValue(n, typ, b)
		if size < 0 {
			return out
		}
		if v := b[:size]; typ == protowire.BytesType {
			v, _ = protowire.ConsumeBytes(v)
			out[int(n)] = v
		} else {
			out[int(n)] = v
		}
		b = b[size:]
	}
	return out
}

// run answers the server until the socket ends.
func (k *livekit) run(ws *websocket.Conn, p *peer, target int, answered func(sdp string) error, published func() error) error {
	ctx := context.Background()
	var waiting []webrtc.ICECandidateInit
	remote := false
	apply := func() error {
		remote = true
		for _, c := range waiting {
			if err := p.pc.AddICECandidate(c); err != nil {
				return err
			}
		}
		waiting = nil
		return nil
	}
	for {
		_, b, err := ws.Read(ctx)
		if err != nil {
			return err
		}
		for n, body := range fields(b) {
			f := fields(body)
			switch n {
			case responseAnswer:
				if err := answered(string(f[2])); err != nil {
					return err
				}
				if err := apply(); err != nil {
					return err
				}
			case responseOffer:
				err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(f[2])})
				if err != nil {
					return err
				}
				if err := apply(); err != nil {
					return err
				}
				sdp, err := p.local(p.pc.CreateAnswer(nil))
				if err != nil {
					return err
				}
				answer := []any{1, "answer", 2, sdp}
				if id, _ := protowire.ConsumeVarint(f[3]); len(f[3]) > 0 {
					answer = append(answer, 3, int(id))
				}
				if err := ws.Write(ctx, websocket.MessageBinary, message(requestAnswer, message(answer...))); err != nil {
					return err
				}
			case responseTrickle:
				at, _ := protowire.ConsumeVarint(f[2])
				if int(at) != target {
					continue
				}
				var c webrtc.ICECandidateInit
				if err := json.Unmarshal(f[1], &c); err != nil {
					return err
				}
				if !remote {
					waiting = append(waiting, c)
				} else if err := p.pc.AddICECandidate(c); err != nil {
					return err
				}
			case responseTrackPublished:
				if err := published(); err != nil {
					return err
				}
			}
		}
	}
}

func (k *livekit) publish(c *camera, at *port) (*peer, error) {
	p, err := newPeer(at)
	if err != nil {
		return nil, err
	}
	ws, err := k.dial("camera", true)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	add := message(1, c.track.ID(), 2, "camera", 3, 1, 4, 1280, 5, 720, 8, 1)
	if err := ws.Write(ctx, websocket.MessageBinary, message(requestAddTrack, add)); err != nil {
		return nil, err
	}
	failed := make(chan error, 1)
	go func() {
		failed <- k.run(ws, p, targetPublisher, func(sdp string) error {
			return p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: sdp})
		}, func() error {
			sender, err := p.pc.AddTrack(c.track)
			if err != nil {
				return err
			}
			go c.listen(sender)
			sdp, err := p.local(p.pc.CreateOffer(nil))
			if err != nil {
				return err
			}
			return ws.Write(ctx, websocket.MessageBinary, message(requestOffer, message(1, "offer", 2, sdp)))
		})
	}()
	return p, k.wait(p, failed)
}

func (k *livekit) subscribe(n int, at *port) (*peer, error) {
	p, err := newPeer(at)
	if err != nil {
		return nil, err
	}
	ws, err := k.dial(fmt.Sprintf("viewer%d", n), false)
	if err != nil {
		return nil, err
	}
	failed := make(chan error, 1)
	go func() {
		failed <- k.run(ws, p, targetSubscriber, func(string) error { return nil }, func() error { return nil })
	}()
	return p, k.wait(p, failed)
}

func (k *livekit) wait(p *peer, failed <-chan error) error {
	connected := make(chan error, 1)
	go func() { connected <- p.connected() }()
	select {
	case err := <-connected:
		return err
	case err := <-failed:
		if strings.Contains(err.Error(), "EOF") {
			return fmt.Errorf("livekit hung up: %w", err)
		}
		return err
	}
}
