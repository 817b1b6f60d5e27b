// The order page: counts down, asks how the order is, and shows the page anew when that has changed.

import { ask, NoAnswer, spread, watch } from "./asking.js";

const PATIENT_AFTER = 15; // unchanged answers until the pause has doubled
const MOST_PATIENT_MS = 10_000;

const order = document.querySelector("#order");
const announcer = document.querySelector("#announcer");
const unreachable = document.querySelector("#unreachable");
let deadline = 0; // of the hold, in milliseconds of this device's wall clock

announceArrival();
countDown();
if (order.dataset.nextLook) keepLooking();

// ---- asking

function keepLooking() {
  let unchanged = 0;

  const look = async () => {
    const answer = await ask(order.dataset.api);
    if (answer.status === 404) return null; // gone for good: asking again would not help
    if (!answer.ok) throw new NoAnswer(answer);
    const state = await answer.json();
    if (differs(state)) {
      showAnew(state);
      return null;
    }
    unchanged += 1;
    setDeadline(state.seconds_left);
    return state.next_look === null ? null : spread(patient(state.next_look * 1000, unchanged));
  };

  const now = watch(look, {
    first: spread(Number(order.dataset.nextLook) * 1000),
    onFailures: (failures) => (unreachable.hidden = failures < 3),
    onWake: () => (unchanged = 0),
  });
  document.addEventListener("countdown-over", now);
}

function patient(ms, unchanged) {
  return Math.min(ms * (1 + unchanged / PATIENT_AFTER), Math.max(ms, MOST_PATIENT_MS));
}

// ---- showing

function differs(state) {
  const shown = order.dataset;
  return (
    state.status !== shown.status ||
    String(state.can_pay) !== shown.canPay ||
    String(state.has_keys) !== shown.hasKeys ||
    (state.delivered_at ?? "") !== shown.deliveredAt ||
    String(state.money_received) !== shown.moneyReceived ||
    String(state.is_refunding) !== shown.isRefunding ||
    String(state.is_refunded) !== shown.isRefunded
  );
}

/** Load the page again; while somebody types, only once they have left the field. */
function showAnew(state) {
  announcer.textContent = `${order.dataset.sayChanged} ${state.status_text}`;
  const typing = document.activeElement?.closest("form[data-guard]");
  if (typing) {
    typing.addEventListener("focusout", () => setTimeout(() => showAnew(state), 300), { once: true });
    return;
  }
  try {
    sessionStorage.setItem("changed", order.dataset.url);
  } catch {
    // Private windows may forbid it; then the new title has to be news enough.
  }
  // Not reload(): after a refused form that would send the form again.
  location.replace(order.dataset.url);
}

function announceArrival() {
  try {
    if (sessionStorage.getItem("changed") !== order.dataset.url) return;
    sessionStorage.removeItem("changed");
  } catch {
    return;
  }
  const heading = document.querySelector("h1").cloneNode(true);
  for (const ornament of heading.querySelectorAll("[aria-hidden]")) ornament.remove();
  // A live region speaks only of what changes after it is there.
  setTimeout(() => (announcer.textContent = `${order.dataset.sayChanged} ${heading.textContent.trim()}`), 500);
}

// ---- counting down

/** By the wall clock, since timers sleep with the phone; small differences are the network's. */
function setDeadline(secondsLeft) {
  const said = Date.now() + secondsLeft * 1000;
  if (Math.abs(said - deadline) > 1500) deadline = said;
}

function countDown() {
  const clock = document.querySelector("#countdown");
  if (!clock) return;
  let before = Number(order.dataset.secondsLeft);
  setDeadline(before);

  const tick = () => {
    const left = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
    clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    clock.classList.toggle("is-short", left <= 120);
    if (before > 300 && left <= 300) announcer.textContent = order.dataset.sayFive;
    if (before > 60 && left <= 60) announcer.textContent = order.dataset.sayOne;
    if (before > 0 && left === 0) document.dispatchEvent(new Event("countdown-over"));
    before = left;
  };
  tick();
  setInterval(tick, 500);
  document.addEventListener("visibilitychange", tick);
}
