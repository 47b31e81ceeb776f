/* src/net/rules.c - the nft table of an instance. */
#include "net/rules.h"

#include <ctype.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

const char *xeno_net_table_name(const char *instance, char buf[16])
{
    snprintf(buf, 16, "xeno-%.8s", instance);
    return buf;
}

/* What each chain says; @I the instance, @G the gateway, @L the pool's last address, @P the pool,
 * @U the rule for the uplink.
 *
 * ingress runs before connection tracking: what is forged leaves no trace in it. 127/8 is refused
 * there because our links have route_localnet, without which a published port could not be reached
 * from the host's own 127.0.0.1.
 * refuse answers TCP by a reset: an ICMP error that comes back while connect() is still in the
 * kernel, as it does on a cable this short, is taken for a passing trouble.
 * "ct status dnat" in forward means that the connection came by a published port.
 * Callers from the machine itself are seen by addresses that differ, so that each keeps the port it
 * calls from: were two seen as one, the kernel would give one of them another port, where the
 * session may remember somebody else's connection (TIME-WAIT) and turns away what has not its
 * clock. So 127/8 is seen as the pool's last address, the host as the gateway, a session as itself;
 * only one that calls itself (what leaves by the cable it came by) is the gateway too, since it
 * would not take a packet from itself. */
static const struct {
    const char *chain;
    const char *hook; /* NULL: reached by jump */
    const char *rules;
} chains[] = {
    { "refuse", NULL,
      "counter\n"
      "meta l4proto tcp reject with tcp reset\n"
      "reject with icmp type admin-prohibited\n" },
    { "ingress", "type filter hook prerouting priority -300; policy accept;",
      "iifname \"xv@I-*\" jump from_cable\n" },
    { "from_cable", NULL,
      "meta nfproto != ipv4 counter drop\n"
      "iifname . ether saddr . ip saddr != @source counter drop\n"
      "ip daddr { 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/4, 240.0.0.0/4 } counter drop\n" },
    { "publish_in", "type nat hook prerouting priority -100; policy accept;",
      "meta nfproto ipv4 fib daddr type local jump publish\n" },
    { "publish_out", "type nat hook output priority -100; policy accept;",
      "meta nfproto ipv4 fib daddr type local jump publish\n" },
    { "publish", NULL,
      "meta l4proto tcp dnat ip to tcp dport map @tcp_ports\n"
      "meta l4proto udp dnat ip to udp dport map @udp_ports\n" },
    { "forward", "type filter hook forward priority 0; policy accept;",
      "oifname \"xv@I-*\" jump to_session\n"
      "iifname \"xv@I-*\" jump from_session\n" },
    { "to_session", NULL,
      "ct state established,related accept\n"
      "ct status dnat accept\n"
      "goto refuse\n" },
    { "from_session", NULL,
      "ct state established,related accept\n"
      "ct status dnat accept\n"
      "oifname \"xv*\" goto refuse\n"
      "ip daddr @dns meta l4proto { tcp, udp } th dport 53 accept\n"
      "ip daddr { 169.254.0.0/16, @P } goto refuse\n"
      "ip daddr @deny goto refuse\n"
      "@U" },
    { "input", "type filter hook input priority 0; policy accept;",
      "iifname \"xv@I-*\" jump to_host\n" },
    { "to_host", NULL,
      "ct state established,related accept\n"
      "ip daddr @G icmp type echo-request accept\n"
      "ip daddr @dns meta l4proto { tcp, udp } th dport 53 accept\n"
      "goto refuse\n" },
    { "masquerade_out", "type nat hook postrouting priority 100; policy accept;",
      "oifname \"xv@I-*\" ip saddr 127.0.0.0/8 snat ip to @L\n"
      "oifname . ether saddr . ip saddr @source snat ip to @G\n"
      "iifname \"xv@I-*\" oifname != \"xv*\" masquerade\n" },
};

static void expand(struct xeno_buf *b, const char *text, const struct xeno_net_rules *rules)
{
    char address[XENO_NET_ADDRESS_TEXT];

    for (; *text; text++) {
        bool variable = *text == '@' && isupper((unsigned char)text[1]);

        if (!variable) {
            xeno_buf_add(b, text, 1);
            continue;
        }
        switch (*++text) {
        case 'I':
            xeno_buf_puts(b, rules->instance);
            break;
        case 'G':
            xeno_buf_puts(b, xeno_net_address_text(xeno_net_gateway_of(rules->pool), address));
            break;
        case 'L':
            xeno_buf_puts(b, xeno_net_address_text(xeno_net_last_of(rules->pool), address));
            break;
        case 'P':
            xeno_buf_printf(b, "%s/%d", xeno_net_address_text(rules->pool.base, address),
                            rules->pool.bits);
            break;
        case 'U':
            if (rules->uplink)
                xeno_buf_printf(b, "oifname != \"%s\" goto refuse\n", rules->uplink);
            break;
        }
    }
}

static void add_sets(struct xeno_buf *b, const char *table, const struct xeno_net_rules *rules)
{
    char address[XENO_NET_ADDRESS_TEXT];

    xeno_buf_printf(b,
                    "add set inet %s source { type ifname . ether_addr . ipv4_addr; }\n"
                    "add map inet %s tcp_ports { type inet_service : ipv4_addr . inet_service; }\n"
                    "add map inet %s udp_ports { type inet_service : ipv4_addr . inet_service; }\n"
                    "add set inet %s deny { type ipv4_addr; flags interval; auto-merge; }\n"
                    "add set inet %s dns { type ipv4_addr; }\n"
                    "flush set inet %s deny\nflush set inet %s dns\n",
                    table, table, table, table, table, table, table);
    for (size_t i = 0; i < rules->n_deny; i++)
        xeno_buf_printf(b, "add element inet %s deny { %s/%d }\n", table,
                        xeno_net_address_text(rules->deny[i].base, address), rules->deny[i].bits);
    for (size_t i = 0; i < rules->n_dns; i++)
        xeno_buf_printf(b, "add element inet %s dns { %s }\n", table,
                        xeno_net_address_text(rules->dns[i], address));
}

static void add_rules(struct xeno_buf *b, const char *table, size_t i,
                      const struct xeno_net_rules *rules)
{
    xeno_autobuf text = XENO_BUF_INIT;
    char *line, *rest;

    expand(&text, chains[i].rules, rules);
    rest = text.data;
    while (rest && (line = strsep(&rest, "\n")) != NULL) {
        if (*line)
            xeno_buf_printf(b, "add rule inet %s %s %s\n", table, chains[i].chain, line);
    }
}

char *xeno_net_rules_text(const struct xeno_net_rules *rules)
{
    xeno_autobuf b = XENO_BUF_INIT;
    char table[16];

    xeno_net_table_name(rules->instance, table);
    xeno_buf_printf(&b, "add table inet %s\n", table);
    add_sets(&b, table, rules);
    for (size_t i = 0; i < XENO_LEN(chains); i++) {
        if (chains[i].hook)
            xeno_buf_printf(&b, "add chain inet %s %s { %s }\n", table, chains[i].chain,
                            chains[i].hook);
        else
            xeno_buf_printf(&b, "add chain inet %s %s\n", table, chains[i].chain);
        xeno_buf_printf(&b, "flush chain inet %s %s\n", table, chains[i].chain);
    }
    for (size_t i = 0; i < XENO_LEN(chains); i++)
        add_rules(&b, table, i, rules);
    return xeno_buf_take(&b, NULL);
}

int xeno_net_nft(const char *commands, struct xeno_err *err)
{
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
    int r = 0;

    if (!nft)
        return xeno_fail(err, -ENOMEM, "net.nft", "cannot start nftables");
    nft_ctx_buffer_output(nft);
    nft_ctx_buffer_error(nft);
    if (nft_run_cmd_from_buffer(nft, commands) != 0) {
        const char *why = nft_ctx_get_error_buffer(nft);

        r = xeno_fail(err, errno > 0 ? -errno : -EIO, "net.nft",
                      "nftables refused the rules: %.200s", why && *why ? why : "no reason given");
    }
    nft_ctx_free(nft);
    return r;
}
