package conformance

import (
	"errors"
	"fmt"
)

// stageIngest publishes to a stage over RTMP (spec/realtime.md §6).
func stageIngest(c *check) {
	stage := at(c.do("CreateStage", M{}), "stage")
	made := at(c.do("CreateIngestConfiguration", M{"ingestProtocol": "RTMP", "insecureIngest": true, "stageArn": str(stage, "arn"), "userId": "cam", "attributes": M{"side": "left"}}), "ingestConfiguration")
	arn := M{"arn": str(made, "arn")}
	c.has("CreateIngestConfiguration", made, M{"ingestProtocol": "RTMP", "stageArn": str(stage, "arn"), "state": "INACTIVE", "userId": "cam", "attributes": M{"side": "left"},
		"participantId": "~.+", "streamKey": "~rt_000000000000_us-east-1_[A-Za-z0-9-]+_.+"})
	c.refused("ValidationException", "CreateIngestConfiguration", M{"ingestProtocol": "RTMP"})
	c.refused("ValidationException", "ListIngestConfigurations", M{"filterByStageArn": str(stage, "arn"), "filterByState": "INACTIVE"})

	stop := c.encode(c.T, str(stage, "endpoints", "rtmp"), str(made, "streamKey"))
	ingest := func(want string) func() error {
		return func() error {
			if got := str(c.do("GetIngestConfiguration", arn), "ingestConfiguration", "state"); got != want {
				return fmt.Errorf("it is %s", got)
			}
			return nil
		}
	}
	c.eventually("the configuration is active", ingest("ACTIVE"))
	var session string
	c.eventually("the participant publishes", func() error {
		session = str(c.do("GetStage", M{"arn": str(stage, "arn")}), "stage", "activeSessionId")
		if session == "" {
			return errors.New("there is no session")
		}
		out, err := c.try("GetParticipant", M{"stageArn": str(stage, "arn"), "sessionId": session, "participantId": str(made, "participantId")})
		if err != nil {
			return err
		}
		if at(out, "participant", "published") != true {
			return errors.New("it does not publish")
		}
		c.has("the participant", out["participant"], M{"userId": "cam", "attributes": M{"side": "left"}, "protocol": "RTMP", "ingestConfigurationArn": str(arn, "arn")})
		return nil
	})
	c.has("ListIngestConfigurations by state", c.do("ListIngestConfigurations", M{"filterByState": "ACTIVE"}), M{"ingestConfigurations": []any{M{"arn": str(arn, "arn"), "state": "ACTIVE"}}})
	c.has("ListIngestConfigurations by stage", c.do("ListIngestConfigurations", M{"filterByStageArn": str(stage, "arn")}), M{"ingestConfigurations": []any{M{"arn": str(arn, "arn")}}})
	c.refused("ConflictException", "UpdateIngestConfiguration", M{"arn": str(arn, "arn"), "stageArn": ""})
	c.refused("ConflictException", "DeleteIngestConfiguration", arn)
	c.do("DeleteIngestConfiguration", M{"arn": str(arn, "arn"), "force": true})
	c.eventually("the participant is gone", func() error {
		out := c.do("GetParticipant", M{"stageArn": str(stage, "arn"), "sessionId": session, "participantId": str(made, "participantId")})
		if s := str(out, "participant", "state"); s != "DISCONNECTED" {
			return fmt.Errorf("it is %s", s)
		}
		return nil
	})
	stop()
	c.shows("effect", "CreateIngestConfiguration", "GetIngestConfiguration", "ListIngestConfigurations", "UpdateIngestConfiguration", "DeleteIngestConfiguration")
}

// replication shows a participant on a second stage (spec/realtime.md §8).
func replication(c *check) {
	source, session, ada := c.stageWithOne()
	destination := str(c.do("CreateStage", M{}), "stage", "arn")
	pair := M{"sourceStageArn": source, "destinationStageArn": destination, "participantId": ada}
	c.do("StartParticipantReplication", M{"sourceStageArn": source, "destinationStageArn": destination, "participantId": ada, "attributes": M{"side": "right", "more": "1"}})
	c.refused("ConflictException", "StartParticipantReplication", pair)
	c.refused("ResourceNotFoundException", "StartParticipantReplication", M{"sourceStageArn": source, "destinationStageArn": destination, "participantId": "nobody"})
	var there string
	c.eventually("ada is on both stages", func() error {
		there = str(c.do("GetStage", M{"arn": destination}), "stage", "activeSessionId")
		if there == "" {
			return errors.New("there is no session on the second")
		}
		out, err := c.try("GetParticipant", M{"stageArn": destination, "sessionId": there, "participantId": ada})
		if err == nil && at(out, "participant", "published") != true {
			err = errors.New("she does not publish there")
		}
		if err == nil {
			c.has("the replica", out["participant"], M{"replicationType": "REPLICA", "replicationState": "ACTIVE", "sourceStageArn": source, "sourceSessionId": session,
				"attributes": M{"side": "right", "more": "1"}, "userId": "ada"})
		}
		return err
	})
	c.has("the source", c.do("GetParticipant", M{"stageArn": source, "sessionId": session, "participantId": ada}), M{"participant": M{"replicationType": "SOURCE", "attributes": M{"side": "left"}}})
	replicas := M{"sourceStageArn": source, "participantId": ada}
	c.is("ListParticipantReplicas", c.do("ListParticipantReplicas", replicas), M{"replicas": []any{M{"sourceStageArn": source, "participantId": ada, "sourceSessionId": session,
		"destinationStageArn": destination, "destinationSessionId": there, "replicationState": "ACTIVE"}}})
	c.pages("ListParticipantReplicas", replicas, "replicas", "destinationStageArn", []string{destination})
	c.quotaOfReplicas(source, ada)

	c.do("StopParticipantReplication", pair)
	c.eventually("ada is gone from the second", func() error {
		out := c.do("GetParticipant", M{"stageArn": destination, "sessionId": there, "participantId": ada})
		if s := str(out, "participant", "state"); s != "DISCONNECTED" {
			return fmt.Errorf("she is %s", s)
		}
		return nil
	})
	c.has("the source afterwards", c.do("GetParticipant", M{"stageArn": source, "sessionId": session, "participantId": ada}), M{"participant": M{"state": "CONNECTED"}})
	c.refused("ResourceNotFoundException", "StopParticipantReplication", pair)
	c.shows("effect", "StartParticipantReplication", "StopParticipantReplication", "ListParticipantReplicas")
}

// quotaOfReplicas replicates as often as that is allowed, five times in all, and once more.
func (c *check) quotaOfReplicas(source, participant string) {
	c.Helper()
	for i := range 5 {
		in := M{"sourceStageArn": source, "destinationStageArn": str(c.do("CreateStage", M{}), "stage", "arn"), "participantId": participant}
		if i == 4 {
			c.refused("ServiceQuotaExceededException", "StartParticipantReplication", in)
		} else {
			c.do("StartParticipantReplication", in)
		}
	}
}

// attachments refuses to delete what a channel or a stage records with.
func attachments(c *check) {
	c.run("channel", func(c *check) {
		arn := M{"arn": str(c.do("CreateRecordingConfiguration", c.example("CreateRecordingConfiguration", none)), "recordingConfiguration", "arn")}
		made := at(c.do("CreateChannel", M{"recordingConfigurationArn": str(arn, "arn")}), "channel")
		c.has("CreateChannel", made, M{"recordingConfigurationArn": str(arn, "arn")})
		c.has("ListChannels by recording configuration", c.do("ListChannels", M{"filterByRecordingConfigurationArn": str(arn, "arn")}), M{"channels": []any{M{"arn": str(made, "arn")}}})
		c.refused("ConflictException", "DeleteRecordingConfiguration", arn)
		c.do("UpdateChannel", M{"arn": str(made, "arn"), "recordingConfigurationArn": ""})
		c.do("DeleteRecordingConfiguration", arn)
	})
	c.run("stage", func(c *check) {
		arn := M{"arn": str(c.do("CreateStorageConfiguration", c.example("CreateStorageConfiguration", none)), "storageConfiguration", "arn")}
		made := at(c.do("CreateStage", M{"autoParticipantRecordingConfiguration": M{"storageConfigurationArn": str(arn, "arn"), "mediaTypes": []any{"AUDIO_ONLY"}}}), "stage")
		c.has("CreateStage", made, M{"autoParticipantRecordingConfiguration": M{"storageConfigurationArn": str(arn, "arn"), "mediaTypes": []any{"AUDIO_ONLY"}}})
		c.refused("ConflictException", "DeleteStorageConfiguration", arn)
		c.do("UpdateStage", M{"arn": str(made, "arn"), "autoParticipantRecordingConfiguration": M{"storageConfigurationArn": ""}})
		c.do("DeleteStorageConfiguration", arn)
	})
}
