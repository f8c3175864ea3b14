/** Shows the loudness of a stream's sound as the width of a bar. Returns how to stop. */
export function meter(stream: MediaStream, bar: HTMLElement): () => void {
  if (stream.getAudioTracks().length === 0) return () => undefined;
  const audio = new AudioContext();
  const analyser = new AnalyserNode(audio, { fftSize: 1024 });
  audio.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
    // -60 dB is an empty bar, -10 dB a full one: where speech into a microphone lives.
    const filled = (10 * Math.log10(power + 1e-9) + 60) / 50;
    bar.style.transform = `scaleX(${Math.min(1, Math.max(0, filled)).toFixed(3)})`;
  }, 80);
  return () => {
    clearInterval(timer);
    bar.style.transform = "scaleX(0)";
    void audio.close();
  };
}
