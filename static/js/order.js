// The order page: counts down, asks how the order is, and shows the page anew when that has changed.

const RETRY_FIRST_MS = 2_000;
const RETRY_MOST_MS = 60_000;
const ANSWER_WITHIN_MS = 10_000;
const PATIENT_AFTER = 15; // unchanged answers until the pause has doubled
const MOST_PATIENT_MS = 10_000;

const order = document.querySelector("#order");
const announcer = document.querySelector("#announcer");
const unreachable = document.querySelector("#unreachable");
let deadline = 0; // of the hold, in milliseconds of this device's wall clock

announceArrival();
countDown();
if (order.dataset.nextLook) watch();

// ---- asking

function watch() {
  let timer;
  let asking = false;
  let failures = 0;
  let unchanged = 0;
  let notBefore = 0; // Retry-After, which also holds when the page is shown again

  const later = (ms) => {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(ask, Math.max(ms, notBefore - Date.now()));
  };

  const ask = async () => {
    if (asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch(order.dataset.api, {
        headers: { Accept: "application/json", "Accept-Language": document.documentElement.lang },
        cache: "no-store",
        signal: timeout(ANSWER_WITHIN_MS),
      });
      if (answer.status === 404) return; // gone for good: asking again would not help
      if (!answer.ok) {
        notBefore = Date.now() + retryAfterMs(answer.headers.get("Retry-After"));
        throw new Error(`answered ${answer.status}`);
      }
      const state = await answer.json();
      failures = 0;
      unreachable.hidden = true;
      if (differs(state)) return void showAnew(state);
      unchanged += 1;
      setDeadline(state.seconds_left);
      if (state.next_look === null) return;
      later(spread(patient(state.next_look * 1000, unchanged)));
    } catch {
      failures += 1;
      unreachable.hidden = failures < 3;
      later(spread(Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 10))));
    } finally {
      asking = false;
    }
  };

  const now = () => {
    unchanged = 0;
    later(0);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else now();
  });
  addEventListener("pageshow", (event) => event.persisted && now());
  addEventListener("online", now);
  document.addEventListener("countdown-over", now);
  later(spread(Number(order.dataset.nextLook) * 1000));
}

function timeout(ms) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), ms);
  return controller.signal;
}

function retryAfterMs(text) {
  if (!text) return 0;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Math.min(Math.max(ms || 0, 0), 10 * RETRY_MOST_MS);
}

/** A quarter more or less, so that a thousand pages do not ask in step. */
function spread(ms) {
  return ms * (0.75 + Math.random() / 2);
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
    String(state.money_received) !== shown.moneyReceived
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
