// The page "Right now": the figures as the server writes them, and rates of what it has counted.

import { alarm, alarms, keepAsking } from "./live.js";

const OVER_MS = 10_000; // rates from one sample to the next would only show how timers jitter
const page = document.querySelector("#operations");
let samples = [];

keepAsking(page, (moment) => {
  const state = document.querySelector("#live-state");
  state.dataset.state = moment.state;
  state.lastElementChild.textContent = moment.words;
  if (moment.alarms.join() !== alarms().join()) alarm(moment.alarms);
  document.querySelector("#live-figures").innerHTML = moment.figures; // from our own templates
  samples.push({ at: Date.now(), pools: moment.pools });
  const before = samples.findLast((sample) => sample.at <= Date.now() - OVER_MS) ?? samples[0];
  samples = samples.slice(samples.indexOf(before));
  for (const shown of document.querySelectorAll("[data-pool]")) showPool(shown, before, samples.at(-1));
});

function showPool(shown, before, now) {
  const [was, is] = [before, now].map(({ pools }) => pools[shown.dataset.pool]);
  const requests = is && was ? is.requests - was.requests : 0;
  if (now.at === before.at || requests < 0) return; // counted from the beginning again
  const perSecond = (requests * 1000) / (now.at - before.at);
  shown.querySelector(".live-value").textContent = perSecond.toFixed(perSecond < 10 ? 1 : 0);
  const errors = requests ? (is.errors - was.errors) / requests : 0;
  shown.dataset.state = errors > 0.02 ? "bad" : errors > 0 ? "look" : "";
  shown.querySelector(".live-note").textContent = [
    requests ? page.dataset.sayWithin.replace("{ms}", Math.round(1000 * within(0.95, was, is))) : "",
    errors ? page.dataset.sayErrors.replace("{share}", `${(100 * errors).toFixed(1)}%`) : "",
  ].filter(Boolean).join(" · ");
}

/** Seconds within which that share was answered: as exact as the bounds that are counted by. */
function within(share, was, is) {
  const bounds = Object.keys(is.within).sort((one, other) => bound(one) - bound(other));
  const answered = bounds.map((le) => is.within[le] - (was.within[le] ?? 0));
  const wanted = share * answered.at(-1);
  const at = answered.findIndex((count) => count >= wanted);
  const [upper, lower] = [bound(bounds[at]), at ? bound(bounds[at - 1]) : 0];
  if (upper === Infinity) return lower;
  const below = at ? answered[at - 1] : 0;
  return lower + ((upper - lower) * (wanted - below)) / Math.max(1, answered[at] - below);
}

function bound(le) {
  return le === "+Inf" ? Infinity : Number(le);
}
