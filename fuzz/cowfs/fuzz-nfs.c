/* fuzz/cowfs/fuzz-nfs.c - whatever a client of an NFS export sends, it is answered or refused, and
 * what is answered is an answer.
 *
 * The input is calls, each after its length in two bytes, of the NFS and MOUNT programs. No fuzzer
 * makes a handle that holds, so "HHHH" and a byte where one begins stand for one that was given
 * out. Each input has a stack of its own.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../fuzz.h"
#include "base/io.h"
#include "cowfs/layer.h"
#include "cowfs/nfs.h"
#include "cowfs/tests/nfs-peer.h"

#define MAX_BYTES 8192
#define HANDLES   8
#define HANDLE    32

static char folder[] = "/dev/shm/xeno-fuzz-nfs.XXXXXX";

/* Where one of them is; the current directory is the fuzzer's. */
#define PATH 128
static const char *in_folder(const char *name, char buf[PATH])
{
    snprintf(buf, PATH, "%s/%s", folder, name);
    return buf;
}

static void make_file(const char *name, const char *text)
{
    char path[PATH];
    xeno_autoclose int fd = open(in_folder(name, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    XENO_REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void make_layer(void)
{
    static const char *const dirs[] = { "low", "low/d", "low/d/e" };
    char path[PATH], other[PATH];

    if (!mkdtemp(folder)) { /* no /dev/shm */
        strcpy(folder, "/tmp/xeno-fuzz-nfs.XXXXXX");
        XENO_REQUIRE(mkdtemp(folder));
    }
    for (size_t i = 0; i < XENO_LEN(dirs); i++)
        XENO_REQUIRE(mkdir(in_folder(dirs[i], path), 0755) == 0);
    make_file("low/f", "text");
    make_file("low/d/a", "more");
    XENO_REQUIRE(link(in_folder("low/f", path), in_folder("low/g", other)) == 0);
    XENO_REQUIRE(symlink("f", in_folder("low/l", path)) == 0);
}

static void remove_layer(void)
{
    xeno_remove_tree(AT_FDCWD, folder, NULL);
}

/* Handles that a client would have: of the root and what is in it. */
static size_t take_handles(struct peer *p, uint8_t out[HANDLES][HANDLE])
{
    static const char *const names[] = { "f", "g", "l", "d", "." };
    char *slash = (char[]){ "/" };
    mountres3 m = { .fhs_status = MNT3_OK };
    size_t n = 0;

    XENO_REQUIRE(peer_call(p, MOUNT_PROGRAM, MOUNTPROC3_MNT, (xdrproc_t)xdr_dirpath, &slash,
                           (xdrproc_t)xdr_mountres3, &m) == 0);
    memcpy(out[n++], m.mountres3_u.mountinfo.fhandle.fhandle3_val, HANDLE);
    xdr_free((xdrproc_t)xdr_mountres3, (char *)&m);
    for (size_t i = 0; i < XENO_LEN(names); i++) {
        LOOKUP3args a = { { { { HANDLE, (char *)out[0] } }, (char *)(uintptr_t)names[i] } };
        LOOKUP3res r = { .status = NFS3_OK };

        XENO_REQUIRE(peer_call(p, NFS_PROGRAM, NFSPROC3_LOOKUP, (xdrproc_t)xdr_LOOKUP3args, &a,
                               (xdrproc_t)xdr_LOOKUP3res, &r) == 0);
        if (r.status == NFS3_OK)
            memcpy(out[n++], r.LOOKUP3res_u.resok.object.data.data_val, HANDLE);
        xdr_free((xdrproc_t)xdr_LOOKUP3res, (char *)&r);
    }
    return n;
}

static void put_handles(uint8_t *call, size_t len, uint8_t handles[HANDLES][HANDLE], size_t count)
{
    for (size_t i = 0; i + HANDLE <= len; i++)
        if (memcmp(call + i, "HHHH", 4) == 0)
            memcpy(call + i, handles[call[i + 4] % count], HANDLE);
}

static void ask(struct xeno_nfs *s, const uint8_t *data, size_t len,
                uint8_t handles[HANDLES][HANDLE], size_t count)
{
    /* A copy of just that length, so that reading past its end is seen. */
    xeno_autofree uint8_t *call = xeno_alloc0(1, len ? len : 1);
    xeno_autobuf reply = XENO_BUF_INIT;

    memcpy(call, data, len);
    put_handles(call, len, handles, count);
    if (xeno_nfs_answer(s, "127.0.0.1", call, len, &reply) < 0)
        return;
    XENO_REQUIRE(reply.len >= 12 && reply.len % 4 == 0 && reply.len <= (2 << 20));
    XENO_REQUIRE(memcmp(reply.data, call, 4) == 0 && memcmp(reply.data + 4, "\0\0\0\1", 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char low[PATH], upper[PATH], work[PATH];
    const struct xeno_nfs_opts opts = { .work = in_folder("work", work),
                                        .clients = "127.0.0.1",
                                        .threads = 1 };
    uint8_t handles[HANDLES][HANDLE];
    struct xeno_cowfs_layer *layer;
    xeno_auto(xeno_cowfs) c = NULL;
    xeno_auto(xeno_nfs) s = NULL;
    struct peer p = { .client = "127.0.0.1" };
    static bool made;
    size_t count;

    if (size > MAX_BYTES)
        return 0;
    if (!made) {
        make_layer();
        atexit(remove_layer);
        made = true;
    }
    in_folder("work", work); /* the folder has its name now */
    XENO_REQUIRE(mkdir(in_folder("upper", upper), 0755) == 0 && mkdir(work, 0755) == 0);
    XENO_REQUIRE(xeno_cowfs_layer_dir(in_folder("low", low), &layer, NULL) == 0);
    XENO_REQUIRE(xeno_cowfs_open(upper, work, &layer, 1, &c, NULL) == 0);
    XENO_REQUIRE(xeno_nfs_new(c, &opts, &s, NULL) == 0);
    p.s = s;
    count = take_handles(&p, handles);
    for (size_t at = 0; at + 2 <= size;) {
        size_t len = (size_t)data[at] << 8 | data[at + 1];

        at += 2;
        len = len < size - at ? len : size - at;
        ask(s, data + at, len, handles, count);
        at += len;
    }
    xeno_nfs_free(xeno_take(&s));
    xeno_cowfs_free(xeno_take(&c));
    XENO_REQUIRE(xeno_remove_tree(AT_FDCWD, upper, NULL) == 0);
    XENO_REQUIRE(xeno_remove_tree(AT_FDCWD, work, NULL) == 0);
    return 0;
}
