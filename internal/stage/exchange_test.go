package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
)

func parseState(t *testing.T, message []byte) stageState {
	t.Helper()
	var s stageState
	if err := json.Unmarshal(message, &s); err != nil {
		t.Fatalf("message %s: %v", message, err)
	}
	return s
}

// swap exchanges a token over HTTP and returns the status and the body.
func (r *rig) swap(t *testing.T, old, new string) (int, string) {
	t.Helper()
	res, body := r.do(t, "PUT", "/whip/token", new, "Content-Type", typeToken, "Authorization", "Bearer "+old)
	return res.StatusCode, body
}

// TestExchange: a participant gets other attributes and rights while it is connected.
func TestExchange(t *testing.T) {
	r := newRig(t, nil)
	bob := r.mustOpen(t, "stage1.bob.s")
	awaitPeople(t, bob, "bob")
	ann := r.publish(t, "stage1.ann.psk", clientOptions{})
	stop := ann.roll(1)
	defer stop()
	awaitPeople(t, bob, "bob ann*")
	watching := r.subscribe(t, "stage1.bob.s", "ann", clientOptions{})
	next(t, watching.video)

	if status, body := r.swap(t, "stage1.ann.psk", "stage1.ann.psk=Anna"); status != http.StatusNoContent {
		t.Fatalf("exchange: %d %s", status, body)
	}
	for s := awaitPeople(t, bob, "bob ann*"); s.Payload.Participants[1].Attributes["name"] != "Anna"; {
		s = awaitPeople(t, bob, "bob ann*")
	}
	e := r.observer.wait(t, TokenExchanged, "ann", 1)
	if e.Previous == nil || e.Previous.Attributes["name"] != "ann" || e.Grant.Attributes["name"] != "Anna" {
		t.Errorf("event %+v", e)
	}

	// The old token opens nothing more, not even by another exchange.
	if status, body := r.swap(t, "stage1.ann.psk", "stage1.ann.psk=Eve"); status != http.StatusUnauthorized {
		t.Errorf("exchange of the old token: %d %s", status, body)
	}
	if res, body := r.newCamera(t, clientOptions{}).connect("/whip", "stage1.ann.psk"); res == nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("publish with the old token: %v %s", res, body)
	}
	if res, body := r.newScreen(t, clientOptions{}).connect("/whip/subscribe/ann", "stage1.ann.psk"); res == nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("subscribe with the old token: %v %s", res, body)
	}
	mine := r.mustOpen(t, "stage1.ann.psk=Anna")
	awaitPeople(t, mine, "bob ann*")

	// Who may not publish any more stops at once, and stays.
	if status, body := r.swap(t, "stage1.ann.psk=Anna", "stage1.ann.sk=Anna"); status != http.StatusNoContent {
		t.Fatalf("exchange: %d %s", status, body)
	}
	awaitPeople(t, bob, "bob ann")
	closed(t, "the publisher is cut", ann.ended)
	closed(t, "the subscriber is cut", watching.ended)
	r.observer.wait(t, PublishStopped, "ann", 1)

	// Once she has left, any valid token lets her in.
	goodbye(mine)
	awaitPeople(t, bob, "bob")
	r.mustOpen(t, "stage1.ann.psk")
	awaitPeople(t, bob, "bob ann")
}

// TestExchangeOverSocket: the client that has said hello may exchange by its socket, and is answered in order.
func TestExchangeOverSocket(t *testing.T) {
	r := newRig(t, nil)
	ann := r.mustOpen(t, "stage1.ann.sk")
	send(t, ann, `{"type":"TOKEN_EXCHANGE","token":"stage1.ann.sk=Anna"}`) // before the hello
	send(t, ann, `{"type":"HELLO","ext":1}`)
	send(t, ann, `{"type":"TOKEN_EXCHANGE","token":"stage1.ann.sk=Anna"}`)
	for _, token := range []string{"stage1.bob.sk", "stage2.ann.sk", "stage1.ann.s", "stage1.ann.skw", string(TokenExpired), ""} {
		send(t, ann, fmt.Sprintf(`{"type":"TOKEN_EXCHANGE","token":%q}`, token))
	}
	var got []string
	for len(got) < 8 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, b, err := ann.Read(ctx)
		cancel()
		if err != nil {
			t.Fatalf("%v after %v", err, got)
		}
		var m struct{ Type, Code string }
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		if m.Type != "STAGE_STATE" {
			got = append(got, m.Type+" "+m.Code)
		}
	}
	const failed = "TOKEN_EXCHANGE_FAILED "
	for i, want := range []string{
		failed + "TOKEN_EXPIRED", "TOKEN_EXCHANGED ", failed + "INVALID_INPUT", failed + "INVALID_INPUT", failed + "INVALID_INPUT",
		failed + "INVALID_INPUT", failed + "TOKEN_EXPIRED", failed + "TOKEN_MISSING",
	} {
		if got[i] != want {
			t.Errorf("answer %d is %q, want %q", i, got[i], want)
		}
	}
	if e := r.observer.wait(t, TokenExchanged, "ann", 1); e.Grant.Attributes["name"] != "Anna" {
		t.Errorf("event %+v", e)
	}
}

// TestExchangeRefusals: requests that are none, and tokens that are not for it.
func TestExchangeRefusals(t *testing.T) {
	r := newRig(t, nil)
	awaitPeople(t, r.mustOpen(t, "stage1.ann.sk"), "ann")
	awaitPeople(t, r.mustOpen(t, "stage1.bob.s"), "ann bob")
	for _, c := range []struct {
		old, new string
		status   int
		code     string
	}{
		{"stage1.bob.s", "stage1.bob.s", 400, "INVALID_INPUT"},           // not self-signed
		{"stage1.bob.s", "stage1.bob.sk", 400, "INVALID_INPUT"},          // from one of the server's
		{"stage1.ann.sk", "stage1.ann.sh", 400, "INVALID_INPUT"},         //
		{"stage1.zoe.sk", "stage1.zoe.sk=Zoe", 404, "SESSION_NOT_FOUND"}, // not connected
		{"stage9.ann.sk", "stage9.ann.sk=Ann", 404, "SESSION_NOT_FOUND"}, // nobody there
		{"TOKEN_EXPIRED", "stage1.ann.sk", 401, "TOKEN_EXPIRED"},
		{"stage1.ann.sk", "PARTICIPANT_DISCONNECTED", 403, "PARTICIPANT_DISCONNECTED"},
		{"stage1.ann.sk", "", 401, "TOKEN_MISSING"},
	} {
		status, body := r.swap(t, c.old, c.new)
		var e struct{ Code string }
		if err := json.Unmarshal([]byte(body), &e); err != nil || status != c.status || e.Code != c.code {
			t.Errorf("%s for %s: %d %s, want %d %s", c.old, c.new, status, body, c.status, c.code)
		}
	}
	if res, _ := r.do(t, "PUT", "/whip/token", "stage1.ann.sk", "Authorization", "Bearer stage1.ann.sk"); res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("without a type: %s", res.Status)
	}
}

// TestExchangeRace: of two clients that exchange one token, one wins and the other one is told.
func TestExchangeRace(t *testing.T) {
	r := newRig(t, nil)
	bob := r.mustOpen(t, "stage1.bob.s")
	awaitPeople(t, bob, "bob")
	r.mustOpen(t, "stage1.ann.sk")
	awaitPeople(t, bob, "bob ann")
	statuses := make([]int, 8)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() { statuses[i], _ = r.swap(t, "stage1.ann.sk", fmt.Sprintf("stage1.ann.sk=%d", i)) })
	}
	wg.Wait()
	won := -1
	for i, status := range statuses {
		switch {
		case status == http.StatusNoContent && won < 0:
			won = i
		case status != http.StatusUnauthorized:
			t.Errorf("statuses %v", statuses)
		}
	}
	for s := awaitPeople(t, bob, "bob ann"); s.Payload.Participants[1].Attributes["name"] != fmt.Sprint(won); {
		s = awaitPeople(t, bob, "bob ann")
	}
}

// TestJoinErrors: who is kept out by the token is in the events.
func TestJoinErrors(t *testing.T) {
	r := newRig(t, nil)
	awaitPeople(t, r.mustOpen(t, "stage1.bob.s"), "bob")
	if _, res, err := r.open(t, "stage1", "stage1.eve."); err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("a token without rights: %v", err)
	}
	if _, res, err := r.open(t, "stage1", "stage1.old.xs"); err == nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("an expired token: %v", err)
	}
	if res, _ := r.newCamera(t, clientOptions{}).connect("/whip", "stage1.late.xp"); res == nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("an expired token: %v", res)
	}
	if res, _ := r.newCamera(t, clientOptions{}).connect("/whip", "stage1.bob.s"); res == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("a token without publish: %v", res)
	}
	for participant, kind := range map[string]EventKind{"eve": JoinError, "old": JoinError, "late": JoinError, "bob": PublishError} {
		if e := r.observer.wait(t, kind, participant, 1); e.ErrorCode != InsufficientCapability || e.SessionID == "" {
			t.Errorf("event of %s: %+v", participant, e)
		}
	}
}
