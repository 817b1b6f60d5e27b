// What the merchant's live pages share: they ask for their figures every two seconds while somebody looks.

const EVERY_MS = 2_000;
const ANSWER_WITHIN_MS = 10_000;

/** Ask at `page.dataset.numbers` and `show` what is said; without an answer the page says that it is old. */
export function keepAsking(page, show) {
  let timer;
  ask();
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) ask();
  });

  async function ask() {
    const controller = new AbortController();
    const patience = setTimeout(() => controller.abort(), ANSWER_WITHIN_MS);
    try {
      const answer = await fetch(page.dataset.numbers, {
        headers: { Accept: "application/json" },
        cache: "no-store",
        redirect: "manual",
        signal: controller.signal,
      });
      // Logged out, or not allowed to see it any more: the page itself says which.
      if (answer.type === "opaqueredirect" || answer.status === 403) return void location.reload();
      if (!answer.ok) throw new Error(`answered ${answer.status}`);
      show(await answer.json());
      page.classList.remove("is-lost");
    } catch {
      if (!page.classList.contains("is-lost")) alarm([page.dataset.sayLost, ...alarms()]);
      page.classList.add("is-lost");
    } finally {
      clearTimeout(patience);
    }
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(ask, EVERY_MS);
  }
}

export function alarms() {
  return [...document.querySelectorAll(".live-alarm")].map((shown) => shown.textContent);
}

export function alarm(texts) {
  const shown = texts.map((text) => {
    const paragraph = document.createElement("p");
    paragraph.className = "live-alarm";
    paragraph.textContent = text;
    return paragraph;
  });
  document.querySelector("#live-alarms").replaceChildren(...shown);
}
