/* src/imaged/tests/agent-ask.c - ask the image manager by hand, for the system tests.
 *
 *     agent-ask SOCKET PATIENCE-MS resolve NAME [template|overlay]
 *     agent-ask SOCKET PATIENCE-MS fetch LAYER
 *     agent-ask SOCKET PATIENCE-MS read LAYER OFFSET LENGTH [SHA256 [SIZE]]    the bytes, to stdout
 *     agent-ask SOCKET PATIENCE-MS pieces LAYER STORE     every piece, by its table of contents in
 *                                                         STORE, checked; prints how many bytes
 *     agent-ask SOCKET PATIENCE-MS progress LAYER...
 *     agent-ask SOCKET PATIENCE-MS keep MANIFEST...
 *
 * Prints what it is told as JSON. A failure prints "TOKEN: TEXT" to standard error; status 1.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/io.h"
#include "image/agent-proto.h"
#include "image/build-priv.h"
#include "image/store.h"

static void print(struct xeno_json *taken)
{
    size_t len;
    char *text = xeno_json_format(taken, false, &len);

    puts(text);
    free(text);
    xeno_json_unref(taken);
}

static int resolve(struct xeno_agent *a, int argc, char **argv, struct xeno_err *err)
{
    xeno_auto(xeno_agent_image) im = NULL;
    enum xeno_image_kind kind = XENO_IMAGE_ANY;
    int r;

    if (argc > 1)
        kind = strcmp(argv[1], "overlay") == 0 ? XENO_IMAGE_OVERLAY : XENO_IMAGE_TEMPLATE;
    r = xeno_agent_resolve(a, argv[0], kind, &im, err);
    if (r >= 0)
        print(xeno_agent_image_json(im));
    return r;
}

static int fetch(struct xeno_agent *a, int argc, char **argv, struct xeno_err *err)
{
    struct xeno_agent_fetched f;
    int r = xeno_agent_fetch(a, argv[0], &f, err);

    (void)argc;
    if (r >= 0)
        print(xeno_agent_fetched_json(&f));
    return r;
}

static int read_part(struct xeno_agent *a, int argc, char **argv, struct xeno_err *err)
{
    size_t len = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    xeno_autofree char *buf = xeno_alloc0(1, len + 1);
    struct xeno_source_want want = { .size_bytes = argc > 4 ? strtol(argv[4], NULL, 10) : 0 };
    uint8_t sha[32];
    int r;

    if (argc > 3 && xeno_unhex(argv[3], sha, sizeof sha))
        want.sha = sha;
    r = xeno_agent_read(a, argv[0], argc > 1 ? strtol(argv[1], NULL, 10) : 0, buf, len,
                        want.sha ? &want : NULL, err);
    return r < 0 ? r : xeno_write_all(1, buf, len);
}

static int load_table(const char *store, const struct xeno_agent_fetched *f, struct xeno_toc **ret,
                      struct xeno_err *err)
{
    xeno_auto(xeno_store) st = NULL;
    xeno_autofree char *data = NULL;
    char digest[XENO_DIGEST_TEXT];
    size_t len;
    int r = xeno_store_open(store, XENO_STORE_READ, &st, err);

    xeno_digest_text(f->table.sha, digest);
    if (r >= 0)
        r = xeno_store_read(st, digest, XENO_TOC_MAX_BYTES, &data, &len, err);
    return r < 0
               ? r
               : xeno_chunked_toc(&f->table, data, f->size_bytes, &xeno_unpack_defaults, ret, err);
}

static int pieces(struct xeno_agent *a, int argc, char **argv, struct xeno_err *err)
{
    const struct xeno_sources_opts o = { .env = xeno_env_real() };
    xeno_auto(xeno_sources) sources = xeno_sources_new(&o);
    xeno_auto(xeno_toc) toc = NULL;
    struct xeno_source *s = NULL;
    struct xeno_agent_fetched f;
    int64_t sum = 0;
    int r = xeno_agent_fetch(a, argv[0], &f, err);

    if (r >= 0)
        r = load_table(argc > 1 ? argv[1] : ".", &f, &toc, err);
    if (r >= 0)
        r = xeno_source_agent(a, "agent", &s, err);
    if (r < 0)
        return r;
    xeno_sources_add(sources, s);
    for (size_t i = 0; r >= 0 && i < toc->chunk_count; i++) {
        xeno_autofree char *out = xeno_alloc0(1, (size_t)toc->chunks[i].size_bytes);

        if (toc->chunks[i].zeros)
            continue;
        r = xeno_sources_piece(sources, argv[0], &toc->chunks[i], out, err);
        sum += toc->chunks[i].size_bytes;
    }
    if (r >= 0)
        printf("%lld\n", (long long)sum);
    return r;
}

static int progress(struct xeno_agent *a, int argc, char **argv, struct xeno_err *err)
{
    struct xeno_agent_progress items[XENO_AGENT_LAYERS_MAX];
    int r = xeno_agent_progress(a, (const char *const *)argv, (size_t)argc, items, err);

    if (r >= 0)
        print(xeno_agent_progress_json(items, (size_t)argc));
    return r;
}

static int keep(struct xeno_agent *a, int argc, char **argv, struct xeno_err *err)
{
    return xeno_agent_keep(a, (const char *const *)argv, (size_t)argc, err);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*fn)(struct xeno_agent *a, int argc, char **argv, struct xeno_err *err);
        int least;
    } verbs[] = { { "resolve", resolve, 1 }, { "fetch", fetch, 1 },       { "read", read_part, 3 },
                  { "pieces", pieces, 2 },   { "progress", progress, 0 }, { "keep", keep, 0 } };
    xeno_auto(xeno_agent) a = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_agent_opts o = { .env = xeno_env_real() };
    int r = -1;

    if (argc < 4)
        return 2;
    o.socket = argv[1];
    o.patience = xeno_ms(strtol(argv[2], NULL, 10));
    if (xeno_agent_new(&o, &a, &err) >= 0)
        for (size_t i = 0; i < XENO_LEN(verbs); i++)
            if (strcmp(verbs[i].name, argv[3]) == 0 && argc - 4 >= verbs[i].least)
                r = verbs[i].fn(a, argc - 4, argv + 4, &err);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", err.token, err.text);
    return r < 0;
}
