/* The buyer pass as an edge reads it: cardshop/traffic/passes.py in JavaScript, held to the same vectors
 * (vectors.json).
 *
 * Runs in nginx's njs, in Node and in a CDN's worker, which share neither a crypto module nor whether it
 * is waited for. So the HMAC comes from the caller, between parse() and admits().
 */

// Spelled out: what \w, \d and $ mean differs between regular expression engines.
const SHAPE = new RegExp(
    '^v([12])\\.([A-Za-z0-9_-]{22})\\.([A-Za-z0-9_-]{1,60})\\.([0-9]{10})' +
    '(?:\\.([A-Za-z0-9_-]{16}))?\\.([A-Za-z0-9_-]{43})(?![\\s\\S])');

/* What the text claims; null if it is no pass at all. Believe nothing of it before admits() does.
 *
 * `signed` is the text to put through HMAC-SHA256 with the key of purpose "buyer-pass".
 */
function parse(text) {
    const shape = typeof text === 'string' ? SHAPE.exec(text) : null;
    if (shape === null || (shape[1] === '2') !== (shape[5] !== undefined)) {
        return null;
    }
    return {
        buyerId: shape[2],
        variantCode: shape[3],
        expiresAt: Number(shape[4]),
        boundTo: shape[5] || '',
        signed: text.slice(0, text.lastIndexOf('.')),
        mac: shape[6],
    };
}

/* Whether a parsed pass is genuine, for this variant, and good at `now` (Unix seconds).
 *
 * `mac` is the HMAC of pass.signed in base64url without padding. A pass that is bound to a contact
 * (`boundTo`) may still be shown with another one: that is for the shop to see.
 */
function admits(pass, mac, variantCode, now) {
    return sameText(pass.mac, mac) && pass.variantCode === variantCode && pass.expiresAt > now;
}

/* Takes as long wherever the difference is, so that nobody can find a MAC one character at a time. */
function sameText(one, other) {
    let difference = one.length ^ other.length;
    for (let at = 0; at < one.length; at++) {
        difference |= one.charCodeAt(at) ^ other.charCodeAt(at);
    }
    return difference === 0;
}

// A default export is the only kind that njs knows.
export default { parse, admits };
