import type {
  StageConnectionState,
  StageEvents,
  StageLeftReason,
  StageParticipantPublishState,
  StageParticipantSubscribeState,
} from "./enums";
import type { StageError } from "./errors";
import type { StageParticipantInfo } from "./participant";
import type { SEIMessage } from "./sei";
import type { StageStream } from "./streams";

/** What the listeners of each event get. */
export interface StageEventValues {
  [StageEvents.STAGE_CONNECTION_STATE_CHANGED]: [state: StageConnectionState];
  [StageEvents.STAGE_LEFT]: [reason: StageLeftReason];
  [StageEvents.STAGE_PARTICIPANT_JOINED]: [participant: StageParticipantInfo];
  [StageEvents.STAGE_PARTICIPANT_LEFT]: [participant: StageParticipantInfo];
  [StageEvents.STAGE_PARTICIPANT_PUBLISH_STATE_CHANGED]: [participant: StageParticipantInfo, state: StageParticipantPublishState];
  [StageEvents.STAGE_PARTICIPANT_SUBSCRIBE_STATE_CHANGED]: [
    participant: StageParticipantInfo,
    state: StageParticipantSubscribeState,
  ];
  [StageEvents.STAGE_PARTICIPANT_STREAMS_ADDED]: [participant: StageParticipantInfo, streams: StageStream[]];
  [StageEvents.STAGE_PARTICIPANT_STREAMS_REMOVED]: [participant: StageParticipantInfo, streams: StageStream[]];
  [StageEvents.STAGE_PARTICIPANT_METADATA_CHANGED]: [participant: StageParticipantInfo];
  [StageEvents.STAGE_STREAM_MUTE_CHANGED]: [participant: StageParticipantInfo, stream: StageStream];
  [StageEvents.STAGE_STREAM_SEI_MESSAGE_RECEIVED]: [participant: StageParticipantInfo, message: SEIMessage];
  [StageEvents.ERROR]: [error: StageError];
}
