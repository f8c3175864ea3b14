package control

import (
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	rttypes "github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/coder/websocket"
)

// TestTokenExchange: self-signed tokens are exchanged while the participant is connected; the API, the events and
// EventBridge tell of it.
func TestTokenExchange(t *testing.T) {
	events := &told{}
	f := startLive(t, func(c *Control) { c.Events = events })
	web := httptest.NewServer(f.live.Handler())
	defer web.Close()
	stageARN := f.newStage(t)
	key, public := newPublicKey(t, elliptic.P384())
	kid := f.importPublicKey(t, public)
	sign := func(change map[string]any) string {
		all := map[string]any{"jti": "ann", "user_id": "Ann", "attributes": map[string]string{"name": "ann"}}
		maps.Copy(all, change)
		return selfSigned(t, key, kid, stageARN, all)
	}
	swap := func(old, new string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, web.URL+"/whip/token", strings.NewReader(new))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+old)
		req.Header.Set("Content-Type", "application/jwt")
		resp, err := web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	join := func(token string) error {
		conn, _, err := websocket.Dial(t.Context(), web.URL+"/events/"+stageID(stageARN), &websocket.DialOptions{Subprotocols: []string{token}, HTTPClient: web.Client()})
		if err == nil {
			t.Cleanup(func() { conn.CloseNow() })
			_, _, err = conn.Read(t.Context()) // the snapshot: she is there
		}
		return err
	}
	first := sign(nil)
	if err := join(first); err != nil {
		t.Fatal(err)
	}
	session := aws.String(f.live.ActiveSession(stageID(stageARN)))
	expires := time.Now().Add(2 * time.Hour).Truncate(time.Second)
	second := sign(map[string]any{
		"attributes": map[string]string{"name": "Anna"}, "user_id": "Anna", "exp": expires.Unix(), "capabilities": map[string]bool{"allow_subscribe": true},
	})

	old, err := f.mint(stageID(stageARN), tokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, new string
		status   int
		words    string
	}{
		"another participant":     {first, sign(map[string]any{"jti": "bob"}), 400, "jti"},
		"another events_url":      {first, sign(map[string]any{"events_url": "wss://elsewhere.example"}), 400, "events_url"},
		"another whip_url":        {first, sign(map[string]any{"whip_url": "https://elsewhere.example"}), 400, "whip_url"},
		"an expired one":          {first, sign(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), 401, "TOKEN_EXPIRED"},
		"garbage":                 {first, "garbage", 401, "TOKEN_MALFORMED"},
		"nobody's":                {"garbage", second, 401, "TOKEN_MALFORMED"},
		"one of the server's own": {*old.Token, *old.Token, 404, "not connected"},
		"too long a one":          {first, strings.Repeat("x", 17<<10), 413, "longer"},
	} {
		if status, body := swap(c.old, c.new); status != c.status || !strings.Contains(body, c.words) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := swap(first, second); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, body)
	}
	p := f.participant(t, stageARN, session)
	if *p.UserId != "Anna" || !maps.Equal(p.Attributes, map[string]string{"name": "Anna"}) {
		t.Errorf("participant %+v", p)
	}
	// The SDK is older than this event.
	out := f.must(t, "ListParticipantEvents", fmt.Sprintf(`{"stageArn":%q,"sessionId":%q,"participantId":"ann"}`, stageARN, *session))
	e := at(t, out, "events", 0).(map[string]any)
	if got := text(t, e, "newToken", "expirationTime"); got != expires.UTC().Format(time.RFC3339) {
		t.Errorf("the new token expires %s, want %s", got, expires.UTC())
	}
	for _, path := range [][]any{{"previousToken", "expirationTime"}, {"newToken", "expirationTime"}, {"eventTime"}} {
		if _, err := time.Parse(time.RFC3339, text(t, e, path...)); err != nil {
			t.Error(err)
		}
		delete(at(t, e, path[:len(path)-1]...).(map[string]any), path[len(path)-1].(string))
	}
	echo(t, e, `{"name":"TOKEN_EXCHANGED","participantId":"ann",
		"previousToken":{"capabilities":["PUBLISH","SUBSCRIBE"],"attributes":{"name":"ann"},"userId":"Ann"},
		"newToken":{"capabilities":["SUBSCRIBE"],"attributes":{"name":"Anna"},"userId":"Anna"}}`)
	want := fmt.Sprintf(`IVS Stage Update %s {"session_id":%q,"event_name":"Token Exchanged","event_time":"T","user_id":"Anna","participant_id":"ann",`+
		`"previous_token":{"capabilities":["PUBLISH","SUBSCRIBE"],"attributes":{"name":"ann"},"user_id":"Ann","expiration_time":"T"},`+
		`"new_token":{"capabilities":["SUBSCRIBE"],"attributes":{"name":"Anna"},"user_id":"Anna","expiration_time":"T"}}`, stageARN, *session)
	if got := timeless(events.list[len(events.list)-1]); got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}

	// Who is kept out by an expired or a revoked token is in the events too.
	f.must(t, "DisconnectParticipant", fmt.Sprintf(`{"stageArn":%q,"participantId":"eve"}`, stageARN))
	for participant, change := range map[string]map[string]any{
		"late": {"jti": "late", "exp": time.Now().Add(-time.Minute).Unix()}, "eve": {"jti": "eve"},
	} {
		if join(sign(change)) == nil {
			t.Errorf("%s is let in", participant)
		}
		out, err := f.rt.ListParticipantEvents(t.Context(), &rtsdk.ListParticipantEventsInput{StageArn: &stageARN, SessionId: session, ParticipantId: &participant})
		if err != nil || len(out.Events) != 1 || out.Events[0].Name != rttypes.EventNameJoinError || out.Events[0].ErrorCode != rttypes.EventErrorCodeInsufficientCapabilities {
			t.Errorf("events of %s: %+v, %v", participant, out, err)
		}
	}
	// What is not a participant's id is in no event.
	if join(sign(map[string]any{"jti": "a/../b", "exp": time.Now().Add(-time.Minute).Unix()})) == nil {
		t.Error("a bad id is let in")
	}
}

// TestLargeAttributes: participants whose tokens have as many attributes as are allowed, of the characters that take
// most room in a token, join and are shown.
func TestLargeAttributes(t *testing.T) {
	f := startLive(t)
	web := httptest.NewServer(f.live.Handler())
	defer web.Close()
	stageARN := f.newStage(t)
	key, public := newPublicKey(t, elliptic.P384())
	kid := f.importPublicKey(t, public)
	attributes := map[string]string{"<>&": strings.Repeat("\u2028", 60) + strings.Repeat("<", 1024-3-60*3)}
	minted, err := f.mint(stageID(stageARN), tokenRequest{attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{*minted.Token, selfSigned(t, key, kid, stageARN, map[string]any{"attributes": attributes})} {
		conn, _, err := websocket.Dial(t.Context(), web.URL+"/events/"+stageID(stageARN), &websocket.DialOptions{Subprotocols: []string{token}, HTTPClient: web.Client()})
		if err != nil {
			t.Fatalf("a token of %d bytes: %v", len(token), err)
		}
		defer conn.CloseNow()
		if conn.Subprotocol() != token {
			t.Error("the token is not echoed")
		}
		var state struct {
			Payload struct {
				Participants []struct{ Attributes map[string]string }
			}
		}
		_, message, err := conn.Read(t.Context())
		if err == nil {
			err = json.Unmarshal(message, &state)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range state.Payload.Participants {
			if !maps.Equal(p.Attributes, attributes) {
				t.Errorf("attributes %v", p.Attributes)
			}
		}
	}
}
