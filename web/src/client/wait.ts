/** Resolves after ms, or at once when the signal aborts. */
export function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

/**
 * How long to wait before attempt n (from 0): 0.3 s doubling to 5 s, a quarter of it random so that
 * everyone who lost the same server does not come back in the same instant.
 */
export function backOff(attempt: number): number {
  const full = Math.min(300 * 2 ** attempt, 5000);
  return full * (0.75 + 0.25 * Math.random());
}
