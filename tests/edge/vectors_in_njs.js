// Answers a POST of vectors.json with what njs makes of each pass: what it says, or null.
import crypto from 'crypto';
import buyerPass from 'buyer_pass.js';

function read(r) {
    const vectors = JSON.parse(r.requestText);
    const key = Buffer.from(vectors.key_hex, 'hex');
    const read = vectors.passes.map((vector) => {
        const pass = buyerPass.parse(vector.text);
        if (pass === null) {
            return null;
        }
        const mac = crypto.createHmac('sha256', key).update(pass.signed).digest('base64url');
        return buyerPass.admits(pass, mac, vector.variant, vector.now) ? pass : null;
    });
    r.return(200, JSON.stringify(read));
}

export default { read };
