// All tracks of a clip start together and run silently beside each other; switching only moves the gains. That way
// what is heard changes in place, at the same sample.

const FADE = 0.008; // seconds

async function decode(base64, rate) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const context = new OfflineAudioContext(1, 1, Math.min(Math.max(rate, 8000), 96000));
  return context.decodeAudioData(bytes.buffer);
}

function rms(buffer) {
  const samples = buffer.getChannelData(0);
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / Math.max(samples.length, 1));
}

function peak(buffer) {
  let largest = 0;
  for (const sample of buffer.getChannelData(0)) largest = Math.max(largest, Math.abs(sample));
  return largest;
}

class Player {
  constructor(changed) {
    this.changed = changed; // called when playing starts or ends
    this.context = null;
    this.sources = [];
    this.playing = false;
    this.loop = false;
    this.matched = false;
    this.offset = 0;
    this.setTracks([], 0);
  }

  setTracks(buffers, reference) {
    this.stop();
    this.buffers = buffers;
    this.duration = Math.max(0, ...buffers.map((buffer) => buffer.duration));
    this.from = 0; // what is played lies between these two moments
    this.until = this.duration;
    const wanted = buffers.length ? rms(buffers[reference]) : 0;
    this.gains = buffers.map((buffer) => {
      const own = rms(buffer);
      return own > 1e-5 && wanted > 1e-5 ? Math.min(wanted / own, 0.99 / Math.max(peak(buffer), 1e-5), 30) : 1;
    });
    this.audible = reference;
    this.offset = 0;
  }

  gain(track) {
    return this.matched ? this.gains[track] : 1;
  }

  get position() {
    if (!this.playing) return this.offset;
    const elapsed = this.offset + Math.max(0, this.context.currentTime - this.started);
    return this.loop ? this.from + ((elapsed - this.from) % (this.until - this.from)) : Math.min(elapsed, this.until);
  }

  play() {
    if (this.playing || !this.buffers.length) return;
    this.context ??= new AudioContext();
    this.context.resume();
    if (this.offset >= this.until - 0.01 || this.offset < this.from) this.offset = this.from;
    this.started = this.context.currentTime + 0.02;
    this.sources = this.buffers.map((buffer, track) => {
      const source = this.context.createBufferSource();
      const level = this.context.createGain();
      source.buffer = buffer;
      source.loop = this.loop;
      source.loopStart = this.from;
      source.loopEnd = this.until;
      level.gain.value = track === this.audible ? this.gain(track) : 0;
      source.connect(level).connect(this.context.destination);
      if (this.loop) source.start(this.started, this.offset);
      else source.start(this.started, this.offset, this.until - this.offset);
      return { source, level };
    });
    const longest = this.buffers.findIndex((buffer) => buffer.duration === this.duration);
    this.sources[longest].source.onended = () => {
      this.stop();
      this.offset = this.until;
      this.changed();
    };
    this.playing = true;
    this.changed();
  }

  stop() {
    if (!this.playing) return;
    this.offset = this.position;
    this.playing = false;
    for (const { source } of this.sources) {
      source.onended = null;
      source.stop();
    }
    this.sources = [];
    this.changed();
  }

  toggle() {
    if (this.playing) this.stop();
    else this.play();
  }

  seek(seconds) {
    const resume = this.playing;
    this.stop();
    this.offset = Math.min(Math.max(seconds, this.from), this.until);
    if (resume) this.play();
  }

  // Play only what lies between two moments, from the first one on.
  setRange(from, until) {
    const resume = this.playing;
    this.stop();
    this.from = from;
    this.until = Math.min(until, this.duration);
    this.offset = this.from;
    if (resume) this.play();
  }

  // Hear another track, from the same moment on.
  choose(track) {
    this.audible = track;
    this.settle();
  }

  settle() {
    this.sources.forEach(({ source, level }, track) => {
      source.loop = this.loop;
      level.gain.setTargetAtTime(track === this.audible ? this.gain(track) : 0, this.context.currentTime, FADE);
    });
  }
}
