package composer

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/coder/websocket"
)

// member is one participant as the stage's snapshots list it.
type member struct {
	ID         string            `json:"id"`
	UserID     string            `json:"userId"`
	Attributes map[string]string `json:"attributes"`
	Publishing bool              `json:"isPublishing"`

	// An extension that the greeting asks for.
	AudioMuted   bool `json:"audioMuted"`
	VideoStopped bool `json:"videoStopped"`
	Resuming     bool `json:"resuming"` // does not publish, but is about to again over another connection
}

// roster follows the stage's events socket. Every snapshot goes to update, in order of arrival on the stage;
// when the socket breaks, the last snapshot stays in force until the next connection brings a new one.
type roster struct {
	url, token string // the token is a secret: it is sent as the subprotocol and never logged
	update     func(context.Context, []member)
	log        *slog.Logger
}

const (
	// maxSnapshot bounds one message: 12 publishers and many subscribers with 1 kB of attributes each.
	maxSnapshot  = 32 << 20
	rosterPing   = 5 * time.Second
	rosterGrace  = 5 * time.Second
	maxSubscribe = 2 * time.Second // the longest pause between two attempts to reach the stage
)

// run connects again and again until ctx ends.
func (r *roster) run(ctx context.Context) {
	pause := backoff{first: 100 * time.Millisecond, most: maxSubscribe}
	for ctx.Err() == nil {
		got, err := r.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if got {
			pause.reset()
		}
		r.log.Warn("stage events socket is gone", "reason", err)
		pause.wait(ctx, nil)
	}
}

// follow reads snapshots from one connection until it breaks. It tells whether there was any.
func (r *roster) follow(ctx context.Context) (got bool, err error) {
	dialing, cancel := context.WithTimeout(ctx, rosterGrace)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, r.url, &websocket.DialOptions{Subprotocols: []string{r.token}})
	if err != nil {
		return false, fmt.Errorf("dial the stage events: %w", redact(err, r.token))
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxSnapshot)
	if err := conn.Write(dialing, websocket.MessageText, []byte(`{"type":"HELLO","ext":1}`)); err != nil {
		return false, fmt.Errorf("greet the stage events: %w", err)
	}
	alive, stop := context.WithCancel(ctx)
	defer stop()
	go r.watch(alive, stop, conn)
	for {
		_, data, err := conn.Read(alive)
		if err != nil {
			return got, fmt.Errorf("read the stage events: %w", err)
		}
		if members, ok := parseSnapshot(data); ok {
			got = true
			r.update(ctx, members)
		}
	}
}

// watch ends the connection when the server no longer answers pings.
func (r *roster) watch(ctx context.Context, stop context.CancelFunc, conn *websocket.Conn) {
	tick := time.NewTicker(rosterPing)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ping, cancel := context.WithTimeout(ctx, rosterGrace)
		err := conn.Ping(ping)
		cancel()
		if err != nil {
			stop()
			return
		}
	}
}

// parseSnapshot reads a STAGE_STATE message; every other type is none of the composer's business.
func parseSnapshot(data []byte) ([]member, bool) {
	var m struct {
		Type    string `json:"type"`
		Payload struct {
			Participants []member `json:"participants"`
		} `json:"payload"`
	}
	if json.Unmarshal(data, &m) != nil || m.Type != "STAGE_STATE" {
		return nil, false
	}
	return m.Payload.Participants, true
}
