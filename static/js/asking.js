// Asking the shop again and again, never in step with everybody else. Shared by the pages that wait.

const RETRY_FIRST_MS = 2_000;
const RETRY_MOST_MS = 60_000;
const ANSWER_WITHIN_MS = 10_000;
const JITTER_MOST_MS = 3_000;

/** fetch() in the page's language, past every cache, given up when no answer comes. */
export async function ask(url, { headers, ...options } = {}) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), ANSWER_WITHIN_MS);
  try {
    return await fetch(url, {
      headers: { Accept: "application/json", "Accept-Language": document.documentElement.lang, ...headers },
      cache: "no-store",
      signal: controller.signal,
      ...options,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** How long the answer asks to be left alone; 0 when it says nothing of it. */
export function retryAfterMs(response) {
  const text = response.headers.get("Retry-After");
  if (!text) return 0;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Math.min(Math.max(ms || 0, 0), 10 * RETRY_MOST_MS);
}

/** What `watch` is to hear of an answer that is none: it says when to ask again. */
export class NoAnswer extends Error {
  constructor(response) {
    super(`answered ${response.status}`);
    this.retryAfterMs = retryAfterMs(response);
  }
}

/** A quarter more or less. */
export function spread(ms) {
  return ms * (0.75 + Math.random() / 2);
}

/** What the server asked for, and a little more: never less. */
export function atLeast(ms) {
  return ms + Math.random() * Math.min(ms / 2, JITTER_MOST_MS);
}

export function backoff(failures, first = RETRY_FIRST_MS, most = RETRY_MOST_MS) {
  return spread(Math.min(most, first * 2 ** Math.min(failures - 1, 10)));
}

/**
 * Call `look` until it returns null: it returns the milliseconds until the next time, and throws when
 * nobody answered. A page that is shown again, or online again, looks at once, but not before a
 * Retry-After is over. Nothing is asked while the page is hidden, unless it should be `evenHidden`.
 */
export function watch(look, { first, evenHidden = false, onFailures, onWake }) {
  let timer;
  let asking = false;
  let over = false;
  let failures = 0;
  let notBefore = 0;

  const rests = () => document.hidden && !evenHidden;

  const later = (ms) => {
    clearTimeout(timer);
    if (!rests()) timer = setTimeout(once, Math.max(ms, notBefore - Date.now()));
  };

  const once = async () => {
    if (asking || over || rests()) return;
    asking = true;
    try {
      const next = await look();
      failures = 0;
      onFailures(0);
      over = next === null;
      if (!over) later(next);
    } catch (error) {
      failures += 1;
      notBefore = Date.now() + (error.retryAfterMs ?? 0);
      onFailures(failures);
      later(backoff(failures));
    } finally {
      asking = false;
    }
  };

  const now = () => {
    onWake?.();
    if (!asking && !over) later(0);
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) now();
    else if (rests()) clearTimeout(timer);
  });
  addEventListener("pageshow", (event) => event.persisted && now());
  addEventListener("online", now);
  later(first);
  return now;
}
