import { type PatternSize, drawPattern } from "./pattern";

/**
 * Draws the test pattern in a worker: a worker's clock keeps its pace in a tab that is not in front,
 * which is where the join page is while its user looks at the watch page.
 */
interface Start extends PatternSize {
  name: string;
  frameRate: number;
  frames: WritableStream<VideoFrame>;
}

self.onmessage = ({ data }: MessageEvent<Start>) => {
  const { width, height, name, frameRate, frames } = data;
  const context = new OffscreenCanvas(width, height).getContext("2d", { alpha: false, desynchronized: true })!;
  const writer = frames.getWriter();
  const began = performance.now();
  let drawn = -1;
  const timer = setInterval(() => {
    const now = performance.now();
    const due = Math.floor(((now - began) * frameRate) / 1000);
    if (due === drawn || (writer.desiredSize ?? 1) < 0) return;
    drawn = due;
    drawPattern(context, { width, height }, name, performance.timeOrigin + now);
    const frame = new VideoFrame(context.canvas, { timestamp: Math.round((due * 1e6) / frameRate) });
    writer.write(frame).catch(() => {
      // The track was stopped.
      frame.close();
      clearInterval(timer);
      self.close();
    });
  }, 1000 / frameRate / 4);
};
