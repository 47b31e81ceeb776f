/* src/xenocorpd/books.c - the books for the writer, and the head of the log for everybody. */
#include "xenocorpd/books.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct books {
    struct xeno_corp *corp;
    pthread_mutex_t lock;
    char head[XENO_LOG_HEAD_MAX + 1]; /* of the last group */
};

static int begin(void *user, struct xeno_err *err)
{
    return xeno_corp_begin(books_corp(user), err);
}

static int commit(void *user, struct xeno_err *err)
{
    return xeno_corp_commit(books_corp(user), err);
}

/* Read on the writer, where the books are. */
static void keep_head(void *user)
{
    struct books *b = user;

    pthread_mutex_lock(&b->lock);
    snprintf(b->head, sizeof b->head, "%s", xeno_log_head_text(b->corp));
    pthread_mutex_unlock(&b->lock);
}

struct books *books_new(struct xeno_corp *corp)
{
    struct books *b = xeno_new0(struct books);

    b->corp = corp;
    pthread_mutex_init(&b->lock, NULL);
    keep_head(b);
    return b;
}

void books_free(struct books *b)
{
    if (!b)
        return;
    pthread_mutex_destroy(&b->lock);
    free(b);
}

int books_work(struct books *b, const struct xeno_work_limits *limits, struct xeno_work **ret,
               struct xeno_err *err)
{
    const struct xeno_work_books books = {
        .user = b, .begin = begin, .commit = commit, .after = keep_head
    };

    return xeno_work_new(&books, limits, ret, err);
}

struct xeno_corp *books_corp(void *user)
{
    return ((struct books *)user)->corp;
}

void books_head(struct books *b, char ret[XENO_LOG_HEAD_MAX + 1])
{
    pthread_mutex_lock(&b->lock);
    memcpy(ret, b->head, sizeof b->head);
    pthread_mutex_unlock(&b->lock);
}
