import type { Participant, Token } from "../client";

/** What is known of somebody on the stage at one moment: a plain object, never changed after it was handed out. */
export interface StageParticipantInfo {
  id: string;
  /** As its token says, "" without. */
  userId: string;
  attributes: Record<string, string>;
  /** The attributes, under the name that the first apps used. */
  userInfo: Record<string, string>;
  /** Of others only "publish" is known, and only once they do. */
  capabilities: Set<"publish" | "subscribe">;
  isLocal: boolean;
  isPublishing: boolean;
  audioMuted: boolean;
  videoStopped: boolean;
}

/** Somebody else, from a snapshot. */
export function remoteParticipant(p: Participant): StageParticipantInfo {
  return {
    id: p.id,
    userId: p.userId,
    attributes: { ...p.attributes },
    userInfo: { ...p.attributes },
    capabilities: new Set(p.isPublishing ? ["publish"] : []),
    isLocal: false,
    isPublishing: p.isPublishing,
    audioMuted: p.audioMuted,
    videoStopped: p.videoStopped,
  };
}

/** Ourselves, from our token and from what the stage says of us. */
export function localParticipant(token: Token, seen: Participant | undefined, muted: { audio: boolean; video: boolean }): StageParticipantInfo {
  const capabilities = new Set<"publish" | "subscribe">();
  if (token.canPublish) capabilities.add("publish");
  if (token.canSubscribe) capabilities.add("subscribe");
  const attributes = seen?.attributes ?? token.attributes;
  return {
    id: token.participantId,
    userId: seen?.userId ?? token.userId,
    attributes: { ...attributes },
    userInfo: { ...attributes },
    capabilities,
    isLocal: true,
    isPublishing: seen?.isPublishing ?? false,
    audioMuted: muted.audio,
    videoStopped: muted.video,
  };
}

