/* Clicks on "buy", looked at before Django: whose pass they bring, and which answer would be theirs.
 *
 * njs sees a body only where it makes the answer, so it sends the request on from there.
 */
import crypto from 'crypto';
import querystring from 'querystring';
import buyerPass from 'buyer_pass.js';

const MOST = 10000; // as BuyInput has it

/* POST /api/v1/tickets/: a program, or the page's script. A pass that is none ends here, with Django's words. */
function click(r) {
    const wanted = readJson(r.requestText);
    if (wanted === null || typeof wanted.variant !== 'string') {
        return r.internalRedirect('@click_again'); // Django says what is wrong with it
    }
    const pass = goodPass(wanted.pass, wanted.variant);
    if (pass === null) {
        return r.return(403);
    }
    r.variables.buyer = pass.buyerId;
    if (r.headersIn['X-Click'] || !isQuantity(wanted.quantity)) {
        return r.internalRedirect('@click_again');
    }
    // How many are wanted belongs to it: a line that is full for three may have room for one.
    r.variables.click = wanted.variant + ':' + wanted.quantity;
    r.internalRedirect('@click');
}

/* POST /buy/CODE/: a person with a page. */
function form(r) {
    const fields = readForm(r.requestText);
    const code = r.uri.split('/').slice(-2)[0];
    const pass = goodPass(fields.pass, code);
    if (pass === null) {
        return r.internalRedirect('@doubtful_form');
    }
    r.variables.buyer = pass.buyerId;
    r.internalRedirect('@form');
}

function goodPass(text, variant) {
    const pass = buyerPass.parse(text);
    if (pass === null) {
        return null;
    }
    const key = Buffer.from(pass_key.hex, 'hex');
    const mac = crypto.createHmac('sha256', key).update(pass.signed).digest('base64url');
    return buyerPass.admits(pass, mac, variant, Date.now() / 1000) ? pass : null;
}

function isQuantity(value) {
    return typeof value === 'number' && value % 1 === 0 && value >= 1 && value <= MOST;
}

/* The object in a body; null if there is none. */
function readJson(text) {
    try {
        const read = JSON.parse(text);
        return typeof read === 'object' && !Array.isArray(read) ? read : null;
    } catch (error) {
        return null;
    }
}

function readForm(text) {
    try {
        return querystring.parse(text);
    } catch (error) {
        return {};
    }
}

export default { click, form };
