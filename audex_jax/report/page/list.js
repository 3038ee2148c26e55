// The list of all recordings: search, filters, sorting, pages; and which recording the address names.

const PAGE = 50;
// columns of a row
const [NAME, LABEL, PROBABILITY, TRUTH, KIND, GAP, LEVEL, SEGMENTS, AGREEING] = [0, 2, 3, 4, 5, 6, 8, 9, 10];
const LARGE_GAP = 0.05;
const FILTERS = ["truth-filter", "label-filter", "right-filter", "kind-filter", "gap-filter"];
const list = { sort: null, down: false, page: 0, shown: [] };
const labelled = data.rows.some((row) => row[TRUTH] >= 0);
const named = (label) => (label < 0 ? "" : data.labels[label]);
const haystacks = data.rows.map((row) => `${row[NAME]}\n${named(row[LABEL])}\n${named(row[TRUTH])}`.toLowerCase());

// Rows by a number; those that lack it last in either direction.
function byNumber(column) {
  return (a, b) => {
    const [x, y] = [data.rows[a][column], data.rows[b][column]];
    if (x === null || y === null) return ((x === null) - (y === null)) * (list.down ? -1 : 1);
    return x - y;
  };
}

const byLabel = (column) => (a, b) => named(data.rows[a][column]).localeCompare(named(data.rows[b][column]));
const SORT_BY = {
  name: (a, b) => data.rows[a][NAME].localeCompare(data.rows[b][NAME], undefined, { numeric: true }),
  truth: byLabel(TRUTH),
  label: byLabel(LABEL),
  probability: byNumber(PROBABILITY),
  kind: (a, b) => data.rows[a][KIND] - data.rows[b][KIND],
  gap: byNumber(GAP),
  level: byNumber(LEVEL),
};

function filterList() {
  const wanted = $("search").value.trim().toLowerCase();
  const [truth, label, right, kind, gap] = FILTERS.map((id) => $(id).value);
  list.shown = [];
  data.rows.forEach((row, number) => {
    const large = row[GAP] === null || row[GAP] > LARGE_GAP;
    if (wanted && !haystacks[number].includes(wanted)) return;
    if (truth !== "" && row[TRUTH] !== Number(truth)) return;
    if (label !== "" && row[LABEL] !== Number(label)) return;
    if (right && (row[TRUTH] < 0 || (row[TRUTH] === row[LABEL]) !== (right === "right"))) return;
    if (kind !== "" && row[KIND] !== Number(kind)) return;
    if (gap && large !== (gap === "large")) return;
    list.shown.push(number);
  });
  if (list.sort) list.shown.sort((a, b) => (list.down ? -1 : 1) * SORT_BY[list.sort](a, b) || a - b);
  list.page = 0;
  markConfusion(truth, label);
  showList();
}

function sortBy(key, down) {
  list.sort = key || null;
  list.down = down;
  $("sort").value = key ?? "";
  $("direction").textContent = down ? "↓" : "↑";
  $("direction").setAttribute("aria-label", down ? "Sorted downwards; sort upwards" : "Sorted upwards; sort downwards");
  for (const header of document.querySelectorAll("#list thead [data-key]")) {
    if (header.dataset.key === key) header.setAttribute("aria-sort", down ? "descending" : "ascending");
    else header.removeAttribute("aria-sort");
  }
  filterList();
}

function lineOf(number) {
  const row = data.rows[number];
  const line = element("tr", null, { "data-clip": number });
  const name = element("th", null, { scope: "row" });
  name.append(element("a", row[NAME], { href: `#clip=${number}` }));
  line.append(name);
  const known = row[TRUTH] >= 0;
  if (labelled) line.append(element("td", known ? named(row[TRUTH]) : "–"));
  const label = element("td", named(row[LABEL]));
  label.append(" ", element("small", row[PROBABILITY] === null ? `${row[AGREEING]} of ${row[SEGMENTS]} segments` : probability(row[PROBABILITY])));
  if (known) {
    const right = row[TRUTH] === row[LABEL];
    label.append(" ", element("span", right ? "right" : "wrong", { class: right ? "right" : "wrong" }));
  }
  const [kind, words, meaning] = data.kinds[row[KIND]];
  const verdict = element("td", null);
  verdict.append(element("span", words, { class: "badge", "data-kind": kind, "data-symbol": SYMBOLS[kind], title: meaning }));
  line.append(label, verdict);
  return line;
}

function showList() {
  const pages = Math.max(1, Math.ceil(list.shown.length / PAGE));
  const first = list.page * PAGE;
  $("rows").replaceChildren(...list.shown.slice(first, first + PAGE).map(lineOf));
  const total = data.rows.length;
  const all = list.shown.length === total;
  $("count").textContent = all ? plural(total, "recording") : `${list.shown.length} of ${plural(total, "recording")}`;
  $("empty").hidden = list.shown.length > 0;
  $("recordings").hidden = !list.shown.length;
  $("clear").hidden = all;
  $("page-number").textContent = `${list.page + 1} of ${pages}`;
  $("previous-page").disabled = list.page === 0;
  $("next-page").disabled = list.page >= pages - 1;
  document.querySelector(".pages").hidden = pages === 1;
  markCurrent();
}

function markCurrent() {
  for (const link of document.querySelectorAll("#rows a")) {
    const current = link.getAttribute("href") === `#clip=${view.number}`;
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    link.closest("tr").classList.toggle("current", current);
  }
}

function step(by) {
  const at = list.shown.indexOf(view.number) + by;
  if (at < 0 || at >= list.shown.length) return;
  if (Math.floor(at / PAGE) !== list.page) {
    list.page = Math.floor(at / PAGE);
    showList();
  }
  location.hash = `clip=${list.shown[at]}`;
}

function route() {
  const asked = Number(new URLSearchParams(location.hash.slice(1)).get("clip") ?? NaN);
  const known = Number.isInteger(asked) && asked >= 0 && asked < data.rows.length;
  document.body.classList.toggle("chosen", known || data.rows.length === 1);
  view.open(known ? asked : (view.number ?? 0));
  markCurrent();
  if (known) window.scrollTo(0, 0);
}

for (const button of document.querySelectorAll("#list th[data-key] button")) {
  const { key } = button.closest("th").dataset;
  button.addEventListener("click", () => sortBy(key, list.sort === key && !list.down));
}
$("sort").addEventListener("change", (event) => sortBy(event.target.value, false));
$("direction").addEventListener("click", () => sortBy(list.sort, !list.down));
$("rows").addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (row && !event.target.closest("a")) location.hash = `clip=${row.dataset.clip}`;
});
$("search").addEventListener("input", filterList);
for (const id of FILTERS) $(id).addEventListener("change", filterList);
$("clear").addEventListener("click", () => {
  for (const id of ["search", ...FILTERS]) $(id).value = "";
  filterList();
});
$("previous-page").addEventListener("click", () => { list.page -= 1; showList(); });
$("next-page").addEventListener("click", () => { list.page += 1; showList(); });

const KEYS = {
  " ": () => player.toggle(),
  ArrowLeft: () => { player.seek(player.position - 0.1); view.showPosition(); },
  ArrowRight: () => { player.seek(player.position + 0.1); view.showPosition(); },
  "[": () => view.keep(view.level - 1),
  "]": () => view.keep(view.level + 1),
  m: () => $("matched").click(),
  l: () => $("loop").click(),
  j: () => step(1),
  k: () => step(-1),
};
TRACKS.forEach((track, i) => { KEYS[String(i + 1)] = () => view.choose(track); });

document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (!view.clip || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  if (target.matches("input[type=search], select, textarea")) return;
  const arrow = event.key.startsWith("Arrow");
  if (arrow && target.matches("input, [tabindex='0']")) return; // radios and sliders move by themselves
  if (event.key === " " && target.matches("button, input[type=checkbox], summary, a")) return;
  event.preventDefault();
  KEYS[event.key]();
});

for (const [id, column] of [["truth-filter", TRUTH], ["label-filter", LABEL]]) {
  const used = [...new Set(data.rows.map((row) => row[column]))].filter((label) => label >= 0);
  used.sort((a, b) => named(a).localeCompare(named(b), undefined, { numeric: true }));
  for (const label of used) $(id).append(element("option", named(label), { value: label }));
}
data.kinds.forEach(([, words], i) => {
  if (data.rows.some((row) => row[KIND] === i)) $("kind-filter").append(element("option", words, { value: i }));
});
for (const part of document.querySelectorAll("[data-labelled]")) part.hidden = !labelled;
if (labelled) {
  confusionTable(data.rows, ([truth, label]) => {
    $("truth-filter").value = truth;
    $("label-filter").value = label;
    filterList();
  });
}

const models = [...new Set(data.runs.map((run) => run.model))];
const total = data.rows.length;
const holds = data.rows.filter((row) => data.kinds[row[KIND]][0] === "holds").length;
const known = data.rows.filter((row) => row[TRUTH] >= 0);
const right = known.filter((row) => row[TRUTH] === row[LABEL]).length;
$("summary").textContent = [
  models.length === 1 ? `Model ${models[0]}` : plural(models.length, "model"),
  ...(known.length ? [`${right} of ${known.length} classified right (${probability(right / known.length)})`] : []),
  ...(total > 1 ? [`${holds} of ${total} explanations hold`] : []),
].join(" · ");
document.body.classList.toggle("single", data.rows.length === 1);
themeButton(() => view.draw());
filterList();
addEventListener("hashchange", route);
route();
document.body.dataset.ready = "yes";
