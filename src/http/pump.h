/* src/http/pump.h - carry bytes between a TLS session and a socket pair, in the event loop.
 *
 * Both sides of an upgraded connection use it. It keeps at most 16 KiB a direction and reads no
 * further while those wait, so that a slow reader slows the writer down. When our end of the pair
 * is closed, what was written is still sent, followed by the end of TLS; then what the peer sends
 * is thrown away until it leaves too, for at most PUMP_LINGER_S, so that no reset overtakes the
 * last bytes.
 */
#ifndef XENO_HTTP_PUMP_H
#define XENO_HTTP_PUMP_H

#include <gnutls/gnutls.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "base/err.h"

#define PUMP_BYTES    (16 * 1024)
#define PUMP_LINGER_S 5

struct pump;

/* Carry between `session` (its handshake done, on the non-blocking socket `net`; both borrowed) and
 * a new socket pair, whose other end is *ret_fd, the caller's. `to_net` and `to_app` (NULL: none)
 * are sent first. `ended` is called once, from the loop, after which the pump is gone; pump_free()
 * does not call it. Errors: http.upgrade. */
struct pump_first {
    const char *to_net, *to_app;
    size_t to_net_len, to_app_len;
};
int pump_new(sd_event *loop, gnutls_session_t session, int net, const struct pump_first *first,
             void (*ended)(void *arg), void *arg, struct pump **ret, int *ret_fd,
             struct xeno_err *err);
void pump_free(struct pump *p);

#endif
