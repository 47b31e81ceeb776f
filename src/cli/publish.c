/* src/cli/publish.c - `template publish`, `overlay publish`: an image, and a signed name for it.
 *
 * The image first, then what we signed is remembered (published/ of the profile), then the
 * statement goes to the registry: so no name stands for an image that is not there, and no number
 * is used for two images, wherever it stops. Done again it goes on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/image.h"
#include "cli/out.h"
#include "cli/profile.h"
#include "cli/progress.h"
#include "cli/signed.h"
#include "image/artifact.h"
#include "image/push.h"

#define LIFETIME_S     (30 * 86400)
#define LIFETIME_MIN_S 60
#define LIFETIME_MAX_S (INT64_C(3650) * 86400)

const struct cli_option cli_publish_options[] = {
    STORE_OPTION,
    { "move", 0, NULL, "the name may stand for another image later (default: never)", false, 0 },
    { "lifetime", 'l', "TIME", "of a name that moves: to be said again before (default: 30d)",
      false, 0 },
    { "to", 0, "PLACE", "below oci://HOST[:PORT][/FOLDER] (default: in the default store)", false,
      0 },
    REMOTE_OPTIONS,
    { NULL },
};

struct publishing {
    struct cli *cli;
    struct xeno_store *st;
    struct cli_remote *remote;
    struct xeno_seen *seen; /* what we published */
    struct cli_publisher us;
    struct xeno_name_ref ref;
    struct xeno_name n; /* what is to be said */
    char *text;         /* the same, signed */
    struct xeno_pushed sent;
};

static void publishing_release(struct publishing *p)
{
    xeno_store_free(p->st);
    cli_remote_free(p->remote);
    xeno_seen_free(p->seen);
    cli_publisher_release(&p->us);
    free(p->text);
}
#define autopublishing __attribute__((cleanup(publishing_release))) struct publishing

/* --- what it is about --- */

/* Only we can sign for us. */
static int find_us(struct publishing *p, const struct cli_args *args, struct xeno_err *err)
{
    const char *to = cli_value(args, "to");
    int r = cli_profile_need(p->cli, err);

    if (r == 0)
        r = cli_publisher_find(p->cli, p->ref.publisher, &p->us, err);
    if (r == 0 && to)
        r = cli_publisher_place("--to", to, err);
    if (r < 0)
        return r;
    if (strcmp(p->us.id.s, p->cli->profile->cert->id.s) != 0)
        return cli_usage(err, "'%s' is not you: leave it out, or say %s", p->ref.publisher,
                         p->cli->profile->cert->id.s);
    if (to) {
        free(p->us.at);
        p->us.at = xeno_strdup(to);
    }
    return 0;
}

static int read_image(struct publishing *p, const char *ref, struct xeno_err *err)
{
    xeno_auto(xeno_image) im = NULL;
    int r = xeno_store_resolve(p->st, ref, NULL, &im, err);

    if (r == 0)
        memcpy(p->n.digest, im->digest, sizeof p->n.digest);
    return r;
}

static int read_times(struct publishing *p, const struct cli_args *args, struct xeno_err *err)
{
    xeno_time life = xeno_s(LIFETIME_S), now = xeno_wall(p->cli->env);
    int r = cli_duration(args, "lifetime", &life, err);

    if (r < 0)
        return r;
    if (cli_value(args, "lifetime") && !p->n.moves)
        return cli_usage(err, "--lifetime: what is said of a name that does not move has no end");
    if (life.ns < LIFETIME_MIN_S * XENO_NS_PER_S || life.ns > LIFETIME_MAX_S * XENO_NS_PER_S)
        return cli_usage(err, "--lifetime: from a minute to ten years");
    p->n.issued = now;
    p->n.expires = xeno_ns(p->n.moves ? now.ns + life.ns : 0);
    return 0;
}

/* --- what was said before --- */

/* Is what the registry has no statement of ours, and so to be replaced? Trouble in asking is not.
 */
static bool is_no_statement(const struct xeno_err *why)
{
    static const char *const tokens[] = { "name.", "jws.",         "json.",
                                          "doc.",  "oci.artifact", "image.corrupt" };

    for (size_t i = 0; i < XENO_LEN(tokens); i++)
        if (strncmp(why->token, tokens[i], strlen(tokens[i])) == 0)
            return true;
    return false;
}

/* Another machine of ours may have published since, or this one forgot: what the registry has of
 * ours counts as well, when it is later than what we know. */
static int learn(struct publishing *p, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    xeno_autofree char *text = NULL;
    struct xeno_name n;
    int r = cli_signed_fetch(p->cli, p->remote, &p->us, &p->ref, &n, &text, &why);

    if (r < 0 && is_no_statement(&why))
        return 0;
    if (r == 0)
        r = xeno_seen_take(p->seen, &n, text, &why);
    if (r == 0 || xeno_err_is(&why, "name.rollback"))
        return 0;
    return xeno_fail(err, r, why.token, "%s", why.text);
}

/* Decide what is said now: something new, or the same again. */
static int decide(struct publishing *p, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_name last = { .sequence = 0 };
    int r = xeno_seen_last(p->seen, &p->us.id, p->ref.name, p->ref.version, &last, &p->text, &why);

    if (r < 0 && r != -ENOENT)
        return xeno_fail(err, r, why.token, "%s", why.text);
    if (r == 0 && last.moves && !p->n.moves)
        return xeno_fail(err, -EEXIST, "name.moves",
                         "'%s/%s' moves, by what you said before: say --move, or publish it under "
                         "another version",
                         last.name, last.version);
    if (r == 0 && !last.moves) {
        if (p->n.moves || last.overlay != p->n.overlay || strcmp(last.digest, p->n.digest) != 0)
            return xeno_fail(err, -EEXIST, "name.fixed",
                             "'%s/%s' stands for %s and does not move, as you promised: publish "
                             "this under another version",
                             last.name, last.version, last.digest);
        p->n = last; /* its text is there */
        return 0;
    }
    free(xeno_take(&p->text));
    p->n.publisher = p->us.id;
    memcpy(p->n.name, p->ref.name, sizeof p->n.name);
    memcpy(p->n.version, p->ref.version, sizeof p->n.version);
    p->n.sequence = xeno_name_next(last.sequence, p->n.issued);
    p->text = xeno_name_sign(p->cli->profile->key, &p->n);
    return 0;
}

/* --- doing it --- */

static int send_image(struct publishing *p, struct xeno_err *err)
{
    struct xeno_push_opts opts = { .registry = p->remote->registry,
                                   .ref = p->n.digest,
                                   .tag = p->ref.version };
    xeno_auto(cli_progress) bar = cli_progress_new(p->cli, "sending %s", p->ref.name);
    struct xeno_progress hook = cli_progress_hook(bar);

    opts.progress = &hook;
    return xeno_image_push(p->st, &opts, &p->sent, err);
}

static int open_all(struct publishing *p, const struct cli_args *args, struct xeno_err *err)
{
    xeno_autofree char *memory = NULL;
    int r = cli_store_open(p->cli, args, XENO_STORE_READ, &p->st, err);

    if (r == 0)
        r = cli_signed_open(p->cli, args, &p->us, &p->ref, p->ref.version, true, &p->remote, err);
    if (r < 0)
        return r;
    memory = xeno_asprintf("%s/published", p->cli->profile->path);
    return xeno_seen_open(memory, true, &p->seen, err);
}

static void print_published(const struct publishing *p)
{
    const char *scheme = p->n.overlay ? "overlay" : "template";
    struct cli *cli = p->cli;

    if (cli->json) {
        struct xeno_json *j = cli_signed_json(&p->n);

        xeno_json_set_str(j, "digest", p->n.digest);
        xeno_json_set_int(j, "sent_bytes", p->sent.sent_bytes);
        cli_json(j);
    }
    cli_say(cli, "%s://%s/%s/%s %s", scheme, p->n.publisher.s, p->n.name, p->n.version,
            p->n.digest);
    if (p->n.moves)
        cli_note(cli, "statement %" PRId64 ", good until %s: publish it again before",
                 p->n.sequence, cli_when(p->n.expires.ns / XENO_NS_PER_MS));
    else
        cli_note(cli, "statement %" PRId64 "; it does not move", p->n.sequence);
}

int cli_publish(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    const char *word = args->words[0];
    bool is_overlay = strncmp(cli->command->name, "overlay", 7) == 0;
    xeno_autofree char *ref =
        strstr(word, "://") ? xeno_strdup(word)
                            : xeno_asprintf("%s://%s", is_overlay ? "overlay" : "template", word);
    autopublishing p = { .cli = cli,
                         .n = { .overlay = is_overlay, .moves = cli_flag(args, "move") } };
    char tag[CLI_SIGNED_TAG];
    int r = cli_signed_parse(cli, args->words[1], &p.ref, err);

    if (r == 0)
        r = find_us(&p, args, err);
    if (r == 0)
        r = read_times(&p, args, err);
    if (r == 0)
        r = open_all(&p, args, err);
    if (r == 0)
        r = read_image(&p, ref, err);
    if (r == 0)
        r = learn(&p, err);
    if (r == 0)
        r = decide(&p, err);
    if (r == 0)
        r = send_image(&p, err);
    if (r == 0)
        r = xeno_seen_take(p.seen, &p.n, p.text, err);
    if (r == 0)
        r = xeno_artifact_put(p.remote->registry, cli_signed_tag(p.ref.version, tag),
                              &(struct xeno_artifact_type)CLI_SIGNED_TYPE, p.text, strlen(p.text),
                              err);
    if (r < 0)
        return r;
    print_published(&p);
    return CLI_OK;
}
