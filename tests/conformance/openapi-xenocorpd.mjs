// tests/conformance/openapi-xenocorpd.mjs - each operation of a XenoCorp, good and refused.
import crypto from 'node:crypto';
import fs from 'node:fs';
import { call as callAt, covered, done, fresh, is, nobody, nothing_else, ok, party, request } from './openapi.mjs';
import * as merkle from './merkle.mjs';
import { answer, batch, certificate, charge, newKey, present, read, readChain, signer, textOfCertificate } from './documents.mjs';

const base = process.env.CORP_URL;
const call = (...args) => callAt(base, ...args);
const csr = name => fs.readFileSync(`${process.env.WORK}/${name}/csr.pem`, 'utf8');
const session = () => crypto.randomBytes(16).toString('hex').replace(/./g, c => 'abcdefghijklmnop'[parseInt(c, 16)]).slice(0, 16);
const anybody = nobody(), operator = party('operator'), alice = party('alice');
const first = party('first'), second = party('second');
const firstKey = await signer(first.key), aliceKey = await signer(alice.key);
const corpKey = await textOfCertificate(fs.readFileSync(`${process.env.WORK}/ca.pem`, 'utf8'));

// --- what anybody may read ---
await call(anybody, 'getHealth', 200);
const metrics = await call(anybody, 'getMetrics', 200);
ok(metrics.text.split('\n').every(l => l === '' || /^# (HELP|TYPE) |^[a-z_]+({[^}]*})? -?[0-9.]+$/.test(l)),
   'metrics are Prometheus text', metrics.text);
await call(anybody, 'getCa', 200);
const revocations = await call(anybody, 'getRevocations', 200);
is((await read(revocations.json.signed, 'xeno-revocations+json', corpKey)).serials.length, 0, 'nobody is revoked yet');

// --- joining ---
const token = (await call(operator, 'issueToken', 201, { json: { kind: 'client', lifetime_s: 60 } })).json.token;
await call(operator, 'issueToken', 400, { json: { kind: 'king' } });
await call(operator, 'issueToken', 400, { json: { kind: 'client', lifetime_s: 0 } });
await call(alice, 'issueToken', 403, { json: { kind: 'client' } });
await call(anybody, 'issueToken', 401, { json: { kind: 'client' } });
const join = { token, csr: csr('bob'), name: 'bob', contact: 'bob@example.net', charging: { card: 'none' } };
const bob = await call(anybody, 'joinClient', 201, { json: join });
const again = await call(anybody, 'joinClient', 201, { json: join });
is(again.json.id, bob.json.id, 'the same token and key again: the same party');
await call(anybody, 'joinClient', 403, { json: { ...join, csr: csr('third') } });
await call(anybody, 'joinClient', 400, { json: { token } });
await call(anybody, 'joinClient', 400, { json: { ...join, csr: 'nonsense' } });
const serverToken = (await call(operator, 'issueToken', 201, { json: { kind: 'server' } })).json.token;
const machine = { architecture: 'x86_64', cpu: 'x', cpus: 2, memory_bytes: 4294967296, network_mbps: 100 };
const server = { token: serverToken, csr: csr('third'), name: 'third', owner: 'o', contact: 'c', payout: { iban: 'none' },
                 machine, endpoint: 'https://127.0.0.1:1', hosts: ['127.0.0.1'] };
await call(anybody, 'joinServer', 400, { json: { ...server, machine: { ...machine, cpus: 0 } } });
const third = await call(anybody, 'joinServer', 201, { json: server });
await call(anybody, 'joinServer', 403, { json: { ...server, token: 'xt1.' + 'A'.repeat(22) + '.' + process.env.CORP_ID, csr: csr('bob') } });
const nodeToken = (await call(operator, 'issueToken', 201, { json: { kind: 'node' } })).json.token;
const node = { ...server, token: nodeToken, csr: csr('store'), name: 'store', storage: { capacity_bytes: 1099511627776 } };
delete node.machine;
await call(anybody, 'joinNode', 400, { json: { ...node, storage: { capacity_bytes: 0 } } });
await call(anybody, 'joinServer', 403, { json: { ...node, machine } });
const store = (await call(anybody, 'joinNode', 201, { json: node })).json;
const kept = (await call(operator, 'getParty', 200, { params: { id: store.id } })).json;
is(`${kept.kind} ${kept.details.storage.capacity_bytes}`, 'node 1099511627776', 'a node, and what it stores');
await call(alice, 'renewCredential', 200);
await call(anybody, 'renewCredential', 401);
await call(anybody, 'renewCredential', 200, { json: { csr: csr('bob') } });
await call(alice, 'renewCredential', 403, { json: { csr: csr('bob') } });

fs.writeFileSync(`${process.env.WORK}/store/credential.pem`, store.certificate ?? store.credential);
fs.writeFileSync(`${process.env.WORK}/store/id`, store.id);
fs.copyFileSync(`${process.env.WORK}/ca.pem`, `${process.env.WORK}/store/ca.pem`);
const shop = party('store'), shopKey = await signer(shop.key);

// --- money ---
await call(operator, 'fundAccount', 200, { json: { id: bob.json.id, amount: 1000 }, key: 'fund-bob' });
const twice = await call(operator, 'fundAccount', 200, { json: { id: bob.json.id, amount: 1000 }, key: 'fund-bob' });
is(twice.json.free, 1000, 'funding again under the same key adds nothing');
await call(operator, 'fundAccount', 422, { json: { id: bob.json.id, amount: 1001 }, key: 'fund-bob' });
await call(operator, 'fundAccount', 400, { json: { id: bob.json.id, amount: 1 }, key: null });
await call(operator, 'fundAccount', 400, { json: { id: bob.json.id, amount: -1 } });
await call(operator, 'fundAccount', 404, { json: { id: 'a'.repeat(32), amount: 1 } });
await call(alice, 'fundAccount', 403, { json: { id: alice.id, amount: 1 } });
is((await call(alice, 'getAccount', 200)).json.free, 5000000, 'what alice has');
is((await call(first, 'getAccount', 200)).json.kind, 'server', 'a XenoServer has an account, too');
await call(anybody, 'getAccount', 401);

// --- orders ---
const ask = { amount: 1000000, lifetime_s: 3600 };
const made = await call(alice, 'createOrder', 201, { json: ask, key: 'order-1' });
const order = made.json.order, chain = made.json.chain;
is((await call(alice, 'createOrder', 201, { json: ask, key: 'order-1' })).json.order, order, 'a repeat makes no second order');
await call(alice, 'createOrder', 422, { json: { ...ask, amount: 2 }, key: 'order-1' });
const block = (await readChain(chain, corpKey)).blocks[0];
ok(block.order === order && block.limit === 1000000 && block.key === aliceKey.x && block.sponsor === alice.id,
   'the chain says what was asked for', block);
await call(alice, 'createOrder', 402, { json: { ...ask, amount: 999000000 } });
await call(alice, 'createOrder', 400, { json: { ...ask, amount: 0 } });
await call(alice, 'createOrder', 400, { json: { amount: 1 } });
await call(alice, 'createOrder', 400, { json: ask, key: null });
await call(first, 'createOrder', 403, { json: ask });
await call(anybody, 'createOrder', 401, { json: ask });
const other = (await call(alice, 'createOrder', 201, { json: { amount: 5000, expires_ms: Date.now() + 600000, key: (await newKey()).x } })).json.order;
const page = await call(alice, 'listOrders', 200, { query: { limit: 1 } });
is(page.json.orders.length, 1, 'a page is as long as asked for');
const rest = await call(alice, 'listOrders', 200, { query: { after: page.json.next } });
is(rest.json.orders[0].order, other, 'and the next one goes on after it');
await call(alice, 'listOrders', 400, { query: { limit: 0 } });
await call(anybody, 'listOrders', 401);
is((await call(alice, 'getOrder', 200, { params: { order } })).json.chain, chain, 'an order can be read again with its chain');
await call(alice, 'getOrder', 404, { params: { order: 'a'.repeat(32) } });
await call(anybody, 'getOrder', 401, { params: { order } });

// --- validation ---
const s1 = session(), holder = aliceKey.x;
const shown = await present(chain, aliceKey, first.id);
const bind = { chain: shown, session: s1, epoch: 0, env_type: 'Linux', rate_per_hour: 1000, holder };
const bound = await call(first, 'validateOrder', 200, { json: bind, key: 'v1' });
is(bound.json.left, 1000000, 'the whole order is there to be charged');
is((await call(first, 'validateOrder', 200, { json: bind })).json.epoch, bound.json.epoch, 'again: the same binding');
await call(first, 'validateOrder', 422, { json: { ...bind, rate_per_hour: 1 }, key: 'v1' });
await call(second, 'validateOrder', 409, { json: { ...bind, chain: await present(chain, aliceKey, second.id), session: session() } });
await call(first, 'validateOrder', 409, { json: { ...bind, session: session() } });
await call(first, 'validateOrder', 403, { json: { ...bind, holder: (await newKey()).x } });
await call(first, 'validateOrder', 403, { json: { ...bind, chain, session: session() } });
await call(first, 'validateOrder', 403, { json: { ...bind, chain: shown.slice(0, -4) + 'AAAA' } });
await call(first, 'validateOrder', 400, { json: { ...bind, chain: 'x' } });
await call(first, 'validateOrder', 400, { json: { ...bind, session: 'short' } });
await call(first, 'validateOrder', 413, { json: { ...bind, chain: 'x'.repeat(200000) } });
await call(alice, 'validateOrder', 403, { json: bind });
await call(anybody, 'validateOrder', 401, { json: bind });
is((await call(alice, 'getOrder', 200, { params: { order } })).json.bound?.session, s1, 'the order says whom it is bound to');

// --- charges, made by jose ---
const t0 = Date.now() - 20000, epoch = bound.json.epoch;
const c1 = charge({ order, epoch, session: s1, seq: 1, from_ms: Date.now(), to_ms: Date.now(), tariff: 1, final: false, activity: 'test' },
                  [['cpu', 100, 50, 10, 50, 40], ['memory', 1000, 500, 5, 5, 2]]);
const bad = { ...c1, seq: 2, amount: 41 };
const text = await batch(firstKey, [c1, bad]);
const posted = await call(first, 'postCharges', 200, { jose: text });
is(posted.json?.results.map(r => r.status).join(), 'posted,refused', 'the good charge is posted, the bad one refused', posted.text);
is(posted.json?.results[1].error?.type, 'charge.sum', 'and it says why');
is((await call(first, 'postCharges', 200, { jose: text })).json.results[0].status, 'repeated', 'a repeat posts nothing');
await call(first, 'postCharges', 415, { json: {} });
await call(first, 'postCharges', 400, { jose: 'nonsense' });
await call(first, 'postCharges', 403, { jose: await batch(await signer(second.key), [c1]) });
await call(first, 'postCharges', 413, { jose: 'x'.repeat(600000) });
await call(alice, 'postCharges', 403, { jose: text });
await call(anybody, 'postCharges', 401, { jose: text });

// --- complaints (rfc/0020): with the advert that the XenoServer signed ---
const advert = await firstKey.sign('xeno-advert+xml', `<Advert><Id>${first.id}</Id><Key>${firstKey.x}</Key><Version>7</Version><Expires>1</Expires>`
    + `<Corp>${first.id}</Corp><Isolation>vm</Isolation><Endpoint>https://h</Endpoint></Advert>`);
const complaint = (signer, more) => signer.sign('xeno-complaint+json',
    { v: 1, client: signer.id, server: first.id, session: s1, about: 'latency', advert, receipts: [], time_ms: Date.now(), ...more });
const said = await complaint(aliceKey, { text: 'slow' });
const filed = (await call(alice, 'fileComplaint', 201, { jose: said })).json;
is((await call(alice, 'fileComplaint', 201, { jose: said })).json.complaint, filed.complaint, 'again: the same complaint');
await call(alice, 'fileComplaint', 409, { jose: await complaint(aliceKey, { about: 'price' }) });
await call(alice, 'fileComplaint', 404, { jose: await complaint(aliceKey, { session: session() }) });
await call(alice, 'fileComplaint', 403, { jose: await complaint(aliceKey, { advert: await aliceKey.sign('xeno-advert+xml', '<Advert/>') }).then(t => t.slice(0, -4) + 'AAAA') });
await call(alice, 'fileComplaint', 400, { jose: await complaint(aliceKey, { about: 'nothing' }) });
await call(alice, 'fileComplaint', 413, { jose: 'x'.repeat(300000) });
await call(first, 'fileComplaint', 403, { jose: said });
await call(anybody, 'fileComplaint', 401, { jose: said });
is((await call(second, 'listComplaints', 200)).json.complaints.map(c => `${c.server} ${c.about} ${c.version} ${c.count}`).join(),
   `${first.id} latency 7 1`, 'everybody sees that there is one');
await call(alice, 'listComplaints', 400, { query: { limit: 0 } });
await call(anybody, 'listComplaints', 401);
is((await call(first, 'getComplaint', 200, { params: { complaint: filed.complaint } })).json.document, said, 'the XenoServer reads it');
await call(second, 'getComplaint', 403, { params: { complaint: filed.complaint } });
await call(alice, 'getComplaint', 404, { params: { complaint: filed.complaint + 1 } });
await call(anybody, 'getComplaint', 401, { params: { complaint: filed.complaint } });

// --- storage: a node binds an order to a certificate, charges it, and is audited ---
const data = crypto.randomBytes(100000), cert = session();
const paying = (await call(alice, 'createOrder', 201, { json: { amount: 3000, lifetime_s: 600 } })).json;
const keep = { chain: await present(paying.chain, aliceKey, shop.id), session: cert, epoch: 0, env_type: 'storage',
               rate_per_hour: 10, holder, certificate: await certificate(aliceKey, cert, [data], 300000) };
await call(shop, 'validateOrder', 400, { json: { ...keep, certificate: undefined } });
await call(shop, 'validateOrder', 403, { json: { ...keep, certificate: await certificate(await newKey(), cert, [data], 300000) } });
await call(first, 'validateOrder', 403, { json: { ...keep, chain: await present(paying.chain, aliceKey, first.id) } });
is((await call(shop, 'validateOrder', 200, { json: keep })).json.copy, 1, 'a certificate that jose signed is bound: the first copy');
const stored = charge({ order: paying.order, epoch: 1, session: cert, seq: 1, from_ms: Date.now(), to_ms: Date.now(), tariff: 1,
                        final: false, activity: 'storage' }, [['disk', 100, 100, 5, 0, 7]]);
is((await call(shop, 'postCharges', 200, { jose: await batch(shopKey, [stored]) })).json.results[0].status, 'posted', 'and charged');
await call(alice, 'askAudit', 400, { json: {} });
await call(alice, 'askAudit', 404, { json: { order: 'a'.repeat(32) } });
await call(first, 'askAudit', 403, { json: { order: paying.order } });
await call(anybody, 'askAudit', 401, { json: { order: paying.order } });
const asked = (await call(alice, 'askAudit', 201, { json: { order: paying.order } })).json;
is((await call(shop, 'listAudits', 200)).json.audits[0]?.audit, asked.audit, 'the node sees what it is asked');
await call(alice, 'listAudits', 400, { query: { limit: 0 } });
await call(anybody, 'listAudits', 401);
await call(shop, 'answerAudit', 400, { jose: 'nonsense' });
await call(shop, 'answerAudit', 403, { jose: await answer(firstKey, asked, data) });
await call(shop, 'answerAudit', 404, { jose: await answer(shopKey, { ...asked, audit: asked.audit + 1 }, data) });
await call(shop, 'answerAudit', 413, { jose: 'x'.repeat(60000) });
await call(alice, 'answerAudit', 403, { jose: 'x' });
await call(anybody, 'answerAudit', 401, { jose: 'x' });
is((await call(shop, 'answerAudit', 200, { jose: await answer(shopKey, asked, data) })).json.result, 'passed', 'the proof by definition passes');
const second_time = (await call(alice, 'askAudit', 201, { json: { order: paying.order } })).json;
is((await call(shop, 'answerAudit', 200, { jose: await answer(shopKey, second_time, Buffer.alloc(100000)) })).json.result, 'wrong', 'other bytes do not');
is((await call(alice, 'listAudits', 200)).json.audits.map(a => a.result).join(), 'passed,wrong', 'their owner reads both');
const unpaid = { ...stored, seq: 2, from_ms: Date.now(), to_ms: Date.now() };
is((await call(shop, 'postCharges', 200, { jose: await batch(shopKey, [unpaid]) })).json.results[0].error?.type, 'charge.audit', 'and payment is suspended');
is((await call(alice, 'closeOrder', 200, { params: { order: paying.order } })).json.state, 'closed', 'so its owner can close the order');

await call(first, 'releaseOrder', 200, { json: { order, session: s1 } });
await call(first, 'releaseOrder', 200, { json: { order, session: s1 } });
await call(second, 'releaseOrder', 403, { json: { order, session: s1 } });
await call(first, 'releaseOrder', 404, { json: { order: 'a'.repeat(32), session: s1 } });
await call(first, 'releaseOrder', 400, { json: { order } });
await call(anybody, 'releaseOrder', 401, { json: { order, session: s1 } });
is((await call(alice, 'closeOrder', 200, { params: { order } })).json.state, 'closed', 'a released order can be closed');
await call(alice, 'closeOrder', 200, { params: { order } });
await call(alice, 'closeOrder', 400, { params: { order }, key: null });
await call(alice, 'closeOrder', 404, { params: { order: 'a'.repeat(32) } });
await call(anybody, 'closeOrder', 401, { params: { order } });
await call(first, 'validateOrder', 403, { json: { ...bind, session: session() } });

// --- statements, and the books behind them ---
const lines = (await call(alice, 'getStatement', 200)).json.entries;
const account = (await call(alice, 'getAccount', 200)).json;
is(lines.reduce((sum, l) => sum + l.amount, 0), account.free + account.held, 'the statement adds up to the account');
is(lines.at(-1)?.balance, account.free + account.held, 'and so does its last balance');
is((await call(alice, 'getStatement', 200, { query: { limit: 1 } })).json.entries.length, 1, 'statements come in pages');
await call(first, 'getStatement', 200);
await call(alice, 'getStatement', 400, { query: { after: 'x' } });
await call(anybody, 'getStatement', 401);
const ledger = (await call(operator, 'getLedger', 200, { query: { check: 1 } })).json;
ok(ledger.balanced && ledger.checked && ledger.sum === 0, 'the books balance', ledger);
await call(operator, 'getLedger', 200);
await call(alice, 'getLedger', 403);
await call(anybody, 'getLedger', 401);
const trail = await call(operator, 'listCharges', 200, { query: { order } });
ok(trail.json.charges.length === 1 && trail.json.charges[0].amount === 42, 'the audit trail has the charge', trail.json);
is((await call(operator, 'listCharges', 200, { query: { session: session() } })).json.charges.length, 0, 'and none of another session');
await call(alice, 'listCharges', 403);
await call(anybody, 'listCharges', 401);
const evidence = await call(operator, 'getBatch', 200, { params: { batch: trail.json.charges[0].batch } });
is(evidence.text, text, 'with the document it came in, byte for byte');
await call(operator, 'getBatch', 404, { params: { batch: 999999 } });
await call(alice, 'getBatch', 403, { params: { batch: 1 } });
await call(anybody, 'getBatch', 401, { params: { batch: 1 } });
ok((await call(operator, 'listActs', 200)).json.acts.length > 5, 'administrative acts are recorded');
await call(alice, 'listActs', 403);
await call(anybody, 'listActs', 401);
const parties = await call(operator, 'listParties', 200);
ok(parties.json.parties.some(p => p.id === third.json.id && p.endpoint === 'https://127.0.0.1:1'), 'parties are listed');
is((await call(operator, 'listParties', 200, { query: { limit: 2 } })).json.parties.length, 2, 'in pages');
await call(alice, 'listParties', 403);
await call(anybody, 'listParties', 401);
is(typeof (await call(operator, 'getParty', 200, { params: { id: parties.json.parties[0].id } })).json.details, 'object',
   'one with its details');
await call(operator, 'getParty', 404, { params: { id: 'a'.repeat(32) } });
await call(alice, 'getParty', 403, { params: { id: parties.json.parties[0].id } });
await call(anybody, 'getParty', 401, { params: { id: parties.json.parties[0].id } });

// --- the audit log, by its definition ---
const readHead = async jws => read(jws, 'xeno-log-head+json', corpKey);
const covers = await readHead(posted.json.receipt);
ok(covers.size > (await readHead(bound.json.receipt)).size, 'a receipt is the head that covers what was posted');
const head = await readHead((await call(anybody, 'getLogHead', 200)).json.head);
let leaves = [], more = 0;
do {
    const got = (await call(operator, 'listLogEntries', 200, { query: { after: more, limit: 7 } })).json;
    leaves = leaves.concat(got.entries);
    more = got.next;
} while (more !== undefined);
leaves = leaves.slice(0, head.size);
const hashes = leaves.map(l => merkle.leafHash(l.leaf));
ok(leaves.every((l, i) => l.n === i && l.hash === merkle.text(hashes[i])), 'an operator reads every leaf', leaves);
is(merkle.text(merkle.root(hashes)), head.root, 'and they make the root that was signed');
is(merkle.text(merkle.root(hashes.slice(0, covers.size))), covers.root, 'as they make the receipt');
const charged = leaves.find(l => l.leaf.includes('"act":"charge"'));
ok(charged.n < covers.size, 'which has the charge in it');
is(JSON.parse(charged.leaf).amount, 42, 'as it was posted');
const proof = (await call(alice, 'getLogInclusion', 200, { query: { leaf: charged.n, size: head.size } })).json;
is(proof.proof.join(), merkle.inclusion(charged.n, hashes).map(merkle.text).join(), 'an inclusion proof is that of the RFC');
is(proof.hash, charged.hash, 'of that leaf');
const grown = (await call(first, 'getLogConsistency', 200, { query: { first: covers.size, second: head.size } })).json;
is(grown.proof.join(), merkle.consistency(covers.size, hashes).map(merkle.text).join(), 'and so is a consistency proof');
for (const who of [alice, first]) {
    const own = (await call(who, 'listLogEntries', 200, { query: { limit: 1000 } })).json.entries;
    ok(own.some(l => l.hash === charged.hash && l.leaf === charged.leaf), 'both sides of a charge read its leaf');
    ok(own.every(l => leaves[l.n] === undefined || leaves[l.n].leaf === l.leaf), 'as the operator does');
}
const others = (await call(second, 'listLogEntries', 200, { query: { all: 1, limit: 1000 } })).json.entries;
ok(others[charged.n].hash === charged.hash && others[charged.n].leaf === undefined, 'others see its hash');
await call(alice, 'getLogInclusion', 400, { query: { leaf: 1, size: 1 } });
await call(alice, 'getLogInclusion', 400, { query: { leaf: 1 } });
await call(alice, 'getLogConsistency', 400, { query: { first: 2, second: 1 } });
await call(alice, 'getLogConsistency', 400, { query: { first: 1, second: 1e9 } });
await call(alice, 'listLogEntries', 400, { query: { limit: 1001 } });
for (const id of ['getLogInclusion', 'getLogConsistency', 'listLogEntries'])
    await call(anybody, id, 401, { query: { leaf: 0, size: 1, first: 0, second: 1 } });

// --- disabling ---
await call(alice, 'disableParty', 403, { params: { id: bob.json.id } });
await call(anybody, 'disableParty', 401, { params: { id: bob.json.id } });
await call(operator, 'disableParty', 404, { params: { id: 'a'.repeat(32) } });
await call(operator, 'disableParty', 200, { params: { id: second.id } });
await call(operator, 'disableParty', 200, { params: { id: second.id } });
await call(second, 'getAccount', 401);
const list = await read((await call(anybody, 'getRevocations', 200)).json.signed, 'xeno-revocations+json', corpKey);
const serial = new crypto.X509Certificate(fs.readFileSync(`${process.env.WORK}/second/credential.pem`)).serialNumber.toLowerCase();
ok(list.serials.map(s => s.replace(/^0+/, '')).includes(serial.replace(/^0+/, '')), 'its credential is on the list', list, serial);

covered('xenocorp');
await nothing_else(base, operator, 'xenocorp');
const big = await request(operator, 'GET', base + '/healthz', { 'X-Long': 'x'.repeat(17000) });
is(big.status, 431, 'a header above 16 KiB is refused');
done();
