import type Hls from "hls.js";
import { StageError, decodeToken, displayName, h264First } from "../src/client";
import { errorFromResponse } from "../src/client/errors";
import { inStereo, repairSound, startAt } from "../src/client/publisher";
import { difference, readSnapshot } from "../src/client/snapshot";
import { backOff } from "../src/client/wait";
import { bitRate, bytes, lossOf, loudness, milliseconds, roundUp, shortName, span, sparkPoints } from "../src/operator/format";
import { bestGrid } from "../src/join/grid";
import { rate } from "../src/join/link";
import { explain } from "../src/join/messages";
import { hueOf, toneOf } from "../src/join/pattern";
import { publisherOptions } from "../src/sdk/sending";
import { insertUnits, readMessages, seiUnit } from "../src/sdk/sei";
import type { LocalStageStream } from "../src/sdk/streams";
import { QualityMenu, levelName } from "../src/ui/quality";
import { readAddress } from "../src/watch/address";
import { startPosition } from "../src/watch/engine";
import { pace } from "../src/watch/pace";
import { probe } from "../src/watch/probe";

/**
 * Tests of what is pure in the pages' scripts. internal/console's Go test bundles this file and runs it in the
 * browser; the result is a list of failures.
 */
const tests: Record<string, () => void | Promise<void>> = {
  "numbers are written for people": () => {
    equal([0.44, 9.96, 319.4, 1540.5].map(milliseconds), ["0.4 ms", "10.0 ms", "319 ms", "1.54 s"]);
    equal([900, 131e6, 5.25e6, 2.5e9].map(bytes), ["1 kB", "131 MB", "5.3 MB", "2.50 GB"]);
    equal([96_000, 2_500_000].map(bitRate), ["96 kb/s", "2.50 Mb/s"]);
    equal([-1, 42, 187, 7500].map(span), ["0 s", "42 s", "3 min 07 s", "2 h 05 min"]);
    equal([lossOf(0, 0), lossOf(0, 9), lossOf(1, 99), lossOf(1, 999_999), lossOf(2, 998)], ["–", "0 %", "1.0 %", "< 0.01 %", "0.20 %"]);
    equal([-120, -60, -30, 0, 3].map(loudness), [0, 0, 0.5, 1, 1]);
    equal([0, 0.3, 1, 30, 21, 600].map(roundUp), [0, 0.5, 1, 50, 50, 1000]);
    equal(shortName("arn:aws:ivs:r:0:stage/abc"), "abc");
  },
  "the menu of renditions": () => {
    equal(levelName({ width: 720, height: 1280, frameRate: 29.97 }), "720p30");
    const level = (width: number, height: number) => ({ width, height, frameRate: 30 });
    const engine = (levels: object[]) => ({ levels, loadLevel: -1, currentLevel: 1, autoLevelEnabled: true }) as unknown as Hls;
    const select = document.createElement("select");
    const menu = new QualityMenu(select, (hls, level) => {
      hls.loadLevel = level;
    });
    menu.refresh(engine([level(1280, 720)]));
    equal(select.hidden, true);
    const hls = engine([level(640, 360), level(1280, 720)]);
    menu.refresh(hls);
    equal([select.hidden, select.value, ...[...select.options].map((o) => o.text)], [false, "", "Auto (720p30)", "720p30", "360p30"]);
    select.value = "360p30";
    select.dispatchEvent(new Event("change"));
    equal(hls.loadLevel, 0);
    const next = engine([level(320, 180), level(640, 360), level(1280, 720)]); // after a reconnect
    menu.refresh(next);
    equal([select.value, next.loadLevel], ["360p30", 1]);
    select.value = "";
    select.dispatchEvent(new Event("change"));
    equal(next.loadLevel, -1);
  },
  "lost sound is offered to be sent again": () => {
    const offer = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n";
    const want = offer.replace("/2\r\n", "/2\r\na=rtcp-fb:111 nack\r\n");
    equal(repairSound(offer), want);
    equal(repairSound(want), want);
    equal(repairSound("v=0\r\n"), "v=0\r\n");
  },
  "a sparkline ends at the right edge": () => {
    const size = { width: 100, height: 10, slots: 11 };
    equal(sparkPoints([], 1, size), "");
    equal(sparkPoints([0, 5, 20], 10, size), "80.0,10.0 90.0,5.0 100.0,0.0");
    equal(sparkPoints([3], 0, size), "100.0,10.0");
  },
  "a token's claims are read": () => {
    const token = decodeToken(`  ${jwt(claims)}\n`);
    equal(token.participantId, "p1");
    equal(token.stageId, "S1");
    equal(token.whipURL, "http://h:1/whip");
    equal(token.userId, "Žofie ☂");
    equal([token.canPublish, token.canSubscribe], [true, false]);
    equal(token.expires.getTime(), 2_000_000_000_000);
    equal(displayName({ id: "p1", userId: token.userId, attributes: token.attributes }), "todd");
    equal(displayName({ id: "p1", userId: "", attributes: {} }), "p1");
  },
  "what is no token is refused with a reason": () => {
    for (const text of ["", "a.b", "a.b.c", "a.%%%.c", `a.${btoa("7")}.c`, jwt({ ...claims, jti: 7 }), jwt({ ...claims, exp: "x" }),
      jwt({ ...claims, whip_url: "javascript:alert(1)" }), jwt({ ...claims, events_url: "http://h/events" })]) {
      try {
        decodeToken(text);
      } catch (error) {
        if (error instanceof StageError && error.code === "TOKEN_MALFORMED") {
          equal(explain(error).title, "This is not a participant token");
          continue;
        }
        throw error;
      }
      throw new Error(`accepted ${text}`);
    }
  },
  "refusals are read from JSON, from the header, or from the status": async () => {
    const of = (body: string, init: ResponseInit) => errorFromResponse(new Response(body, init));
    equal((await of('{"code":"QUOTA_EXCEEDED","message":"full"}', { status: 503 })).code, "QUOTA_EXCEEDED");
    equal((await of('{"exceptionMessage":"no"}', { status: 403, headers: { "x-amzn-ErrorType": "X" } })).code, "X");
    equal((await of("<html>", { status: 502 })).final, false);
    equal((await of("", { status: 401 })).final, true);
    equal((await of("[]", { status: 404 })).code, "STAGE_NOT_FOUND");
  },
  "H.264 comes first, the rest keeps its order": () => {
    const codec = (mimeType: string, sdpFmtpLine = "") => ({ mimeType, sdpFmtpLine });
    const sorted = h264First([
      codec("video/VP8"),
      codec("video/H264", "packetization-mode=0;profile-level-id=42e01f"),
      codec("video/H264", "packetization-mode=1;profile-level-id=4d001f"),
      codec("video/H264", "packetization-mode=1;profile-level-id=42E01F"),
      codec("video/rtx"),
    ]);
    equal(sorted.map((c) => c.mimeType + c.sdpFmtpLine.slice(-7)), [
      "video/H264=42E01F", "video/H264=4d001f", "video/H264=42e01f", "video/VP8", "video/rtx",
    ]);
  },
  "the start bit rate goes to H.264 only": () => {
    const sdp = "a=fmtp:111 minptime=10\r\na=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1\r\na=fmtp:103 apt=102\r\n";
    equal(startAt(sdp, 750_000), sdp.replace("packetization-mode=1", "packetization-mode=1;x-google-start-bitrate=750"));
  },
  "stereo is asked for where Opus is": () => {
    const sdp = (fmtp: string) => `a=rtpmap:111 opus/48000/2\r\n${fmtp}a=rtpmap:102 H264/90000\r\na=fmtp:102 x\r\n`;
    equal(inStereo(sdp("a=fmtp:111 minptime=10\r\n")), sdp("a=fmtp:111 minptime=10;stereo=1\r\n"));
    equal(inStereo(sdp("")), sdp("a=fmtp:111 stereo=1\r\n"));
    equal(inStereo("v=0\r\n"), "v=0\r\n");
  },
  "messages go into pictures and come out": () => {
    const slice = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 0x88, 0, 0, 3, 1, 9];
    const picture = Uint8Array.from(slice);
    for (const payload of [[], [1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 2, 0, 0, 3], Array<number>(1000).fill(0), Array<number>(255).fill(7)]) {
      const sent = insertUnits(picture, [seiUnit(Uint8Array.from(payload)), seiUnit(Uint8Array.of(42))]);
      const got = readMessages(sent);
      equal(got.map((m) => [...m.payload]), [payload, [42]]);
      equal(got[0]?.uuid, "666f6f74-6c69-6768-742d-7365692d7631");
      // The parameter sets stay before it, the slice behind it, and no start code comes about within.
      equal([...sent.slice(0, 12)], slice.slice(0, 12));
      equal([...sent.slice(-11)], slice.slice(-11));
      equal(sent.reduce((n, _, i) => n + Number(sent[i] === 0 && sent[i + 1] === 0 && sent[i + 2] === 1), 0), 5);
    }
    equal(insertUnits(Uint8Array.of(0, 0, 1, 0x67, 1), [seiUnit(Uint8Array.of(1))]).length, 5);
    for (const broken of [[], [0, 0, 1], [0, 0, 1, 6], [0, 0, 1, 6, 5, 255, 255], [0, 0, 1, 6, 5, 200, 1, 0x80], [0, 0, 1, 6, 5, 3, 1, 2, 3, 0x80]]) {
      equal(readMessages(Uint8Array.from(broken)), []);
    }
  },
  "layers suit the picture": () => {
    const layers = (width: number, height: number, config = {}) => {
      const stream = { streamType: "video", config: { simulcast: { enabled: true }, ...config }, mediaStreamTrack: { getSettings: () => ({ width, height }) } };
      return publisherOptions([stream as unknown as LocalStageStream]).layers?.map((l) => `${l.rid} ${l.scaleResolutionDownBy} ${l.maxBitrate} ${l.maxFramerate}`);
    };
    equal(layers(1280, 720), ["hi 1 1700000 30", "mid 2 700000 20", "low 4 200000 15"]);
    equal(layers(720, 1280), ["hi 1 1700000 30", "mid 2 700000 20", "low 4 200000 15"]);
    equal(layers(640, 360, { maxFramerate: 10 }), ["hi 1 700000 10", "low 2 200000 10"]);
    equal(layers(160, 120), ["hi 1 400000 30"]);
    equal(publisherOptions([]).layers, undefined);
    equal(publisherOptions([]).maxBitrate, 2_500_000);
  },
  "snapshots are compared": () => {
    const read = (...list: unknown[]) => readSnapshot({ participants: list });
    const before = read({ id: "a", isPublishing: false }, { id: "b" }, null, { id: "" }, { userId: "x" });
    equal(before.map((p) => p.id), ["a", "b"]);
    const { joined, left, changed } = difference(before, read({ id: "a", isPublishing: true }, { id: "c" }));
    equal([joined, left, changed].map((list) => list.map((p) => p.id)), [["c"], ["b"], ["a"]]);
    const [quiet, plain] = read({ id: "a", audioMuted: true, videoStopped: "yes" }, { id: "b" });
    equal([quiet?.audioMuted, quiet?.videoStopped, plain?.audioMuted, plain?.videoStopped], [true, false, false, false]);
    equal(difference(before, read({ id: "a", audioMuted: true }, { id: "b" })).changed.map((p) => p.id), ["a"]);
    equal(readSnapshot(null), []);
    equal(readSnapshot({ participants: "x" }), []);
  },
  "back-off doubles, and ends at five seconds": () => {
    for (let attempt = 0; attempt < 40; attempt++) {
      const wait = backOff(attempt);
      const full = Math.min(300 * 2 ** attempt, 5000);
      if (wait < 0.75 * full || wait > full) throw new Error(`attempt ${attempt} waits ${wait}`);
    }
  },
  "the grid makes tiles as large as can be": () => {
    const columns = (n: number, w: number, h: number) => bestGrid(n, w, h, 16 / 9, 10).columns;
    equal([1, 2, 4, 5, 9, 12].map((n) => columns(n, 1600, 900)), [1, 2, 2, 3, 3, 4]);
    equal([1, 2, 4, 5, 9, 12].map((n) => columns(n, 390, 800)), [1, 1, 1, 1, 2, 2]);
    for (let n = 1; n <= 12; n++) {
      const { columns, width } = bestGrid(n, 1000, 600, 16 / 9, 10);
      const rows = Math.ceil(n / columns);
      if (columns * width + 10 * (columns - 1) > 1000 || (rows * width * 9) / 16 + 10 * (rows - 1) > 600) throw new Error(`${n} overflow`);
    }
    equal(bestGrid(0, 100, 100, 16 / 9, 10).columns, 1);
  },
  "connections are rated by losses and round trips": () => {
    equal([rate(0, 0.02), rate(0.03, 0.3), rate(0.05, 0), rate(0, 0.5), rate(0.2, 0), rate(0, 1)], [3, 3, 2, 2, 1, 1]);
  },
  "names keep their colour and note": () => {
    equal(hueOf("Ada"), hueOf("Ada"));
    for (const name of ["", "Ada", "☂", "x".repeat(500)]) {
      if (!(hueOf(name) >= 0 && hueOf(name) < 360) || !(toneOf(name) >= 220)) throw new Error(name);
    }
  },
  "addresses are read": () => {
    const url = (text: string) => readAddress(text, "http://o:1")?.url;
    equal(url("/api/video/v1/x.m3u8?token=t"), "http://o:1/api/video/v1/x.m3u8?token=t");
    equal(url(" https://cdn/x.m3u8 "), "https://cdn/x.m3u8");
    equal(url("arn:aws:ivs:us-east-1:000000000000:channel/Ab1"), "http://o:1/api/video/v1/us-east-1.000000000000.channel.Ab1.m3u8");
    equal(readAddress("/api/video/v1/r.1.channel.Ab1.m3u8", "http://o:1")?.name, "Ab1");
    for (const bad of ["", " ", "javascript:alert(1)", "data:text/html,x", "http://", "blob:http://o:1/x"]) equal(url(bad), undefined);
  },
  "playback hurries when late, with enough in hand": () => {
    const at = (latency: number, buffer = 1, rate = 1) => pace({ latency, target: 0.6, buffer, rate });
    equal(at(0.6), 1);
    equal(at(0.75), 1); // not yet
    equal(at(0.75, 1, 1.05), 1.03); // still
    equal(at(0.65, 1, 1.05), 1); // there
    equal(at(1.2), 1.05);
    equal(at(3), 1.08);
    equal(at(1.9, 1.7), "jump"); // into what is buffered
    equal(at(1.9, 1.5), 1.08);
    equal(at(3, 0.2), 1); // nothing in hand
    equal(at(9), "jump");
    equal(at(0.2), 1);
  },
  "playback begins where a key frame is": () => {
    const fragments = [0, 1, 2, 3].map((sn) => ({ sn, start: sn * 0.2 }));
    const parts = (...independent: boolean[]) =>
      independent.map((independent, sn) => ({ independent, index: 0, fragment: { sn } }));
    const start = (partList: unknown, sync: number | null) =>
      startPosition({ fragments, partList } as unknown as Parameters<typeof startPosition>[0], sync);
    equal(start(parts(true, false, false, false), 0.7), 0);
    equal(start(parts(true, false, true, false), 0.7), 0.4);
    equal(start(parts(true, false, true, false), 0.3), 0);
    equal(start(parts(true, true, true, true), 0.7), -1); // as hls.js likes it
    equal(start(parts(false, false, false, false), 0.7), -1);
    equal(start(null, 0.7), -1);
    equal(start(parts(true, false, false, false), null), 0);
  },
  "playlists tell whether a channel is live": async () => {
    const never = new AbortController().signal;
    const list = (...lines: string[]) => URL.createObjectURL(new Blob([["#EXTM3U", ...lines].join("\n")]));
    const is = async (url: string) => (await probe(url, never)).is;
    equal(await is(list("#EXT-X-STREAM-INF:BANDWIDTH=1", list("#EXTINF:2,", "a.m4s"))), "live");
    equal(await is(list("#EXT-X-STREAM-INF:BANDWIDTH=1", list("#EXTINF:2,", "a.m4s", "#EXT-X-ENDLIST"))), "ended");
    equal(await is(list("#EXTINF:2,", "a.m4s", "#EXT-X-ENDLIST")), "ended");
    equal(await is(list()), "offline");
    equal(await is("blob:null/gone"), "away");
  },
};

const claims = {
  exp: 2_000_000_000, iat: 1, jti: "p1", topic: "S1", resource: "arn", user_id: "Žofie ☂", attributes: { username: "todd", x: 7 },
  whip_url: "http://h:1/whip/", events_url: "ws://h:1/events", capabilities: { allow_publish: true }, version: "1.0",
};

function jwt(payload: unknown): string {
  const bytes = new TextEncoder().encode(JSON.stringify(payload));
  const text = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return `e30.${text}.sig`;
}

function equal(have: unknown, want: unknown): void {
  const [h, w] = [JSON.stringify(have), JSON.stringify(want)];
  if (h !== w) throw new Error(`have ${h}, want ${w}`);
}

async function runAll(): Promise<string[]> {
  const failures: string[] = [];
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return failures;
}

Object.assign(globalThis, { unitTests: { count: Object.keys(tests).length, failures: runAll() } });
