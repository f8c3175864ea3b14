/**
 * The stage client for apps: the interface that apps for IVS stages are written to, over Footlight's stage client.
 * docs/web-sdk.md is its manual.
 */
import { canTransform } from "./transform";

export * from "./enums";
export { StageError, StageErrorCategory, StageErrorCode } from "./errors";
export type { StageEventValues } from "./events";
export { type Layer, SimulcastLayers } from "./layers";
export type { StageParticipantInfo } from "./participant";
export type { SEIMessage } from "./sei";
export { Stage } from "./stage";
export type { StageStrategy, SubscribeConfiguration } from "./strategy";
export {
  LocalStageStream,
  type LocalStageStreamConfiguration,
  RemoteStageStream,
  type SEIOptions,
  type SimulcastConfiguration,
  type StageStream,
} from "./streams";

/** The version of this interface. */
export const __version = "1.0.0";

/** Whether this browser can join stages, and whether it can send and receive SEI messages. */
export function isSupported(): { stages: boolean; seiMessages: boolean } {
  return { stages: "RTCPeerConnection" in globalThis && "WebSocket" in globalThis, seiMessages: canTransform() };
}
