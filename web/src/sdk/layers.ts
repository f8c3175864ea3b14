/** One layer of a simulcast publisher: the longer side of its picture is `width` for landscape. */
export interface Layer {
  width: number;
  height: number;
  maxBitrateKbps: number;
  maxFramerate: number;
}

/** Layers to build configurations from. */
export const SimulcastLayers = {
  DEFAULT_720: { width: 1280, height: 720, maxBitrateKbps: 1700, maxFramerate: 30 },
  DEFAULT_540: { width: 960, height: 540, maxBitrateKbps: 1000, maxFramerate: 30 },
  DEFAULT_360: { width: 640, height: 360, maxBitrateKbps: 700, maxFramerate: 20 },
  DEFAULT_180: { width: 320, height: 180, maxBitrateKbps: 200, maxFramerate: 15 },
} as const satisfies Record<string, Layer>;

/** The default layers of a picture, by its shorter side. */
export function suited(short: number): readonly Layer[] {
  const { DEFAULT_720, DEFAULT_540, DEFAULT_360, DEFAULT_180 } = SimulcastLayers;
  if (short >= 720) return [DEFAULT_720, DEFAULT_360, DEFAULT_180];
  if (short >= 540) return [DEFAULT_540, DEFAULT_180];
  if (short >= 360) return [DEFAULT_360, DEFAULT_180];
  return [{ ...DEFAULT_180, maxBitrateKbps: 400, maxFramerate: 30 }];
}
