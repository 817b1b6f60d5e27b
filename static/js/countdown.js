// Counts down to the opening of a sale, by the server's clock.
//
// data-seconds-left is what the server said when it made the page. A page that may come out of a cache has
// data-opens-at (Unix seconds) instead, and the server's clock is read from the Date of a fresh answer.
// What is marked data-before-opening and data-after-opening changes places at the opening: that of the same
// data-opening, or where there is none around the clock, of the whole page.

const DAY = 24 * 3600;
const deadlines = new WeakMap(); // milliseconds of this device's wall clock

for (const clock of document.querySelectorAll("[data-countdown]")) {
  if (clock.dataset.secondsLeft) start(clock, Number(clock.dataset.secondsLeft));
  else askTheTime(clock);
}

/** The server has just said how long it is still. Small differences are the network's. */
export function setTimeLeft(clock, seconds) {
  const said = Date.now() + seconds * 1000;
  if (Math.abs(said - (deadlines.get(clock) ?? 0)) > 1500) deadlines.set(clock, said);
}

function start(clock, seconds) {
  setTimeLeft(clock, seconds);
  let wasOver = false;
  const tick = () => {
    const left = Math.max(0, Math.ceil((deadlines.get(clock) - Date.now()) / 1000));
    clock.textContent = inWords(clock, left);
    const over = left === 0;
    if (over !== wasOver) showOpening(clock.closest("[data-opening]") ?? document, over);
    wasOver = over;
  };
  tick();
  setInterval(tick, 500);
  document.addEventListener("visibilitychange", tick); // timers sleep with the phone
}

async function askTheTime(clock) {
  let now = Date.now();
  try {
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
    const date = Date.parse(answer.headers.get("Date") ?? "");
    if (date) now = date + Number(answer.headers.get("Age") ?? 0) * 1000;
  } catch {
    // Offline: this device's clock is better than none, and the server decides in any case.
  }
  start(clock, Number(clock.dataset.opensAt) - now / 1000);
}

function inWords(clock, seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const days = Math.floor(seconds / DAY);
  const text = `${Math.floor((seconds % DAY) / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  if (!days) return text;
  const word = days === 1 ? clock.dataset.dayWord : clock.dataset.daysWord;
  return `${word.replace("{days}", days)} ${text}`;
}

function showOpening(scope, over) {
  for (const thing of scope.querySelectorAll("[data-before-opening]")) thing.hidden = over;
  for (const thing of scope.querySelectorAll("[data-after-opening]")) thing.hidden = !over;
}
