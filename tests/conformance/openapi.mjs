// tests/conformance/openapi.mjs - schemas/openapi.yaml as a judge: requests are made by operation,
// and each answer's status, content type and members are held against the document.
import https from 'node:https';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import Ajv from 'ajv/dist/2020.js';

const top = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
export const doc = parse(fs.readFileSync(path.join(top, 'schemas', 'openapi.yaml'), 'utf8'));
const methods = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options', 'trace'];

// --- TAP ---

let count = 0, failed = 0;
export function ok(good, name, ...notes) {
    count++;
    if (!good)
        failed++;
    console.log(`${good ? 'ok' : 'not ok'} ${count} - ${name.replace(/#/g, '%')}`);
    if (!good)
        for (const n of notes)
            console.log(String(typeof n === 'string' ? n : JSON.stringify(n, null, 1)).replace(/^/gm, '# '));
    return good;
}
export const is = (got, want, name) => ok(got === want, name, `got: ${got}`, `want: ${want}`);
export function done() {
    console.log(`1..${count}`);
    process.exit(failed ? 1 : 0);
}

// --- the document ---

export function resolve(o) {
    while (o && o.$ref) {
        const rest = { ...o };
        delete rest.$ref;
        o = o.$ref.slice(2).split('/').reduce((at, k) => at?.[k.replace(/~1/g, '/')], doc);
        if (o === undefined)
            throw new Error('a $ref leads nowhere');
        o = { ...o, ...rest };
    }
    return o;
}

export const operations = {};
for (const [p, item] of Object.entries(doc.paths))
    for (const [m, op] of Object.entries(item))
        if (methods.includes(m))
            operations[op.operationId] = { ...op, path: p, method: m.toUpperCase() };

// Members that are not in the document are as wrong as missing ones.
function strict(s) {
    if (Array.isArray(s))
        return s.map(strict);
    if (!s || typeof s !== 'object')
        return s;
    const o = {};
    for (const [k, v] of Object.entries(s))
        o[k] = strict(v);
    if (o.properties && o.additionalProperties === undefined && !o.$ref)
        o.additionalProperties = false;
    return o;
}

const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({ $id: 'https://openapi.invalid/doc', components: strict(doc.components) });
const compiled = new Map();
export function check(schema, value) {
    const key = JSON.stringify(schema);
    if (!compiled.has(key))
        compiled.set(key, ajv.compile(JSON.parse(JSON.stringify(strict(schema))
            .replaceAll('"#/components/', '"https://openapi.invalid/doc#/components/'))));
    const fn = compiled.get(key);
    return fn(value) ? null : fn.errors;
}

// --- requests ---

export function party(name) {
    const dir = path.join(process.env.WORK, name);
    const read = f => fs.readFileSync(path.join(dir, f), 'utf8');
    const agent = new https.Agent({ keepAlive: true, cert: read('credential.pem'), key: read('key.pem'),
                                    ca: read('ca.pem'), minVersion: 'TLSv1.3' });
    return { name, id: read('id').trim(), agent, key: read('key.pem') };
}
export const nobody = () => ({ name: 'nobody', agent: new https.Agent(
    { keepAlive: true, ca: fs.readFileSync(path.join(process.env.WORK, 'ca.pem')) }) });

export function request(who, method, url, headers, body) {
    return new Promise((good, bad) => {
        const q = https.request(url, { method, headers, agent: who.agent, timeout: 20000 }, a => {
            const parts = [];
            a.on('data', d => parts.push(d));
            a.on('end', () => good({ status: a.statusCode, headers: a.headers,
                                     type: (a.headers['content-type'] ?? '').split(';')[0],
                                     text: Buffer.concat(parts).toString() }));
            a.on('error', bad);
        });
        q.on('upgrade', (a, socket, head) => good({ status: 101, headers: a.headers, socket, head }));
        q.on('timeout', () => q.destroy(new Error('no answer in 20 s')));
        q.on('error', bad);
        q.end(body);
    });
}

export const used = new Map(); // operation -> statuses that were seen
let keys = 0;
export const fresh = () => `key-${process.pid}-${++keys}`;

// Call an operation: params fill its path, query its query. Checks the answer against the document
// and that its status is `want`. Returns the answer, with `json` when it is JSON.
export async function call(base, who, id, want, { params = {}, query = {}, json, xml, jose, headers = {}, key } = {}) {
    const op = operations[id];
    const all = (op.parameters ?? []).map(resolve);
    const h = { ...headers };
    let url = base + op.path.replace(/{(\w+)}/g, (_, n) => encodeURIComponent(params[n]));
    const q = new URLSearchParams(query).toString();
    if (q)
        url += '?' + q;
    let body;
    if (json !== undefined) {
        body = JSON.stringify(json);
        h['Content-Type'] = 'application/json';
    } else if (xml !== undefined) {
        body = xml;
        h['Content-Type'] = 'application/xml';
    } else if (jose !== undefined) {
        body = jose;
        h['Content-Type'] = 'application/jose';
    }
    if (body !== undefined)
        h['Content-Length'] = Buffer.byteLength(body);
    if (all.some(p => p.in === 'header' && p.name === 'Idempotency-Key') && key !== null)
        h['Idempotency-Key'] = key ?? fresh();
    const a = await request(who, op.method, url, h, body);
    const name = `${id} by ${who.name}: ${a.status}`;
    if (!ok(a.status === want, name, `want: ${want}`, a.text))
        return a;
    if (!used.has(id))
        used.set(id, new Set());
    used.get(id).add(a.status);
    const documented = resolve(op.responses[a.status]);
    if (!ok(documented, `${name}: the status is documented`, a.text))
        return a;
    if (a.status === 101)
        return a;
    const content = documented.content ?? {};
    const media = content[a.type];
    if (!ok(media, `${name}: so is the type ${a.type}`, Object.keys(content).join(' ')))
        return a;
    if (/json$/.test(a.type) && a.type !== 'application/x-ndjson') {
        a.json = JSON.parse(a.text);
        const faults = check(media.schema, a.json);
        ok(!faults, `${name}: and the members`, faults, a.json);
        if (a.type === 'application/problem+json')
            ok(a.json.status === a.status, `${name}: the problem says its status`);
    }
    return a;
}

// Every operation of the program has answered with each status below 400 that the document names,
// unless it is listed as out of reach.
export function covered(tag, except = {}) {
    for (const [id, op] of Object.entries(operations)) {
        if (!op.tags.includes(tag))
            continue;
        const good = Object.keys(op.responses).map(Number).filter(s => s < 400);
        const missing = good.filter(s => !used.get(id)?.has(s) && !(except[id] ?? []).includes(s));
        ok(missing.length === 0, `${id} was seen to answer as documented`, `not seen: ${missing}`);
    }
}

// Methods and paths that are not in the document are refused: 405 naming those that are, and 404.
export async function nothing_else(base, who, tag) {
    const params = { order: 'a'.repeat(32), id: 'a'.repeat(32), session: 'a'.repeat(16),
                     hold: 'a'.repeat(16), task: 't1', batch: '1', watch: 'a'.repeat(26) };
    for (const [p, item] of Object.entries(doc.paths)) {
        const here = Object.entries(item).filter(([, op]) => op.tags?.includes(tag));
        const url = base + p.replace(/{(\w+)}/g, (_, n) => params[n]);
        const allowed = here.map(([m]) => m.toUpperCase()).sort();
        for (const m of ['GET', 'PUT', 'POST', 'DELETE', 'PATCH']) {
            if (allowed.includes(m))
                continue;
            const a = await request(who, m, url, { 'Content-Length': 0 });
            const want = here.length ? 405 : 404;
            ok(a.status === want && a.type === 'application/problem+json', `${m} ${p} is ${want}`,
               `${a.status} ${a.type}`, a.text);
            if (want === 405)
                is((a.headers.allow ?? '').split(', ').sort().join(), allowed.join(), `${m} ${p}: Allow`);
        }
    }
    for (const p of ['/', '/v1', '/v1/', '/v2/status', '/v1/nothing', '/v1/orders//', '/healthz/'])
        is((await request(who, 'GET', base + p, {})).status, 404, `GET ${p} is 404`);
}
