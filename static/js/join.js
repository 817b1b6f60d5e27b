// The buy page's form goes by the short way, and again while the shop cannot take it. Every try is the
// same click: same pass, same idempotency key. A clear no is shown where it was asked for.

import { atLeast, backoff } from "./asking.js";
import { remember, rememberedPage, send } from "./click.js";

const RETRY_FIRST_MS = 1_000;
const RETRY_MOST_MS = 30_000;
// The whole page answers these better: it has the link to the order, or a fresh pass.
const BY_THE_PAGE = ["idempotency_conflict", "bad_pass"];
const ANSWERS = "answers.";

const form = document.querySelector("form[data-join]");
const refused = document.querySelector("#refused");
if (form) {
  offerWayBack();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    join();
  });
}

function offerWayBack() {
  const page = rememberedPage(form.dataset.variant);
  const notice = document.querySelector("#in-line");
  if (!page || !notice) return;
  notice.querySelector("a").href = page;
  notice.hidden = false;
}

async function join() {
  const { quantity, contact_email, pass, idempotency_key } = form.elements;
  const click = {
    variant: form.dataset.variant,
    quantity: Number(quantity.value),
    contact_email: contact_email.value.trim(),
    pass: pass.value,
    idempotency_key: idempotency_key.value,
  };
  const answers = [...form.elements].filter((field) => field.name.startsWith(ANSWERS));
  if (answers.length) {
    click.answers = Object.fromEntries(answers.map((field) => [field.name.slice(ANSWERS.length), field.value]));
  }
  refused.hidden = true;
  const trying = new Trying();
  for (let failures = 1; !trying.stopped; failures += 1) {
    const answer = await send(click, { soldDirectly: "soldDirectly" in form.dataset });
    if (trying.stopped) break; // whatever came of it, the same form finds it again
    if (answer.ticket) return void go(click, answer.ticket);
    if (answer.refused) return void refuse(trying, answer.refused);
    const pause = answer.comesLater ? atLeast(answer.later) : backoff(failures, RETRY_FIRST_MS, RETRY_MOST_MS);
    await trying.waitFor(Math.max(pause, answer.later), answer.message);
  }
  trying.end();
}

function refuse(trying, { code, message, fields }) {
  const isOfAField = Object.keys(fields ?? {}).length > 0;
  if (!message || isOfAField || BY_THE_PAGE.includes(code)) return void form.submit();
  trying.end();
  refused.querySelector("p").textContent = message;
  refused.hidden = false;
  refused.scrollIntoView({ block: "nearest" });
}

function go(click, ticket) {
  const page = form.dataset.line.replace(/TICKET\/$/, `${ticket.ticket}/`);
  if (ticket.order) return void location.assign(form.dataset.order.replace(/TOKEN\/$/, `${ticket.order.token}/`));
  remember(click, ticket, page);
  location.assign(page);
}

/** What the buyer sees meanwhile, and may stop. */
class Trying {
  constructor() {
    this.stopped = false;
    this.button = form.querySelector("[type=submit]");
    this.notice = document.querySelector("#trying");
    this.label = this.button.innerHTML;
    this.button.textContent = form.dataset.busy;
    this.button.setAttribute("aria-busy", "true");
    form.inert = true;
    this.stop = () => {
      this.stopped = true;
      this.wake?.();
    };
    this.notice.querySelector("[data-stop]").addEventListener("click", this.stop);
    addEventListener("pageshow", (event) => event.persisted && this.end(), { once: true });
    addEventListener("online", () => this.wake?.());
  }

  async waitFor(ms, message) {
    const until = Date.now() + ms;
    const seconds = this.notice.querySelector("[data-seconds]");
    const count = () => (seconds.textContent = String(Math.max(0, Math.ceil((until - Date.now()) / 1000))));
    this.notice.querySelector("[data-why]").textContent = message || this.notice.dataset.unreachable;
    count();
    this.notice.hidden = false;
    this.notice.scrollIntoView({ block: "nearest" });
    const counting = setInterval(count, 250);
    await new Promise((resolve) => {
      this.wake = resolve;
      setTimeout(resolve, ms);
    });
    clearInterval(counting);
    seconds.textContent = "0";
  }

  end() {
    this.stop();
    this.notice.querySelector("[data-stop]").removeEventListener("click", this.stop);
    this.notice.hidden = true;
    this.button.innerHTML = this.label;
    this.button.removeAttribute("aria-busy");
    form.inert = false;
  }
}
