import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import buyerPass from '../../deploy/edge/buyer_pass.js';

const vectors = JSON.parse(readFileSync(new URL('../../deploy/edge/vectors.json', import.meta.url)));
const key = await webcrypto.subtle.importKey(
    'raw', Buffer.from(vectors.key_hex, 'hex'), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);

async function macOf(text) {
    return Buffer.from(await webcrypto.subtle.sign('HMAC', key, Buffer.from(text))).toString('base64url');
}

for (const { name, text, variant, now, good } of vectors.passes) {
    test(name, async () => {
        const pass = buyerPass.parse(text);
        const admitted = pass !== null && buyerPass.admits(pass, await macOf(pass.signed), variant, now);

        assert.equal(admitted, good !== null);
        if (good) {
            assert.deepEqual(
                [pass.buyerId, pass.variantCode, pass.expiresAt, pass.boundTo],
                [good.buyer_id, good.variant_code, good.expires_at, good.bound_to]);
        }
    });
}

test('what is no text is no pass', () => {
    for (const value of [undefined, null, 1, true, [vectors.passes[0].text], { length: 1 }]) {
        assert.equal(buyerPass.parse(value), null);
    }
});

test('half a MAC admits nobody, and neither does more than one', () => {
    const { text, variant, now } = vectors.passes[0];
    const pass = buyerPass.parse(text);

    for (const mac of ['', pass.mac.slice(0, 20), pass.mac + 'A', pass.mac + pass.mac]) {
        assert.equal(buyerPass.admits(pass, mac, variant, now), false);
    }
});
