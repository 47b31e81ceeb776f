/* src/net/tests/test-net-wire.c - ends of connections and forged frames, for tests/system.
 *
 * usage: test-net-wire VERB ARGUMENT...
 *   serve tcp|udp PORT NAME      answer everybody "NAME saw ADDRESS", until killed
 *   dns ADDRESS                  a name server: each name has that IPv4 address; until killed
 *   get tcp|udp ADDRESS PORT     ask once and print the answer, or why there is none
 *   sink PORT                    take one connection; print its bytes and milliseconds
 *   pump ADDRESS PORT BYTES      send that much, then close
 *   hear PORT MS                 count datagrams that arrive in that time
 *   ping ADDRESS                 one ICMP echo without any privilege
 *   forge IF SRC_MAC DST_MAC SRC_IP DST_IP PORT    send one UDP frame as it is written here
 *   forge-arp IF SRC_MAC SENDER_IP TARGET_IP       ask who has TARGET_IP; is there an answer?
 *
 * Every wait ends after a second (sink and pump: a minute). No network but the one it is run in.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int die(const char *what)
{
    printf("%s: %s\n", what, strerror(errno));
    return 1;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void bound(int fd, int seconds)
{
    struct timeval t = { .tv_sec = seconds };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

static struct sockaddr_in at(const char *address, const char *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

    inet_pton(AF_INET, address, &a.sin_addr);
    return a;
}

static int listener(int type, const char *port)
{
    struct sockaddr_in a = at("0.0.0.0", port);
    int fd = socket(AF_INET, type, 0), one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        (type == SOCK_STREAM && listen(fd, 64) < 0))
        return -1;
    return fd;
}

static int serve(int type, const char *port, const char *name)
{
    int fd = listener(type, port);

    if (fd < 0)
        return die("listen");
    for (;;) {
        struct sockaddr_in peer;
        socklen_t len = sizeof peer;
        char text[128], in[64];
        int c = fd, n;

        if (type == SOCK_STREAM)
            c = accept(fd, (struct sockaddr *)&peer, &len);
        else if (recvfrom(fd, in, sizeof in, 0, (struct sockaddr *)&peer, &len) < 0)
            continue;
        if (c < 0)
            continue;
        n = snprintf(text, sizeof text, "%s saw %s\n", name, inet_ntoa(peer.sin_addr));
        if (sendto(c, text, (size_t)n, MSG_NOSIGNAL, type == SOCK_DGRAM ? (void *)&peer : NULL,
                   type == SOCK_DGRAM ? len : 0) < 0)
            perror("send");
        if (type == SOCK_STREAM)
            close(c);
    }
}

/* The question is given back (12 bytes of head, a name, type and class) and, when it is for an IPv4
 * address, an answer that points to its name. */
static int dns(const char *address)
{
    unsigned char m[512];
    unsigned char a[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 0, 0, 0, 0 };
    int fd = listener(SOCK_DGRAM, "53");

    if (fd < 0)
        return die("listen");
    inet_pton(AF_INET, address, a + 12);
    for (;;) {
        struct sockaddr_in peer;
        socklen_t len = sizeof peer;
        ssize_t n = recvfrom(fd, m, sizeof m - sizeof a, 0, (struct sockaddr *)&peer, &len);
        size_t end = 12;

        while (n > 0 && end < (size_t)n && m[end] > 0)
            end += m[end] + 1u;
        end += 5;
        if (n < 12 || end > (size_t)n)
            continue;
        memcpy(m + 2, "\x81\x80\0\1\0\0\0\0\0\0", 10);
        if (m[end - 3] == 1) {
            m[7] = 1;
            memcpy(m + end, a, sizeof a);
            end += sizeof a;
        }
        if (sendto(fd, m, end, 0, (struct sockaddr *)&peer, len) < 0)
            perror("send");
    }
}

static int get(int type, const char *address, const char *port)
{
    struct sockaddr_in a = at(address, port);
    int fd = socket(AF_INET, type, 0);
    char text[128];
    ssize_t n;

    bound(fd, 1);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return die("connect");
    if (type == SOCK_DGRAM && send(fd, "?", 1, 0) < 0)
        return die("send");
    n = recv(fd, text, sizeof text, 0);
    if (n <= 0)
        return die("answer");
    return fwrite(text, 1, (size_t)n, stdout) == 0;
}

static int sink(const char *port)
{
    int fd = listener(SOCK_STREAM, port), c;
    static char buf[1 << 16];
    int64_t bytes = 0, start = 0;
    ssize_t n;

    if (fd < 0)
        return die("listen");
    bound(fd, 60);
    c = accept(fd, NULL, NULL);
    if (c < 0)
        return die("accept");
    bound(c, 60);
    while ((n = recv(c, buf, sizeof buf, 0)) > 0) {
        if (start == 0)
            start = now_ms();
        bytes += n;
    }
    printf("%ld %ld\n", (long)bytes, (long)(now_ms() - start));
    return 0;
}

static int pump(const char *address, const char *port, long bytes)
{
    struct sockaddr_in a = at(address, port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    static char buf[1 << 16];

    bound(fd, 60);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return die("connect");
    while (bytes > 0) {
        size_t part = bytes < (long)sizeof buf ? (size_t)bytes : sizeof buf;
        ssize_t n = send(fd, buf, part, MSG_NOSIGNAL);

        if (n < 0)
            return die("send");
        bytes -= n;
    }
    shutdown(fd, SHUT_WR);
    return recv(fd, buf, 1, 0) < 0 ? die("close") : 0; /* until the other side has all of it */
}

static int hear(const char *port, int ms)
{
    int fd = listener(SOCK_DGRAM, port), n = 0;
    struct pollfd p = { .fd = fd, .events = POLLIN };
    int64_t end = now_ms() + ms, left;
    char buf[64];

    while ((left = end - now_ms()) > 0) {
        if (poll(&p, 1, (int)left) > 0 && recv(fd, buf, sizeof buf, 0) >= 0)
            n++;
    }
    printf("%d\n", n);
    return 0;
}

static int ping(const char *address)
{
    struct sockaddr_in a = at(address, "0");
    struct icmphdr h = { .type = ICMP_ECHO }, back;
    int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);

    if (fd < 0)
        return die("socket");
    bound(fd, 1);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 || send(fd, &h, sizeof h, 0) < 0)
        return die("send");
    if (recv(fd, &back, sizeof back, 0) < 0)
        return die("answer");
    printf("%s\n", back.type == ICMP_ECHOREPLY ? "pong" : "something else");
    return 0;
}

static void mac(const char *text, uint8_t out[6])
{
    sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &out[0], &out[1], &out[2], &out[3], &out[4],
           &out[5]);
}

static int raw(const char *interface)
{
    struct sockaddr_ll a = { .sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex(interface) };
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return -1;
    return fd;
}

static uint16_t checksum(const void *data, size_t len)
{
    const uint16_t *w = data;
    uint32_t sum = 0;

    for (size_t i = 0; i < len / 2; i++)
        sum += w[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

struct datagram {
    struct ether_header eth;
    struct iphdr ip;
    struct udphdr udp;
    char text[22]; /* a frame of 64 bytes */
} __attribute__((packed));

static int forge(char **arg)
{
    struct datagram d = { .eth.ether_type = htons(ETHERTYPE_IP) };
    struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP };
    int fd = raw(arg[0]);

    mac(arg[1], d.eth.ether_shost);
    mac(arg[2], d.eth.ether_dhost);
    ip.tot_len = htons(sizeof d - sizeof d.eth);
    ip.saddr = at(arg[3], "0").sin_addr.s_addr;
    ip.daddr = at(arg[4], "0").sin_addr.s_addr;
    ip.check = checksum(&ip, sizeof ip);
    d.ip = ip;
    d.udp.source = htons(4000);
    d.udp.dest = htons((uint16_t)atoi(arg[5]));
    d.udp.len = htons(sizeof d.udp + sizeof d.text); /* checksum zero: none */
    return fd < 0 || send(fd, &d, sizeof d, 0) < 0 ? die("forge") : 0;
}

struct arp_frame {
    struct ether_header eth;
    uint16_t hardware, protocol;
    uint8_t hardware_len, protocol_len;
    uint16_t op;
    uint8_t sender_mac[6];
    uint32_t sender;
    uint8_t target_mac[6];
    uint32_t target;
} __attribute__((packed));

static int forge_arp(char **arg)
{
    struct arp_frame f = { .eth.ether_type = htons(ETHERTYPE_ARP),
                           .hardware = htons(1),
                           .protocol = htons(ETHERTYPE_IP),
                           .hardware_len = 6,
                           .protocol_len = 4,
                           .op = htons(1) },
                     in;
    int fd = raw(arg[0]);
    int64_t end = now_ms() + 300;

    memset(f.eth.ether_dhost, 0xff, 6);
    mac(arg[1], f.eth.ether_shost);
    mac(arg[1], f.sender_mac);
    f.sender = at(arg[2], "0").sin_addr.s_addr;
    f.target = at(arg[3], "0").sin_addr.s_addr;
    if (fd < 0 || send(fd, &f, sizeof f, 0) < 0)
        return die("forge");
    while (now_ms() < end) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        if (poll(&p, 1, 50) > 0 && recv(fd, &in, sizeof in, 0) >= (ssize_t)sizeof in &&
            in.eth.ether_type == htons(ETHERTYPE_ARP) && in.op == htons(2))
            return puts("answered") < 0;
    }
    return puts("silence") < 0;
}

static int type_of(const char *name)
{
    return strcmp(name, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    char **arg = argv + 2;

    if (strcmp(verb, "serve") == 0 && argc == 5)
        return serve(type_of(arg[0]), arg[1], arg[2]);
    if (strcmp(verb, "dns") == 0 && argc == 3)
        return dns(arg[0]);
    if (strcmp(verb, "get") == 0 && argc == 5)
        return get(type_of(arg[0]), arg[1], arg[2]);
    if (strcmp(verb, "sink") == 0 && argc == 3)
        return sink(arg[0]);
    if (strcmp(verb, "pump") == 0 && argc == 5)
        return pump(arg[0], arg[1], atol(arg[2]));
    if (strcmp(verb, "hear") == 0 && argc == 4)
        return hear(arg[0], atoi(arg[1]));
    if (strcmp(verb, "ping") == 0 && argc == 3)
        return ping(arg[0]);
    if (strcmp(verb, "forge") == 0 && argc == 8)
        return forge(arg);
    if (strcmp(verb, "forge-arp") == 0 && argc == 6)
        return forge_arp(arg);
    return 2;
}
