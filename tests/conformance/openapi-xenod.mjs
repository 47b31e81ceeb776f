// tests/conformance/openapi-xenod.mjs - each operation of a XenoServer, good and refused.
import crypto from 'node:crypto';
import https from 'node:https';
import fs from 'node:fs';
import { call as callAt, covered, done, fresh, is, nobody, nothing_else, ok, party, request } from './openapi.mjs';
import { newKey, present, read, restrict, signer, textOfCertificate } from './documents.mjs';

const base = process.env.SERVER_URL;
const call = (...args) => callAt(base, ...args);
const corp = (...args) => callAt(process.env.CORP_URL, ...args);
const anybody = nobody(), alice = party('alice'), eve = party('eve'), server = party('x1');
const aliceKey = await signer(alice.key), serverKey = await signer(server.key);
const wait = ms => new Promise(r => setTimeout(r, ms));

const requirement = (name, qos = '<CPUmsps>50</CPUmsps><NetMbps>1</NetMbps><MemoryMB>64</MemoryMB><DiskMB>16</DiskMB>', limits = '') =>
    `<?xml version="1.0" encoding="UTF-8"?>
<EnvironmentalRequirements>
  <Basic><EnvName>${name}</EnvName><EnvType>Linux</EnvType></Basic>
  <Network><Port port="80"/></Network>
  <QoS>${qos}</QoS>
  <Limits><LifetimeSeconds>600</LifetimeSeconds>${limits}</Limits>
</EnvironmentalRequirements>`;
const task = (name, ...argv) => `<?xml version="1.0" encoding="UTF-8"?>
<Task><Name>${name}</Name><Command>${argv.map(a => `<Argument>${a}</Argument>`).join('')}</Command></Task>`;
const newOrder = async (amount, extra = {}) =>
    (await corp(alice, 'createOrder', 201, { json: { amount, lifetime_s: 3600, ...extra } })).json;

// Ask for the session until it is in the state, for at most 15 s.
async function reaches(session, state) {
    let s;
    for (let i = 0; i < 150; i++) {
        s = JSON.parse((await request(alice, 'GET', `${base}/v1/sessions/${session}`, {})).text);
        if (s.state === state)
            break;
        await wait(100);
    }
    is(s.state, state, `session ${s.name} gets to state ${state}`);
    return s;
}

// --- what anybody may read ---
await call(anybody, 'getHealth', 200);
const metrics = await call(anybody, 'getMetrics', 200);
ok(metrics.text.split('\n').every(l => l === '' || /^# (HELP|TYPE) |^[a-z_]+({[^}]*})? -?[0-9.]+$/.test(l)),
   'metrics are Prometheus text', metrics.text);
const status = (await call(anybody, 'getStatus', 200)).json;
is((await call(anybody, 'getAdvert', 200)).json.id, process.env.SERVER_ID, 'it says of itself what information services are told');
const signed = await read(status.signed, 'xeno-status+json', serverKey.x);
is(JSON.stringify(signed), JSON.stringify(status.status), 'the status is what the XenoServer signed');

// --- measurements for others ---
const far = { address: '127.0.0.1', kind: 'tcp', count: 2 };
const probe = (await call(alice, 'probe', 200, { json: far })).json;
is(probe.rtt_us.length, 2, 'a probe has its round trips');
await call(anybody, 'probe', 401, { json: far });
await call(alice, 'probe', 400, { json: { address: 'localhost' } });
await call(alice, 'probe', 403, { json: { address: '127.0.0.1', port: 1, kind: 'tcp' } });
await call(alice, 'probe', 403, { json: { address: '10.0.0.1' } });
is((await call(alice, 'traceroute', 200, { json: { address: '127.0.0.1', hops: 2 } })).json.reached, true, 'a way to ourselves');
await call(anybody, 'traceroute', 401, { json: { address: '127.0.0.1' } });
await call(alice, 'traceroute', 403, { json: { address: '10.0.0.1' } });
await call(alice, 'traceroute', 400, { json: { address: '127.0.0.1', hops: 25 } });

// --- holds ---
const hold = (await call(alice, 'createHold', 201, { xml: requirement('held'), query: { ttl_s: 60 }, key: 'hold-1' })).json;
is((await call(alice, 'createHold', 201, { xml: requirement('held'), query: { ttl_s: 60 }, key: 'hold-1' })).json.hold, hold.hold,
   'a repeat takes nothing more');
await call(alice, 'createHold', 422, { xml: requirement('other'), key: 'hold-1' });
await call(alice, 'createHold', 400, { xml: requirement('x'), key: null });
await call(alice, 'createHold', 400, { xml: requirement('x', '<CPUmsps>0</CPUmsps>') });
await call(alice, 'createHold', 400, { xml: '<nonsense/>' });
await call(alice, 'createHold', 400, { xml: requirement('x'), query: { ttl_s: 'long' } });
await call(alice, 'createHold', 400, { xml: requirement('x', '<CPUmsps>1000000</CPUmsps>') });
await call(alice, 'createHold', 402, { xml: requirement('x', '<CPUmsps>50</CPUmsps>', '<MaxPricePerHour>0.000001</MaxPricePerHour>') });
await call(alice, 'createHold', 413, { xml: requirement('x'.repeat(10 << 20)) });
await call(alice, 'createHold', 501, { xml: requirement('x').replace('>Linux<', '>Plan9<') });
await call(anybody, 'createHold', 401, { xml: requirement('x') });
const wrongType = await call(alice, 'createHold', 415, { json: {} });
is((await call(alice, 'listHolds', 200)).json.holds.length, 1, 'one hold is there');
is((await call(eve, 'listHolds', 200)).json.holds.length, 0, 'another client sees none of it');
await call(anybody, 'listHolds', 401);
const spare = (await call(alice, 'createHold', 201, { xml: requirement('spare') })).json.hold;
await call(eve, 'releaseHold', 404, { params: { hold: spare } });
await call(alice, 'releaseHold', 200, { params: { hold: spare } });
await call(alice, 'releaseHold', 404, { params: { hold: spare } });
await call(anybody, 'releaseHold', 401, { params: { hold: spare } });
let full = await call(alice, 'createHold', 201, { xml: requirement('big', '<CPUmsps>1000</CPUmsps>') });
const refused = await call(alice, 'createHold', 503, { xml: requirement('big', '<CPUmsps>1000</CPUmsps>') });
ok(/^admission\./.test(refused.json.type), 'what does not fit is refused by admission, with the reason', refused.json);
await call(alice, 'releaseHold', 200, { params: { hold: full.json.hold } });

// --- sessions ---
const order = await newOrder(5000000);
const shown = await present(order.chain, aliceKey, server.id);
const ask = { hold: hold.hold, chain: shown, name: 'first' };
await call(alice, 'createSession', 200, { json: ask, query: { dry_run: 1 } });
await call(alice, 'createSession', 400, { json: { chain: order.chain } });
await call(alice, 'createSession', 400, { json: { ...ask, chain: 'x' } });
await call(alice, 'createSession', 400, { json: { ...ask, surprise: 1 } });
await call(alice, 'createSession', 400, { json: ask, key: null });
await call(alice, 'createSession', 404, { json: { ...ask, hold: 'a'.repeat(16) } });
await call(alice, 'createSession', 413, { json: { ...ask, chain: 'x'.repeat(200000) } });
await call(eve, 'createSession', 404, { json: ask });
await call(eve, 'createSession', 403, { json: { chain: order.chain, requirements: requirement('stolen') } });
await call(server, 'createSession', 403, { json: ask });
await call(anybody, 'createSession', 401, { json: ask });
const elsewhere = await restrict(order.chain, aliceKey, { servers: ['a'.repeat(32)] });
await call(alice, 'createSession', 403, { json: { ...ask, chain: elsewhere } });
const poor = await newOrder(1);
await call(alice, 'createSession', 402, { json: { ...ask, chain: await present(poor.chain, aliceKey, server.id) } });
const made = (await call(alice, 'createSession', 201, { json: ask, key: 'session-1' })).json;
const session = made.session;
is((await call(alice, 'createSession', 201, { json: ask, key: 'session-1' })).json.session, session, 'a repeat makes no second session');
await call(alice, 'createSession', 422, { json: { ...ask, name: 'other' }, key: 'session-1' });
const params = { session };
const running = await reaches(session, 'running');
is(running.order, order.order, 'it is paid from the order');
ok(running.ports[0].port === 80 && running.ports[0].host_port > 0, 'its port is published', running.ports);
await call(alice, 'getSession', 200, { params });
await call(eve, 'getSession', 404, { params });
await call(anybody, 'getSession', 401, { params });

// an order handed on to another key: possession is proved by a document
const agent = await newKey();
const handed = await newOrder(5000000);
const handedChain = await restrict(handed.chain, aliceKey, { max_total: 4000000, env_types: ['Linux'] }, agent.x);
const text = requirement('agent');
const proof = await agent.sign('xeno-proof+json', { order: handed.order, server: server.id,
    aud_sha: crypto.createHash('sha256').update(text).digest('hex'), time_ms: Date.now() });
const handedShown = await present(handedChain, agent, server.id);
await call(alice, 'createSession', 403, { json: { chain: handedShown, requirements: text } });
await call(alice, 'createSession', 403, { json: { chain: handedShown, requirements: requirement('another'), proof } });
const second = (await call(alice, 'createSession', 201, { json: { chain: handedShown, requirements: text, proof } })).json.session;
await reaches(second, 'running');
const page = (await call(alice, 'listSessions', 200, { query: { limit: 1 } })).json;
is(page.sessions.length, 1, 'sessions come in pages');
const rest = (await call(alice, 'listSessions', 200, { query: { after: page.next } })).json;
is([...page.sessions, ...rest.sessions].map(s => s.session).sort().join(), [session, second].sort().join(), 'which are complete together');
is((await call(eve, 'listSessions', 200)).json.sessions.length, 0, 'another client sees none of them');
await call(alice, 'listSessions', 400, { query: { limit: 'all' } });
await call(anybody, 'listSessions', 401);

// --- tasks ---
await call(alice, 'createTask', 201, { params, xml: task('sleeper', 'sleep', '60'), key: 'task-1' });
await call(alice, 'createTask', 201, { params, xml: task('sleeper', 'sleep', '60'), key: 'task-1' });
await call(alice, 'createTask', 422, { params, xml: task('sleeper', 'sleep', '61'), key: 'task-1' });
await call(alice, 'createTask', 409, { params, xml: task('sleeper', 'sleep', '62') });
await call(alice, 'createTask', 400, { params, xml: task('Bad Name', 'x') });
await call(alice, 'createTask', 400, { params, xml: task('x', 'x'), key: null });
await call(alice, 'createTask', 413, { params, xml: task('x', 'x'.repeat(1 << 20)) });
await call(alice, 'createTask', 415, { params, json: {} });
await call(eve, 'createTask', 404, { params, xml: task('x', 'x') });
await call(anybody, 'createTask', 401, { params, xml: task('x', 'x') });
const named = (await call(alice, 'createTask', 201, { params, xml: '<Task><Command><Argument>exit</Argument><Argument>3</Argument></Command></Task>' })).json.task;
let tasks;
for (let i = 0; i < 100; i++) {
    tasks = JSON.parse((await request(alice, 'GET', `${base}/v1/sessions/${session}/tasks`, {})).text).tasks;
    if (tasks.find(t => t.task === named)?.state === 'exited' && tasks.find(t => t.task === 'sleeper')?.state === 'running')
        break;
    await wait(100);
}
await call(alice, 'listTasks', 200, { params });
is(tasks.find(t => t.task === named)?.code, 3, 'the exit code is told');
await call(eve, 'listTasks', 404, { params });
await call(anybody, 'listTasks', 401, { params });
await call(alice, 'getLogs', 200, { params: { session, task: named } });
await call(alice, 'getLogs', 200, { params: { session, task: named }, query: { follow: 1, tail: 1 } });
await call(alice, 'getLogs', 400, { params: { session, task: named }, query: { tail: -1 } });
await call(alice, 'getLogs', 404, { params: { session, task: 'none' } });
await call(eve, 'getLogs', 404, { params: { session, task: named } });
await call(anybody, 'getLogs', 401, { params: { session, task: named } });
await call(alice, 'signalTask', 400, { params: { session, task: 'sleeper' }, json: { signal: 'NONSENSE' } });
await call(alice, 'signalTask', 404, { params: { session, task: 'none' }, json: { signal: 'TERM' } });
await call(anybody, 'signalTask', 401, { params: { session, task: 'sleeper' }, json: { signal: 'TERM' } });

// --- streams ---
// Frames of xeno-stream/1 until the connection ends: { 1: text, 2: text, 3: [objects] }.
function frames(a) {
    return new Promise((good, bad) => {
        let have = a.head, out = { 1: '', 2: '', 3: [] };
        const take = d => {
            have = Buffer.concat([have, d]);
            while (have.length >= 5 && have.length >= 5 + have.readUInt32BE(1)) {
                const ch = have[0], part = have.subarray(5, 5 + have.readUInt32BE(1)).toString();
                have = have.subarray(5 + have.readUInt32BE(1));
                if (ch === 3)
                    out[3].push(JSON.parse(part));
                else
                    out[ch] += part;
            }
        };
        take(Buffer.alloc(0));
        a.socket.on('data', take);
        a.socket.on('end', () => (a.socket.end(), good(out)));
        a.socket.on('error', bad);
        setTimeout(() => (a.socket.destroy(), good(out)), 10000).unref();
    });
}
const up = { Connection: 'Upgrade', Upgrade: 'xeno-stream/1' };
const exec = await call(alice, 'execInSession', 101, { params, headers: up, query: { argv: JSON.stringify(['exit', '7']) } });
is((await frames(exec))[3].at(-1)?.exit, 7, 'exec tells the exit code in its last frame');
await call(alice, 'execInSession', 426, { params, query: { argv: '["x"]' } });
await call(alice, 'execInSession', 400, { params, headers: up });
await call(alice, 'execInSession', 400, { params, headers: up, query: { argv: '{}' } });
await call(eve, 'execInSession', 404, { params, headers: up, query: { argv: '["x"]' } });
await call(anybody, 'execInSession', 401, { params, headers: up, query: { argv: '["x"]' } });
const attach = await call(alice, 'attachTask', 101, { params: { session, task: 'sleeper' }, headers: up });
attach.socket?.destroy();
await call(alice, 'attachTask', 404, { params: { session, task: 'none' }, headers: up });
await call(alice, 'attachTask', 426, { params: { session, task: 'sleeper' } });
await call(anybody, 'attachTask', 401, { params: { session, task: 'sleeper' }, headers: up });

// Server-sent events, for a while or until `stop` is true.
function events(stop, query = '') {
    return new Promise((good, bad) => {
        let text = '';
        const q = https.request(`${base}/v1/sessions/${session}/events${query}`, { agent: alice.agent }, a => {
            const end = () => (q.destroy(), good({ status: a.statusCode, type: a.headers['content-type'], text }));
            a.on('data', d => (text += d, stop(text) && end()));
            setTimeout(end, 8000).unref();
        });
        q.on('error', e => e.code === 'ECONNRESET' || bad(e));
        q.end();
    });
}
const story = await events(t => /task\.exit/.test(t));
ok(story.status === 200 && story.type === 'text/event-stream', 'events are a stream of events');
const list = story.text.split('\n\n').filter(e => /^id:/m.test(e));
ok(list.every(e => /^id: \d+$/m.test(e) && /^event: [a-z]+\.[a-z]+$/m.test(e) && typeof JSON.parse(/^data: (.*)$/m.exec(e)[1]).time_ms === 'number'),
   'each has an id, a name and JSON', story.text);
ok(/"state":"running"/.test(story.text) && /task\.started/.test(story.text), 'what was before is told first');
const lastId = Number(/^id: (\d+)$/m.exec(list.at(-1))[1]);
const live = events(t => /task\.exit/.test(t), `?after=${lastId}`);
await call(alice, 'signalTask', 202, { params: { session, task: 'sleeper' }, json: { signal: 'KILL' } });
const later = await live;
ok(/task\.exit/.test(later.text) && !later.text.includes(`id: ${lastId}\n`), 'then what happens, and nothing twice', later.text);
await call(eve, 'getEvents', 404, { params });
await call(anybody, 'getEvents', 401, { params });
await call(alice, 'getEvents', 400, { params, query: { after: 'x' } });

// --- what it wrote ---
await call(alice, 'getLayer', 200, { params });
await call(alice, 'getLayer', 404, { params: { session: 'a'.repeat(16) } });
await call(eve, 'getLayer', 404, { params });
await call(anybody, 'getLayer', 401, { params });

// --- verbs ---
await call(alice, 'pauseSession', 202, { params, key: 'pause-1' });
await reaches(session, 'paused');
await call(alice, 'pauseSession', 202, { params, key: 'pause-1' });
await call(alice, 'resumeSession', 202, { params });
await reaches(session, 'running');
await call(alice, 'suspendSession', 202, { params });
await reaches(session, 'suspended');
await call(alice, 'pauseSession', 409, { params });
await call(alice, 'resumeSession', 409, { params });
await call(alice, 'createTask', 409, { params, xml: task('late', 'x') });
await call(alice, 'restoreSession', 202, { params });
await reaches(session, 'running');
const more = await newOrder(6000000);
await call(alice, 'extendSession', 202, { params, json: { lifetime_s: 60, chain: await present(more.chain, aliceKey, server.id) } });
await call(alice, 'extendSession', 400, { params, json: {} });
await call(alice, 'extendSession', 400, { params, json: { lifetime_s: 0 } });
await call(alice, 'restoreSession', 400, { params, json: { chain: 7 } });
for (const verb of ['pauseSession', 'resumeSession', 'suspendSession', 'restoreSession', 'extendSession', 'endSession']) {
    const json = /^(restore|extend)/.test(verb) ? { lifetime_s: 1 } : undefined;
    await call(eve, verb, 404, { params, json: verb === 'restoreSession' ? {} : json });
    await call(anybody, verb, 401, { params, json });
    await call(alice, verb, 400, { params, json, key: null });
}
let usage;
for (let i = 0; i < 100; i++) {
    usage = (await request(alice, 'GET', `${base}/v1/sessions/${session}/usage`, {})).text;
    if (JSON.parse(usage).amount > 0)
        break;
    await wait(100);
}
await call(alice, 'getUsage', 200, { params });
await call(eve, 'getUsage', 404, { params });
await call(anybody, 'getUsage', 401, { params });
await call(alice, 'endSession', 202, { params, key: 'end-1' });
await call(alice, 'getLayer', 409, { params });
await call(alice, 'endSession', 202, { params: { session: second } });
const ended = await reaches(session, 'ended');
await reaches(second, 'ended');
await call(alice, 'pauseSession', 409, { params });

// --- measured equals billed ---
let charges = [];
for (let i = 0; i < 150; i++) {
    usage = JSON.parse((await request(alice, 'GET', `${base}/v1/sessions/${session}/usage`, {})).text);
    if (usage.pending === 0)
        break;
    await wait(100);
}
const bill = (await corp(alice, 'getStatement', 200, { query: { limit: 100 } })).json.entries.filter(e => e.session === session && e.kind === 'charge');
is(-bill.reduce((sum, e) => sum + e.amount, 0), usage.amount, 'the statement adds up to the usage');
is(usage.items.reduce((sum, i) => sum + i.amount, 0), usage.amount + usage.forfeited, 'which is the sum of its items');
is(ended.spent, usage.amount, 'and what the session says was spent');
is((await corp(alice, 'getOrder', 200, { params: { order: order.order } })).json.bound, undefined, 'the order is free again');

covered('xenoserver', { getEvents: [200] }); // a stream without end is read above, by hand
await nothing_else(base, alice, 'xenoserver');
done();
