// One click on "buy", and what is remembered of it. Sending it again is always the same ticket.

import { ask, retryAfterMs } from "./asking.js";
import { solve } from "./proof.js";

const TICKETS = "/api/v1/tickets/";
const WORTH_RETRYING = [429, 502, 503, 504];
const MOST_PROOFS = 3; // of work, under pressure
const MAY_BE_TAKEN = [502, 503, 504];

/** Idempotency keys of clicks that the shop may have taken although we were not told. */
const unsure = new Set();

/** Send the click: `{ticket}` when it is in, `{refused}` for a no, else `{later, message, comesLater}`.
 *
 * A gateway may say "the line is full" for the shop, who alone knows whether this click is in it already.
 * So a click that may be says that it comes again. `soldDirectly`: there is no line.
 */
export async function send(click, { soldDirectly = false, again = false, proofs = 0 } = {}) {
  if (again) unsure.add(click.idempotency_key);
  const headers = { "Content-Type": "application/json" };
  if (soldDirectly) headers["X-Sold"] = "directly";
  if (unsure.has(click.idempotency_key)) headers["X-Click"] = "again";
  try {
    const response = await ask(TICKETS, { method: "POST", headers, body: JSON.stringify(click) });
    const said = await response.json().catch(() => ({}));
    if (mayBeTaken(response)) unsure.add(click.idempotency_key);
    if (response.status === 202 && said.ticket) return { ticket: said };
    if (response.status === 428 && said.challenge && globalThis.crypto?.subtle && proofs < MOST_PROOFS) {
      return await send({ ...click, proof: await solve(said.challenge) }, { soldDirectly, proofs: proofs + 1 });
    }
    // Not open, paused, before the next wave: a no that says when to ask again.
    const comesLater = response.status === 409 && retryAfterMs(response) > 0;
    if (comesLater || response.status === 202 || WORTH_RETRYING.includes(response.status)) {
      return { later: retryAfterMs(response), message: said.message ?? "", comesLater };
    }
    return { refused: said };
  } catch {
    unsure.add(click.idempotency_key);
    return { later: 0, message: "", comesLater: false }; // no network, or no answer in time
  }
}

/** A gateway that had no place for the click says so; any other failure may hide a ticket. */
function mayBeTaken(response) {
  if (response.headers.get("X-Click") === "unheard") return false;
  return response.ok || MAY_BE_TAKEN.includes(response.status);
}

/** In this tab, so that the line page can send it again; a registration has brought a pass of its own. */
export function remember(click, ticket, page) {
  store(sessionStorage, `click:${ticket.ticket}`, { ...click, pass: ticket.pass ?? click.pass });
  store(localStorage, `line:${click.variant}`, page);
}

export function remembered(ticketId) {
  return recall(sessionStorage, `click:${ticketId}`);
}

/** The page of the place that this browser has in the variant's line, as far as it knows. */
export function rememberedPage(variant) {
  return recall(localStorage, `line:${variant}`);
}

export function forget(ticketId, variant) {
  drop(sessionStorage, `click:${ticketId}`);
  if (String(rememberedPage(variant)).includes(ticketId)) drop(localStorage, `line:${variant}`);
}

// Private windows may forbid all of it; then nothing is remembered.

function store(storage, name, value) {
  try {
    storage.setItem(name, JSON.stringify(value));
  } catch {}
}

function recall(storage, name) {
  try {
    return JSON.parse(storage.getItem(name));
  } catch {
    return null;
  }
}

function drop(storage, name) {
  try {
    storage.removeItem(name);
  } catch {}
}
