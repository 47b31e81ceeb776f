/* src/db/pq.h - libpq, loaded when the first postgresql: URL is opened; for the files of src/db
 * only.
 *
 * libpq brings a second TLS library (OpenSSL) into the process. So the programs are not linked to
 * it: what keeps its rows in a file never loads it.
 */
#ifndef XENO_DB_PQ_H
#define XENO_DB_PQ_H

#include <libpq-fe.h>

#include "base/err.h"

#define XENO_PQ_CALLS(X)                                                                           \
    X(PQconnectdbParams)                                                                           \
    X(PQfinish)                                                                                    \
    X(PQreset)                                                                                     \
    X(PQstatus)                                                                                    \
    X(PQtransactionStatus)                                                                         \
    X(PQerrorMessage)                                                                              \
    X(PQsocket)                                                                                    \
    X(PQsetNoticeProcessor)                                                                        \
    X(PQexec)                                                                                      \
    X(PQprepare)                                                                                   \
    X(PQexecPrepared)                                                                              \
    X(PQsendQueryParams)                                                                           \
    X(PQsendQueryPrepared)                                                                         \
    X(PQenterPipelineMode)                                                                         \
    X(PQexitPipelineMode)                                                                          \
    X(PQpipelineSync)                                                                              \
    X(PQgetResult)                                                                                 \
    X(PQclear)                                                                                     \
    X(PQresultStatus)                                                                              \
    X(PQresultErrorField)                                                                          \
    X(PQcmdStatus)                                                                                 \
    X(PQcmdTuples)                                                                                 \
    X(PQntuples)                                                                                   \
    X(PQnfields)                                                                                   \
    X(PQftype)                                                                                     \
    X(PQgetvalue)                                                                                  \
    X(PQgetlength)                                                                                 \
    X(PQgetisnull)                                                                                 \
    X(PQunescapeBytea)                                                                             \
    X(PQfreemem)                                                                                   \
    X(PQconsumeInput)                                                                              \
    X(PQnotifies)

struct xeno_pq {
#define X(name) __typeof__(&name) name;
    XENO_PQ_CALLS(X)
#undef X
};

/* Returns: the calls, for the life of the process. Errors: -ENOPKG db.open. Context: any thread. */
int xeno_pq_load(const struct xeno_pq **ret, struct xeno_err *err);

#endif
