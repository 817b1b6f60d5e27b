// The worker in front of a real HTTP origin, which remembers what reached it.
import assert from 'node:assert/strict';
import { createHmac, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, beforeEach, test } from 'node:test';

import worker from '../../deploy/edge/worker.js';

globalThis.crypto ??= webcrypto; // Node 18 keeps it elsewhere

const { key_hex: KEY, passes } = JSON.parse(
    readFileSync(new URL('../../deploy/edge/vectors.json', import.meta.url)));
const ENV = { BUYER_PASS_KEY: KEY, ADDRESS_HEADER: 'CDN-Client-Address' };
const TICKETS = '/api/v1/tickets/';
const PUBLIC = { 'Cache-Control': 'public, max-age=10' };

let seen = [];
let answer;
const origin = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) {
        chunks.push(chunk);
    }
    const { method, url, headers } = request;
    seen.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
    response.writeHead(answer.status ?? 200, answer.headers);
    response.end(method === 'HEAD' ? undefined : `${seen.length}`);
});
await new Promise((listening) => origin.listen(0, '127.0.0.1', listening));
const ORIGIN = `http://127.0.0.1:${origin.address().port}`;
after(() => origin.closeAllConnections() ?? origin.close());

let page = 0;
beforeEach(() => {
    seen = [];
    answer = { headers: PUBLIC };
    page += 1; // each test its own, since the worker remembers the last one's
});

function ask(path, options = {}, env = ENV) {
    return worker.fetch(new Request(ORIGIN + path, { duplex: 'half', ...options }), env);
}

function click(fields = {}, { headers, ...options } = {}, env = ENV) {
    const body = JSON.stringify({ variant: 'steam-50', pass: goodPass(), quantity: 1, ...fields });
    return ask(TICKETS, {
        method: 'POST', body, headers: { 'Content-Type': 'application/json', ...headers }, ...options,
    }, env);
}

function goodPass() {
    const text = `v1.${'A'.repeat(22)}.steam-50.${Math.floor(Date.now() / 1000) + 60}`;
    const mac = createHmac('sha256', Buffer.from(KEY, 'hex')).update(text).digest('base64url');
    return `${text}.${mac}`;
}

async function codeOf(response) {
    return [response.status, (await response.json()).code];
}

test('a click with a good pass goes on as it came', async () => {
    const sent = JSON.stringify({ variant: ' steam-50', pass: `${goodPass()} ` });

    const response = await click({}, { body: sent });

    assert.equal(response.status, 200);
    assert.deepEqual(seen.map(({ method, url, body }) => [method, url, body]), [['POST', TICKETS, sent]]);
});

test('a pass lets its click through if it is good, and only then', async (context) => {
    let now;
    context.mock.method(Date, 'now', () => now * 1000);
    for (const { name, text, variant, good, ...vector } of passes) {
        seen = [];
        now = vector.now;

        const { status } = await click({ pass: text, variant });

        // White space around a pass is no harm: the shop's own form drops it.
        if (text.trim() === text) {
            assert.deepEqual([status, seen.length], good ? [200, 1] : [403, 0], name);
        }
    }
});

test('what brings no pass at all does not, either', async () => {
    const bodies = [
        '', '{', '[]', 'null', '1', '"x"', '{}', '{"pass": ["x"]}', '{"pass": 1, "variant": 1}',
    ];
    for (const body of bodies) {
        assert.deepEqual(await codeOf(await click({}, { body })), [403, 'bad_pass'], body);
    }
    assert.deepEqual(await codeOf(await click({ variant: ['steam-50'] })), [403, 'bad_pass']);
    assert.equal(seen.length, 0);
});

test('other methods, other types and long bodies end here', async () => {
    const long = ' '.repeat(64 * 1024);
    const unannounced = new Blob([long, '{}']).stream();

    assert.equal((await ask(TICKETS)).headers.get('Allow'), 'POST, OPTIONS');
    assert.deepEqual(await codeOf(await ask(TICKETS)), [405, 'method_not_allowed']);
    assert.deepEqual(await codeOf(await click({}, { method: 'PUT' })), [405, 'method_not_allowed']);
    for (const type of ['', 'text/plain', 'application/jsonlines', 'multipart/form-data; boundary=x']) {
        const refused = await click({}, { headers: { 'Content-Type': type } });
        assert.deepEqual(await codeOf(refused), [415, 'unsupported_media_type']);
    }
    const announced = await click({}, { headers: { 'Content-Length': '65537' } });
    assert.deepEqual(await codeOf(announced), [413, 'too_large']);
    assert.deepEqual(await codeOf(await click({}, { body: unannounced })), [413, 'too_large']);
    assert.equal(seen.length, 0);
});

test('a worker that cannot check lets the shop check', async () => {
    for (const env of [{}, { BUYER_PASS_KEY: 'nonsense' }]) {
        assert.equal((await click({}, {}, env)).status, 200);
    }
    assert.equal(seen.length, 2);
});

test('a page is kept for a second and then asked for anew', async (context) => {
    let now = 0;
    context.mock.method(Date, 'now', () => now);
    const texts = [];
    for (now of [5000, 5999, 6000, 6999, 7000]) {
        texts.push(await (await ask(`/p/${page}/`)).text());
    }

    assert.deepEqual(texts, ['1', '1', '2', '2', '3']);
});

test('nothing but host, path and language chooses the page', async () => {
    const path = `/p/${page}/`;
    const lies = {
        'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'gopher', 'X-Original-URL': '/admin/',
        'X-Rewrite-URL': '/admin/', 'X-HTTP-Method-Override': 'DELETE', Cookie: 'sessionid=1',
        Range: 'bytes=0-0', 'If-None-Match': '"x"', 'X-Accel-Expires': '99', 'User-Agent': 'evil',
        Accept: 'evil/*',
    };

    await ask(`${path}?utm=evil`, { headers: lies });
    const next = await (await ask(path)).text();

    assert.equal(next, '1');
    assert.deepEqual(seen.map(({ url }) => url), [path]);
    assert.doesNotMatch(JSON.stringify(seen), /evil|admin|gopher|DELETE|session|bytes=/);
});

test('languages of the API have pages of their own, and the origin hears the one that is meant', async () => {
    const heard = async (accepted) => {
        page += 1;
        await ask(`/api/v1/products/${page}/`, { headers: { 'Accept-Language': accepted } });
        return seen.at(-1).headers['accept-language'];
    };

    assert.equal(await heard('en-GB,en;q=0.9'), 'en');
    assert.equal(await heard('zh-TW,en;q=0.8'), 'zh-hans');
    assert.equal(await heard('fr, en;q=0.3, zh;q=0.4'), 'zh-hans');
    assert.equal(await heard('tlh'), 'zh-hans');
    assert.equal(await heard(';;q=x, *'), 'zh-hans');

    const texts = [];
    seen = [];
    for (const accepted of ['en', 'zh', 'en-US']) {
        const headers = { 'Accept-Language': accepted };
        texts.push(await (await ask('/api/v1/products/', { headers })).text());
    }
    assert.deepEqual(texts, ['1', '2', '1']);
});

test('a thousand pages are kept, and the oldest makes room', async (context) => {
    context.mock.method(Date, 'now', () => 0);
    for (let other = 0; other <= 1000; other++) {
        await ask(`/c/${page}-${other}/`);
    }
    seen = [];

    await ask(`/c/${page}-1/`);
    assert.equal(seen.length, 0);
    await ask(`/c/${page}-0/`);
    assert.equal(seen.length, 1);
});

test('what is not for everybody is kept for nobody', async () => {
    const answers = [
        { headers: { ...PUBLIC, 'Set-Cookie': 'a=1' } },
        { headers: { 'Cache-Control': 'no-store' } },
        { headers: { 'Cache-Control': 'public, no-store' } },
        { headers: { 'Cache-Control': 'public, private' } },
        { headers: {} },
        { headers: PUBLIC, status: 404 },
        { headers: PUBLIC, status: 500 },
    ];
    for (answer of answers) {
        seen = [];
        page += 1;
        await ask(`/p/${page}/`);
        await ask(`/p/${page}/`);
        assert.equal(seen.length, 2, JSON.stringify(answer));
    }
});

test('buyers\' own pages are never kept, whatever the origin says', async () => {
    const paths = [
        '/buy/x/', '/o/t/', '/o/t/x.css', '/line/x/t/', `${TICKETS}x/t/`, '/p/x%2f..%2fo/', '/p//x/', '/p/x;a/',
    ];
    for (const path of paths) {
        seen = [];
        await ask(path);
        await ask(path);
        assert.equal(seen.length, 2, path);
    }
});

test('a page that the client has is not sent again', async () => {
    answer = { headers: { ...PUBLIC, ETag: '"a"' } };
    const known = (tags) => ask(`/p/${page}/`, { headers: { 'If-None-Match': tags } });

    assert.equal((await known('"b"')).status, 200);
    assert.equal((await known('"b", W/"a"')).status, 304);
    assert.equal(seen.length, 1);
});

test('HEAD is answered from the page', async () => {
    const head = await ask(`/p/${page}/`, { method: 'HEAD' });
    const get = await ask(`/p/${page}/`);

    assert.deepEqual([await head.text(), await get.text()], ['', '1']);
    assert.deepEqual(seen.map(({ method }) => method), ['GET']);
});

test('clients do not say where they come from; the CDN does', async () => {
    const lies = {
        'X-Forwarded-For': '6.6.6.6', Forwarded: 'for=6.6.6.6', 'X-Real-IP': '6.6.6.6',
        'X-Accel-Redirect': '/6.6.6.6', 'X-Forwarded-Host': 'evil', 'X-HTTP-Method-Override': 'PUT',
        'X-Original-URL': '/6.6.6.6',
    };

    await ask('/o/t/', { headers: { ...lies, 'CDN-Client-Address': '8.8.8.8' } });
    await click({}, { headers: lies });

    const [other, ticket] = seen.map(({ headers }) => headers);
    assert.equal(other['x-forwarded-for'], '8.8.8.8');
    assert.equal(other['x-forwarded-proto'], 'http');
    assert.equal(ticket['x-forwarded-for'], undefined);
    assert.doesNotMatch(JSON.stringify(seen), /6\.6\.6\.6|evil|PUT/);
});

test('a redirect is the client\'s to follow', async () => {
    answer = { status: 302, headers: { Location: '/elsewhere/' } };

    assert.equal((await ask('/o/t/')).status, 302);
    assert.equal((await ask('/p/moved/')).status, 302);
    assert.equal(seen.length, 2);
});
