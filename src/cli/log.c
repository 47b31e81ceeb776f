/* src/cli/log.c - corp log, corp verify. */
#include "cli/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/out.h"
#include "cli/profile.h"
#include "doc/loghead.h"

#define SEEN  "log-head"
#define OTHER "log-head.other"

/* --- heads --- */

struct heads {
    char *now_text; /* owned */
    struct xeno_log_head now, seen;
    bool first; /* none was seen before */
};

static void heads_release(struct heads *h)
{
    free(h->now_text);
}
#define autoheads __attribute__((cleanup(heads_release))) struct heads

static int get_head(struct cli *cli, struct heads *ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *text;
    int r = cli_corp_get(cli, &j, err, "/v1/log/head");

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_json_str(&top, "head", 1, XENO_LOG_HEAD_MAX, &text, err);
    if (r == 0)
        r = xeno_log_head_read(text, strlen(text), &cli->profile->corp, &ret->now, err);
    if (r < 0)
        return xeno_context(err, r, "the head of the log");
    ret->now_text = xeno_strdup(text);
    return 0;
}

static int read_seen(struct cli *cli, struct heads *ret, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len = 0;
    int r = xeno_file_read(cli->profile->dirfd, SEEN, XENO_LOG_HEAD_MAX, &text, &len, err);

    ret->first = r == -ENOENT;
    if (ret->first)
        return 0;
    if (r == 0)
        r = xeno_log_head_read(text, len, &cli->profile->corp, &ret->seen, err);
    return r < 0 ? xeno_context(err, r, "%s/%s", cli->profile->path, SEEN) : 0;
}

/* The newest head, and that it continues the one seen before. */
static int check_growth(struct cli *cli, const struct heads *h, struct xeno_err *err)
{
    int64_t first = h->seen.size < h->now.size ? h->seen.size : h->now.size;
    int64_t second = first == h->seen.size ? h->now.size : h->seen.size;
    struct xeno_proof proof = { .count = 0 };
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    int r = h->first ? 0 : xeno_log_heads_compare(&h->seen, &h->now, err);

    if (r <= 0)
        return r;
    r = cli_corp_get(cli, &j, err, "/v1/log/consistency?first=%" PRId64 "&second=%" PRId64, first,
                     second);
    if (r < 0 && xeno_err_is(err, "log.range")) /* it signed more than it says that it has */
        return xeno_fail(err, -EUCLEAN, "log.forked",
                         "XenoCorp %s signed a log of %" PRId64 " leaves; now it has %" PRId64,
                         h->seen.corp.s, h->seen.size, h->now.size);
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_proof_read(&top, "proof", &proof, err);
    return r < 0 ? r : xeno_log_heads_check(&h->seen, &h->now, &proof, err);
}

/* What is told is told with where the evidence lies. */
static int keep_evidence(struct cli *cli, const struct heads *h, int r, struct xeno_err *err)
{
    struct xeno_err why = *err;

    if (strncmp(why.token, "log.", 4) != 0)
        return r;
    if (xeno_file_write(cli->profile->dirfd, OTHER, 0600, h->now_text, strlen(h->now_text), NULL) <
        0)
        return r;
    return xeno_fail(err, r, why.token, "%s (both heads are kept: %s and %s in %s)", why.text, SEEN,
                     OTHER, cli->profile->path);
}

static int remember(struct cli *cli, const struct heads *h, struct xeno_err *err)
{
    if (!h->first && h->now.size < h->seen.size)
        return 0;
    return xeno_file_write(cli->profile->dirfd, SEEN, 0600, h->now_text, strlen(h->now_text), err);
}

/* --- the caller's own leaves --- */

static int64_t member(const struct xeno_json_at *leaf, const char *key)
{
    return cli_int(leaf, key, -1);
}

/* Does the leaf say of the charge what the statement says? */
static bool agrees(const struct xeno_json_at *line, const struct xeno_json_at *leaf)
{
    int64_t amount = cli_int(line, "amount", 0);

    return strcmp(cli_str(leaf, "act"), "charge") == 0 &&
           strcmp(cli_str(leaf, "order"), cli_str(line, "order")) == 0 &&
           strcmp(cli_str(leaf, "session"), cli_str(line, "session")) == 0 &&
           member(leaf, "seq") == cli_int(line, "seq", -2) &&
           member(leaf, "from_ms") == cli_int(line, "from_ms", -2) &&
           member(leaf, "to_ms") == cli_int(line, "to_ms", -2) &&
           /* of a XenoServer the statement has what it earned, without the fee */
           member(leaf, "amount") == (amount < 0 ? -amount : amount + cli_int(line, "fee", 0));
}

static int missing(const struct xeno_json_at *line, const char *what, struct xeno_err *err)
{
    return xeno_fail(err, -EUCLEAN, "log.missing",
                     "entry %" PRId64 " of the statement (session %.16s, sequence %" PRId64
                     ") %s: show it to others",
                     cli_int(line, "entry", 0), cli_clean(cli_str(line, "session")),
                     cli_int(line, "seq", 0), what);
}

static int check_line(const struct xeno_json_at *line, const struct xeno_json_at *entry,
                      struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    const char *text = cli_str(entry, "leaf");
    struct xeno_json_at leaf;

    if (xeno_json_parse(text, strlen(text), XENO_LEAF_MAX, &j, NULL) < 0)
        return missing(line, "has a leaf in the log that cannot be read", err);
    leaf = xeno_json_top(j);
    return agrees(line, &leaf) ? 0 : missing(line, "is another charge in the log", err);
}

/* Is the text under its number in the tree that was signed? */
static int prove(struct cli *cli, const struct xeno_log_head *head,
                 const struct xeno_json_at *entry, struct xeno_err *err)
{
    const char *text = cli_str(entry, "leaf");
    struct xeno_hash leaf = xeno_hash_leaf(text, strlen(text));
    int64_t n = cli_int(entry, "n", -1);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    struct xeno_proof proof;
    int r = cli_corp_get(cli, &j, err, "/v1/log/inclusion?leaf=%" PRId64 "&size=%" PRId64, n,
                         head->size);

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_proof_read(&top, "proof", &proof, err);
    if (r == 0)
        r = xeno_inclusion_check(&leaf, n, head->size, &head->root, &proof, err);
    return r < 0 ? xeno_context(err, r, "leaf %" PRId64, n) : 0;
}

struct verified {
    int64_t charges, proved;
};

/* Of a long list only the beginning was read. Returns: the last entry whose leaf would be in it. */
static int64_t last_entry(const struct xeno_json_at *entries, size_t count)
{
    int64_t entry = 0;

    if (count < CLI_PAGES_ITEMS)
        return INT64_MAX;
    while (entry == 0 && count > 0) {
        struct xeno_json_at e = xeno_json_item(entries, --count);

        entry = cli_int(&e, "entry", 0);
    }
    return entry;
}

/* Both lists are in the order of the journal, and each charge's leaf names its entry. The newest
 * `most` are proved. */
static int check_charges(struct cli *cli, const struct xeno_log_head *head,
                         const struct xeno_json_at *lines, size_t line_count,
                         const struct xeno_json_at *entries, size_t entry_count, int64_t most,
                         struct verified *ret, struct xeno_err *err)
{
    int64_t last = last_entry(entries, entry_count);
    size_t at = entry_count;

    if (last != INT64_MAX)
        cli_note(cli, "of a long history the first %d leaves were looked at", CLI_PAGES_ITEMS);
    for (size_t i = line_count; i > 0; i--) { /* newest first */
        struct xeno_json_at line = xeno_json_item(lines, i - 1), entry = { .j = NULL };
        int64_t wanted = cli_int(&line, "entry", 0), found = -1;
        int r;

        if (strcmp(cli_str(&line, "kind"), "charge") != 0 || wanted > last)
            continue;
        while (at > 0 && (found == -1 || found == 0 || found > wanted)) {
            entry = xeno_json_item(entries, --at);
            found = cli_int(&entry, "entry", 0);
        }
        if (found != wanted)
            return missing(&line, "is not in the log", err);
        r = check_line(&line, &entry, err);
        if (r == 0 && ret->proved < most) {
            r = prove(cli, head, &entry, err);
            ret->proved++;
        }
        if (r < 0)
            return r;
        ret->charges++;
    }
    return 0;
}

static int verify_charges(struct cli *cli, const struct xeno_log_head *head,
                          const struct xeno_json *statement, int64_t most, struct verified *ret,
                          struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(statement), lines, entries;
    xeno_auto(xeno_json) log = NULL;
    size_t line_count, entry_count;
    int r = cli_pages(cli, NULL, "/v1/log/entries", "entries", &log, err);

    if (r < 0)
        return r;
    lines = cli_list(&top, "entries", &line_count);
    top = xeno_json_top(log);
    entries = cli_list(&top, "entries", &entry_count);
    return check_charges(cli, head, &lines, line_count, &entries, entry_count, most, ret, err);
}

/* --- corp verify --- */

const struct cli_option cli_verify_options[] = {
    { "prove", 0, "COUNT", "prove the newest COUNT charges, a request each (default 100)", false,
      0 },
    { NULL },
};

static void say(struct cli *cli, const struct heads *h, const struct verified *v)
{
    if (cli->json) {
        struct xeno_json *j = xeno_json_object();
        char root[XENO_HASH_TEXT];

        xeno_hash_text(&h->now.root, root);
        xeno_json_set_str(j, "corp", h->now.corp.s);
        xeno_json_set_int(j, "size", h->now.size);
        xeno_json_set_str(j, "root", root);
        xeno_json_set_int(j, "time_ms", h->now.time.ns / XENO_NS_PER_MS);
        if (!h->first)
            xeno_json_set_int(j, "seen", h->seen.size);
        xeno_json_set_int(j, "charges", v->charges);
        xeno_json_set_int(j, "proved", v->proved);
        cli_json(j);
        return;
    }
    cli_say(cli, "the log of XenoCorp %s has %" PRId64 " leaves; its head was signed %s",
            h->now.corp.s, h->now.size, cli_when(h->now.time.ns / XENO_NS_PER_MS));
    if (h->first)
        cli_say(cli, "it is remembered from now on: what comes later must continue it");
    else
        cli_say(cli, "it continues the log of %" PRId64 " leaves seen before: nothing was changed",
                h->seen.size);
    cli_say(cli, "the %" PRId64 " charges of your statement are in it as they are in the statement",
            v->charges);
    if (v->proved > 0)
        cli_say(cli, "of the newest %" PRId64 " that was proved by its signed root", v->proved);
}

/* The statement comes first: what is in it then is in the head that is asked for after it. */
int cli_run_verify(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_json) statement = NULL;
    struct verified v = { 0, 0 };
    int64_t most = 100;
    autoheads h = { .first = false };
    int r = cli_number(args, "prove", 0, 1000000, &most, err);

    if (r == 0)
        r = cli_pages(cli, NULL, "/v1/statement", "entries", &statement, err);
    if (r == 0)
        r = get_head(cli, &h, err);
    if (r == 0)
        r = read_seen(cli, &h, err);
    if (r < 0)
        return r;
    r = check_growth(cli, &h, err);
    if (r == 0)
        r = verify_charges(cli, &h.now, statement, most, &v, err);
    if (r < 0)
        return keep_evidence(cli, &h, r, err);
    r = remember(cli, &h, err);
    if (r < 0)
        return r;
    say(cli, &h, &v);
    return CLI_OK;
}

/* --- corp log --- */

const struct cli_option cli_log_options[] = { { NULL } };

/* The members of a leaf that tell one from another, for people. */
static void leaf_cells(struct cli_table *t, const struct xeno_json_at *entry)
{
    const char *text = cli_str(entry, "leaf");
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at leaf = { .j = NULL };
    char n[24];

    snprintf(n, sizeof n, "%" PRId64, cli_int(entry, "n", 0));
    cli_cell(t, n);
    if (xeno_json_parse(text, strlen(text), XENO_LEAF_MAX, &j, NULL) < 0) {
        for (int i = 0; i < 5; i++)
            cli_cell(t, i ? NULL : "?");
        return;
    }
    leaf = xeno_json_top(j);
    cli_cell(t, cli_str(&leaf, "act"));
    cli_cell_short(t, cli_str(&leaf, "order"));
    cli_cell_short(t, cli_str(&leaf, "session"));
    if (cli_int(&leaf, "amount", -1) >= 0)
        cli_cell_credit(t, cli_int(&leaf, "amount", 0));
    else
        cli_cell(t, NULL);
    cli_cell(t, cli_str(entry, "hash"));
}

int cli_run_log(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "LEAF", "ACT", "ORDER", "SESSION", "AMOUNT", "HASH" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 0 | 1U << 4);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    size_t n;
    int r = cli_pages(cli, NULL, "/v1/log/entries", "entries", &j, err);

    (void)args;
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    list = cli_list(&top, "entries", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at e = xeno_json_item(&list, i);

        leaf_cells(&t, &e);
    }
    cli_table_print(cli, &t);
    if (cli->json)
        cli_json(xeno_take(&j));
    return CLI_OK;
}
