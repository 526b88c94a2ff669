// Scrubs through one result: panes, swipe, figures of the frame, and a timeline of modes, drops and quality.
const PANES = ["thermal", "visible", "fused"];
const AHEAD = 6;
const base = location.pathname === "/" ? "/0/" : location.pathname;
const at = (id) => document.getElementById(id);
const state = { frame: -1, playing: false, view: "three", bare: false, overview: null, times: null, token: 0 };

async function start() {
  const [overview, times] = await Promise.all([
    fetch(base + "overview.json").then((answer) => answer.json()),
    fetch(base + "times.bin").then((answer) => answer.arrayBuffer()),
  ]);
  state.overview = overview;
  state.times = new Float64Array(times);
  at("title").textContent = document.title = overview.title;
  at("report").href = base + "report.html";
  at("line").setAttribute("aria-valuemax", overview.frames - 1);
  at("series").replaceChildren(...Object.keys(overview.lines).map((name) => element("option", "", name)));
  at("series").parentElement.hidden = Object.keys(overview.lines).length < 2;
  at("boxes").hidden = !overview.boxes;
  legend();
  const asked = Number(new URLSearchParams(location.hash.slice(1)).get("frame") ?? 0);
  show(Number.isInteger(asked) ? asked : 0);
  new ResizeObserver(drawLine).observe(at("line"));
  onTheme(drawLine);
}

function show(frame) {
  const last = state.overview.frames - 1;
  frame = Math.max(0, Math.min(last, frame));
  if (frame === state.frame) return Promise.resolve();
  state.frame = frame;
  const token = ++state.token;
  at("where").textContent = `frame ${frame} of ${last}, ${state.times[frame].toFixed(2)} s`;
  at("line").setAttribute("aria-valuenow", frame);
  at("line").setAttribute("aria-valuetext", at("where").textContent);
  history.replaceState(null, "", "#frame=" + frame);
  drawLine();
  for (let next = frame + 1; next <= Math.min(last, frame + AHEAD); next++) PANES.forEach((pane) => picture(next, pane));
  const shown = PANES.map((pane) => picture(frame, pane).then((image) => {
    if (token !== state.token) return;
    const figure = at("pane-" + pane);
    figure.classList.toggle("none", image === null);
    if (image === null) return;
    figure.querySelector("img").src = image.src;
    if (pane === "fused") {
      at("stage").style.setProperty("--shape", `${image.naturalWidth} / ${image.naturalHeight}`);
      at("stage").style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
    }
  }));
  PANES.forEach((pane) => at("pane-" + pane).querySelector("svg").replaceChildren());
  if (!state.playing) figures(frame, token);
  return Promise.all(shown);
}

// The panes shown lately and those to come; what no pane is there for is null.
const pictures = new Map();
function picture(frame, pane) {
  const key = `${frame}_${pane}`;
  if (!pictures.has(key)) {
    const image = new Image();
    const loaded = fetch(`${base}${key}.jpg?`).then(async (answer) => {
      if (answer.status !== 200) return null;
      image.src = URL.createObjectURL(await answer.blob());
      await image.decode();
      return image;
    }).catch(() => null);
    pictures.set(key, loaded);
    if (pictures.size > 90) {
      const [oldest, gone] = pictures.entries().next().value;
      pictures.delete(oldest);
      gone.then((old) => old && setTimeout(() => URL.revokeObjectURL(old.src), 5000));
    }
  }
  return pictures.get(key);
}

async function figures(frame, token) {
  const row = await fetch(`${base}${frame}.json`).then((answer) => answer.json());
  if (token !== state.token) return;
  const ms = (value) => value === "" ? "–" : (Number(value) / 1e6).toFixed(1) + " ms";
  const cards = [
    ["mode", row.mode + (row.live === "0" ? ", held" : "")], ["skew", ms(row.skew_ns)],
    ["age", ms(Number(row.recorded_ns) - Number(row.stamp_ns))], ["size", `${row.width}x${row.height}`],
    ["level", Number(row.level).toFixed(1)], ["model", row.model], ["stamp", stamp(row.stamp_ns)],
  ];
  at("measures").replaceChildren(...measures(row));
  boxes(row);
  at("figures").replaceChildren(...cards.map(([label, value]) => {
    const card = element("div", label === "stamp" ? "card wide" : "card");
    card.append(element("div", "label", label), element("div", "figure", value));
    return card;
  }));
}

// What was measured of a frame: tables with a row for each image, and what is of no image in words.
const IMAGES = ["fused", "thermal", "visible", "average", "laplacian"];
const TABLES = {
  quality: ["MI", "VIFp", "Qabf", "SSIM", "flicker", "still", "unexplained"],
  features: ["corners", "matches", "inliers"],
  motion: ["pose_inliers", "parallax", "turn", "turn_step", "move_x", "move_y", "move_z"],
  objects: ["objects", "sought_again", "found_again"],
};
const WORDS = {
  "objects.both": "in both sources", "objects.visible_kept": "of visible kept", "objects.visible_lost": "of visible lost",
  "objects.thermal_alone": "in thermal alone", "objects.gained": "of those gained", "objects.fused_alone": "in fused alone",
  shift_x: "thermal's shift x, px", shift_y: "y, px", shift_certainty: "certainty",
};
function measures(row) {
  const value = (name) => (row[name] ?? "") === "" ? "" : String(Number(Number(row[name]).toPrecision(4)));
  const made = [];
  for (const [title, kinds] of Object.entries(TABLES)) {
    const shown = kinds.filter((kind) => IMAGES.some((image) => value(`${kind}.${image}`)));
    if (!shown.length) continue;
    const table = element("table", ""), line = (kind, cells) => {
      const filled = element("tr", "");
      filled.append(...cells.map((cell) => element(kind, "", cell)));
      return filled;
    };
    const rows = IMAGES.filter((image) => shown.some((kind) => value(`${kind}.${image}`)));
    table.append(line("th", [title, ...shown.map((kind) => kind.replace("_", " "))]));
    table.append(...rows.map((image) => line("td", [image, ...shown.map((kind) => value(`${kind}.${image}`))])));
    made.push(table);
  }
  const said = Object.entries(WORDS).filter(([name]) => value(name)).map(([name, words]) => `${words} ${value(name)}`);
  if (said.length) made.push(element("p", "note", said.join("; ")));
  if (made.length) return made;
  return state.overview.measured.length ? [element("span", "note", "Not measured; n goes to the next frame that is.")] : [];
}

// What a detector found in the images of a frame, those with a score below 0.5 dashed.
function boxes(row) {
  for (const pane of PANES) {
    const drawing = at("pane-" + pane).querySelector("svg");
    drawing.setAttribute("viewBox", `0 0 ${row.width} ${row.height}`);
    drawing.replaceChildren(...(row.objects?.[pane] ?? []).map(([left, top, right, bottom, score]) => {
      const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) box.setAttribute(name, value);
      if (score < 0.5) box.setAttribute("class", "unsure");
      return box;
    }));
  }
}

function stamp(nanoseconds) {
  return `${nanoseconds.slice(0, -9) || 0}.${nanoseconds.slice(-9, -3).padStart(6, "0")}`;
}

function element(kind, name, text) {
  const made = document.createElement(kind);
  made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

// The timeline: a band of modes above, drops as strokes on it, a line of one measure, and the time below.
const AXIS = 16;
const MODES = { fused: "fused", held: "three", visible: "visible", thermal: "thermal", stopped: "bad" };
function drawLine() {
  const { overview } = state;
  if (!overview) return;
  const holder = at("line"), canvas = holder.querySelector("canvas");
  const ratio = devicePixelRatio || 1, width = holder.clientWidth, height = holder.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const x = (seconds) => (seconds - overview.start) / (overview.end - overview.start) * width;
  overview.modes.forEach(([from, mode], index) => {
    const to = index + 1 < overview.modes.length ? overview.modes[index + 1][0] : overview.end;
    pen.fillStyle = themed(MODES[mode] ?? "six");
    pen.fillRect(x(from), 0, Math.max(1, x(to) - x(from)), 12);
  });
  pen.fillStyle = themed("bad");
  for (const spans of Object.values(overview.drops)) for (const [seconds] of spans) pen.fillRect(x(seconds), 12, 2, 12);
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "alphabetic";
  pen.fillStyle = themed("soft");
  const span = overview.end - overview.start, apart = tick(span * 80 / width);
  for (let seconds = Math.ceil(overview.start / apart) * apart; seconds <= overview.end; seconds += apart) {
    pen.fillRect(x(seconds), height - AXIS, 1, 3);
    const text = clock(seconds, apart), room = pen.measureText(text).width;
    pen.fillText(text, Math.max(2, Math.min(width - room - 2, x(seconds) - room / 2)), height - 3);
  }
  const quality = overview.lines[at("series").value];
  if (quality) {
    const known = quality.y.filter((value) => value !== null), low = Math.min(...known), high = Math.max(...known);
    const gaps = quality.x.slice(1).map((end, index) => end - quality.x[index]).sort((one, other) => one - other);
    const longest = 5 * (gaps[gaps.length >> 1] ?? Infinity);
    pen.strokeStyle = themed("four");
    pen.lineWidth = 1.5;
    pen.beginPath();
    let before = -Infinity;
    quality.y.forEach((value, index) => {
      if (value === null) return;
      const y = height - AXIS - 5 - (value - low) / (high - low || 1) * (height - AXIS - 36);
      if (quality.x[index] - before > longest) pen.moveTo(x(quality.x[index]), y); else pen.lineTo(x(quality.x[index]), y);
      before = quality.x[index];
    });
    pen.stroke();
  }
  if (state.frame >= 0) {
    pen.fillStyle = themed("ink");
    pen.fillRect(x(state.times[state.frame]) - 1, 0, 2, height);
  }
}

// The round step of the time axis that is `least` seconds or more.
function tick(least) {
  return [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400].find((step) => step >= least) ?? 36000;
}

function clock(seconds, step) {
  if (state.overview.end < 120) return `${seconds.toFixed(step < 1 ? 1 : 0)} s`;
  const whole = Math.round(seconds), two = (value) => String(value).padStart(2, "0");
  return whole < 3600 ? `${Math.floor(whole / 60)}:${two(whole % 60)}` : `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

function legend() {
  const entries = [...new Set(state.overview.modes.map(([, mode]) => mode))].map((mode) => [MODES[mode] ?? "six", mode]);
  const drops = Object.entries(state.overview.drops).map(([reason, spans]) => `${spans.reduce((sum, [, count]) => sum + count, 0)} ${reason}`);
  if (drops.length) entries.push(["bad", "dropped: " + drops.join(", ")]);
  const name = at("series").value, known = (state.overview.lines[name]?.y ?? []).filter((value) => value !== null);
  if (known.length) entries.push(["four", `${name}, ${round(Math.min(...known))} to ${round(Math.max(...known))}`]);
  at("legend").replaceChildren(...entries.map(([color, text]) => {
    const entry = element("span", "", ""), swatch = element("i", "");
    swatch.style.background = `var(--${color})`;
    entry.append(swatch, text);
    return entry;
  }));
}

const round = (value) => String(Number(value.toPrecision(3)));

function nearest(seconds) {
  let low = 0, high = state.times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (state.times[middle] < seconds) low = middle + 1; else high = middle;
  }
  return low > 0 && seconds - state.times[low - 1] < state.times[low] - seconds ? low - 1 : low;
}

function play(on) {
  if (on === state.playing) return;
  state.playing = on;
  at("play").textContent = on ? "❚❚" : "▶";
  at("play").setAttribute("aria-label", on ? "pause" : "play");
  if (!on) {
    figures(state.frame, state.token);
    return;
  }
  const last = state.overview.frames - 1;
  if (state.frame === last) show(0);
  let before = performance.now(), seconds = state.times[state.frame];
  const tick = async (now) => {
    if (!state.playing) return;
    seconds += Math.min((now - before) / 1000, 0.25) * Number(at("speed").value);
    before = now;
    await show(nearest(seconds));
    if (state.frame >= last) play(false); else requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

function step(by) {
  play(false);
  show(state.frame + by);
}

function jump(places, back) {
  const there = back ? places.filter((place) => place < state.frame).at(-1) : places.find((place) => place > state.frame);
  if (there !== undefined) { play(false); show(there); }
}

function choose(view) {
  state.view = view;
  at("stage").className = view + (state.bare ? " bare" : "");
  for (const name of ["three", "swipe"]) at("view-" + name).setAttribute("aria-pressed", String(name === view));
  at("against").hidden = view !== "swipe";
  const other = at("against").querySelector("select").value;
  for (const pane of PANES) {
    at("pane-" + pane).classList.toggle("below", view === "swipe" && pane === other);
    at("pane-" + pane).classList.toggle("above", view === "swipe" && pane === "fused");
  }
}

function bare(on) {
  state.bare = on;
  at("boxes").setAttribute("aria-pressed", String(!on));
  choose(state.view);
}

function cut(share) {
  const percent = Math.max(0, Math.min(100, share * 100));
  at("stage").style.setProperty("--cut", percent + "%");
  at("divider").setAttribute("aria-valuenow", Math.round(percent));
}

function dragged(target, act) {
  target.addEventListener("pointerdown", (event) => {
    target.setPointerCapture(event.pointerId);
    act(event);
  });
  target.addEventListener("pointermove", (event) => { if (target.hasPointerCapture(event.pointerId)) act(event); });
}

const share = (event, box) => (event.clientX - box.left) / box.width;
dragged(at("line"), (event) => {
  play(false);
  const { start, end } = state.overview;
  show(nearest(start + share(event, at("line").getBoundingClientRect()) * (end - start)));
});
dragged(at("stage"), (event) => {
  if (state.view === "swipe") cut(share(event, at("stage").getBoundingClientRect()));
});
at("back").onclick = () => step(-1);
at("on").onclick = () => step(1);
at("play").onclick = () => play(!state.playing);
at("view-three").onclick = () => choose("three");
at("view-swipe").onclick = () => choose("swipe");
at("against").querySelector("select").onchange = () => choose(state.view);
at("boxes").onclick = () => bare(!state.bare);
at("series").onchange = () => { legend(); drawLine(); };
choose("three");

const dropFrames = () => Object.values(state.overview.drops).flat().map(([seconds]) => nearest(seconds)).sort((one, other) => one - other);
const KEYS = {
  ArrowLeft: (event) => step(event.shiftKey ? -10 : -1),
  ArrowRight: (event) => step(event.shiftKey ? 10 : 1),
  Home: () => step(-Infinity),
  End: () => step(Infinity),
  " ": () => play(!state.playing),
  1: () => choose("three"),
  2: () => choose("swipe"),
  n: () => jump(state.overview.measured, false),
  p: () => jump(state.overview.measured, true),
  d: () => jump(dropFrames(), false),
  b: () => bare(!state.bare),
  l: () => {
    const select = at("series");
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    select.onchange();
  },
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT" || !state.overview) return;
  if (event.target.id === "divider" && event.key.startsWith("Arrow")) {
    cut((Number(at("divider").getAttribute("aria-valuenow")) + (event.key === "ArrowLeft" ? -2 : 2)) / 100);
    event.preventDefault();
    return;
  }
  const act = KEYS[event.key];
  if (!act || (event.key === " " && event.target.tagName === "BUTTON")) return;
  event.preventDefault();
  act(event);
});

start();
