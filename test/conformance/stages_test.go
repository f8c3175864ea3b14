package conformance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/footlight-live/footlight/internal/synth"
)

// join publishes a small picture to a stage with a token, and waits until the stage has taken it or refused.
func (c *check) join(token string) error {
	answer := make(chan error, 1)
	tell := func(err error) {
		select {
		case answer <- err:
		default: // the first answer is the one that counts
		}
	}
	p := &synth.Publisher{WHIPURL: c.URL + "/whip", Token: token, Name: "ada", Index: 1, Width: 160, Height: 160, FrameRate: 10, BitRate: 100_000, Log: slog.New(slog.DiscardHandler)}
	p.OnState = func(state synth.State, reason string) {
		switch state {
		case synth.Live:
			tell(nil)
		case synth.Failed:
			tell(errors.New(reason))
		}
	}
	if err := p.Start(context.Background()); err != nil {
		return err
	}
	c.Cleanup(func() { p.Close() })
	select {
	case err := <-answer:
		return err
	case <-time.After(callTime):
		return errors.New("no answer")
	}
}

// stageWithOne is a stage where one participant publishes.
func (c *check) stageWithOne() (stage, session, participant string) {
	c.Helper()
	stage = str(c.do("CreateStage", M{}), "stage", "arn")
	token := at(c.do("CreateParticipantToken", M{"stageArn": stage, "userId": "ada", "attributes": M{"side": "left"}}), "participantToken")
	if err := c.join(str(token, "token")); err != nil {
		c.Fatal(err)
	}
	participant = str(token, "participantId")
	c.eventually("ada publishes", func() error {
		session = str(c.do("GetStage", M{"arn": stage}), "stage", "activeSessionId")
		if session == "" {
			return errors.New("there is no session")
		}
		if at(c.do("ListParticipants", M{"stageArn": stage, "sessionId": session, "filterByPublished": true}), "participants", 0) == nil {
			return errors.New("nobody publishes")
		}
		return nil
	})
	return stage, session, participant
}

// stages has people on a stage.
func stages(c *check) {
	made := c.do("CreateStage", M{"participantTokenConfigurations": []any{M{"userId": "eve", "duration": 1, "capabilities": []any{"SUBSCRIBE"}, "attributes": M{"a": "b"}}, M{}}})
	c.is("the tokens of CreateStage", made["participantTokens"], []any{
		M{"participantId": "~[A-Za-z0-9]{12}", "token": "~ey.*", "userId": "eve", "duration": 1, "capabilities": []any{"SUBSCRIBE"}, "attributes": M{"a": "b"}, "expirationTime": "~2.*Z"},
		M{"participantId": "~[A-Za-z0-9]{12}", "token": "~ey.*", "expirationTime": "~2.*Z"}})

	stage, session, ada := c.stageWithOne()
	in := func(more M) M {
		out := M{"stageArn": stage, "sessionId": session}
		for name, value := range more {
			out[name] = value
		}
		return out
	}
	c.shows("effect", "CreateStage", "CreateParticipantToken", "GetStage")
	got := at(c.do("GetParticipant", in(M{"participantId": ada})), "participant")
	c.has("GetParticipant", got, M{"participantId": ada, "userId": "ada", "state": "CONNECTED", "attributes": M{"side": "left"}, "published": true,
		"firstJoinTime": "~2.*Z", "protocol": "WHIP", "replicationType": "NONE"})
	summary := at(c.do("ListParticipants", in(nil)), "participants", 0)
	c.has("ListParticipants", got, summary)
	for filter, want := range map[string][2]any{
		"filterByUserId": {"ada", "eve"}, "filterByState": {"CONNECTED", "DISCONNECTED"}, "filterByPublished": {true, nil},
	} {
		if n := len(list(c.do("ListParticipants", in(M{filter: want[0]})), "participants")); n != 1 {
			c.Errorf("%s %v shows %d", filter, want[0], n)
		}
		if want[1] != nil {
			c.is(filter, c.do("ListParticipants", in(M{filter: want[1]})), M{"participants": []any{}})
		}
	}
	c.refused("ValidationException", "ListParticipants", in(M{"filterByUserId": "ada", "filterByState": "CONNECTED"}))
	c.pages("ListParticipants", in(nil), "participants", "participantId", []string{ada})
	c.shows("effect", "GetParticipant", "ListParticipants")

	events := func() (names []string) {
		for _, e := range list(c.do("ListParticipantEvents", in(M{"participantId": ada})), "events") {
			names = append(names, str(e, "name"))
		}
		return names
	}
	c.is("the events, newest first", strings.Join(events(), " "), "PUBLISH_STARTED JOINED")
	c.shows("effect", "ListParticipantEvents")
	c.is("ListStageSessions", c.do("ListStageSessions", M{"stageArn": stage}), M{"stageSessions": []any{M{"sessionId": session, "startTime": "~2.*Z"}}})
	c.is("GetStageSession", c.do("GetStageSession", in(nil)), M{"stageSession": M{"sessionId": session, "startTime": "~2.*Z"}})
	c.pages("ListStageSessions", M{"stageArn": stage}, "stageSessions", "sessionId", []string{session})
	c.shows("effect", "ListStageSessions", "GetStageSession")
	c.do("UpdateStage", M{"arn": stage, "name": "renamed"})
	c.has("ListStages", at(resources[5].find(c, stage)), M{"name": "renamed", "activeSessionId": session})

	c.disconnect(stage, ada, in)
	c.eventually("the events tell of leaving", func() error {
		if got := events(); !slices.Contains(got, "LEFT") || !slices.Contains(got, "PUBLISH_STOPPED") {
			return fmt.Errorf("they are %v", got)
		}
		return nil
	})
	c.pages("ListParticipantEvents", in(M{"participantId": ada}), "events", "name", []string{"JOINED", "LEFT"})
	c.told(stage, "Participant Published, Participant Unpublished")

	second, _, _ := c.stageWithOne()
	c.do("DeleteStage", M{"arn": second})
	c.refused("ResourceNotFoundException", "GetStage", M{"arn": second})
	c.refused("ResourceNotFoundException", "CreateParticipantToken", M{"stageArn": second})
	c.shows("effect", "DeleteStage", "UpdateStage")
}

// disconnect removes a participant, who cannot come back.
func (c *check) disconnect(stage, participant string, in func(M) M) {
	c.Helper()
	c.do("DisconnectParticipant", M{"stageArn": stage, "participantId": participant, "reason": "enough"})
	c.eventually("ada is gone", func() error {
		if s := str(c.do("GetParticipant", in(M{"participantId": participant})), "participant", "state"); s != "DISCONNECTED" {
			return fmt.Errorf("she is %s", s)
		}
		return nil
	})
	early := at(c.do("CreateParticipantToken", M{"stageArn": stage}), "participantToken")
	c.do("DisconnectParticipant", M{"stageArn": stage, "participantId": str(early, "participantId")})
	if err := c.join(str(early, "token")); err == nil {
		c.Error("who was disconnected comes in")
	}
	c.shows("effect", "DisconnectParticipant")
}

// tokens looks at participant tokens, those that one signs oneself included.
func tokens(c *check) {
	stage := at(c.do("CreateStage", M{}), "stage")
	out := at(c.do("CreateParticipantToken", M{"stageArn": str(stage, "arn")}), "participantToken")
	c.is("CreateParticipantToken", out, M{"participantId": "~[A-Za-z0-9]{12}", "token": "~ey.*", "expirationTime": "~2.*Z"})
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(str(out, "token"), claims); err != nil {
		c.Fatal(err)
	}
	life := claims["exp"].(float64) - claims["iat"].(float64)
	_, topic, _ := strings.Cut(str(stage, "arn"), "/")
	delete(claims, "exp")
	delete(claims, "iat")
	c.is("the claims", M(claims), M{"jti": str(out, "participantId"), "resource": str(stage, "arn"), "topic": topic, "version": "~.*",
		"events_url": str(stage, "endpoints", "events"), "whip_url": str(stage, "endpoints", "whip"), "capabilities": M{"allow_publish": true, "allow_subscribe": true}})
	if life != 12*60*60 {
		c.Errorf("a token lives %v s by default", life)
	}
	c.refused("ValidationException", "CreateParticipantToken", M{"stageArn": str(stage, "arn"), "attributes": M{"a": strings.Repeat("x", 1024)}})
	c.do("CreateParticipantToken", M{"stageArn": str(stage, "arn"), "attributes": M{"a": strings.Repeat("x", 1023)}})
	c.shows("defaults", "CreateParticipantToken")

	pair := newKeyPair()
	key := M{"arn": str(c.do("ImportPublicKey", M{"publicKeyMaterial": pair.public}), "publicKey", "arn")}
	c.refused("ConflictException", "ImportPublicKey", M{"publicKeyMaterial": pair.public})
	own := func(id string) string {
		return pair.sign(str(key, "arn"), jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "jti": id, "resource": str(stage, "arn"), "topic": topic,
			"events_url": str(stage, "endpoints", "events"), "whip_url": str(stage, "endpoints", "whip"), "version": "1.0",
			"capabilities": M{"allow_publish": true, "allow_subscribe": true}})
	}
	if err := c.join(own("own1")); err != nil {
		c.Errorf("a token that one signed oneself: %v", err)
	}
	c.eventually("own1 is there", func() error {
		session := str(c.do("GetStage", M{"arn": str(stage, "arn")}), "stage", "activeSessionId")
		_, err := c.try("GetParticipant", M{"stageArn": str(stage, "arn"), "sessionId": session, "participantId": "own1"})
		return err
	})
	c.shows("effect", "ImportPublicKey")
	c.do("DeletePublicKey", key)
	if err := c.join(own("own2")); err == nil {
		c.Error("a token of a key that was deleted opens the stage")
	}
	c.shows("effect", "DeletePublicKey")
}
