package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// closeCode is the close code of an events socket (RFC 6455 section 7.4). 4000 and above are ours.
type closeCode = websocket.StatusCode

// How the stage closes events sockets.
const (
	closeShutdown     closeCode = websocket.StatusGoingAway
	closeReplaced     closeCode = 4001 // the token was used for a newer socket
	closeDisconnected closeCode = 4002 // DisconnectParticipant
	closeDeleted      closeCode = 4003 // the stage was deleted
	closeRefused      closeCode = 4004 // the stage did not let the participant in
)

const (
	maxSocketMessage = maxToken + 1<<10 // bytes, from clients
	// A client that sends more messages in a second waits for the next one: each may cost the stage a snapshot
	// to everybody.
	maxSocketMessages = 50
	// A socket whose client says nothing more and does not answer a ping is closed after at most 9 s, so that a
	// participant that vanished is gone within 10 s.
	socketPing         = 4 * time.Second
	socketPingTimeout  = 5 * time.Second
	socketWriteTimeout = 5 * time.Second
)

// socket is one events socket. The goroutine of the HTTP request reads, another writes (write), a third
// pings; the stage's goroutine leaves messages in channels of length one.
type socket struct {
	conn     *websocket.Conn
	messages chan []byte // the newest snapshot
	pongs    chan struct{}
	answers  chan []byte // to exchanges of tokens, in order
	closing  chan closing
	written  chan struct{} // closed when write has ended
	heard    atomic.Uint64 // messages of the client
}

type closing struct {
	code   closeCode
	reason string
}

func newSocket(conn *websocket.Conn) *socket {
	return &socket{
		conn:     conn,
		messages: make(chan []byte, 1),
		pongs:    make(chan struct{}, 1),
		answers:  make(chan []byte),
		written:  make(chan struct{}),
		closing:  make(chan closing, 1),
	}
}

// deliver replaces a snapshot that was not sent yet: only the newest matters. Only the stage's
// goroutine calls it.
func (k *socket) deliver(message []byte) {
	select {
	case <-k.messages:
	default:
	}
	k.messages <- message // never blocks: nobody else sends
}

// shut has the socket closed. Only the stage's goroutine calls it, once.
func (k *socket) shut(code closeCode, reason string) {
	k.closing <- closing{code, closeReason(reason)}
}

// closeReason cuts a reason to the 123 bytes that a close frame holds.
func closeReason(reason string) string {
	return strings.ToValidUTF8(reason[:min(len(reason), 123)], "")
}

// write sends what the stage delivers until ctx ends or the stage shuts the socket.
func (k *socket) write(ctx context.Context) {
	defer close(k.written)
	var last string
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case c := <-k.closing:
			_ = k.conn.Close(c.code, c.reason) // the client may be gone already
			return
		case <-k.pongs:
			err = k.send(ctx, []byte(`{"type":"PONG"}`))
		case m := <-k.answers:
			err = k.send(ctx, m)
		case m := <-k.messages:
			if string(m) == last {
				continue // a change that was undone within one delay, or told on arrival
			}
			last = string(m)
			err = k.send(ctx, m)
		}
		if err != nil {
			_ = k.conn.CloseNow()
			return
		}
	}
}

func (k *socket) send(ctx context.Context, m []byte) error {
	ctx, cancel := context.WithTimeout(ctx, socketWriteTimeout)
	defer cancel()
	return k.conn.Write(ctx, websocket.MessageText, m)
}

// ping closes the socket when nothing is heard of the client any more. The answer of one that has sent too much waits behind
// its messages.
func (k *socket) ping(ctx context.Context) {
	ticker := time.NewTicker(socketPing)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		heard := k.heard.Load()
		pong, cancel := context.WithTimeout(ctx, socketPingTimeout)
		err := k.conn.Ping(pong)
		cancel()
		if err != nil && k.heard.Load() == heard {
			_ = k.conn.CloseNow()
			return
		}
	}
}

// clientMessage is all that a client can say. What a type does not need is not looked at.
type clientMessage struct {
	Type  string `json:"type"` // PING, HELLO, MUTE, TOKEN_EXCHANGE
	Ext   int    `json:"ext"`  // of HELLO: the newest extension that the client knows; there is 1
	Audio bool   `json:"audio"`
	Video bool   `json:"video"`
	Token string `json:"token"` // of TOKEN_EXCHANGE: the new one
}

// parseMessage reads a client's message. Those of other types, and what is no message, are left to future
// clients: they come out empty.
func parseMessage(body []byte) clientMessage {
	var m clientMessage
	if json.Unmarshal(body, &m) != nil {
		return clientMessage{}
	}
	return m
}

// read takes the client's messages until the socket ends and returns why it did. tell hands a request to the stage;
// exchange has the participant's token exchanged and returns the answer.
func (k *socket) read(ctx context.Context, participantID string, tell func(request), exchange func(token string) []byte) string {
	var from time.Time
	messages := 0
	for {
		typ, body, err := k.conn.Read(ctx)
		if err != nil {
			if code := websocket.CloseStatus(err); code != -1 {
				return fmt.Sprintf("the client closed its socket (%d)", code)
			}
			return "the client's socket broke"
		}
		k.heard.Add(1)
		if now := time.Now(); now.Sub(from) >= time.Second {
			from, messages = now, 0
		}
		if messages++; messages > maxSocketMessages {
			select {
			case <-time.After(time.Second - time.Since(from)):
			case <-ctx.Done():
			}
		}
		if typ != websocket.MessageText {
			continue
		}
		switch m := parseMessage(body); m.Type {
		case "PING":
			signal(k.pongs)
		case "HELLO":
			if m.Ext >= 1 {
				tell(hello{participantID, k})
			}
		case "MUTE":
			tell(setMuted{participantID, k, muted{audio: m.Audio, video: m.Video}})
		case "TOKEN_EXCHANGE":
			select {
			case k.answers <- exchange(m.Token):
			case <-k.written: // the next read fails
			}
		}
	}
}

// events serves GET /events/{stageId}: the token is the only value of Sec-WebSocket-Protocol.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimSpace(r.Header.Get("Sec-WebSocket-Protocol"))
	g, err := s.admit(r.Context(), token)
	if err == nil && g.StageID != r.PathValue("stageId") {
		err = refuse(InsufficientCapability, "the token is for another stage")
	}
	if err == nil && !g.Publish && !g.Subscribe {
		err = refuse(InsufficientCapability, "the token allows neither to publish nor to subscribe")
	}
	if err != nil {
		s.reportJoin(r.Context(), g, asError(err))
		s.fail(w, r, err)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{token}, // browsers insist on the echo
		InsecureSkipVerify: true,            // any origin: the token is what counts
	})
	if err != nil {
		s.Log.Debug("refuse events socket", "stage", g.StageID, "error", err)
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxSocketMessage)
	s.serveSocket(g, r.UserAgent(), conn)
}

// serveSocket joins the stage and stays until the socket ends.
func (s *Server) serveSocket(g Grant, agent string, conn *websocket.Conn) {
	k := newSocket(conn)
	var st *stage
	err := s.begin()
	if err == nil {
		defer s.work.Done()
		err = s.join(g, func(live *stage) error {
			st = live
			return ask(s.ctx, live, func(reply chan<- error) request { return joinSocket{g, agent, k, reply} })
		})
	}
	if refusal, ok := errors.AsType[*Error](err); ok && !errors.Is(err, errClosed) {
		_ = conn.Close(closeRefused, closeReason(refusal.Message))
		return
	}
	if err != nil {
		_ = conn.Close(closeShutdown, "the server is shutting down")
		return
	}
	// The stage, not the server's end, decides when the socket is closed, so that the client hears why.
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	var work sync.WaitGroup
	work.Go(func() { k.write(ctx) })
	work.Go(func() { k.ping(ctx) })
	reason := k.read(ctx, g.ParticipantID,
		func(r request) { st.tell(ctx, r) },
		func(token string) []byte { return k.exchange(ctx, s, g, token) },
	)
	st.tell(ctx, socketEnded{g.ParticipantID, k, reason})
	cancel()
	work.Wait()
}
