/* src/xstored/sink.h - bytes on their way into an upload: what a handler finds when all have come.
 */
#ifndef XENO_XSTORED_SINK_H
#define XENO_XSTORED_SINK_H

#include "xstored/upload.h"

struct xstored_inflow {
    struct xstored *d;
    struct xstored_upload *u; /* NULL: the request has no body for one */
    bool whole;               /* made for this request alone: goes when it fails */
    int fd;                   /* of its stage; -1 */
    int64_t promised;         /* bytes that Content-Range says; -1: it says nothing */
    int64_t got;
    int64_t room; /* bytes the owner may have in open uploads */
    int64_t disk; /* bytes there are for this request */
};
/* The upload is dropped when it was for this request alone, and else may be taken again. */
void xstored_inflow_free(struct xstored_inflow *in);
XENO_DEFINE_AUTO(xstored_inflow, xstored_inflow_free);
/* It stays busy, and is the caller's to finish or release. */
struct xstored_upload *xstored_inflow_take(struct xstored_inflow *in);

/* Location, Range and Docker-Upload-UUID of an upload. */
void xstored_upload_headers(struct xeno_http_req *q, const struct xstored_upload *u);

#endif
