package conformance

// example is a valid input of an operation. fresh makes a resource of a kind, which the operation may change or remove,
// and returns its ARN; the kinds are those of ARNs, and a few states of them.
func (w *world) example(name string, fresh func(kind string) string) M {
	switch name {
	case "BatchGetChannel":
		return M{"arns": []any{w.Channel}}
	case "BatchGetStreamKey":
		return M{"arns": []any{w.StreamKey}}
	case "BatchStartViewerSessionRevocation":
		return M{"viewerSessions": []any{M{"channelArn": w.Channel, "viewerId": "ann"}}}
	case "CreateAdConfiguration":
		return M{"mediaTailorPlaybackConfigurations": tailor()}
	case "CreateRecordingConfiguration":
		return M{"destinationConfiguration": M{"s3": M{"bucketName": w.Bucket}}}
	case "CreateStreamKey":
		return M{"channelArn": fresh("channel without key")}
	case "GetChannel":
		return M{"arn": w.Channel}
	case "GetStreamKey":
		return M{"arn": w.StreamKey}
	case "GetAdConfiguration":
		return M{"arn": w.Ads}
	case "DeleteAdConfiguration":
		return M{"arn": fresh("ad-configuration")}
	case "DeleteChannel":
		return M{"arn": fresh("channel")}
	case "DeleteStreamKey":
		return M{"arn": fresh("stream-key")}
	case "GetPlaybackKeyPair", "DeletePlaybackKeyPair":
		return M{"arn": fresh("playback-key")}
	case "GetPlaybackRestrictionPolicy", "DeletePlaybackRestrictionPolicy", "UpdatePlaybackRestrictionPolicy":
		return M{"arn": fresh("playback-restriction-policy")}
	case "GetRecordingConfiguration", "DeleteRecordingConfiguration":
		return M{"arn": fresh("recording-configuration")}
	case "UpdateChannel":
		return M{"arn": fresh("channel")}
	case "GetStream", "GetStreamSession", "ListStreamSessions", "ListStreamKeys", "StopStream":
		return M{"channelArn": fresh("live channel")}
	case "InsertAdBreak":
		return M{"channelArn": fresh("live channel"), "durationSeconds": 1}
	case "PutMetadata":
		return M{"channelArn": fresh("live channel"), "metadata": "goal"}
	case "StartViewerSessionRevocation":
		return M{"channelArn": w.Channel, "viewerId": "ann"}
	case "ImportPlaybackKeyPair", "ImportPublicKey":
		return M{"publicKeyMaterial": newPublicKey()}
	case "ivs ListTagsForResource":
		return M{"resourceArn": w.Channel}
	case "ivs TagResource":
		return M{"resourceArn": fresh("channel"), "tags": M{"a": "b"}}
	case "ivs UntagResource":
		return M{"resourceArn": fresh("channel"), "tagKeys": []any{"a"}}

	case "CreateIngestConfiguration":
		return M{"ingestProtocol": "RTMPS"}
	case "GetIngestConfiguration", "DeleteIngestConfiguration", "UpdateIngestConfiguration":
		return M{"arn": fresh("ingest-configuration")}
	case "CreateParticipantToken":
		return M{"stageArn": w.Stage}
	case "CreateStorageConfiguration":
		return M{"s3": M{"bucketName": w.Bucket}}
	case "GetStorageConfiguration", "DeleteStorageConfiguration":
		return M{"arn": fresh("storage-configuration")}
	case "GetEncoderConfiguration", "DeleteEncoderConfiguration":
		return M{"arn": fresh("encoder-configuration")}
	case "GetPublicKey", "DeletePublicKey":
		return M{"arn": fresh("public-key")}
	case "GetStage":
		return M{"arn": w.Stage}
	case "UpdateStage", "DeleteStage":
		return M{"arn": fresh("stage")}
	case "GetComposition", "StopComposition":
		return M{"arn": fresh("composition")}
	case "DisconnectParticipant":
		return M{"stageArn": w.Stage, "participantId": "nobody"}
	case "ListStageSessions":
		return M{"stageArn": w.Stage}
	case "GetStageSession", "ListParticipants":
		return M{"stageArn": w.Stage, "sessionId": w.Session}
	case "GetParticipant", "ListParticipantEvents":
		return M{"stageArn": w.Stage, "sessionId": w.Session, "participantId": w.Participant}
	case "ListParticipantReplicas":
		return M{"sourceStageArn": w.Stage, "participantId": w.Participant}
	case "StartComposition":
		return M{"stageArn": fresh("stage"), "destinations": []any{M{"channel": M{"channelArn": fresh("channel"), "encoderConfigurationArn": w.Encoder}}}}
	case "StartParticipantReplication":
		return M{"sourceStageArn": w.Stage, "destinationStageArn": fresh("stage"), "participantId": w.Participant}
	case "StopParticipantReplication":
		return M{"sourceStageArn": w.Stage, "destinationStageArn": fresh("stage with replica"), "participantId": w.Participant}
	case "ivs-realtime ListTagsForResource":
		return M{"resourceArn": w.Stage}
	case "ivs-realtime TagResource":
		return M{"resourceArn": fresh("stage"), "tags": M{"a": "b"}}
	case "ivs-realtime UntagResource":
		return M{"resourceArn": fresh("stage"), "tagKeys": []any{"a"}}
	}
	return M{} // the others need no input
}
