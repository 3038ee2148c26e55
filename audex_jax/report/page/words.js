// Numbers and words: one way to write each, rounded here and nowhere else.

const TRACKS = ["original", "reconstruction", "explanation", "residual"];
const TRACK_WORDS = {
  original: "The recording as the classifier gets it.",
  reconstruction: "The recording after encoding and decoding, without any edit.",
  explanation: "Only the latent elements that are kept, decoded.",
  residual: "All other latent elements, decoded.",
};
const SYMBOLS = {
  holds: "✓", shared: "≈", artefact: "✗", anything: "✗", "made-up": "✗", absent: "–", lost: "✗", codec: "!", attack: "✗",
  silent: "–",
};

const data = JSON.parse($("index").textContent);
const probability = (value) => value.toFixed(2);
const percent = (share) => (share < 0.0005 ? "<0.1 %" : `${Number((100 * share).toPrecision(2))} %`);
const seconds = (value) => `${value.toFixed(2)} s`;
const number = (value) => Number(value.toPrecision(3)).toString().replace("-", "−");
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// How often each of some values stands in a list, the most frequent first: "yes 7, no 3".
function tally(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([value, count]) => `${value} ${count}`).join(", ");
}
