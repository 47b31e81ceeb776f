// tests/conformance/openapi-document.mjs - schemas/openapi.yaml, without a daemon.
import { doc, operations, resolve, check, ok, is, done } from './openapi.mjs';

is(doc.openapi, '3.1.0', 'version of the form');

// Every $ref leads somewhere, and every component is used.
const refs = new Set();
(function walk(o, at) {
    if (!o || typeof o !== 'object')
        return;
    if (typeof o.$ref === 'string') {
        refs.add(o.$ref);
        let good = true;
        try {
            resolve(o);
        } catch {
            good = false;
        }
        if (!good)
            ok(false, `${at}: ${o.$ref} leads nowhere`);
    }
    for (const [k, v] of Object.entries(o))
        walk(v, `${at}/${k}`);
})(doc, '');
ok(refs.size > 20, 'references lead somewhere');
for (const kind of ['schemas', 'parameters', 'responses'])
    for (const name of Object.keys(doc.components[kind]))
        ok(refs.has(`#/components/${kind}/${name}`), `${kind}/${name} is used`);

const ids = Object.values(doc.paths).flatMap(item => Object.values(item).map(op => op.operationId));
is(new Set(ids).size, ids.length, 'each operation has a name of its own');

for (const [id, op] of Object.entries(operations)) {
    const params = (op.parameters ?? []).map(resolve);
    const inPath = params.filter(p => p.in === 'path');
    is(inPath.map(p => p.name).sort().join(), (op.path.match(/{\w+}/g) ?? []).map(n => n.slice(1, -1)).sort().join(),
       `${id}: the parameters of its path are described`);
    ok(inPath.every(p => p.required), `${id}: and required`);
    ok(op.summary && op.tags?.length, `${id}: says what it is for, and whose it is`);
    const anonymous = (op.security ?? doc.security).some(s => Object.keys(s).length === 0);
    ok(anonymous || op.responses['401'], `${id}: 401 is documented unless anybody may call it`);
    const once = params.some(p => p.name === 'Idempotency-Key');
    ok(!once || op.responses['422'], `${id}: 422 is documented where a repeat can differ`);
    for (const [status, r] of Object.entries(op.responses)) {
        const content = resolve(r).content ?? {};
        ok(Number(status) < 400 || content['application/problem+json'], `${id}: ${status} is a problem document`);
        for (const m of Object.values(content)) {
            let good = true;
            try {
                check(m.schema, null);
            } catch (e) {
                good = e.message;
            }
            ok(good === true, `${id}: the schema of ${status} compiles`, good);
        }
    }
}
done();
