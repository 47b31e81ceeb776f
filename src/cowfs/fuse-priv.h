/* src/cowfs/fuse-priv.h - what the files of the FUSE front end share. */
#ifndef XENO_COWFS_FUSE_PRIV_H
#define XENO_COWFS_FUSE_PRIV_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "cowfs/stack.h"

/* Nobody else changes what is served, so what the kernel knows stays true. */
#define FOR_EVER 86400.0

static inline struct xeno_cowfs *stack_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}
static inline struct xeno_cowfs_node *node_of(fuse_req_t req, fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? xeno_cowfs_root(stack_of(req))
                               : (struct xeno_cowfs_node *)(uintptr_t)ino;
}
/* Replies take a positive errno. */
static inline void reply_result(fuse_req_t req, int r)
{
    fuse_reply_err(req, r < 0 ? -r : 0);
}
static inline struct xeno_cowfs_file *file_of(const struct fuse_file_info *fi)
{
    return fi ? (struct xeno_cowfs_file *)(uintptr_t)fi->fh : NULL;
}
/* A file with several names in a layer becomes one of its own when it is taken over, with another
 * number and one name less: the kernel asks each time. */
static inline double known_for(const struct stat *st)
{
    return S_ISDIR(st->st_mode) || st->st_nlink < 2 ? FOR_EVER : 0;
}
void fill_entry(struct fuse_entry_param *e, struct xeno_cowfs_node *n, const struct stat *st);

/* fuse-file.c: contents of files and directories. */
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
                  struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
                  struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in, struct fuse_file_info *fi_in,
                        fuse_ino_t out, off_t off_out, struct fuse_file_info *fi_out, size_t len,
                        int flags);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

/* fuse.c: for op_create. */
struct xeno_cowfs_new new_object(fuse_req_t req, mode_t mode);

#endif
