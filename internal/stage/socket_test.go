package stage

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// state is a STAGE_STATE message as clients see it.
type stageState struct {
	Type    string
	Payload struct {
		StageID      string
		Participants []struct {
			ID, UserID   string
			Attributes   map[string]string
			IsPublishing bool
			AudioMuted   *bool
			VideoStopped *bool
			Resuming     bool
			Subscribers  *int
			Layers       []layerState
		}
	}
}

// people lists who is there in order, publishers with a star.
func (s stageState) people() string {
	var out []string
	for _, p := range s.Payload.Participants {
		if p.IsPublishing {
			p.ID += "*"
		}
		out = append(out, p.ID)
	}
	return strings.Join(out, " ")
}

// open dials the events socket as a browser does.
func (r *rig) open(t *testing.T, stageID, token string) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, r.http.URL+"/events/"+stageID, &websocket.DialOptions{
		Subprotocols: []string{token}, HTTPClient: r.http.Client(),
		HTTPHeader: http.Header{"Origin": {"https://elsewhere.example"}},
	})
	if err == nil {
		t.Cleanup(func() { conn.CloseNow() })
	}
	return conn, res, err
}

func (r *rig) mustOpen(t *testing.T, token string) *websocket.Conn {
	t.Helper()
	conn, _, err := r.open(t, token[:strings.Index(token, ".")], token)
	if err != nil {
		t.Fatal(err)
	}
	if conn.Subprotocol() != token {
		t.Errorf("subprotocol %q is not the token", conn.Subprotocol())
	}
	return conn
}

// read returns the next message.
func read(t *testing.T, conn *websocket.Conn) (stageState, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var s stageState
	_, b, err := conn.Read(ctx)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatalf("message %s: %v", b, err)
	}
	return s, nil
}

// awaitPeople reads until the stage has exactly these people.
func awaitPeople(t *testing.T, conn *websocket.Conn, want string) stageState {
	t.Helper()
	var seen []string
	for {
		s, err := read(t, conn)
		if err != nil {
			t.Fatalf("socket ended (%v) before %q; seen %q", err, want, seen)
		}
		if s.people() == want {
			return s
		}
		seen = append(seen, s.people())
	}
}

// goodbye closes a socket in good order. The client gives the server 5 s to answer, which a busy machine may take: whether the
// stage has noticed is the test's business.
func goodbye(conn *websocket.Conn) { _ = conn.Close(websocket.StatusNormalClosure, "") }

// awaitClose reads until the socket is closed and returns how.
func awaitClose(t *testing.T, conn *websocket.Conn) websocket.CloseError {
	t.Helper()
	for {
		if _, err := read(t, conn); err != nil {
			var e websocket.CloseError
			if websocket.CloseStatus(err) == -1 {
				t.Fatalf("socket broke: %v", err)
			}
			e.Code = websocket.CloseStatus(err)
			e.Reason = err.Error()
			return e
		}
	}
}

func TestSnapshots(t *testing.T) {
	r := newRig(t, nil)
	bob := r.mustOpen(t, "stage1.bob.s")
	s := awaitPeople(t, bob, "bob")
	p := s.Payload.Participants[0]
	if s.Type != "STAGE_STATE" || s.Payload.StageID != "stage1" || p.UserID != "user-bob" || p.Attributes["name"] != "bob" {
		t.Errorf("snapshot %+v", s)
	}
	cam := r.publish(t, "stage1.alice.p", clientOptions{}) // no socket: presence comes from WHIP
	awaitPeople(t, bob, "bob alice*")
	composer := r.mustOpen(t, "stage1.composer.sh")
	awaitPeople(t, composer, "bob alice*")
	carol := r.mustOpen(t, "stage1.carol.ps")
	awaitPeople(t, bob, "bob alice* carol")
	goodbye(carol)
	awaitPeople(t, bob, "bob alice*")
	r.mustOpen(t, "stage1.alice.p")
	r.do(t, "DELETE", cam.location, "")
	awaitPeople(t, bob, "bob alice") // the socket keeps her
	awaitPeople(t, composer, "bob alice")
}

func TestPing(t *testing.T) {
	r := newRig(t, nil)
	bob := r.mustOpen(t, "stage1.bob.s")
	for _, m := range []string{`{"type":"HELLO","x":1}`, `garbage`, `[]`, `{"type":"PING"}`} {
		if err := bob.Write(t.Context(), websocket.MessageText, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	for {
		s, err := read(t, bob)
		if err != nil {
			t.Fatal(err)
		}
		if s.Type == "PONG" {
			return
		}
	}
}

func TestSocketRefusals(t *testing.T) {
	r := newRig(t, nil)
	for token, status := range map[string]int{
		string(TokenExpired): 401, string(TokenMalformed): 401, string(ParticipantDisconnected): 403, "stage2.bob.s": 403,
	} {
		_, res, err := r.open(t, "stage1", token)
		if err == nil || res == nil || res.StatusCode != status {
			t.Errorf("%s: %v, want %d", token, err, status)
		}
	}
	if res, _ := r.do(t, "GET", "/events/stage1", ""); res.StatusCode != 401 {
		t.Errorf("no token: %s", res.Status)
	}
}

func TestReplacedSocket(t *testing.T) {
	r := newRig(t, nil)
	first := r.mustOpen(t, "stage1.bob.s")
	awaitPeople(t, first, "bob") // it is in, so that the second one comes later
	second := r.mustOpen(t, "stage1.bob.s")
	if e := awaitClose(t, first); e.Code != closeReplaced || !strings.Contains(e.Reason, "took over") {
		t.Errorf("older socket: %v", e)
	}
	awaitPeople(t, second, "bob")
	r.observer.wait(t, Joined, "bob", 1)
	if got := r.observer.kinds(); len(got) != 2 {
		t.Errorf("events %v", got)
	}
}

func TestDisconnect(t *testing.T) {
	r := newRig(t, nil)
	bob := r.mustOpen(t, "stage1.bob.ps")
	awaitPeople(t, bob, "bob")
	alice := r.mustOpen(t, "stage1.alice.ps")
	awaitPeople(t, alice, "bob alice")
	cam := r.publish(t, "stage1.bob.ps", clientOptions{})
	other := r.publish(t, "stage1.alice.ps", clientOptions{})
	scr := r.subscribe(t, "stage1.bob.ps", "alice", clientOptions{})
	r.observer.wait(t, SubscribeStarted, "bob", 1)
	r.Disconnect("stage1", "bob", "bad behaviour")
	if e := awaitClose(t, bob); e.Code != closeDisconnected || !strings.Contains(e.Reason, "bad behaviour") {
		t.Errorf("socket: %v", e)
	}
	closed(t, "publishing ends", cam.ended)
	closed(t, "subscribing ends", scr.ended)
	awaitPeople(t, alice, "alice*")
	select {
	case <-other.ended:
		t.Error("another participant was disconnected too")
	default:
	}
	if e := r.observer.wait(t, Left, "bob", 1); e.Reason != "bad behaviour" {
		t.Errorf("reason %q", e.Reason)
	}
	r.Disconnect("stage1", "nobody", "")
	r.Disconnect("nowhere", "nobody", "")
}

func TestCloseStage(t *testing.T) {
	r := newRig(t, nil)
	bob := r.mustOpen(t, "stage1.bob.s")
	awaitPeople(t, bob, "bob")
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	awaitPeople(t, bob, "bob alice*")
	elsewhere := r.mustOpen(t, "stage2.carol.s")
	awaitPeople(t, elsewhere, "carol")
	session := r.ActiveSession("stage1")
	if len(session) != 16 || !strings.HasPrefix(session, "st-") {
		t.Errorf("session %q", session)
	}
	r.CloseStage("stage1", "the stage was deleted")
	if e := awaitClose(t, bob); e.Code != closeDeleted {
		t.Errorf("socket: %v", e)
	}
	closed(t, "publishing ends", cam.ended)
	if r.ActiveSession("stage1") != "" {
		t.Error("the session is still active")
	}
	kinds := r.observer.kinds()
	r.observer.wait(t, SessionEnded, "", 1)
	t.Log(kinds)
	if r.ActiveSession("stage2") == "" {
		t.Error("another stage was closed too")
	}
	r.mustOpen(t, "stage2.dave.s")
	awaitPeople(t, elsewhere, "carol dave")
}

// TestShutdown closes the server under its clients: they hear of it.
func TestShutdown(t *testing.T) {
	r := newRig(t, nil)
	bob := r.mustOpen(t, "stage1.bob.s")
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	done := make(chan error, 1)
	go func() { done <- r.Close() }()
	if e := awaitClose(t, bob); e.Code != closeShutdown {
		t.Errorf("socket: %v", e)
	}
	closed(t, "publishing ends", cam.ended)
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("Close hangs")
	}
	if res, _ := r.newCamera(t, clientOptions{}).connect("/whip", "stage1.alice.p"); res == nil || res.StatusCode != 503 {
		t.Errorf("publish after Close: %v", res)
	}
}

// send writes a message to a socket.
func send(t *testing.T, conn *websocket.Conn, message string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

// awaitMuted reads until the participant's mute state is as wanted: "" for absent, else the kinds that are
// muted, or "none".
func awaitMuted(t *testing.T, conn *websocket.Conn, participantID, want string) {
	t.Helper()
	var seen []string
	for {
		s, err := read(t, conn)
		if err != nil {
			t.Fatalf("socket ended (%v) before %s was %q; seen %q", err, participantID, want, seen)
		}
		for _, p := range s.Payload.Participants {
			if p.ID != participantID {
				continue
			}
			got := ""
			switch {
			case p.AudioMuted == nil && p.VideoStopped == nil:
			case p.AudioMuted == nil || p.VideoStopped == nil:
				t.Fatalf("only one of the members is there: %+v", p)
			case *p.AudioMuted && *p.VideoStopped:
				got = "audio video"
			case *p.AudioMuted:
				got = "audio"
			case *p.VideoStopped:
				got = "video"
			default:
				got = "none"
			}
			if got == want {
				return
			}
			seen = append(seen, got)
		}
	}
}

func TestMute(t *testing.T) {
	r := newRig(t, nil)
	plain := r.mustOpen(t, "stage1.bob.s")
	awaitMuted(t, plain, "bob", "")
	alice := r.mustOpen(t, "stage1.alice.ps")
	watcher := r.mustOpen(t, "stage1.composer.sh")
	awaitMuted(t, watcher, "alice", "")
	send(t, watcher, `{"type":"HELLO","ext":1}`)
	awaitMuted(t, watcher, "alice", "none")

	// Without a hello nobody can mute; the message after it tells that it was passed over.
	send(t, alice, `{"type":"MUTE","audio":true,"video":true}`)
	send(t, alice, `{"type":"HELLO","ext":1}`)
	awaitMuted(t, alice, "alice", "none")
	send(t, alice, `{"type":"MUTE","audio":true,"video":false}`)
	awaitMuted(t, alice, "alice", "audio")
	awaitMuted(t, watcher, "alice", "audio")
	send(t, alice, `{"type":"MUTE","audio":true,"video":true}`)
	awaitMuted(t, watcher, "alice", "audio video")

	// A newer socket of the same participant finds it as it was; one that comes back after leaving does not.
	again := r.mustOpen(t, "stage1.alice.ps")
	send(t, again, `{"type":"HELLO","ext":2}`)
	awaitMuted(t, again, "alice", "audio video")
	goodbye(again)
	awaitPeople(t, watcher, "bob")
	r.mustOpen(t, "stage1.alice.ps")
	awaitMuted(t, watcher, "alice", "none")

	// Who never said hello never saw more than before.
	r.mustOpen(t, "stage1.carol.s")
	for {
		s, err := read(t, plain)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Payload.Participants {
			if p.AudioMuted != nil || p.VideoStopped != nil {
				t.Fatalf("a plain client was told: %+v", p)
			}
		}
		if s.people() == "bob alice carol" {
			return
		}
	}
}

// TestHostileMessages floods a socket and sends nonsense: the stage goes on, and so does the socket.
func TestHostileMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	mallory := r.mustOpen(t, "stage1.mallory.s")
	for _, m := range []string{
		`{"type":"HELLO"}`, `{"type":"HELLO","ext":"1"}`, `{"type":"HELLO","ext":-1}`, `{"type":"MUTE"}`,
		`{"type":"MUTE","audio":"yes"}`, `{"type":7}`, `null`, `"MUTE"`, `{"type":"MUTE","audio":true,"video":tru`,
		`{"type":"` + strings.Repeat("x", 3000) + `"}`, `{"type":"HELLO","ext":1}`, `{"type":"MUTE","audio":false,"video":true}`,
	} {
		send(t, mallory, m)
	}
	awaitMuted(t, mallory, "mallory", "video")
	// It takes longer to take all than a client may not answer a ping, whose answer comes behind them.
	const seconds = int((socketPing+socketPingTimeout)/time.Second) + 2
	began := time.Now()
	for i := range seconds * maxSocketMessages {
		send(t, mallory, `{"type":"MUTE","audio":`+[]string{"true", "false"}[i%2]+`,"video":false}`)
	}
	send(t, mallory, `{"type":"MUTE","audio":true,"video":true}`)
	awaitMuted(t, mallory, "mallory", "audio video")
	if took := time.Since(began); took < time.Duration(seconds-2)*time.Second {
		t.Errorf("%d messages were taken within %v", seconds*maxSocketMessages, took)
	}
	if err := mallory.Write(t.Context(), websocket.MessageText, make([]byte, maxSocketMessage+1)); err != nil {
		t.Fatal(err)
	}
	if e := awaitClose(t, mallory); e.Code != websocket.StatusMessageTooBig {
		t.Errorf("a message that is too long: %v", e)
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add([]byte(`{"type":"MUTE","audio":true,"video":false}`))
	f.Add([]byte(`{"type":"HELLO","ext":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if m := parseMessage(body); m.Type == "" && (m.Audio || m.Video) && !json.Valid(body) {
			t.Errorf("%q is half read", body)
		}
	})
}
