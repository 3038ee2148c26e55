// One listener's way through the study. Sounds have meaningless names; what they are stands in a key that is not here.
// Every answer is kept in this browser at once, so that closing the page loses nothing.

const study = JSON.parse($("study").textContent);
const TEST_LEVEL = 10 ** (-23 / 20); // RMS, as of the sounds
const COLUMNS = ["study", "listener", "position", "task", "sound", "other", "answer", "sure", "plays", "seconds"];
const CANNOT_TELL = ""; // also "no difference"

const player = new Player(() => showPlaying());
const state = { listener: null, questions: [], answers: [], heard: new Set(), plays: 0, since: 0, kept: true };

const storageKey = () => `audex-study-${study.study}-${state.listener}`;

function restore() {
  try {
    state.answers = JSON.parse(localStorage.getItem(storageKey())) ?? [];
  } catch {
    state.kept = false;
  }
}

function keep() {
  try {
    localStorage.setItem(storageKey(), JSON.stringify(state.answers));
  } catch {
    state.kept = false;
  }
  $("not-kept").hidden = state.kept;
}

function show(section) {
  player.stop();
  for (const name of ["start", "trial", "pause", "end"]) $(name).hidden = name !== section;
  window.scrollTo(0, 0);
}

function begin(listener) {
  state.listener = listener;
  const { naming, comparing } = study.sheets[listener - 1];
  state.questions = [
    ...naming.map((sound) => ({ task: "naming", sounds: [sound] })),
    ...comparing.map(([first, second, recording, label]) => (
      { task: "comparing", sounds: [first, second, recording], label: study.labels[label] })),
  ];
  restore();
  keep();
  advance();
}

function advance() {
  const done = state.answers.length;
  if (done === state.questions.length) finish();
  else if (done && state.questions[done].task !== state.questions[done - 1].task) {
    show("pause");
    $("pause-title").focus();
  } else ask();
}

function choice(name, value, text) {
  const label = element("label", null);
  label.append(element("input", null, { type: "radio", name, value }), element("span", text));
  return label;
}

async function ask() {
  const number = state.answers.length;
  const question = state.questions[number];
  const naming = question.task === "naming";
  show("trial");
  $("trial").dataset.ready = "";
  $("summary").textContent = `${number + 1} of ${state.questions.length}`;
  $("progress").value = number / state.questions.length;
  $("progress").setAttribute("aria-valuetext", `${number} of ${state.questions.length}`);
  $("question").textContent = naming ? study.question : "Which sound explains the decision better?";
  $("told").hidden = naming;
  $("told").replaceChildren("The computer classified this recording as ", element("b", question.label ?? ""), ".");
  $("tracks").hidden = naming;
  document.querySelector("input[name=track][value='0']").checked = true;
  const offered = naming ? study.labels.map((label) => [label, label]) : question.sounds.slice(0, 2).map((sound, i) => (
    [sound, ["The first", "The second"][i]]));
  offered.push([CANNOT_TELL, naming ? "Cannot tell" : "No difference"]);
  $("choices-legend").textContent = naming ? "Your answer" : "The better explanation";
  $("choices").querySelector(".choices").replaceChildren(...offered.map(([value, text]) => choice("answer", value, text)));
  $("sureness").hidden = !naming;
  for (const input of document.querySelectorAll("input[name=sure]")) input.checked = false;
  $("fault").textContent = "";
  $("question").focus({ preventScroll: true });
  const buffers = await Promise.all(question.sounds.map((sound) => decode(study.sounds[sound], study.rate)));
  player.setTracks(buffers, 0);
  state.heard = new Set();
  state.plays = 0;
  state.since = performance.now();
  showPlaying();
  $("trial").dataset.ready = number;
}

function missing(question) {
  const unheard = question.sounds.findIndex((_, track) => !state.heard.has(track));
  if (unheard >= 0) {
    return question.task === "naming" ? "Listen first: press Play." : `Listen to ${["the first", "the second", "the recording"][unheard]}, too.`;
  }
  if (!document.querySelector("input[name=answer]:checked")) return "Choose an answer.";
  if (question.task === "naming" && !document.querySelector("input[name=sure]:checked")) return "Say how sure you are.";
  return "";
}

function take() {
  const question = state.questions[state.answers.length];
  if (!question || $("trial").dataset.ready === "") return;
  $("fault").textContent = missing(question);
  if ($("fault").textContent) return;
  const sure = document.querySelector("input[name=sure]:checked");
  state.answers.push({
    task: question.task,
    sound: question.sounds[0],
    other: question.sounds[1] ?? "",
    answer: document.querySelector("input[name=answer]:checked").value,
    sure: question.task === "naming" ? sure.value : "",
    plays: state.plays,
    seconds: ((performance.now() - state.since) / 1000).toFixed(1),
  });
  keep();
  advance();
}

// A field of a CSV file, quoted where it has to be (RFC 4180).
const field = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));

function csv() {
  const rows = state.answers.map((answer, i) => (
    { study: study.study, listener: state.listener, position: i + 1, ...answer }));
  return [COLUMNS, ...rows.map((row) => COLUMNS.map((name) => row[name]))]
    .map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
}

function finish() {
  const [done, all] = [state.answers.length, state.questions.length];
  show("end");
  $("end-words").textContent = `${done === all ? "All" : `${done} of ${all}`} questions are answered. `
    + "Save your answers and send the file to whoever invited you.";
  $("resume").hidden = done === all;
  $("summary").textContent = "";
  $("save").href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  $("save").download = `study-${study.study}-listener-${String(state.listener).padStart(2, "0")}.csv`;
  $("answers-text").value = csv();
  $("end-title").focus();
}

function showPlaying() {
  $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  $("play").classList.toggle("playing", player.playing);
  if (player.playing) state.heard.add(player.audible);
  follow();
}

function follow() {
  $("bar").firstElementChild.style.width = `${(100 * player.position) / (player.duration || 1)}%`;
  if (player.playing) requestAnimationFrame(follow);
}

function togglePlay() {
  if (!player.playing) state.plays += 1;
  player.toggle();
}

// Noise at the level of the sounds, louder towards low frequencies as speech is.
function testSound() {
  const context = new AudioContext();
  const buffer = context.createBuffer(1, context.sampleRate, context.sampleRate);
  const samples = buffer.getChannelData(0);
  let last = 0;
  samples.forEach((_, i) => {
    last = 0.95 * last + (Math.random() - 0.5);
    samples[i] = last;
  });
  const gain = TEST_LEVEL / rms(buffer);
  samples.forEach((sample, i) => { samples[i] = gain * sample; });
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(context.destination);
  source.onended = () => context.close();
  source.start();
}

$("begin").addEventListener("submit", (event) => {
  event.preventDefault();
  const number = Number($("listener").value);
  const known = Number.isInteger(number) && number >= 1 && number <= study.sheets.length;
  $("listener-fault").textContent = known ? "" : `Give your number, from 1 to ${study.sheets.length}.`;
  $("listener").setAttribute("aria-invalid", String(!known));
  if (known) begin(number);
  else $("listener").focus();
});
$("test-sound").addEventListener("click", testSound);
$("go-on").addEventListener("click", ask);
$("stop").addEventListener("click", finish);
$("resume").addEventListener("click", advance);
$("play").addEventListener("click", togglePlay);
$("answer").addEventListener("submit", (event) => {
  event.preventDefault();
  take();
});
for (const input of document.querySelectorAll("input[name=track]")) {
  input.addEventListener("change", () => {
    player.choose(Number(input.value));
    if (player.playing) state.heard.add(player.audible);
    else togglePlay();
  });
}
document.addEventListener("keydown", (event) => {
  if ($("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const radio = event.target.matches("input[type=radio]");
  if (event.key === " " && !event.target.matches("button, a") && !(radio && !event.target.checked)) {
    event.preventDefault();
    togglePlay();
  } else if (event.key === "Enter" && radio) {
    event.preventDefault();
    take();
  }
});

const { naming, comparing } = study.sheets[0];
$("extent").textContent = `${naming.length} sounds to name`
  + (comparing.length ? `, then ${comparing.length} pairs to compare.` : ".");
$("listener").max = study.sheets.length;
$("listener").value = new URLSearchParams(location.hash.slice(1)).get("listener") ?? "";
themeButton(() => {});
document.body.dataset.ready = "yes";
