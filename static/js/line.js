// The line page: asks how the ticket stands, keeps saying the last truth while nobody answers, and goes
// to the order once there is one. It does not load itself anew: ten thousand pages would do so at once.

import { ask, atLeast, backoff, NoAnswer, retryAfterMs, watch } from "./asking.js";
import { forget, remember, remembered, send } from "./click.js";
import { setTimeLeft } from "./countdown.js";

const FAILURES_UNTIL_SAID = 2;
const SPEAK_EVERY_MS = 30_000;
const READ_MS = 700; // so that a screen reader and the eye catch what has happened
const LIVE = ["registered", "queued", "waiting", "unavailable"];
const IN_LINE = ["queued", "waiting"];

const line = document.querySelector("#line");
const announcer = document.querySelector("#announcer");
const unreachable = document.querySelector("#unreachable");
const { api, ticket, variant } = line.dataset;
const shopName = line.dataset.shop;
let spokenAt = Date.now();

for (const form of line.querySelectorAll("form[data-leave]")) {
  form.addEventListener("submit", () => forget(ticket, variant));
}

if (LIVE.includes(line.dataset.status)) {
  // Also behind another window: whoever does not ask is taken for gone.
  watch(look, { first: atLeast(Number(line.dataset.again) * 1000), evenHidden: true, onFailures });
} else if (line.dataset.status === "unknown" && remembered(ticket)) {
  sendAgain();
} else {
  forget(ticket, variant);
}

async function look() {
  const answer = await ask(api);
  if (answer.status === 404) {
    const click = remembered(ticket);
    if (!click) {
      show({ status: "unknown" });
      return null;
    }
    return again(await send(click, { again: true }), click);
  }
  if (!answer.ok) throw new NoAnswer(answer);
  const standing = await answer.json();
  show(standing);
  return LIVE.includes(standing.status) ? atLeast(retryAfterMs(answer) || 5000) : null;
}

function onFailures(failures) {
  unreachable.hidden = failures < FAILURES_UNTIL_SAID;
}

// ---- a ticket that was forgotten

/** The shop does not know the ticket, this tab knows the click: it is sent again, under the same key. */
async function sendAgain() {
  const click = remembered(ticket);
  for (let failures = 1; ; failures += 1) {
    const answer = await send(click, { again: true });
    const next = again(answer, click);
    if (answer.ticket || answer.refused) {
      if (next !== null) watch(look, { first: next, evenHidden: true, onFailures });
      return;
    }
    onFailures(failures);
    await new Promise((resolve) => setTimeout(resolve, Math.max(backoff(failures), next)));
  }
}

function again(answer, click) {
  if (answer.ticket) {
    remember(click, answer.ticket, line.dataset.url);
    show(answer.ticket);
    return LIVE.includes(answer.ticket.status) ? atLeast(1000) : null;
  }
  if (answer.refused) {
    show({ status: "refused", reason: answer.refused.code, message: answer.refused.message });
    return null;
  }
  return atLeast(answer.later || 2000);
}

// ---- showing

function show(standing) {
  const { status } = standing;
  const section = line.querySelector(`[data-state="${status}"]`);
  if (!section) return void location.replace(line.dataset.url); // a status of a newer shop
  const before = line.dataset.status;
  line.dataset.status = status;
  for (const each of line.querySelectorAll("[data-state]")) each.hidden = each !== section;
  for (const each of section.querySelectorAll("[data-ahead]")) each.textContent = String(standing.ahead);
  for (const each of section.querySelectorAll("[data-place]")) each.textContent = String(standing.ahead + 1);
  for (const each of section.querySelectorAll("[data-wait]")) each.textContent = waitInWords(standing.expected_wait);
  const clock = section.querySelector("[data-countdown]");
  if (clock) setTimeLeft(clock, standing.expected_wait);
  if (status === "refused") showReason(section, standing);
  speak(section, standing, before);
  if (status === "held") return void goToOrder(standing.order.token);
  if (!LIVE.includes(status)) forget(ticket, variant);
}

function showReason(section, { reason, message }) {
  const known = section.querySelector(`[data-reason="${CSS.escape(reason || "other")}"]`);
  const shown = known ?? section.querySelector('[data-reason="other"]');
  if (!known && message) shown.textContent = message;
  for (const each of section.querySelectorAll("[data-reason]")) each.hidden = each !== shown;
}

function speak(section, { status, ahead }, before) {
  const heading = section.querySelector("h1 [data-heading]").textContent;
  const inLine = IN_LINE.includes(status);
  document.title = `${inLine && ahead ? `(${ahead}) ` : ""}${heading} · ${shopName}`;
  if (status !== before) announcer.textContent = heading;
  else if (inLine && Date.now() - spokenAt > SPEAK_EVERY_MS) {
    announcer.textContent = line.dataset.sayAhead.replace("{ahead}", ahead);
  } else return;
  spokenAt = Date.now();
}

function goToOrder(token) {
  forget(ticket, variant);
  const go = () => setTimeout(() => location.replace(line.dataset.order.replace("TOKEN", token)), READ_MS);
  if (!document.hidden) return void go();
  // Behind another window the title calls; the order opens when somebody comes.
  document.title = `● ${document.title}`;
  document.addEventListener("visibilitychange", go, { once: true });
}

/** As wait_in_words in orders/admission/display.py. */
function waitInWords(seconds) {
  const words = line.dataset;
  if (seconds <= 20) return words.waitSoon;
  if (seconds < 90) return words.waitMinute;
  if (seconds < 3600) return words.waitMinutes.replace("{minutes}", Math.round(seconds / 60));
  return words.waitLong;
}
