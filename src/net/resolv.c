/* src/net/resolv.c - which name servers a session is told. */
#include "net/resolv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "net/names.h"

#define RESOLV_MAX_BYTES 65536

static bool usable(uint32_t address)
{
    return address != 0 && address >> 24 != 127 && address >> 16 != 0xa9fe /* 169.254 */ &&
           address < 0xe0000000u /* multicast and beyond */;
}

static void add_server(struct xeno_net_dns *dns, const char *word)
{
    uint32_t address;

    if (dns->n == XENO_NET_DNS_MAX || xeno_net_address_parse(word, &address, NULL) < 0 ||
        !usable(address))
        return;
    for (size_t i = 0; i < dns->n; i++) {
        if (strcmp(dns->server[i], word) == 0)
            return;
    }
    snprintf(dns->server[dns->n++], XENO_NET_ADDRESS_TEXT, "%s", word);
}

void xeno_net_dns_parse(const char *text, struct xeno_net_dns *dns)
{
    xeno_autofree char *copy = xeno_strdup(text);
    char *rest = copy, *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        char *words = NULL;
        const char *key = strtok_r(line, " \t\r", &words);
        const char *server = key ? strtok_r(NULL, " \t\r", &words) : NULL;

        if (server && strcmp(key, "nameserver") == 0)
            add_server(dns, server);
    }
}

/* resolv.conf is a link on many hosts, which xeno_file_read() would refuse. */
static void read_servers(const char *root, const char *path, struct xeno_net_dns *dns)
{
    xeno_autofree char *full = xeno_asprintf("%s/%s", root, path);
    xeno_autofree char *text = NULL;
    xeno_autoclose int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t len;

    if (fd >= 0 && xeno_read_all(fd, RESOLV_MAX_BYTES, &text, &len) == 0)
        xeno_net_dns_parse(text, dns);
}

void xeno_net_dns_find(const char *root, struct xeno_net_dns *dns)
{
    dns->n = 0;
    read_servers(root, "etc/resolv.conf", dns);
    if (dns->n == 0)
        read_servers(root, "run/systemd/resolve/resolv.conf", dns);
}

char *xeno_net_resolv_conf(const struct xeno_net_dns *dns)
{
    xeno_autobuf b = XENO_BUF_INIT;

    xeno_buf_puts(&b, dns->n > 0 ? "# name servers of the host, as sessions may ask them\n"
                                 : "# the host offers sessions no name server\n");
    for (size_t i = 0; i < dns->n; i++)
        xeno_buf_printf(&b, "nameserver %s\n", dns->server[i]);
    return xeno_buf_take(&b, NULL);
}

char *xeno_net_hosts(const char *hostname, const char *address)
{
    return xeno_asprintf("127.0.0.1\tlocalhost\n%s\t%s\n", address, hostname);
}
