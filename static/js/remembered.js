// The orders that were opened in this browser. They stay in it: nothing of this is ever sent.

const KEY = "orders";
const MOST = 50;
const SHAPES = { token: /^[\w-]{22}$/, number: /^[0-9A-Z]{11}$/, name: /^[^]{1,300}$/, placed: /^\d{4}-\d\d-\d\dT/ };
const NOTHING = { orders: [], forgotten: [], isOff: false };

/** Whether this browser keeps anything at all: private windows may not. */
export function canRemember() {
  try {
    localStorage.setItem(`${KEY}-test`, "");
    localStorage.removeItem(`${KEY}-test`);
    return true;
  } catch {
    return false;
  }
}

/** The orders, the one that was opened last before the others; and whether any shall be remembered. */
export function remembered() {
  let kept;
  try {
    kept = { ...NOTHING, ...JSON.parse(localStorage.getItem(KEY)) };
  } catch {
    return NOTHING; // forbidden, or not written by us
  }
  const strings = (list) => (Array.isArray(list) ? list.filter((each) => typeof each === "string") : []);
  return {
    orders: Array.isArray(kept.orders) ? kept.orders.filter(isOrder).slice(0, MOST) : [],
    forgotten: strings(kept.forgotten).slice(0, MOST),
    isOff: kept.isOff === true,
  };
}

/** Unless its owner had it forgotten, or wants none to be remembered. */
export function rememberOpened(order) {
  const { isOff, forgotten } = remembered();
  if (!isOff && !forgotten.includes(order.number)) remember(order);
}

export function remember(order) {
  const { orders, forgotten, isOff } = remembered();
  const others = orders.filter(({ number }) => number !== order.number);
  keep({
    orders: [order, ...others].slice(0, MOST),
    forgotten: forgotten.filter((number) => number !== order.number),
    isOff,
  });
}

/** Its number stays, which opens nothing, so that a page that is still open does not bring it back. */
export function forget(numbers) {
  const { orders, forgotten, isOff } = remembered();
  keep({
    orders: orders.filter(({ number }) => !numbers.includes(number)),
    forgotten: [...new Set([...numbers, ...forgotten])].slice(0, MOST),
    isOff,
  });
}

/** From now on. What there was is forgotten when it is switched off. */
export function setRemembering(isOn) {
  keep(isOn ? { ...remembered(), isOff: false } : { ...NOTHING, isOff: true });
}

function keep(kept) {
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // Full, or forbidden meanwhile: an order less is remembered.
  }
}

function isOrder(order) {
  return Object.entries(SHAPES).every(([name, shape]) => typeof order?.[name] === "string" && shape.test(order[name]));
}
