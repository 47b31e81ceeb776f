/* src/rd/words.c - constraints and relaxations in words for people. */
#include "rd/find-priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *token; /* where an advert says it; NULL: it is not said under one token */
    const char *no;    /* "%s": the number asked for */
    const char *unit;  /* of a relaxation */
} rows[] = {
    [XENO_RD_C_LEASE] = { "Expires", NULL, "the advert ran out", "" },
    [XENO_RD_C_CORP] = { "Corp", "Corp", "not registered with your XenoCorp", "" },
    [XENO_RD_C_ACCEPTING] = { "Accepting", "Accepting", "takes no new sessions", "" },
    [XENO_RD_C_ACCEPT] = { "Accept", NULL, "does not accept you for this", "" },
    [XENO_RD_C_ISOLATION] = { "isolation", "Isolation", "no %s isolation", "" },
    [XENO_RD_C_ENV_TYPE] = { "EnvType", "EnvType", "does not run %s", "" },
    [XENO_RD_C_KERNEL] = { "EnvKernel", "Machine/Kernel", "a kernel older than %s", "" },
    [XENO_RD_C_CPU] = { "CPUmsps", "CPUmsps", "less than %s ms/s of CPU free", "" },
    [XENO_RD_C_MEMORY] = { "MemoryMB", "MemoryMB", "less than %s MB of memory free", "" },
    [XENO_RD_C_DISK] = { "DiskMB", "DiskMB", "less than %s MB of disk free", "" },
    [XENO_RD_C_NET] = { "NetMbps", "NetMbps", "less than %s Mbit/s free", "" },
    [XENO_RD_C_PROCESSES] = { "MaxProcesses", "Most/Processes", "fewer than %s processes", "" },
    [XENO_RD_C_ADDRESSES] = { "EnvIPAddresses", "Addresses", "no address to give", "" },
    [XENO_RD_C_PORTS] = { "Port", "Ports", "fewer than %s ports free", "" },
    [XENO_RD_C_HOUR] = { "MaxPricePerHour", "Price", "can cost over %s credits an hour",
                         " credits" },
    [XENO_RD_C_TOTAL] = { "MaxTotal", "Price", "costs over %s credits in all", " credits" },
    [XENO_RD_C_COST] = { "max_cost", "Price", "costs over %s credits in all", " credits" },
    [XENO_RD_C_COMPLAINTS] = { "max_complaints", NULL, "more than %s complaints", "" },
};

const char *xeno_rd_constraint_name(enum xeno_rd_constraint c)
{
    static const char *const near[] = { "near[0]", "near[1]", "near[2]", "near[3]",
                                        "near[4]", "near[5]", "near[6]", "near[7]" };
    static const char *const where[] = { "where[0]",  "where[1]",  "where[2]",  "where[3]",
                                         "where[4]",  "where[5]",  "where[6]",  "where[7]",
                                         "where[8]",  "where[9]",  "where[10]", "where[11]",
                                         "where[12]", "where[13]", "where[14]", "where[15]" };

    _Static_assert(XENO_LEN(near) == XENO_RD_PLACES && XENO_LEN(where) == XENO_RD_WHERES, "");
    if ((size_t)c < XENO_LEN(rows))
        return rows[c].name;
    if (rd_is_where(c))
        return where[c - XENO_RD_C_WHERE];
    return c < XENO_RD_C_COUNT ? near[c - XENO_RD_C_RTT] : "?";
}

static const char *isolation_text(unsigned bits, char out[64])
{
    static const char *const names[] = { "null", "process", "container", "vm" };
    size_t len = 0;

    *out = '\0';
    for (size_t i = XENO_LEN(names); i-- > 0;) {
        if (bits & 1u << i)
            len += (size_t)snprintf(out + len, 64 - len, "%s%s", len ? " or " : "", names[i]);
    }
    return out;
}

/* A number of the request as a person writes it. */
static const char *number_text(enum xeno_rd_constraint c, int64_t n, char out[64])
{
    char credits[XENO_CREDIT_TEXT];

    if (c == XENO_RD_C_ISOLATION)
        return isolation_text((unsigned)n, out);
    if (c >= XENO_RD_C_HOUR && c <= XENO_RD_C_COST)
        snprintf(out, 64, "%s", xeno_credit_text(xeno_micro(n), credits));
    else if (c >= XENO_RD_C_RTT && n % 1000 != 0)
        snprintf(out, 64, "%" PRId64 ".%03" PRId64, n / 1000, n % 1000);
    else
        snprintf(out, 64, "%" PRId64, c >= XENO_RD_C_RTT ? n / 1000 : n);
    return out;
}

/* What was asked for, as text. */
static const char *asked_text(const struct rd_find *f, enum xeno_rd_constraint c, char out[64])
{
    const struct xeno_requirement *r = f->req->requirement;

    if (c == XENO_RD_C_ISOLATION)
        return isolation_text(f->req->isolation, out);
    if (c == XENO_RD_C_ENV_TYPE)
        return r->env_type;
    if (c == XENO_RD_C_KERNEL)
        return r->kernel;
    for (size_t i = 0; i < f->test_count; i++) {
        if (f->tests[i].c == c)
            return number_text(c, f->tests[i].asked, out);
    }
    return "";
}

static void where_words(const struct rd_find *f, size_t which, struct xeno_buf *out)
{
    xeno_query_words(f->req->where, f->where_node[which], out);
    if (which + 1 == XENO_RD_WHERES)
        xeno_buf_puts(out, " and what follows it");
}

static void where_unknown(const struct rd_find *f, size_t which, struct xeno_buf *out)
{
    const struct xeno_query_node *n = &f->req->where->nodes[f->where_node[which]];

    if (n->token && which + 1 < XENO_RD_WHERES) {
        xeno_buf_printf(out, "%s is not told", n->token);
        return;
    }
    xeno_buf_puts(out, "not known whether ");
    where_words(f, which, out);
}

/* "no %s isolation" with the text that was asked for; the formats are the table's. */
static void put(struct xeno_buf *out, const char *format, const char *text)
{
    const char *at = strstr(format, "%s");

    if (!at) {
        xeno_buf_puts(out, format);
        return;
    }
    xeno_buf_printf(out, "%.*s%s%s", (int)(at - format), format, text, at + 2);
}

void rd_constraint_words(const struct rd_find *f, enum xeno_rd_constraint c, bool unknown,
                         struct xeno_buf *out)
{
    char text[64];

    if (rd_is_where(c)) {
        if (unknown) {
            where_unknown(f, c - XENO_RD_C_WHERE, out);
        } else {
            xeno_buf_puts(out, "not: ");
            where_words(f, c - XENO_RD_C_WHERE, out);
        }
    } else if (c >= XENO_RD_C_RTT) {
        const struct xeno_rd_place *p = &f->req->near[c - XENO_RD_C_RTT];

        if (unknown)
            xeno_buf_printf(out, "the round trip to %s is not known", rd_place_text(p));
        else
            xeno_buf_printf(out, "farther than %s ms from %s", number_text(c, p->rtt_max_us, text),
                            rd_place_text(p));
    } else if (unknown && rows[c].token) {
        xeno_buf_printf(out, "%s is not told", rows[c].token);
    } else if (unknown) {
        xeno_buf_puts(out, "whom it accepts depends on what is not known of you");
    } else {
        put(out, rows[c].no, asked_text(f, c, text));
    }
}

static void drop_words(const struct rd_find *f, enum xeno_rd_constraint c, struct xeno_buf *out)
{
    char text[64];

    if (rd_is_where(c)) {
        xeno_buf_puts(out, "without \"");
        where_words(f, c - XENO_RD_C_WHERE, out);
        xeno_buf_puts(out, "\"");
    } else if (c >= XENO_RD_C_RTT) {
        xeno_buf_printf(out, "without a bound on the round trip to %s",
                        rd_place_text(&f->req->near[c - XENO_RD_C_RTT]));
    } else {
        xeno_buf_printf(out, "without %s %s", rows[c].name, asked_text(f, c, text));
    }
}

static void part_words(const struct rd_find *f, const struct xeno_rd_relaxed *p,
                       struct xeno_buf *out)
{
    enum xeno_rd_constraint c = p->constraint;
    char from[64], to[64];

    if (p->drop) {
        drop_words(f, c, out);
        return;
    }
    number_text(c, p->from, from);
    number_text(c, p->to, to);
    if (c >= XENO_RD_C_RTT)
        xeno_buf_printf(out, "round trip to %s from %s to %s ms",
                        rd_place_text(&f->req->near[c - XENO_RD_C_RTT]), from, to);
    else
        xeno_buf_printf(out, "%s from %s to %s%s", rows[c].name, from, to, rows[c].unit);
}

void rd_relax_words(const struct rd_find *f, const struct xeno_rd_relax *r, struct xeno_buf *out)
{
    for (size_t i = 0; i < r->part_count; i++) {
        if (i > 0)
            xeno_buf_puts(out, " and ");
        part_words(f, &r->part[i], out);
    }
}
