/* src/rd/where.c - a query over all servers at once, and servers' queries over the client. */
#include "rd/find-priv.h"

#include <stdio.h>
#include <string.h>

/* --- where --- */

/* A clause with its texts as cells have them. */
struct clause {
    const struct xeno_query_node *node;
    const struct rd_cell *cells;
    bool texts; /* it can be compared with a text at all */
    size_t key_count;
    struct {
        enum rd_kind kind;
        uint64_t key[RD_SHORT_MAX / 8];
    } keys[XENO_QUERY_VALUES];
};

static void clause_prepare(struct rd_find *f, const struct xeno_query_node *n, struct clause *c)
{
    c->node = n;
    c->cells = rd_column(f->rd, n->token);
    c->key_count = 0;
    for (size_t i = 0; n->op == XENO_QUERY_IN && i < n->value_count; i++) {
        if (n->values[i].number)
            continue;
        c->keys[c->key_count].kind = rd_key(n->values[i].text, c->keys[c->key_count].key);
        c->key_count++;
    }
    c->texts = n->op == XENO_QUERY_STRINGS || c->key_count > 0;
}

static enum xeno_truth one_leaf(const struct clause *c, const struct xeno_leaf *l)
{
    struct xeno_query_value v = { l->number, l->n, l->number ? NULL : l->value };

    return xeno_query_clause(c->node, &v);
}

/* By its own leaves: of a set, and where a hash is not enough. */
static enum xeno_truth by_leaves(const struct rd_find *f, const struct clause *c, uint32_t slot)
{
    const struct rd_server *s = f->rd->servers[slot];
    enum xeno_truth all = XENO_UNKNOWN;

    for (const struct xeno_leaf *l = rd_first(s, &c->cells[slot]); l; l = rd_next(s, l)) {
        enum xeno_truth t = one_leaf(c, l);

        if (t == XENO_TRUE)
            return t;
        if (t == XENO_FALSE)
            all = t;
    }
    return all;
}

static enum xeno_truth by_keys(const struct rd_find *f, const struct clause *c, uint32_t slot)
{
    const struct rd_cell *cell = &c->cells[slot];

    for (size_t i = 0; i < c->key_count; i++) {
        if (c->keys[i].kind != (enum rd_kind)cell->kind || c->keys[i].key[0] != cell->key[0] ||
            c->keys[i].key[1] != cell->key[1])
            continue;
        return cell->kind == RD_LONG ? by_leaves(f, c, slot) : XENO_TRUE;
    }
    return XENO_FALSE;
}

static enum xeno_truth of_cell(const struct rd_find *f, const struct clause *c, uint32_t slot)
{
    const struct rd_cell *cell = &c->cells[slot];
    struct xeno_query_value v = { true, cell->n, NULL };
    char text[RD_SHORT_MAX + 1];

    switch (cell->kind) {
    case RD_NONE:
        return XENO_UNKNOWN;
    case RD_NUMBER:
        return xeno_query_clause(c->node, &v);
    case RD_SET:
        return by_leaves(f, c, slot);
    }
    if (!c->texts)
        return XENO_UNKNOWN;
    if (c->node->op == XENO_QUERY_IN)
        return by_keys(f, c, slot);
    if (cell->kind == RD_LONG)
        return by_leaves(f, c, slot);
    memcpy(text, cell->key, RD_SHORT_MAX);
    text[RD_SHORT_MAX] = '\0';
    v = (struct xeno_query_value){ false, 0, text };
    return xeno_query_clause(c->node, &v);
}

static void fill_clause(struct rd_find *f, const struct xeno_query_node *n, uint8_t *ret)
{
    struct clause c;
    uint32_t begin = f->begin, count = f->end - f->begin;

    clause_prepare(f, n, &c);
    if (n->op == XENO_QUERY_EXISTS) {
        for (uint32_t i = 0; i < count; i++)
            ret[i] = (c.cells[begin + i].kind != RD_NONE) == n->exists;
    } else if (n->op == XENO_QUERY_NUMBERS) {
        for (uint32_t i = 0; i < count; i++) {
            const struct rd_cell *cell = &c.cells[begin + i];
            uint8_t in = cell->n >= n->min && cell->n <= n->max;

            ret[i] = cell->kind == RD_NUMBER ? in
                     : cell->kind == RD_SET  ? (uint8_t)by_leaves(f, &c, begin + i)
                                             : XENO_UNKNOWN;
        }
    } else {
        for (uint32_t i = 0; i < count; i++)
            ret[i] = (uint8_t)of_cell(f, &c, begin + i);
    }
}

static void fill_not(uint8_t *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        all[i] = all[i] == XENO_UNKNOWN ? XENO_UNKNOWN : !all[i];
}

/* all[i] = all[i] and part[i]: false if one is, unknown if one is. `or` has the other end. */
static void fold(uint8_t *restrict all, const uint8_t *restrict part, size_t n, uint8_t ends)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t end = all[i] == ends || part[i] == ends;
        uint8_t open = (all[i] | part[i]) & XENO_UNKNOWN;

        all[i] = end ? ends : open ? XENO_UNKNOWN : !ends;
    }
}

/* What node `at` is of each server of this part, into truth[depth]; deeper columns are used on the
 * way. */
static void fill(struct rd_find *f, const struct xeno_query_tree *q, size_t at, size_t depth)
{
    const struct xeno_query_node *n = &q->nodes[at];
    uint8_t *ret = f->s->truth[depth];

    if (n->op > XENO_QUERY_NOT) {
        fill_clause(f, n, ret);
    } else if (n->op == XENO_QUERY_NOT) {
        fill(f, q, at + 1, depth);
        fill_not(ret, f->end - f->begin);
    } else {
        fill(f, q, at + 1, depth);
        for (size_t part = q->nodes[at + 1].end; part < n->end; part = q->nodes[part].end) {
            fill(f, q, part, depth + 1);
            fold(ret, f->s->truth[depth + 1], f->end - f->begin, n->op == XENO_QUERY_OR);
        }
    }
}

/* Each part of an `and` at the top is a constraint by itself. */
void rd_where(struct rd_find *f)
{
    const struct xeno_query_tree *q = f->req->where;
    bool parts = q && q->nodes[0].op == XENO_QUERY_AND;
    size_t which = 0, next;

    if (!q)
        return;
    for (size_t at = parts ? 1 : 0; at < q->nodes[0].end; at = next) {
        next = q->nodes[at].end;
        fill(f, q, at, 0);
        rd_note(f, (enum xeno_rd_constraint)(XENO_RD_C_WHERE + which), f->s->truth[0]);
        if (which == f->where_count)
            f->where_node[f->where_count++] = at;
        f->asked |= RD_BIT(XENO_RD_C_WHERE + which);
        if (which + 1 < XENO_RD_WHERES)
            which++;
    }
}

/* --- Accept --- */

static bool text_value(const char *text, struct xeno_query_value *ret)
{
    double n;

    if (!text)
        return false;
    ret->number = xeno_advert_is_number(text, &n);
    ret->n = ret->number ? n : 0;
    ret->text = ret->number ? NULL : text;
    return true;
}

static bool number_value(double n, struct xeno_query_value *ret)
{
    *ret = (struct xeno_query_value){ true, n, NULL };
    return true;
}

static bool client_value(const struct xeno_rd_client *c, const char *token, size_t i,
                         struct xeno_query_value *ret)
{
    if (strncmp(token, "Attr/", 5) == 0) {
        for (size_t k = 0; k < c->attr_count; k++) {
            if (strcmp(c->attrs[k].key, token + 5) == 0 && i-- == 0)
                return text_value(c->attrs[k].value, ret);
        }
        return false;
    }
    if (i > 0)
        return false;
    if (strcmp(token, "Id") == 0)
        return text_value(*c->id.s ? c->id.s : NULL, ret);
    if (strcmp(token, "Corp") == 0)
        return text_value(c->corp, ret);
    return strcmp(token, "Kind") == 0 && text_value(c->kind, ret);
}

static bool requirement_number(const struct xeno_requirement *r, const char *token, double *ret)
{
    const struct {
        const char *element;
        double n;
    } rows[] = {
        { "EnvIPAddresses", r->addresses },
        { "CPUmsps", (double)r->cpu_msps },
        { "CPUBurstMs", (double)r->cpu_burst_ms },
        { "NetMbps", (double)r->net_kbps / 1000 },
        { "MemoryMB", (double)r->memory_bytes / (1 << 20) },
        { "DiskMB", (double)r->disk_bytes / (1 << 20) },
        { "LifetimeSeconds", (double)r->lifetime_s },
        { "MaxPricePerHour", (double)r->max_per_hour / XENO_CREDIT },
        { "MaxTotal", (double)r->max_total / XENO_CREDIT },
        { "MaxTasks", (double)r->tasks },
        { "MaxProcesses", (double)r->pids },
    };

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        if (strcmp(rows[i].element, token) == 0) {
            *ret = rows[i].n;
            return rows[i].n > 0 || i == 0 || i == 2; /* other zeros: it does not say */
        }
    }
    return false;
}

/* The client's document: Client/... and the requirement's elements. */
static bool document_value(void *ctx, const struct xeno_query_node *node, size_t i,
                           struct xeno_query_value *ret)
{
    const struct rd_find *f = ctx;
    const struct xeno_requirement *r = f->req->requirement;
    double n;

    if (strncmp(node->token, "Client/", 7) == 0)
        return client_value(f->client, node->token + 7, i, ret);
    if (!r)
        return false;
    if (strcmp(node->token, "Port") == 0)
        return i < r->port_count && number_value(r->ports[i].port, ret);
    if (strcmp(node->token, "EnvOverlay") == 0)
        return i < r->overlay_count && text_value(r->overlays[i], ret);
    if (i > 0)
        return false;
    if (requirement_number(r, node->token, &n))
        return number_value(n, ret);
    if (strcmp(node->token, "EnvName") == 0)
        return text_value(*r->name ? r->name : NULL, ret);
    if (strcmp(node->token, "EnvType") == 0)
        return text_value(r->env_type, ret);
    if (strcmp(node->token, "EnvKernel") == 0)
        return text_value(*r->kernel ? r->kernel : NULL, ret);
    return strcmp(node->token, "EnvTemplate") == 0 &&
           text_value(*r->template_ref ? r->template_ref : NULL, ret);
}

enum xeno_truth rd_accept_eval(const struct rd_find *f, const struct rd_accept *a)
{
    return a->tree ? xeno_query_eval(a->tree, document_value, (void *)f) : XENO_UNKNOWN;
}

static enum xeno_truth accepts(struct rd_find *f, struct rd_accept *a)
{
    if (a->find != f->rd->finds) {
        a->find = f->rd->finds;
        a->holds = (int)rd_accept_eval(f, a);
    }
    return (enum xeno_truth)a->holds;
}

void rd_accepts(struct rd_find *f)
{
    uint64_t bit = RD_BIT(XENO_RD_C_ACCEPT);

    f->asked |= bit;
    for (uint32_t slot = f->begin; slot < f->end; slot++) {
        struct rd_accept *a = f->rd->accept[slot];
        enum xeno_truth t = a ? accepts(f, a) : XENO_TRUE;

        f->s->no[slot] |= t == XENO_FALSE ? bit : 0;
        f->s->unknown[slot] |= t == XENO_UNKNOWN ? bit : 0;
    }
}
