/* src/rd/tests/naive.c - find again, one server and one constraint at a time. */
#include "rd/tests/naive.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/tariff.h"
#include "spec/match.h"

/* --- numbers and texts of an advert --- */

/* Three-valued "any value is at least x". */
static enum xeno_truth at_least(const struct xeno_advert *a, const char *path, double x)
{
    enum xeno_truth t = XENO_UNKNOWN;

    for (size_t i = 0; i < a->leaf_count; i++) {
        const struct xeno_leaf *l = &a->leaves[i];

        if (strcmp(l->path, path) != 0 || !l->number)
            continue;
        if (l->n >= x)
            return XENO_TRUE;
        t = XENO_FALSE;
    }
    return t;
}

static enum xeno_truth has(const struct xeno_advert *a, const char *path, const char *text)
{
    enum xeno_truth t = XENO_UNKNOWN;

    for (size_t i = 0; i < a->leaf_count; i++) {
        if (strcmp(a->leaves[i].path, path) != 0)
            continue;
        if (strcmp(a->leaves[i].value, text) == 0)
            return XENO_TRUE;
        t = XENO_FALSE;
    }
    return t;
}

static enum xeno_truth truth(bool b)
{
    return b ? XENO_TRUE : XENO_FALSE;
}

/* --- prices --- */

static bool price(const struct xeno_advert *a, const char *name, const char *kind, int64_t *ret)
{
    char path[64];
    const struct xeno_leaf *l;

    snprintf(path, sizeof(path), "Price/%s/%s", name, kind);
    l = xeno_advert_leaf(a, path);
    if (!l || !l->number || l->n < 0 || l->n > 1e12 || fmod(l->n, 1) != 0)
        return false;
    *ret = (int64_t)l->n;
    return true;
}

static bool tariff(const struct xeno_advert *a, struct xeno_tariff *t)
{
    static const char *const names[] = { "CPU", "Memory", "Disk", "Net", "Address" };

    memset(t, 0, sizeof(*t));
    for (int i = 0; i < XENO_RES_COUNT; i++) {
        if (!price(a, names[i], "ReservedMicro", &t->price[i].reserved))
            return false;
        if (!price(a, names[i], "UsedMicro", &t->price[i].used) && i != XENO_RES_ADDRESS)
            return false;
    }
    return true;
}

int64_t naive_total(const struct naive_question *q, const struct xeno_advert *a)
{
    struct xeno_grant g;
    struct xeno_tariff t;
    int64_t sum = 0;

    if (!q->req.requirement || !tariff(a, &t))
        return -1;
    xeno_requirement_grant(q->req.requirement, &g);
    for (int i = 0; i < XENO_RES_COUNT; i++) {
        struct xeno_quantity n =
            xeno_tariff_ceiling(&g, XENO_SHARE_ALL, i, q->req.duration_s * 1000);
        int64_t amount;

        if (i == XENO_RES_CPU)
            n.used = (int64_t)((__int128)n.used * q->req.cpu_percent / 100);
        if (i == XENO_RES_NET && n.used > q->req.net_bytes)
            n.used = q->req.net_bytes;
        amount = xeno_tariff_amount(&t, i, n);
        if (__builtin_add_overflow(sum, amount, &sum))
            return INT64_MAX;
    }
    return sum;
}

static enum xeno_truth hour_holds(const struct naive_question *q, const struct xeno_advert *a)
{
    struct xeno_grant g;
    struct xeno_tariff t;

    if (!tariff(a, &t))
        return XENO_UNKNOWN;
    xeno_requirement_grant(q->req.requirement, &g);
    return truth(xeno_tariff_cost(&t, &g, XENO_SHARE_ALL, true, 3600000) <=
                 q->req.requirement->max_per_hour);
}

static enum xeno_truth total_holds(const struct naive_question *q, const struct xeno_advert *a,
                                   int64_t limit)
{
    int64_t total = naive_total(q, a);

    return total < 0 ? XENO_UNKNOWN : truth(total <= limit);
}

/* --- queries --- */

struct document {
    size_t count;
    struct {
        const char *token;
        char value[80];
    } row[64];
};

static void document_add(struct document *d, const char *token, const char *value)
{
    d->row[d->count].token = token;
    snprintf(d->row[d->count++].value, sizeof(d->row[0].value), "%s", value);
}

static bool value_of(const char *text, struct xeno_query_value *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->number = xeno_advert_is_number(text, &ret->n);
    if (!ret->number)
        ret->text = text;
    return true;
}

static bool document_value(void *ctx, const struct xeno_query_node *node, size_t i,
                           struct xeno_query_value *ret)
{
    struct document *d = ctx;

    for (size_t k = 0; k < d->count; k++) {
        if (strcmp(d->row[k].token, node->token) == 0 && i-- == 0)
            return value_of(d->row[k].value, ret);
    }
    return false;
}

static bool advert_value(void *ctx, const struct xeno_query_node *node, size_t i,
                         struct xeno_query_value *ret)
{
    const struct xeno_advert *a = ctx;

    for (size_t k = 0; k < a->leaf_count; k++) {
        if (strcmp(a->leaves[k].path, node->token) == 0 && i-- == 0)
            return value_of(a->leaves[k].value, ret);
    }
    return false;
}

static enum xeno_truth ask(const char *text, xeno_query_source *source, void *ctx)
{
    xeno_auto(xeno_query_tree) tree = NULL;

    if (xeno_query_parse(text, strlen(text), &tree, NULL) < 0)
        return XENO_UNKNOWN;
    return xeno_query_eval(tree, source, ctx);
}

static enum xeno_truth accepts(const struct naive_question *q, const struct xeno_advert *a)
{
    const struct xeno_leaf *l = xeno_advert_leaf(a, "Accept");
    struct document d = { .count = 0 };
    char token[XENO_RD_ATTRS][64], text[32];

    if (!l)
        return XENO_TRUE;
    if (q->client.kind)
        document_add(&d, "Client/Kind", q->client.kind);
    for (size_t i = 0; i < q->client.attr_count; i++) {
        snprintf(token[i], sizeof(token[i]), "Client/Attr/%s", q->client.attrs[i].key);
        document_add(&d, token[i], q->client.attrs[i].value);
    }
    if (q->req.requirement) {
        snprintf(text, sizeof(text), "%lld", (long long)q->req.requirement->cpu_msps);
        document_add(&d, "CPUmsps", text);
        snprintf(text, sizeof(text), "%.6f",
                 (double)q->req.requirement->memory_bytes / (1024 * 1024));
        document_add(&d, "MemoryMB", text);
    }
    return ask(l->value, document_value, &d);
}

/* --- constraints --- */

struct xeno_latency naive_rtt(const struct xeno_id *id, size_t target)
{
    uint32_t h = (uint32_t)target * 2654435761u;
    float ms;

    for (int i = 0; i < XENO_ID_CHARS; i++)
        h = (h ^ (uint8_t)id->s[i]) * 16777619u;
    h ^= h >> 13;
    if (h % 5 == 0)
        return (struct xeno_latency){ NAN, NAN, NAN, XENO_LATENCY_UNKNOWN };
    ms = (float)(1 + h / 8 % 300) + 0.5f;
    if (h % 5 == 1)
        return (struct xeno_latency){ ms, ms * 0.9f, ms * 1.1f, XENO_LATENCY_MEASURED };
    return (struct xeno_latency){ ms, ms * 0.7f, ms * 1.5f, XENO_LATENCY_PREDICTED };
}

bool naive_asked(const struct naive_question *q, enum xeno_rd_constraint c)
{
    const struct xeno_requirement *r = q->req.requirement;

    if (c >= XENO_RD_C_WHERE && c < XENO_RD_C_RTT)
        return (size_t)(c - XENO_RD_C_WHERE) < q->part_count;
    if (c >= XENO_RD_C_RTT)
        return (size_t)(c - XENO_RD_C_RTT) < q->req.near_count &&
               q->req.near[c - XENO_RD_C_RTT].rtt_max_us > 0;
    switch (c) {
    case XENO_RD_C_LEASE:
    case XENO_RD_C_ACCEPTING:
    case XENO_RD_C_ACCEPT:
        return true;
    case XENO_RD_C_CORP:
        return q->client.corp;
    case XENO_RD_C_ISOLATION:
        return q->req.isolation != 0;
    case XENO_RD_C_COST:
        return q->req.max_cost >= 0;
    case XENO_RD_C_COMPLAINTS:
        return q->req.max_complaints >= 0;
    case XENO_RD_C_KERNEL:
        return r && *r->kernel;
    case XENO_RD_C_ADDRESSES:
        return r && r->addresses > 0;
    case XENO_RD_C_PORTS:
        return r && r->addresses == 0 && r->port_count > 0;
    case XENO_RD_C_HOUR:
        return r && r->max_per_hour > 0;
    case XENO_RD_C_TOTAL:
        return r && r->max_total > 0;
    default:
        return r;
    }
}

static enum xeno_truth isolation_holds(const struct naive_question *q, const struct xeno_advert *a)
{
    static const char *const names[] = { "null", "process", "container", "vm" };
    bool any = false;

    for (size_t i = 0; i < XENO_LEN(names); i++) {
        if (has(a, "Isolation", names[i]) != XENO_TRUE)
            continue;
        if (q->req.isolation & 1u << i)
            return XENO_TRUE;
        any = true;
    }
    return any ? XENO_FALSE : XENO_UNKNOWN;
}

static enum xeno_truth kernel_holds(const struct naive_question *q, const struct xeno_advert *a)
{
    const struct xeno_leaf *l = xeno_advert_leaf(a, "Machine/Kernel");

    if (!l || *l->value < '0' || *l->value > '9')
        return XENO_UNKNOWN;
    return truth(xeno_kernel_compare(l->value, q->req.requirement->kernel) >= 0);
}

static enum xeno_truth rtt_holds(const struct naive_question *q, const struct xeno_advert *a,
                                 size_t i)
{
    struct xeno_latency l = naive_rtt(&a->id, i);

    if (l.how == XENO_LATENCY_UNKNOWN)
        return XENO_UNKNOWN;
    return truth(round((double)l.ms * 1000) <= (double)q->req.near[i].rtt_max_us);
}

enum xeno_truth naive_holds(const struct naive_question *q, const struct naive_server *s,
                            enum xeno_rd_constraint c)
{
    const struct xeno_requirement *r = q->req.requirement;
    const struct xeno_advert *a = s->advert;

    if (c >= XENO_RD_C_WHERE && c < XENO_RD_C_RTT)
        return ask(q->parts[c - XENO_RD_C_WHERE], advert_value, (void *)a);
    if (c >= XENO_RD_C_RTT)
        return rtt_holds(q, a, c - XENO_RD_C_RTT);
    switch (c) {
    case XENO_RD_C_LEASE:
        return truth(a->expires.ns > q->now.ns);
    case XENO_RD_C_CORP:
        return truth(has(a, "Corp", q->client.corp) == XENO_TRUE);
    case XENO_RD_C_ACCEPTING:
        return has(a, "Accepting", "yes");
    case XENO_RD_C_ACCEPT:
        return accepts(q, a);
    case XENO_RD_C_ISOLATION:
        return isolation_holds(q, a);
    case XENO_RD_C_ENV_TYPE:
        return has(a, "EnvType", r->env_type);
    case XENO_RD_C_KERNEL:
        return kernel_holds(q, a);
    case XENO_RD_C_CPU:
        return at_least(a, "CPUmsps", (double)r->cpu_msps);
    case XENO_RD_C_MEMORY:
        return at_least(a, "MemoryMB", ceil((double)r->memory_bytes / 1048576));
    case XENO_RD_C_DISK:
        return at_least(a, "DiskMB", ceil((double)r->disk_bytes / 1048576));
    case XENO_RD_C_NET:
        return at_least(a, "NetMbps", ceil((double)r->net_kbps / 1000));
    case XENO_RD_C_PROCESSES:
        return at_least(a, "Most/Processes", (double)r->pids);
    case XENO_RD_C_ADDRESSES:
        return at_least(a, "Addresses", r->addresses);
    case XENO_RD_C_PORTS:
        return at_least(a, "Ports", (double)r->port_count);
    case XENO_RD_C_HOUR:
        return hour_holds(q, a);
    case XENO_RD_C_TOTAL:
        return total_holds(q, a, r->max_total);
    case XENO_RD_C_COST:
        return total_holds(q, a, q->req.max_cost);
    default:
        return truth(s->complaints <= q->req.max_complaints);
    }
}

bool naive_matches(const struct naive_question *q, const struct naive_server *s)
{
    for (int c = 0; c < XENO_RD_C_COUNT; c++) {
        if (naive_asked(q, (enum xeno_rd_constraint)c) &&
            naive_holds(q, s, (enum xeno_rd_constraint)c) != XENO_TRUE)
            return false;
    }
    return true;
}

/* --- objectives --- */

static size_t warm(const struct naive_question *q, const struct xeno_advert *a)
{
    size_t n = 0;

    for (size_t i = 0; i < q->req.layer_count; i++) {
        char text[32];

        snprintf(text, sizeof(text), "%016llx", (unsigned long long)q->req.layers[i]);
        n += has(a, "CachedLayer", text) == XENO_TRUE;
    }
    return n;
}

double naive_value(const struct naive_question *q, const struct naive_server *s,
                   enum xeno_rd_what what)
{
    const struct xeno_leaf *l = xeno_advert_leaf(s->advert, "LoadPercent");
    struct xeno_latency row[XENO_RD_TARGETS];
    size_t near = q->req.near_count, equal = q->req.equal_count;
    int64_t total = naive_total(q, s->advert);
    double v;

    for (size_t i = 0; i < near + equal; i++)
        row[i] = naive_rtt(&s->advert->id, i);
    switch (what) {
    case XENO_RD_COST:
        return total < 0 ? INFINITY : (double)total;
    case XENO_RD_RTT_MAX:
        v = xeno_latency_max(row, near);
        break;
    case XENO_RD_RTT_MEAN:
        v = xeno_latency_mean(row, near);
        break;
    case XENO_RD_EQUAL:
        v = xeno_latency_spread(row + near, equal);
        break;
    case XENO_RD_WARM:
        return (double)(q->req.layer_count - warm(q, s->advert));
    default:
        v = l && l->number && !xeno_advert_leaf_next(s->advert, l) ? l->n : NAN;
        break;
    }
    return isnan(v) ? INFINITY : v;
}
