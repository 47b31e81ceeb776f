/* src/image/job.h - give a stranger's bytes to a confined child, and hear what it makes of them.
 *
 * The parent reads the input and hashes what it hands over; the child works and answers in frames:
 * data for the job's sink, and one report at the end. The parent believes none of it further than
 * the job's own purpose.
 */
#ifndef XENO_IMAGE_JOB_H
#define XENO_IMAGE_JOB_H

#include "image/confine.h"
#include "image/tar.h"
#include "image/unpack.h"

struct xeno_job {
    /* In the child. Answers data by xeno_job_say(out, ...). */
    int (*work)(const struct xeno_job *job, const struct xeno_tar_input *input, int out,
                struct xeno_unpacked *ret, struct xeno_err *err);
    const struct xeno_unpack_limits *limits;
    unsigned compressions; /* of XENO_TAR_IS() */
    int dirfd;             /* the folder to work in, -1 for none; in the child, where it is there */
    bool own;
    bool reading; /* the folder is only read (confine.h) */
    const char *phase;
    const struct xeno_progress *progress;
    /* In the parent: data of the child, in order. NULL: none is expected. */
    int (*sink)(void *arg, const void *data, size_t len, struct xeno_err *err);
    void *arg;
};

/* Send data to the parent's sink; errno as usual. */
int xeno_job_say(int out, const void *data, size_t len);

/* Run a job over what is read from `fd`. digest: what it must have; "" or NULL: unchecked. size:
 * its length in bytes; -1: to the end. */
int xeno_job_run(const struct xeno_job *job, int fd, const char *digest, int64_t size,
                 struct xeno_unpacked *ret, struct xeno_err *err);

/* What a layer holds, name by name; whiteouts as they stand in the archive. */
struct xeno_listed {
    enum xeno_tar_type type;
    unsigned mode;
    int64_t uid, gid, mtime_s;
    const char *path, *link; /* borrowed for the call */
};
int xeno_layer_list(int blob_fd, const struct xeno_layer *layer,
                    const struct xeno_unpack_limits *limits, const struct xeno_progress *progress,
                    int (*fn)(void *arg, const struct xeno_listed *e, struct xeno_err *err),
                    void *arg, struct xeno_unpacked *ret, struct xeno_err *err);

/* Only decompress; the bytes go to `sink`. */
int xeno_layer_bytes(int blob_fd, const struct xeno_layer *layer,
                     const struct xeno_unpack_limits *limits, const struct xeno_progress *progress,
                     int (*sink)(void *arg, const void *data, size_t len, struct xeno_err *err),
                     void *arg, struct xeno_err *err);

#endif
