// Solves an ALTCHA v2 challenge (https://altcha.org/docs/v2/): finds the counter for which
// SHA-256(salt, nonce, counter) begins with the prefix that is asked for.

const AT_ONCE = 128; // digests in flight; the page stays awake between them

/** The proof, as the API takes it. Without a secure connection browsers cannot digest: then it throws. */
export async function solve(challenge) {
  const { salt, nonce, keyPrefix } = challenge.parameters;
  const begin = bytes(salt + nonce);
  for (let counter = 0; ; counter += AT_ONCE) {
    const tries = Array.from({ length: AT_ONCE }, (_, at) => digest(begin, counter + at));
    const keys = await Promise.all(tries);
    const found = keys.findIndex((key) => key.startsWith(keyPrefix));
    if (found < 0) continue;
    const solution = { counter: counter + found, derivedKey: keys[found] };
    return btoa(JSON.stringify({ challenge, solution }));
  }
}

async function digest(begin, counter) {
  const input = new Uint8Array(begin.length + 4);
  input.set(begin);
  new DataView(input.buffer).setUint32(begin.length, counter);
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", input)));
}

function bytes(text) {
  return Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
}

function hex(array) {
  return Array.from(array, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
