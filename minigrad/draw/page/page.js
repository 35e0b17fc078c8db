// What a reader does: point, choose a step, walk through its equations, watch the gradient go back.
// Each mode is a function that lights and says; pointing at a box shows that for as long.
let mode = null, kept = null;
function enter(next, aloud = true) {
  mode = next;
  kept?.classList.remove("kept");
  kept = null;
  mode(aloud);
}
function all(aloud) {
  light(null);
  say(data.shown.length < data.T ? `${data.shown.length} of ${data.T} steps are drawn` : "", "The whole picture",
    [...(walkOf(data.shown[0]).length ? [equationsOf(data.shown[0])] : []), block(make("p", "Point at a box, or move to it with Tab and the arrow keys: what it comes from and what comes from it stays lit."))], aloud && []);
}
function peek(key) {
  light(cone(key));
  sayNode(key, true);
}
function keep(key) {
  quiet();
  enter(() => peek(key));
  kept = elements.get(key);
  kept.classList.add("kept");
}

const slider = byId("step"), sliderText = byId("step-shown");
const chosen = () => data.shown[slider.value - 1];
function setStep(i) {
  slider.value = i;
  sliderText.textContent = i > 0 ? `t = ${chosen()}` : "all";
  slider.setAttribute("aria-valuetext", i > 0 ? `step ${chosen()}` : "all steps");
}
function seeStep(t) {
  const part = new RegExp(`^(t${t}-|(bar-)?s\\d+-(${t}|${t - 1})$|p\\d+-t${t}-)`), boxes = [...elements].filter(([k, e]) => part.test(k) && e.classList.contains("box"));
  flyToAll(boxes.map(([, e]) => e));
}
function step(i) {
  quiet();
  setStep(i);
  if (+slider.value === 0) { enter(all); zoomAll(); return; }
  const t = chosen();
  seeStep(t);
  enter((aloud) => {
    light(stepKeys(t));
    const n = walkOf(t).length;
    say(`Step ${t} of ${data.T}`, n ? "Its equations" : `Step ${t}`, n ? [equationsOf(t)] : [], aloud && [`${n} equations`]);
  });
}

let walked = null;  // {t, i}: the equation that is shown
function nextEquation({ t, i }, by) {
  if (walkOf(t)[i + by]) return { t, i: i + by };
  const next = data.shown[data.shown.indexOf(t) + by];
  return next === undefined ? null : { t: next, i: by > 0 ? 0 : walkOf(next).length - 1 };
}
function walk(by) {
  if (!data.walks.length) return;
  const from = walked ?? { t: chosen() ?? data.shown[0], i: by > 0 ? -1 : 0 };
  quiet();
  walked = nextEquation(from, by);
  if (!walked) { clear(); zoomAll(); return; }
  const { t, i } = walked, frame = walkOf(t)[i], key = `t${t}-${frame.keys[0]}`;
  byId("walk").textContent = "Next equation ›";
  setStep(data.shown.indexOf(t) + 1);
  seeStep(t);
  enter((aloud) => {
    light(assignment(t, frame.keys));
    say(`Step ${t}, equation ${i + 1} of ${walkOf(t).length}`, frame.title, factsOf(key), aloud && aloudOf(key));
  });
}

let timer = 0, at = -1;
const play = byId("play"), PACE = 1300;
function pause() {
  clearTimeout(timer);
  timer = 0;
  play.setAttribute("aria-pressed", "false");
  play.textContent = "▶ Backward pass";
}
function back() {
  at += 1;
  const frame = data.back[at], before = data.back.slice(0, at + 1).flatMap((f) => f.keys);
  const arrows = frame.keys.filter((k) => k.startsWith("grad-"));
  const seen = frame.keys.map((k) => elements.get(k)).filter(Boolean);
  if (seen.length && whole.w > view.w * 1.1) flyTo(placeOf(seen[seen.length - 1]).x, middle()[1], view.w);
  enter((aloud) => {
    light(new Set(before), aloud ? arrows : []);
    say(`Backward pass, ${at + 1} of ${data.back.length}`, frame.title, [block(...frame.lines.map((l) => make("p", l, "gradient numbers")))], aloud && frame.lines);
  });
  if (at + 1 < data.back.length) timer = setTimeout(back, PACE);
  else pause();
}
function playOrPause() {
  if (!data.back.length) return;
  if (timer) { pause(); return; }
  quiet();
  if (at + 1 >= data.back.length) at = -1;
  setStep(0);
  play.setAttribute("aria-pressed", "true");
  play.textContent = "❚❚ Backward pass";
  back();
}
function showPath(button) {
  const path = data.paths[button.dataset.path];
  quiet();
  button.setAttribute("aria-pressed", "true");
  enter((aloud) => { light(new Set(path.keys)); say("Path", path.name, [block(make("p", path.value, "numbers"))], aloud && [path.value]); });
  flyToAll(path.keys.map((k) => elements.get(k)));
}
function quiet() {  // whatever else is going on ends
  pause();
  walked = null;
  byId("walk").textContent = "Walk through a step";
  document.querySelectorAll("#paths button").forEach((b) => b.setAttribute("aria-pressed", "false"));
}
function clear() {
  quiet();
  at = -1;
  setStep(0);
  enter(all);
}

// ---- the keyboard, and who is listening ----
const centre = (key) => { const p = placeOf(elements.get(key)); return [p.x + p.w / 2, p.y + p.h / 2]; };
function neighbour(key, dx, dy) {  // the nearest box that way
  const [x, y] = centre(key);
  let best = null, least = Infinity;
  for (const k of nodeKeys) {
    const [a, b] = centre(k), along = (a - x) * dx + (b - y) * dy, across = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
    if (k !== key && along > 1 && across <= 2 * along && along + 2 * across < least) [best, least] = [k, along + 2 * across];
  }
  return best;
}
function focusOn(key) {
  for (const k of nodeKeys) elements.get(k).setAttribute("tabindex", k === key ? "0" : "-1");
  elements.get(key).focus({ preventScroll: true });
}
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = {
  "+": () => zoom(1 / 1.3), "=": () => zoom(1 / 1.3), "-": () => zoom(1.3), "−": () => zoom(1.3), 0: zoomAll,
  "[": () => step(Math.max(+slider.value - 1, 0)), "]": () => step(+slider.value + 1),
  n: () => walk(1), p: () => walk(-1), b: playOrPause, "?": () => byId("help").click(),
};
stage.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const node = e.target.closest?.(".box[role]"), way = ARROWS[e.key];
  if (way && node) { const k = neighbour(node.id, ...way); if (k) focusOn(k); }
  else if (way) move(way[0] * 0.2, way[1] * 0.2);
  else if (node && (e.key === "Enter" || e.key === " ")) keep(node.id);
  else if (KEYS[e.key]) KEYS[e.key]();
  else return;
  e.preventDefault();
});
addEventListener("keydown", (e) => { if (e.key === "Escape") clear(); });

function begin() {
  document.body.classList.add("live");
  for (const id of ["controls", "panel"]) byId(id).hidden = false;
  byId("backward-tools").hidden = !data.back.length;
  byId("walk-tools").hidden = !data.walks.length;
  byId("time").hidden = data.shown.length < 2;
  stage.setAttribute("role", "application");  // a screen reader leaves it the arrow keys
  svg.setAttribute("tabindex", "-1");  // or Chromium stops there on the way to the boxes
  for (const [i, key] of nodeKeys.entries()) {
    const e = elements.get(key);
    e.setAttribute("role", "img");
    e.setAttribute("tabindex", i ? "-1" : "0");
    e.setAttribute("aria-label", `${data.nodes[key].name}, ${data.nodes[key].word}${stepOf(key)}`);
  }
  const boxOf = (e) => e.target.closest?.(".box[role]");
  svg.addEventListener("pointerover", (e) => { const b = boxOf(e); if (b && !e.buttons && !timer) peek(b.id); });
  svg.addEventListener("pointerout", (e) => { if (boxOf(e) && !timer) mode(false); });
  svg.addEventListener("focusin", (e) => { const b = boxOf(e); if (b?.matches(":focus-visible")) { pause(); peek(b.id); bringIntoView(b); } });
  svg.addEventListener("focusout", () => mode(false));
  svg.addEventListener("click", (e) => { const b = boxOf(e); if (dragged()) return; if (b) { focusOn(b.id); keep(b.id); } else clear(); });
  byId("zoom-in").onclick = () => zoom(1 / 1.3);
  byId("zoom-out").onclick = () => zoom(1.3);
  byId("zoom-all").onclick = zoomAll;
  byId("walk").onclick = () => walk(1);
  byId("walk-back").onclick = () => walk(-1);
  play.onclick = playOrPause;
  slider.oninput = () => step(+slider.value);
  byId("help").onclick = () => {
    byId("keys").hidden = !byId("keys").hidden;
    byId("help").setAttribute("aria-expanded", String(!byId("keys").hidden));
  };
  document.querySelectorAll("#paths button").forEach((b) => { b.onclick = () => showPath(b); });
  listenToThePointer();
  firstView();
  new ResizeObserver(draw).observe(stage);
  setStep(0);
  enter(all, false);
}
begin();
