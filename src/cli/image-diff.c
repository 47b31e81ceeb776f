/* src/cli/image-diff.c - `template diff`: what of an image differs from another. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/image.h"
#include "cli/out.h"
#include "image/diff.h"

const struct cli_option cli_template_diff_options[] = { STORE_OPTION, { NULL } };

static const char marks[] = { [XENO_DIFF_ADDED] = '+',
                              [XENO_DIFF_REMOVED] = '-',
                              [XENO_DIFF_CHANGED] = '~',
                              [XENO_DIFF_META] = 'm' };
static const char *const words[] = { [XENO_DIFF_ADDED] = "added",
                                     [XENO_DIFF_REMOVED] = "removed",
                                     [XENO_DIFF_CHANGED] = "changed",
                                     [XENO_DIFF_META] = "meta" };

struct listing {
    struct cli *cli;
    struct xeno_json *items;
};

static int list_item(void *arg, const struct xeno_diff_item *item, struct xeno_err *err)
{
    struct listing *l = arg;
    struct xeno_json *j;
    char size[32];

    (void)err;
    if (!l->cli->json) {
        cli_say(l->cli, "%c %s%s%s", marks[item->kind], cli_clean(item->path),
                item->new_bytes > 0 && item->kind != XENO_DIFF_META ? "  " : "",
                item->new_bytes > 0 && item->kind != XENO_DIFF_META
                    ? xeno_size_text(item->new_bytes, size)
                    : "");
        return 0;
    }
    j = xeno_json_object();
    xeno_json_set_str(j, "path", item->path);
    xeno_json_set_str(j, "kind", words[item->kind]);
    xeno_json_set_int(j, "old_bytes", item->old_bytes);
    xeno_json_set_int(j, "new_bytes", item->new_bytes);
    xeno_json_append(l->items, j);
    return 0;
}

static void print_json(struct xeno_json *items, const struct xeno_diff *d)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set(j, "files", items);
    xeno_json_set_int(j, "pieces", d->pieces);
    xeno_json_set_int(j, "bytes", d->bytes);
    xeno_json_set_int(j, "new_pieces", d->new_pieces);
    xeno_json_set_int(j, "new_bytes", d->new_bytes);
    xeno_json_set_int(j, "table_bytes", d->table_bytes);
    cli_json(j);
}

int cli_template_diff(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct listing l = { .cli = cli, .items = xeno_json_array() };
    xeno_auto(xeno_store) st = NULL;
    char all[32], new[32], tables[32];
    struct xeno_diff d;
    int r = cli_store_open(cli, args, XENO_STORE_READ, &st, err);

    if (r == 0)
        r = xeno_image_diff(st, args->words[0], args->words[1], list_item, &l, &d, err);
    if (r < 0) {
        xeno_json_unref(l.items);
        return r;
    }
    if (cli->json) {
        print_json(l.items, &d);
        return CLI_OK;
    }
    xeno_json_unref(l.items);
    cli_say(cli,
            "%" PRId64 " added, %" PRId64 " removed, %" PRId64 " changed, %" PRId64
            " with other attributes",
            d.added, d.removed, d.changed, d.meta);
    cli_say(cli, "%s in %" PRId64 " pieces are new, of %s in %" PRId64 "; tables of contents %s",
            xeno_size_text(d.new_bytes, new), d.new_pieces, xeno_size_text(d.bytes, all), d.pieces,
            xeno_size_text(d.table_bytes, tables));
    return CLI_OK;
}
