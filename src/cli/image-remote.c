/* src/cli/image-remote.c - templates and overlays to and from registries. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/image.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/signed.h"
#include "cli/store-pay.h"
#include "doc/storage.h"
#include "image/pull.h"
#include "image/push.h"

const struct cli_option cli_push_options[] = {
    STORE_OPTION,
    { "from", 0, "REPO", "a repository there that may have layers already", false, 0 },
    STORE_PAY_OPTIONS,
    REMOTE_OPTIONS,
    { NULL },
};

const struct cli_option cli_pull_options[] = {
    STORE_OPTION,
    { "name", 'n', "NAME", "its name here (default: the last word of its name there)", false, 0 },
    { "arch", 0, "ARCH", "of an image for several machines, this one's: amd64, arm64", false, 0 },
    { "whole", 0, NULL, "fetch layers whole, not what of them is new", false, 0 },
    { "check", 0, NULL, "read layers that are here, and fetch those that are spoilt", false, 0 },
    REMOTE_OPTIONS,
    { NULL },
};

static bool is_overlay(const struct cli *cli)
{
    return strncmp(cli->command->name, "overlay", 7) == 0;
}

/* "template://NAME" to NAME; *ret_ref: with the scheme of the verb, the caller's. */
static const char *local_name(const struct cli *cli, const char *word, char **ret_ref)
{
    const char *name = strstr(word, "://");

    *ret_ref = name ? xeno_strdup(word)
                    : xeno_asprintf("%s://%s", is_overlay(cli) ? "overlay" : "template", word);
    return name ? name + 3 : word;
}

/* --- push --- */

/* `paid` is taken; NULL: nothing is. */
static void print_pushed(struct cli *cli, const char *where, const struct xeno_pushed *sent,
                         struct xeno_json *paid)
{
    char size[32];

    if (cli->json) {
        struct xeno_json *j = xeno_json_object();

        xeno_json_set_str(j, "where", where);
        xeno_json_set_str(j, "digest", sent->digest);
        xeno_json_set_int(j, "size_bytes", sent->size_bytes);
        xeno_json_set_int(j, "blobs", (int64_t)sent->blobs);
        xeno_json_set_int(j, "blobs_there", (int64_t)sent->there);
        xeno_json_set_int(j, "blobs_mounted", (int64_t)sent->mounted);
        xeno_json_set_int(j, "sent_bytes", sent->sent_bytes);
        xeno_json_set_int(j, "requests", sent->requests);
        if (paid)
            xeno_json_set(j, "paid", xeno_json_ref(paid));
        cli_json(j);
    }
    cli_say(cli, "%s %s", where, sent->digest);
    cli_note(cli, "sent %s in %" PRId64 " requests; %zu of %zu blobs were there already",
             xeno_size_text(sent->sent_bytes, size), sent->requests, sent->there + sent->mounted,
             sent->blobs);
    cli_store_paid(cli, paid);
    xeno_json_unref(paid);
}

/* *ret_name: where it is then. */
static int push_to(struct cli *cli, const struct cli_args *args, struct xeno_store *st,
                   const char *ref, const char *name, const char *to,
                   struct xeno_registry_name *ret_name, struct xeno_pushed *ret,
                   struct xeno_err *err)
{
    xeno_auto(cli_remote) remote = NULL;
    xeno_auto(cli_progress) p = NULL;
    struct xeno_progress hook;
    struct xeno_push_opts opts = { .ref = ref };
    int r = cli_remote_open(cli, args, to, cli_value(args, "from"), true, &remote, err);

    if (r < 0)
        return r;
    opts.registry = remote->registry;
    opts.tag = remote->name.tag[0] ? remote->name.tag : NULL;
    p = cli_progress_new(cli, "sending %s", name);
    hook = cli_progress_hook(p);
    opts.progress = &hook;
    r = xeno_image_push(st, &opts, ret, err);
    *ret_name = remote->name;
    return r;
}

/* The further copies that are asked for, and paying for all of them. */
static int push_copies(struct cli *cli, const struct cli_args *args, struct xeno_store *st,
                       const char *ref, const char *name, const struct xeno_registry_name *first,
                       const char *digest, struct xeno_json **ret_paid, struct xeno_err *err)
{
    const char *hosts[XENO_WRITECERT_COPIES] = { first->host };
    size_t count = 0;
    const char *const *copies = cli_values(args, "copy", &count);
    int r = 0;

    if (!cli_value(args, "pay"))
        return count == 0 ? 0 : cli_usage(err, "--copy: say what it may cost (--pay)");
    if (count >= XENO_LEN(hosts))
        return cli_usage(err, "--copy: %d copies at most, with the first", XENO_WRITECERT_COPIES);
    for (size_t i = 0; r == 0 && i < count; i++) {
        xeno_autofree char *to = xeno_asprintf("oci://%s/%s%s%s", copies[i], first->repo,
                                               first->tag[0] ? ":" : "", first->tag);
        struct xeno_registry_name there;
        struct xeno_pushed sent;

        hosts[i + 1] = copies[i];
        r = push_to(cli, args, st, ref, name, to, &there, &sent, err);
    }
    return r < 0 ? r : cli_store_pay(cli, args, hosts, count + 1, st, digest, ret_paid, err);
}

int cli_image_push(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_store) st = NULL;
    xeno_autofree char *ref = NULL, *where = NULL;
    const char *name = local_name(cli, args->words[0], &ref);
    struct xeno_registry_name place;
    struct xeno_json *paid = NULL;
    struct xeno_pushed sent;
    int r;

    if (args->word_count < 2 && strncmp(name, "sha256:", 7) == 0)
        return cli_usage(err, "say what it shall be called there");
    r = cli_store_open(cli, args, XENO_STORE_READ, &st, err);
    if (r >= 0)
        r = push_to(cli, args, st, ref, name, args->word_count > 1 ? args->words[1] : name, &place,
                    &sent, err);
    if (r >= 0)
        r = push_copies(cli, args, st, ref, name, &place, sent.digest, &paid, err);
    if (r < 0)
        return r;
    where = xeno_registry_name_format(&place);
    print_pushed(cli, where, &sent, paid);
    return CLI_OK;
}

/* --- pull --- */

/* The last word of the repository, and the tag when that says something. */
static char *name_here(const struct xeno_registry_name *n)
{
    const char *last = strrchr(n->repo, '/');
    bool tagged = n->tag[0] && strcmp(n->tag, "latest") != 0;

    return xeno_asprintf("%s%s%s", last ? last + 1 : n->repo, tagged ? ":" : "",
                         tagged ? n->tag : "");
}

/* said: the statement it came by; sequence 0: it was named by its place. */
static void print_pulled(struct cli *cli, const char *name, const char *where,
                         const struct xeno_name *said, const struct xeno_pulled *got)
{
    char fetched[32], reused[32];

    if (cli->json) {
        struct xeno_json *j = xeno_json_object();

        xeno_json_set_str(j, "name", name);
        xeno_json_set_str(j, "where", where);
        xeno_json_set_str(j, "digest", got->digest);
        xeno_json_set_int(j, "size_bytes", got->size_bytes);
        xeno_json_set_int(j, "layers", (int64_t)got->layers);
        xeno_json_set_int(j, "layers_here", (int64_t)got->layers_here);
        xeno_json_set_int(j, "layers_pieced", (int64_t)got->layers_pieced);
        xeno_json_set_int(j, "layers_again", (int64_t)got->layers_again);
        xeno_json_set_int(j, "fetched_bytes", got->fetched_bytes);
        xeno_json_set_int(j, "reused_bytes", got->reused_bytes);
        xeno_json_set_int(j, "requests", got->requests);
        if (said->sequence > 0)
            xeno_json_set(j, "signed", cli_signed_json(said));
        cli_json(j);
    }
    cli_say(cli, "%s %s", name, got->digest);
    if (said->sequence > 0)
        cli_note(cli, "by statement %" PRId64 " of %s", said->sequence, said->publisher.s);
    cli_note(cli, "fetched %s in %" PRId64 " requests; %zu of %zu layers were here",
             xeno_size_text(got->fetched_bytes, fetched), got->requests, got->layers_here,
             got->layers);
    if (got->layers_pieced > 0)
        cli_note(cli, "%zu layer%s put together here, with %s of older layers", got->layers_pieced,
                 got->layers_pieced == 1 ? " was" : "s were",
                 xeno_size_text(got->reused_bytes, reused));
}

int cli_image_pull(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(cli_remote) remote = NULL;
    xeno_auto(cli_progress) p = NULL;
    xeno_autofree char *where = NULL, *default_name = NULL;
    struct xeno_progress hook;
    struct xeno_pull_opts opts = { .kind =
                                       is_overlay(cli) ? XENO_IMAGE_OVERLAY : XENO_IMAGE_TEMPLATE,
                                   .name = cli_value(args, "name"),
                                   .arch = cli_value(args, "arch"),
                                   .whole = cli_flag(args, "whole"),
                                   .check = cli_flag(args, "check") };
    struct xeno_name said = { .sequence = 0 };
    struct xeno_pulled got;
    const char *word = args->words[0];
    bool is_signed = cli_is_signed(word);
    int r = is_signed ? 0 : cli_remote_open(cli, args, word, NULL, false, &remote, err);

    if (r >= 0)
        r = cli_store_open(cli, args, XENO_STORE_CREATE, &st, err);
    if (r >= 0 && is_signed)
        r = cli_signed_resolve(cli, args, word, xeno_store_path(st), &remote, &said, err);
    if (r < 0)
        return r;
    default_name = is_signed ? xeno_strdup(strstr(word, "://") + 3) : name_here(&remote->name);
    opts.name = opts.name ? opts.name : default_name;
    opts.registry = remote->registry;
    opts.ref = remote->name.digest[0] ? remote->name.digest : remote->name.tag;
    where = xeno_registry_name_format(&remote->name);
    p = cli_progress_new(cli, "fetching %s", opts.name);
    hook = cli_progress_hook(p);
    opts.progress = &hook;
    r = xeno_image_pull(st, &opts, &got, err);
    cli_progress_free(xeno_take(&p));
    if (r < 0)
        return xeno_context(err, r, "%s", where);
    print_pulled(cli, opts.name, where, &said, &got);
    return CLI_OK;
}
