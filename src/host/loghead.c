/* src/host/loghead.c - watching the XenoCorp's log (rfc/0006, 2).
 *
 * Answers carry the head that the XenoCorp has reached. The newest one that was proved to continue
 * all before it is in the journal ("seen"); what came since is held in memory, and once a minute a
 * proof is asked for that joins the two: one small question, however many answers there were.
 *
 *   receipt -> last --- same size, other root ------------------------> doubt
 *               | each minute, when it is another than seen
 *               v
 *            proof asked --- holds: seen = last, in the journal
 *               |        --- does not, or XenoCorp has fewer leaves than it signed -> doubt
 *               '-- not answered: again later
 *
 * A doubt is kept in the journal with both heads and is shown until an operator has looked into it;
 * nothing is asked any more. No session is touched: what was agreed is worked for and charged.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/internal.h"

#define CHECK_MS   60000
#define DOUBT_TEXT "%s: %s"

static void set_text(char to[XENO_LOG_HEAD_MAX + 1], const char *from)
{
    snprintf(to, XENO_LOG_HEAD_MAX + 1, "%s", from);
}

static int put(struct xeno_host *h, const char *name, const char *text, struct xeno_err *err)
{
    int r = xeno_db_run(h->db, err,
                        "INSERT INTO log_head (name, text) VALUES ($1, $2)"
                        " ON CONFLICT (name) DO UPDATE SET text = excluded.text",
                        "tt", name, text);

    return r < 0 ? r : 0;
}

/* --- doubt --- */

/* Told and kept once: the first contradiction is the evidence. */
static void doubt(struct xeno_host *h, const char *other, const struct xeno_err *why)
{
    struct log_watch *w = &h->log;
    xeno_autofree char *text = xeno_asprintf(DOUBT_TEXT, why->token, why->text);
    int r;

    if (w->doubted)
        return;
    w->doubted = true;
    w->untold = true;
    snprintf(w->doubt, sizeof w->doubt, "%s", text);
    r = xeno_db_begin(h->db, NULL);
    if (r < 0)
        return; /* memory knows, and the next life will find out again */
    r = put(h, "other", other, NULL);
    if (r == 0)
        r = put(h, "doubt", text, NULL);
    (void)journal_end(h, r, NULL);
}

bool xeno_host_log_doubt(struct xeno_host *h, struct xeno_err *ret)
{
    char *text;

    if (!h->log.untold)
        return false;
    h->log.untold = false;
    text = strstr(h->log.doubt, ": ");
    xeno_fail(ret, -EUCLEAN,
              strncmp(h->log.doubt, "log.forked", 10) == 0 ? "log.forked" : "log.unproved", "%s",
              text ? text + 2 : h->log.doubt);
    return true;
}

struct xeno_json *log_view(const struct xeno_host *h)
{
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_int(o, "size", h->log.seen.size);
    xeno_json_set_int(o, "time_ms", h->log.seen.time.ns / XENO_NS_PER_MS);
    xeno_json_set_bool(o, "consistent", !h->log.doubted);
    if (h->log.doubted)
        xeno_json_set_str(o, "doubt", h->log.doubt);
    return o;
}

/* --- heads --- */

static bool read_head(const struct xeno_host *h, const char *text, struct xeno_log_head *ret)
{
    return xeno_log_head_read(text, strlen(text), &h->cfg.corp, ret, NULL) == 0;
}

/* From now on `last` is what must be continued. */
static void keep(struct xeno_host *h)
{
    struct log_watch *w = &h->log;

    if (xeno_db_begin(h->db, NULL) < 0 ||
        journal_end(h, put(h, "seen", w->last_text, NULL), NULL) < 0)
        return; /* asked for again at the next check */
    w->seen = w->last;
    set_text(w->seen_text, w->last_text);
}

/* Two heads that no proof could join. */
static bool contradicts(struct xeno_host *h, const struct xeno_log_head *a,
                        const struct xeno_log_head *b, const char *text)
{
    struct xeno_err why = XENO_ERR_INIT;

    if (xeno_log_heads_compare(a, b, &why) >= 0)
        return false;
    doubt(h, text, &why);
    return true;
}

void log_receipt(struct xeno_host *h, const struct xeno_json *reply)
{
    struct xeno_json_at top = xeno_json_top(reply);
    struct log_watch *w = &h->log;
    struct xeno_log_head head;
    const char *text;

    if (w->doubted || xeno_json_str_opt(&top, "receipt", 1, XENO_LOG_HEAD_MAX, &text, NULL) != 0 ||
        !read_head(h, text, &head))
        return; /* nobody's head: it says nothing of anybody */
    if (w->have_last && contradicts(h, &w->last, &head, text))
        return;
    if (w->seen_text[0] && contradicts(h, &w->seen, &head, text))
        return;
    w->have_last = true;
    w->last = head;
    set_text(w->last_text, text);
    if (!w->seen_text[0])
        keep(h); /* the first one is believed: what comes later must continue it */
}

/* --- proofs --- */

void log_kick(struct xeno_host *h)
{
    struct log_watch *w = &h->log;
    int64_t a = w->seen.size, b = w->last.size;
    char path[96];
    struct op *op;

    if (w->doubted || !w->have_last || a == b || w->tag != 0 || mono_ns(h) < w->check_ns)
        return;
    w->check_ns = host_after(h, CHECK_MS);
    if (a == 0 || b == 0)
        return;
    snprintf(path, sizeof path, "/v1/log/consistency?first=%" PRId64 "&second=%" PRId64,
             a < b ? a : b, a < b ? b : a);
    w->asked = w->last;
    set_text(w->asked_text, w->last_text);
    op = op_new(h, OP_LOG, "", "", h->cfg.corp_timeout_ms);
    w->tag = op->tag;
    corp_send(h, op, path, NULL, NULL, NULL, 0);
}

void log_unanswered(struct xeno_host *h, const struct op *op)
{
    if (h->log.tag == op->tag)
        h->log.tag = 0;
}

/* The XenoCorp does not know a size that it signed. */
static void refused(struct xeno_host *h, const struct xeno_err *refusal)
{
    struct log_watch *w = &h->log;
    struct xeno_err why = XENO_ERR_INIT;

    if (strcmp(refusal->token, "log.range") != 0)
        return; /* anything else says nothing about the log */
    xeno_fail(&why, -EUCLEAN, "log.forked",
              "XenoCorp %s signed a log of %" PRId64 " leaves and one of %" PRId64
              ", and does not have both: %s",
              w->seen.corp.s, w->seen.size, w->asked.size, refusal->text);
    doubt(h, w->asked_text, &why);
}

void log_proved(struct xeno_host *h, const struct op *op, const struct xeno_json *reply,
                const struct xeno_err *refusal)
{
    struct log_watch *w = &h->log;
    struct xeno_proof proof = { .count = 0 };
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_json_at top;

    if (w->tag != op->tag)
        return;
    w->tag = 0;
    if (refusal) {
        refused(h, refusal);
        return;
    }
    top = xeno_json_top(reply);
    if (xeno_proof_read(&top, "proof", &proof, &why) < 0 ||
        xeno_log_heads_check(&w->seen, &w->asked, &proof, &why) < 0) {
        doubt(h, w->asked_text, &why);
        return;
    }
    h->count.proofs++;
    if (w->asked.size < w->seen.size)
        return; /* an answer that was overtaken on its way */
    w->seen = w->asked;
    set_text(w->seen_text, w->asked_text);
    if (xeno_db_begin(h->db, NULL) == 0)
        (void)journal_end(h, put(h, "seen", w->seen_text, NULL), NULL);
}

/* --- the journal --- */

int log_load(struct xeno_host *h, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct log_watch *w = &h->log;
    int r = xeno_query_begin(h->db, &q, "SELECT name, text FROM log_head", err);

    while (r >= 0 && (r = xeno_query_step(&q, err)) > 0) {
        const char *name = xeno_query_col_text(&q, 0), *text = xeno_query_col_text(&q, 1);

        if (strcmp(name, "doubt") == 0) {
            w->doubted = w->untold = true;
            snprintf(w->doubt, sizeof w->doubt, "%s", text);
        } else if (strcmp(name, "seen") == 0 && read_head(h, text, &w->seen)) {
            set_text(w->seen_text, text); /* one of another XenoCorp is no head of this one */
        }
    }
    return r;
}
