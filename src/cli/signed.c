/* src/cli/signed.c - signed names: asked for, and shown. */
#include "cli/signed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/commands.h"
#include "cli/image.h"
#include "cli/out.h"
#include "cli/profile.h"
#include "image/artifact.h"
#include "spec/requirement.h"

static const char template_[] = "template://", overlay[] = "overlay://";

static bool verb_of_overlays(const struct cli *cli)
{
    return strncmp(cli->command->name, "overlay", 7) == 0;
}

static const char *scheme_of(const struct cli *cli)
{
    return verb_of_overlays(cli) ? overlay : template_;
}

bool cli_is_signed(const char *word)
{
    return strncmp(word, template_, sizeof(template_) - 1) == 0 ||
           strncmp(word, overlay, sizeof(overlay) - 1) == 0;
}

int cli_signed_parse(const struct cli *cli, const char *word, struct xeno_name_ref *ret,
                     struct xeno_err *err)
{
    const char *scheme = scheme_of(cli);
    size_t len = strlen(scheme);

    if (strncmp(word, scheme, len) == 0)
        word += len;
    else if (strstr(word, "://"))
        return cli_usage(err, "'%.200s': this verb takes %s[PUBLISHER/]NAME/VERSION", word, scheme);
    return xeno_name_ref_parse(word, ret, err);
}

/* --- at a registry --- */

const char *cli_signed_tag(const char *version, char out[CLI_SIGNED_TAG])
{
    snprintf(out, CLI_SIGNED_TAG, "_name.%s", version);
    return out;
}

int cli_signed_open(struct cli *cli, const struct cli_args *args, const struct cli_publisher *p,
                    const struct xeno_name_ref *ref, const char *tag, bool write,
                    struct cli_remote **ret, struct xeno_err *err)
{
    xeno_autofree char *where = xeno_asprintf("%s/%s:%s", p->at ? p->at : p->id.s, ref->name, tag);

    return cli_remote_open(cli, args, where, NULL, write, ret, err);
}

int cli_signed_fetch(struct cli *cli, struct cli_remote *remote, const struct cli_publisher *p,
                     const struct xeno_name_ref *ref, struct xeno_name *ret, char **ret_text,
                     struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    char tag[CLI_SIGNED_TAG];
    struct xeno_name n;
    size_t len;
    int r = xeno_artifact_get(remote->registry, cli_signed_tag(ref->version, tag),
                              &(struct xeno_artifact_type)CLI_SIGNED_TYPE, XENO_NAME_MAX, &text,
                              &len, err);

    if (r == -ENOENT)
        return xeno_fail(err, r, "name.none", "%s has published no '%s/%s' at %s/%s", p->id.s,
                         ref->name, ref->version, remote->name.host, remote->name.repo);
    if (r == 0)
        r = xeno_name_read(text, len, &n, err);
    if (r == 0)
        r = xeno_name_accept(&n, &p->id, ref, xeno_wall(cli->env), err);
    if (r < 0)
        return xeno_context(err, r, "what %s says of '%s/%s'", remote->name.host, ref->name,
                            ref->version);
    *ret = n;
    *ret_text = xeno_take(&text);
    return 0;
}

static int remember(const char *folder, const struct xeno_name *n, const char *text,
                    struct xeno_err *err)
{
    xeno_auto(xeno_seen) seen = NULL;
    int r = xeno_seen_open(folder, true, &seen, err);

    return r < 0 ? r : xeno_seen_take(seen, n, text, err);
}

/* A registry that does not answer is none that says no: what it said last is good until it ends. */
static int last_seen(struct cli *cli, const char *folder, const struct cli_remote *remote,
                     const struct cli_publisher *p, const struct xeno_name_ref *ref,
                     struct xeno_name *ret, char **ret_text, struct xeno_err *why)
{
    xeno_auto(xeno_seen) seen = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_name n;

    if (strncmp(why->token, "http.", 5) != 0 || xeno_seen_open(folder, false, &seen, NULL) < 0 ||
        xeno_seen_last(seen, &p->id, ref->name, ref->version, &n, &text, NULL) < 0 ||
        xeno_name_accept(&n, &p->id, ref, xeno_wall(cli->env), NULL) < 0)
        return why->code;
    cli_note(cli, "%s does not answer: taken is what it said of '%s/%s' last, statement %" PRId64,
             remote->name.host, ref->name, ref->version, n.sequence);
    *ret = n;
    *ret_text = xeno_take(&text);
    return 0;
}

/* What `ref` stands for now, as template or overlay. `folder`: where what was seen is looked up
 * when the registry is away; NULL: it must answer. */
static int ask(struct cli *cli, const struct cli_args *args, const struct xeno_name_ref *ref,
               bool is_overlay, const char *folder, struct cli_remote **ret, struct xeno_name *n,
               char **ret_text, struct xeno_err *err)
{
    xeno_auto(cli_remote) remote = NULL;
    cli_autopublisher p = { .at = NULL };
    int r = cli_publisher_find(cli, ref->publisher, &p, err);

    if (r == 0)
        r = cli_signed_open(cli, args, &p, ref, ref->version, false, &remote, err);
    if (r == 0) {
        r = cli_signed_fetch(cli, remote, &p, ref, n, ret_text, err);
        if (r < 0 && folder)
            r = last_seen(cli, folder, remote, &p, ref, n, ret_text, err);
    }
    if (r == 0 && n->overlay != is_overlay)
        r = xeno_fail(err, -EINVAL, "name.kind", "'%s/%s' is published as %s", n->name, n->version,
                      n->overlay ? "an overlay" : "a template");
    if (r < 0)
        return r;
    memcpy(remote->name.digest, n->digest, sizeof remote->name.digest);
    *ret = xeno_take(&remote);
    return 0;
}

int cli_signed_resolve(struct cli *cli, const struct cli_args *args, const char *word,
                       const char *store, struct cli_remote **ret, struct xeno_name *ret_said,
                       struct xeno_err *err)
{
    xeno_autofree char *folder = xeno_asprintf("%s/.names", store);
    xeno_auto(cli_remote) remote = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_name_ref ref;
    struct xeno_name n;
    int r = cli_signed_parse(cli, word, &ref, err);

    if (r == 0)
        r = ask(cli, args, &ref, verb_of_overlays(cli), NULL, &remote, &n, &text, err);
    if (r == 0)
        r = remember(folder, &n, text, err);
    if (r < 0)
        return r;
    *ret_said = n;
    *ret = xeno_take(&remote);
    return 0;
}

/* --- of a session to be --- */

/* A name of two or three words; of one word it is the XenoServer's. */
static bool signed_words(const char *ref, struct xeno_name_ref *ret)
{
    return cli_is_signed(ref) && xeno_name_ref_parse(strstr(ref, "://") + 3, ret, NULL) == 0;
}

/* Nobody here said anything about such a name. */
static bool means_nothing(const struct xeno_name_ref *ref, const struct xeno_err *why)
{
    return xeno_err_is(why, "publisher.unknown") ||
           (!*ref->publisher && (xeno_err_is(why, "name.none") || xeno_err_is(why, "store.none")));
}

/* In names/ of the profile; and beside the images of this machine, where pull notes it, too. */
static int remember_pinned(struct cli *cli, const char *folder, const struct xeno_name *n,
                           const char *text, struct xeno_err *err)
{
    xeno_autofree char *own = cli_profile_path(cli), *images = cli_store_path(cli, NULL);
    xeno_autofree char *beside = xeno_asprintf("%s/.names", images);
    int r = xeno_mkdirs(AT_FDCWD, own, 0700, err);

    if (r >= 0 && access(beside, W_OK) == 0)
        r = remember(beside, n, text, err);
    return r < 0 ? r : remember(folder, n, text, err);
}

int cli_signed_pin(struct cli *cli, const char *word, char **ret, struct xeno_err *err)
{
    xeno_auto(cli_remote) remote = NULL;
    xeno_autofree char *own = cli_profile_path(cli);
    xeno_autofree char *folder = xeno_asprintf("%s/names", own);
    xeno_autofree char *text = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_name_ref ref;
    struct xeno_name n;
    int r;

    if (!signed_words(word, &ref))
        return 0;
    r = ask(cli, NULL, &ref, strncmp(word, overlay, sizeof(overlay) - 1) == 0, folder, &remote, &n,
            &text, &why);
    if (r < 0 && means_nothing(&ref, &why))
        return 0;
    if (r < 0)
        return xeno_fail(err, r, why.token, "%s", why.text);
    r = remember_pinned(cli, folder, &n, text, err);
    if (r < 0)
        return r;
    remote->name.tag[0] = '\0';
    *ret = xeno_registry_name_format(&remote->name);
    return 1;
}

/* Pin one of a document's names in its place. */
static int pin(struct cli *cli, char ref[XENO_IMAGE_REF_TEXT], struct xeno_err *err)
{
    xeno_autofree char *place = NULL;
    int r = cli_signed_pin(cli, ref, &place, err);

    if (r > 0)
        snprintf(ref, XENO_IMAGE_REF_TEXT, "%s", place);
    return r < 0 ? xeno_context(err, r, "%.120s", ref) : 0;
}

int cli_signed_pin_all(struct cli *cli, struct xeno_requirement *req, struct xeno_err *err)
{
    int r = pin(cli, req->template_ref, err);

    for (size_t i = 0; r == 0 && i < req->overlay_count; i++)
        r = pin(cli, req->overlays[i], err);
    return r;
}

/* --- which images came by one --- */

struct xeno_seen_list *cli_signed_list(const char *store)
{
    xeno_autofree char *path = xeno_asprintf("%s/.names", store);
    xeno_auto(xeno_seen) seen = NULL;
    struct xeno_seen_list *list = NULL;

    if (xeno_seen_open(path, false, &seen, NULL) < 0 || xeno_seen_list(seen, &list, NULL) < 0)
        return xeno_new0(struct xeno_seen_list);
    return list;
}

struct xeno_json *cli_signed_json(const struct xeno_name *n)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "publisher", n->publisher.s);
    xeno_json_set_str(j, "name", n->name);
    xeno_json_set_str(j, "version", n->version);
    xeno_json_set_int(j, "sequence", n->sequence);
    xeno_json_set_bool(j, "moves", n->moves);
    xeno_json_set_int(j, "issued_ms", n->issued.ns / XENO_NS_PER_MS);
    if (n->moves)
        xeno_json_set_int(j, "expires_ms", n->expires.ns / XENO_NS_PER_MS);
    return j;
}

struct xeno_json *cli_signed_of(const struct xeno_seen_list *list, const char *digest)
{
    struct xeno_json *all = xeno_json_array();

    for (size_t i = 0; i < list->count; i++) {
        struct xeno_json *j;

        if (strcmp(list->items[i].n.digest, digest) != 0)
            continue;
        j = cli_signed_json(&list->items[i].n);
        xeno_json_set_bool(j, "last", list->items[i].last);
        xeno_json_append(all, j);
    }
    return all;
}

char *cli_signed_short(const struct cli *cli, const struct xeno_seen_list *list, const char *digest)
{
    const struct xeno_name *best = NULL;
    char called[XENO_NAME_WORD];

    for (size_t i = 0; i < list->count; i++) {
        const struct xeno_name *n = &list->items[i].n;

        if (strcmp(n->digest, digest) == 0 && (!best || n->sequence > best->sequence))
            best = n;
    }
    return best ? xeno_asprintf("%s/%s/%s %" PRId64,
                                cli_publisher_called(cli, &best->publisher, called), best->name,
                                best->version, best->sequence)
                : NULL;
}

void cli_signed_show(const struct cli *cli, const struct xeno_seen_list *list, const char *digest)
{
    const char *key = "signed as";

    for (size_t i = 0; i < list->count; i++) {
        const struct xeno_name *n = &list->items[i].n;
        char called[XENO_NAME_WORD];

        if (strcmp(n->digest, digest) != 0)
            continue;
        cli_field(cli, key, "%s/%s/%s by %s, statement %" PRId64 "%s",
                  cli_publisher_called(cli, &n->publisher, called), n->name, n->version,
                  n->publisher.s, n->sequence,
                  !list->items[i].last ? ", replaced since"
                  : n->moves           ? ", which moves"
                                       : "");
        key = "";
    }
}
