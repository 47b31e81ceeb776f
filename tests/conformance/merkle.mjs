// tests/conformance/merkle.mjs - the tree of rfc/0006-audit-log.md by its definition, and proofs made the
// same way: what the XenoCorp sends must be these very hashes. Nothing of ours is used.
import crypto from 'node:crypto';

const sha256 = (...parts) => crypto.createHash('sha256').update(Buffer.concat(parts)).digest();
const node = (left, right) => sha256(Buffer.from([1]), left, right);
const split = n => 2 ** Math.ceil(Math.log2(n) - 1);

export const leafHash = data => sha256(Buffer.from([0]), Buffer.from(data));
export const root = d => d.length === 0 ? sha256() : d.length === 1 ? d[0] :
    node(root(d.slice(0, split(d.length))), root(d.slice(split(d.length))));

export function inclusion(m, d) {
    const k = split(d.length);
    if (d.length === 1)
        return [];
    return m < k ? [...inclusion(m, d.slice(0, k)), root(d.slice(k))]
                 : [...inclusion(m - k, d.slice(k)), root(d.slice(0, k))];
}

export function consistency(m, d, whole = true) {
    const k = split(d.length);
    if (m === d.length)
        return whole ? [] : [root(d)];
    return m <= k ? [...consistency(m, d.slice(0, k), whole), root(d.slice(k))]
                  : [...consistency(m - k, d.slice(k), false), root(d.slice(0, k))];
}

export const text = h => h.toString('base64url');
