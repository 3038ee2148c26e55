// One recording: players, pictures, verdict, answers; the whole of it, or one of its segments.

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
  segment: null, // number of the segment that is shown; null for the whole of several

  async open(number) {
    if (number === this.number) return;
    this.number = number;
    player.stop();
    $("loading").hidden = false;
    $("loading").textContent = "Loading …";
    try {
      const clip = await contentOf(number);
      const rate = this.run().sample_rate;
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
    this.evidence = unpacked(this.clip.evidence);
    this.map = this.clip.map && unpacked(this.clip.map);
    this.segment = this.clip.segments.length > 1 ? null : 0;
    this.level = Math.max(0, this.clip.segments[0].levels.findIndex((level) => level.keep === this.clip.own));
    $("loading").hidden = true;
    $("clip").hidden = false;
    this.whole = TRACKS.find((track) => this.buffers[track]);
    if (!this.buffers[this.track]) this.track = this.whole;
    player.setTracks(this.flat(), this.indexOf(this.whole));
    this.showFacts();
    this.showColours();
    this.showSegment();
    this.choose(this.track);
    $("clip").dataset.ready = number;
  },

  run() {
    return data.runs[data.rows[this.number][1]];
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

  span() {
    return [player.from, player.until];
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
    this.level = Math.min(Math.max(level, 0), this.clip.segments[0].levels.length - 1);
    player.choose(this.indexOf(this.track));
    this.showLevel();
    this.draw();
  },

  // Hear and see one segment, or the whole recording.
  openSegment(segment) {
    this.segment = this.clip.segments.length > 1 ? segment : 0;
    this.showSegment();
    this.draw();
  },

  showFacts() {
    const row = data.rows[this.number];
    $("name").textContent = row[0];
    for (const input of document.querySelectorAll("input[name=track]")) input.disabled = !this.buffers[input.value];
    const { levels } = this.clip.segments[0];
    $("keep").max = levels.length - 1;
    $("keep-row").hidden = levels.length < 2;
    const { model, sample_rate, settings, versions } = this.run();
    const facts = { recording: row[0], model, "sample rate": `${sample_rate} Hz` };
    if (row[8] !== null) facts["level of the recording"] = `${number(row[8])} dB of full scale`;
    Object.assign(facts, settings);
    for (const [key, value] of Object.entries(versions)) facts[`${key} version`] = value;
    if (this.clip.tail > 0) facts["not explained at the end"] = seconds(this.clip.tail);
    $("settings").replaceChildren(...Object.entries(facts).flatMap(([k, v]) => [element("dt", k), element("dd", String(v))]));
    $("missing").replaceChildren(...this.clip.missing.map((sentence) => element("li", sentence)));
    $("missing-section").hidden = !this.clip.missing.length;
  },

  // What the spectrogram may be coloured by: what there is for this recording.
  showColours() {
    const there = { occlusion: this.map, kept: this.buffers.explanation && this.whole !== "explanation", none: true };
    for (const option of $("colour").options) option.disabled = option.hidden = !there[option.value];
    if (!there[$("colour").value] || $("colour").value === "none") {
      $("colour").value = ["occlusion", "kept", "none"].find((name) => there[name]);
    }
  },

  showSegment() {
    const { segments } = this.clip;
    const several = segments.length > 1;
    const one = this.segment === null ? null : segments[this.segment];
    player.setRange(one && several ? one.start : 0, one && several ? one.end : player.duration);
    $("position").min = player.from.toFixed(3);
    $("position").max = player.until.toFixed(3);
    $("whole").hidden = !several || !one;
    $("answers-section").hidden = !one;
    $("segments-section").hidden = !several;
    const truth = data.rows[this.number][4];
    if (one) {
      const place = several ? `Segment ${this.segment + 1} of ${segments.length}, ${seconds(one.start)} to ${seconds(one.end)}: ` : "";
      $("classified").replaceChildren(`${place}classified as `, element("b", data.labels[one.label]), ` (${probability(one.probability)})`);
      if (one.target !== one.label) {
        $("classified").append(", explained for ", element("b", data.labels[one.target]), ` (${probability(one.targetProbability)})`);
      }
    } else {
      $("classified").replaceChildren(`${plural(segments.length, "segment")}, classified as: ${tally(segments.map((s) => data.labels[s.label]))}`);
    }
    if (truth >= 0) {
      const right = (one ?? { label: data.rows[this.number][2] }).label === truth;
      $("classified").append("; true label ", element("b", data.labels[truth]), ": ",
        element("span", right ? "right" : "wrong", { class: right ? "right" : "wrong" }));
    }
    this.showLevel();
    this.showPosition();
  },

  showLevel() {
    const { segments } = this.clip;
    const one = segments[this.segment ?? 0];
    const level = one.levels[this.level];
    const kept = percent(level.keep);
    $("keep").value = this.level;
    $("keep").setAttribute("aria-valuetext", kept);
    $("keep-value").textContent = kept;
    this.showSegments();
    if (this.segment === null) {
      const kinds = segments.map((segment) => segment.levels[this.level].kind);
      $("verdict").dataset.kind = "silent";
      $("headline").dataset.symbol = "–";
      $("headline").textContent = `Verdicts on the segments: ${tally(kinds.map((kind) => data.kinds[kind][1]))}`;
      $("reasons").replaceChildren(element("li", "Choose a segment in the picture or in the table to hear and see it."));
      return;
    }
    const kind = data.kinds[level.kind][0];
    $("verdict").dataset.kind = kind;
    $("headline").textContent = level.headline;
    $("headline").dataset.symbol = SYMBOLS[kind];
    const reasons = [...level.reasons];
    if (kind === "holds" && !level.latentSufficient) {
      reasons.push("The kept latent is classified differently when it is not decoded; the verdict is about its sound.");
    }
    reasons.push(`Kept: ${kept} of the latent elements of frames with sound.`, one.gap === null
      ? "The completeness gap cannot be measured." : `Completeness gap: ${percent(one.gap)}.`);
    if (level.metrics.length) reasons.push(`Metrics: ${level.metrics.map(([name, value]) => `${name} ${number(value)}`).join(", ")}.`);
    $("reasons").replaceChildren(...reasons.map((reason) => element("li", reason)));
    this.showAnswers(one.before, level.after);
  },

  showAnswers(recording, explanation) {
    const before = new Map(recording);
    const after = new Map(explanation);
    const labels = [...before.keys(), ...[...after.keys()].filter((label) => !before.has(label))];
    const bar = (share, side) => {
      const cell = element("td", null);
      if (share === undefined) {
        cell.append(element("span", "not in its top 5", { class: "none" }));
        return cell;
      }
      const line = element("i", null, { class: side, "aria-hidden": "true" });
      line.style.width = `${100 * share}%`;
      const track = element("span", null, { class: "bar" });
      track.append(line);
      const both = element("div", null);
      both.append(track, element("span", probability(share)));
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

  // The table of segments, and the strip above the pictures that marks where each one lies.
  showSegments() {
    const { segments } = this.clip;
    if (segments.length < 2) {
      for (const id of ["strip", "cuts"]) $(id).replaceChildren();
      return;
    }
    const [from, until] = this.span();
    const place = (moment) => `${(100 * (moment - from)) / (until - from)}%`;
    $("strip").replaceChildren(...segments.map((segment, i) => {
      const words = `${data.labels[segment.label]} ${probability(segment.probability)}`;
      const mark = element("button", words, {
        type: "button", "data-segment": i, title: words, "aria-pressed": String(i === this.segment),
        "aria-label": `Segment ${i + 1}, ${words}`,
      });
      mark.style.left = place(segment.start);
      mark.style.width = `${(100 * (segment.end - segment.start)) / (until - from)}%`;
      mark.hidden = segment.end <= from || segment.start >= until;
      return mark;
    }));
    $("cuts").replaceChildren(...segments.filter(({ start }) => start > from && start < until).map(({ start }) => {
      const cut = element("div", null, { class: "cut" });
      cut.style.left = place(start);
      return cut;
    }));
    $("segments").replaceChildren(...segments.map((segment, i) => {
      const row = element("tr", null, { "data-segment": i });
      const times = element("th", null, { scope: "row" });
      times.append(element("button", `${segment.start.toFixed(2)}–${segment.end.toFixed(2)}`, { type: "button" }));
      row.classList.toggle("current", i === this.segment);
      row.append(times, element("td", data.labels[segment.label]), element("td", probability(segment.probability)),
        element("td", segment.levels[this.level].headline));
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
    const [from, until] = this.span();
    $("playhead").style.left = `${(100 * (now - from)) / (until - from || 1)}%`;
    $("position").value = now;
    $("position").setAttribute("aria-valuetext", seconds(now));
    $("time").textContent = `${now.toFixed(2)} / ${seconds(until)}`;
  },

  tint(frames) {
    const colour = $("colour").value;
    if (colour === "occlusion" && this.map) return occlusionTint(this.map, frames, player.duration);
    if (colour === "kept" && this.buffers.explanation) {
      const reference = this.buffers.reconstruction ? "reconstruction" : this.whole;
      return keptTint(this.buffer("explanation"), this.buffer(reference));
    }
    return null;
  },

  draw() {
    if (!this.clip) return;
    const tone = colours();
    const span = this.span();
    const { whole } = this;
    const chosen = this.buffer();
    const gain = player.gain(this.indexOf(this.track));
    const layers = [{ buffer: this.buffer(whole), gain: player.gain(this.indexOf(whole)), colour: tone.faint }];
    if (this.track !== whole) layers.push({ buffer: chosen, gain, colour: tone.accent });
    else layers[0].colour = tone.accent;
    waveform($("wave"), layers, span);
    const { frames } = melSpectrum(chosen);
    const { loudest } = melSpectrum(this.buffer(whole));
    spectrogram($("spectrogram"), chosen, 20 * Math.log10(gain), loudest, this.tint(frames), span);
    evidenceBars($("evidence"), this.evidence, this.clip.frameRate, span);
    timeAxis($("axis"), span);
    this.describe(span);
  },

  // Captions and legends, in words.
  describe([from, until]) {
    const { segments } = this.clip;
    const targets = new Set((this.segment === null ? segments : [segments[this.segment]]).map((one) => one.target));
    const target = targets.size > 1 ? "the label of each segment" : `“${data.labels[[...targets][0]]}”`;
    const top = this.run().sample_rate / 2000;
    const shown = this.track[0].toUpperCase() + this.track.slice(1);
    $("wave-caption").textContent = this.track === this.whole ? shown : `${shown} over the ${this.whole}`;
    $("spectrogram-caption").textContent = `${shown}, 0 to ${top} kHz (mel), ${RANGE_DB} dB`;
    const colour = $("colour").value;
    $("scale").dataset.colour = colour;
    const limit = this.map ? number(this.map.scale) : "";
    $("scale-low").textContent = { occlusion: `against: −${limit}`, kept: `${LEAST_DB} dB`.replace("-", "−"), none: "" }[colour];
    $("scale-high").textContent = { occlusion: `for: ${limit} logit lost when removed`, kept: "0 dB kept", none: "" }[colour];
    const [highest, lowest] = extent(this.evidence);
    const some = highest > 0 || lowest < 0;
    $("evidence-caption").textContent = some
      ? `Attribution for ${target}, ${number(lowest)} to ${number(highest)} logit a frame` : "The attribution over time was not stored";
    const strongest = this.evidence.values.reduce((best, value, i, all) => (i % 2 === 0 && value > all[best] ? i : best), 0);
    $("wave").setAttribute("aria-label", `Waveform of the ${this.track}, ${seconds(from)} to ${seconds(until)}`);
    const by = { occlusion: `coloured by what the logit of ${target} loses when a block is removed`, kept: "coloured by what is kept", none: "in grey" }[colour];
    $("spectrogram").setAttribute("aria-label", `Mel spectrogram of the ${this.track}, ${by}`);
    $("evidence").setAttribute("aria-label", some
      ? `Attribution over time; strongest for ${target} at ${seconds((strongest / 2 + 0.5) / this.clip.frameRate)}` : "No attribution over time");
  },
};
