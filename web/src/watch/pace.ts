/** Where playback stands, all in seconds. */
export interface Position {
  /** Behind the live edge. */
  latency: number;
  /** Where it should be: what the server asks for (PART-HOLD-BACK), more after stalls. */
  target: number;
  /** Media ahead of the playhead. */
  buffer: number;
  /** The present playback rate. */
  rate: number;
}

/** Begin to hurry when this much late, and stop when this close. The gap keeps the rate from flickering. */
const late = 0.2;
const close = 0.06;
/** Never hurry on less than this. */
const leastBuffer = 0.3;
/** Later than this, hurrying would take longer than ten seconds: jump, when what is there to land on is buffered. */
const jumpable = 1;
/** Later than this, jump in any case. */
const hopeless = 5;

/**
 * Decides how fast to play. hls.js has such a control too, but it acts only above one second of buffer, which a
 * stream with 200 ms parts never has at its target. Up to 8 % faster is hard to hear, for browsers keep the pitch.
 */
export function pace({ latency, target, buffer, rate }: Position): number | "jump" {
  const behind = latency - target;
  if (behind > hopeless || (behind > jumpable && buffer > behind + leastBuffer)) return "jump";
  if (buffer < leastBuffer || behind < close) return 1;
  if (behind < late && rate === 1) return 1;
  return Math.round((1 + Math.min(0.08, 0.02 + behind * 0.05)) * 100) / 100;
}
