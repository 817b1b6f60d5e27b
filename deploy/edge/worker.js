/* The shop's outermost guard, in a CDN's worker (Cloudflare Workers and whatever else calls fetch handlers).
 *
 * Clicks without a good pass end here, catalogue pages are kept for a second, everything else goes on to
 * the origin: the gateway, which trusts none of this and checks again, so that an address spelled in a
 * way unknown here (%74ickets) gains nothing. In `env`:
 *
 *   BUYER_PASS_KEY  64 hexadecimal digits, the derived key of purpose "buyer-pass"; a secret.
 *   ADDRESS_HEADER  the header in which this CDN says who called, such as CF-Connecting-IP. No default:
 *                   where the CDN does not write it, the client could.
 */
import buyerPass from './buyer_pass.js';
import refusals from './refusals.js';

const TICKETS = '/api/v1/tickets/';
const CATALOGUE = /^(?:(?:\/en)?\/(?:[cp]\/[-\w]+\/)?|\/api\/v1\/products\/(?:[-\w]+\/)?)$/;
const NOT_FOR_CLIENTS_TO_SAY = new RegExp(
    '^(?:forwarded|x-(?:forwarded|accel)-.*|x-real-ip|x-(?:original|rewrite)-url|' +
    'x-(?:http-)?method(?:-override)?)$');
const MOST_BODY = 64 * 1024; // bytes, the shop's BODY_LIMIT
const FRESH = 1000; // milliseconds
const MOST_KEPT = 1000; // pages of some 20 KB; a worker has 128 MB

export default {
    async fetch(request, env) {
        const path = new URL(request.url).pathname;
        if (path === TICKETS && request.method !== 'OPTIONS') {
            return click(request, env);
        }
        if (CATALOGUE.test(path) && (request.method === 'GET' || request.method === 'HEAD')) {
            return catalogue(request, env);
        }
        return fetch(new Request(request, { headers: cleaned(request, env), redirect: 'manual' }));
    },
};

async function click(request, env) {
    const type = (request.headers.get('Content-Type') || '').trim();
    if (request.method !== 'POST') {
        return refused(request, 'method_not_allowed', request.method);
    }
    if (type.split(';')[0].trim().toLowerCase() !== 'application/json') {
        return refused(request, 'unsupported_media_type', type);
    }
    const body = await bodyUpTo(MOST_BODY, request);
    if (body === null) {
        return refused(request, 'too_large');
    }
    // Open when it fails: a mistake of ours (a key not set, a runtime without HMAC) must not close a
    // shop that checks every pass itself. It costs the origin work, never a key.
    let good = true;
    try {
        good = await hasGoodPass(body, env);
    } catch (error) {
        console.error(`passes are not checked: ${error.name}`); // its message may quote the click
    }
    if (!good) {
        return refused(request, 'bad_pass');
    }
    return fetch(request.url, {
        method: 'POST', headers: cleaned(request, env), body, redirect: 'manual',
    });
}

/* Whether the click brings a pass for its variant. One without a pass is told so before any other mistake. */
async function hasGoodPass(body, env) {
    const wanted = readJson(body);
    // The shop trims, too.
    const pass = buyerPass.parse(typeof wanted.pass === 'string' ? wanted.pass.trim() : null);
    if (pass === null || typeof wanted.variant !== 'string') {
        return false;
    }
    const mac = await macOf(pass.signed, env.BUYER_PASS_KEY);
    return buyerPass.admits(pass, mac, wanted.variant.trim(), Date.now() / 1000);
}

/* The object in a body; an empty one where there is none. */
function readJson(body) {
    try {
        return Object(JSON.parse(new TextDecoder().decode(body)));
    } catch (error) {
        return {};
    }
}

async function macOf(text, keyHex) {
    if (!/^[0-9a-f]{64}$/.test(keyHex)) {
        throw new TypeError('BUYER_PASS_KEY');
    }
    const bytes = Uint8Array.from(keyHex.match(/../g), (pair) => parseInt(pair, 16));
    const key = await crypto.subtle.importKey(
        'raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    const mac = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(text));
    return btoa(String.fromCharCode(...new Uint8Array(mac)))
        .replaceAll('+', '-').replaceAll('/', '_').replace('=', '');
}

/* All of a body, or null if it is longer, whatever length it announces. */
async function bodyUpTo(most, request) {
    if (Number(request.headers.get('Content-Length')) > most) {
        return null;
    }
    const chunks = [];
    let length = 0;
    const reader = request.body ? request.body.getReader() : null;
    while (reader) {
        const { done, value } = await reader.read();
        if (done) {
            break;
        }
        length += value.length;
        if (length > most) {
            await reader.cancel();
            return null;
        }
        chunks.push(value);
    }
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/* In this worker's own memory, which every runtime has; a CDN's cache would not forget after a second.
 * Requests do not wait for each other's answers, which some CDNs forbid: the gateway makes them one.
 */
const kept = new Map();

async function catalogue(request, env) {
    // Host, path, language: all that a page depends on. The origin is asked with nothing else, so
    // nothing else that a client says can have a part in what the next one sees.
    const url = new URL(request.url);
    const language = url.pathname.startsWith('/api/') ? languageOf(request) : '';
    const page = `${url.origin}${url.pathname}`;
    const key = `${page} ${language}`;
    let answer = kept.get(key);
    if (!answer || answer.until <= Date.now()) {
        const headers = new Headers(byUs(request, env));
        headers.set('Accept', language ? 'application/json' : 'text/html');
        if (language) {
            headers.set('Accept-Language', language);
        }
        answer = await read(await fetch(page, { headers, redirect: 'manual' }));
        keep(key, answer);
    }
    const { status, headers, body } = answer;
    if (status === 200 && isKnown(headers.get('ETag'), request.headers.get('If-None-Match'))) {
        return new Response(null, { status: 304, headers });
    }
    return new Response(request.method === 'HEAD' ? null : body, { status, headers });
}

async function read(response) {
    const headers = new Headers(response.headers);
    // Of the way to here; on the way on, the CDN sees to both.
    headers.delete('Content-Encoding');
    headers.delete('Content-Length');
    const body = [204, 304].includes(response.status) ? null : await response.arrayBuffer();
    return { status: response.status, headers, body, until: Date.now() + FRESH };
}

function keep(key, answer) {
    const said = answer.headers.get('Cache-Control') || '';
    const isPublic = /\bpublic\b/.test(said) && !/\b(?:no-store|no-cache|private)\b/.test(said);
    if (answer.status !== 200 || !isPublic || answer.headers.has('Set-Cookie')) {
        return;
    }
    kept.delete(key); // a Map is in order of entry, and this one enters last
    kept.set(key, answer);
    if (kept.size > MOST_KEPT) {
        kept.delete(kept.keys().next().value);
    }
}

function isKnown(etag, known) {
    const strong = (tag) => tag.trim().replace(/^W\//, '');
    return Boolean(etag && known) && known.split(',').map(strong).includes(strong(etag));
}

/* The client's headers, but for those in which a proxy says where a request came from and where it goes. */
function cleaned(request, env) {
    const headers = new Headers(request.headers);
    for (const name of request.headers.keys()) {
        if (NOT_FOR_CLIENTS_TO_SAY.test(name)) {
            headers.delete(name);
        }
    }
    for (const [name, value] of Object.entries(byUs(request, env))) {
        headers.set(name, value);
    }
    return headers;
}

function byUs(request, env) {
    const said = { 'X-Forwarded-Proto': new URL(request.url).protocol.slice(0, -1) };
    const address = env.ADDRESS_HEADER && request.headers.get(env.ADDRESS_HEADER);
    return address ? { ...said, 'X-Forwarded-For': address } : said;
}

/* As Django chooses: the most wanted one that we speak. Chinese of every kind is ours. */
function languageOf(request) {
    const wanted = (request.headers.get('Accept-Language') || '').toLowerCase().split(',')
        .map((part) => part.split(';'))
        .map(([tag, q]) => ({ tag: tag.trim().split('-')[0], q: q ? Number(q.replace(/\s*q=/, '')) : 1 }))
        .filter(({ q }) => q > 0)
        .sort((one, other) => other.q - one.q)
        .find(({ tag }) => ['zh', 'en', '*'].includes(tag));
    return wanted && wanted.tag === 'en' ? 'en' : 'zh-hans';
}

function refused(request, code, about = '') {
    const language = languageOf(request);
    const { status, [language]: message } = refusals[code];
    const body = { code, message: message.replace('%s', () => about), fields: {} };
    const headers = new Headers({
        'Content-Type': 'application/json',
        'Cache-Control': 'no-store',
        'Content-Language': language,
        Vary: 'Accept-Language',
        'X-Content-Type-Options': 'nosniff',
    });
    if (status === 405) {
        headers.set('Allow', 'POST, OPTIONS');
    }
    return new Response(JSON.stringify(body), { status, headers });
}
