// "My orders": what this browser remembers, and a way to make it forget.

import { canRemember, forget, remembered, setRemembering } from "./remembered.js";

const section = document.querySelector("#my-orders");
const list = section.querySelector("[data-list]");
const said = section.querySelector("[data-said]");
const remembering = section.querySelector("[data-remember]");
const forgetAll = section.querySelector("[data-forget-all]");
const dates = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });

if (canRemember()) {
  show();
  section.hidden = false;
  forgetAll.addEventListener("click", () => {
    forgetThese(remembered().orders.map(({ number }) => number));
    remembering.focus();
  });
  remembering.addEventListener("change", () => {
    setRemembering(remembering.checked);
    show();
  });
  addEventListener("storage", show);
  addEventListener("pageshow", show); // an order may have been opened meanwhile
}

function show() {
  const { orders, isOff } = remembered();
  list.replaceChildren(...orders.map(row));
  forgetAll.hidden = orders.length < 2;
  remembering.checked = !isOff;
  section.querySelector("[data-empty]").hidden = isOff || orders.length > 0;
  section.querySelector("[data-off]").hidden = !isOff;
  section.querySelector("[data-note]").hidden = orders.length === 0;
}

function row(order) {
  const shown = section.querySelector("template").content.cloneNode(true).firstElementChild;
  shown.querySelector("a").href = section.dataset.order.replace("TOKEN", order.token);
  shown.querySelector("[data-name]").textContent = order.name;
  shown.querySelector("[data-number]").textContent = order.number;
  const placed = new Date(order.placed);
  shown.querySelector("[data-placed]").textContent = Number.isNaN(placed.valueOf()) ? "" : dates.format(placed);
  shown.querySelector("[data-placed]").dateTime = order.placed;
  shown.querySelector("[data-which]").textContent = ` ${order.number}`;
  shown.querySelector("[data-forget]").addEventListener("click", () => {
    const next = shown.nextElementSibling ?? shown.previousElementSibling;
    const nextNumber = next?.querySelector("[data-number]").textContent;
    forgetThese([order.number]);
    const rows = [...list.children];
    const kept = rows.find((each) => each.querySelector("[data-number]").textContent === nextNumber);
    (kept?.querySelector("[data-forget]") ?? remembering).focus();
  });
  return shown;
}

function forgetThese(numbers) {
  forget(numbers);
  show();
  said.textContent = said.dataset.sayForgotten;
  setTimeout(() => (said.textContent = ""), 2000);
}
