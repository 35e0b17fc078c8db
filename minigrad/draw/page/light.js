// Sets of boxes and lines, the light on them, and what is said about them.
const elements = new Map([...svg.querySelectorAll("g[id]")].map((e) => [e.id, e]));
const into = new Map(), outOf = new Map();
const grouped = (m, key, line) => m.set(key, [...(m.get(key) ?? []), line]);
for (const line of data.lines) {
  if (/\bgrad\b/.test(line.kind)) continue;
  grouped(into, line.sink, line);
  grouped(outOf, line.source, line);
}
const isNode = (key) => key in data.nodes;
const nodeKeys = Object.keys(data.nodes).filter((k) => elements.has(k));

// ---- sets of keys ----
function reach(key, lines, end, only = () => true, found = new Set()) {  // along the lines, from a box
  for (const line of lines.get(key) ?? []) {
    found.add(line.key);
    if (!found.has(line[end])) {
      found.add(line[end]);
      if (only(line[end])) reach(line[end], lines, end, only, found);
    }
  }
  return found;
}
const readBy = (key) => reach(key, into, "source", (k) => !isNode(k));  // straight away, through dots of wires
const withBars = (keys) => new Set([...keys].flatMap((k) => [k, `bar-${k}`]));
const cone = (key) => withBars([key, ...reach(key, into, "source"), ...reach(key, outOf, "sink")]);
const reads = (key) => [...readBy(key)].filter(isNode);

function assignment(t, parts) {  // the boxes of one equation, what they read, and where the result goes
  const keys = parts.map((key) => `t${t}-${key}`), lit = new Set(keys);
  for (const k of keys) readBy(k).forEach((r) => lit.add(r));
  for (const line of outOf.get(keys[0]) ?? []) {
    if (/^s\d+-/.test(line.sink) || /-y\d+$/.test(line.sink)) lit.add(line.key).add(line.sink);
  }
  return lit;
}
function stepKeys(t) {
  const lit = new Set([`step-${t}-label`]);
  for (const key of nodeKeys) if (data.nodes[key].step === t) lit.add(key);
  for (const key of [...lit]) readBy(key).forEach((r) => lit.add(r));
  return withBars(lit);
}

// ---- light ----
function light(keys, now = []) {
  svg.classList.toggle("some", keys !== null);
  for (const [key, e] of elements) {
    e.classList.toggle("lit", keys !== null && keys.has(key));
    const moving = now.includes(key);
    if (moving && !e.classList.contains("now")) {
      const path = e.querySelector("path");
      if (path) e.style.setProperty("--long", Math.ceil(path.getTotalLength()));
    }
    e.classList.toggle("now", moving);
  }
}

// ---- words ----
const said = byId("said"), live = byId("live");
function make(name, text, kind) {
  const e = document.createElement(name);
  if (text) e.textContent = text;
  if (kind) e.className = kind;
  return e;
}
function equation(text) {  // W_xf as W with an index
  const e = make("p", "", "equation");
  text.split(/_([^\s_₀-₉()[\],⊙]+)/).forEach((part, i) => e.append(i % 2 ? make("sub", part) : part));
  return e;
}
function say(word, name, parts, aloud) {
  const heading = make("div", "", "heading");
  heading.append(make("p", word, "word"), make("h2", name));
  said.replaceChildren(heading, ...parts);
  if (aloud) live.textContent = [word, name, ...aloud].filter(Boolean).join(". ");
}
function listed(rows) {
  const list = make("dl", "", "numbers");
  for (const [what, text, kind] of rows) if (text) list.append(make("dt", what), make("dd", text, kind));
  return list;
}
function block(...children) {
  const e = make("div");
  e.append(...children);
  return e;
}
function factsOf(key) {
  const n = data.nodes[key], row = (v) => (v ?? []).join("  ");
  const code = n.code ? [block(make("code", n.code), make("p", n.place, "word"))] : [];
  return [
    block(...(n.equations ?? []).map(equation), ...code),
    listed([["Shape", n.shape], ["Values", row(n.values)], ["Says", n.more]]),
    listed([["Gradient of the loss", row(n.gradient), "gradient"], ["Its norm", n.norm, "gradient"],
      ["Reads", reads(key).map((k) => data.nodes[k].name).join(", ")]]),
  ];
}
function aloudOf(key) {
  const n = data.nodes[key];
  return [...(n.equations ?? []), n.shape && `shape ${n.shape}`, n.norm && `norm of gradient ${n.norm}`].filter(Boolean);
}
const stepOf = (key) => data.nodes[key].step === undefined ? "" : `, step ${data.nodes[key].step}`;
function sayNode(key, aloud) {
  say(data.nodes[key].word + stepOf(key), data.nodes[key].name, factsOf(key), aloud && aloudOf(key));
}

const walkOf = (t) => data.walks[data.kinds[t]] ?? [];
function equationsOf(t) {
  const e = block(...walkOf(t).flatMap((f) => data.nodes[`t${t}-${f.keys[0]}`]?.equations ?? []).map(equation));
  e.className = "equations";
  return e;
}
