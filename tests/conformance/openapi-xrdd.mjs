// tests/conformance/openapi-xrdd.mjs - what resource discovery answers; adverts are signed by jose.
import { setTimeout as sleep } from 'node:timers/promises';
import { call as callAt, check, covered, doc, done, is, nobody, nothing_else, ok, party } from './openapi.mjs';
import { newKey } from './documents.mjs';

const base = process.env.RD_URL, dark = process.env.DARK_URL;
const call = (...args) => callAt(base, ...args);
const anybody = nobody(), alice = party('alice');
const asked = doc.components.schemas.FindQuestion;

const taken = async question => {
    const faults = check(asked, question);
    ok(!faults, 'a question as documented', faults, question);
    return (await call(alice, 'find', 200, { json: question })).json ?? {};
};
const refused = async (question, says) => {
    ok(check(asked, question), 'a question that is not', question);
    ok((await call(alice, 'find', 400, { json: question })).text.includes(says), `${says} is wrong with it`);
};

// --- nothing is known, nobody told anything ---
is((await callAt(dark, anybody, 'getHealth', 200)).json.state, 'degraded', 'without its XIS it is degraded');
is((await callAt(dark, alice, 'find', 503, { json: {} })).text.includes('find.empty'), true, 'and says so');
is((await callAt(dark, alice, 'find', 429, { json: {} })).text.includes('find.rate'), true, 'to whom may ask');
await call(anybody, 'getMetrics', 200);
await call(anybody, 'find', 401, { json: {} });
await call(alice, 'find', 400, { json: [] });
await call(alice, 'find', 413, { json: { where: { token: 'x'.repeat(300000), exists: true } } });

// --- two XenoServers that know each other, and one that says next to nothing ---
const [one, two, three] = [await newKey(), await newKey(), await newKey()];
const until = Date.now() + 600000, digest = n => `sha256:${String(n).repeat(64)}`, landmark = '198.51.100.7';
const advertise = async (server, host, more) => callAt(process.env.XIS_URL, alice, 'putAdvert', 201, {
    params: { id: server.id }, jose: await server.sign('xeno-advert+xml', `<Advert><Id>${server.id}</Id>` +
        `<Key>${server.x}</Key><Version>1</Version><Expires>${until}</Expires><Corp>${process.env.CORP_ID}</Corp>` +
        `<Isolation>container</Isolation><Endpoint>https://${host}:8443</Endpoint>${more}</Advert>`) });
const says = (name, peer, x) => `<Name>${name}</Name><Operator>${name}'s</Operator><Accepting>yes</Accepting>` +
    '<Location><Place>Bern</Place><Country>CH</Country></Location><EnvType>Linux</EnvType><CPUmsps>1000</CPUmsps>' +
    '<MemoryMB>512</MemoryMB><DiskMB>4096</DiskMB><NetMbps>100</NetMbps><Addresses>1</Addresses><Ports>9</Ports>' +
    '<Most><Processes>1000</Processes></Most><LoadPercent>7</LoadPercent><Price><Epoch>1</Epoch>' + ['CPU', 'Memory', 'Disk', 'Net', 'Address']
        .map(r => `<${r}><ReservedMicro>2</ReservedMicro><UsedMicro>1</UsedMicro></${r}>`).join('') + '</Price>' +
    `<CachedLayer>${'1'.repeat(16)}</CachedLayer><Coordinate>${[1, 2, 3, 4, 5].map(n => `<X${n}>${x}</X${n}>`).join('')}` +
    '<HeightMs>1</HeightMs><ErrorMs>2</ErrorMs><Samples>100</Samples></Coordinate>' +
    `<Measured><Peer><Id>${peer.id}</Id><RttMs>12.5</RttMs><LossPercent>0</LossPercent></Peer></Measured>` +
    `<Path><To>${landmark}</To><Hops>203.0.113.${x} * 203.0.113.9 ${landmark}</Hops></Path>`;
await advertise(one, '192.0.2.1', says('one', two, 1));
await advertise(two, '192.0.2.2', says('two', one, 4));
await advertise(three, '192.0.2.3', '<Accepting>yes</Accepting>');
for (let tries = 0; tries < 100; tries++) {
    if ((await call(anybody, 'getHealth', 200)).json.servers === 3)
        break;
    await sleep(100);
}
const whole = (await call(anybody, 'getHealth', 200)).json;
is(`${whole.state} ${whole.servers} ${typeof whole.age_ms}`, 'ok 3 number', 'it has them from the XIS');

// --- questions ---
const names = a => (a.answers ?? []).map(s => s.name ?? '?').sort().join();
is(names(await taken({})), '?,one,two', 'all are found when nothing is asked for');
const requirement = '<EnvironmentalRequirements><Basic><EnvName>x</EnvName><EnvType>Linux</EnvType></Basic>' +
    '<QoS><CPUmsps>100</CPUmsps><MemoryMB>256</MemoryMB></QoS></EnvironmentalRequirements>';
const all = await taken({
    requirement, where: { token: 'Location/Country', is: 'CH' }, isolation: ['vm', 'container'],
    max_complaints: 0, near: [{ server: one.id, rtt_max_us: 500000 }, { address: '192.0.2.2:8443' }, { address: '192.0.2.99' }],
    equal: [{ server: one.id }, { server: two.id }], disjoint_to: landmark, beside: [three.id], sets: 2,
    objective: [{ what: 'cost', weight: 3 }, { what: 'rtt-max' }, { what: 'rtt-mean' }, { what: 'equal' },
                { what: 'disjoint' }, { what: 'warm' }, { what: 'load' }],
    max_cost: 1e15, duration_s: 60, usage: { cpu_percent: 50, net_bytes: 1000000 }, count: 100, spread: 'operator',
    probe: false, layers: [digest(1), digest(2)], documents: true });
ok(names(all) === 'one,two', 'everything at once', all);
const a = all.answers.find(s => s.name === 'one');
is(`${a.operator} ${a.load_percent} ${a.location.country} ${a.warm.have}/${a.warm.of} ${a.set}`, "one's 7 CH 1/2 1",
   'an answer tells what its advert does');
is(`${a.price.epoch} ${a.price.hour > 0} ${a.price.total > 0}`, '1 true true', 'and what it costs');
is(a.latency.map(l => `${l.to} ${l.how}`).join('; '), [`${one.id} measured`, '192.0.2.2:8443 measured',
   '192.0.2.99 unknown', `${one.id} measured`, `${two.id} measured`].join('; '), 'and how far it is');
ok(a.advert.startsWith('ey') && a.why.length > 0, 'with its document, and why');
is(all.fell.map(f => `${f.count} ${f.unknown}`).join(), '1 true', 'the third one fell to what it does not say');
const none = await taken({ requirement: requirement.replace('256', '600') });
is(`${none.matched} ${none.fell[0].constraint} ${none.nearest[0].matches}`, '0 EnvType 2', 'what would have matched');
is((await taken({ near: [{ address: '192.0.2.99' }], probe: true })).probed, 0, 'nothing is measured outside the internet');

// --- what the document does not have ---
await refused({ nearby: 1 }, 'nearby');
await refused({ isolation: ['chroot'] }, 'isolation');
await refused({ equal: [{ server: one.id }] }, 'equal');
await refused({ near: Array(9).fill({ server: one.id }) }, 'near');
await refused({ near: [{ address: landmark, rtt_max_us: 0 }] }, 'rtt_max_us');
await refused({ near: [{ server: 'x' }] }, 'server');
await refused({ disjoint_to: landmark, sets: 9 }, 'sets');
await refused({ objective: [{ what: 'best' }] }, 'objective');
await refused({ objective: [{ what: 'cost', weight: 1001 }] }, 'weight');
await refused({ usage: { cpu_percent: 101 } }, 'cpu_percent');
await refused({ duration_s: 0 }, 'duration_s');
await refused({ count: 101 }, 'count');
await refused({ spread: 'country' }, 'spread');
await refused({ layers: ['sha256:00'] }, 'layers');

covered('rd');
await nothing_else(base, alice, 'rd');
done();
