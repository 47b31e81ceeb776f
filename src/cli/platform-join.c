/* src/cli/platform-join.c - the parties of a platform join its XenoCorp; a client to begin with. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/out.h"
#include "cli/platform.h"
#include "cli/register.h"
#include "image/build.h"

struct cli platform_operator(const struct cli *cli, const struct platform *p, char **ret_home)
{
    struct cli op = { .env = cli->env, .command = cli->command, .quiet = true };

    op.home = *ret_home = platform_path(p, "operator");
    return op;
}

int platform_corp_init(struct cli *cli, struct platform *p, char **ret_token, struct xeno_err *err)
{
    xeno_autofree char *dir = platform_path(p, "corp");
    xeno_autofree char *log = platform_path(p, "log/corp.log");
    xeno_autofree char *dir_arg = xeno_asprintf("--dir=%s", dir);
    xeno_autofree char *key = platform_path(p, "corp/ca-key.pem");
    /* An up that was interrupted may have made it without keeping the token. */
    bool made = access(key, F_OK) == 0;
    const char *const argv[] = { dir_arg, made ? "--operator-token" : "--init", NULL };
    struct platform_spawn s = {
        .program = "xenocorpd", .argv = argv, .uid = p->corp_uid, .log = log
    };

    (void)cli;
    return platform_run(&s, ret_token, err);
}

/* A client's registration: the smallest there is. */
static int join(struct cli *cli, const struct platform *p, const char *dir, const char *token,
                const char *name, struct xeno_err *err)
{
    xeno_auto(xeno_key) key = NULL;
    xeno_auto(xeno_json) body = xeno_json_object();
    xeno_autofree char *url = platform_corp_url(p);
    xeno_autofree char *images = platform_path(p, "images");
    xeno_autofree char *csr = NULL;
    int r = cli_own_key(cli, dir, &key, err);

    if (r == 0)
        r = xeno_csr_make(key, &csr, err);
    if (r < 0)
        return r;
    xeno_json_set_str(body, "token", token);
    xeno_json_set_str(body, "csr", csr);
    xeno_json_set_str(body, "name", name);
    xeno_json_set_str(body, "contact", "this machine");
    xeno_json_set(body, "charging", xeno_json_object());
    xeno_json_set_bool(body, "pseudonym", false);
    return cli_register(
        cli, dir,
        &(struct cli_joining){
            .url = url, .token = token, .key = key, .body = body, .name = name, .images = images },
        err);
}

int platform_join_operator(struct cli *cli, struct platform *p, const char *token,
                           struct xeno_err *err)
{
    xeno_autofree char *dir = platform_path(p, "operator");
    int r = join(cli, p, dir, token, "operator", err);

    return r < 0 ? xeno_context(err, r, "register the operator") : 0;
}

int platform_token(struct cli *op, const char *kind, char **ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json *body = xeno_json_object();
    struct xeno_json_at top;
    const char *token;
    int r;

    xeno_json_set_str(body, "kind", kind);
    xeno_json_set_int(body, "lifetime_s", 3600);
    r = cli_corp_post(op, body, &j, err, "/v1/admin/tokens");
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_json_str(&top, "token", 1, 128, &token, err);
    if (r == 0)
        *ret = xeno_strdup(token);
    return r;
}

/* --- the client --- */

/* The user's own profile, unless that is another XenoCorp's: his money there is not ours to touch.
 */
static char *client_home(struct cli *cli, const struct platform *p)
{
    struct cli probe = { .env = cli->env, .quiet = true };
    struct xeno_err err = XENO_ERR_INIT;
    char *home = cli_profile_path(cli);
    xeno_autofree char *file = xeno_asprintf("%s/profile.json", home);
    bool fits;

    if (access(file, F_OK) != 0)
        return home;
    fits = cli_profile_need(&probe, &err) == 0 && strcmp(probe.profile->corp_id.s, p->corp_id) == 0;
    cli_release(&probe);
    if (fits)
        return home;
    free(home);
    return platform_path(p, "client");
}

static int fund(struct cli *op, const char *id, xeno_credit amount, struct xeno_err *err)
{
    struct xeno_json *body = xeno_json_object();

    xeno_json_set_str(body, "id", id);
    xeno_json_set_int(body, "amount", amount.micro);
    return cli_corp_post(op, body, NULL, err, "/v1/admin/fund");
}

static int list_servers(struct cli *client, const struct platform *p, struct xeno_err *err)
{
    xeno_auto(cli_servers) all = NULL;
    int r = cli_servers_load(client, &all, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < p->count; i++) {
        xeno_autofree char *url = platform_server_url(&p->servers[i]);
        xeno_autofree char *name = xeno_strdup(p->servers[i].name);

        for (size_t k = 0; k < all->count; k++) /* the user may call it otherwise */
            if (strcmp(all->items[k].id, p->servers[i].id) == 0) {
                free(name);
                name = xeno_strdup(all->items[k].name);
            }
        cli_servers_add(all, name, p->servers[i].id, url);
    }
    return cli_servers_save(client, all, err);
}

static int join_new(struct cli *cli, struct platform *p, xeno_credit amount, struct xeno_err *err)
{
    xeno_autofree char *home = NULL;
    xeno_autofree char *token = NULL;
    struct cli op = platform_operator(cli, p, &home);
    struct cli client = { .env = cli->env, .home = p->client, .quiet = true };
    int r = platform_token(&op, "client", &token, err);

    if (r == 0)
        r = join(cli, p, p->client, token, "client", err);
    if (r == 0)
        r = cli_profile_need(&client, err);
    if (r == 0)
        r = fund(&op, client.profile->cert->id.s, amount, err);
    cli_release(&op);
    cli_release(&client);
    return r < 0 ? xeno_context(err, r, "register the client") : 0;
}

int platform_join_client(struct cli *cli, struct platform *p, xeno_credit amount,
                         struct xeno_err *err)
{
    struct cli client = { .env = cli->env, .quiet = true };
    xeno_autofree char *file = NULL;
    int r = 0;

    free(p->client);
    p->client = client_home(cli, p);
    file = xeno_asprintf("%s/profile.json", p->client);
    if (access(file, F_OK) != 0)
        r = join_new(cli, p, amount, err);
    client.home = p->client;
    if (r == 0)
        r = list_servers(&client, p, err);
    if (r == 0)
        r = platform_use_nodes(&client, p, err);
    cli_release(&client);
    return r;
}

/* --- a template to begin with --- */

/* Names under which busybox is what people expect; it has all of them, whatever it was built with.
 */
static const char *const applets[] = {
    "sh",     "ash",       "ls",       "cat",   "echo",     "env",   "ps",   "id",   "date",
    "sleep",  "true",      "false",    "uname", "mkdir",    "rm",    "cp",   "mv",   "ln",
    "touch",  "head",      "tail",     "grep",  "sed",      "awk",   "wc",   "sort", "find",
    "xargs",  "tar",       "gzip",     "dd",    "df",       "du",    "free", "top",  "kill",
    "vi",     "wget",      "nc",       "ping",  "httpd",    "ip",    "seq",  "yes",  "stty",
    "tty",    "test",      "printf",   "expr",  "nslookup", "nproc", "tr",   "cut",  "tee",
    "md5sum", "sha256sum", "hostname", "mount", "umask",    "pwd",
};

static int write_text(const char *dir, const char *name, const char *text, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_asprintf("%s/%s", dir, name);

    return xeno_file_write(AT_FDCWD, path, 0644, text, strlen(text), err);
}

static int fill_root(const char *root, const char *busybox, struct xeno_err *err)
{
    static const char *const folders[] = { "bin", "etc", "tmp",     "root",   "proc",
                                           "sys", "dev", "var/www", "usr/bin" };
    xeno_autofree char *program = NULL;
    xeno_autofree char *to = xeno_asprintf("%s/bin/busybox", root);
    size_t len;
    int r = xeno_file_read(AT_FDCWD, busybox, 16 << 20, &program, &len, err);

    for (size_t i = 0; r == 0 && i < XENO_LEN(folders); i++) {
        xeno_autofree char *path = xeno_asprintf("%s/%s", root, folders[i]);

        r = xeno_mkdirs(AT_FDCWD, path, 0755, err);
    }
    if (r == 0)
        r = xeno_file_write(AT_FDCWD, to, 0755, program, len, err);
    for (size_t i = 0; r == 0 && i < XENO_LEN(applets); i++) {
        xeno_autofree char *path = xeno_asprintf("%s/bin/%s", root, applets[i]);

        if (symlink("busybox", path) < 0)
            return xeno_fail_errno(err, -errno, "platform.template", "make %s", path);
    }
    if (r == 0)
        r = write_text(root, "etc/passwd",
                       "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
                       err);
    if (r == 0)
        r = write_text(root, "etc/group", "root:x:0:\nnogroup:x:65534:\n", err);
    return r;
}

/* A program that needs an interpreter (ld.so) would not start in a root that has nothing else. */
static bool is_static(const char *path)
{
    xeno_autofree char *text = NULL;
    size_t len;

    return xeno_file_read(AT_FDCWD, path, 16 << 20, &text, &len, NULL) == 0 && len > 4 &&
           memcmp(text, "\177ELF", 4) == 0 && !memmem(text, len, "/ld-linux", 9);
}

int platform_template(struct cli *cli, const struct platform *p, struct xeno_err *err)
{
    static const char *const argv[] = { "/bin/sh", NULL };
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(xeno_image) there = NULL;
    xeno_autofree char *images = platform_path(p, "images");
    xeno_autofree char *root = platform_path(p, "run/busybox-%d", (int)getpid());
    struct xeno_import_opts opts = { .path = root,
                                     .format = XENO_IMPORT_DIR,
                                     .name = "busybox",
                                     .kind = XENO_IMAGE_TEMPLATE,
                                     .defaults = { .argv = argv } };
    struct xeno_made made;
    int r;

    (void)cli;
    r = xeno_store_open(images, XENO_STORE_CREATE, &st, err);
    if (r < 0)
        return r;
    if (xeno_store_resolve(st, "busybox", NULL, &there, NULL) == 0 || !is_static("/bin/busybox"))
        return 0;
    r = fill_root(root, "/bin/busybox", err);
    if (r == 0)
        r = xeno_image_import(st, &opts, &made, err);
    xeno_remove_tree(AT_FDCWD, root, NULL);
    if (r < 0 && p->null_driver)
        return 0; /* nothing runs on it */
    return r < 0 ? xeno_context(err, r, "make the template busybox") : 0;
}
