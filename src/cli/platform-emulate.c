/* src/cli/platform-emulate.c - a platform whose XenoServers are far from each other. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/platform.h"
#include "cli/words.h"
#include "line/mirror.h"

#define PLANETLAB   "planetlab"
#define CLIENT_NODE 2 /* of the table: unless told */

/* Where the tables are that come with the program: installed, or in the build tree. */
static int table_path(const char *name, char **ret, struct xeno_err *err)
{
    static const char *const places[] = { "../share/xeno", "../../data" };
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *dir;

    self[n > 0 ? n : 0] = '\0';
    dir = dirname(self);
    for (size_t i = 0; i < XENO_LEN(places); i++) {
        xeno_autofree char *path = xeno_asprintf("%s/%s/%s-rtt.tsv", dir, places[i], name);

        *ret = realpath(path, NULL);
        if (*ret)
            return 0;
    }
    return xeno_fail(err, -ENOENT, "platform.emulate",
                     "the table of %s is not where xeno was installed or built (%s)", name, dir);
}

static int read_table(struct platform_emulation *e, struct xeno_err *err)
{
    xeno_auto(xeno_matrix) m = NULL;
    xeno_autofree char *text = NULL;
    size_t len;
    int r = xeno_file_read(AT_FDCWD, e->matrix, XENO_MATRIX_MAX_BYTES, &text, &len, err);

    if (r == 0)
        r = xeno_matrix_read(text, len, &m, err);
    if (r < 0)
        return xeno_context(err, r, "%s", e->matrix);
    e->nodes = xeno_matrix_nodes(m);
    return 0;
}

/* A platform is where it was made, or is not: addresses are in its adverts and profiles. */
static int same(const struct platform_emulation *e, const char *path, struct xeno_err *err)
{
    if (!e->matrix || strcmp(e->matrix, path) == 0)
        return 0;
    return xeno_fail(err, -EEXIST, "platform.emulate",
                     "this platform emulates %s: end it with --purge to emulate %s", e->matrix,
                     path);
}

int platform_emulate_want(struct platform *p, const struct cli_args *args, bool fresh,
                          struct xeno_err *err)
{
    struct platform_emulation *e = &p->emulation;
    const char *given = cli_value(args, "emulate");
    xeno_autofree char *path = NULL;
    int64_t node = e->client ? (int64_t)e->client : CLIENT_NODE;
    int r = 0;

    if (given && geteuid() != 0)
        return xeno_fail(err, -EPERM, "platform.emulate",
                         "--emulate needs root: it makes a network device and routes");
    if (given && !fresh && !e->matrix)
        return xeno_fail(err, -EEXIST, "platform.emulate",
                         "this platform emulates nothing: end it with --purge first");
    if (given && strcmp(given, PLANETLAB) == 0)
        r = table_path(given, &path, err);
    else if (given && !(path = realpath(given, NULL)))
        r = xeno_fail(err, -errno, "platform.emulate",
                      "'%s' is neither '" PLANETLAB "' nor a table of round trips: %s", given,
                      strerror(errno));
    if (r == 0 && path)
        r = same(e, path, err);
    if (r < 0)
        return r;
    if (path) {
        free(e->matrix);
        e->matrix = xeno_take(&path);
    }
    if (!e->matrix && cli_value(args, "client-node"))
        return xeno_fail(err, -EINVAL, "platform.emulate", "--client-node goes with --emulate");
    if (e->matrix)
        r = read_table(e, err);
    if (r == 0 && e->matrix)
        r = cli_number(args, "client-node", 1, (int64_t)e->nodes, &node, err);
    if (r == 0 && e->matrix && (int64_t)e->client != node && platform_alive(&e->process))
        r = xeno_fail(err, -EBUSY, "platform.emulate",
                      "the client is at node %zu until the platform is taken down", e->client);
    if (r == 0 && e->matrix)
        e->client = (size_t)node;
    return r;
}

size_t platform_emulate_node(const struct platform *p, const struct platform_server *s)
{
    return xeno_matrix_spread(p->emulation.nodes, (size_t)(s - p->servers));
}

static void address(uint32_t a, char ret[PLATFORM_ADDRESS])
{
    snprintf(ret, PLATFORM_ADDRESS, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

void platform_emulate_place(struct platform *p)
{
    const struct platform_emulation *e = &p->emulation;

    for (size_t i = 0; i < p->count; i++) {
        struct platform_server *s = &p->servers[i];

        strcpy(s->seen, "127.0.0.1");
        strcpy(s->real, "127.0.0.1");
        if (!e->matrix)
            continue;
        address(xeno_mirror_seen(e->subnet, platform_emulate_node(p, s)), s->seen);
        address(xeno_mirror_real(e->subnet, platform_emulate_node(p, s)), s->real);
    }
}

/* As "10.78.0.0/22". */
static void net_text(const struct platform *p, char ret[PLATFORM_ADDRESS + 3])
{
    char base[PLATFORM_ADDRESS];

    address(xeno_mirror_seen(p->emulation.subnet, 0), base);
    snprintf(ret, PLATFORM_ADDRESS + 3, "%s/%d", base, XENO_MIRROR_BITS);
}

void platform_emulate_words(struct cli_words *w, const struct platform *p,
                            const struct platform_server *s)
{
    char net[PLATFORM_ADDRESS + 3];

    if (!p->emulation.matrix)
        return;
    net_text(p, net);
    cli_word(w, "--probe-source=%s", s->real);
    cli_word(w, "--probe-allow=%s", net);
    cli_word(w, "--probe-interval=2s"); /* who tries it out does not wait for minutes */
}

static int read_subnet(struct platform *p, const char *told, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    unsigned n;
    int r = xeno_file_read(AT_FDCWD, told, 16, &text, &len, err);

    if (r == 0 && (sscanf(text, "%u", &n) != 1 || n >= XENO_MIRROR_SUBNETS))
        r = xeno_fail(err, -EIO, "platform.start", "xeno-emulate wrote '%.16s' to %s", text, told);
    if (r == 0)
        p->emulation.subnet = n;
    return r;
}

int platform_bring_emulation(struct cli *cli, struct platform *p, struct xeno_err *err)
{
    struct platform_emulation *e = &p->emulation;
    xeno_autofree char *told = platform_path(p, "run/subnet");
    xeno_autofree char *log = platform_path(p, "log/emulate.log");
    struct platform_spawn spawn = { .program = "xeno-emulate", .uid = geteuid(), .log = log };
    cli_autowords w = { .count = 0 };
    unsigned was = e->subnet;
    int r;

    if (!e->matrix || platform_alive(&e->process))
        return 0;
    cli_word(&w, "--matrix=%s", e->matrix);
    cli_word(&w, "--told=%s", told);
    cli_word(&w, "--subnet=%u", e->subnet);
    cli_word(&w, "--client=%zu", e->client);
    spawn.argv = (const char *const *)w.list;
    r = platform_start(cli, p, &spawn, &e->process, err);
    if (r == 0)
        r = read_subnet(p, told, err);
    if (r == 0)
        platform_emulate_place(p);
    /* Another platform has taken our place meanwhile: who listens at the old one is nowhere. */
    for (size_t i = 0; r == 0 && was != e->subnet && i < p->count; i++)
        platform_stop(cli, &p->servers[i].xenod, xeno_s(PLATFORM_TERM_S));
    return r == 0 ? platform_save(p, err) : r;
}

struct xeno_json *platform_emulate_json(const struct platform *p)
{
    struct xeno_json *j = xeno_json_object();
    char net[PLATFORM_ADDRESS + 3], client[PLATFORM_ADDRESS];

    net_text(p, net);
    address(xeno_mirror_seen(p->emulation.subnet, p->emulation.client), client);
    xeno_json_set_str(j, "matrix", p->emulation.matrix);
    xeno_json_set_str(j, "net", net);
    xeno_json_set_int(j, "nodes", (int64_t)p->emulation.nodes);
    xeno_json_set_int(j, "client_node", (int64_t)p->emulation.client);
    xeno_json_set_str(j, "client_address", client);
    return j;
}
