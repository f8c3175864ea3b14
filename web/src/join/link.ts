/** How well a connection carries media: 3 bars are good, 2 fair, 1 poor; 0 while nothing is known. */
export type Bars = 0 | 1 | 2 | 3;

export const barsText: Record<Bars, string> = {
  0: "",
  1: "Poor connection",
  2: "Fair connection",
  3: "Good connection",
};

/** Rates a connection by its share of lost packets and its round trip in seconds. */
export function rate(loss: number, roundTrip: number): Bars {
  if (loss > 0.1 || roundTrip > 0.8) return 1;
  return loss > 0.03 || roundTrip > 0.3 ? 2 : 3;
}

interface Report {
  type: string;
  packetsReceived?: number;
  packetsLost?: number;
  fractionLost?: number;
  roundTripTime?: number;
  currentRoundTripTime?: number;
  nominated?: boolean;
}

/** Rates one connection again and again: by what we lose where we receive, by what the other end reports where we send. */
export class LinkMeter {
  #connection: RTCPeerConnection | undefined;
  #received = 0;
  #lost = 0;

  async measure(connection: RTCPeerConnection | undefined): Promise<Bars> {
    const fresh = connection !== this.#connection;
    this.#connection = connection;
    if (!connection) return 0;
    let received = 0;
    let lost = 0;
    let told: number | undefined;
    let roundTrip = 0;
    (await connection.getStats()).forEach((r: Report) => {
      if (r.type === "inbound-rtp") {
        received += r.packetsReceived ?? 0;
        lost += r.packetsLost ?? 0;
      } else if (r.type === "remote-inbound-rtp") {
        told = Math.max(told ?? 0, r.fractionLost ?? 0);
        roundTrip = Math.max(roundTrip, r.roundTripTime ?? 0);
      } else if (r.type === "candidate-pair" && r.nominated) {
        roundTrip = Math.max(roundTrip, r.currentRoundTripTime ?? 0);
      }
    });
    const came = received - this.#received;
    const missed = Math.max(0, lost - this.#lost); // what comes late is not lost any more
    this.#received = received;
    this.#lost = lost;
    if (told !== undefined) return rate(told, roundTrip);
    return fresh || came + missed <= 0 ? 0 : rate(missed / (came + missed), roundTrip);
  }
}
