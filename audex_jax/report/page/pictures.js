// Waveform, log-mel spectrogram coloured by the occlusion map or by what is kept, and the evidence over time; all of the
// same span of time, [from, until] in seconds.

const BANDS = 72;
const RANGE_DB = 70;
const LEAST_DB = -30; // of what an explanation keeps of a cell
const MAP_HOP = 0.02; // seconds between the frames of an occlusion map
const EMPTY_DB = -50; // below the loudest cell there is nothing to keep

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

function waveform(canvas, layers, [from, until]) {
  const { context, width, height } = prepared(canvas);
  const highest = Math.max(1e-4, ...layers.map(({ buffer, gain }) => gain * peak(buffer)));
  for (const { buffer, gain, colour } of layers) {
    const samples = buffer.getChannelData(0);
    const first = buffer.sampleRate * from;
    const perPixel = (buffer.sampleRate * (until - from)) / width;
    context.fillStyle = colour;
    for (let x = 0; x < width; x++) {
      const end = Math.min(first + (x + 1) * perPixel, samples.length);
      let low = 0;
      let high = 0;
      for (let i = Math.floor(first + x * perPixel); i < end; i++) {
        if (samples[i] < low) low = samples[i];
        if (samples[i] > high) high = samples[i];
      }
      const scale = (gain / highest) * (height / 2 - 2);
      context.fillRect(x, height / 2 - high * scale, 1, Math.max(1, (high - low) * scale));
    }
  }
}

// An array `[t, width]` as the page holds it.
function unpacked({ scale, width, bytes }) {
  const values = Float32Array.from(atob(bytes), (letter) => ((letter.charCodeAt(0) << 24) >> 24) * (scale / 127));
  return { values, width, scale, frames: values.length / width };
}

// What an explanation keeps of each cell of the whole sound, 0 to 1 for LEAST_DB to 0 dB; both on the same grid.
function keptTint(explanation, whole) {
  const [kept, all] = [melSpectrum(explanation), melSpectrum(whole)];
  return (frame, band) => {
    const at = frame * BANDS + band;
    if (all.values[at] < all.loudest + EMPTY_DB) return 0;
    return 1 - Math.min(0, Math.max(LEAST_DB, kept.values[at] - all.values[at])) / LEAST_DB;
  };
}

// The occlusion map as -1 to 1, read between its cells.
function occlusionTint(map, frames, duration) {
  const value = (frame, band) =>
    map.values[Math.min(Math.max(frame, 0), map.frames - 1) * map.width + Math.min(Math.max(band, 0), map.width - 1)];
  return (frame, band) => {
    const t = ((frame + 0.5) / frames) * (duration / MAP_HOP) - 0.5;
    const b = ((band + 0.5) / BANDS) * map.width - 0.5;
    const [i, j] = [Math.floor(t), Math.floor(b)];
    const [u, v] = [t - i, b - j];
    const mixed = (1 - u) * ((1 - v) * value(i, j) + v * value(i, j + 1))
      + u * ((1 - v) * value(i + 1, j) + v * value(i + 1, j + 1));
    return mixed / map.scale;
  };
}

// `tint` tells how much of the colour for (above 0) or against (below) each cell gets; null for grey.
function spectrogram(canvas, buffer, decibels, loudest, tint, [from, until]) {
  const { context, width, height } = prepared(canvas);
  const tone = colours();
  const spectrum = melSpectrum(buffer);
  const image = new ImageData(spectrum.frames, BANDS);
  for (let frame = 0; frame < spectrum.frames; frame++) {
    for (let band = 0; band < BANDS; band++) {
      const signed = tint ? tint(frame, band) : 0;
      const hue = signed > 0 ? tone.positive : tone.negative;
      const share = Math.abs(signed) ** 0.6;
      const db = spectrum.values[frame * BANDS + band] + decibels - loudest;
      const energy = Math.min(1, Math.max(0, 1 + db / RANGE_DB)) ** 1.4;
      const at = 4 * ((BANDS - 1 - band) * spectrum.frames + frame);
      for (let c = 0; c < 3; c++) {
        const full = tone.ink[c] + (hue[c] - tone.ink[c]) * share;
        image.data[at + c] = tone.ground[c] + (full - tone.ground[c]) * energy;
      }
      image.data[at + 3] = 255;
    }
  }
  const small = document.createElement("canvas");
  small.width = spectrum.frames;
  small.height = BANDS;
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingQuality = "high";
  const perSecond = width / (until - from);
  context.drawImage(small, -from * perSecond, 0, buffer.duration * perSecond, height);
}

// The largest sums for and against of a frame, [highest, lowest], in logits.
function extent(evidence) {
  let [highest, lowest] = [0, 0];
  for (const value of evidence.values) {
    if (value > highest) highest = value;
    if (value < lowest) lowest = value;
  }
  return [highest, lowest];
}

function evidenceBars(canvas, evidence, rate, [from, until]) {
  const { context, width, height } = prepared(canvas);
  const tone = colours();
  const [highest, lowest] = extent(evidence);
  const top = 24; // below the caption
  const scale = (height - top - 3) / Math.max(highest - lowest, 1e-9);
  const zero = top + highest * scale;
  const step = width / ((until - from) * rate);
  for (const [side, colour] of [[0, tone.positive], [1, tone.negative]]) {
    context.fillStyle = tone.css(colour, 0.85);
    for (let frame = 0; frame < evidence.frames; frame++) {
      const tall = evidence.values[2 * frame + side] * scale;
      const left = (frame - from * rate) * step;
      context.fillRect(left + 0.5, Math.min(zero, zero - tall), Math.max(1, step - 1), Math.abs(tall));
    }
  }
  context.fillStyle = tone.text;
  context.fillRect(0, zero - 0.5, width, 1);
}

function timeAxis(canvas, [from, until]) {
  const { context, width, height } = prepared(canvas);
  const tone = colours();
  const duration = until - from;
  const step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120].find((s) => (s / duration) * width > 72) || 300;
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "bottom";
  for (let i = Math.ceil(from / step - 1e-6); i * step <= until + 1e-6; i++) {
    const x = ((i * step - from) * width) / duration;
    context.fillStyle = tone.line;
    context.fillRect(Math.min(x, width - 1), 0, 1, 4);
    const text = `${(i * step).toFixed(step < 1 ? (step < 0.1 ? 2 : 1) : 0)} s`;
    context.fillStyle = tone.text;
    context.textAlign = x < 20 ? "left" : x > width - 20 ? "right" : "center";
    context.fillText(text, x, height);
  }
}
