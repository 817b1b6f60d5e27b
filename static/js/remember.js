// The order page: this browser remembers the order, unless its owner says no.

import { canRemember, forget, remember, remembered, rememberOpened } from "./remembered.js";

const place = document.querySelector("#kept");
const { token, number, name, placed } = place.dataset;
const order = { token, number, name: name.slice(0, 300), placed };

if (canRemember()) {
  rememberOpened(order);
  show();
  place.hidden = false;
  listen("[data-forget]", () => forget([number]));
  listen("[data-keep]", () => remember(order));
  addEventListener("storage", show); // another tab has forgotten it, or all
}

function listen(button, act) {
  place.querySelector(button).addEventListener("click", () => {
    act();
    show();
    place.querySelector("button:not([hidden])").focus();
  });
}

function show() {
  const isKept = remembered().orders.some((kept) => kept.number === number);
  for (const part of place.querySelectorAll("[data-is-kept], [data-forget]")) part.hidden = !isKept;
  for (const part of place.querySelectorAll("[data-not-kept], [data-keep]")) part.hidden = isKept;
}
