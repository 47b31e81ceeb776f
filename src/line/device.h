/* src/line/device.h - the device and the routes that make a subnet of this machine emulated ones.
 */
#ifndef XENO_LINE_DEVICE_H
#define XENO_LINE_DEVICE_H

#include <stddef.h>

#include "base/err.h"

/* Make the device "xenoemuN" of subnet N, up, with the routes that mirror.h is about; packets to
 * the mirror that name no source come from `client`. It and all routes are gone when the last copy
 * of the descriptor is closed, however that comes about: nothing can stay behind.
 *
 * wish: the subnet to try first, -1: any. One that is another platform's, or that a route of this
 * machine leads to, is passed over. Returns: 0 with a non-blocking descriptor, one packet a read.
 * Context: root. Errors: -EPERM, -ENOENT, -EBUSY emulate.device; net.link. */
int xeno_line_device(int wish, size_t client, unsigned *ret_subnet, int *ret, struct xeno_err *err);

#endif
