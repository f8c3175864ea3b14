/**
 * The worker of encoded transforms. Each transform has a port to the page: a sender's takes messages to insert
 * ({ payload, repeat }), a receiver's gives those that came.
 */
import { insertUnits, readMessages, seiUnit } from "./sei";

interface Encoded {
  data: ArrayBuffer;
  getMetadata(): { synchronizationSource?: number };
}

interface Transformer {
  readable: ReadableStream<Encoded>;
  writable: WritableStream<Encoded>;
  options: { side: "send" | "receive"; port: MessagePort };
}

interface Pending {
  unit: Uint8Array;
  /** How many more pictures are to carry it. */
  left: number;
}

/** More messages than this wait for a picture only when there are none: the oldest are dropped. */
const longest = 64;

addEventListener("rtctransform", (event) => {
  const { readable, writable, options } = (event as Event & { transformer: Transformer }).transformer;
  const transform = options.side === "send" ? sender(options.port) : receiver(options.port);
  void readable.pipeThrough(new TransformStream(transform)).pipeTo(writable).catch(() => undefined); // ends with the connection
});

/** Every simulcast layer carries every message: each has a queue of its own, by its SSRC. */
function sender(port: MessagePort): Steps {
  const queues = new Map<number, Pending[]>();
  const early: Pending[] = []; // before the first picture
  port.onmessage = ({ data }: MessageEvent<{ payload: Uint8Array; repeat: number }>) => {
    const unit = seiUnit(data.payload);
    for (const queue of queues.size > 0 ? queues.values() : [early]) {
      queue.push({ unit, left: data.repeat + 1 });
      if (queue.length > longest) queue.shift();
    }
  };
  return {
    transform(frame, controller) {
      const source = frame.getMetadata().synchronizationSource ?? 0;
      let queue = queues.get(source);
      if (!queue) {
        queue = queues.size === 0 ? early.splice(0) : [];
        queues.set(source, queue);
      }
      if (queue.length > 0) {
        const changed = insertUnits(new Uint8Array(frame.data), queue.map(({ unit }) => unit));
        frame.data = changed.buffer as ArrayBuffer;
        for (const pending of queue) pending.left--;
        queues.set(source, queue.filter(({ left }) => left > 0));
      }
      controller.enqueue(frame);
    },
  };
}

function receiver(port: MessagePort): Steps {
  return {
    transform(frame, controller) {
      for (const message of readMessages(new Uint8Array(frame.data))) port.postMessage(message);
      controller.enqueue(frame);
    },
  };
}

type Steps = { transform(frame: Encoded, controller: TransformStreamDefaultController<Encoded>): void };
