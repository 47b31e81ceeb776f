/* src/spec/requirement.h - the requirement document: what a client needs of a session.
 *
 * XML, root EnvironmentalRequirements, schema schemas/requirements.xsd (compiled into the program).
 * The example in section II-A.3 of the platform's paper is such a document as it stands. Parsing
 * gives a struct in which every default is filled in; formatting gives one canonical text that
 * parses to the same struct. Whether a host can do it is another question: match.h.
 *
 * Units of the document: CPUmsps ms of CPU per second of real time, NetMbps 10^6 bit/s, MemoryMB
 * and DiskMB 2^20 bytes, prices credits with at most 6 decimals. Pure. Context: any thread after
 * xeno_spec_init().
 */
#ifndef XENO_SPEC_REQUIREMENT_H
#define XENO_SPEC_REQUIREMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "spec/grant.h"

#define XENO_REQUIREMENT_MAX_BYTES (64 * 1024)
#define XENO_OVERLAYS_MAX          16
#define XENO_ENV_NAME_TEXT         64
#define XENO_ENV_TYPE_TEXT         33
#define XENO_ENV_KERNEL_TEXT       33
#define XENO_IMAGE_REF_TEXT        701 /* "oci://HOST:PORT/REPO:TAG@sha256:..." is the longest */
#define XENO_LIFETIME_MAX_S        (INT64_C(400) * 24 * 3600)
#define XENO_TASKS_MAX             32

struct xeno_requirement {
    char name[XENO_ENV_NAME_TEXT];     /* EnvName */
    char env_type[XENO_ENV_TYPE_TEXT]; /* EnvType: "Linux" */
    char kernel[XENO_ENV_KERNEL_TEXT]; /* EnvKernel: "2.4.18"; "": any */
    /* EnvTemplate: "template://NAME", "sha256:...", "oci://..." (image/registry.h) or "" */
    char template_ref[XENO_IMAGE_REF_TEXT];
    size_t overlay_count;                                  /* EnvOverlay, bottom first */
    char overlays[XENO_OVERLAYS_MAX][XENO_IMAGE_REF_TEXT]; /* likewise with "overlay://NAME" */
    int addresses; /* EnvIPAddresses: 0 behind NAT, 1 of its own */
    size_t port_count;
    struct xeno_port ports[XENO_PORTS_MAX];
    int64_t cpu_msps, cpu_burst_ms, net_kbps, memory_bytes, disk_bytes;
    int64_t lifetime_s;
    int64_t max_per_hour; /* micro-credits; 0: no limit */
    int64_t max_total;    /* micro-credits; 0: no limit */
    int64_t tasks;        /* MaxTasks, ended ones counted */
    int64_t pids;         /* MaxProcesses */
};
void xeno_requirement_free(struct xeno_requirement *req);
XENO_DEFINE_AUTO(xeno_requirement, xeno_requirement_free);

/* Compile the schemas; once, before a sandbox. Again: no effect. Aborts when the schemas that were
 * built in are wrong. */
void xeno_spec_init(void);

/* Returns: 0 and the requirement, the caller's.
 * Errors:  those of xml.h, and -EINVAL spec.port (the same port twice), spec.burst (CPUBurstMs over
 *          a tenth of CPUmsps, which is all a scheduling period can hold). Texts name line, element
 *          and limit.
 */
int xeno_requirement_parse(const char *text, size_t len, struct xeno_requirement **ret,
                           struct xeno_err *err);

/* The canonical document; the caller's. */
char *xeno_requirement_format(const struct xeno_requirement *req, size_t *ret_len);
bool xeno_requirement_equal(const struct xeno_requirement *a, const struct xeno_requirement *b);

/* Everything at its default, for building a document: EnvType Linux, no image. `name` is cut and
 * made fit for EnvName. */
struct xeno_requirement *xeno_requirement_new(const char *name);

/* What would be granted: address and host ports are still open. */
void xeno_requirement_grant(const struct xeno_requirement *req, struct xeno_grant *ret);

#endif
