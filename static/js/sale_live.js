// The live page of a sale: asks for the figures every two seconds, and draws the last minutes of them.

import { alarm, alarms, keepAsking } from "./live.js";

const SHOWN_MS = 5 * 60_000;
const RATE_OVER_MS = 4_000; // a rate from one sample to the next would only show how timers jitter

const page = document.querySelector("#sale-live");
const charts = document.querySelector("#live-charts");
const remembered = `sale-live-${page.dataset.sale}`;
let samples = recall();

keepAsking(page, show);
addEventListener("resize", draw);

function show(moment) {
  if (moment.version !== page.dataset.version) return void location.reload();
  document.querySelector("#live-state").textContent = moment.state;
  if (moment.alarms.join() !== alarms().join()) alarm(moment.alarms);
  for (const { key, value, note } of moment.figures) {
    const figure = page.querySelector(`[data-figure="${key}"]`);
    figure.querySelector(".live-value").textContent = value;
    figure.querySelector(".live-note").textContent = note;
  }
  for (const part of ["sold", "held"]) {
    document.querySelector(`#share-${part}`).style.width = `${moment.shares[part]}%`;
  }
  samples.push({ at: Date.now(), ...moment.sample });
  samples = samples.filter((sample) => sample.at > Date.now() - SHOWN_MS);
  remember();
  draw();
}

// ---- what was seen before, so that a reload keeps the picture

function recall() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(remembered)) ?? [];
    return kept.filter((sample) => sample.at > Date.now() - SHOWN_MS);
  } catch {
    return [];
  }
}

function remember() {
  try {
    sessionStorage.setItem(remembered, JSON.stringify(samples));
  } catch {
    // Private windows may forbid it; then a reload begins anew.
  }
}

// ---- drawing

function draw() {
  if (samples.length < 2) return;
  charts.hidden = false;
  const now = samples.at(-1).at;
  // At least a minute, so that the first seconds do not fill the whole width.
  const since = Math.min(samples[0].at, now - 60_000);
  drawChart("#chart-arrivals", { since, now, most: 1 }, [{ kind: "arrivals", points: rates() }]);
  const sold = samples.map(({ at, sold }) => ({ at, low: 0, high: sold }));
  const held = samples.map(({ at, sold, held }) => ({ at, low: sold, high: sold + held }));
  drawChart("#chart-units", { since, now, most: 5 }, [
    { kind: "sold", points: sold },
    { kind: "held", points: held },
  ]);
}

/** Clicks per second; nothing where the gate was away, or was counting from the beginning again. */
function rates() {
  const points = [];
  for (const sample of samples) {
    const before = samples.findLast((other) => other.at <= sample.at - RATE_OVER_MS);
    if (before?.arrivals == null || sample.arrivals == null || sample.arrivals < before.arrivals) continue;
    points.push({ at: sample.at, high: ((sample.arrivals - before.arrivals) * 1000) / (sample.at - before.at) });
  }
  return points;
}

function drawChart(id, { since, now, most }, series) {
  const svg = document.querySelector(id);
  const { width, height } = svg.getBoundingClientRect();
  const top = niceAbove(Math.max(most, ...series.flatMap(({ points }) => points.map((point) => point.high))));
  const [left, right, upper, lower] = [8 + 7 * String(top).length, width - 4, 8, height - 20];
  const x = (at) => left + ((at - since) / (now - since)) * (right - left);
  const y = (count) => lower - (count / top) * (lower - upper);

  const parts = [0, top / 2, top].flatMap((count) => [
    element("line", { class: "grid", x1: left, x2: right, y1: y(count), y2: y(count) }),
    element("text", { x: left - 6, y: y(count) + 4, "text-anchor": "end" }, count),
  ]);
  const minutes = Math.round((now - since) / 60_000);
  parts.push(element("text", { x: left, y: height - 4 }, charts.dataset.sayAgo.replace("{minutes}", minutes)));
  parts.push(element("text", { x: right, y: height - 4, "text-anchor": "end" }, charts.dataset.sayNow));
  for (const { kind, points } of series) {
    if (points.length < 2) continue;
    const upperEdge = points.map((point) => `${x(point.at).toFixed(1)},${y(point.high).toFixed(1)}`);
    const lowerEdge = points.map((point) => `${x(point.at).toFixed(1)},${y(point.low ?? 0).toFixed(1)}`).reverse();
    const area = kind !== "arrivals";
    const d = `M${upperEdge.join("L")}${area ? `L${lowerEdge.join("L")}Z` : ""}`;
    parts.push(element("path", { class: kind, d }));
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...parts);
}

/** 2, 4, 10, 20, 40, 100, …: halves of it are whole numbers, too. */
function niceAbove(count) {
  for (let step = 1; ; step *= 10) {
    for (const top of [2 * step, 4 * step, 10 * step]) {
      if (top >= count) return top;
    }
  }
}

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
