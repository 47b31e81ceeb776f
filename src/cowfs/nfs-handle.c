/* src/cowfs/nfs-handle.c - file handles as bytes. */
#include "cowfs/nfs-handle.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/env.h"
#include "base/io.h"
#include "crypto/key.h"

#define VERSION 1

struct handle {
    uint8_t version, zero[3];
    uint32_t born;
    uint64_t number;
    uint8_t mac[XENO_MAC_BYTES];
};
_Static_assert(sizeof(struct handle) == XENO_NFS_HANDLE_BYTES, "a handle has no gaps");

int xeno_nfs_key_load(int dirfd, struct xeno_nfs_key *ret, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    struct xeno_nfs_key key;
    size_t len = 0;
    int r = xeno_file_read(dirfd, XENO_NFS_KEY_FILE, sizeof key, &text, &len, err);

    if (r == -ENOENT) {
        xeno_random(xeno_env_real(), &key, sizeof key);
        r = xeno_file_write(dirfd, XENO_NFS_KEY_FILE, 0600, &key, sizeof key, err);
    } else if (r == 0 && len != sizeof key) {
        r = xeno_fail(err, -EINVAL, "nfs.key", "'" XENO_NFS_KEY_FILE "' is not %zu bytes long",
                      sizeof key);
    } else if (r == 0) {
        memcpy(&key, text, sizeof key);
    }
    if (r == 0)
        *ret = key;
    xeno_wipe(&key, sizeof key);
    if (text)
        xeno_wipe(text, len);
    return r;
}

void xeno_nfs_handle_make(const struct xeno_nfs_key *key, const struct xeno_cowfs_identity *id,
                          uint8_t out[XENO_NFS_HANDLE_BYTES])
{
    struct handle h = { .version = VERSION,
                        .born = htobe32(id->born),
                        .number = htobe64(id->number) };

    xeno_mac(key->mac, &h, offsetof(struct handle, mac), h.mac);
    memcpy(out, &h, sizeof h);
}

int xeno_nfs_handle_read(const struct xeno_nfs_key *key, const void *data, size_t len,
                         struct xeno_cowfs_identity *ret)
{
    uint8_t mac[XENO_MAC_BYTES];
    struct handle h;

    if (len != sizeof h)
        return -EBADF;
    memcpy(&h, data, sizeof h);
    xeno_mac(key->mac, &h, offsetof(struct handle, mac), mac);
    if (!xeno_equal_secret(mac, h.mac, sizeof mac) || h.version != VERSION)
        return -EBADF;
    ret->born = be32toh(h.born);
    ret->number = be64toh(h.number);
    return 0;
}

uint64_t xeno_nfs_cookie(const struct xeno_nfs_key *key, const char *name)
{
    uint64_t h = xeno_short_hash(key->names, name, strlen(name)) & (UINT64_MAX >> 1);

    return h > XENO_NFS_COOKIE_FIRST ? h : h + XENO_NFS_COOKIE_FIRST + 1;
}
