/* src/line/mirror.c - turn a packet round, as the far end sees it. */
#include "line/mirror.h"

#include <string.h>

#define HEADER        20
#define SECOND_WORD   0x00010000u /* what tells the two subnets apart */
#define ICMP          1
#define ICMP_ERRORS   ((1u << 3) | (1u << 4) | (1u << 11) | (1u << 12))
#define TIME_EXCEEDED 11
#define QUOTED        8

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t n)
{
    p[0] = (uint8_t)(n >> 24);
    p[1] = (uint8_t)(n >> 16);
    p[2] = (uint8_t)(n >> 8);
    p[3] = (uint8_t)n;
}

static void put16(uint8_t *p, uint32_t n)
{
    p[0] = (uint8_t)(n >> 8);
    p[1] = (uint8_t)n;
}

static uint16_t checksum(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    if (len % 2)
        sum += (uint32_t)p[len - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* The number of a node of that subnet (its base), 0 when it is none. */
static size_t node_of(const struct xeno_matrix *m, uint32_t base, uint32_t address)
{
    uint32_t n = address - base;

    return address >= base && n <= xeno_matrix_nodes(m) ? n : 0;
}

/* Does a time to live end on the way? One less for each of the two routers; RFC 1624 for the sum,
 * though a fresh one is as cheap here. */
static void age(uint8_t *packet, size_t header)
{
    packet[8] = (uint8_t)(packet[8] - 2);
    put16(packet + 10, 0);
    put16(packet + 10, checksum(packet, header));
}

/* What an error quotes is a packet that its sender knows by the other pair of addresses. */
static void turn_quoted(uint8_t *packet, size_t header, size_t len)
{
    uint8_t *icmp = packet + header, *inner = icmp + 8;

    if (packet[9] != ICMP || len < header + 8 + HEADER || icmp[0] > 31 ||
        !(ICMP_ERRORS >> icmp[0] & 1))
        return;
    put32(inner + 12, get32(inner + 12) ^ SECOND_WORD);
    put32(inner + 16, get32(inner + 16) ^ SECOND_WORD);
}

static void expired(const uint8_t *packet, size_t header, size_t len, uint32_t router,
                    uint8_t *answer, size_t *ret_len)
{
    size_t quoted = header + QUOTED < len ? header + QUOTED : len;
    size_t total = HEADER + 8 + quoted;

    memset(answer, 0, HEADER + 8);
    answer[0] = 0x45;
    put16(answer + 2, (uint32_t)total);
    answer[8] = 64;
    answer[9] = ICMP;
    put32(answer + 12, router);
    put32(answer + 16, get32(packet + 12));
    put16(answer + 10, checksum(answer, HEADER));
    answer[HEADER] = TIME_EXCEEDED;
    memcpy(answer + HEADER + 8, packet, quoted);
    put16(answer + HEADER + 2, checksum(answer + HEADER, total - HEADER));
    *ret_len = total;
}

enum xeno_mirror_what xeno_mirror_turn(const struct xeno_matrix *m, unsigned subnet,
                                       uint8_t *packet, size_t len, uint32_t *ret_delay_us,
                                       uint8_t *answer, size_t *ret_answer_len)
{
    size_t header = len > 0 ? (size_t)(packet[0] & 15) * 4 : 0, from, to;
    uint32_t rtt;

    if (len < HEADER || packet[0] >> 4 != 4 || header < HEADER || header > len)
        return XENO_MIRROR_DROP;
    from = node_of(m, xeno_mirror_real(subnet, 0), get32(packet + 12));
    to = node_of(m, xeno_mirror_seen(subnet, 0), get32(packet + 16));
    if (!from || !to)
        return XENO_MIRROR_DROP;
    rtt = xeno_matrix_rtt_us(m, from, to);
    if (packet[8] <= 2) {
        size_t at = xeno_matrix_site(m, packet[8] <= 1 ? from : to);

        expired(packet, header, len, xeno_mirror_seen(subnet, XENO_MIRROR_ROUTER + at), answer,
                ret_answer_len);
        *ret_delay_us = packet[8] <= 1 ? rtt / 16 : rtt - rtt / 16;
        return XENO_MIRROR_EXPIRED;
    }
    put32(packet + 12, get32(packet + 12) ^ SECOND_WORD);
    put32(packet + 16, get32(packet + 16) ^ SECOND_WORD);
    age(packet, header);
    turn_quoted(packet, header, len);
    *ret_delay_us = rtt - rtt / 2; /* both ways together are no less than the round trip */
    return XENO_MIRROR_PASS;
}
