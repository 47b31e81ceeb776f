/* src/cli/out.c - results for people and for programs. */
#include "cli/out.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "cli/terminal.h"

#define SHORT_ID   8
#define LIST_ITEMS 100000

void cli_json(struct xeno_json *doc)
{
    xeno_auto(xeno_json) owned = doc;
    xeno_autofree char *text = xeno_json_format(owned, true, NULL);

    puts(text);
}

void cli_say(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    if (cli->json)
        return;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void cli_note(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    if (cli->json || cli->quiet)
        return;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static const char *const codes[] = {
    [CLI_PLAIN] = "",         [CLI_BOLD] = "\033[1m",    [CLI_DIM] = "\033[2m",
    [CLI_GREEN] = "\033[32m", [CLI_YELLOW] = "\033[33m", [CLI_RED] = "\033[31m"
};

enum cli_paint cli_paint_of(const char *state)
{
    static const struct {
        const char *state;
        enum cli_paint paint;
    } rows[] = { { "running", CLI_GREEN },     { "open", CLI_GREEN },
                 { "up", CLI_GREEN },          { "paused", CLI_YELLOW },
                 { "suspended", CLI_YELLOW },  { "held", CLI_YELLOW },
                 { "suspending", CLI_YELLOW }, { "creating", CLI_YELLOW },
                 { "ending", CLI_YELLOW },     { "restoring", CLI_YELLOW },
                 { "closing", CLI_YELLOW },    { "ended", CLI_DIM },
                 { "closed", CLI_DIM },        { "expired", CLI_DIM },
                 { "down", CLI_RED },          { "refused", CLI_RED } };

    for (size_t i = 0; i < XENO_LEN(rows); i++)
        if (strcmp(rows[i].state, state) == 0)
            return rows[i].paint;
    return CLI_PLAIN;
}

void cli_table_release(struct cli_table *t)
{
    for (size_t i = 0; i < t->rows; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t->paints);
}

struct cli_table cli_table_new(size_t columns, const char *const *heads, unsigned right)
{
    return (struct cli_table){ .columns = columns, .heads = heads, .right = right };
}

void cli_cell_paint(struct cli_table *t, const char *text, enum cli_paint paint)
{
    t->cells = xeno_grow(t->cells, t->rows + 1);
    t->paints = xeno_grow(t->paints, t->rows + 1);
    t->cells[t->rows] = xeno_strdup(text && *text ? cli_clean(text) : "-");
    t->paints[t->rows++] = paint;
}

void cli_cell(struct cli_table *t, const char *text)
{
    cli_cell_paint(t, text, CLI_PLAIN);
}

void cli_cell_credit(struct cli_table *t, int64_t micro)
{
    /* All six decimals, so that the points of a column stand below each other. */
    char text[32];
    uint64_t size = micro < 0 ? -(uint64_t)micro : (uint64_t)micro;

    snprintf(text, sizeof text, "%s%" PRIu64 ".%06" PRIu64, micro < 0 ? "-" : "",
             size / (uint64_t)XENO_CREDIT, size % (uint64_t)XENO_CREDIT);
    cli_cell(t, text);
}

void cli_cell_time(struct cli_table *t, int64_t ms)
{
    cli_cell(t, ms > 0 ? cli_when(ms) : NULL);
}

void cli_cell_short(struct cli_table *t, const char *id)
{
    char text[SHORT_ID + 1];

    snprintf(text, sizeof text, "%s", id ? id : "");
    cli_cell(t, text);
}

/* How many places a text takes on a terminal: continuation bytes of UTF-8 take none. */
static size_t width(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        if (((unsigned char)*text & 0xc0) != 0x80)
            n++;
    return n;
}

/* `most`: only the first bytes of it, 0: all. */
static void print_cell(const struct cli *cli, const char *text, size_t most, size_t room,
                       bool right, bool last, enum cli_paint paint)
{
    xeno_autofree char *cut = most > 0 ? xeno_strndup(text, most) : NULL;
    const char *shown = cut ? cut : text;
    size_t pad = room > width(shown) ? room - width(shown) : 0;
    bool painted = cli->colour && paint != CLI_PLAIN;

    printf("%*s%s%s%s", right ? (int)pad : 0, "", painted ? codes[paint] : "", shown,
           painted ? "\033[0m" : "");
    if (last)
        putchar('\n');
    else
        printf("%*s  ", right ? 0 : (int)pad, "");
}

static bool is_empty(const struct cli_table *t, size_t column)
{
    for (size_t i = column; i < t->rows; i += t->columns)
        if (strcmp(t->cells[i], "-") != 0)
            return false;
    return true;
}

/* How it is laid out: of which columns nothing is shown, of which the beginning, and what is below.
 */
struct layout {
    unsigned hidden, cut;
    size_t last; /* column of a row */
    bool folded;
    size_t room[32];
};

/* Each column as wide as its widest cell. Returns: all of them together. */
static size_t measure(const struct cli_table *t, struct layout *l)
{
    size_t sum = 0;

    for (size_t c = 0; c < t->columns; c++) {
        l->room[c] = width(t->heads[c]);
        for (size_t i = c; i < t->rows; i += t->columns)
            if (width(t->cells[i]) > l->room[c])
                l->room[c] = width(t->cells[i]);
        if ((l->cut & 1U << c) && l->room[c] > SHORT_ID)
            l->room[c] = SHORT_ID;
        if (l->hidden & 1U << c)
            continue;
        sum += l->room[c] + (sum > 0 ? 2 : 0);
        l->last = c;
    }
    return sum;
}

static bool too_wide(const struct cli *cli, size_t sum)
{
    int columns, rows;

    return cli->out_tty && cli_terminal_size(&columns, &rows) && sum > (size_t)columns;
}

static struct layout lay_out(const struct cli *cli, const struct cli_table *t)
{
    struct layout l = { .hidden = 0 };

    for (size_t c = 0; c < t->columns; c++)
        if ((t->optional & 1U << c) && is_empty(t, c))
            l.hidden |= 1U << c;
    if (too_wide(cli, measure(t, &l))) {
        l.cut = t->ids;
        if (too_wide(cli, measure(t, &l)) && t->folds && t->columns > 1) {
            l.folded = true;
            l.hidden |= 1U << (t->columns - 1);
            (void)measure(t, &l);
        }
    }
    return l;
}

static void print_row(const struct cli *cli, const struct cli_table *t, const struct layout *l,
                      char *const *cells, const enum cli_paint *paints)
{
    const char *below = cells[t->columns - 1];

    for (size_t c = 0; c < t->columns; c++)
        if (!(l->hidden & 1U << c))
            print_cell(cli, cells[c], l->cut & 1U << c ? SHORT_ID : 0, l->room[c],
                       t->right & 1U << c, c == l->last, paints[c]);
    if (l->folded && strcmp(below, "-") != 0)
        printf("%*s  %s\n", (int)l->room[0], "", below);
}

void cli_table_print(const struct cli *cli, const struct cli_table *t)
{
    struct layout l;

    if (cli->json)
        return;
    assert(t->columns <= XENO_LEN(l.room));
    l = lay_out(cli, t);
    for (size_t c = 0; c < t->columns; c++)
        if (!(l.hidden & 1U << c))
            print_cell(cli, t->heads[c], 0, l.room[c], t->right & 1U << c, c == l.last, CLI_BOLD);
    for (size_t i = 0; i < t->rows; i += t->columns)
        print_row(cli, t, &l, &t->cells[i], &t->paints[i]);
}

void cli_table_print_or(const struct cli *cli, const struct cli_table *t, const char *none)
{
    if (t->rows > 0 || !cli->out_tty)
        cli_table_print(cli, t);
    if (t->rows == 0)
        cli_note(cli, "%s", none);
}

void cli_field(const struct cli *cli, const char *key, const char *fmt, ...)
{
    va_list ap;

    if (cli->json)
        return;
    printf("%s%-14s%s ", cli->colour ? codes[CLI_DIM] : "", key, cli->colour ? "\033[0m" : "");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

const char *cli_clean(const char *text)
{
    static char rooms[4][512];
    static unsigned next;
    char *out = rooms[next++ % XENO_LEN(rooms)];
    size_t n = 0;

    /* C1 controls are 0xc2 0x80 to 0xc2 0x9f in UTF-8: some terminals obey those too. */
    for (; *text && n + 1 < sizeof rooms[0]; text++) {
        unsigned char c = (unsigned char)*text, d = (unsigned char)text[1];

        if (c < ' ' || c == 0x7f || (c == 0xc2 && d >= 0x80 && d < 0xa0))
            out[n++] = '?';
        else
            out[n++] = (char)c;
    }
    out[n] = '\0';
    return out;
}

const char *cli_when(int64_t ms)
{
    static char rooms[4][32];
    static unsigned next;
    char *out = rooms[next++ % XENO_LEN(rooms)];
    time_t t = (time_t)(ms / 1000);
    struct tm tm;

    if (!localtime_r(&t, &tm) || strftime(out, sizeof rooms[0], "%Y-%m-%d %H:%M", &tm) == 0)
        snprintf(out, sizeof rooms[0], "?");
    return out;
}

const char *cli_str(const struct xeno_json_at *at, const char *key)
{
    const char *text = "";

    if (at->j)
        xeno_json_str_opt(at, key, 0, 1 << 20, &text, NULL);
    return text;
}

int64_t cli_int(const struct xeno_json_at *at, const char *key, int64_t none)
{
    int64_t n = none;

    if (at->j)
        xeno_json_int_opt(at, key, INT64_MIN, INT64_MAX, &n, NULL);
    return n;
}

bool cli_bool(const struct xeno_json_at *at, const char *key)
{
    bool b = false;

    if (at->j)
        xeno_json_bool_opt(at, key, &b, NULL);
    return b;
}

struct xeno_json_at cli_list(const struct xeno_json_at *at, const char *key, size_t *ret_count)
{
    struct xeno_json_at list = { .j = NULL };
    size_t count = 0;

    if (at->j)
        xeno_json_arr_opt(at, key, LIST_ITEMS, &list, &count, NULL);
    *ret_count = count;
    return list;
}

struct xeno_json_at cli_obj(const struct xeno_json_at *at, const char *key)
{
    struct xeno_json_at obj = { .j = NULL };

    if (at->j)
        xeno_json_obj_opt(at, key, &obj, NULL);
    return obj;
}
