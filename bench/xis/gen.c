/* bench/xis/gen.c - adverts like those of real XenoServers, and lookups for them. */
#include "xis/gen.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/enc.h"

static const char *const countries[] = {
    "DE", "FR", "GB", "US", "US", "US", "JP", "BR", "IN", "PL",
    "NL", "SE", "ES", "IT", "CA", "AU", "ZA", "KR", "SG", "FI"
};
static const char *const cpus[] = { "AMD EPYC 7B13",         "AMD EPYC 9654",
                                    "AMD EPYC 7302P",        "Intel Xeon Gold 6338",
                                    "Intel Xeon E5-2680 v4", "Intel Xeon Platinum 8375C",
                                    "Ampere Altra",          "AWS Graviton3" };
static const char *const kernels[] = { "5.10.0-28", "6.1.0-18", "6.1.0-21",
                                       "6.6.13",    "6.8.0-31", "6.12.9" };

uint64_t gen_mix(uint64_t i)
{
    i += UINT64_C(0x9e3779b97f4a7c15);
    i = (i ^ i >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    i = (i ^ i >> 27) * UINT64_C(0x94d049bb133111eb);
    return i ^ i >> 31;
}

/* Numbers of one advert: the k-th, below `below`. */
static uint32_t pick(uint32_t n, uint32_t k, uint32_t below)
{
    return (uint32_t)(gen_mix((uint64_t)n << 16 | k) >> 32) % below;
}

struct xeno_key *gen_key(uint32_t n)
{
    uint8_t seed[32] = "bench/xis";

    memcpy(seed + 16, &n, sizeof n);
    return xeno_key_from_seed(seed);
}

static void add_place(struct xeno_advert_maker *m, uint32_t n)
{
    char text[64];

    snprintf(text, sizeof text, "xeno-%05u", n);
    xeno_advert_add(m, "Name", text);
    snprintf(text, sizeof text, "operator-%u", pick(n, 1, 800));
    xeno_advert_add(m, "Operator", text);
    xeno_advert_add(m, "Software", pick(n, 2, 10) ? "xenod 1.4" : "xenod 1.3");
    snprintf(text, sizeof text, "site %u", pick(n, 3, 2500));
    xeno_advert_add(m, "Location/Place", text);
    xeno_advert_add(m, "Location/Country", countries[pick(n, 4, XENO_LEN(countries))]);
    xeno_advert_add_num(m, "Location/Latitude", pick(n, 5, 130000) / 1000.0 - 55, 3);
    xeno_advert_add_num(m, "Location/Longitude", pick(n, 6, 360000) / 1000.0 - 180, 3);
}

static void add_free(struct xeno_advert_maker *m, uint32_t n, uint32_t at)
{
    uint32_t cores = 1u << pick(n, 10, 8), memory = cores * 4096;

    xeno_advert_add_int(m, "CPUmsps", pick(at, 20, cores * 1000 + 1));
    xeno_advert_add_int(m, "MemoryMB", pick(at, 21, memory));
    xeno_advert_add_int(m, "DiskMB", pick(at, 22, cores * 50000));
    xeno_advert_add_int(m, "NetMbps", pick(at, 23, 10000));
    xeno_advert_add_int(m, "Addresses", pick(n, 24, 64));
    xeno_advert_add_int(m, "Ports", 1000 + pick(n, 25, 20000));
    xeno_advert_add_int(m, "Most/CPUmsps", cores * 1000);
    xeno_advert_add_int(m, "Most/MemoryMB", memory);
    xeno_advert_add_int(m, "Total/CPUmsps", cores * 1000);
    xeno_advert_add_int(m, "Total/MemoryMB", memory);
    xeno_advert_add_int(m, "Total/DiskMB", cores * 50000);
    xeno_advert_add_int(m, "Total/NetMbps", 10000);
    xeno_advert_add_int(m, "Sessions", pick(at, 26, 200));
    xeno_advert_add_num(m, "LoadPercent", pick(at, 27, 1000) / 10.0, 1);
    xeno_advert_add_int(m, "UptimeS", 100 + pick(n, 28, 8000000) + at % 1000);
    xeno_advert_add(m, "Accepting", pick(n, 29, 20) ? "yes" : "no");
}

static void add_price(struct xeno_advert_maker *m, uint32_t n)
{
    xeno_advert_add_int(m, "Price/Epoch", 1 + pick(n, 40, 30));
    xeno_advert_add_int(m, "Price/CPU/ReservedMicro", 20 + pick(n, 41, 400));
    xeno_advert_add_int(m, "Price/CPU/UsedMicro", 5 + pick(n, 42, 100));
    xeno_advert_add_num(m, "Price/HourCredits", (100 + pick(n, 43, 90000)) / 10000.0, 4);
}

struct xeno_advert_maker *gen_maker(const struct xeno_key *key, uint32_t n, uint32_t round,
                                    int64_t version, xeno_time expires)
{
    static const char *const corps[] = { "abcdefghabcdefghabcdefghabcdefgh", NULL };
    const char *isolation[] = { "container", NULL };
    char endpoint[64];
    struct xeno_advert_head head = { .version = version,
                                     .expires = expires,
                                     .endpoint = endpoint,
                                     .corps = corps,
                                     .isolation = isolation };
    uint32_t cores = 1u << pick(n, 10, 8);
    struct xeno_advert_maker *m;

    snprintf(endpoint, sizeof endpoint, "https://10.%u.%u.%u:7443", n >> 16, n >> 8 & 255, n & 255);
    if (pick(n, 7, 3) == 0)
        isolation[0] = "vm";
    m = xeno_advert_maker_new(xeno_key_pub(key), &head);
    add_place(m, n);
    xeno_advert_add(m, "Machine/Architecture", pick(n, 8, 5) ? "x86_64" : "aarch64");
    xeno_advert_add(m, "Machine/CPU", cpus[pick(n, 9, XENO_LEN(cpus))]);
    xeno_advert_add_int(m, "Machine/CPUs", cores);
    xeno_advert_add_int(m, "Machine/MemoryMB", cores * 4096);
    xeno_advert_add(m, "Machine/Kernel", kernels[pick(n, 11, XENO_LEN(kernels))]);
    xeno_advert_add(m, "EnvType", "Linux");
    add_free(m, n, round * 1000003u + n);
    add_price(m, n);
    return m;
}

char *gen_advert(const struct xeno_key *key, uint32_t n, uint32_t round, xeno_time expires)
{
    xeno_auto(xeno_advert_maker) m =
        gen_maker(key, n, round, INT64_C(1700000000000) + round, expires);
    char *text = NULL;

    return xeno_advert_sign(m, key, &text, NULL) < 0 ? NULL : text;
}

/* What numbers are asked for, and how they lie. */
static const struct {
    const char *token;
    double from, to, width;
} ranges[] = {
    { "CPUmsps", 0, 8000, 50 },
    { "MemoryMB", 0, 64000, 500 },
    { "Price/HourCredits", 0, 9, 0.05 },
    { "Location/Latitude", -55, 70, 1 },
    { "Location/Longitude", -180, 170, 2 },
    { "LoadPercent", 0, 95, 1 },
    { "NetMbps", 0, 9900, 100 },
    { "UptimeS", 100, 8000000, 100000 },
    { "Total/MemoryMB", 4096, 524288, 4096 },
    { "Sessions", 0, 190, 3 },
};

static const struct {
    const char *token, *from, *to;
} texts[] = {
    { "EnvType", "Linux", "Linux" },
    { "Location/Country", "DE", "DE" },
    { "Location/Country", "JP", "JP" },
    { "Machine/CPU", "AMD", "AMD EPYC 7Z" },
    { "Isolation", "vm", "vm" },
    { "Operator", "operator-17", "operator-17" },
    { "Location/Place", "site 1200", "site 1210" },
    { "Name", "xeno-02000", "xeno-02100" },
};

void gen_lookup(uint64_t i, size_t limit, struct xeno_lookup *ret)
{
    uint64_t h = gen_mix(i * 2 + 1);

    *ret = (struct xeno_lookup){ .limit = limit, .desc = h & 1 };
    if (h >> 1 & 3) {
        size_t k = (h >> 8) % XENO_LEN(ranges);
        double at = (double)(h >> 40) / (double)(1 << 24);

        ret->token = ranges[k].token;
        ret->range = XENO_LOOKUP_NUMBERS;
        ret->min = round((ranges[k].from + at * (ranges[k].to - ranges[k].from)) * 100) / 100;
        ret->max = h >> 3 & 7 ? ret->min + ranges[k].width : ranges[k].to;
    } else {
        size_t k = (h >> 8) % XENO_LEN(texts);

        ret->token = texts[k].token;
        ret->range = XENO_LOOKUP_STRINGS;
        ret->from = texts[k].from;
        ret->to = texts[k].to;
    }
    if ((h >> 16) % 10 == 0)
        ret->place = (h >> 20) % 100;
}

size_t gen_lookup_json(const struct xeno_lookup *l, char *out, size_t room)
{
    const char *order = l->desc ? "desc" : "asc";
    int n;

    if (l->range == XENO_LOOKUP_NUMBERS)
        n = snprintf(out, room,
                     "{\"token\":\"%s\",\"min\":%.10g,\"max\":%.10g,\"order\":\"%s\",\"place\":%u,"
                     "\"limit\":%zu}",
                     l->token, l->min, l->max, order, (unsigned)l->place, l->limit);
    else
        n = snprintf(
            out, room,
            "{\"token\":\"%s\",\"from\":\"%s\",\"to\":\"%s\",\"order\":\"%s\",\"place\":%u,"
            "\"limit\":%zu}",
            l->token, l->from, l->to, order, (unsigned)l->place, l->limit);
    return n < 0 || (size_t)n >= room ? 0 : (size_t)n;
}

size_t gen_lookup_query(const struct xeno_lookup *l, char *out, size_t room)
{
    const char *order = l->desc ? "desc" : "asc";
    int n;

    if (l->range == XENO_LOOKUP_NUMBERS)
        n = snprintf(out, room, "token=%s&min=%.10g&max=%.10g&order=%s&place=%u&limit=%zu",
                     l->token, l->min, l->max, order, (unsigned)l->place, l->limit);
    else
        n = snprintf(out, room, "token=%s&from=%s&to=%s&order=%s&place=%u&limit=%zu", l->token,
                     l->from, l->to, order, (unsigned)l->place, l->limit);
    if (n < 0 || (size_t)n >= room)
        return 0;
    for (char *p = out; (p = strchr(p, ' ')) != NULL;)
        *p = '+';
    return (size_t)n;
}
