// tests/conformance/openapi-xisd.mjs - what an information service answers; adverts are signed by jose.
import { call as callAt, covered, done, is, nobody, nothing_else, ok, party, request } from './openapi.mjs';
import { newKey } from './documents.mjs';

const base = process.env.XIS_URL;
const call = (...args) => callAt(base, ...args);
const anybody = nobody(), alice = party('alice'), eve = party('eve');

const health = await call(anybody, 'getHealth', 200);
is(`${typeof health.json.corp} ${health.json.database}`, 'boolean true', 'it says how XenoCorp and database are');
await call(anybody, 'getMetrics', 200);
is((await call(alice, 'getStatus', 200)).json.adverts, 0, 'nothing is there');
await call(anybody, 'getStatus', 401);

// --- adverts ---
const server = await newKey();
const until = Date.now() + 600000;
const document = (version, memory, more = '') => `<Advert><Id>${server.id}</Id><Key>${server.x}</Key><Version>${version}</Version>` +
    `<Expires>${until}</Expires><Corp>${server.id}</Corp><Isolation>null</Isolation><Endpoint>https://192.0.2.1:8443</Endpoint>` +
    `<MemoryMB>${memory}</MemoryMB><Name>x${more}</Name></Advert>`;
const params = { id: server.id };
const whole = await server.sign('xeno-advert+xml', document(1, 512.5));
await call(anybody, 'putAdvert', 401, { params, jose: whole });
await call(alice, 'putAdvert', 400, { params, jose: 'x.y.z' });
await call(alice, 'putAdvert', 400, { params: { id: alice.id }, jose: whole });
await call(alice, 'putAdvert', 413, { params, jose: 'x'.repeat(100000) });
is((await call(alice, 'putAdvert', 201, { params, jose: whole })).json.version, 1, 'an advert is taken');
is((await call(alice, 'putAdvert', 409, { params, jose: whole })).text.includes('xis.old'), true, 'once');
await call(alice, 'putAdvert', 200, { params, jose: await server.sign('xeno-advert+xml', document(2, 512.5)) });
const delta = version => server.sign('xeno-advert-delta+xml', `<AdvertDelta><Id>${server.id}</Id><Version>${version}</Version>` +
    `<Base>2</Base><Expires>${until}</Expires><MemoryMB>600</MemoryMB></AdvertDelta>`);
await call(alice, 'amendAdvert', 200, { params, jose: await delta(3) });
await call(alice, 'amendAdvert', 409, { params, jose: await delta(3) });
await call(anybody, 'amendAdvert', 401, { params, jose: await delta(4) });
const there = (await call(eve, 'getAdvertOf', 200, { params })).json;
is(`${there.version} ${typeof there.delta}`, '3 string', 'both texts are handed out');
await call(eve, 'getAdvertOf', 404, { params: { id: alice.id } });
await call(anybody, 'getAdvertOf', 401, { params });

// --- lookups ---
const found = (await call(eve, 'lookup', 200, { query: { token: 'MemoryMB', min: 512.25, order: 'desc' } })).json;
is(JSON.stringify(found.results), JSON.stringify([{ id: server.id, value: 600 }]), 'it is found by its number');
await call(eve, 'lookup', 400, { query: { min: 1 } });
await call(anybody, 'lookup', 401, { query: { token: 'Name' } });
const lines = '{"token":"Name","is":"x"}\n{"token":7}\n';
const many = await call(eve, 'lookupMany', 200, { jose: lines, headers: {} });
is(many.text.trim().split('\n').map(l => JSON.parse(l).total ?? JSON.parse(l).error.type).join(), '1,lookup.form', 'a line each');
await call(anybody, 'lookupMany', 401, { jose: lines });
await call(eve, 'lookupMany', 413, { jose: '{}\n'.repeat(1001) });

// --- queries ---
const where = { and: [{ token: 'MemoryMB', min: 1 }, { not: { token: 'Location/Country', is: 'CH' } }] };
is((await call(eve, 'query', 200, { json: { where } })).json.total, 0, 'what is not known is not matched');
const all = (await call(eve, 'query', 200, { json: { where: where.and[0], order: 'Name', documents: true } })).json;
is(`${all.total} ${all.exact} ${all.results[0].value} ${all.results[0].advert.length > 0}`, '1 true x true', 'what is, with its document');
await call(eve, 'query', 400, { json: { where: { token: 'x' } } });
await call(eve, 'query', 413, { json: { where: { token: 'x'.repeat(70000), exists: true } } });
await call(anybody, 'query', 401, { json: {} });
const why = (await call(eve, 'explain', 200, { json: { where } })).json;
is(why.clauses.map(c => `${c.depth}:${c.true},${c.unknown}`).join(' '), '0:0,1 1:1,0 1:0,1 2:0,1', 'why not');
is((await call(eve, 'explain', 200, { json: { where, id: server.id } })).json.result, 'unknown', 'nor this one');
await call(eve, 'explain', 404, { json: { where, id: alice.id } });
await call(eve, 'explain', 400, { json: {} });
await call(anybody, 'explain', 401, { json: { where } });
const tokens = (await call(eve, 'listTokens', 200, { query: { limit: 2, after: 'Endpoint' } })).json;
is(`${tokens.tokens.map(t => t.token).join()} ${tokens.next}`, 'Expires,Id Id', 'tokens, paged');
await call(eve, 'listTokens', 400, { query: { limit: 0 } });
await call(anybody, 'listTokens', 401);

// --- changes ---
const feed = (await call(eve, 'getChanges', 200, { query: { after: 0 } })).json;
is(feed.changes.map(c => c.version).join(), '3', 'each advert once, as it is now');
is((await call(eve, 'getChanges', 200, { query: { after: feed.next, epoch: feed.epoch, wait: 1 } })).json.changes.length, 0, 'nothing came');
is((await call(eve, 'getChanges', 200, { query: { after: 0, epoch: 'x' } })).json.gap, true, 'another numbering');
await call(eve, 'getChanges', 400, { query: { after: -1 } });
await call(anybody, 'getChanges', 401, { query: { after: 0 } });

// --- watches ---
const watch = (await call(eve, 'makeWatch', 201, { json: { where: where.and[0], lease_s: 60 } })).json.watch;
await call(eve, 'makeWatch', 429, { json: { where: where.and[0], lease_s: 60 } });
await call(eve, 'makeWatch', 400, { json: { where: where.and[0], lease_s: 1 } });
await call(anybody, 'makeWatch', 401, { json: { where: where.and[0], lease_s: 60 } });
is((await call(eve, 'renewWatch', 200, { params: { watch }, json: { lease_s: 90 } })).json.watch, watch, 'a lease is renewed');
await call(eve, 'renewWatch', 400, { params: { watch }, json: {} });
await call(alice, 'renewWatch', 404, { params: { watch }, json: { lease_s: 90 } });
await call(anybody, 'renewWatch', 401, { params: { watch }, json: { lease_s: 90 } });
await call(alice, 'readWatch', 404, { params: { watch } });
await call(anybody, 'readWatch', 401, { params: { watch } });
const stream = call(eve, 'readWatch', 200, { params: { watch } });
const poll = async () => (await call(alice, 'getStatus', 200)).json.watches;
is(await poll(), 1, 'it is there');
await call(alice, 'endWatch', 404, { params: { watch } });
await call(anybody, 'endWatch', 401, { params: { watch } });
await call(eve, 'endWatch', 204, { params: { watch } });
ok(/event: match\ndata: .*"version":3/.test((await stream).text), 'its reader was told what matches');

// --- the end ---
const end = version => server.sign('xeno-advert-withdrawal+xml', `<AdvertWithdrawal><Id>${server.id}</Id><Key>${server.x}</Key>` +
    `<Version>${version}</Version><Expires>${until}</Expires></AdvertWithdrawal>`);
await call(alice, 'withdrawAdvert', 409, { params, jose: await end(3) });
await call(anybody, 'withdrawAdvert', 401, { params, jose: await end(4) });
await call(alice, 'withdrawAdvert', 200, { params, jose: await end(4) });
is((await call(eve, 'getChanges', 200, { query: { after: feed.next } })).json.changes[0].withdrawn, true, 'a withdrawal is a change');
await call(eve, 'replicate', 403, { json: {} });

covered('xis', { replicate: [200] });
await nothing_else(base, alice, 'xis');
done();
