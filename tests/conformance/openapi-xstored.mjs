// tests/conformance/openapi-xstored.mjs - what a XenoStore has beside the registry's own interface.
import crypto from 'node:crypto';
import fs from 'node:fs';
import { call as callAt, covered, done, is, nobody, nothing_else, ok, party, request } from './openapi.mjs';
import { certificate, digestOf, idOf, present, read, signer, textOfCertificate } from './documents.mjs';

const base = process.env.STORE_URL;
const call = (...args) => callAt(base, ...args);
const anybody = nobody(), alice = party('alice'), eve = party('eve');
const basic = (user, password) => ({ Authorization: 'Basic ' + Buffer.from(`${user}:${password}`).toString('base64') });

const health = await call(anybody, 'getHealth', 200);
is(typeof health.json.corp, 'boolean', 'it says whether the XenoCorp answers');
await call(anybody, 'getMetrics', 200);

// --- a password ---
const login = (await call(alice, 'login', 200)).json;
is(login.client, alice.id, 'the user is the caller');
const hour = (await call(alice, 'login', 200, { json: { lifetime_s: 3600 } })).json;
ok(hour.expires_ms <= Date.now() + 3600000 && hour.expires_ms < login.expires_ms, 'it ends when it is asked to');
await call(alice, 'login', 400, { json: { lifetime_s: 0 } });
await call(anybody, 'login', 401);

// --- a pass ---
const scope = `repository:${alice.id}/base:pull,push`;
const query = { service: process.env.STORE_ID, scope };
const pass = (await call(alice, 'getToken', 200, { query })).json;
is(pass.token, pass.access_token, 'by both names');
ok(pass.expires_in > 0 && pass.expires_in <= 300, 'for minutes', pass);
const key = await textOfCertificate(fs.readFileSync(`${process.env.WORK}/store/credential.pem`, 'utf8'));
const doc = await read(pass.token, 'xeno-store-access+json', key);
is(doc.client, alice.id, 'a JOSE library reads whose it is');
is(doc.store, process.env.STORE_ID, 'and of which store');
is(doc.scopes.join(), scope, 'and what for');
const other = (await call(eve, 'getToken', 200, { query })).json;
is((await read(other.token, 'xeno-store-access+json', key)).scopes.join(), `repository:${alice.id}/base:pull`, 'another one may pull');
await call(anybody, 'getToken', 200, { query, headers: basic(alice.id, login.password) });
await call(anybody, 'getToken', 401, { query, headers: basic(eve.id, login.password) });
await call(anybody, 'getToken', 401, { query, headers: { Authorization: `Bearer ${pass.token}` } });
await call(anybody, 'getToken', 401, { query });
await call(alice, 'getToken', 400, { query: { service: alice.id } });
await call(alice, 'getToken', 400, { query: { scope: 'machine:x:pull' } });
await call(alice, 'getToken', 400, { query: Array(9).fill(['scope', scope]) });

// --- what it is good for ---
const bearer = { Authorization: `Bearer ${pass.token}` };
is((await request(anybody, 'GET', `${base}/v2/`, bearer)).status, 200, 'the registry takes it');
const refused = await request(anybody, 'GET', `${base}/v2/${alice.id}/other/tags/list`, bearer);
is(refused.status, 401, 'for nothing else');
is(JSON.parse(refused.text).errors[0].code, 'UNAUTHORIZED', 'which is said in the words of registries, too');
ok(/error="insufficient_scope"/.test(refused.headers['www-authenticate']), 'and what it lacks', refused.headers);

// --- what is there ---
const none = (await call(alice, 'getStoreUsage', 200)).json;
is(`${none.owner} ${none.used_bytes} ${none.entries}`, `${alice.id} 0 0`, 'who put nothing there has nothing');
const blob = Buffer.from('hello');
const digest = 'sha256:' + crypto.createHash('sha256').update(blob).digest('hex');
for (const name of ['a', 'b'])
    is((await request(alice, 'POST', `${base}/v2/${alice.id}/${name}/blobs/uploads/?digest=${digest}`, { 'Content-Length': blob.length }, blob)).status,
       201, `${name} gets a blob`);
const used = (await call(anybody, 'getStoreUsage', 200, { headers: basic(alice.id, login.password) })).json;
is(`${used.used_bytes} ${used.entries}`, '5 2', 'what two repositories share counts once');
is((await call(eve, 'getStoreUsage', 200)).json.used_bytes, 0, 'and for its owner only');
await call(anybody, 'getStoreUsage', 401);
await call(anybody, 'getStoreUsage', 401, { headers: bearer });

// --- paid: a certificate that jose signs, bought with an order, reclaimed ---
const corp = (...args) => callAt(process.env.CORP_URL, ...args);
const aliceKey = await signer(alice.key), id = [...crypto.randomBytes(16)].map(b => 'abcdefghijklmnopqrstuvwxyz234567'[b & 31]).join('');
is(none.price_gib_day, 4000000000, 'the price is told');
is(idOf(none.key), none.store, 'and who tells it');
const layer = crypto.randomBytes(300000), config = Buffer.from('{}');
const put = async (data) => {
    const d = digestOf(data);
    await request(alice, 'POST', `${base}/v2/${alice.id}/paid/blobs/uploads/?digest=${d}`, { 'Content-Length': data.length }, data);
    return { mediaType: 'application/octet-stream', digest: d, size: data.length };
};
const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json',
                                              config: await put(config), layers: [await put(layer)] }));
is((await request(alice, 'PUT', `${base}/v2/${alice.id}/paid/manifests/1`, { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json',
                  'Content-Length': manifest.length }, manifest)).status, 201, 'an image is pushed');
const repository = `${alice.id}/paid`, successor = Buffer.from(manifest.toString().replace('{"schema', '{ "schema'));
is((await request(alice, 'PUT', `${base}/v2/${repository}/manifests/1`, { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json',
                  'Content-Length': successor.length }, successor)).status, 201, 'another takes its place');
const asked = { repository, tag: '1' };
is((await call(alice, 'getHistory', 200, { query: asked })).json.heads.map(h => h.digest).join(), digestOf(manifest), 'what was there is kept');
await call(alice, 'getHistory', 400, { query: { repository, tag: digestOf(manifest) } });
await call(anybody, 'getHistory', 401, { query: asked });
await call(eve, 'getHistory', 403, { query: asked });
await call(anybody, 'restoreHead', 401, { json: { repository, tag: '1', to: 1 } });
await call(eve, 'restoreHead', 403, { json: { repository, tag: '1', to: 1 } });
await call(alice, 'restoreHead', 400, { json: { repository, tag: '1' } });
await call(alice, 'restoreHead', 404, { json: { repository, tag: '1', to: 7 } });
is((await call(alice, 'restoreHead', 200, { json: { repository, tag: '1', to: 1 } })).json.digest, digestOf(manifest), 'and brought back');
const order = (await corp(alice, 'createOrder', 201, { json: { amount: 1000000, lifetime_s: 600 } })).json;
const chain = await present(order.chain, aliceKey, none.store);
const all = [manifest, config, layer];
const wanted = { certificate: await certificate(aliceKey, id, all, 300000), chain };
await call(anybody, 'buyStorage', 401, { json: wanted });
await call(alice, 'buyStorage', 400, { json: { chain } });
await call(alice, 'buyStorage', 400, { json: { ...wanted, certificate: await certificate(aliceKey, id, [manifest, layer], 300000) } });
await call(alice, 'buyStorage', 400, { json: { ...wanted, certificate: await certificate(aliceKey, id, all, 300000, 1) } });
await call(alice, 'buyStorage', 404, { json: { ...wanted, certificate: await certificate(aliceKey, id, [layer], 300000) } });
await call(alice, 'buyStorage', 403, { json: { ...wanted, chain: await present(order.chain, aliceKey, alice.id) } });
await call(eve, 'buyStorage', 403, { json: wanted });
is((await call(alice, 'buyStorage', 202, { json: wanted })).json.state, 'asked', 'with what it is about, it is taken');
await call(alice, 'buyStorage', 200, { json: wanted });
await call(alice, 'buyStorage', 409, { json: { ...wanted, certificate: await certificate(aliceKey, id, all, 400000) } });
let kept = {};
for (let i = 0; i < 100 && kept.state !== 'kept'; i++) {
    await new Promise(done => setTimeout(done, 100));
    kept = (await call(alice, 'getCertificate', 200, { params: { certificate: id } })).json;
}
const receipt = await read(kept.receipt, 'xeno-store-receipt+json', none.key);
is(`${receipt.certificate} ${receipt.size} ${receipt.copy}`, `${id} ${kept.size_bytes} 1`, 'and kept, with a receipt that jose reads');
is((await call(alice, 'listCertificates', 200)).json.certificates.length, 1, 'it is listed');
await call(anybody, 'listCertificates', 401);
await call(anybody, 'getCertificate', 401, { params: { certificate: id } });
await call(eve, 'getCertificate', 404, { params: { certificate: id } });
const letting = async (who, what) => ({ reclaim: await who.sign('xeno-reclaim+json', { v: 1, owner: who.id, certificate: what, time_ms: Date.now() }) });
await call(anybody, 'reclaimStorage', 401, { params: { certificate: id }, json: { reclaim: 'x' } });
await call(alice, 'reclaimStorage', 400, { params: { certificate: id }, json: { reclaim: 'x' } });
await call(alice, 'reclaimStorage', 404, { params: { certificate: id }, json: await letting(aliceKey, 'a'.repeat(16)) });
await call(eve, 'reclaimStorage', 403, { params: { certificate: id }, json: await letting(await signer(eve.key), id) });
const back = (await call(alice, 'reclaimStorage', 200, { params: { certificate: id }, json: await letting(aliceKey, id) })).json;
const said = await read(back.reclaim_receipt, 'xeno-reclaim-receipt+json', none.key);
is(said.charged + said.rest, 1000000, 'reclaimed: charged and rest are the order');
is((await call(alice, 'reclaimStorage', 200, { params: { certificate: id }, json: await letting(aliceKey, id) })).json.reclaim_receipt,
   back.reclaim_receipt, 'again: the same receipt');

covered('xenostore');
await nothing_else(base, alice, 'xenostore');
done();
