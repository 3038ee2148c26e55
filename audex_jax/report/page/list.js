// The list of all recordings: search, filters, sorting, pages; and which recording the address names.

const PAGE = 50;
const [NAME, LABEL, SHARE, KIND, GAP] = [0, 2, 3, 5, 6]; // columns of a row
const LARGE_GAP = 50; // thousandths
const list = { sort: null, down: false, page: 0, shown: [] };
const haystacks = data.rows.map((row) => `${row[NAME]}\n${data.labels[row[LABEL]]}`.toLowerCase());

const SORT_BY = {
  name: (a, b) => data.rows[a][NAME].localeCompare(data.rows[b][NAME], undefined, { numeric: true }),
  label: (a, b) => data.labels[data.rows[a][LABEL]].localeCompare(data.labels[data.rows[b][LABEL]])
    || data.rows[b][SHARE] - data.rows[a][SHARE],
  kind: (a, b) => data.rows[a][KIND] - data.rows[b][KIND],
  gap: (a, b) => (data.rows[a][GAP] ?? Infinity) - (data.rows[b][GAP] ?? Infinity) || a - b,
};

function filterList() {
  const wanted = $("search").value.trim().toLowerCase();
  const label = $("label-filter").value;
  const kind = $("kind-filter").value;
  const gap = $("gap-filter").value;
  list.shown = [];
  data.rows.forEach((row, number) => {
    const large = row[GAP] === null || row[GAP] > LARGE_GAP;
    if (wanted && !haystacks[number].includes(wanted)) return;
    if (label !== "" && row[LABEL] !== Number(label)) return;
    if (kind !== "" && row[KIND] !== Number(kind)) return;
    if (gap && large !== (gap === "large")) return;
    list.shown.push(number);
  });
  if (list.sort) list.shown.sort((a, b) => (list.down ? -1 : 1) * SORT_BY[list.sort](a, b));
  list.page = 0;
  showList();
}

function showList() {
  const pages = Math.max(1, Math.ceil(list.shown.length / PAGE));
  const first = list.page * PAGE;
  $("rows").replaceChildren(...list.shown.slice(first, first + PAGE).map((number) => {
    const row = data.rows[number];
    const [kind, words] = data.kinds[row[KIND]];
    const line = element("tr", null, { "data-clip": number });
    const link = element("a", row[NAME], { href: `#clip=${number}` });
    const name = element("th", null, { scope: "row" });
    name.append(link);
    const label = element("td", data.labels[row[LABEL]]);
    label.append(" ", element("small", percent(row[SHARE])));
    const badge = element("span", words, { class: "badge", "data-kind": kind, "data-symbol": SYMBOLS[kind] });
    const verdict = element("td", null);
    verdict.append(badge);
    const gap = element("td", row[GAP] === null ? "–" : percent(row[GAP]), { class: "number" });
    if (row[GAP] === null || row[GAP] > LARGE_GAP) gap.classList.add("large");
    line.append(name, label, verdict, gap);
    return line;
  }));
  const total = data.rows.length;
  $("count").textContent = list.shown.length === total ? `${total} recordings` : `${list.shown.length} of ${total} recordings`;
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

for (const button of document.querySelectorAll("#list th button")) {
  button.addEventListener("click", () => {
    const header = button.closest("th");
    list.down = list.sort === header.dataset.key && !list.down;
    list.sort = header.dataset.key;
    for (const other of document.querySelectorAll("#list thead th")) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", list.down ? "descending" : "ascending");
    filterList();
  });
}
$("rows").addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (row && !event.target.closest("a")) location.hash = `clip=${row.dataset.clip}`;
});
$("search").addEventListener("input", filterList);
for (const id of ["label-filter", "kind-filter", "gap-filter"]) $(id).addEventListener("change", filterList);
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

const used = [...new Set(data.rows.map((row) => row[LABEL]))].sort((a, b) => data.labels[a].localeCompare(data.labels[b]));
for (const label of used) $("label-filter").append(element("option", data.labels[label], { value: label }));
data.kinds.forEach(([kind, words], i) => {
  if (data.rows.some((row) => row[KIND] === i)) $("kind-filter").append(element("option", words, { value: i }));
});
const models = [...new Set(data.runs.map((run) => run.model))];
const holds = data.rows.filter((row) => ["holds", "shared"].includes(data.kinds[row[KIND]][0])).length;
const summed = data.rows.filter((row) => row[GAP] !== null && row[GAP] <= LARGE_GAP).length;
$("summary").textContent = data.rows.length === 1 ? `model ${models[0]}`
  : `${models.length === 1 ? `model ${models[0]}` : `${models.length} models`} · ${holds} of ${data.rows.length} explanations alone`
  + ` still say the same · ${summed} add up to within 5 %`;
document.body.classList.toggle("single", data.rows.length === 1);
themeButton(() => view.draw());
filterList();
addEventListener("hashchange", route);
route();
document.body.dataset.ready = "yes";
