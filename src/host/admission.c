/* src/host/admission.c - claims in a hash table, sums beside them, a byte an address and port.
 */
#include "host/admission.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <uthash.h>

#include "base/units.h"
#include "host/pool.h"
#include "host/publish.h"

#define NAME_MAX_CHARS 40
#define POOL_MAX       65536

enum { Q_CPU, Q_MEMORY, Q_DISK, Q_NET, Q_COUNT };

/* The quantities, and which of them a suspended session gives back. */
static const struct {
    const char *token, *name, *unit;
    bool parkable;
} quantities[Q_COUNT] = {
    [Q_CPU] = { "admission.cpu", "cpu", "ms of CPU per second", true },
    [Q_MEMORY] = { "admission.memory", "memory", "bytes", true },
    [Q_DISK] = { "admission.disk", "disk", "bytes", false },
    [Q_NET] = { "admission.net", "net", "kbit/s", true },
};

struct claim {
    char name[NAME_MAX_CHARS];
    struct xeno_grant grant;
    bool parked;
    UT_hash_handle hh;
};

struct xeno_admission {
    struct xeno_capacity cap;
    int64_t sold[Q_COUNT];
    struct pool nat, own;
    struct ports ports;
    struct claim *claims;
};

int xeno_capacity_check(const struct xeno_capacity *c, struct xeno_err *err)
{
    const struct {
        const char *name;
        int64_t value, max;
    } rows[] = {
        { "cpu_msps", c->cpu_msps, XENO_CPU_MSPS_MAX },
        { "memory_bytes", c->memory_bytes, XENO_MEMORY_BYTES_MAX },
        { "disk_bytes", c->disk_bytes, XENO_DISK_BYTES_MAX },
        { "net_kbps", c->net_kbps, XENO_NET_KBPS_MAX },
        { "reserve_cpu_msps", c->reserve_cpu_msps, c->cpu_msps },
        { "reserve_memory_bytes", c->reserve_memory_bytes, c->memory_bytes },
        { "reserve_disk_bytes", c->reserve_disk_bytes, c->disk_bytes },
        { "headroom_percent", c->headroom_percent, 90 },
        { "nat_count", c->nat_count, POOL_MAX },
        { "own_count", c->own_count, POOL_MAX },
    };

    for (size_t i = 0; i < XENO_LEN(rows); i++)
        if (rows[i].value < 0 || rows[i].value > rows[i].max)
            return xeno_fail(err, -EINVAL, "host.config", "%s is %lld, must be 0 to %lld",
                             rows[i].name, (long long)rows[i].value, (long long)rows[i].max);
    if (c->nat_count > 0 && c->nat_first > UINT32_MAX - c->nat_count)
        return xeno_fail(err, -EINVAL, "host.config", "the NAT pool leaves the address space");
    if (c->own_count > 0 && c->own_first > UINT32_MAX - c->own_count)
        return xeno_fail(err, -EINVAL, "host.config", "the pool of own addresses leaves the space");
    return 0;
}

/* --- whole things --- */

static void address_text(uint32_t a, char out[XENO_ADDRESS_TEXT])
{
    snprintf(out, XENO_ADDRESS_TEXT, "%u.%u.%u.%u", a >> 24, (a >> 16) & 255, (a >> 8) & 255,
             a & 255);
}

/* The index of a dotted quad in a pool; SIZE_MAX when it is not from there. */
static size_t address_index(const char *text, uint32_t first, size_t count)
{
    unsigned a, b, c, d;
    uint32_t value;

    if (sscanf(text, "%u.%u.%u.%u", &a, &b, &c, &d) != 4 || (a | b | c | d) > 255)
        return SIZE_MAX;
    value = a << 24 | b << 16 | c << 8 | d;
    if (value < first || value - first >= count)
        return SIZE_MAX;
    return value - first;
}

struct xeno_admission *xeno_admission_new(const struct xeno_capacity *cap)
{
    struct xeno_admission *a = xeno_new0(struct xeno_admission);

    a->cap = *cap;
    pool_init(&a->nat, cap->nat_count);
    pool_init(&a->own, cap->own_count);
    ports_init(&a->ports, cap->port_first, cap->port_last);
    return a;
}

void xeno_admission_free(struct xeno_admission *a)
{
    struct claim *c, *next;

    if (!a)
        return;
    HASH_ITER (hh, a->claims, c, next) {
        HASH_DEL(a->claims, c);
        free(c);
    }
    pool_release(&a->nat);
    pool_release(&a->own);
    ports_release(&a->ports);
    free(a);
}

void xeno_admission_resize(struct xeno_admission *a, const struct xeno_capacity *cap)
{
    struct xeno_capacity old = a->cap;

    a->cap = *cap;
    a->cap.nat_first = old.nat_first;
    a->cap.nat_count = old.nat_count;
    a->cap.own_first = old.own_first;
    a->cap.own_count = old.own_count;
    a->cap.port_first = old.port_first;
    a->cap.port_last = old.port_last;
    a->cap.port_daemon = old.port_daemon;
}

/* --- quantities --- */

static int64_t quantity_of(const struct xeno_grant *g, int q)
{
    switch (q) {
    case Q_CPU:
        return g->cpu_msps;
    case Q_MEMORY:
        return g->memory_bytes;
    case Q_DISK:
        return g->disk_bytes;
    default:
        return g->net_kbps;
    }
}

static int64_t limit_of(const struct xeno_admission *a, int q)
{
    const struct xeno_capacity *c = &a->cap;
    int64_t total[Q_COUNT] = { c->cpu_msps, c->memory_bytes, c->disk_bytes, c->net_kbps };
    int64_t reserve[Q_COUNT] = { c->reserve_cpu_msps, c->reserve_memory_bytes,
                                 c->reserve_disk_bytes, 0 };
    int64_t rest = total[q] > reserve[q] ? total[q] - reserve[q] : 0;
    int64_t limit = 0;

    xeno_muldiv(rest, 100 - c->headroom_percent, 100, &limit);
    return limit;
}

static int64_t left_of(const struct xeno_admission *a, int q)
{
    int64_t left = limit_of(a, q) - a->sold[q];

    return left > 0 ? left : 0;
}

/* `parked_only`: only what a parked session would have to take again. */
static int check_quantities(const struct xeno_admission *a, const struct xeno_grant *g,
                            bool parked_only, struct xeno_err *err)
{
    for (int q = 0; q < Q_COUNT; q++) {
        int64_t asked = quantity_of(g, q);

        if (parked_only && !quantities[q].parkable)
            continue;
        if (asked < 0 || asked > left_of(a, q))
            return claim_refuse(err, quantities[q].token, quantities[q].name, quantities[q].unit,
                                asked, left_of(a, q), limit_of(a, q));
    }
    return 0;
}

static void add_quantities(struct xeno_admission *a, const struct xeno_grant *g, bool parkable_only,
                           int sign)
{
    for (int q = 0; q < Q_COUNT; q++)
        if (!parkable_only || quantities[q].parkable)
            a->sold[q] += sign * quantity_of(g, q);
}

void xeno_admission_keep_daemon_port(struct xeno_admission *a)
{
    ports_keep(&a->ports, a->cap.port_daemon);
}

void xeno_admission_ask_ports(struct xeno_admission *a, xeno_port_in_use *in_use, void *ctx)
{
    a->ports.in_use = in_use;
    a->ports.in_use_ctx = ctx;
}

/* --- addresses --- */

static int check_address(struct xeno_admission *a, const struct xeno_grant *g, struct xeno_err *err)
{
    const struct pool *p = g->addresses > 0 ? &a->own : &a->nat;

    if (g->addresses > 1)
        return claim_refuse(err, "admission.addresses", "addresses", "", g->addresses, 1, 1);
    if (p->used == p->count)
        return claim_refuse(err, "admission.addresses",
                            g->addresses > 0 ? "own addresses" : "addresses", "", 1, 0,
                            (int64_t)p->count);
    return 0;
}

static void take_address(struct xeno_admission *a, struct xeno_grant *g)
{
    struct pool *p = g->addresses > 0 ? &a->own : &a->nat;
    size_t at = pool_find(p);

    pool_take(p, at);
    address_text((g->addresses > 0 ? a->cap.own_first : a->cap.nat_first) + (uint32_t)at,
                 g->address);
}

static void give_whole_things(struct xeno_admission *a, const struct xeno_grant *g)
{
    if (g->addresses > 0)
        pool_give(&a->own, address_index(g->address, a->cap.own_first, a->own.count));
    else
        pool_give(&a->nat, address_index(g->address, a->cap.nat_first, a->nat.count));
    ports_give(&a->ports, g);
}

/* --- claims --- */

static struct claim *find(const struct xeno_admission *a, const char *name)
{
    struct claim *c;

    HASH_FIND_STR(a->claims, name, c);
    return c;
}

static void enter(struct xeno_admission *a, const char *name, const struct xeno_grant *g,
                  bool parked)
{
    struct claim *c = xeno_new0(struct claim);

    snprintf(c->name, sizeof(c->name), "%s", name);
    c->grant = *g;
    c->parked = parked;
    HASH_ADD_STR(a->claims, name, c);
}

static int check_name(const struct xeno_admission *a, const char *name, struct xeno_err *err)
{
    if (strlen(name) >= NAME_MAX_CHARS || find(a, name))
        return xeno_fail(err, -EEXIST, "admission.name", "'%s' holds a claim already", name);
    return 0;
}

/* All but which ports are chosen. */
static int check(struct xeno_admission *a, const struct xeno_grant *g, struct xeno_err *err)
{
    int r;

    r = check_quantities(a, g, false, err);
    if (r < 0)
        return r;
    r = check_address(a, g, err);
    if (r < 0)
        return r;
    return ports_check(&a->ports, g, err);
}

int xeno_admission_try(struct xeno_admission *a, const struct xeno_grant *g, struct xeno_err *err)
{
    int r = check(a, g, err);

    return r < 0 ? r : ports_try(&a->ports, g, err);
}

int xeno_admission_take(struct xeno_admission *a, const char *name, struct xeno_grant *g,
                        struct xeno_err *err)
{
    int r;

    r = check_name(a, name, err);
    if (r == 0)
        r = check(a, g, err);
    if (r == 0)
        r = ports_take(&a->ports, g, err);
    if (r < 0)
        return r;
    add_quantities(a, g, false, 1);
    take_address(a, g);
    enter(a, name, g, false);
    return 0;
}

int xeno_admission_adopt(struct xeno_admission *a, const char *name, const struct xeno_grant *g,
                         bool parked, struct xeno_err *err)
{
    struct pool *p = g->addresses > 0 ? &a->own : &a->nat;
    size_t at =
        address_index(g->address, g->addresses > 0 ? a->cap.own_first : a->cap.nat_first, p->count);
    int r;

    r = check_name(a, name, err);
    if (r < 0)
        return r;
    if (at == SIZE_MAX || p->taken[at])
        return xeno_fail(err, -EEXIST, "admission.address",
                         "'%s': address %s is taken or not of the pool", name, g->address);
    r = ports_adopt(&a->ports, g, err);
    if (r < 0)
        return xeno_context(err, r, "'%s'", name);
    pool_take(p, at);
    add_quantities(a, g, false, 1);
    if (parked)
        add_quantities(a, g, true, -1);
    enter(a, name, g, parked);
    return 0;
}

void xeno_admission_park(struct xeno_admission *a, const char *name)
{
    struct claim *c = find(a, name);

    if (!c || c->parked)
        return;
    add_quantities(a, &c->grant, true, -1);
    c->parked = true;
}

int xeno_admission_unpark(struct xeno_admission *a, const char *name, struct xeno_err *err)
{
    struct claim *c = find(a, name);
    int r;

    if (!c)
        return xeno_fail(err, -ENOENT, "admission.name", "'%s' holds no claim", name);
    if (!c->parked)
        return 0;
    r = check_quantities(a, &c->grant, true, err);
    if (r < 0)
        return r;
    add_quantities(a, &c->grant, true, 1);
    c->parked = false;
    return 0;
}

void xeno_admission_rename(struct xeno_admission *a, const char *from, const char *to)
{
    struct claim *c = find(a, from);

    assert(c && !find(a, to) && strlen(to) < NAME_MAX_CHARS);
    HASH_DEL(a->claims, c);
    snprintf(c->name, sizeof(c->name), "%s", to);
    HASH_ADD_STR(a->claims, name, c);
}

void xeno_admission_drop(struct xeno_admission *a, const char *name)
{
    struct claim *c = find(a, name);

    if (!c)
        return;
    add_quantities(a, &c->grant, false, -1);
    if (c->parked)
        add_quantities(a, &c->grant, true, 1);
    give_whole_things(a, &c->grant);
    HASH_DEL(a->claims, c);
    free(c);
}

/* --- views --- */

struct xeno_free xeno_admission_left(const struct xeno_admission *a)
{
    return (struct xeno_free){
        .cpu_msps = left_of(a, Q_CPU),
        .memory_bytes = left_of(a, Q_MEMORY),
        .disk_bytes = left_of(a, Q_DISK),
        .net_kbps = left_of(a, Q_NET),
        .nat_addresses = (int64_t)(a->nat.count - a->nat.used),
        .own_addresses = (int64_t)(a->own.count - a->own.used),
        .ports = (int64_t)(a->ports.tcp.count - a->ports.tcp.used),
    };
}

struct xeno_free xeno_admission_limit(const struct xeno_admission *a)
{
    return (struct xeno_free){
        .cpu_msps = limit_of(a, Q_CPU),
        .memory_bytes = limit_of(a, Q_MEMORY),
        .disk_bytes = limit_of(a, Q_DISK),
        .net_kbps = limit_of(a, Q_NET),
        .nat_addresses = (int64_t)a->nat.count,
        .own_addresses = (int64_t)a->own.count,
        .ports = (int64_t)a->ports.tcp.count,
    };
}

size_t xeno_admission_claims(const struct xeno_admission *a)
{
    return HASH_COUNT(a->claims);
}

static void set_quantity(struct xeno_json *o, const char *key, int64_t total, int64_t reserve,
                         int64_t limit, int64_t left)
{
    struct xeno_json *q = xeno_json_object();

    xeno_json_set_int(q, "total", total);
    xeno_json_set_int(q, "reserve", reserve);
    xeno_json_set_int(q, "limit", limit);
    xeno_json_set_int(q, "left", left);
    xeno_json_set(o, key, q);
}

struct xeno_json *xeno_admission_json(const struct xeno_admission *a)
{
    const struct xeno_capacity *c = &a->cap;
    struct xeno_free limit = xeno_admission_limit(a), left = xeno_admission_left(a);
    struct xeno_json *o = xeno_json_object();

    set_quantity(o, "cpu_msps", c->cpu_msps, c->reserve_cpu_msps, limit.cpu_msps, left.cpu_msps);
    set_quantity(o, "memory_bytes", c->memory_bytes, c->reserve_memory_bytes, limit.memory_bytes,
                 left.memory_bytes);
    set_quantity(o, "disk_bytes", c->disk_bytes, c->reserve_disk_bytes, limit.disk_bytes,
                 left.disk_bytes);
    set_quantity(o, "net_kbps", c->net_kbps, 0, limit.net_kbps, left.net_kbps);
    set_quantity(o, "addresses", limit.own_addresses, 0, limit.own_addresses, left.own_addresses);
    set_quantity(o, "sessions", limit.nat_addresses, 0, limit.nat_addresses, left.nat_addresses);
    set_quantity(o, "ports", limit.ports, 0, limit.ports, left.ports);
    xeno_json_set_int(o, "headroom_percent", c->headroom_percent);
    xeno_json_set_int(o, "claims", (int64_t)xeno_admission_claims(a));
    return o;
}

bool xeno_admission_sound(const struct xeno_admission *a)
{
    int64_t sold[Q_COUNT] = { 0 };
    size_t nat = 0, own = 0, tcp = 0, udp = 0;
    struct claim *c, *next;

    HASH_ITER (hh, a->claims, c, next) {
        for (int q = 0; q < Q_COUNT; q++)
            sold[q] += c->parked && quantities[q].parkable ? 0 : quantity_of(&c->grant, q);
        if (c->grant.addresses > 0) {
            own++;
            continue;
        }
        nat++;
        tcp += ports_count(&c->grant, XENO_PROTO_TCP);
        udp += ports_count(&c->grant, XENO_PROTO_UDP);
    }
    for (int q = 0; q < Q_COUNT; q++)
        if (sold[q] != a->sold[q] || sold[q] > limit_of(a, q))
            return false;
    return nat == a->nat.used && own == a->own.used && tcp + a->ports.kept == a->ports.tcp.used &&
           udp == a->ports.udp.used;
}
