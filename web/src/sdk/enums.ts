/** The names and values that apps written for IVS stages compare with. */

export const StageEvents = {
  /** (state: StageConnectionState) */
  STAGE_CONNECTION_STATE_CHANGED: "stageConnectionStateChanged",
  /** (reason: StageLeftReason) after the last of everything else that leaving brings. */
  STAGE_LEFT: "stageLeft",
  /** (participant) Somebody is on the stage, possibly ourselves. */
  STAGE_PARTICIPANT_JOINED: "stageParticipantJoined",
  STAGE_PARTICIPANT_LEFT: "stageParticipantLeft",
  /** (participant, state: StageParticipantPublishState) */
  STAGE_PARTICIPANT_PUBLISH_STATE_CHANGED: "stageParticipantPublishStateChanged",
  /** (participant, state: StageParticipantSubscribeState) */
  STAGE_PARTICIPANT_SUBSCRIBE_STATE_CHANGED: "stageParticipantSubscribeStateChanged",
  /** (participant, streams) Their tracks can be played. After a reconnect they come anew. */
  STAGE_PARTICIPANT_STREAMS_ADDED: "stageParticipantStreamsAdded",
  /** (participant, streams) Comes for every stream that was added, whichever way it ends. */
  STAGE_PARTICIPANT_STREAMS_REMOVED: "stageParticipantStreamsRemoved",
  /** (participant) Their attributes, user id or capabilities changed. */
  STAGE_PARTICIPANT_METADATA_CHANGED: "stageParticipantMetadataChanged",
  /** (participant, stream) */
  STAGE_STREAM_MUTE_CHANGED: "stageStreamMuteChanged",
  /** (participant, message: SEIMessage) */
  STAGE_STREAM_SEI_MESSAGE_RECEIVED: "stageStreamSeiMessageReceived",
  /** (error: StageError) */
  ERROR: "error",
} as const;

export const StageConnectionState = {
  DISCONNECTED: "disconnected",
  CONNECTING: "connecting",
  CONNECTED: "connected",
  ERRORED: "errored",
} as const;
export type StageConnectionState = (typeof StageConnectionState)[keyof typeof StageConnectionState];

/** The same under the name that the first apps used. */
export const ConnectionState = StageConnectionState;

export const StageParticipantPublishState = {
  NOT_PUBLISHED: "not_published",
  ATTEMPTING_PUBLISH: "attempting_publish",
  PUBLISHED: "published",
  ERRORED: "errored",
} as const;
export type StageParticipantPublishState = (typeof StageParticipantPublishState)[keyof typeof StageParticipantPublishState];

export const StageParticipantSubscribeState = {
  NOT_SUBSCRIBED: "not_subscribed",
  ATTEMPTING_SUBSCRIBE: "attempting_subscribe",
  SUBSCRIBED: "subscribed",
  ERRORED: "errored",
} as const;
export type StageParticipantSubscribeState =
  (typeof StageParticipantSubscribeState)[keyof typeof StageParticipantSubscribeState];

export const SubscribeType = {
  NONE: "none",
  AUDIO_ONLY: "audio_only",
  AUDIO_VIDEO: "audio_video",
} as const;
export type SubscribeType = (typeof SubscribeType)[keyof typeof SubscribeType];

export const StreamType = { VIDEO: "video", AUDIO: "audio" } as const;
export type StreamType = (typeof StreamType)[keyof typeof StreamType];

export const StageLeftReason = {
  UNKNOWN: "unknown",
  USER_INITIATED: "user-initiated",
  TOKEN_REUSED: "token-reused",
  PARTICIPANT_DISCONNECTED: "participant-disconnected",
  STAGE_DELETED: "stage-deleted",
} as const;
export type StageLeftReason = (typeof StageLeftReason)[keyof typeof StageLeftReason];
