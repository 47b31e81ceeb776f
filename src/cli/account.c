/* src/cli/account.c - register, whoami, account. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/register.h"
#include "doc/token.h"

/* --- register --- */

static const struct cli_option register_options[] = {
    { "token", 't', "TOKEN", "enrolment token; '-' reads it from standard input; or $XENO_TOKEN",
      false, 0 },
    { "name", 'n', "NAME", "how the XenoCorp shall call you (default: your login name)", false, 0 },
    { "contact", 0, "TEXT", "how the XenoCorp can reach you", false, 0 },
    { "charging", 0, "KEY=VALUE", "where the money comes from, as the XenoCorp asks for it", true,
      0 },
    { "pseudonym", 0, NULL, "a credential that says 'known to this XenoCorp' and no more", false,
      0 },
    { "force", 'f', NULL, "replace a profile that still works (its key is kept)", false, 0 },
    { NULL },
};

static int read_token(const struct cli_args *args, char ret[XENO_TOKEN_TEXT], struct xeno_id *corp,
                      struct xeno_err *err)
{
    const char *given = cli_value(args, "token");
    xeno_autofree char *text = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    size_t len;

    if (!given)
        given = getenv("XENO_TOKEN");
    if (!given)
        return cli_usage(err, "a token is needed: --token TOKEN (an operator makes one with: xeno "
                              "corp token)");
    if (strcmp(given, "-") == 0) {
        if (xeno_read_all(STDIN_FILENO, 4096, &text, &len) < 0)
            return cli_usage(err, "standard input holds no token");
        text[strcspn(text, " \t\r\n")] = '\0';
        given = text;
    }
    if (xeno_token_parse(given, corp, &why) < 0)
        return cli_usage(err, "--token: %s", why.text);
    strcpy(ret, given); /* its length was checked */
    return 0;
}

static bool works(struct cli *cli)
{
    struct xeno_err err = XENO_ERR_INIT;

    return cli_profile_need(cli, &err) == 0 &&
           xeno_wall(cli->env).ns < cli->profile->cert->not_after.ns;
}

/* The key is on the disk before anything is sent, so that a lost answer can be asked for again. */
int cli_own_key(struct cli *cli, const char *dir, struct xeno_key **ret, struct xeno_err *err)
{
    xeno_auto(xeno_key) key = NULL;
    xeno_autoclose int fd = -1;
    int r;

    r = xeno_mkdirs(AT_FDCWD, dir, 0700, err);
    if (r < 0)
        return r;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "profile.write", "open %s", dir);
    r = xeno_key_load(fd, "key.pem", ret, err);
    if (r != -ENOENT)
        return r;
    key = xeno_key_new(cli->env);
    r = xeno_key_save(key, fd, "key.pem", err);
    if (r == 0)
        *ret = xeno_take(&key);
    return r;
}

static int add_charging(const struct cli_args *args, struct xeno_json *body, struct xeno_err *err)
{
    struct xeno_json *charging = xeno_json_object();
    const char *const *list;
    size_t n;

    xeno_json_set(body, "charging", charging);
    list = cli_values(args, "charging", &n);
    for (size_t i = 0; i < n; i++) {
        const char *eq = strchr(list[i], '=');
        xeno_autofree char *key = NULL;

        if (!eq || eq == list[i])
            return cli_usage(err, "--charging: '%s' is not KEY=VALUE", list[i]);
        key = xeno_strndup(list[i], (size_t)(eq - list[i]));
        xeno_json_set_str(charging, key, eq + 1);
    }
    return 0;
}

static int make_body(const struct cli_args *args, const struct xeno_key *key, const char *token,
                     struct xeno_json **ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) body = xeno_json_object();
    xeno_autofree char *csr = NULL;
    const char *name = cli_value(args, "name"), *contact = cli_value(args, "contact");
    int r = xeno_csr_make(key, &csr, err);

    if (r < 0)
        return r;
    if (!name)
        name = getenv("LOGNAME") ? getenv("LOGNAME") : "anonymous";
    xeno_json_set_str(body, "token", token);
    xeno_json_set_str(body, "csr", csr);
    xeno_json_set_str(body, "name", name);
    xeno_json_set_str(body, "contact", contact ? contact : "");
    xeno_json_set_bool(body, "pseudonym", cli_flag(args, "pseudonym"));
    r = add_charging(args, body, err);
    if (r == 0)
        *ret = xeno_take(&body);
    return r;
}

/* Believe nothing that the pinned id does not vouch for. */
static int check_answer(struct cli *cli, const struct xeno_json_at *top, const struct xeno_id *corp,
                        const struct xeno_key *key, const char **ret_cert, const char **ret_ca,
                        struct xeno_err *err)
{
    xeno_auto(xeno_cert) cert = NULL;
    struct xeno_pub pub;
    int r;

    r = xeno_json_str(top, "certificate", 1, XENO_CERT_PEM_MAX, ret_cert, err);
    if (r == 0)
        r = xeno_json_str(top, "ca", 1, XENO_CERT_PEM_MAX, ret_ca, err);
    if (r == 0)
        r = xeno_ca_pub(*ret_ca, &pub, err);
    if (r < 0)
        return r;
    if (strcmp(xeno_id_of(&pub).s, corp->s) != 0)
        return xeno_fail(err, -EPERM, "profile.corp",
                         "%s answers, but the token is of XenoCorp %s: wrong address?",
                         xeno_id_of(&pub).s, corp->s);
    r = xeno_cert_check(*ret_cert, 0, *ret_ca, xeno_wall(cli->env), err);
    if (r == 0)
        r = xeno_cert_parse(*ret_cert, 0, &cert, err);
    if (r == 0 && memcmp(&cert->pub, xeno_key_pub(key), sizeof cert->pub) != 0)
        r = xeno_fail(err, -EPERM, "profile.corp",
                      "the XenoCorp sent a credential for another key");
    return r;
}

int cli_register(struct cli *cli, const char *dir, const struct cli_joining *join,
                 struct xeno_err *err)
{
    xeno_auto(xeno_http_client) http = NULL;
    xeno_auto(xeno_json) answer = NULL;
    xeno_autofree char *text = NULL;
    xeno_autofree char *got = NULL;
    xeno_autofree char *full = xeno_asprintf("%s/v1/clients", join->url);
    struct xeno_id corp;
    struct xeno_http_client_opts opts = { .env = cli->env, .pin_ca = corp.s };
    struct xeno_http_ask ask = { .method = "POST", .url = full };
    struct cli_identity id = { .key = join->key,
                               .corp_url = join->url,
                               .corp_id = corp.s,
                               .name = join->name,
                               .images = join->images };
    struct xeno_json_at top;
    size_t len;
    int r;

    r = xeno_token_parse(join->token, &corp, err);
    if (r == 0)
        r = xeno_http_client_new(cli_loop(cli), &opts, &http, err);
    if (r < 0)
        return r;
    text = xeno_json_format(join->body, false, &len);
    ask.body = text;
    ask.body_len = len;
    r = xeno_http_wait(http, &ask, NULL, &got, &len, err);
    if (r == 0)
        r = xeno_json_parse(got, len, 1 << 20, &answer, err);
    if (r < 0)
        return r;
    top = xeno_json_top(answer);
    r = check_answer(cli, &top, &corp, join->key, &id.cert_pem, &id.ca_pem, err);
    return r < 0 ? r : cli_profile_write(dir, &id, err);
}

static int check_url(const char *url, struct xeno_err *err)
{
    size_t len = strlen(url);

    if (strncmp(url, "https://", 8) != 0 || len < 9 || strchr(url + 8, '/'))
        return cli_usage(err, "'%s' is not https://HOST:PORT", url);
    return 0;
}

static int run_register(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_autofree char *dir = cli_profile_path(cli);
    xeno_auto(xeno_key) key = NULL;
    xeno_auto(xeno_json) body = NULL;
    char token[XENO_TOKEN_TEXT];
    struct xeno_id corp;
    const char *url = args->words[0];
    int r;

    r = check_url(url, err);
    if (r == 0)
        r = read_token(args, token, &corp, err);
    if (r < 0)
        return r;
    if (!cli_flag(args, "force") && works(cli))
        return xeno_fail(err, -EEXIST, "profile.exists",
                         "%s holds a profile that works (you are %s); --force replaces it, or set "
                         "XENO_HOME to another folder",
                         dir, cli->profile->cert->id.s);
    r = cli_own_key(cli, dir, &key, err);
    if (r == 0)
        r = make_body(args, key, token, &body, err);
    if (r == 0)
        r = cli_register(cli, dir,
                         &(struct cli_joining){ .url = url,
                                                .token = token,
                                                .key = key,
                                                .body = body,
                                                .name = cli_value(args, "name") },
                         err);
    if (r < 0)
        return r;
    if (cli->json) {
        struct xeno_json *j = xeno_json_object();

        xeno_json_set_str(j, "id", xeno_id_of(xeno_key_pub(key)).s);
        xeno_json_set_str(j, "corp", corp.s);
        xeno_json_set_str(j, "profile", dir);
        cli_json(j);
    }
    cli_say(cli, "registered with %s as %s", corp.s, xeno_id_of(xeno_key_pub(key)).s);
    cli_note(cli, "your key is %s/key.pem: whoever has it is you", dir);
    return CLI_OK;
}

/* --- whoami --- */

static const struct cli_option whoami_options[] = {
    { "renew", 0, NULL, "get a new credential now", false, 0 },
    { NULL },
};

static struct xeno_json *whoami_json(const struct cli_profile *p)
{
    struct xeno_json *j = xeno_json_object(), *attrs = xeno_json_array();

    xeno_json_set_str(j, "id", p->cert->id.s);
    xeno_json_set_str(j, "kind", xeno_party_name(p->cert->kind));
    xeno_json_set_str(j, "name", p->name);
    xeno_json_set_str(j, "corp", p->corp_id.s);
    xeno_json_set_str(j, "corp_url", p->corp_url);
    xeno_json_set_str(j, "profile", p->path);
    xeno_json_set_str(j, "serial", p->cert->serial);
    xeno_json_set_int(j, "expires_ms", p->cert->not_after.ns / XENO_NS_PER_MS);
    xeno_json_set_bool(j, "pseudonym", p->cert->pseudonym);
    for (size_t i = 0; i < p->cert->attr_count; i++)
        xeno_json_append_str(attrs, p->cert->attrs[i]);
    xeno_json_set(j, "attributes", attrs);
    return j;
}

static int run_whoami(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    const struct cli_profile *p;
    char left[32];
    int r;

    r = cli_profile_need(cli, err);
    if (r == 0 && cli_flag(args, "renew"))
        r = cli_profile_renew(cli, err);
    if (r < 0)
        return r;
    p = cli->profile;
    if (cli->json)
        cli_json(whoami_json(p));
    cli_field(cli, "id", "%s", p->cert->id.s);
    cli_field(cli, "kind", "%s%s%s", xeno_party_name(p->cert->kind),
              p->cert->pseudonym ? ", pseudonymous" : "",
              xeno_cert_attr(p->cert, "role") ? ", operator" : "");
    cli_field(cli, "XenoCorp", "%s at %s", p->corp_id.s, p->corp_url);
    cli_field(cli, "credential", "until %s (%s left)",
              cli_when(p->cert->not_after.ns / XENO_NS_PER_MS),
              xeno_duration_text(xeno_ns(p->cert->not_after.ns - xeno_wall(cli->env).ns), left));
    cli_field(cli, "profile", "%s", p->path);
    return CLI_OK;
}

/* --- account --- */

static const struct cli_option no_options[] = { { NULL } };

static int run_account(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    char text[XENO_CREDIT_TEXT];
    int r;

    (void)args;
    r = cli_corp_get(cli, &j, err, "/v1/account");
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    if (cli->json)
        cli_json(xeno_json_ref(j));
    cli_field(cli, "id", "%s", cli_clean(cli_str(&top, "id")));
    cli_field(cli, "free", "%s credits",
              xeno_credit_text(xeno_micro(cli_int(&top, "free", 0)), text));
    cli_field(cli, "in orders", "%s credits",
              xeno_credit_text(xeno_micro(cli_int(&top, "held", 0)), text));
    if (cli_int(&top, "earned", 0) != 0)
        cli_field(cli, "earned", "%s credits",
                  xeno_credit_text(xeno_micro(cli_int(&top, "earned", 0)), text));
    return CLI_OK;
}

const struct cli_command cli_account_commands[] = {
    { .name = "register",
      .usage = "URL",
      .summary = "join a XenoCorp: a key, and a credential for a token",
      .about = "The key is made here and never leaves this machine; only its public half is sent.\n"
               "The token names the XenoCorp it is of, so nobody else can answer in its place.\n"
               "A registration whose answer was lost may simply be repeated with the same token.",
      .examples = "xeno register https://corp.example.org:7443 --token xt1....\n"
                  "xeno register https://127.0.0.1:7443 --token - --name alice < token",
      .options = register_options,
      .min_words = 1,
      .max_words = 1,
      .run = run_register },
    { .name = "whoami",
      .usage = "",
      .summary = "show your id, your XenoCorp and your credential",
      .examples = "xeno whoami\nxeno whoami --renew\nxeno whoami --json | jq -r .id",
      .options = whoami_options,
      .run = run_whoami },
    { .name = "account",
      .usage = "",
      .summary = "show your credit",
      .examples = "xeno account\nxeno account --json | jq .free",
      .options = no_options,
      .run = run_account },
    { NULL },
};
