// One recording: players, pictures, verdict, answers.

const TRACKS = ["original", "reconstruction", "explanation", "residual"];
const TRACK_WORDS = {
  original: "The recording as the classifier gets it.",
  reconstruction: "What the codec makes of the whole recording: all that the classifier can know of it.",
  explanation: "Only what mattered most for the decision.",
  residual: "Everything but the explanation.",
};
const SYMBOLS = {
  holds: "✓", shared: "≈", artefact: "✗", anything: "✗", "made-up": "✗", lost: "✗", codec: "!", attack: "✗", silent: "–",
};

const data = JSON.parse($("index").textContent);
const percent = (thousandths) =>
  thousandths === 0 ? "<0.1 %" : `${(thousandths / 10).toFixed(thousandths < 100 ? 1 : 0)} %`;
const seconds = (value) => `${value.toFixed(2)} s`;

// Content of a clip: inside the page, or in a script of its own beside it (which works from disk, where fetch does not).
const parsed = new Promise((resolve) => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", resolve);
  else resolve();
});
const arriving = new Map();
window.audexClip = (number, content) => arriving.get(number)?.(content);

async function contentOf(number) {
  if (!data.assets) {
    await parsed;
    return JSON.parse($(`clip-${number}`).textContent);
  }
  return new Promise((resolve, reject) => {
    const script = element("script", null, { src: `${encodeURIComponent(data.assets)}/${number}.js` });
    script.onerror = () => reject(new Error(`the folder ${data.assets} is not beside this page, or not complete`));
    script.onload = () => script.remove();
    arriving.set(number, resolve);
    document.head.append(script);
  });
}

const player = new Player(() => view.showPlaying());

const view = {
  number: null, // of the clip that is shown
  clip: null,
  buffers: {}, // by track; explanation and residual by level
  track: "original",
  whole: "original", // the track that the others are compared with
  level: 0,

  async open(number) {
    if (number === this.number) return;
    this.number = number;
    player.stop();
    $("loading").hidden = false;
    $("loading").textContent = "Loading …";
    try {
      const clip = await contentOf(number);
      const rate = data.runs[data.rows[number][1]].sample_rate;
      const buffers = {};
      for (const [track, files] of Object.entries(clip.sounds)) {
        buffers[track] = await Promise.all(files.map((file) => decode(file, rate)));
      }
      if (number !== this.number) return; // another was chosen meanwhile
      this.clip = clip;
      this.buffers = buffers;
    } catch (error) {
      $("clip").hidden = true;
      $("loading").textContent = `This recording cannot be shown: ${error.message}.`;
      return;
    }
    const bytes = Int8Array.from(atob(this.clip.evidence), (letter) => (letter.charCodeAt(0) << 24) >> 24);
    const frames = bytes.length / 2;
    let largest = 1;
    for (let i = 0; i < frames; i++) largest = Math.max(largest, Math.abs(bytes[2 * i] + bytes[2 * i + 1]));
    this.evidence = { values: Array.from(bytes), frames, rate: this.clip.frameRate, largest };
    const own = this.clip.levels.findIndex((level) => level.keep === this.clip.own);
    this.level = Math.max(0, own);
    $("loading").hidden = true;
    $("clip").hidden = false;
    this.showFacts();
    this.whole = TRACKS.find((track) => this.buffers[track]);
    if (!this.buffers[this.track]) this.track = this.whole;
    player.setTracks(this.flat(), this.indexOf(this.whole));
    $("position").max = player.duration.toFixed(3);
    this.choose(this.track);
    this.showLevel();
    this.showPosition();
    $("clip").dataset.ready = number;
  },

  flat() {
    return Object.values(this.buffers).flat();
  },

  buffer(track = this.track) {
    const list = this.buffers[track];
    return list[Math.min(this.level, list.length - 1)];
  },

  indexOf(track) {
    return this.flat().indexOf(this.buffer(track));
  },

  choose(track) {
    if (!this.buffers[track]) return;
    this.track = track;
    document.querySelector(`input[name=track][value=${track}]`).checked = true;
    player.choose(this.indexOf(track));
    $("track-words").textContent = TRACK_WORDS[track];
    this.draw();
  },

  keep(level) {
    this.level = Math.min(Math.max(level, 0), this.clip.levels.length - 1);
    player.choose(this.indexOf(this.track));
    this.showLevel();
    this.draw();
  },

  showFacts() {
    const [name, run, label, share, target] = data.rows[this.number];
    const words = data.labels;
    $("name").textContent = name;
    $("classified").replaceChildren("classified as ", element("b", words[label]), ` (${percent(share)})`);
    if (target !== label) {
      $("classified").append(", explained for ", element("b", words[target]), ` (${percent(this.clip.targetProbability)})`);
    }
    for (const input of document.querySelectorAll("input[name=track]")) input.disabled = !this.buffers[input.value];
    const levels = this.clip.levels;
    $("keep").max = levels.length - 1;
    $("keep-row").hidden = levels.length < 2;
    $("segments-section").hidden = !this.clip.segments.length;
    $("segments").replaceChildren(...this.clip.segments.map(([start, end, said, sure, headline]) => {
      const row = element("tr", null);
      row.append(element("td", `${start.toFixed(1)}–${end.toFixed(1)}`), element("td", `${words[said]} (${percent(sure)})`),
        element("td", headline));
      return row;
    }));
    const { model, sample_rate, settings, versions } = data.runs[run];
    const facts = { recording: this.clip.file, model, "sample rate": `${sample_rate} Hz`, ...settings };
    for (const [key, value] of Object.entries(versions)) facts[`${key} version`] = value;
    if (this.clip.tail > 0) facts["unexplained at the end"] = seconds(this.clip.tail);
    const missing = TRACKS.filter((track) => !this.buffers[track]);
    if (missing.length) facts["sounds not there"] = missing.join(", ");
    $("settings").replaceChildren(...Object.entries(facts).flatMap(([k, v]) => [element("dt", k), element("dd", String(v))]));
  },

  showLevel() {
    const level = this.clip.levels[this.level];
    const kept = `${Number((100 * level.keep).toPrecision(3))} %`;
    $("keep").value = this.level;
    $("keep").setAttribute("aria-valuetext", kept);
    $("keep-value").textContent = kept;
    const kind = data.kinds[level.kind][0];
    $("verdict").dataset.kind = kind;
    $("headline").textContent = level.headline;
    $("headline").dataset.symbol = SYMBOLS[kind];
    const gap = data.rows[this.number][6];
    const reasons = [...level.reasons];
    const chief = this.clip.segments.find((segment) => segment[6]);
    if (chief) reasons.push(`This is about the most certain segment, ${chief[0].toFixed(1)} to ${chief[1].toFixed(1)} s.`);
    if (!level.latentSufficient && kind === "holds") {
      reasons.push("The kept part of the latent, not decoded, is classified otherwise; its sound is not.");
    }
    reasons.push(`Kept: ${kept} of the latent's elements that sound. ` + (gap === null ? "The gap cannot be measured."
      : `The attributions add up to within ${percent(gap)}.`));
    const number = (value) => Number(value.toPrecision(3));
    for (const [name, value] of level.metrics) reasons.push(`${name}: ${number(value)}`);
    $("reasons").replaceChildren(...reasons.map((reason) => element("li", reason)));
    const before = new Map(this.clip.before);
    const after = new Map(level.after);
    const labels = [...before.keys(), ...[...after.keys()].filter((label) => !before.has(label))];
    const bar = (share, side) => {
      const cell = element("td", null);
      if (share === undefined) {
        cell.append(element("span", "not in its top 5", { class: "none" }));
        return cell;
      }
      const line = element("i", null, { class: side, "aria-hidden": "true" });
      line.style.width = `${share / 10}%`;
      const track = element("span", null, { class: "bar" });
      track.append(line);
      const both = element("div", null);
      both.append(track, element("span", percent(share)));
      cell.append(both);
      return cell;
    };
    $("answers").replaceChildren(...labels.map((label) => {
      const row = element("tr", null);
      row.append(element("th", data.labels[label], { scope: "row" }));
      row.append(bar(before.get(label), "before"), bar(after.get(label), "after"));
      return row;
    }));
  },

  showPlaying() {
    $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
    $("play").classList.toggle("playing", player.playing);
    if (player.playing) requestAnimationFrame(() => this.follow());
    this.showPosition();
  },

  follow() {
    this.showPosition();
    if (player.playing) requestAnimationFrame(() => this.follow());
  },

  showPosition() {
    const now = player.position;
    $("playhead").style.left = `${(100 * now) / (player.duration || 1)}%`;
    $("position").value = now;
    $("position").setAttribute("aria-valuetext", seconds(now));
    $("time").textContent = `${now.toFixed(2)} / ${seconds(player.duration)}`;
  },

  draw() {
    if (!this.clip) return;
    const tone = colours();
    const { duration } = player;
    const { whole } = this;
    const chosen = this.buffer();
    const gain = player.gain(this.indexOf(this.track));
    const layers = [{ buffer: this.buffer(whole), gain: player.gain(this.indexOf(whole)), colour: tone.faint }];
    if (this.track !== whole) layers.push({ buffer: chosen, gain, colour: tone.accent });
    else layers[0].colour = tone.accent;
    waveform($("wave"), layers, duration);
    const loudest = melSpectrum(this.buffer(whole)).loudest;
    spectrogram($("spectrogram"), chosen, 20 * Math.log10(gain), loudest, this.evidence, duration, $("coloured").checked);
    evidenceCurve($("evidence"), this.evidence, duration);
    timeAxis($("axis"), duration);
    const targets = new Set(this.clip.segments.map((segment) => segment[5]));
    const target = targets.size > 1 ? "each segment's label" : `“${data.labels[data.rows[this.number][4]]}”`;
    const rate = data.runs[data.rows[this.number][1]].sample_rate;
    let strongest = 0;
    this.evidence.values.forEach((value, i) => {
      if (i % 2 === 0 && value > this.evidence.values[strongest]) strongest = i;
    });
    const moment = seconds((strongest / 2 + 0.5) / this.evidence.rate);
    const shown = this.track[0].toUpperCase() + this.track.slice(1);
    $("wave-caption").textContent = this.track === whole ? shown : `${shown} over the ${whole}`;
    $("spectrogram-caption").textContent = `${shown}, 0 to ${rate / 2000} kHz (mel)`;
    const some = this.evidence.values.some((value) => value !== 0);
    $("evidence-caption").textContent = some ? `Evidence for and against ${target}` : "No evidence over time was stored";
    $("wave").setAttribute("aria-label", `Waveform of the ${this.track}, ${seconds(duration)}`);
    $("spectrogram").setAttribute("aria-label", `Log-mel spectrogram of the ${this.track}, coloured by evidence`);
    $("evidence").setAttribute("aria-label", `Evidence over time; strongest for ${target} at ${moment}`);
  },
};

function seekTo(event) {
  const box = $("pictures").getBoundingClientRect();
  player.seek(((event.clientX - box.left) / box.width) * player.duration);
  view.showPosition();
}

$("play").addEventListener("click", () => player.toggle());
for (const input of document.querySelectorAll("input[name=track]")) {
  input.addEventListener("change", () => view.choose(input.value));
}
$("matched").addEventListener("change", (event) => {
  player.matched = event.target.checked;
  player.settle();
  view.draw();
});
$("loop").addEventListener("change", (event) => {
  const now = player.position;
  player.loop = event.target.checked;
  if (player.playing) player.seek(now);
});
$("coloured").addEventListener("change", () => view.draw());
$("keep").addEventListener("input", (event) => view.keep(Number(event.target.value)));
$("position").addEventListener("input", (event) => {
  player.seek(Number(event.target.value));
  view.showPosition();
});
$("pictures").addEventListener("pointerdown", (event) => {
  if (event.button) return;
  seekTo(event);
  if (event.pointerType === "mouse") $("pictures").setPointerCapture(event.pointerId);
});
$("pictures").addEventListener("pointermove", (event) => {
  if (event.buttons & 1 && event.pointerType === "mouse") seekTo(event);
});
new ResizeObserver(() => view.draw()).observe($("pictures"));
