/**
 * User data in H.264 pictures: SEI messages of the type user_data_unregistered (ITU-T H.264, D.1.6), in access units
 * of Annex B form as browsers hand them to encoded transforms. Nothing here touches the DOM: it runs in a worker.
 */

/** A message that came with a picture. */
export interface SEIMessage {
  /** Who made it, as a UUID: ours have seiUUID. */
  uuid: string;
  payload: Uint8Array;
}

/** The UUID of the messages that this client makes: "footlight-sei-v1" in ASCII. */
export const seiUUID = "666f6f74-6c69-6768-742d-7365692d7631";

const naluSEI = 6;
const userDataUnregistered = 5;

/** One SEI message as a NAL unit with its start code. */
export function seiUnit(payload: Uint8Array, uuid = seiUUID): Uint8Array {
  const size = 16 + payload.length;
  const sized = [...Array<number>(Math.floor(size / 255)).fill(255), size % 255];
  const body = [userDataUnregistered, ...sized, ...uuidBytes(uuid), ...payload, 0x80];
  const out = [0, 0, 0, 1, naluSEI];
  let zeros = 0;
  for (const byte of body) {
    if (zeros >= 2 && byte <= 3) {
      out.push(3); // emulation prevention (7.4.1)
      zeros = 0;
    }
    out.push(byte);
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return Uint8Array.from(out);
}

/** Puts NAL units before the first slice of an access unit; where there is none, the unit is returned as it is. */
export function insertUnits(picture: Uint8Array, units: readonly Uint8Array[]): Uint8Array {
  const slice = nalus(picture).find(({ type }) => type >= 1 && type <= 5);
  if (!slice || units.length === 0) return picture;
  const out = new Uint8Array(picture.length + units.reduce((sum, u) => sum + u.length, 0));
  out.set(picture.subarray(0, slice.start));
  let at = slice.start;
  for (const unit of units) {
    out.set(unit, at);
    at += unit.length;
  }
  out.set(picture.subarray(slice.start), at);
  return out;
}

/** The user data in an access unit. What is malformed is skipped. */
export function readMessages(picture: Uint8Array): SEIMessage[] {
  return nalus(picture)
    .filter(({ type }) => type === naluSEI)
    .flatMap(({ body, end }) => readUnit(unescape(picture.subarray(body, end))));
}

function readUnit(bytes: Uint8Array): SEIMessage[] {
  const messages: SEIMessage[] = [];
  let at = 0;
  const number = (): number => {
    let n = 0;
    while (bytes[at] === 255) {
      n += 255;
      at++;
    }
    return n + (bytes[at++] ?? 0);
  };
  // The last byte is the stop bit with its padding: a message has at least two bytes before it.
  while (at + 2 < bytes.length) {
    const type = number();
    const size = number();
    if (at + size > bytes.length) break;
    if (type === userDataUnregistered && size >= 16) {
      messages.push({ uuid: uuidText(bytes.subarray(at, at + 16)), payload: bytes.slice(at + 16, at + size) });
    }
    at += size;
  }
  return messages;
}

interface NALU {
  type: number;
  /** Where its start code begins, where its payload behind the header byte begins, and where it ends. */
  start: number;
  body: number;
  end: number;
}

function nalus(picture: Uint8Array): NALU[] {
  const found: NALU[] = [];
  for (let i = 0; i + 3 < picture.length; i++) {
    if (picture[i] !== 0 || picture[i + 1] !== 0 || picture[i + 2] !== 1) continue;
    const start = i > 0 && picture[i - 1] === 0 ? i - 1 : i;
    const last = found.at(-1);
    if (last) last.end = start;
    found.push({ type: picture[i + 3]! & 31, start, body: i + 4, end: picture.length });
    i += 3;
  }
  return found;
}

function unescape(bytes: Uint8Array): Uint8Array {
  return bytes.filter((byte, i) => !(byte === 3 && i >= 2 && bytes[i - 1] === 0 && bytes[i - 2] === 0));
}

function uuidBytes(uuid: string): number[] {
  return uuid.replaceAll("-", "").match(/../g)!.map((hex) => parseInt(hex, 16));
}

function uuidText(bytes: Uint8Array): string {
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
