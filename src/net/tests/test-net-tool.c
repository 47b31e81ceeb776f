/* src/net/tests/test-net-tool.c - src/net from the command line, for tests/system.
 *
 * usage: test-net-tool RUN_DIR INSTANCE POOL [-d DENY] [-s DNS] [-u UPLINK] VERB ARGUMENT...
 *   open | list | counters | destroy
 *   add|set SESSION ADDRESS TO_KBIT FROM_KBIT [tcp|udp:HOST_PORT:PORT]...
 *   del SESSION | sweep [KEEP]... | path SESSION
 *   churn N          add N sessions, then delete them, and print the milliseconds of each step
 *
 * Every run but destroy opens the instance anew, so each of them also is a restart.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/net.h"

#define CHURN_MAX 500

static int fail(const struct xeno_err *err)
{
    fprintf(stderr, "error: %s: %s\n", err->token, err->text);
    return 1;
}

static int parse_port(const char *text, struct xeno_net_port *p)
{
    char proto[4];

    if (sscanf(text, "%3[a-z]:%hu:%hu", proto, &p->host_port, &p->port) != 3)
        return -1;
    p->proto = strcmp(proto, "udp") == 0 ? IPPROTO_UDP : IPPROTO_TCP;
    return 0;
}

static int add(struct xeno_net *net, char **arg, int n, bool set)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_net_port ports[XENO_NET_PORTS_MAX];
    struct xeno_net_spec spec = { .ports = ports };

    if (n < 4)
        return 2;
    spec.session = arg[0];
    spec.address = arg[1];
    spec.to_kbit = (uint32_t)strtoul(arg[2], NULL, 10);
    spec.from_kbit = (uint32_t)strtoul(arg[3], NULL, 10);
    for (int i = 4; i < n; i++) {
        if (parse_port(arg[i], &ports[spec.n_ports++]) < 0)
            return 2;
    }
    if ((set ? xeno_net_session_set : xeno_net_session_add)(net, &spec, &err) < 0)
        return fail(&err);
    return 0;
}

static void print_counters(const struct xeno_net_counters *c)
{
    printf("%s rx_bytes=%lu rx_packets=%lu tx_bytes=%lu tx_packets=%lu\n", c->session, c->rx_bytes,
           c->rx_packets, c->tx_bytes, c->tx_packets);
}

static int counters(struct xeno_net *net)
{
    xeno_autofree struct xeno_net_counters *all = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    size_t n;

    if (xeno_net_counters(net, &all, &n, &err) < 0)
        return fail(&err);
    for (size_t i = 0; i < n; i++)
        print_counters(&all[i]);
    return 0;
}

static int list(struct xeno_net *net)
{
    xeno_autofree struct xeno_net_info *all = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    size_t n;

    if (xeno_net_list(net, &all, &n, &err) < 0)
        return fail(&err);
    for (size_t i = 0; i < n; i++) {
        printf("%s %s %s %s", all[i].session[0] ? all[i].session : "-",
               all[i].address[0] ? all[i].address : "-", all[i].cable[0] ? all[i].cable : "-",
               all[i].pinned ? "pinned" : "loose");
        for (size_t j = 0; j < all[i].n_ports; j++)
            printf(" %s:%u:%u", all[i].ports[j].proto == IPPROTO_UDP ? "udp" : "tcp",
                   all[i].ports[j].host_port, all[i].ports[j].port);
        printf("\n");
    }
    return 0;
}

static int delete (struct xeno_net *net, const char *session)
{
    struct xeno_net_counters last;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_net_session_del(net, session, &last, &err) < 0)
        return fail(&err);
    print_counters(&last);
    return 0;
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int churn(struct xeno_net *net, int n)
{
    struct xeno_err err = XENO_ERR_INIT;
    double t0 = now_ms(), t1;

    if (n < 1 || n > CHURN_MAX)
        return 2;
    for (int i = 0; i < n; i++) {
        xeno_autofree char *name = xeno_asprintf("churn-%d", i);
        xeno_autofree char *address = xeno_asprintf("10.77.%d.%d", (i + 10) / 256, (i + 10) % 256);
        struct xeno_net_port port = { .port = 80,
                                      .host_port = (uint16_t)(20000 + i),
                                      .proto = IPPROTO_TCP };
        struct xeno_net_spec spec = { .session = name,
                                      .address = address,
                                      .to_kbit = 10000,
                                      .from_kbit = 10000,
                                      .ports = &port,
                                      .n_ports = 1 };

        if (xeno_net_session_add(net, &spec, &err) < 0)
            return fail(&err);
    }
    t1 = now_ms();
    printf("add_ms=%.3f\n", (t1 - t0) / n);
    if (counters(net) != 0)
        return 1;
    t0 = now_ms();
    printf("counters_ms=%.3f\n", t0 - t1);
    for (int i = 0; i < n; i++) {
        xeno_autofree char *name = xeno_asprintf("churn-%d", i);

        if (xeno_net_session_del(net, name, NULL, &err) < 0)
            return fail(&err);
    }
    printf("del_ms=%.3f\n", (now_ms() - t0) / n);
    return 0;
}

static int destroy(const struct xeno_net_config *config)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_net_removed done;

    if (xeno_net_remove(config->instance, config->run_dir, &done, &err) < 0)
        return fail(&err);
    printf("%zu namespaces, %zu cables, rules %d, bridge %d\n", done.namespaces, done.cables,
           done.rules, done.bridge);
    return 0;
}

static int run(struct xeno_net *net, const char *verb, char **arg, int n)
{
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    if (strcmp(verb, "open") == 0)
        return 0;
    if (strcmp(verb, "add") == 0 || strcmp(verb, "set") == 0)
        return add(net, arg, n, verb[0] == 's');
    if (strcmp(verb, "counters") == 0)
        return counters(net);
    if (strcmp(verb, "list") == 0)
        return list(net);
    if (strcmp(verb, "del") == 0 && n == 1)
        return delete (net, arg[0]);
    if (strcmp(verb, "churn") == 0 && n == 1)
        return churn(net, atoi(arg[0]));
    if (strcmp(verb, "path") == 0 && n == 1) {
        xeno_autofree char *path = xeno_net_ns_path(net, arg[0]);

        return puts(path) < 0;
    }
    if (strcmp(verb, "sweep") == 0) {
        r = xeno_net_sweep(net, (const char *const *)arg, (size_t)n, &err);
        if (r >= 0)
            printf("%d removed\n", r);
        return r < 0 ? fail(&err) : 0;
    }
    return 2;
}

int main(int argc, char **argv)
{
    const char *deny[XENO_NET_DENY_MAX + 1], *dns[XENO_NET_DNS_MAX + 1];
    struct xeno_net_config config = { .deny = deny, .dns = dns };
    xeno_auto(xeno_net) net = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int at = 4;

    if (argc < 5)
        return 2;
    config.run_dir = argv[1];
    config.instance = argv[2];
    config.pool = argv[3];
    for (; at + 2 < argc && argv[at][0] == '-'; at += 2) {
        if (argv[at][1] == 'd' && config.n_deny < XENO_LEN(deny))
            deny[config.n_deny++] = argv[at + 1];
        else if (argv[at][1] == 's' && config.n_dns < XENO_LEN(dns))
            dns[config.n_dns++] = argv[at + 1];
        else if (argv[at][1] == 'u')
            config.uplink = argv[at + 1];
        else
            return 2;
    }
    if (strcmp(argv[at], "destroy") == 0)
        return destroy(&config);
    if (xeno_net_open(&config, &net, &err) < 0)
        return fail(&err);
    return run(net, argv[at], argv + at + 1, argc - at - 1);
}
