/* src/http/tests/raw.h - a peer that speaks TLS, and then what the test says. For a child process:
 * when it cannot do what it should, it ends with 100 or more. */
#ifndef XENO_HTTP_TESTS_RAW_H
#define XENO_HTTP_TESTS_RAW_H

#include <gnutls/gnutls.h>

#include "world.h"

struct raw {
    gnutls_certificate_credentials_t cred;
    gnutls_session_t session;
    int fd;
};

/* As the client of the world. */
void raw_open(struct raw *r, const struct world *w, unsigned port);
void raw_send(struct raw *r, const char *text);
/* The status of the answer, 0 when the connection ended without one. buf: all of the answer. */
int raw_status(struct raw *r, char *buf, size_t room);

#endif
