/* src/xenod/inuse.c - read the kernel's tables of sockets. */
#include "xenod/inuse.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"

#define STATE_LISTEN 0x0a
#define STATE_CLOSE  0x07 /* of UDP: not connected to one peer */
#define ADDRESS_MAX  32   /* hex digits */

/* Does a socket on it hear what comes by IPv4? One of IPv6 does on "any" (unless it asked not to,
 * which is not told) and on what stands for an address of IPv4, which is
 * written as the machine has it in memory. */
static bool hears_ipv4(const char *address)
{
    static const char *const heard[] = { "00000000000000000000000000000000",
                                         "0000000000000000FFFF0000", "00000000000000000000FFFF" };

    if (strlen(address) == 8)
        return true;
    for (size_t i = 0; i < XENO_LEN(heard); i++)
        if (strncmp(address, heard[i], strlen(heard[i])) == 0)
            return true;
    return false;
}

/* "0: 0100007F:4E27 00000000:0000 0A ..." */
bool xenod_table_has(FILE *table, enum xeno_proto proto, uint16_t port)
{
    const unsigned waits = proto == XENO_PROTO_TCP ? STATE_LISTEN : STATE_CLOSE;
    xeno_autofree char *line = NULL;
    size_t room = 0;
    bool found = false;

    while (!found && getline(&line, &room, table) >= 0) {
        char address[ADDRESS_MAX + 1];
        unsigned at, state;

        if (sscanf(line, " %*u: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x", address, &at, &state) != 3)
            continue; /* the heading */
        if (proto == XENO_PROTO_TCP && state != waits)
            break; /* listeners come first, and connections are many */
        found = at == port && state == waits && hears_ipv4(address);
    }
    return found;
}

bool xenod_port_in_use(void *ctx, enum xeno_proto proto, uint16_t port)
{
    static const char *const tables[][2] = {
        [XENO_PROTO_TCP] = { "/proc/net/tcp", "/proc/net/tcp6" },
        [XENO_PROTO_UDP] = { "/proc/net/udp", "/proc/net/udp6" },
    };
    bool found = false;

    (void)ctx;
    for (size_t i = 0; i < XENO_LEN(tables[proto]) && !found; i++) {
        FILE *table = fopen(tables[proto][i], "re");

        if (!table)
            continue; /* without IPv6 there is one less */
        found = xenod_table_has(table, proto, port);
        fclose(table);
    }
    return found;
}
