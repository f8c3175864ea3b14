import type { SubscribeType } from "./enums";
import type { StageParticipantInfo } from "./participant";
import type { LocalStageStream } from "./streams";

/** How somebody is received. */
export interface SubscribeConfiguration {
  /** Listen for SEI messages in their pictures. */
  inBandMessaging?: { enabled: boolean };
}

/**
 * What an app wants of a stage. It is asked when something changes there, and by refreshStrategy; asking is cheap,
 * only what differs from before is done.
 */
export interface StageStrategy {
  /** At most one audio and one video stream. */
  stageStreamsToPublish(): readonly LocalStageStream[];
  shouldPublishParticipant(participant: StageParticipantInfo): boolean;
  shouldSubscribeToParticipant(participant: StageParticipantInfo): SubscribeType;
  subscribeConfiguration?(participant: StageParticipantInfo): SubscribeConfiguration;
}
