/* src/spec/service-doc.h - the service document: the same programs on several XenoServers at once.
 *
 * XML, root Service, schema schemas/service.xsd, which includes those of requirements and of tasks.
 * A replica is one session that meets the requirement and gets every task. In arguments and values
 * of environment variables, and only there, ${NAME} stands for something of the replica: a
 * Parameter's value, or one of
 *
 *     replica    its number, from 1          replicas   how many were asked for
 *     server     the name the client has for its XenoServer
 *     address    where clients reach it      port       and by which port: the first Port's
 *
 * "$${" is "${"; a "$" before anything else is itself. Values are put in once and not read again.
 * Pure. Context: any thread.
 */
#ifndef XENO_SPEC_SERVICE_DOC_H
#define XENO_SPEC_SERVICE_DOC_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "spec/requirement.h"
#include "spec/task-doc.h"

#define XENO_SERVICE_MAX_BYTES  (256 * 1024)
#define XENO_SERVICE_TASKS      XENO_TASKS_MAX
#define XENO_SERVICE_PARAMETERS 32
#define XENO_REPLICAS_MAX       64 /* and so many values of a parameter */

struct xeno_service_parameter {
    char *name;
    char **values; /* of replica 1, 2, ...; a single one is for all; NULL-terminated */
    size_t count;
};

struct xeno_service {
    struct xeno_requirement *req;
    struct xeno_task_doc **tasks; /* as written: with ${NAME} in them */
    size_t task_count;
    struct xeno_service_parameter *parameters;
    size_t parameter_count;
};
void xeno_service_free(struct xeno_service *s);
XENO_DEFINE_AUTO(xeno_service, xeno_service_free);

/* Errors: those of xml.h, requirement.h and task-doc.h, and -EINVAL spec.service (another root; two
 *         tasks of one name; more tasks than MaxTasks), spec.parameter (a name that is taken, used
 *         and unknown, or not ended by "}"; ${port} without a Port). Texts name line or task. */
int xeno_service_parse(const char *text, size_t len, struct xeno_service **ret,
                       struct xeno_err *err);

/* One replica, as substitution sees it. Borrows. */
struct xeno_replica {
    unsigned number, count; /* 1 to XENO_REPLICAS_MAX */
    const char *server, *address;
    uint16_t port;
};

/* Task `i` as this replica gets it; the caller's.
 * Errors: -EINVAL spec.parameter (no value for this replica, or more than an argument can hold),
 *         and those of xeno_task_doc_parse() for what comes out. */
int xeno_service_task(const struct xeno_service *s, size_t i, const struct xeno_replica *replica,
                      struct xeno_task_doc **ret, struct xeno_err *err);

/* The requirement of that replica: EnvName with "-" and its number; the caller's.
 * Errors: -EINVAL spec.service: the name gets too long. */
int xeno_service_requirement(const struct xeno_service *s, unsigned number,
                             struct xeno_requirement **ret, struct xeno_err *err);

#endif
