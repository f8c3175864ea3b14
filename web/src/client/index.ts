/**
 * The stage client: publishing, subscribing and presence over plain WHIP, its subscribe counterpart and the
 * events socket, as spec'd by the claims of a participant token. No dependencies.
 */
export { StageError, type ErrorCode } from "./errors";
export { decodeToken, displayName, type Token } from "./token";
export { Peer, type PeerState } from "./peer";
export { Publisher, h264First, type PublisherOptions } from "./publisher";
export { Subscriber } from "./subscriber";
export { type Member, Room, type Wish } from "./room";
export { StageConnection, type ConnectionState, type Muted } from "./connection";
export { type Participant } from "./snapshot";
