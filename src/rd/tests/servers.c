/* src/rd/tests/servers.c - adverts made up. */
#include "rd/tests/servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void servers_leaf(struct servers_maker *m, const char *path, const char *fmt, ...)
{
    struct xeno_leaf *l = &m->leaves[m->count];
    char value[XENO_ADVERT_VALUE + 1];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    if (m->count == XENO_ADVERT_LEAVES ||
        m->len + strlen(path) + strlen(value) + 2 > sizeof(m->text))
        return;
    l->path = strcpy(m->text + m->len, path);
    m->len += strlen(path) + 1;
    l->value = strcpy(m->text + m->len, value);
    m->len += strlen(value) + 1;
    l->number = xeno_advert_is_number(value, &l->n);
    m->count++;
}

struct xeno_advert *servers_advert(const struct servers_maker *m, const struct xeno_id *id,
                                   int64_t version, xeno_time expires)
{
    struct xeno_advert *a = xeno_new0(struct xeno_advert);
    size_t table = m->count * sizeof(struct xeno_leaf);
    char *text;

    a->id = *id;
    a->version = a->base = version;
    a->expires = expires;
    a->leaf_count = m->count;
    a->leaves = xeno_alloc0(table + m->len + 1, 1);
    text = (char *)a->leaves + table;
    memcpy(text, m->text, m->len);
    for (size_t i = 0; i < m->count; i++) {
        a->leaves[i] = m->leaves[i];
        a->leaves[i].path = text + (m->leaves[i].path - m->text);
        a->leaves[i].value = text + (m->leaves[i].value - m->text);
    }
    a->endpoint = xeno_advert_text(a, "Endpoint", "");
    a->jws = xeno_strdup("e30.e30.e30");
    a->jws_len = strlen(a->jws);
    return a;
}

struct xeno_id servers_id(unsigned n)
{
    struct xeno_id id;

    memset(id.s, 'a', XENO_ID_CHARS);
    id.s[XENO_ID_CHARS] = '\0';
    for (int i = XENO_ID_CHARS - 1; n > 0; i--, n /= 26)
        id.s[i] = (char)('a' + n % 26);
    return id;
}

/* --- a usual one --- */

static void usual_prices(struct servers_maker *m, struct xeno_env_test *t)
{
    static const char *const names[] = { "CPU", "Memory", "Disk", "Net", "Address" };

    servers_leaf(m, "Price/Epoch", "%u", 1 + servers_pick(t, 9));
    for (size_t i = 0; i < XENO_LEN(names); i++) {
        char path[64];

        snprintf(path, sizeof(path), "Price/%s/ReservedMicro", names[i]);
        servers_leaf(m, path, "%u", servers_pick(t, 100000));
        snprintf(path, sizeof(path), "Price/%s/UsedMicro", names[i]);
        servers_leaf(m, path, "%u", servers_pick(t, 100000));
    }
}

static void usual_network(struct servers_maker *m, struct xeno_env_test *t, unsigned n)
{
    for (int i = 1; i <= 5; i++) {
        char path[32];

        snprintf(path, sizeof(path), "Coordinate/X%d", i);
        servers_leaf(m, path, "%u.%u", servers_pick(t, 100), servers_pick(t, 10));
    }
    servers_leaf(m, "Coordinate/HeightMs", "%u.%u", servers_pick(t, 10), servers_pick(t, 10));
    servers_leaf(m, "Coordinate/ErrorMs", "%u", 1 + servers_pick(t, 9));
    servers_leaf(m, "Coordinate/Samples", "%u", 20 + servers_pick(t, 1000));
    for (int i = 0; i < 4; i++) {
        servers_leaf(m, "Measured/Peer/Id", "%s", servers_id(servers_pick(t, n + 1)).s);
        servers_leaf(m, "Measured/Peer/RttMs", "%u", 1 + servers_pick(t, 200));
        servers_leaf(m, "Measured/Peer/LossPercent", "0");
    }
}

static void usual_head(struct servers_maker *m, unsigned n)
{
    servers_leaf(m, "Endpoint", "https://192.0.2.%u:%u", n % 250, 1024 + n % 60000);
    servers_leaf(m, "Corp", SERVERS_CORP);
}

struct xeno_advert *servers_usual(struct xeno_env_test *t, unsigned n, int64_t version,
                                  xeno_time expires)
{
    static const char *const countries[] = { "DE", "UK", "FR", "US", "JP", "BR", "IN", "ZA" };
    static struct servers_maker m;
    struct xeno_id id = servers_id(n);

    m.count = m.len = 0;
    usual_head(&m, n);
    servers_leaf(&m, "Isolation", "container");
    if (servers_pick(t, 3) == 0)
        servers_leaf(&m, "Isolation", "vm");
    servers_leaf(&m, "Name", "server-%u", n);
    servers_leaf(&m, "Operator", "operator %u", servers_pick(t, 500));
    servers_leaf(&m, "Software", "xeno 0.1.0");
    servers_leaf(&m, "Location/Place", "place-%u", servers_pick(t, 200));
    servers_leaf(&m, "Location/Country", "%s", countries[servers_pick(t, XENO_LEN(countries))]);
    servers_leaf(&m, "Machine/Architecture", "x86_64");
    servers_leaf(&m, "Machine/CPU", "Processor type %u", servers_pick(t, 20));
    servers_leaf(&m, "Machine/Kernel", "%u.%u.0-amd64", 4 + servers_pick(t, 3),
                 servers_pick(t, 20));
    servers_leaf(&m, "EnvType", "Linux");
    servers_leaf(&m, "CPUmsps", "%u", servers_pick(t, 4000));
    servers_leaf(&m, "MemoryMB", "%u", servers_pick(t, 16384));
    servers_leaf(&m, "DiskMB", "%u", 1024 + servers_pick(t, 100000));
    servers_leaf(&m, "NetMbps", "%u", 10 + servers_pick(t, 1000));
    servers_leaf(&m, "Addresses", "%u", servers_pick(t, 4));
    servers_leaf(&m, "Ports", "%u", servers_pick(t, 1000));
    servers_leaf(&m, "Most/Processes", "4096");
    servers_leaf(&m, "Accepting", servers_pick(t, 20) ? "yes" : "no");
    servers_leaf(&m, "LoadPercent", "%u", servers_pick(t, 100));
    usual_prices(&m, t);
    for (int i = 0; i < 4; i++)
        servers_leaf(&m, "CachedLayer", "%016x", servers_pick(t, 1000));
    usual_network(&m, t, n);
    return servers_advert(&m, &id, version, expires);
}

/* --- an odd one --- */

static const struct {
    const char *path;
    const char *values[10]; /* one of these, or nothing; a NULL ends them */
    unsigned of_ten;        /* how often it is there */
} odd[] = {
    { "Isolation", { "container", "vm", "process", "null", "magic" }, 9 },
    { "Operator", { "one", "two", "three", "7" }, 8 },
    { "Location/Country", { "DE", "UK", "49", "a country with a long name" }, 7 },
    { "Location/Place", { "Here", "There" }, 7 },
    { "Machine/Kernel", { "6.1", "5.10.0-1", "6.1.0-18-amd64", "99999.1", "six", "4.-9" }, 8 },
    { "EnvType", { "Linux", "Linux", "Linux", "Xen", "an environment with a long name" }, 9 },
    { "CPUmsps", { "0", "100", "150", "99.5", "1000", "-100", "lots", "999999999999999" }, 9 },
    { "MemoryMB", { "128", "256", "383.9", "512", "1e9", "NaN", "4096" }, 9 },
    { "DiskMB", { "256", "1024", "0", "infinity", "100000" }, 9 },
    { "NetMbps", { "10", "100", "0.5", "-0", "999999999999999" }, 9 },
    { "Most/Processes", { "100", "1024", "4096" }, 9 },
    { "Addresses", { "0", "1", "2" }, 8 },
    { "Ports", { "0", "2", "100" }, 8 },
    { "Accepting", { "yes", "yes", "yes", "no", "YES" }, 9 },
    { "LoadPercent", { "0", "50", "99.6", "heavy", "-7" }, 7 },
    { "Software", { "xeno 0.1.0", "a text that is longer than sixteen bytes" }, 5 },
    { "CachedLayer", { "0000000000000001", "0000000000000002", "00000000000000ff", "??" }, 6 },
    { "CachedLayer", { "0000000000000002", "0000000000000003", "123" }, 6 },
    { "CachedImage", { "00000000000000aa", "x" }, 2 },
    { "Accept",
      { "{\"token\":\"Client/Kind\",\"is\":\"client\"}",
        "{\"token\":\"Client/Attr/group\",\"in\":[\"a\",\"b\"]}",
        "{\"not\":{\"token\":\"Client/Attr/ban\",\"exists\":true}}",
        "{\"token\":\"CPUmsps\",\"min\":120}", "{\"token\":\"MemoryMB\",\"min\":300}",
        "{\"token\":\"Client/Nothing\",\"is\":\"1\"}", "not a query" },
      3 },
    { "Corp", { "xenocorpbbbbbbbbbbbbbbbbbbbbbbbb", "short" }, 2 },
    { "Extra/Deep/Token", { "1", "2", "three" }, 5 },
};

static const char *odd_value(struct xeno_env_test *t, size_t row)
{
    unsigned n = 0;

    while (n < XENO_LEN(odd[row].values) && odd[row].values[n])
        n++;
    return odd[row].values[servers_pick(t, n)];
}

static void odd_prices(struct servers_maker *m, struct xeno_env_test *t)
{
    static const char *const names[] = { "CPU", "Memory", "Disk", "Net", "Address" };
    static const char *const prices[] = { "0", "10", "1000", "250000", "1000000000000" };
    static const char *const wrong[] = { "-1", "0.5", "free", "1000000000001", "" };
    bool bad = servers_pick(t, 5) == 0;

    for (size_t i = 0; i < XENO_LEN(names); i++) {
        unsigned most = servers_pick(t, 20) ? 4 : 5; /* the last one is dear */
        char path[64];

        snprintf(path, sizeof(path), "Price/%s/ReservedMicro", names[i]);
        servers_leaf(m, path, "%s",
                     bad && i == 2 ? wrong[servers_pick(t, 5)] : prices[servers_pick(t, most)]);
        if (i == 4 && servers_pick(t, 2))
            continue;
        snprintf(path, sizeof(path), "Price/%s/UsedMicro", names[i]);
        servers_leaf(m, path, "%s", prices[servers_pick(t, most)]);
    }
}

struct xeno_advert *servers_odd(struct xeno_env_test *t, unsigned n, int64_t version,
                                xeno_time expires)
{
    static struct servers_maker m;
    struct xeno_id id = servers_id(n);

    m.count = m.len = 0;
    servers_leaf(&m, "Endpoint", "https://192.0.2.%u:%u", n % 250, 1024 + n % 60000);
    if (servers_pick(t, 10))
        servers_leaf(&m, "Corp", SERVERS_CORP);
    for (size_t i = 0; i < XENO_LEN(odd); i++) {
        if (servers_pick(t, 10) >= odd[i].of_ten)
            continue;
        servers_leaf(&m, odd[i].path, "%s", odd_value(t, i));
        if (servers_pick(t, 12) == 0)
            servers_leaf(&m, odd[i].path, "%s", odd_value(t, i));
    }
    if (servers_pick(t, 10))
        odd_prices(&m, t);
    return servers_advert(&m, &id, version, expires);
}

uint64_t servers_seed(uint64_t usual)
{
    const char *text = getenv("XENO_FIND_SEED");

    return text ? usual + strtoull(text, NULL, 10) : usual;
}

unsigned servers_rounds(unsigned usual)
{
    const char *text = getenv("XENO_FIND_ROUNDS");

    return text ? (unsigned)strtoul(text, NULL, 10) : usual;
}
