/* src/cli/store-login.c - what a XenoStore tells its clients: what they have, and passwords for
 * tools that have no certificate. */
#include "cli/store-login.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/auth-file.h"
#include "cli/out.h"
#include "cli/profile.h"
#include "cli/remote.h"
#include "doc/pass.h"

/* --- what we have there --- */

static void show_cost(struct cli *cli, const struct xeno_json_at *top)
{
    struct xeno_json_at paid = cli_obj(top, "certificates");
    int64_t price = cli_int(top, "price_gib_day", 0);
    char text[XENO_CREDIT_TEXT], size[32];

    if (price == 0 && cli_int(&paid, "charged", 0) == 0)
        return;
    cli_field(cli, "price", "%s credits a GiB and day", xeno_credit_text(xeno_micro(price), text));
    cli_field(cli, "paid for", "%s by %" PRId64 " certificates",
              xeno_size_text(cli_int(&paid, "paying_bytes", 0), size), cli_int(&paid, "kept", 0));
    cli_field(cli, "cost", "%s credits a day",
              xeno_credit_text(xeno_micro(cli_int(&paid, "per_day", 0)), text));
    cli_field(cli, "charged", "%s credits so far",
              xeno_credit_text(xeno_micro(cli_int(&paid, "charged", 0)), text));
}

int cli_run_store_usage(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *base = NULL;
    char host[XENO_REGISTRY_HOST_MAX + 1], id[XENO_ID_CHARS + 1], used[32], quota[32];
    struct xeno_json_at top;
    int r = cli_remote_host(cli, args->word_count ? args->words[0] : NULL, host, id, err);

    if (r < 0)
        return r;
    base = xeno_asprintf("https://%s", host);
    r = cli_ask(
        cli,
        &(struct cli_ask){
            .method = "GET", .base = base, .server_id = *id ? id : NULL, .path = "/v1/usage" },
        &j, err);
    if (r < 0)
        return r;
    if (cli->json) {
        cli_json(xeno_take(&j));
        return CLI_OK;
    }
    top = xeno_json_top(j);
    cli_field(cli, "store", "%s", host);
    cli_field(cli, "owner", "%s", cli_clean(cli_str(&top, "owner")));
    cli_field(cli, "used", "%s of %s", xeno_size_text(cli_int(&top, "used_bytes", 0), used),
              xeno_size_text(cli_int(&top, "quota_bytes", 0), quota));
    if (cli_int(&top, "upload_bytes", 0) > 0)
        cli_field(cli, "uploads", "%s", xeno_size_text(cli_int(&top, "upload_bytes", 0), used));
    show_cost(cli, &top);
    cli_field(cli, "entries", "%" PRId64 " of %" PRId64, cli_int(&top, "entries", 0),
              cli_int(&top, "entries_max", 0));
    return CLI_OK;
}

/* --- passwords --- */

/* Ask with the credential. Answer: {"client","password","expires_ms"}, the caller's. */
static int get_pass(struct cli *cli, const struct cli_args *args,
                    char ret_host[XENO_REGISTRY_HOST_MAX + 1], struct xeno_json **ret,
                    struct xeno_err *err)
{
    struct cli_ask ask = { .method = "POST", .path = "/v1/login" };
    xeno_autofree char *base = NULL;
    char id[XENO_ID_CHARS + 1];
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    xeno_time life = xeno_s(0);
    const char *client, *password;
    int r = cli_duration(args, "lifetime", &life, err);

    if (r == 0)
        r = cli_remote_host(cli, args->word_count ? args->words[0] : NULL, ret_host, id, err);
    if (r < 0)
        return r;
    ask.base = base = xeno_asprintf("https://%s", ret_host);
    ask.server_id = *id ? id : NULL;
    ask.body = xeno_json_object();
    if (life.ns > 0)
        xeno_json_set_int(ask.body, "lifetime_s", life.ns / XENO_NS_PER_S);
    r = cli_ask(cli, &ask, &j, err);
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_json_str(&top, "client", XENO_ID_CHARS, XENO_ID_CHARS, &client, err);
    if (r == 0)
        r = xeno_json_str(&top, "password", 1, XENO_PASS_MAX, &password, err);
    if (r < 0)
        return xeno_context(err, r, "the answer of %s", base);
    *ret = xeno_take(&j);
    return 0;
}

const struct cli_option cli_pass_options[] = {
    { "lifetime", 'l', "TIME", "until it ends (default: with your credential, at most a day)",
      false, 0 },
    { NULL },
};

int cli_run_pass(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    char host[XENO_REGISTRY_HOST_MAX + 1];
    int r = get_pass(cli, args, host, &j, err);

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    cli_say(cli, "%s", cli_clean(cli_str(&top, "password")));
    cli_note(cli, "the user is %s; it is good until %s", cli_clean(cli_str(&top, "client")),
             cli_when(cli_int(&top, "expires_ms", 0)));
    if (cli->json)
        cli_json(xeno_take(&j));
    return CLI_OK;
}

/* --- where tools look for it --- */

const struct cli_option cli_login_options[] = {
    { "lifetime", 'l', "TIME", "until it ends (default: with your credential, at most a day)",
      false, 0 },
    { "authfile", 0, "FILE", "where to write the password (default: where podman looks)", false,
      CLI_OFFER_FILE },
    { "cert-dir", 0, "DIR", "where to write the CA (default: where podman looks)", false,
      CLI_OFFER_DIR },
    { NULL },
};

/* Write below a folder that is made when it is missing. */
static int write_file(const char *path, mode_t mode, const char *text, struct xeno_err *err)
{
    xeno_autofree char *folder = xeno_strdup(path);
    char *slash = strrchr(folder, '/');
    int r = 0;

    if (slash && slash != folder) {
        *slash = '\0';
        r = xeno_mkdirs(AT_FDCWD, folder, 0700, err);
    }
    return r < 0 ? r : xeno_file_write(AT_FDCWD, path, mode, text, strlen(text), err);
}

static int write_password(const char *path, const char *host, const struct xeno_json_at *pass,
                          struct xeno_err *err)
{
    xeno_autofree char *old = NULL;
    xeno_autofree char *text = NULL;
    size_t len;
    int r = xeno_file_read(AT_FDCWD, path, CLI_AUTH_FILE_MAX, &old, &len, err);

    if (r < 0 && r != -ENOENT)
        return r;
    r = cli_auth_put(r == 0 && len > 0 ? old : NULL, host, cli_str(pass, "client"),
                     cli_str(pass, "password"), &text, err);
    if (r < 0)
        return xeno_context(err, r, "'%s'", path);
    r = write_file(path, 0600, text, err);
    xeno_wipe(text, strlen(text));
    return r;
}

/* A store's certificate is of the XenoCorp's CA, which no other tool knows. */
static char *ca_file(const char *dir, const char *host)
{
    const char *home = getenv("HOME");

    if (dir)
        return xeno_asprintf("%s/xeno-ca.crt", dir);
    return xeno_asprintf("%s/.config/containers/certs.d/%s/xeno-ca.crt", home ? home : "", host);
}

int cli_run_login(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *auth =
        cli_value(args, "authfile") ? xeno_strdup(cli_value(args, "authfile")) : cli_auth_file();
    xeno_autofree char *ca = NULL;
    struct xeno_json_at top;
    struct xeno_json *out;
    char host[XENO_REGISTRY_HOST_MAX + 1];
    int r = get_pass(cli, args, host, &j, err);

    if (r < 0)
        return r;
    ca = ca_file(cli_value(args, "cert-dir"), host);
    top = xeno_json_top(j);
    r = write_file(ca, 0644, cli->profile->ca_pem, err);
    if (r == 0)
        r = write_password(auth, host, &top, err);
    if (r < 0)
        return r;
    cli_say(cli, "%s is logged in at %s until %s", cli_clean(cli_str(&top, "client")), host,
            cli_when(cli_int(&top, "expires_ms", 0)));
    cli_note(cli, "the password is in %s, the CA in %s", auth, ca);
    if (cli->json) {
        out = xeno_json_object();
        xeno_json_set_str(out, "client", cli_str(&top, "client"));
        xeno_json_set_int(out, "expires_ms", cli_int(&top, "expires_ms", 0));
        xeno_json_set_str(out, "authfile", auth);
        xeno_json_set_str(out, "ca", ca);
        cli_json(out);
    }
    return CLI_OK;
}
