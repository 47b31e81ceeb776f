/* src/xenod/advertise-doc.c - what is so now, as an advert (RFC 0015, 6). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xenod/advertise.h"
#include "xenod/probing.h"
#include "xenod/xenod.h"

#define MIB (INT64_C(1) << 20)

/* The smallest session, for a price to order by. */
#define HOUR_MSPS     100
#define HOUR_MEMORY   (128 * MIB)
#define HOUR_DISK     (256 * MIB)
#define HOUR_NET_KBPS 10000

/* --- texts --- */

/* A text of the machine or its operator, as an advert may have it: cut, not within a character, and
 * without what XML does not allow. Nothing when there is none. */
static void add_text(struct xeno_advert_maker *m, const char *path, const char *text)
{
    char out[XENO_ADVERT_VALUE + 1];
    size_t n = 0;

    for (; text && *text && n < sizeof out - 1; text++)
        out[n++] = (unsigned char)*text < ' ' || *text == 127 ? ' ' : *text;
    while (text && n > 0 && ((unsigned char)*text & 0xc0) == 0x80) {
        text--;
        n--;
    }
    out[n] = '\0';
    if (n > 0)
        xeno_advert_add(m, path, out);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t not_below_0(int64_t n)
{
    return n > 0 ? n : 0;
}

/* --- images --- */

static void add_images(struct xenod *d, struct xenod_cached *c, struct xeno_advert_maker *m)
{
    xenod_cached_look(c, d->images, xenod_image_fetched(d));
    for (size_t i = 0; i < c->image_count; i++)
        xeno_advert_add(m, "CachedImage", c->images[i]);
    for (size_t i = 0; i < c->layer_count; i++)
        xeno_advert_add(m, "CachedLayer", c->layers[i]);
}

/* --- parts of the document --- */

static void add_operator(const struct xenod *d, struct xeno_advert_maker *m)
{
    const struct xenod_options *o = &d->opt;
    xeno_autofree char *software = xeno_asprintf("xenod %s", xeno_version());

    add_text(m, "Name", o->told.name);
    add_text(m, "Operator", o->told.owner);
    add_text(m, "Software", software);
    add_text(m, "Location/Place", o->place);
    add_text(m, "Location/Country", o->country);
    add_text(m, "Location/Latitude", o->latitude);
    add_text(m, "Location/Longitude", o->longitude);
}

static void add_machine(const struct xenod *d, struct xeno_advert_maker *m)
{
    add_text(m, "Machine/Architecture", d->machine.architecture);
    add_text(m, "Machine/CPU", d->machine.cpu);
    xeno_advert_add_int(m, "Machine/CPUs", d->machine.cpus);
    xeno_advert_add_int(m, "Machine/MemoryMB", d->machine.memory_bytes / MIB);
    add_text(m, "Machine/Kernel", d->machine.kernel);
}

static void add_room(const struct xeno_host_room *h, struct xeno_advert_maker *m)
{
    const struct xeno_free *left = &h->left, *limit = &h->limit;
    const struct {
        const char *path;
        int64_t n;
    } rows[] = {
        { "CPUmsps", least(left->cpu_msps, XENO_CPU_MSPS_MAX) },
        { "MemoryMB", least(left->memory_bytes, XENO_MEMORY_BYTES_MAX) / MIB },
        { "DiskMB", least(left->disk_bytes, XENO_DISK_BYTES_MAX) / MIB },
        { "NetMbps", least(left->net_kbps, XENO_NET_KBPS_MAX) / 1000 },
        { "Addresses", left->own_addresses },
        { "Ports", left->ports },
        { "Most/CPUmsps", least(limit->cpu_msps, XENO_CPU_MSPS_MAX) },
        { "Most/MemoryMB", least(limit->memory_bytes, XENO_MEMORY_BYTES_MAX) / MIB },
        { "Most/DiskMB", least(limit->disk_bytes, XENO_DISK_BYTES_MAX) / MIB },
        { "Most/NetMbps", least(limit->net_kbps, XENO_NET_KBPS_MAX) / 1000 },
        { "Most/Processes", XENO_PIDS_MAX },
        { "Total/CPUmsps", limit->cpu_msps },
        { "Total/MemoryMB", limit->memory_bytes / MIB },
        { "Total/DiskMB", limit->disk_bytes / MIB },
        { "Total/NetMbps", limit->net_kbps / 1000 },
        { "Sessions", (int64_t)h->sessions },
        { "LoadPercent",
          limit->cpu_msps > 0 ? 100 * (limit->cpu_msps - left->cpu_msps) / limit->cpu_msps : 100 },
    };

    for (size_t i = 0; i < XENO_LEN(rows); i++)
        xeno_advert_add_int(m, rows[i].path, not_below_0(rows[i].n));
}

/* Credits with six decimals, as long as that is a number for adverts. */
static void add_credits(struct xeno_advert_maker *m, const char *path, int64_t micro)
{
    char text[32];

    if (micro < 0 || micro >= INT64_C(1000000000) * XENO_CREDIT)
        return;
    snprintf(text, sizeof text, "%" PRId64 ".%06" PRId64, micro / XENO_CREDIT, micro % XENO_CREDIT);
    xeno_advert_add(m, path, text);
}

static void add_price(const struct xeno_tariff *t, struct xeno_advert_maker *m)
{
    static const char *const names[XENO_RES_COUNT] = { [XENO_RES_CPU] = "CPU",
                                                       [XENO_RES_MEMORY] = "Memory",
                                                       [XENO_RES_DISK] = "Disk",
                                                       [XENO_RES_NET] = "Net",
                                                       [XENO_RES_ADDRESS] = "Address" };
    static const struct xeno_grant hour = { .cpu_msps = HOUR_MSPS,
                                            .memory_bytes = HOUR_MEMORY,
                                            .disk_bytes = HOUR_DISK,
                                            .net_kbps = HOUR_NET_KBPS };
    char path[64];

    xeno_advert_add_int(m, "Price/Epoch", t->epoch);
    for (size_t i = 0; i < XENO_RES_COUNT; i++) {
        snprintf(path, sizeof path, "Price/%s/ReservedMicro", names[i]);
        xeno_advert_add_int(m, path, t->price[i].reserved);
        snprintf(path, sizeof path, "Price/%s/UsedMicro", names[i]);
        xeno_advert_add_int(m, path, t->price[i].used);
    }
    add_credits(m, "Price/HourCredits",
                xeno_tariff_cost(t, &hour, XENO_SHARE_ALL, false, INT64_C(3600000)));
}

static struct xeno_advert_maker *begin(const struct xenod *d, int64_t version, xeno_time expires)
{
    xeno_autofree char *endpoint = xeno_member_endpoint(&d->opt.told, d->opt.listen);
    const char *const corps[] = { xeno_member_corp(d->member)->s, NULL };
    const char *const isolation[] = { strcmp(d->opt.driver, "null") == 0 ? "null" : "container",
                                      NULL };
    const struct xeno_advert_head head = { .version = version,
                                           .expires = expires,
                                           .endpoint = endpoint,
                                           .corps = corps,
                                           .isolation = isolation };
    size_t len = strlen(endpoint);

    while (len > 0 && endpoint[len - 1] == '/')
        endpoint[--len] = '\0';
    return xeno_advert_maker_new(xeno_key_pub(xeno_member_key(d->member)), &head);
}

static void add_leaf(void *arg, const char *path, const char *text)
{
    xeno_advert_add(arg, path, text);
}

struct xeno_advert_maker *xenod_describe(struct xenod *d, struct xenod_cached *cached,
                                         int64_t version, xeno_time expires)
{
    struct xeno_advert_maker *m = begin(d, version, expires);
    struct xeno_host_room room;

    xeno_host_room(d->host, &room);
    add_operator(d, m);
    add_machine(d, m);
    for (const char *const *type = room.env_types; *type; type++)
        xeno_advert_add(m, "EnvType", *type);
    add_room(&room, m);
    xeno_advert_add_int(m, "UptimeS", (xeno_mono(d->env).ns - d->started.ns) / XENO_NS_PER_S);
    xeno_advert_add(m, "Accepting",
                    d->task_ready && xenod_has_room(d) && room.sessions < room.sessions_max ? "yes"
                                                                                            : "no");
    add_price(&room.tariff, m);
    add_images(d, cached, m);
    xenod_probing_publish(d->probing, add_leaf, m);
    add_text(m, "Accept", d->opt.accept);
    return m;
}
