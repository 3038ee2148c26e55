// Waveform, log-mel spectrogram coloured by attribution, and the evidence curve; all on one time axis.

const BANDS = 72;
const RANGE_DB = 70;

function fft(real, imaginary) {
  const n = real.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let size = 2; size <= n; size <<= 1) {
    for (let k = 0; k < size / 2; k++) {
      const angle = (-2 * Math.PI * k) / size;
      const c = Math.cos(angle);
      const s = Math.sin(angle);
      for (let a = k; a < n; a += size) {
        const b = a + size / 2;
        const re = real[b] * c - imaginary[b] * s;
        const im = real[b] * s + imaginary[b] * c;
        real[b] = real[a] - re;
        imaginary[b] = imaginary[a] - im;
        real[a] += re;
        imaginary[a] += im;
      }
    }
  }
}

const toMel = (hertz) => 2595 * Math.log10(1 + hertz / 700);
const toHertz = (mel) => 700 * (10 ** (mel / 2595) - 1);

// Triangular bands, equally wide in mel: for each FFT bin the bands that it adds to.
function melBands(rate, size) {
  const top = toMel(rate / 2);
  const edges = Array.from({ length: BANDS + 2 }, (_, i) => (toHertz((top * i) / (BANDS + 1)) * size) / rate);
  const bands = [];
  for (let band = 0; band < BANDS; band++) {
    const [low, centre, high] = edges.slice(band, band + 3);
    const weights = [];
    for (let bin = Math.floor(low); bin <= Math.ceil(high) && bin <= size / 2; bin++) {
      const weight = Math.min((bin - low) / (centre - low), (high - bin) / (high - centre));
      if (weight > 0) weights.push([bin, weight]);
    }
    if (!weights.length) weights.push([Math.min(Math.round(centre), size / 2), 1]);
    bands.push(weights);
  }
  return bands;
}

const spectra = new WeakMap();

// Log-mel power in dB of the first channel, [frames * BANDS].
function melSpectrum(buffer) {
  if (spectra.has(buffer)) return spectra.get(buffer);
  const samples = buffer.getChannelData(0);
  const rate = buffer.sampleRate;
  const size = 2 ** Math.ceil(Math.log2(0.032 * rate));
  const frames = Math.max(1, Math.min(3000, Math.ceil(buffer.duration / 0.008)));
  const hop = samples.length / frames;
  const bands = melBands(rate, size);
  const values = new Float32Array(frames * BANDS);
  const real = new Float32Array(size);
  const imaginary = new Float32Array(size);
  for (let frame = 0; frame < frames; frame++) {
    const start = Math.round((frame + 0.5) * hop - size / 2);
    for (let i = 0; i < size; i++) {
      real[i] = (samples[start + i] || 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size));
    }
    imaginary.fill(0);
    fft(real, imaginary);
    bands.forEach((weights, band) => {
      let power = 0;
      for (const [bin, weight] of weights) power += weight * (real[bin] ** 2 + imaginary[bin] ** 2);
      values[frame * BANDS + band] = 10 * Math.log10(power + 1e-12);
    });
  }
  const spectrum = { frames, values, loudest: values.reduce((a, b) => Math.max(a, b), -120) };
  spectra.set(buffer, spectrum);
  return spectrum;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  const numbers = (name) => read(name).match(/[0-9a-f]{2}/gi).map((pair) => parseInt(pair, 16));
  return {
    ink: numbers("--ink"), ground: numbers("--panel"), positive: numbers("--for"), negative: numbers("--against"),
    faint: read("--faint"), accent: read("--accent"), text: read("--muted"), line: read("--line"),
    css: (rgb, alpha = 1) => `rgba(${rgb.join(",")},${alpha})`,
  };
}

// A canvas as sharp as the screen; returns its context in CSS pixels.
function prepared(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return { context, width, height };
}

function waveform(canvas, layers, duration) {
  const { context, width, height } = prepared(canvas);
  const highest = Math.max(1e-4, ...layers.map(({ buffer, gain }) => gain * peak(buffer)));
  for (const { buffer, gain, colour } of layers) {
    const samples = buffer.getChannelData(0);
    const perPixel = (buffer.sampleRate * duration) / width;
    context.fillStyle = colour;
    for (let x = 0; x < width; x++) {
      const end = Math.min((x + 1) * perPixel, samples.length);
      let low = 0;
      let high = 0;
      for (let i = Math.floor(x * perPixel); i < end; i++) {
        if (samples[i] < low) low = samples[i];
        if (samples[i] > high) high = samples[i];
      }
      const scale = (gain / highest) * (height / 2 - 2);
      context.fillRect(x, height / 2 - high * scale, 1, Math.max(1, (high - low) * scale));
    }
  }
}

// Signed sum of the evidence at a moment, -1 to 1.
function evidenceAt(evidence, seconds) {
  const frame = Math.min(evidence.frames - 1, Math.max(0, Math.floor(seconds * evidence.rate)));
  return (evidence.values[2 * frame] + evidence.values[2 * frame + 1]) / evidence.largest;
}

function spectrogram(canvas, buffer, decibels, loudest, evidence, duration, coloured) {
  const { context, width, height } = prepared(canvas);
  const tone = colours();
  const spectrum = melSpectrum(buffer);
  const image = new ImageData(spectrum.frames, BANDS);
  for (let frame = 0; frame < spectrum.frames; frame++) {
    const signed = coloured ? evidenceAt(evidence, ((frame + 0.5) / spectrum.frames) * buffer.duration) : 0;
    const hue = signed > 0 ? tone.positive : tone.negative;
    const share = Math.min(1, Math.abs(signed)) ** 0.6;
    const full = tone.ink.map((c, i) => c + (hue[i] - c) * share);
    const empty = tone.ground.map((c, i) => c + (hue[i] - c) * 0.16 * share);
    for (let band = 0; band < BANDS; band++) {
      const db = spectrum.values[frame * BANDS + band] + decibels - loudest;
      const energy = Math.min(1, Math.max(0, 1 + db / RANGE_DB)) ** 1.4;
      const at = 4 * ((BANDS - 1 - band) * spectrum.frames + frame);
      for (let c = 0; c < 3; c++) image.data[at + c] = empty[c] + (full[c] - empty[c]) * energy;
      image.data[at + 3] = 255;
    }
  }
  const small = document.createElement("canvas");
  small.width = spectrum.frames;
  small.height = BANDS;
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, (width * buffer.duration) / duration, height);
}

function evidenceCurve(canvas, evidence, duration) {
  const { context, width, height } = prepared(canvas);
  const tone = colours();
  let highest = 0;
  let lowest = 0;
  evidence.values.forEach((value) => {
    highest = Math.max(highest, value);
    lowest = Math.min(lowest, value);
  });
  const top = 24; // below the caption
  const room = height - top - 3;
  const zero = top + (room * highest) / Math.max(highest - lowest, 1e-9);
  const scale = room / Math.max(highest - lowest, 1e-9);
  const step = width / (duration * evidence.rate);
  for (const [side, colour] of [[0, tone.positive], [1, tone.negative]]) {
    context.fillStyle = tone.css(colour, 0.85);
    for (let frame = 0; frame < evidence.frames; frame++) {
      const tall = evidence.values[2 * frame + side] * scale;
      context.fillRect(frame * step + 0.5, Math.min(zero, zero - tall), Math.max(1, step - 1), Math.abs(tall));
    }
  }
  context.fillStyle = tone.text;
  context.fillRect(0, zero - 0.5, width, 1);
}

function timeAxis(canvas, duration) {
  const { context, width, height } = prepared(canvas);
  const tone = colours();
  const step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10].find((s) => (s / duration) * width > 72) || 20;
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "bottom";
  for (let i = 0; i * step <= duration + 1e-6; i++) {
    const x = (i * step * width) / duration;
    context.fillStyle = tone.line;
    context.fillRect(Math.min(x, width - 1), 0, 1, 4);
    const text = `${(i * step).toFixed(step < 1 ? (step < 0.1 ? 2 : 1) : 0)} s`;
    context.fillStyle = tone.text;
    context.textAlign = i === 0 ? "left" : x > width - 20 ? "right" : "center";
    context.fillText(text, x, height);
  }
}
