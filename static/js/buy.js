// The buy page: plus, minus, and the total as one types. The server reckons for itself.

const quantity = document.querySelector("#quantity");
const total = document.querySelector("[data-total]");

if (quantity) {
  const steps = [...document.querySelectorAll("[data-step]")];
  const least = Number(quantity.min);
  const most = Number(quantity.max);

  const show = () => {
    const count = wholeNumber(quantity.value);
    for (const step of steps) {
      const next = (count ?? least) + Number(step.dataset.step);
      step.disabled = next < least || next > most;
    }
    const known = count !== null && count >= least && count <= most;
    total.hidden = !known;
    if (known) total.querySelector("output").textContent = priceOf(count);
  };

  for (const step of steps) {
    step.hidden = false;
    step.addEventListener("click", () => {
      const next = (wholeNumber(quantity.value) ?? least) + Number(step.dataset.step);
      quantity.value = String(Math.min(most, Math.max(least, next)));
      show();
    });
  }
  quantity.addEventListener("input", show);
  addEventListener("pageshow", show); // browsers restore what was entered
  show();
}

function wholeNumber(text) {
  return /^[0-9]{1,6}$/.test(text) ? Number(text) : null;
}

/** As the server writes the unit price (`¥9.90`), for `count` of them; whole minor units throughout. */
function priceOf(count) {
  const [, symbol, , fraction = ""] = total.dataset.unitPrice.match(/^(\D*)(\d+)(?:\.(\d+))?$/);
  const digits = String(BigInt(total.dataset.unitMinor) * BigInt(count));
  if (!fraction) return symbol + digits;
  const padded = digits.padStart(fraction.length + 1, "0");
  return `${symbol}${padded.slice(0, -fraction.length)}.${padded.slice(-fraction.length)}`;
}
