/* src/xenod/open.c - put the parts together, and take them apart. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "daemon/loop.h"
#include "image/store.h"
#include "member/serve.h"
#include "spec/requirement.h"
#include "xenod/advertise.h"
#include "xenod/probing.h"
#include "xenod/xenod.h"

static const char *const types_of_containers[] = { "Linux", NULL };
static const char *const types_of_null[] = { "Linux", "Null", NULL };

/* --- configuration of the host --- */

static struct xeno_price price(xeno_credit reserved, xeno_credit used)
{
    return (struct xeno_price){ reserved.micro, used.micro };
}

static void fill_tariff(const struct xenod_options *o, struct xeno_tariff *t)
{
    t->price[XENO_RES_CPU] = price(o->cpu_reserved, o->cpu_used);
    t->price[XENO_RES_MEMORY] = price(o->memory_reserved, o->memory_used);
    t->price[XENO_RES_DISK] = price(o->disk_reserved, o->disk_used);
    t->price[XENO_RES_NET] = price(o->net_reserved, o->net_used);
    t->price[XENO_RES_ADDRESS] = price(o->address_reserved, xeno_micro(0));
}

static void fill_capacity(const struct xenod *d, struct xeno_capacity *c)
{
    const struct xenod_options *o = &d->opt;
    const struct xenod_machine *m = &d->machine;
    uint32_t first = 0, count = 0;

    (void)xenod_pool_parse(o->pool, &first, &count, NULL); /* was checked */
    *c = (struct xeno_capacity){
        .cpu_msps = o->cpu_msps ? o->cpu_msps : m->cpus * 1000,
        .memory_bytes = o->memory_bytes ? o->memory_bytes : m->memory_bytes,
        .disk_bytes = o->disk_bytes ? o->disk_bytes : m->disk_bytes,
        .net_kbps = o->net_mbps * 1000,
        .reserve_cpu_msps = o->reserve_cpu_msps,
        .reserve_memory_bytes = o->reserve_memory_bytes,
        .reserve_disk_bytes = o->reserve_disk_bytes,
        .headroom_percent = (int)o->headroom_percent,
        .nat_first = first,
        .nat_count = count - (uint32_t)o->own_addresses,
        .own_first = o->own_addresses ? first + count - (uint32_t)o->own_addresses : 0,
        .own_count = (uint32_t)o->own_addresses,
        .port_first = (uint16_t)o->port_first,
        .port_last = (uint16_t)o->port_last,
        .port_daemon = d->server ? (uint16_t)xeno_http_server_port(d->server) : 0,
    };
}

void xenod_host_config(const struct xenod *d, struct xeno_host_config *ret)
{
    const struct xenod_options *o = &d->opt;

    xeno_host_config_default(ret);
    ret->key = xeno_member_key(d->member);
    ret->corp = *xeno_member_corp_pub(d->member);
    ret->driver = o->driver;
    ret->env_types = strcmp(o->driver, "null") == 0 ? types_of_null : types_of_containers;
    ret->kernel = d->machine.kernel;
    ret->tariff.epoch = d->tariff_epoch;
    fill_tariff(o, &ret->tariff);
    fill_capacity(d, &ret->capacity);
    ret->charge_interval_ms = o->charge_interval.ns / XENO_NS_PER_MS;
    ret->hold_ttl_ms = o->hold_ttl.ns / XENO_NS_PER_MS;
    ret->hold_ttl_max_ms = o->hold_ttl_max.ns / XENO_NS_PER_MS;
    ret->grace_ms = o->grace.ns / XENO_NS_PER_MS;
    ret->retain_ms = o->retain.ns / XENO_NS_PER_MS;
    ret->warn_percent[0] = (int)o->warn_first_percent;
    ret->warn_percent[1] = (int)o->warn_last_percent;
    ret->sessions_max = (size_t)o->sessions_max;
    ret->owner_sessions_max = (size_t)o->owner_sessions_max;
}

static int number_tariff(struct xenod *d, struct xeno_err *err)
{
    struct xeno_tariff t = { .epoch = 1 };
    int r;

    fill_tariff(&d->opt, &t);
    r = xenod_keep_tariff(d, &t, err);
    if (r == 0)
        d->tariff_epoch = t.epoch;
    return r;
}

/* --- open --- */

static int open_journal(struct xenod *d, struct xeno_err *err)
{
    xeno_autofree char *url = xeno_asprintf("sqlite:%s/journal.db", d->opt.dir);
    int r = xeno_member_lock(d->member, err); /* two on one journal would sell all twice */

    if (r == 0)
        r = xeno_db_open(url, &d->db, err);
    if (r == 0)
        r = xenod_keep_open(d, err);
    if (r == 0)
        r = number_tariff(d, err);
    return r;
}

static int open_server(struct xenod *d, struct xeno_err *err)
{
    const struct xeno_member_serving most = { .listen = d->opt.listen,
                                              .connections = d->opt.connections,
                                              .connections_per_address =
                                                  d->opt.connections_per_address };
    const struct xeno_http_server_opts opts = {
        .routes = xenod_routes, .user = d, .idem_get = xenod_idem_get, .idem_put = xenod_idem_put
    };

    return xeno_member_listen(d->member, d->loop, &most, &opts, &d->server, err);
}

int xenod_open(struct xenod *d, struct xeno_err *err)
{
    int r = xenod_member_open(d, err);

    xeno_spec_init();
    xenod_machine_read(&d->machine, d->opt.dir);
    if (r == 0)
        r = xeno_member_load(d->member, d->loop, err);
    if (r == 0)
        r = open_journal(d, err);
    if (r == 0)
        r = xenod_image_open(d, err);
    if (r == 0)
        r = xenod_fetching_open(d, err);
    if (r == 0)
        r = xeno_member_client(d->member, d->loop, &d->client, err);
    if (r == 0)
        r = xenod_task_open(d, err);
    if (r == 0)
        r = open_server(d, err);
    if (r == 0)
        r = xenod_probing_open(d, err);
    if (r == 0)
        xeno_member_attach(d->member, d->client, d->server);
    return r;
}

void xenod_free(struct xenod *d)
{
    if (!d)
        return;
    xenod_streams_close(d);
    xeno_http_server_free(d->server);
    xenod_probing_free(d->probing);
    xeno_http_client_free(d->client);
    xenod_advertise_free(d->advertise);
    xenod_fetching_release(d);
    xeno_task_client_free(d->task);
    xenod_ports_release(d);
    xeno_host_free(d->host);
    xeno_store_free(d->images);
    xeno_store_free(d->fetched);
    xeno_db_free(d->db);
    xeno_daemon_loop_free(d->basics);
    sd_event_source_disable_unref(d->tick);
    sd_event_source_disable_unref(d->describe_retry);
    sd_event_unref(d->loop);
    xeno_member_free(d->member);
    if (d->dirfd >= 0)
        close(d->dirfd);
    xeno_conf_release(xenod_program.items, xenod_program.count, &d->opt);
    free(d);
}

/* --- time --- */

static int on_tick(sd_event_source *s, uint64_t usec, void *data)
{
    struct xenod *d = data;
    struct xeno_err err = XENO_ERR_INIT;

    (void)s;
    (void)usec;
    if (xeno_host_tick(d->host, &err) < 0)
        xeno_log_err(LOG_ERR, "host.tick", &err, "%s", "");
    xeno_member_tick(d->member);
    xenod_keep_tick(d);
    return 0;
}

/* After each event: whatever it was, it may have changed when the host wants to be called. */
static int on_turn(sd_event_source *s, void *data)
{
    struct xenod *d = data;
    uint64_t next = (uint64_t)xeno_host_next(d->host).ns / 1000 + 1, old = 0;
    int on = SD_EVENT_OFF;

    (void)s;
    (void)sd_event_source_get_time(d->tick, &old);
    (void)sd_event_source_get_enabled(d->tick, &on);
    if (on != SD_EVENT_OFF && old == next)
        return 0;
    (void)sd_event_source_set_time(d->tick, next);
    (void)sd_event_source_set_enabled(d->tick, SD_EVENT_ONESHOT);
    return 0;
}

static void reload(void *data)
{
    xenod_reload(data);
}

static bool end(void *data)
{
    struct xenod *d = data;

    return xenod_advertise_end(d->advertise);
}

static int add_sources(struct xenod *d, struct xeno_err *err)
{
    struct xeno_daemon_loop_opts opts = {
        .event = d->loop, .reload = reload, .end = end, .user = d
    };
    int r = sd_event_add_time(d->loop, &d->tick, CLOCK_BOOTTIME, 0, 1000, on_tick, d);

    if (r >= 0)
        r = sd_event_add_post(d->loop, NULL, on_turn, d);
    if (r < 0)
        return xeno_fail_errno(err, r, "loop.source", "prepare the event loop");
    return xeno_daemon_loop_new(&opts, &d->basics, err);
}

int xenod_adopt(struct xenod *d, struct xeno_err *err)
{
    struct xeno_host_ports ports = xenod_ports;
    struct xeno_host_config cfg;
    int r;

    ports.ctx = d;
    d->started = xeno_mono(d->env);
    xenod_host_config(d, &cfg);
    r = xeno_host_open(&cfg, d->env, d->db, &ports, &d->host, err);
    if (r < 0)
        return r;
    r = add_sources(d, err);
    if (r == 0)
        r = xenod_advertise_open(d, err);
    if (r < 0)
        return r;
    xeno_log(LOG_NOTICE, "xenod.ready", "version=%s server=%s corp=%s port=%u driver=%s",
             xeno_version(), xeno_member_id(d->member)->s, xeno_member_corp(d->member)->s,
             xeno_http_server_port(d->server), d->opt.driver);
    return 0;
}

/* --- reload --- */

static int check_options(const void *fresh, struct xeno_err *err)
{
    return xenod_options_check(fresh, err);
}

void xenod_reload(struct xenod *d)
{
    struct xenod_options fresh = { .dir = NULL };
    struct xeno_host_config cfg;
    struct xeno_err err = XENO_ERR_INIT;
    int r =
        xeno_conf_reload(&xenod_program, &d->opt, &fresh, d->argc, d->argv, check_options, &err);

    if (r == 0)
        r = number_tariff(d, &err);
    if (r == 0) {
        xenod_host_config(d, &cfg);
        r = xeno_host_reconfigure(d->host, &cfg, &err);
    }
    if (r == 0)
        xenod_advertise_reload(d->advertise);
    xeno_member_fetch_now(d->member); /* the revocation list, too */
    xeno_log_init("xenod", d->opt.debug ? LOG_DEBUG : LOG_INFO);
    if (r < 0)
        xeno_log_err(LOG_ERR, "config.reload", &err, "%s", "");
    else
        xeno_log(LOG_NOTICE, "config.reloaded", "tariff=%lld", (long long)d->tariff_epoch);
}
