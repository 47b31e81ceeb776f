/* src/cli/platform-up.c - bring a platform up: make what is missing, start what does not run. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/guard.h"
#include "cli/out.h"
#include "cli/platform.h"
#include "cli/progress.h"
#include "cli/server.h"
#include "cli/words.h"
#include "image/store.h"

#define BASE_PORT 7440
#define ACCEPT_S  20
#define FOUND_S   5

const struct cli_option platform_up_options[] = {
    { "dir", 0, "DIR", "where its state is", false, CLI_OFFER_DIR },
    { "servers", 'n', "N", "how many XenoServers (default 3)", false, 0 },
    { "null", 0, NULL, "run nothing in sessions: the null driver, which needs no rights", false,
      0 },
    { "fund", 0, "CREDITS", "what the new client gets (default 1000)", false, 0 },
    { "port", 0, "PORT", "of the XenoCorp; its XenoServers follow (default 7440)", false, 0 },
    { "corp-set", 0, "KEY=VALUE", "option for xenocorpd", true, 0 },
    { "server-set", 0, "KEY=VALUE", "option for every xenod", true, 0 },
    { "task-set", 0, "KEY=VALUE", "option for every xeno-taskd", true, 0 },
    { "imaged-set", 0, "KEY=VALUE", "option for every xeno-imaged", true, 0 },
    { "store", 0, NULL, "a XenoStore node, too; the client pushes to and pulls from it", false, 0 },
    { "store-set", 0, "KEY=VALUE", "option for xstored", true, 0 },
    { "no-xis", 0, NULL, "no information service, no RD: XenoServers are known by name only", false,
      0 },
    { "xis-set", 0, "KEY=VALUE", "option for xisd", true, 0 },
    { "rd-set", 0, "KEY=VALUE", "option for xrdd", true, 0 },
    { "emulate", 0, "FILE",
      "put them as far from each other as this table of round trips says, or 'planetlab'; needs root",
      false, CLI_OFFER_FILE },
    { "client-node", 0, "NODE", "which of its nodes this machine's programs are (default 2)", false,
      0 },
    { NULL },
};

struct up {
    struct cli *cli;
    const struct cli_args *args;
    struct platform *p;
    struct cli_progress *progress;
    int64_t want; /* servers */
    char operator_id[XENO_ID_CHARS + 1];
};

/* --- folders --- */

int platform_folder(const char *path, mode_t mode, uid_t uid, struct xeno_err *err)
{
    int r = xeno_mkdirs(AT_FDCWD, path, mode, err);

    if (r == 0 && (chmod(path, mode) < 0 || (geteuid() == 0 && chown(path, uid, uid) < 0)))
        r = xeno_fail_errno(err, -errno, "platform.dir", "set the owner of %s", path);
    return r;
}

static int make_folders(const struct platform *p, struct xeno_err *err)
{
    static const char *const below[] = { "", "run", "log", "images" };
    int r = 0;

    for (size_t i = 0; r == 0 && i < XENO_LEN(below); i++) {
        xeno_autofree char *path = platform_path(p, "%s", below[i]);

        r = platform_folder(path, 0755, geteuid(), err);
    }
    if (r == 0) {
        xeno_autofree char *corp = platform_path(p, "corp");

        r = platform_folder(corp, 0700, p->corp_uid, err);
    }
    return r;
}

/* The daemons' users must be able to walk there. */
static int check_path(const struct platform *p, struct xeno_err *err)
{
    xeno_autofree char *path = xeno_strdup(p->dir);
    struct stat st;

    for (char *cut; geteuid() == 0 && (cut = strrchr(path, '/')) != NULL && cut != path;) {
        if (stat(path, &st) == 0 && !(st.st_mode & S_IXOTH))
            return xeno_fail(err, -EPERM, "platform.dir",
                             "the daemons run as users of their own and cannot enter %s (mode "
                             "%04o): choose another --dir, for example /var/lib/xeno/platform",
                             path, (unsigned)st.st_mode & 07777);
        *cut = '\0';
    }
    return 0;
}

/* --- the XenoCorp --- */

static int start_corp(struct up *u, struct xeno_err *err)
{
    struct platform *p = u->p;
    xeno_autofree char *log = platform_path(p, "log/corp.log");
    cli_autowords w = { .count = 0 };
    struct platform_spawn s = { .program = "xenocorpd", .uid = p->corp_uid, .log = log };
    xeno_autoclose int fd = -1;
    int r;

    if (platform_alive(&p->corp))
        return 0;
    r = platform_listen("127.0.0.1", &p->corp_port, &fd, err);
    if (r < 0)
        return r;
    s.listen_fd = fd;
    cli_word(&w, "--dir=%s/corp", p->dir);
    cli_word(&w, "--listen=127.0.0.1:%d", p->corp_port);
    cli_words_set(&w, u->args, "corp-set");
    s.argv = (const char *const *)w.list;
    cli_progress_say(u->progress, "starting the XenoCorp");
    return platform_start(u->cli, p, &s, &p->corp, err);
}

static bool has_file(const struct platform *p, const char *name)
{
    xeno_autofree char *path = platform_path(p, "%s", name);

    return access(path, F_OK) == 0;
}

static int corp_id_of(struct up *u, struct xeno_err *err)
{
    xeno_autofree char *home = NULL;
    struct cli op = platform_operator(u->cli, u->p, &home);
    int r = cli_profile_need(&op, err);

    if (r == 0) {
        memcpy(u->p->corp_id, op.profile->corp_id.s, sizeof u->p->corp_id);
        memcpy(u->operator_id, op.profile->cert->id.s, sizeof u->operator_id);
    }
    cli_release(&op);
    return r;
}

/* The first operator's token is printed once, by --init: it is kept until it is spent, so that
 * being killed in between loses nothing. */
static int first_token(struct up *u, char **ret, struct xeno_err *err)
{
    xeno_autofree char *path = platform_path(u->p, "first-token");
    size_t len;
    int r;

    if (has_file(u->p, "first-token"))
        return xeno_file_read(AT_FDCWD, path, 4096, ret, &len, err);
    cli_progress_say(u->progress, "making the XenoCorp");
    r = platform_corp_init(u->cli, u->p, ret, err);
    return r < 0 ? r : xeno_file_write(AT_FDCWD, path, 0600, *ret, strlen(*ret), err);
}

static int bring_corp(struct up *u, struct xeno_err *err)
{
    xeno_autofree char *token = NULL;
    xeno_autofree char *path = platform_path(u->p, "first-token");
    bool joined = has_file(u->p, "operator/profile.json");
    int r = 0;

    if (!joined)
        r = first_token(u, &token, err);
    if (r == 0)
        r = start_corp(u, err);
    if (r == 0 && !joined)
        r = platform_join_operator(u->cli, u->p, token, err);
    if (r == 0) {
        unlink(path);
        r = corp_id_of(u, err);
    }
    return r == 0 ? platform_save(u->p, err) : r;
}

/* --- a XenoServer --- */

/* Each sells its part of the machine, so that all of them together sell it once. */
static void share_words(struct cli_words *w, const struct up *u)
{
    struct sysinfo si;
    struct statvfs fs;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t n = (int64_t)u->p->count;

    if (sysinfo(&si) == 0)
        cli_word(w, "--capacity.memory=%" PRId64, (int64_t)si.totalram * si.mem_unit / n);
    if (statvfs(u->p->dir, &fs) == 0)
        cli_word(w, "--capacity.disk=%" PRId64, (int64_t)fs.f_bavail * (int64_t)fs.f_frsize / n);
    cli_word(w, "--capacity.cpu=%" PRId64, (int64_t)cpus * 1000 / n);
    cli_word(w, "--reserve.cpu=%" PRId64, 100 / n);
    cli_word(w, "--reserve.memory=%" PRId64, (INT64_C(256) << 20) / n);
    cli_word(w, "--reserve.disk=%" PRId64, (INT64_C(1) << 30) / n);
}

static bool has_template(const struct platform *p)
{
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(xeno_image) im = NULL;
    xeno_autofree char *images = platform_path(p, "images");

    return xeno_store_open(images, XENO_STORE_READ, &st, NULL) == 0 &&
           xeno_store_resolve(st, "template://busybox", NULL, &im, NULL) == 0;
}

static void xenod_words(struct cli_words *w, const struct up *u, const struct platform_server *s)
{
    const struct platform *p = u->p;

    cli_word(w, "--dir=%s/%s", p->dir, s->name);
    cli_word(w, "--instance=%s", s->instance);
    cli_word(w, "--listen=%s:%d", s->real, s->port);
    cli_word(w, "--corp-url=https://127.0.0.1:%d", p->corp_port);
    cli_word(w, "--task-socket=%s/run/%s.sock", p->dir, s->name);
    cli_word(w, "--images=%s/images", p->dir);
    cli_word(w, "--imaged=%s/%s-imaged/socket", p->dir, s->name);
    cli_word(w, "--imaged-store=%s/%s-imaged/store", p->dir, s->name);
    cli_word(w, "--driver=%s", p->null_driver ? "null" : "oci");
    cli_word(w, "--pool=10.201.%d.0/24", s->index);
    cli_word(w, "--port-first=%d", 20000 + 500 * s->index);
    cli_word(w, "--port-last=%d", 20000 + 500 * s->index + 499);
    cli_word(w, "--hosts=%s,localhost", s->seen);
    cli_word(w, "--endpoint=https://%s:%d", s->seen, s->port);
    platform_emulate_words(w, p, s);
    cli_word(w, "--name=%s", s->name);
    cli_word(w, "--owner=xeno platform up");
    cli_word(w, "--operators=%s", u->operator_id);
    if (p->nodes[PLATFORM_XIS].port)
        cli_word(w, "--xis=https://127.0.0.1:%d", p->nodes[PLATFORM_XIS].port);
    if (has_template(p))
        cli_word(w, "--template=template://busybox");
    share_words(w, u);
    cli_words_set(w, u->args, "server-set");
}

static int enrol(struct up *u, struct platform_server *s, struct xeno_err *err)
{
    xeno_autofree char *home = NULL;
    xeno_autofree char *token = NULL;
    xeno_autofree char *id = NULL;
    xeno_autofree char *log = platform_path(u->p, "log/%s.log", s->name);
    struct cli op = platform_operator(u->cli, u->p, &home);
    struct platform_spawn spawn = { .program = "xenod", .uid = s->uid, .log = log };
    cli_autowords w = { .count = 0 };
    int r = platform_token(&op, "server", &token, err);

    cli_release(&op);
    if (r < 0)
        return r;
    xenod_words(&w, u, s);
    cli_word(&w, "--enrol");
    cli_word(&w, "%s", token);
    spawn.argv = (const char *const *)w.list;
    r = platform_run(&spawn, &id, err);
    if (r == 0 && !xeno_id_ok(id))
        r = xeno_fail(err, -EIO, "platform.start", "xenod --enrol printed '%.64s', not an id", id);
    if (r == 0)
        memcpy(s->id, id, sizeof s->id);
    return r;
}

static int start_taskd(struct up *u, struct platform_server *s, struct xeno_err *err)
{
    struct platform *p = u->p;
    xeno_autofree char *log = platform_path(p, "log/%s-task.log", s->name);
    struct platform_spawn spawn = { .program = "xeno-taskd", .uid = geteuid(), .log = log };
    cli_autowords w = { .count = 0 };

    if (platform_alive(&s->taskd))
        return 0;
    cli_word(&w, "--dir=%s/%s-task", p->dir, s->name);
    cli_word(&w, "--socket=%s/run/%s.sock", p->dir, s->name);
    cli_word(&w, "--peer-uid=%u", (unsigned)s->uid);
    cli_word(&w, "--instance=%s", s->instance);
    cli_word(&w, "--images=%s/images", p->dir);
    cli_word(&w, "--cache=%s/cache", p->dir);
    cli_word(&w, "--imaged=%s/%s-imaged/socket", p->dir, s->name);
    cli_word(&w, "--pieces=%s/pieces", p->dir);
    cli_word(&w, "--pool=10.201.%d.0/24", s->index);
    cli_words_set(&w, u->args, "task-set");
    spawn.argv = (const char *const *)w.list;
    return platform_start(u->cli, p, &spawn, &s->taskd, err);
}

static int start_xenod(struct up *u, struct platform_server *s, struct xeno_err *err)
{
    xeno_autofree char *log = platform_path(u->p, "log/%s.log", s->name);
    struct platform_spawn spawn = { .program = "xenod", .uid = s->uid, .log = log };
    cli_autowords w = { .count = 0 };
    xeno_autoclose int fd = -1;
    int r;

    if (platform_alive(&s->xenod))
        return 0;
    r = platform_listen(s->real, &s->port, &fd, err);
    if (r < 0)
        return r;
    spawn.listen_fd = fd;
    xenod_words(&w, u, s);
    spawn.argv = (const char *const *)w.list;
    return platform_start(u->cli, u->p, &spawn, &s->xenod, err);
}

static int bring_server(struct up *u, struct platform_server *s, struct xeno_err *err)
{
    xeno_autofree char *dir = platform_path(u->p, "%s", s->name);
    int r = 0;

    cli_progress_say(u->progress, "starting XenoServer %s", s->name);
    if (!platform_alive(&s->taskd))
        r = platform_claim_again(u->p, s->index, err);
    if (r == 0)
        r = platform_folder(dir, 0700, s->uid, err);
    if (r == 0 && !s->id[0])
        r = enrol(u, s, err);
    if (r == 0)
        r = platform_bring_imaged(u->cli, u->p, s, u->args, err);
    if (r == 0)
        r = start_taskd(u, s, err);
    if (r == 0) {
        platform_claim_set(u->p, s->index, &s->taskd);
        r = start_xenod(u, s, err);
    }
    if (r == 0)
        r = platform_save(u->p, err);
    return r < 0 ? xeno_context(err, r, "XenoServer %s", s->name) : 0;
}

/* Until it takes sessions. */
static int await_accepting(struct up *u, const struct platform_server *s, struct xeno_err *err)
{
    xeno_autofree char *url = platform_server_url(s);
    xeno_autofree char *home = NULL;
    struct cli op = platform_operator(u->cli, u->p, &home);
    xeno_time end = xeno_time_add(xeno_mono(op.env), xeno_s(ACCEPT_S));
    int r;

    for (;;) {
        xeno_auto(xeno_json) status = NULL;
        char id[XENO_ID_CHARS + 1];
        struct xeno_json_at top;

        r = cli_server_status(&op, url, s->id, &status, id, err);
        if (r == 0) {
            top = xeno_json_top(status);
            if (cli_bool(&top, "accepting"))
                break;
            r = xeno_fail(err, -ETIMEDOUT, "platform.start",
                          "XenoServer %s does not take sessions; its logs are %s/log/%s*.log",
                          s->name, u->p->dir, s->name);
        }
        if (xeno_mono(op.env).ns > end.ns)
            break;
        cli_wait(&op, xeno_ms(50));
    }
    cli_release(&op);
    return r;
}

/* --- all of it --- */

static int add_server(struct up *u, struct xeno_err *err)
{
    struct platform *p = u->p;
    struct platform_server *s = &p->servers[p->count];
    int r = platform_claim(p, &s->index, err);

    if (r < 0)
        return r;
    snprintf(s->name, sizeof s->name, "x%zu", p->count + 1);
    snprintf(s->instance, sizeof s->instance, "x%d", s->index);
    s->port = p->corp_port + 1 + (int)p->count;
    s->uid = platform_user("xenod", s->index);
    p->count++;
    platform_emulate_place(p);
    return 0;
}

static int new_platform(struct up *u, char *dir, struct xeno_err *err)
{
    struct platform *p = xeno_new0(struct platform);
    const char *lacks = platform_lacks();
    int64_t port = BASE_PORT;
    int r = cli_number(u->args, "port", 1, 65000, &port, err);

    u->p = p;
    p->dir = dir;
    p->corp_port = (int)port;
    p->null_driver = cli_flag(u->args, "null") || lacks;
    p->corp_uid = platform_user("xenocorpd", 0);
    if (r == 0 && lacks && !cli_flag(u->args, "null"))
        cli_note(u->cli, "sessions will run nothing (null driver): %s", lacks);
    return r;
}

static int open_platform(struct up *u, struct xeno_err *err)
{
    xeno_autofree char *dir = platform_dir(u->args);
    struct xeno_err why = XENO_ERR_INIT;
    bool known;
    int r = platform_load(dir, &u->p, &why);

    known = r == 0;
    if (r < 0 && strcmp(why.token, "platform.none") != 0)
        return xeno_fail(err, r, why.token, "%s", why.text);
    if (!known)
        r = new_platform(u, xeno_take(&dir), err);
    u->want = known ? (int64_t)u->p->count : 3;
    if (r == 0 && cli_flag(u->args, "store"))
        platform_want_node(u->p, PLATFORM_STORE);
    if (r == 0 && !known && !cli_flag(u->args, "no-xis"))
        platform_want_node(u->p, PLATFORM_XIS);
    if (r == 0 && u->p->nodes[PLATFORM_XIS].port)
        platform_want_node(u->p, PLATFORM_RD);
    if (r == 0)
        r = cli_number(u->args, "servers", 0, PLATFORM_SERVERS_MAX, &u->want, err);
    if (r == 0)
        r = platform_emulate_want(u->p, u->args, !known, err);
    if (r == 0)
        r = make_folders(u->p, err);
    if (r == 0)
        r = check_path(u->p, err);
    return r;
}

static int bring_up(struct up *u, xeno_credit fund, struct xeno_err *err)
{
    struct platform *p = u->p;
    int r;

    cli_guard_begin(); /* a daemon whose id is not written down yet would be nobody's */
    r = bring_corp(u, err);
    if (r == 0 && (r = cli_guard_check(err)) == 0) {
        cli_progress_say(u->progress, "making a template");
        r = platform_template(u->cli, p, err);
    }
    while (r == 0 && (int64_t)p->count < u->want)
        r = add_server(u, err);
    if (r == 0 && (r = cli_guard_check(err)) == 0)
        r = platform_bring_emulation(u->cli, p, err);
    for (size_t i = 0; r == 0 && i < PLATFORM_NODES; i++)
        if (p->nodes[i].port && (r = cli_guard_check(err)) == 0) {
            cli_progress_say(u->progress, "starting %s", platform_node_kinds[i].title);
            r = platform_bring_node(u->cli, p, i, u->args, err);
        }
    for (size_t i = 0; r == 0 && i < p->count; i++)
        if ((r = cli_guard_check(err)) == 0)
            r = bring_server(u, &p->servers[i], err);
    if (r == 0 && (r = cli_guard_check(err)) == 0) {
        cli_progress_say(u->progress, "registering a client");
        r = platform_join_client(u->cli, p, fund, err);
    }
    for (size_t i = 0; r == 0 && i < p->count; i++) {
        cli_progress_say(u->progress, "waiting for XenoServer %s", p->servers[i].name);
        r = await_accepting(u, &p->servers[i], err);
    }
    if (r == 0)
        platform_await_found(u->cli, p, xeno_s(FOUND_S));
    return r == 0 ? platform_save(p, err) : r;
}

static void print_next(struct cli *cli, const struct platform *p)
{
    xeno_autofree char *usual = cli_profile_path(cli);
    bool elsewhere = strcmp(usual, p->client) != 0;

    cli_note(cli, "\nNext:");
    if (elsewhere)
        cli_note(cli, "  export XENO_HOME=%s    # you have another profile, which was left alone",
                 p->client);
    cli_note(cli, "  xeno server status");
    cli_note(cli, p->null_driver ? "  xeno run -d --name try -- true    # nothing really runs"
                                 : "  xeno run -- echo hello");
    cli_note(cli, "  XENO_HOME=%s/operator xeno corp ledger    # as its operator", p->dir);
    cli_note(cli, "  xeno platform down --dir %s", p->dir);
}

static void print_up(struct cli *cli, const struct platform *p)
{
    xeno_autofree char *url = platform_corp_url(p);

    cli_field(cli, "XenoCorp", "%s at %s", p->corp_id, url);
    for (size_t i = 0; i < p->count; i++) {
        xeno_autofree char *at = platform_server_url(&p->servers[i]);

        cli_field(cli, p->servers[i].name, "%s at %s", p->servers[i].id, at);
    }
    for (size_t i = 0; i < PLATFORM_NODES; i++) {
        xeno_autofree char *at = platform_node_url(&p->nodes[i]);

        if (p->nodes[i].port)
            cli_field(cli, platform_node_kinds[i].name, "%s at %s", p->nodes[i].id, at);
    }
    cli_field(cli, "you", "profile %s", p->client);
    print_next(cli, p);
}

int platform_up(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct up u = { .cli = cli, .args = args };
    xeno_credit fund = xeno_micro(1000 * XENO_CREDIT);
    int r = cli_credit(args, "fund", &fund, err);

    if (r == 0)
        r = open_platform(&u, err);
    if (r == 0) {
        u.progress = cli_progress_new(cli, "starting");
        r = bring_up(&u, fund, err);
        cli_progress_free(u.progress);
        if (r < 0) { /* what runs is known to `down` */
            platform_save(u.p, NULL);
            cli_note(cli,
                     "what was begun stays: go on with the same command, or end it: xeno platform "
                     "down --dir %s --purge",
                     u.p->dir);
        }
    }
    if (r == 0 && !cli->json)
        print_up(cli, u.p);
    else if (r == 0)
        r = platform_status(cli, args, err);
    platform_free(u.p);
    return r;
}
