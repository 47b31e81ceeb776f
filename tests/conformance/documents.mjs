// tests/conformance/documents.mjs - our signed documents, read and made by the npm package jose and
// nothing of ours. rfc/0001-order-chain.md and rfc/0002-charge.md are all it is written from.
import crypto from 'node:crypto';
import * as merkle from './merkle.mjs';
import { CompactSign, compactVerify, decodeProtectedHeader, exportJWK, importJWK, importPKCS8,
         importX509 } from 'jose';

const sha256 = data => crypto.createHash('sha256').update(data).digest();
const b64url = data => Buffer.from(data).toString('base64url');

// The id of a party: base32 of the first 20 bytes of SHA-256 over its public key.
export function idOf(x) {
    const letters = 'abcdefghijklmnopqrstuvwxyz234567';
    let bits = '';
    for (const byte of sha256(Buffer.from(x, 'base64url')).subarray(0, 20))
        bits += byte.toString(2).padStart(8, '0');
    return bits.match(/.{5}/g).map(b => letters[parseInt(b, 2)]).join('');
}

export const publicKey = x => importJWK({ kty: 'OKP', crv: 'Ed25519', x }, 'EdDSA');
// The public key in a certificate, as the text our documents carry.
export const textOfCertificate = async pem =>
    (await exportJWK(await importX509(pem, 'EdDSA', { extractable: true }))).x;

// A key pair from PKCS 8 PEM: { x, id, sign(typ, object) }.
export async function signer(pem) {
    const x = crypto.createPublicKey(pem).export({ format: 'jwk' }).x;
    const key = await importPKCS8(pem, 'EdDSA');
    const id = idOf(x);
    return {
        x, id,
        sign: (typ, o) => new CompactSign(Buffer.from(typeof o === 'string' ? o : JSON.stringify(o)))
            .setProtectedHeader({ alg: 'EdDSA', kid: id, typ }).sign(key),
    };
}
export const newKey = () => signer(crypto.generateKeyPairSync('ed25519').privateKey
    .export({ type: 'pkcs8', format: 'pem' }));

// Check one signed document; returns its payload as an object. Throws when anything is wrong.
export async function read(text, typ, x) {
    const header = decodeProtectedHeader(text);
    const names = Object.keys(header).sort().join();
    if (names !== 'alg,kid,typ')
        throw new Error(`header has ${names}`);
    if (header.typ !== typ)
        throw new Error(`typ is ${header.typ}, not ${typ}`);
    if (header.kid !== idOf(x))
        throw new Error(`kid is ${header.kid}, not the id of the key`);
    const { payload } = await compactVerify(text, await publicKey(x), { algorithms: ['EdDSA'] });
    return JSON.parse(Buffer.from(payload).toString());
}

// Check an order chain block by block, from the XenoCorp's key on; returns the payloads and the key
// in force at the end.
export async function readChain(chain, corp) {
    const blocks = chain.split('~');
    const out = [];
    let x = corp;
    for (const [n, block] of blocks.entries()) {
        const p = await read(block, n ? 'xeno-order-block+json' : 'xeno-order+json', x);
        if (n && p.n !== n)
            throw new Error(`block ${n} says it is ${p.n}`);
        if (n && p.prev !== b64url(sha256(blocks[n - 1])))
            throw new Error(`block ${n} does not follow the one before it`);
        if (!n && p.corp !== idOf(corp))
            throw new Error('block 0 names another XenoCorp');
        x = p.key ?? x;
        out.push(p);
    }
    return { blocks: out, key: x };
}

// Narrow an order: one block more, signed by the key in force.
export async function restrict(chain, holder, restriction, next) {
    const blocks = chain.split('~');
    const p = { v: 1, n: blocks.length, prev: b64url(sha256(blocks.at(-1))), restrict: restriction };
    if (next)
        p.key = next;
    return `${chain}~${await holder.sign('xeno-order-block+json', p)}`;
}

// The chain as its holder shows it to one XenoServer, for one session.
export async function present(chain, holder, server, time_ms = Date.now()) {
    const blocks = chain.split('~');
    const p = { v: 1, n: blocks.length, prev: b64url(sha256(blocks.at(-1))), restrict: {}, present: { server, time_ms } };
    return `${chain}~${await holder.sign('xeno-order-block+json', p)}`;
}

// What rfc/0013 has: a write certificate, and the answer to an audit of it.
export const BLOCK = 16384;
const blocks = data => Array.from({ length: Math.ceil(data.length / BLOCK) }, (_, n) => data.subarray(n * BLOCK, (n + 1) * BLOCK));
const tree = data => blocks(data).map(b => merkle.leafHash(b));
export const digestOf = data => `sha256:${sha256(data).toString('hex')}`;
// `all`: the manifest, then what it needs. `skip`: bytes of each that its root leaves out.
export const certificate = (owner, id, all, life_ms, skip = 0) => owner.sign('xeno-write-certificate+json', {
    v: 1, id, owner: owner.id, digest: digestOf(all[0]), size: all.reduce((sum, data) => sum + data.length, 0), copies: 1,
    issued_ms: Date.now(), expires_ms: Date.now() + life_ms,
    objects: all.map(data => ({ digest: digestOf(data), size: data.length, root: merkle.text(merkle.root(tree(data.subarray(skip)))) }))
        .sort((a, b) => a.digest < b.digest ? -1 : 1) });
export const answer = (store, asked, data) => store.sign('xeno-store-answer+json', {
    v: 1, store: store.id, certificate: asked.certificate, audit: asked.audit, digest: asked.digest, block: asked.block,
    bytes: b64url(blocks(data)[asked.block]), proof: merkle.inclusion(asked.block, tree(data)).map(merkle.text) });

// A batch of charges. Items: [resource, reserved, used, price reserved, price used, amount].
export const charge = (c, items) => ({
    ...c, items: items.map(([res, reserved, used, price_reserved, price_used, amount]) =>
        ({ res, reserved, used, price_reserved, price_used, amount })),
    amount: items.reduce((sum, i) => sum + i[5], 0),
});
export const batch = (server, charges) =>
    server.sign('xeno-charges+json', { v: 1, server: server.id, charges });
