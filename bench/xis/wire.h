/* bench/xis/wire.h - a lean client's end of a connection: TCP or a unix socket, with TLS or
 * without.
 *
 * A bench shares its machine with the server, so what a client costs is taken from what is
 * measured: one recv() fetches as many TLS records as there are, and none is made to hear that
 * there is nothing. Whatever goes wrong ends the program with a line that says what.
 */
#ifndef XENO_BENCH_XIS_WIRE_H
#define XENO_BENCH_XIS_WIRE_H

#include <stddef.h>
#include <sys/types.h>

struct wire_tls; /* whom to believe, and who we are */
/* Paths of PEM files; key and cert may be NULL. */
struct wire_tls *wire_tls_new(const char *ca, const char *key, const char *cert);

struct wire;
/* `to` is HOST:PORT (numeric) or the path of a socket; tls NULL: none. Connected, and the
 * handshake done. */
struct wire *wire_dial(const char *to, const struct wire_tls *tls);
void wire_close(struct wire *w);
int wire_fd(const struct wire *w); /* for epoll, level-triggered */
/* All of it, waiting if it must. */
void wire_put(struct wire *w, const void *data, size_t len);
/* The descriptor was said to be readable: get until 0. */
void wire_ready(struct wire *w);
/* Returns: how many bytes; 0: no more are here. */
size_t wire_get(struct wire *w, void *to, size_t max);
/* The same, which waits for at least one. */
size_t wire_await(struct wire *w, void *to, size_t max);

#endif
