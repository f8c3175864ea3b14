(function (imageData, rect) {
  // The same steps as ReadStrip of package signal; geometry as in package signal.
  const columns = 16, rows = 4, left = 0.308, top = 0.082, width = 0.384, height = 0.168;
  const none = { index: 0, timeMS: 0, ok: false };
  const data = imageData.data;
  rect = rect || { x: 0, y: 0, width: imageData.width, height: imageData.height };

  function mean(x0, y0, x1, y1) {
    if (x0 < 0 || y0 < 0 || x1 > imageData.width || y1 > imageData.height) return -1;
    let sum = 0;
    for (let y = y0; y < y1; y++) {
      for (let x = x0; x < x1; x++) {
        const i = 4 * (y * imageData.width + x);
        sum += 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
      }
    }
    return sum / ((x1 - x0) * (y1 - y0));
  }

  function sample(scale, dx, dy) {
    const w = rect.width * scale, h = rect.height * scale;
    const x0 = rect.x + rect.width * (0.5 + dx) - w / 2 + left * w;
    const y0 = rect.y + rect.height * (0.5 + dy) - h / 2 + top * h;
    const cw = width * w / columns, ch = height * h / rows;
    const lumas = [];
    for (let i = 0; i < columns * rows; i++) {
      const x = x0 + cw * (i % columns), y = y0 + ch * Math.floor(i / columns);
      const bx = Math.round(x + cw / 4), by = Math.round(y + ch / 4);
      const luma = mean(bx, by,
        Math.max(Math.round(x + 3 * cw / 4), bx + 1), Math.max(Math.round(y + 3 * ch / 4), by + 1));
      if (luma < 0) return { bits: null, contrast: Infinity };
      lumas.push(luma);
    }
    const lowest = Math.min(...lumas), contrast = Math.max(...lumas) - lowest;
    const bits = [];
    for (const luma of lumas) {
      const share = (luma - lowest) / contrast;
      if (!(Math.abs(share - 0.5) >= 0.15)) return { bits: null, contrast };
      bits.push(share > 0.5 ? 1 : 0);
    }
    return { bits, contrast };
  }

  // Numbers of more than 32 bits, so no bit operators.
  const number = (bits) => bits.reduce((value, bit) => 2 * value + bit, 0);

  function decode(bits) {
    let crc = 0xFFFF;
    for (let i = 0; i < 48; i += 8) {
      crc ^= number(bits.slice(i, i + 8)) << 8;
      for (let k = 0; k < 8; k++) crc = (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1) & 0xFFFF;
    }
    if (crc !== number(bits.slice(48))) return null;
    return { index: number(bits.slice(0, 6)), timeMS: number(bits.slice(6, 48)), ok: true };
  }

  for (const scale of [1, 1.02, 1.04, 0.98]) {
    for (const dy of [0, 0.006, -0.006, 0.012, -0.012]) {
      for (const dx of [0, 0.006, -0.006, 0.012, -0.012]) {
        const { bits, contrast } = sample(scale, dx, dy);
        if (contrast < 60) return none;
        const found = bits && decode(bits);
        if (found) return found;
      }
    }
  }
  return none;
})
