/* src/cli/remote.c - registries: `store use|show`, and opening one for a verb. */
#include "cli/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "base/io.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/profile.h"
#include "cli/store-login.h"
#include "cli/store-pay.h"

#define FILE_NAME "store.json"
#define FILE_MAX  16384

/* The default store. */
struct known {
    char host[XENO_REGISTRY_HOST_MAX + 1]; /* "": there is none */
    char id[XENO_ID_CHARS + 1];            /* "": any that `trust` lets pass */
    char *trust;
    bool plain;
};

static void known_release(struct known *k)
{
    free(k->trust);
}
#define autoknown __attribute__((cleanup(known_release))) struct known

/* --- store.json --- */

static int known_parse(const char *text, size_t len, struct known *k, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *host, *trust, *id = "";
    int r = xeno_json_parse(text, len, FILE_MAX, &j, err);

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_json_str(&top, "host", 1, XENO_REGISTRY_HOST_MAX, &host, err);
    if (r >= 0)
        r = xeno_json_str(&top, "trust", 1, PATH_MAX, &trust, err);
    if (r >= 0)
        r = xeno_json_str_opt(&top, "id", 0, XENO_ID_CHARS, &id, err);
    if (r >= 0)
        r = xeno_json_bool_opt(&top, "plain", &k->plain, err);
    if (r < 0)
        return r;
    if (!xeno_registry_host_ok(host))
        return xeno_fail(err, -EINVAL, "store.host", "'%s' is no HOST[:PORT]", host);
    snprintf(k->host, sizeof k->host, "%s", host);
    snprintf(k->id, sizeof k->id, "%s", id);
    k->trust = xeno_strdup(trust);
    return 0;
}

static int known_load(const struct cli *cli, struct known *k, struct xeno_err *err)
{
    xeno_autofree char *folder = cli_profile_path(cli);
    xeno_autofree char *path = xeno_asprintf("%s/%s", folder, FILE_NAME);
    xeno_autofree char *text = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    size_t len;
    int r = xeno_file_read(AT_FDCWD, path, FILE_MAX, &text, &len, &why);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return xeno_fail(err, r, why.token, "%s", why.text);
    r = known_parse(text, len, k, err);
    return r < 0 ? xeno_context(err, r, "%s", path) : 0;
}

static struct xeno_json *known_json(const struct known *k)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "host", k->host);
    xeno_json_set_str(j, "trust", k->trust);
    xeno_json_set_str(j, "id", k->id[0] ? k->id : NULL);
    xeno_json_set_bool(j, "plain", k->plain);
    return j;
}

static int known_save(const struct cli *cli, const struct known *k, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = known_json(k);

    return cli_profile_put(cli, FILE_NAME, j, err);
}

/* --- opening one --- */

void cli_remote_free(struct cli_remote *r)
{
    if (!r)
        return;
    xeno_registry_free(r->registry);
    xeno_http_client_free(r->web);
    free(r);
}

/* Does the name say whose it is? At a XenoStore an owner is an id; elsewhere anything before "/".
 */
static bool has_owner(const char *text, const struct known *k)
{
    const char *slash = strchr(text, '/');
    xeno_autofree char *first = xeno_strndup(text, slash ? (size_t)(slash - text) : 0);

    return slash && (strcmp(k->trust, "corp") != 0 || xeno_base32_ok(first, XENO_ID_CHARS));
}

static int name_of(struct cli *cli, const char *text, const struct known *k,
                   struct xeno_registry_name *ret, struct xeno_err *err)
{
    xeno_autofree char *full = NULL;
    int r;

    if (strstr(text, "://"))
        return xeno_registry_name_parse(text, ret, err);
    if (!k->host[0])
        return xeno_fail(err, -ENOENT, "store.none",
                         "'%s' is a name in your default store, and you have none", text);
    snprintf(ret->host, sizeof ret->host, "%s", k->host);
    if (has_owner(text, k))
        return xeno_registry_name_within(text, ret, err);
    r = cli_profile_need(cli, err);
    if (r < 0)
        return r;
    full = xeno_asprintf("%s/%s", cli->profile->cert->id.s, text);
    return xeno_registry_name_within(full, ret, err);
}

/* The client whose idea of trust is `trust`; *ret_own NULL: the profile's. */
static int open_client(struct cli *cli, const char *trust, bool plain,
                       struct xeno_http_client **ret_own, struct xeno_http_client **ret,
                       struct xeno_err *err)
{
    struct xeno_http_client_opts opts = { .env = cli->env, .web = true, .plain_loopback = plain };
    int r;

    if (strcmp(trust, "corp") == 0) {
        if (plain)
            return cli_usage(err, "--insecure-http: a credential is not shown without TLS");
        return cli_http(cli, ret, err);
    }
    if (strcmp(trust, "system") != 0) {
        if (access(trust, R_OK) < 0)
            return xeno_fail_errno(err, -errno, "store.trust", "the CA certificates in '%s'",
                                   trust);
        opts.ca_file = trust;
    }
    r = xeno_http_client_new(cli_loop(cli), &opts, ret_own, err);
    *ret = *ret_own;
    return r;
}

static int read_bounds(const struct cli_args *args, struct xeno_registry_opts *o,
                       struct xeno_err *err)
{
    xeno_time patience = xeno_ns(0);
    int64_t parallel = 0;
    int r = args ? cli_number(args, "parallel", 1, 64, &parallel, err) : 0;

    if (r >= 0 && args)
        r = cli_duration(args, "patience", &patience, err);
    if (r < 0)
        return r;
    if (patience.ns > 3600 * XENO_NS_PER_S)
        return cli_usage(err, "--patience: at most an hour");
    o->parallel = (unsigned)parallel;
    o->pace_s = (unsigned)((patience.ns + XENO_NS_PER_S - 1) / XENO_NS_PER_S);
    return 0;
}

int cli_remote_open(struct cli *cli, const struct cli_args *args, const char *text,
                    const char *from, bool write, struct cli_remote **ret, struct xeno_err *err)
{
    xeno_auto(cli_remote) m = xeno_new0(struct cli_remote);
    xeno_autofree char *base = NULL, *password = NULL;
    autoknown k = { .trust = NULL };
    struct xeno_registry_opts o = { .loop = cli_loop(cli), .env = cli->env, .from = from };
    const char *trust = args ? cli_value(args, "trust") : NULL;
    bool ours, plain;
    int r = known_load(cli, &k, err);

    if (r >= 0)
        r = name_of(cli, text, &k, &m->name, err);
    if (r >= 0)
        r = read_bounds(args, &o, err);
    if (r < 0)
        return r;
    ours = k.host[0] && strcmp(k.host, m->name.host) == 0;
    plain = (args && cli_flag(args, "insecure-http")) || (ours && k.plain);
    trust = trust ? trust : ours ? k.trust : "system";
    r = open_client(cli, trust, plain, &m->web, &o.http, err);
    if (r >= 0 && m->web)
        r = xeno_registry_password(args ? cli_value(args, "auth-file") : NULL, m->name.host,
                                   m->name.repo, &password, err);
    if (r < 0)
        return r;
    base = xeno_asprintf("%s://%s", plain ? "http" : "https", m->name.host);
    o.base = base;
    o.repo = m->name.repo;
    o.server_id = ours && !m->web && k.id[0] ? k.id : NULL;
    o.password = password;
    o.write = write;
    r = xeno_registry_new(&o, &m->registry, err);
    if (password)
        xeno_wipe(password, strlen(password));
    if (r < 0)
        return r;
    *ret = xeno_take(&m);
    return 0;
}

/* --- store use, show --- */

static const struct cli_option use_options[] = {
    REMOTE_TRUST_OPTIONS,
    { "id", 0, "PARTY", "the party it must be, as its credential says", false, 0 },
    { NULL },
};

/* "HOST[:PORT]", with "oci://" or "https://" before it and "/" behind it, or without. */
static int read_host(const char *text, char ret[XENO_REGISTRY_HOST_MAX + 1], struct xeno_err *err)
{
    static const char *const schemes[] = { "oci://", "https://", "http://" };
    const char *host = text;
    size_t len;

    for (size_t i = 0; i < XENO_LEN(schemes); i++)
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            host = text + strlen(schemes[i]);
    len = strcspn(host, "/");
    if (len > XENO_REGISTRY_HOST_MAX || (host[len] == '/' && host[len + 1] != '\0'))
        return cli_usage(err, "'%s' is not HOST[:PORT] of a registry", text);
    snprintf(ret, XENO_REGISTRY_HOST_MAX + 1, "%.*s", (int)len, host);
    return xeno_registry_host_ok(ret) ? 0 : cli_usage(err, "'%s' is not HOST[:PORT]", ret);
}

int cli_remote_host(const struct cli *cli, const char *text, char ret[XENO_REGISTRY_HOST_MAX + 1],
                    char ret_id[XENO_ID_CHARS + 1], struct xeno_err *err)
{
    char host[XENO_REGISTRY_HOST_MAX + 1];
    autoknown k = { .trust = NULL };
    int r = known_load(cli, &k, err);

    if (r == 0 && text)
        r = read_host(text, host, err);
    if (r < 0)
        return r;
    if (!text && !k.host[0])
        return xeno_fail(err, -ENOENT, "store.none", "you have no default store");
    snprintf(ret, sizeof host, "%s", text ? host : k.host);
    memcpy(ret_id, strcmp(ret, k.host) == 0 ? k.id : "",
           strcmp(ret, k.host) == 0 ? sizeof k.id : 1);
    return 0;
}

int cli_remote_default(const struct cli *cli, const char *host, const char *id,
                       struct xeno_err *err)
{
    autoknown k = { .trust = NULL };
    int r = known_load(cli, &k, err);

    if (r < 0 || (k.host[0] && strcmp(k.id, id) != 0))
        return r;
    snprintf(k.host, sizeof k.host, "%s", host);
    snprintf(k.id, sizeof k.id, "%s", id);
    free(k.trust);
    k.trust = xeno_strdup("corp");
    return known_save(cli, &k, err);
}

static void show_known(struct cli *cli, const struct known *k)
{
    if (cli->json) {
        cli_json(known_json(k));
        return;
    }
    cli_field(cli, "store", "%s%s", XENO_REGISTRY_SCHEME, cli_clean(k->host));
    cli_field(cli, "trust", "%s%s", cli_clean(k->trust), k->plain ? ", without TLS" : "");
    if (k->id[0])
        cli_field(cli, "party", "%s", cli_clean(k->id));
}

static int run_use(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    const char *trust = cli_value(args, "trust"), *id = cli_value(args, "id");
    autoknown k = { .plain = cli_flag(args, "insecure-http") };
    xeno_autofree char *file = NULL;
    int r = read_host(args->words[0], k.host, err);

    if (r < 0)
        return r;
    if (id && !xeno_base32_ok(id, XENO_ID_CHARS))
        return cli_usage(err, "--id: '%s' is not the id of a party", id);
    trust = trust ? trust : k.plain ? "system" : "corp";
    if (id && strcmp(trust, "corp") != 0)
        return cli_usage(err, "--id: only a party of your XenoCorp has one (--trust corp)");
    if (k.plain && strcmp(trust, "corp") == 0)
        return cli_usage(err, "--insecure-http: a credential is not shown without TLS");
    if (strcmp(trust, "corp") != 0 && strcmp(trust, "system") != 0) {
        file = realpath(trust, NULL);
        if (!file)
            return xeno_fail_errno(err, -errno, "store.trust", "the CA certificates in '%s'",
                                   trust);
    }
    k.trust = xeno_strdup(file ? file : trust);
    snprintf(k.id, sizeof k.id, "%s", id ? id : "");
    r = known_save(cli, &k, err);
    if (r < 0)
        return r;
    show_known(cli, &k);
    return CLI_OK;
}

static int run_show(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    autoknown k = { .trust = NULL };
    int r = args->word_count > 0 ? 0 : known_load(cli, &k, err);

    if (args->word_count > 0)
        return cli_run_certificate(cli, args, err);
    if (r < 0)
        return r;
    if (!k.host[0])
        return xeno_fail(err, -ENOENT, "store.none", "you have no default store");
    show_known(cli, &k);
    return CLI_OK;
}

static const struct cli_option no_options[] = { { NULL } };

const struct cli_command cli_store_commands[] = {
    { .name = "store use",
      .usage = "HOST[:PORT]",
      .summary = "say where images are pushed to and pulled from",
      .about = "A XenoStore of your XenoCorp is trusted by the XenoCorp's CA and shown your\n"
               "credential (--trust corp, the default); any other OCI registry by the CAs of\n"
               "this machine (--trust system) or by those in a file.",
      .examples = "xeno store use store.example.org:5443\n"
                  "xeno store use registry.example.org --trust system\n"
                  "xeno store use localhost:5000 --insecure-http",
      .options = use_options,
      .min_words = 1,
      .max_words = 1,
      .run = run_use },
    { .name = "store show",
      .usage = "[CERTIFICATE]",
      .summary = "show the default store, or what is paid for there",
      .examples = "xeno store show",
      .options = cli_certificate_options,
      .max_words = 1,
      .run = run_show },
    { .name = "store ls",
      .usage = "",
      .summary = "list what a XenoStore is paid to keep for you",
      .about = "Each row is a certificate: an image that is kept until a time, by an order of\n"
               "yours. What several of them share is paid for once.",
      .examples = "xeno template push debian-web --pay 0.5 --for 30d\nxeno store ls",
      .options = cli_certificate_options,
      .run = cli_run_certificates },
    { .name = "store audit",
      .usage = "CERTIFICATE",
      .summary = "have a XenoStore show that it has what it is paid for",
      .about = "The XenoCorp asks for a block at random, and judges the answer. A store that does\n"
               "not show the right one in time is not paid any more: close the order then, and\n"
               "push to another store.",
      .examples = "xeno store audit gk5wq3n7xkdm2a4b",
      .options = cli_audit_options,
      .min_words = 1,
      .max_words = 1,
      .run = cli_run_audit },
    { .name = "store reclaim",
      .usage = "CERTIFICATE...",
      .summary = "stop paying for what a XenoStore keeps",
      .about = "What is left of the order comes back. The image is deleted there after the\n"
               "store's grace time, unless it is paid for again.",
      .examples = "xeno store reclaim gk5wq3n7xkdm2a4b",
      .options = cli_certificate_options,
      .min_words = 1,
      .max_words = -1,
      .run = cli_run_reclaim },
    { .name = "store usage",
      .usage = "[HOST[:PORT]]",
      .summary = "show what you have at a XenoStore, and may have",
      .about = "What several of your repositories share counts once.",
      .examples =
          "xeno store usage\nxeno store usage store.example.org:8445 --json | jq .used_bytes",
      .options = no_options,
      .max_words = 1,
      .run = cli_run_store_usage },
    { .name = "store login",
      .usage = "[HOST[:PORT]]",
      .summary = "let podman, skopeo and other tools use a XenoStore as you",
      .about = "Gets a password from the store and writes it where these tools look, together\n"
               "with the CA that the store's certificate is of. It ends with your credential, or\n"
               "when the XenoCorp disables you. Your repositories there are ID/NAME.",
      .examples = "xeno store login store.example.org:8445\n"
                  "# then, for example\n"
                  "podman push busybox docker://store.example.org:8445/ID/busybox",
      .options = cli_login_options,
      .max_words = 1,
      .run = cli_run_login },
    { .name = "store token",
      .usage = "[HOST[:PORT]]",
      .summary = "print a password for a XenoStore, and write it nowhere",
      .about = "For a machine that shall push or pull as you for a while. The user is your id.",
      .examples = "xeno store token store.example.org:8445 --lifetime 1h |\n"
                  "    podman login --username ID --password-stdin store.example.org:8445",
      .options = cli_pass_options,
      .max_words = 1,
      .run = cli_run_pass },
    { NULL },
};
