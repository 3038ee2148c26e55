// What the controls of one recording do.

function seekTo(event) {
  const box = $("pictures").getBoundingClientRect();
  const [from, until] = view.span();
  player.seek(from + ((event.clientX - box.left) / box.width) * (until - from));
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
$("colour").addEventListener("change", () => view.draw());
$("keep").addEventListener("input", (event) => view.keep(Number(event.target.value)));
$("position").addEventListener("input", (event) => {
  player.seek(Number(event.target.value));
  view.showPosition();
});
for (const id of ["strip", "segments"]) {
  $(id).addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-segment]");
    if (chosen) view.openSegment(Number(chosen.dataset.segment));
  });
}
$("whole").addEventListener("click", () => view.openSegment(null));
$("pictures").addEventListener("pointerdown", (event) => {
  if (event.button || event.target.closest("button")) return;
  seekTo(event);
  if (event.pointerType === "mouse") $("pictures").setPointerCapture(event.pointerId);
});
$("pictures").addEventListener("pointermove", (event) => {
  if (event.buttons & 1 && event.pointerType === "mouse" && !event.target.closest("button")) seekTo(event);
});
new ResizeObserver(() => view.draw()).observe($("pictures"));
