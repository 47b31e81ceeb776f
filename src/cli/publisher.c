/* src/cli/publisher.c - publishers the user trusts: `publisher add|ls|rm`. */
#include "cli/publisher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/profile.h"
#include "image/registry.h"

#define FILE_NAME "publishers.json"
#define FILE_MAX  (1 << 20)
#define LIST_MAX  1000
#define PLACE_MAX 512
#define ID_SHOWN  8

struct list {
    size_t count;
    struct cli_publisher *items;
};

static void list_release(struct list *l)
{
    for (size_t i = 0; i < l->count; i++)
        cli_publisher_release(&l->items[i]);
    free(l->items);
}
#define autolist __attribute__((cleanup(list_release))) struct list

void cli_publisher_release(struct cli_publisher *p)
{
    free(p->at);
}

/* --- publishers.json --- */

static int read_one(const struct xeno_json_at *at, struct list *l, struct xeno_err *err)
{
    const char *name = NULL, *id = NULL, *place = NULL;
    struct cli_publisher *p;
    int r = xeno_json_str(at, "name", 1, XENO_NAME_WORD_MAX, &name, err);

    if (r == 0)
        r = xeno_json_str(at, "id", XENO_ID_CHARS, XENO_ID_CHARS, &id, err);
    if (r == 0)
        r = xeno_json_str_opt(at, "at", 1, PLACE_MAX, &place, err);
    if (r < 0)
        return r;
    if (!xeno_id_ok(id))
        return xeno_fail(err, -EINVAL, "json.range", "'%s' is not the id of a party", id);
    l->items = xeno_grow(l->items, l->count + 1);
    p = &l->items[l->count++];
    *p = (struct cli_publisher){ .at = place ? xeno_strdup(place) : NULL };
    snprintf(p->name, sizeof p->name, "%s", name);
    memcpy(p->id.s, id, sizeof p->id.s);
    return 0;
}

static int load(const struct cli *cli, struct list *l, struct xeno_err *err)
{
    xeno_autofree char *folder = cli_profile_path(cli);
    xeno_autofree char *path = xeno_asprintf("%s/%s", folder, FILE_NAME);
    xeno_autofree char *text = NULL;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_json_at top, items;
    size_t len, count = 0;
    int r = xeno_file_read(AT_FDCWD, path, FILE_MAX, &text, &len, &why);

    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = xeno_json_parse(text, len, FILE_MAX, &j, &why);
    if (r < 0)
        return xeno_fail(err, r, why.token, "%s: %s", path, why.text);
    top = xeno_json_top(j);
    r = xeno_json_arr(&top, "publishers", LIST_MAX, &items, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct xeno_json_at at = xeno_json_item(&items, i);

        r = read_one(&at, l, err);
    }
    return r < 0 ? xeno_context(err, r, "%s", path) : 0;
}

static struct xeno_json *one_json(const struct cli_publisher *p)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "name", p->name);
    xeno_json_set_str(j, "id", p->id.s);
    xeno_json_set_str(j, "at", p->at);
    return j;
}

static struct xeno_json *list_json(const struct list *l)
{
    struct xeno_json *j = xeno_json_object(), *items = xeno_json_array();

    for (size_t i = 0; i < l->count; i++)
        xeno_json_append(items, one_json(&l->items[i]));
    xeno_json_set(j, "publishers", items);
    return j;
}

static int save(const struct cli *cli, const struct list *l, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = list_json(l);

    return cli_profile_put(cli, FILE_NAME, j, err);
}

/* --- finding one --- */

/* By id or short name; -1 when it is not in the list. */
static ssize_t find(const struct list *l, const char *word)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i].id.s, word) == 0 || strcmp(l->items[i].name, word) == 0)
            return (ssize_t)i;
    return -1;
}

int cli_publisher_find(struct cli *cli, const char *word, struct cli_publisher *ret,
                       struct xeno_err *err)
{
    autolist l = { .count = 0 };
    ssize_t i;
    int r = load(cli, &l, err);

    if (r == 0 && !*word) {
        r = cli_profile_need(cli, err);
        word = r == 0 ? cli->profile->cert->id.s : word;
    }
    if (r < 0)
        return r;
    i = find(&l, word);
    if (i >= 0) {
        *ret = l.items[i];
        l.items[i].at = NULL;
        return 0;
    }
    if (!xeno_id_ok(word))
        return xeno_fail(err, -ENOENT, "publisher.unknown", "you know no publisher '%s'", word);
    memcpy(ret->id.s, word, sizeof ret->id.s);
    return 0;
}

const char *cli_publisher_called(const struct cli *cli, const struct xeno_id *id,
                                 char out[XENO_NAME_WORD])
{
    autolist l = { .count = 0 };
    ssize_t i = load(cli, &l, NULL) == 0 ? find(&l, id->s) : -1;

    if (i >= 0)
        snprintf(out, XENO_NAME_WORD, "%s", l.items[i].name);
    else
        snprintf(out, XENO_NAME_WORD, "%.*s", ID_SHOWN, id->s);
    return out;
}

int cli_publisher_place(const char *what, const char *at, struct xeno_err *err)
{
    xeno_autofree char *below = xeno_asprintf("%s/x", at);
    struct xeno_registry_name n;

    if (strlen(at) > PLACE_MAX || xeno_registry_name_parse(below, &n, NULL) < 0)
        return cli_usage(err, "%s: '%.300s' is not oci://HOST[:PORT][/FOLDER]", what, at);
    return 0;
}

/* --- verbs --- */

static int run_add(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    const char *name = args->words[0], *id = args->words[1], *at = cli_value(args, "at");
    struct cli_publisher *p;
    autolist l = { .count = 0 };
    ssize_t i;
    int r;

    if (!xeno_name_word_ok(name) || xeno_id_ok(name))
        return cli_usage(err,
                         "'%.100s': a short name is at most %d lower-case letters and digits "
                         "joined by one of . _ -, and no id",
                         name, XENO_NAME_WORD_MAX);
    if (!xeno_id_ok(id))
        return cli_usage(err, "'%.100s' is not the id of a party (32 letters)", id);
    r = at ? cli_publisher_place("--at", at, err) : 0;
    if (r == 0)
        r = load(cli, &l, err);
    if (r < 0)
        return r;
    i = find(&l, name);
    if (i >= 0 && strcmp(l.items[i].id.s, id) != 0) /* a name is not given to another in passing */
        return xeno_fail(err, -EEXIST, "publisher.taken", "'%s' is %s; first: xeno publisher rm %s",
                         name, l.items[i].id.s, name);
    i = find(&l, id);
    if (i < 0 && l.count == LIST_MAX)
        return xeno_fail(err, -ENOSPC, "publisher.many", "at most %d publishers", LIST_MAX);
    if (i < 0) {
        l.items = xeno_grow(l.items, l.count + 1);
        i = (ssize_t)l.count++;
        l.items[i] = (struct cli_publisher){ .at = NULL };
    }
    p = &l.items[i];
    snprintf(p->name, sizeof p->name, "%s", name);
    memcpy(p->id.s, id, sizeof p->id.s);
    free(p->at);
    p->at = at ? xeno_strdup(at) : NULL;
    r = save(cli, &l, err);
    if (r < 0)
        return r;
    cli_say(cli, "%s is %s", name, id);
    if (cli->json)
        cli_json(one_json(p));
    return CLI_OK;
}

static int run_rm(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    autolist l = { .count = 0 };
    ssize_t i;
    int r = load(cli, &l, err);

    if (r < 0)
        return r;
    i = find(&l, args->words[0]);
    if (i < 0)
        return xeno_fail(err, -ENOENT, "publisher.unknown", "you know no publisher '%s'",
                         args->words[0]);
    cli_publisher_release(&l.items[i]);
    l.count--;
    memmove(&l.items[i], &l.items[i + 1], (l.count - (size_t)i) * sizeof *l.items);
    r = save(cli, &l, err);
    if (r < 0)
        return r;
    if (cli->json)
        cli_json(list_json(&l));
    return CLI_OK;
}

static int run_ls(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "NAME", "ID", "AT" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 0);
    autolist l = { .count = 0 };
    int r = load(cli, &l, err);

    (void)args;
    if (r < 0)
        return r;
    for (size_t i = 0; i < l.count; i++) {
        cli_cell_paint(&t, l.items[i].name, CLI_BOLD);
        cli_cell(&t, l.items[i].id.s);
        cli_cell(&t, l.items[i].at);
    }
    cli_table_print_or(cli, &t, "no publishers: add one: xeno publisher add NAME ID");
    if (cli->json)
        cli_json(list_json(&l));
    return CLI_OK;
}

static const struct cli_option add_options[] = {
    { "at", 0, "PLACE", "where its images are: oci://HOST[:PORT][/FOLDER]", false, 0 },
    { NULL },
};
static const struct cli_option no_options[] = { { NULL } };

const struct cli_command cli_publisher_commands[] = {
    { .name = "publisher add",
      .usage = "NAME ID",
      .summary = "trust what a party says its signed names stand for",
      .about =
          "NAME is yours alone: what is pulled below template://NAME/ is then signed by ID or\n"
          "refused. Get ID from the publisher itself. Without --at its images are in the\n"
          "default store.",
      .examples = "xeno publisher add debian abcdefghijklmnopqrstuvwxyz234567\n"
                  "xeno publisher add me abcdefghijklmnopqrstuvwxyz234567 --at \\\n"
                  "    oci://registry.example.org/me",
      .options = add_options,
      .min_words = 2,
      .max_words = 2,
      .run = run_add },
    { .name = "publisher ls",
      .usage = "",
      .summary = "list the publishers you trust",
      .examples = "xeno publisher ls",
      .options = no_options,
      .run = run_ls },
    { .name = "publisher rm",
      .usage = "NAME",
      .summary = "trust a publisher no more",
      .examples = "xeno publisher rm debian",
      .options = no_options,
      .min_words = 1,
      .max_words = 1,
      .run = run_rm },
    { NULL },
};
