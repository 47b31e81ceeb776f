/* src/taskd/options.c - the configuration of xeno-taskd: its table, and what is made of it. */
#include "taskd/options.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT(field) offsetof(struct taskd_conf, field)

static const struct xeno_conf_item items[] = {
    { .name = "dir",
      .type = XENO_CONF_TEXT,
      .offset = AT(dir),
      .fallback = "/var/lib/xeno/taskd",
      .min = 1,
      .max = 200,
      .help = "Where sessions, writable layers and logs are kept." },
    { .name = "socket",
      .type = XENO_CONF_TEXT,
      .offset = AT(socket),
      .max = 107,
      .help = "Where the environment manager connects; by default DIR/socket." },
    { .name = "peer-uid",
      .type = XENO_CONF_INT,
      .offset = AT(peer_uid),
      .fallback = "-1",
      .min = -1,
      .max = 4294967294,
      .help = "The only user that may connect; -1 is the one this program runs as." },
    { .name = "instance",
      .type = XENO_CONF_TEXT,
      .offset = AT(instance),
      .fallback = "x1",
      .min = 1,
      .max = XENO_NET_INSTANCE_MAX,
      .help = "Tells several task managers of one machine apart: part of every name in the "
              "kernel." },
    { .name = "images",
      .type = XENO_CONF_TEXT,
      .offset = AT(images),
      .max = 200,
      .help = "The OCI layout with the images of this host; by default DIR/images." },
    { .name = "cache",
      .type = XENO_CONF_TEXT,
      .offset = AT(cache),
      .max = 200,
      .help = "Unpacked layers; several task managers may share it; by default DIR/cache." },
    { .name = "cache-max",
      .type = XENO_CONF_SIZE,
      .offset = AT(cache_max),
      .fallback = "10G",
      .min = 0,
      .max = INT64_C(1) << 50,
      .help = "Layers that no session needs are removed, longest unused first, when the cache is "
              "larger." },
    { .name = "imaged",
      .type = XENO_CONF_TEXT,
      .offset = AT(imaged),
      .fallback = "",
      .max = 107,
      .help =
          "The socket of xeno-imaged, which fetches layers that are not on this host; without it a "
          "session of such a layer is refused." },
    { .name = "imaged-store",
      .type = XENO_CONF_TEXT,
      .offset = AT(imaged_store),
      .max = 200,
      .help = "Its image store; by default store beside its socket." },
    { .name = "pieces",
      .type = XENO_CONF_TEXT,
      .offset = AT(pieces),
      .max = 200,
      .help =
          "Pieces of layers that sessions have read; several task managers may share it; by default "
          "DIR/pieces." },
    { .name = "pieces-bytes",
      .type = XENO_CONF_SIZE,
      .offset = AT(pieces_bytes),
      .fallback = "10G",
      .min = 1 << 20,
      .max = INT64_C(1) << 50,
      .help = "How much it may hold; what was not read for longest goes." },
    { .name = "pool",
      .type = XENO_CONF_TEXT,
      .offset = AT(pool),
      .fallback = "10.201.1.0/24",
      .min = 9,
      .max = 18,
      .help = "The prefix that sessions' addresses are from; the first is the gateway, the last "
              "who calls from 127/8." },
    { .name = "uplink",
      .type = XENO_CONF_TEXT,
      .offset = AT(uplink),
      .max = 15,
      .help = "The only interface by which sessions leave; by default any." },
    { .name = "deny",
      .type = XENO_CONF_TEXT,
      .offset = AT(deny),
      .max = 1024,
      .help = "Further prefixes that sessions must not reach, with commas between them." },
    { .name = "dns",
      .type = XENO_CONF_TEXT,
      .offset = AT(dns),
      .max = 64,
      .help = "Name servers for sessions, with commas between them; by default the host's." },
    { .name = "verbose",
      .type = XENO_CONF_BOOL,
      .offset = AT(verbose),
      .fallback = "no",
      .help = "Log each step." },
};

static const struct xeno_conf_verb verbs[] = {
    { "remove", NULL,
      "take everything of this instance off this machine, its sessions with it, then exit" },
    { NULL },
};

const struct xeno_conf_program taskd_program = {
    .name = "xeno-taskd",
    .purpose = "task manager of a XenoServer: runs sessions, faces no network",
    .items = items,
    .count = XENO_LEN(items),
    .verbs = verbs,
};

static void default_path(char **path, const char *dir, const char *name)
{
    if (*path && (*path)[0])
        return;
    free(*path);
    *path = xeno_asprintf("%s/%s", dir, name);
}

static bool instance_ok(const char *text)
{
    return text[0] >= 'a' && text[0] <= 'z' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(text);
}

/* Mounts, cgroups and the runtime want absolute paths without surprises. */
static int make_absolute(char **path, struct xeno_err *err)
{
    xeno_autofree char *cwd = NULL, *old = NULL;

    if (!*path || !(*path)[0] || (*path)[0] == '/')
        return 0;
    cwd = getcwd(NULL, 0);
    if (!cwd)
        return xeno_fail_errno(err, -errno, "taskd.options", "find the current folder");
    old = *path;
    *path = xeno_asprintf("%s/%s", cwd, old);
    return 0;
}

int options_complete(struct taskd_conf *conf, struct xeno_err *err)
{
    char **const paths[] = { &conf->dir,    &conf->socket, &conf->images,      &conf->cache,
                             &conf->pieces, &conf->imaged, &conf->imaged_store };
    int r = 0;

    if (!instance_ok(conf->instance))
        return xeno_fail(err, -EINVAL, "taskd.options",
                         "instance '%s' is not a small letter followed by small letters and digits",
                         conf->instance);
    default_path(&conf->socket, conf->dir, "socket");
    default_path(&conf->images, conf->dir, "images");
    default_path(&conf->cache, conf->dir, "cache");
    default_path(&conf->pieces, conf->dir, "pieces");
    if (*conf->imaged) {
        xeno_autofree char *copy = xeno_strdup(conf->imaged);

        default_path(&conf->imaged_store, dirname(copy), "store");
    }
    for (size_t i = 0; r == 0 && i < XENO_LEN(paths); i++)
        r = make_absolute(paths[i], err);
    if (strpbrk(conf->dir, ",:\\"))
        return xeno_fail(err, -EINVAL, "taskd.options",
                         "dir '%s' has a comma, colon or backslash, which mount options cannot say",
                         conf->dir);
    if (conf->peer_uid < 0)
        conf->peer_uid = geteuid();
    return r;
}
