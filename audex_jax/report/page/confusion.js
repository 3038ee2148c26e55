// The confusion table: a row for each true label, a column for each label that the classifier gave. A cell is a button
// that filters the list.

function confusionTable(rows, filtered) {
  const counts = new Map();
  const used = new Set();
  for (const row of rows) {
    if (row[TRUTH] < 0) continue;
    used.add(row[TRUTH]).add(row[LABEL]);
    const key = `${row[TRUTH]},${row[LABEL]}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const labels = [...used].sort((a, b) => data.labels[a].localeCompare(data.labels[b], undefined, { numeric: true }));
  const head = element("tr", null);
  head.append(element("th", "true label", { scope: "col" }));
  for (const label of labels) {
    const cell = element("th", null, { scope: "col" });
    cell.append(element("span", data.labels[label]));
    head.append(cell);
  }
  const body = labels.map((truth) => {
    const line = element("tr", null);
    line.append(element("th", data.labels[truth], { scope: "row" }));
    const total = labels.reduce((sum, label) => sum + (counts.get(`${truth},${label}`) ?? 0), 0);
    for (const label of labels) {
      const count = counts.get(`${truth},${label}`) ?? 0;
      const cell = element("td", null);
      if (count) {
        const words = `true label ${data.labels[truth]}, classified as ${data.labels[label]}: ${count}`;
        const button = element("button", count, {
          type: "button", "aria-label": words, title: words, "aria-pressed": "false", "data-truth": truth, "data-label": label,
        });
        button.classList.add(truth === label ? "right" : "wrong");
        button.style.setProperty("--share", `${Math.round(15 + (60 * count) / total)}%`);
        cell.append(button);
      }
      line.append(cell);
    }
    return line;
  });
  $("confusion-head").replaceChildren(head);
  $("confusion-body").replaceChildren(...body);
  $("confusion-body").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const pressed = button.getAttribute("aria-pressed") === "true";
    filtered(pressed ? ["", ""] : [button.dataset.truth, button.dataset.label]);
  });
}

function markConfusion(truth, label) {
  for (const button of document.querySelectorAll("#confusion-body button")) {
    button.setAttribute("aria-pressed", String(button.dataset.truth === truth && button.dataset.label === label));
  }
}
