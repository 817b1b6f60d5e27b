/* The buyer pass as an edge reads it: cardshop/traffic/passes.py in JavaScript, held to the same vectors
 * (vectors.json).
 *
 * Runs in nginx's njs, in Node and in a CDN's worker, which share neither a crypto module nor whether it
 * is waited for. So the HMAC comes from the caller, between parse() and admits().
 */

// Spelled out: what \w, \d and $ mean differs between regular expression engines. A literal, however long:
// njs compiles `new RegExp` again for every request.
const SHAPE = /^v([12])\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{1,60})\.([0-9]{10})(?:\.([A-Za-z0-9_-]{16}))?\.([A-Za-z0-9_-]{43})(?![\s\S])/;

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
 *
 * Engines compare texts of one length by words of eight bytes or more, so the time that it takes could tell of
 * a guess only once eight characters are right at once; and all that a pass is good for is one click. A loop
 * that takes equally long costs njs four times what the HMAC does.
 */
function admits(pass, mac, variantCode, now) {
    return pass.mac === mac && pass.variantCode === variantCode && pass.expiresAt > now;
}

// A default export is the only kind that njs knows.
export default { parse, admits };
