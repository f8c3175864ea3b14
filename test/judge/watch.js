(function (readStrip, video, rects, milliseconds) {
  const samples = [];
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  return new Promise((resolve) => {
    let over = false;
    setTimeout(() => { over = true; resolve(samples); }, milliseconds);
    const look = (now, metadata) => {
      if (over) return;
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      context.drawImage(video, 0, 0);
      const picture = context.getImageData(0, 0, canvas.width, canvas.height);
      samples.push({
        wallMS: performance.timeOrigin + metadata.expectedDisplayTime,
        mediaTime: metadata.mediaTime,
        readings: rects.map((rect) => readStrip(picture, rect)),
      });
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  });
})
