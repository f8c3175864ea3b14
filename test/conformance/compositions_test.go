package conformance

import (
	"fmt"

	"github.com/footlight-live/footlight/test/harness"
)

// state complains unless a composition has a state.
func state(c *check, arn M, want string) error {
	if got := str(c.do("GetComposition", arn), "composition", "state"); got != want {
		return fmt.Errorf("it is %s", got)
	}
	return nil
}

// compositions composes a stage onto a channel.
func compositions(c *check) {
	stage, _, _ := c.stageWithOne()
	channel := at(c.do("CreateChannel", M{"name": "mix"}), "channel")
	encoder := M{"arn": str(c.do("CreateEncoderConfiguration", M{"video": M{"width": 320, "height": 180, "framerate": 15, "bitrate": 300000}}), "encoderConfiguration", "arn")}
	destination := M{"name": "main", "channel": M{"channelArn": str(channel, "arn"), "encoderConfigurationArn": str(encoder, "arn")}}
	token := "once-" + c.sdk.name()
	start := M{"stageArn": stage, "idempotencyToken": token, "destinations": []any{destination}, "tags": M{"a": "b"}}
	made := at(c.do("StartComposition", start), "composition")
	c.is("StartComposition", made, M{
		"arn": "~arn:aws:ivs:us-east-1:000000000000:composition/[A-Za-z0-9]{12}", "stageArn": stage, "state": "STARTING", "startTime": "~2.*Z", "tags": M{"a": "b"},
		"destinations": []any{M{"id": "~[A-Za-z0-9]{12}", "state": "STARTING", "configuration": destination}},
		"layout": M{"grid": M{"featuredParticipantAttribute": "", "gridGap": 2, "omitStoppedVideo": false, "videoAspectRatio": "VIDEO", "videoFillMode": "",
			"participantOrderAttribute": ""}},
	})
	c.shows("defaults", "StartComposition")
	arn := M{"arn": str(made, "arn")}
	c.is("starting it again", str(c.do("StartComposition", start), "composition", "arn"), str(arn, "arn"))
	c.refused("ConflictException", "StartComposition", M{"stageArn": stage, "idempotencyToken": token, "destinations": []any{destination}})
	c.refused("ConflictException", "StartComposition", M{"stageArn": stage, "destinations": []any{M{"channel": M{"channelArn": str(channel, "arn")}}}})
	c.eventually("the composition is active", func() error { return state(c, arn, "ACTIVE") })
	harness.WaitPlayable(c.T, str(channel, "playbackUrl"))
	c.do("GetStream", M{"channelArn": str(channel, "arn")})
	c.shows("effect", "StartComposition", "GetComposition")

	c.refused("ConflictException", "DeleteEncoderConfiguration", encoder)
	c.refused("ConflictException", "DeleteChannel", M{"arn": str(channel, "arn")})
	for name, value := range (M{"filterByStageArn": stage, "filterByEncoderConfigurationArn": str(encoder, "arn")}) {
		c.has("ListCompositions "+name, c.do("ListCompositions", M{name: value}), M{"compositions": []any{M{"arn": str(arn, "arn"), "stageArn": stage, "state": "ACTIVE"}}})
	}
	c.is("ListCompositions of another stage", c.do("ListCompositions", M{"filterByStageArn": c.Stage}), M{"compositions": []any{}})
	c.pages("ListCompositions", nil, "compositions", "arn", []string{str(arn, "arn")})
	c.do("ivs-realtime TagResource", M{"resourceArn": str(arn, "arn"), "tags": M{"c": "d"}})
	c.is("the tags", c.do("ivs-realtime ListTagsForResource", M{"resourceArn": str(arn, "arn")}), M{"tags": M{"a": "b", "c": "d"}})
	c.has("GetComposition", c.do("GetComposition", arn), M{"composition": M{"tags": M{"a": "b", "c": "d"}}})
	c.shows("tags", "StartComposition")
	c.shows("effect", "ListCompositions")

	c.do("StopComposition", arn)
	c.eventually("the composition stops", func() error { return state(c, arn, "STOPPED") })
	c.do("StopComposition", arn)
	c.has("a composition that stopped", c.do("GetComposition", arn), M{"composition": M{"endTime": "~2.*Z", "destinations": []any{M{"state": "STOPPED", "endTime": "~2.*Z"}}}})
	c.told(str(arn, "arn"), "~.*Destination Start.*Destination End.*")
	c.shows("effect", "StopComposition")
	c.do("DeleteEncoderConfiguration", encoder)
}
