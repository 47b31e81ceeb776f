/* src/doc/tests/present-tool.c - present many orders at once, for the system tests.
 *
 *     present-tool CA.pem KEY.pem SERVER-ID < chains > chains      one a line
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/io.h"
#include "crypto/x509.h"
#include "doc/order.h"

static int present_all(const struct xeno_pub *corp, const struct xeno_key *key, const char *server,
                       struct xeno_err *err)
{
    xeno_autofree char *line = NULL;
    size_t room = 0;
    ssize_t len;

    while ((len = getline(&line, &room, stdin)) > 0) {
        xeno_autofree char *shown = NULL;
        size_t n = strcspn(line, "\n");
        int r = xeno_order_present(line, n, corp, key, server, (xeno_credit){ 0 },
                                   xeno_wall(xeno_env_real()), &shown, err);

        if (r < 0)
            return r;
        puts(shown);
    }
    return 0;
}

int main(int argc, char **argv)
{
    xeno_autofree char *ca = NULL;
    xeno_auto(xeno_key) key = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_pub corp;
    int r;

    if (argc != 4) {
        fprintf(stderr, "usage: present-tool CA.pem KEY.pem SERVER-ID\n");
        return 2;
    }
    xeno_crypto_init();
    r = xeno_file_read(AT_FDCWD, argv[1], 65536, &ca, NULL, &err);
    if (r == 0)
        r = xeno_ca_pub(ca, &corp, &err);
    if (r == 0)
        r = xeno_key_load(AT_FDCWD, argv[2], &key, &err);
    if (r == 0)
        r = present_all(&corp, key, argv[3], &err);
    if (r < 0)
        fprintf(stderr, "present-tool: %s\n", err.text);
    return r < 0;
}
