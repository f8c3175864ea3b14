import type { SEIMessage } from "./sei";

/** The source of sei.worker.ts, put here when the client is bundled. */
declare const SEI_WORKER: string;

declare class RTCRtpScriptTransform {
  constructor(worker: Worker, options: unknown, transfer: Transferable[]);
}

let worker: Worker | undefined;

/** Whether this browser lets a page look into encoded pictures. */
export function canTransform(): boolean {
  return "RTCRtpScriptTransform" in globalThis;
}

/** Puts a sender under the worker; the port returned takes { payload, repeat }. */
export function transformSender(sender: RTCRtpSender): MessagePort {
  const { port1, port2 } = new MessageChannel();
  (sender as { transform?: unknown }).transform = transform("send", port2);
  return port1;
}

/** Calls heard for every message in the pictures that a receiver gets. */
export function transformReceiver(receiver: RTCRtpReceiver, heard: (message: SEIMessage) => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }: MessageEvent<SEIMessage>) => heard(data);
  (receiver as { transform?: unknown }).transform = transform("receive", port2);
}

function transform(side: "send" | "receive", port: MessagePort): unknown {
  worker ??= new Worker(URL.createObjectURL(new Blob([SEI_WORKER], { type: "text/javascript" })));
  return new RTCRtpScriptTransform(worker, { side, port }, [port]);
}
