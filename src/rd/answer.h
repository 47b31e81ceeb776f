/* src/rd/answer.h - the answer of rfc/0019, as JSON. Pure. */
#ifndef XENO_RD_ANSWER_H
#define XENO_RD_ANSWER_H

#include "json/json.h"
#include "rd/find.h"

/* {"answers","considered","matched","fell","nearest"}: the program adds what only it knows
 * ("probed", "age_ms", "xis"). `documents`: with the signed adverts. Returns: the caller's. */
struct xeno_json *xeno_rd_answer_json(const struct xeno_rd_result *res, bool documents);

#endif
