package synth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Muted is what a publisher keeps from the others. As with browsers the track goes on, as silence or as black; the
// stage is told over the events socket.
type Muted struct {
	Audio bool `json:"audio,omitzero"`
	Video bool `json:"video,omitzero"`
}

// SetMuted mutes and unmutes from now on. It may be called at any time, also before Start.
func (p *Publisher) SetMuted(m Muted) {
	p.muted.Store(&m)
	select {
	case p.mutedChanged <- struct{}{}:
	default:
	}
}

func (p *Publisher) currentMuted() Muted {
	if m := p.muted.Load(); m != nil {
		return *m
	}
	return p.Muted
}

const (
	presenceTimeout = 5 * time.Second // for each write
	presencePause   = 500 * time.Millisecond
)

// present keeps an events socket open, from the first time on that the publisher is muted, until ctx ends.
// A goroutine of its own runs it, since the socket outlives the connections for media.
func (p *Publisher) present(ctx context.Context) {
	for p.currentMuted() == (Muted{}) {
		select {
		case <-p.mutedChanged:
		case <-ctx.Done():
			return
		}
	}
	target, err := p.eventsURL()
	if err != nil {
		p.Log.Warn("cannot tell the stage who is muted", "error", err)
		return
	}
	for ctx.Err() == nil {
		if err := p.tellMuted(ctx, target); err != nil && ctx.Err() == nil {
			p.Log.Debug("events socket ended", "error", err)
		}
		timer := time.NewTimer(presencePause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// tellMuted tells every change over one socket until that ends.
func (p *Publisher) tellMuted(ctx context.Context, target string) error {
	dialer := new(net.Dialer)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &cable{Conn: conn, faults: p.currentFaults}, nil
		},
	}
	if p.HTTPClient != nil {
		if theirs, ok := p.HTTPClient.Transport.(*http.Transport); ok {
			transport.TLSClientConfig = theirs.TLSClientConfig.Clone()
		}
	}
	dialing, cancel := context.WithTimeout(ctx, presenceTimeout)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, target, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{p.Token},
		HTTPHeader: http.Header{"User-Agent": {userAgent}},
	})
	if err != nil {
		return fmt.Errorf("open the events socket: %w", err)
	}
	conn.SetReadLimit(1 << 20)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer conn.CloseNow()
	reading.Go(func() {
		for {
			// Snapshots are of no interest, but pings want an answer. The socket's end ends reading.
			if _, _, err := conn.Read(context.Background()); err != nil {
				end(err)
				return
			}
		}
	})
	say := func(message any) error {
		body, err := json.Marshal(message)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, presenceTimeout)
		defer cancel()
		return conn.Write(ctx, websocket.MessageText, body)
	}
	if err := say(map[string]any{"type": "HELLO", "ext": 1}); err != nil {
		return err
	}
	for {
		m := p.currentMuted()
		if err := say(map[string]any{"type": "MUTE", "audio": m.Audio, "video": m.Video}); err != nil {
			return err
		}
		select {
		case <-p.mutedChanged:
		case <-ctx.Done():
			_ = conn.Close(websocket.StatusNormalClosure, "") // a server that is gone needs no goodbye
			return context.Cause(ctx)
		}
	}
}

// eventsURL is where the token says that the stage's events are.
func (p *Publisher) eventsURL() (string, error) {
	parts := strings.Split(p.Token, ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("find the events socket: the token is no JWT")
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", fmt.Errorf("find the events socket: %w", err)
	}
	var claims struct {
		EventsURL string `json:"events_url"`
		StageID   string `json:"topic"`
	}
	if err := json.Unmarshal(body, &claims); err != nil {
		return "", fmt.Errorf("find the events socket: %w", err)
	}
	if claims.EventsURL == "" || claims.StageID == "" {
		return "", fmt.Errorf("find the events socket: the token does not say where it is")
	}
	return claims.EventsURL + "/" + url.PathEscape(claims.StageID), nil
}

// cable is a TCP connection that the fault Offline cuts: what is written gets lost, nothing is read. The stream is
// broken after it, as is what runs on it.
type cable struct {
	net.Conn
	faults func() Faults
}

func (c *cable) Write(b []byte) (int, error) {
	if c.faults().Offline {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *cable) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.faults().Offline {
			return n, err
		}
	}
}
