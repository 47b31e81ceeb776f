// tests/conformance/jose.mjs - chains, good and forged, at a XenoCorp and a XenoServer.
import crypto from 'node:crypto';
import fs from 'node:fs';
import { CompactSign, importPKCS8 } from 'jose';
import { call, done, fresh, is, nobody, ok, party, request } from './openapi.mjs';
import { newKey, present as show, read, readChain, restrict, signer, textOfCertificate } from './documents.mjs';

const corpUrl = process.env.CORP_URL, serverUrl = process.env.SERVER_URL;
const operator = party('operator'), alice = party('alice'), first = party('first'), x1 = party('x1');
const aliceKey = await signer(alice.key), x1Key = await signer(x1.key);
const corpKey = await textOfCertificate(fs.readFileSync(`${process.env.WORK}/ca.pem`, 'utf8'));
const sessionId = () => Array.from(crypto.randomBytes(16), b => 'abcdefghijklmnopqrstuvwxyz234567'[b & 31]).join('');
const throws = async f => {
    try {
        await f();
        return false;
    } catch {
        return true;
    }
};

async function order(amount = 1000000) {
    return (await call(corpUrl, alice, 'createOrder', 201, { json: { amount, lifetime_s: 3600 } })).json;
}
// What the XenoCorp says to a chain that `by` presents; the binding is released again.
async function validate(bare, want, name, { by = aliceKey, holder = by.x, env_type = 'Linux', rate_per_hour = 1000 } = {}) {
    const session = sessionId(), chain = await show(bare, by, first.id);
    const a = await call(corpUrl, first, 'validateOrder', want, { json: { chain, session, epoch: 0, env_type, rate_per_hour, holder } });
    ok(a.status === want, name, a.text);
    if (a.status === 200)
        await call(corpUrl, first, 'releaseOrder', 200, { json: { order: a.json.order, session } });
    return a.json;
}
const requirement = `<EnvironmentalRequirements><Basic><EnvName>jose</EnvName><EnvType>Linux</EnvType></Basic>
<QoS><CPUmsps>20</CPUmsps><MemoryMB>16</MemoryMB><DiskMB>16</DiskMB></QoS></EnvironmentalRequirements>`;
// What the XenoServer says to it.
async function present(chain, want, name) {
    const a = await call(serverUrl, alice, 'createSession', want, { json: { chain, requirements: requirement }, query: { dry_run: 1 } });
    ok(a.status === want, name, a.text);
    return a.json;
}

// --- a chain of ours, read by jose ---
const o = await order(), chain = o.chain;
const { blocks, key } = await readChain(chain, corpKey);
is(blocks.length, 1, 'a new order is one block, signed by the XenoCorp');
is(key, aliceKey.x, 'which names the key that may use it');
is(blocks[0].order, o.order, 'and its id');
is(blocks[0].limit, 1000000, 'and its limit, as an integer');
ok(await throws(() => readChain(chain, aliceKey.x)), 'jose refuses it under another key');
const flipped = chain.slice(0, 300) + (chain[300] === 'A' ? 'B' : 'A') + chain.slice(301);
ok(await throws(() => readChain(flipped, corpKey)), 'and with a letter changed');

// --- chains made by jose, read by us ---
const agent = await newKey(), sub = await newKey();
const two = await restrict(chain, aliceKey, { servers: [first.id, x1.id], max_total: 500000 }, agent.x);
const three = await restrict(two, agent, { env_types: ['Linux'], max_rate: 900000 }, sub.x);
const read3 = await readChain(three, corpKey);
is(read3.blocks.length, 3, 'three blocks link up');
is(read3.key, sub.x, 'and end with the key in force');
is((await validate(three, 200, 'the XenoCorp accepts them', { by: sub })).limit, 500000, 'and reads the smaller limit');
await validate(three, 403, 'but not from a holder of an earlier key', { by: sub, holder: aliceKey.x });
await validate(three, 403, 'nor for another environment', { by: sub, env_type: 'Plan9' });
await validate(three, 402, 'nor at a higher rate', { by: sub, rate_per_hour: 900001 });

const mine = (r, next) => restrict(chain, aliceKey, r, next);
await present(await mine({ servers: [x1.id] }), 200, 'the XenoServer accepts one for itself');
is((await present(await mine({ servers: [first.id] }), 403, 'and refuses one for another')).type, 'order.server', 'with the rule that says so');
await present(await mine({ env_types: ['Plan9'] }), 403, 'or for another environment');
await present(await mine({ max_rate: 1 }), 402, 'or of too small a rate');
await present(await mine({ max_total: 1 }), 402, 'or too small an amount');
await present(await mine({ not_before_ms: Date.now() + 600000 }), 403, 'or not valid yet');
await present(await mine({ not_after_ms: Date.now() - 1000 }), 403, 'or not valid any more');
await present(await mine({}), 200, 'an empty restriction restricts nothing');
const wide = await restrict(await mine({ max_total: 1 }), aliceKey, { max_total: 900000, servers: [x1.id] });
is((await validate(await restrict(await mine({ max_total: 400000 }), aliceKey, { max_total: 900000 }), 200, 'a later block')).limit, 400000, 'cannot widen an earlier one');
await present(wide, 402, 'at the XenoServer neither');
const none = await restrict(await mine({ servers: [x1.id] }), aliceKey, { servers: [first.id] });
await present(none, 403, 'lists of servers intersect, down to none');
let eight = chain;
for (let i = 0; i < 7; i++)
    eight = await restrict(eight, aliceKey, {});
await present(eight, 200, 'eight blocks are allowed');
await present(await restrict(eight, aliceKey, {}), 400, 'nine are not');

// --- forgeries: each differs in one thing from what is accepted above ---
const other = await order();
const good = await mine({ max_total: 700000 });
const [b0, b1] = good.split('~');
const prev = block => crypto.createHash('sha256').update(block).digest('base64url');
const block = (signWith, typ, extra) => signWith.sign(typ, { v: 1, n: 1, prev: prev(b0), restrict: {}, ...extra });
const typ = 'xeno-order-block+json';
const pem = await importPKCS8(alice.key, 'EdDSA');
const raw = header => new CompactSign(Buffer.from(JSON.stringify({ v: 1, n: 1, prev: prev(b0), restrict: {} })))
    .setProtectedHeader(header).sign(pem);
const b64 = v => Buffer.from(typeof v === 'string' ? v : JSON.stringify(v)).toString('base64url');
const [h1, p1, s1] = b1.split('.');
const forged = {
    'a block by a stranger': `${b0}~${await block(agent, typ)}`,
    'a stranger\'s block with the holder\'s kid': `${b0}~${await new CompactSign(Buffer.from('{}'))
        .setProtectedHeader({ alg: 'EdDSA', kid: aliceKey.id, typ }).sign(await importPKCS8(crypto.generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }), 'EdDSA'))}`,
    'the second block alone': b1,
    'blocks in the wrong order': `${b1}~${b0}`,
    'a block of another order': `${other.chain}~${b1}`,
    'a block that follows nothing': `${b0}~${await block(aliceKey, typ, { prev: prev('x') })}`,
    'a block with the wrong number': `${b0}~${await block(aliceKey, typ, { n: 2 })}`,
    'a restriction nobody knows': `${b0}~${await block(aliceKey, typ, { restrict: { color: 'red' } })}`,
    'a member nobody knows': `${b0}~${await block(aliceKey, typ, { surprise: 1 })}`,
    'a later version': `${b0}~${await block(aliceKey, typ, { v: 2 })}`,
    'a document of another kind': `${b0}~${await block(aliceKey, 'xeno-order+json')}`,
    'a header with something more': `${b0}~${await raw({ alg: 'EdDSA', kid: aliceKey.id, typ, cty: 'x' })}`,
    'a header with a key in it': `${b0}~${await raw({ alg: 'EdDSA', kid: aliceKey.id, typ, jwk: { kty: 'OKP', crv: 'Ed25519', x: aliceKey.x } })}`,
    'a header without kid': `${b0}~${await raw({ alg: 'EdDSA', typ })}`,
    'a critical extension': `${b0}~${b64({ alg: 'EdDSA', crit: ['x'], kid: aliceKey.id, typ, x: 1 })}.${p1}.${s1}`,
    'algorithm none': `${b0}~${b64({ alg: 'none', kid: aliceKey.id, typ })}.${p1}.`,
    'algorithm HS256 with the public key': (() => {
        const input = `${b64({ alg: 'HS256', kid: aliceKey.id, typ })}.${p1}`;
        return `${b0}~${input}.${crypto.createHmac('sha256', Buffer.from(aliceKey.x, 'base64url')).update(input).digest('base64url')}`;
    })(),
    'a signature cut short': good.slice(0, -4),
    'a signature with padding': good + '==',
    'a signature in another alphabet': `${b0}~${h1}.${p1}.${s1.replace(/[A-Za-z]/, '+')}`,
    'a payload changed': `${b0}~${h1}.${b64(Buffer.from(p1, 'base64url').toString().replace('700000', '900000'))}.${s1}`,
    'an empty block at the end': good + '~',
    'a block 0 by the client': `${await aliceKey.sign('xeno-order+json', { ...blocks[0], limit: 900000000 })}`,
};
const post = (who, url, o) => request(who, 'POST', url, { 'Content-Type': 'application/json', 'Idempotency-Key': fresh() }, JSON.stringify(o));
// What a JOSE library does not look at, or is more patient with than rfc/0001 allows.
const ours = ['a restriction nobody knows', 'a member nobody knows', 'a later version', 'a signature with padding'];
for (const [name, text] of Object.entries(forged)) {
    const answers = {
        XenoCorp: await post(first, `${corpUrl}/v1/validate`, { chain: text, session: sessionId(), epoch: 0, env_type: 'Linux', rate_per_hour: 1000, holder: aliceKey.x }),
        XenoServer: await post(alice, `${serverUrl}/v1/sessions?dry_run=1`, { chain: text, requirements: requirement }),
    };
    for (const [who, a] of Object.entries(answers)) {
        const type = a.type === 'application/problem+json' ? JSON.parse(a.text).type : '';
        ok([400, 403].includes(a.status) && /^(order|jws|json|doc)\./.test(type), `the ${who} refuses ${name} (${type})`, a.text);
    }
    if (!ours.includes(name))
        ok(await throws(() => readChain(text, corpKey)), `and jose ${name}`);
}

// --- the other signed documents ---
await call(corpUrl, operator, 'disableParty', 200, { params: { id: first.id } });
const list = await read((await call(corpUrl, nobody(), 'getRevocations', 200)).json.signed, 'xeno-revocations+json', corpKey);
ok(list.v === 1 && list.version >= 1 && list.serials.length === 1 && list.next_ms > list.issued_ms, 'the revocation list is signed by the XenoCorp', list);
const status = (await call(serverUrl, nobody(), 'getStatus', 200)).json;
const signed = await read(status.signed, 'xeno-status+json', x1Key.x);
is(signed.server, x1Key.id, 'the status by the XenoServer');
is(JSON.stringify(signed), JSON.stringify(status.status), 'and it is the status');
done();
