/* src/xenod/probing-priv.h - what prober.c, publishing and the desk of api-probes.c share. */
#ifndef XENOD_PROBING_PRIV_H
#define XENOD_PROBING_PRIV_H

#include "http/client.h"
#include "xenod/advertise.h"
#include "xenod/asked.h"
#include "xenod/group.h"
#include "xenod/measure.h"
#include "xenod/probing.h"
#include "xenod/xenod.h"

#define XIS_URLS 8

struct xenod_desk; /* what is measured for others: api-probes.c */
struct under_way;

struct landmark {
    union xenod_address address;
    xeno_time due;
    struct xenod_traced path;
};

struct xenod_probing {
    struct xenod *d;
    struct xenod_measure_from from;
    sd_event_source *timer;
    struct xenod_group *group; /* NULL: none */

    struct under_way *ways; /* measurements of members */
    size_t way_count;
    struct xeno_http_client *checker;
    struct xeno_http_call *check; /* NULL: none is under way */
    char checking[XENO_ID_CHARS + 1];
    union xenod_address checked_address;
    bool has_address;

    char *xis[XENO_REFRESH_SERVICES];
    size_t xis_count, xis_at;
    struct xeno_http_call *call;
    enum { STAGE_NONE, STAGE_NEWS, STAGE_CHANCE, STAGE_NEAR } stage;
    bool in_round, wrap;
    int64_t near_ms, round_ns;
    xeno_time round_due, news_due, keep_due;

    struct landmark landmarks[XENOD_LANDMARKS];
    size_t landmark_count, tracing;
    struct xenod_trace *trace;
    xeno_time trace_due;

    struct xenod_desk *desk;
    uint64_t measured, silent, refused, bad_adverts, xis_failed, traced;
};

/* Where we are, from and to the journal. */
void xenod_probing_restore(struct xenod_probing *p);
void xenod_probing_keep(struct xenod_probing *p, xeno_time now); /* when it is time to */

struct xenod_desk *xenod_desk_new(struct xenod_probing *p);
void xenod_desk_free(struct xenod_desk *k);
void xenod_desk_metrics(const struct xenod_desk *k, struct xeno_buf *out);

#endif
