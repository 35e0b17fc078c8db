// The view of the picture: which part of it is seen, and how large. Coordinates are those of the SVG.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const stage = byId("stage"), svg = stage.querySelector("svg"), graph = svg.querySelector(".graph");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const whole = (({ x, y, width, height }) => ({ x, y, w: width, h: height }))(svg.viewBox.baseVal);
const view = { x: whole.x, y: whole.y, w: whole.w };
const READABLE = 0.45, FIRST = 0.7, NEAREST = 80;  // pixels per point; points across, at least

const aspect = () => Math.max(stage.clientHeight, 1) / Math.max(stage.clientWidth, 1);
const widest = () => Math.max(whole.w, whole.h / aspect());

function draw() {
  view.w = Math.min(Math.max(view.w, NEAREST), widest());
  const h = view.w * aspect();
  const inside = (at, size, from, all) => size >= all ? from + (all - size) / 2 : Math.min(Math.max(at, from), from + all - size);
  view.x = inside(view.x, view.w, whole.x, whole.w);
  view.y = inside(view.y, h, whole.y, whole.h);
  svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${h}`);
  map.draw(h);
}

let flight = 0, goal = null;  // where the view flies to; a second key before it is there goes on from there
function land() {
  cancelAnimationFrame(flight);
  goal = null;
}
function flyTo(x, y, w) {  // x, y: the middle
  land();
  goal = { x: x - w / 2, y: y - w * aspect() / 2, w };
  const from = { ...view, h: view.w * aspect() }, start = performance.now();
  const to = goal;
  const frame = (now) => {
    const u = calm.matches ? 1 : Math.min((now - start) / 350, 1), e = u * u * (3 - 2 * u);
    for (const k of ["x", "y", "w"]) view[k] = from[k] + (to[k] - from[k]) * e;
    draw();
    if (u < 1) flight = requestAnimationFrame(frame);
    else goal = null;
  };
  frame(calm.matches ? start + 1000 : start);
}

const aim = () => goal ?? view;
const middle = () => [aim().x + aim().w / 2, aim().y + aim().w * aspect() / 2];
const zoom = (factor) => flyTo(...middle(), Math.min(Math.max(aim().w * factor, NEAREST), widest()));
const zoomAll = () => flyTo(whole.x + whole.w / 2, whole.y + whole.h / 2, widest());
const move = (dx, dy) => flyTo(middle()[0] + dx * aim().w, middle()[1] + dy * aim().w, aim().w);

// Where things are, in the SVG's own coordinates.
function placeOf(element) {
  const b = element.getBBox(), m = graph.transform.baseVal.consolidate().matrix;
  return { x: b.x + m.e, y: b.y + m.f, w: b.width, h: b.height };
}

function flyToAll(elements) {
  const places = elements.filter(Boolean).map(placeOf);
  if (!places.length) return;
  const low = (k) => Math.min(...places.map((p) => p[k]));
  const x0 = low("x"), y0 = low("y");
  const w = Math.max(...places.map((p) => p.x + p.w)) - x0, h = Math.max(...places.map((p) => p.y + p.h)) - y0;
  flyTo(x0 + w / 2, y0 + h / 2, Math.min(Math.max(w, h / aspect()) * 1.06, widest()));
}

function bringIntoView(element) {
  const p = placeOf(element), h = view.w * aspect();
  const shift = (at, size, from, all) => at < from ? at - from - all * 0.1 : at + size > from + all ? at + size - from - all * 0.9 : 0;
  const dx = shift(p.x, p.w, view.x, view.w), dy = shift(p.y, p.h, view.y, h);
  if (dx || dy) flyTo(middle()[0] + dx, middle()[1] + dy, view.w);
}

// A small map below the picture, while a part of it alone is seen.
const map = (() => {
  const make = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const box = make("svg"), copy = make("use"), here = make("rect");
  box.id = "map";
  box.setAttribute("aria-hidden", "true");
  box.setAttribute("viewBox", `${whole.x} ${whole.y} ${whole.w} ${whole.h}`);
  copy.setAttribute("href", `#${graph.id}`);
  box.append(copy, here);
  stage.after(box);
  const go = (e) => {
    const at = new DOMPoint(e.clientX, e.clientY).matrixTransform(box.getScreenCTM().inverse());
    land();
    view.x = at.x - view.w / 2;
    draw();
  };
  box.addEventListener("pointerdown", (e) => { box.setPointerCapture(e.pointerId); go(e); });
  box.addEventListener("pointermove", (e) => { if (e.buttons) go(e); });
  return {
    draw(h) {
      box.classList.toggle("unneeded", view.w >= whole.w * 0.98);
      for (const [k, v] of Object.entries({ x: view.x, y: Math.max(view.y, whole.y), width: view.w, height: Math.min(h, whole.h) })) here.setAttribute(k, v);
    },
  };
})();

let held = null, far = false;
const dragged = () => far;  // whether the click that ends now was a way to move the picture

function listenToThePointer() {
  const scale = () => view.w / stage.clientWidth;
  stage.addEventListener("wheel", (e) => {
    if (window.top !== window && !e.ctrlKey && !stage.contains(document.activeElement)) return;  // a notebook scrolls
    e.preventDefault();
    land();
    const r = stage.getBoundingClientRect(), u = (e.clientX - r.left) / r.width, v = (e.clientY - r.top) / r.height;
    const w = Math.min(Math.max(view.w * Math.exp(Math.sign(e.deltaY) * Math.min(Math.abs(e.deltaY), 120) / 500), NEAREST), widest());
    view.x += (view.w - w) * u;
    view.y += (view.w - w) * aspect() * v;
    view.w = w;
    draw();
  }, { passive: false });
  svg.addEventListener("pointerdown", (e) => { far = false; if (e.button === 0) held = { x: e.clientX, y: e.clientY }; });
  addEventListener("pointermove", (e) => {
    if (!held) return;
    const dx = e.clientX - held.x, dy = e.clientY - held.y;
    if (!far && Math.hypot(dx, dy) < 4) return;
    land();
    held = { x: e.clientX, y: e.clientY };
    far = true;
    svg.classList.add("held");
    view.x -= dx * scale();
    view.y -= dy * scale();
    draw();
  });
  addEventListener("pointerup", () => { held = null; svg.classList.remove("held"); });
  svg.addEventListener("dragstart", (e) => e.preventDefault());
}

function firstView() {
  const all = stage.clientWidth / widest();  // a long picture begins at its left end, a tall one at its top
  const s = all > READABLE ? all : Math.min(FIRST, Math.max(stage.clientHeight / whole.h, stage.clientWidth / whole.w));
  Object.assign(view, { x: whole.x, y: whole.y, w: stage.clientWidth / s });
  draw();
}
