/* bench/xis/answer.c - an HTTP answer as it comes. */
#include "xis/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PIECE (64 * 1024)

void answer_begin(struct answer *a)
{
    char *data = a->data;
    size_t room = a->room;

    *a = (struct answer){ .data = data, .room = room };
}

char *answer_room(struct answer *a, size_t *ret_room)
{
    if (a->room < a->len + PIECE) {
        a->room = 2 * a->len + 2 * PIECE;
        a->data = xeno_grow(a->data, a->room);
    }
    *ret_room = a->room - a->len - 1;
    return a->data + a->len;
}

static void fail(const struct answer *a)
{
    fprintf(stderr, "not an answer: %.200s\n", a->data);
    exit(EXIT_FAILURE);
}

static bool read_head(struct answer *a)
{
    const char *end = memmem(a->data, a->len, "\r\n\r\n", 4), *field;

    if (!end)
        return false;
    a->head = (size_t)(end - a->data) + 4;
    a->body = a->data + a->head;
    a->next = a->head;
    a->status = a->head > 12 ? atoi(a->data + 9) : 0;
    field = strcasestr(a->data, "\r\nContent-Length:");
    if (field && field < end)
        a->want = strtoul(field + 17, NULL, 10);
    else
        a->chunked = true;
    return true;
}

/* The chunks that are here move together. */
static bool join_chunks(struct answer *a)
{
    for (;;) {
        char *at = a->data + a->next, *end = memmem(at, a->len - a->next, "\r\n", 2);
        size_t size, head;

        if (!end)
            return false;
        size = strtoul(at, NULL, 16);
        head = (size_t)(end - at) + 2;
        if (a->len - a->next < head + size + 2)
            return false;
        memmove(a->data + a->head + a->body_len, at + head, size);
        a->body_len += size;
        a->next += head + size + 2;
        if (size == 0)
            return true;
    }
}

bool answer_add(struct answer *a, size_t n)
{
    a->len += n;
    a->data[a->len] = '\0';
    if (a->head == 0 && !read_head(a))
        return false;
    a->body = a->data + a->head;
    if (a->status < 100)
        fail(a);
    if (a->chunked)
        return join_chunks(a);
    a->body_len = a->want;
    return a->len - a->head >= a->want;
}

int64_t answer_results(const struct answer *a)
{
    static const char begin[] = "{\"total\":";
    const char *at = a->body, *end = at + a->body_len;
    int64_t n = 0;

    for (; at < end; n++) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));

        if ((size_t)(end - at) < sizeof begin || memcmp(at, begin, sizeof begin - 1) != 0)
            return -1;
        at = nl ? nl + 1 : end;
        if (memcmp(nl ? nl - 2 : end - 2, "]}", 2) != 0)
            return -1;
    }
    return n;
}
