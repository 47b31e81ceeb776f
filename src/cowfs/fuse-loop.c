/* src/cowfs/fuse-loop.c - the threads that read and serve requests. */
#include "cowfs/fuse-loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

#define WAKE SIGUSR1 /* ends a wait for a request; SIGUSR1 has no other use here */

struct loop {
    struct fuse_session *session;
    pthread_mutex_t reader; /* held by the thread that reads */
    pthread_mutex_t table;  /* of the members below */
    pthread_t *threads;
    int count, max;
    atomic_int idle;     /* threads that want to read */
    atomic_int flushing; /* threads that wait for others to serve the kernel's writes */
    sem_t ended;         /* one of them found the session's end */
};

static __thread struct loop *reading; /* where this thread is the reader */
static __thread struct loop *serving; /* where it is one of the threads */

static void *serve(void *arg);

static int add_thread(struct loop *l)
{
    sigset_t all, old;
    int r = 0;

    pthread_mutex_lock(&l->table);
    if (l->count < l->max && !fuse_session_exited(l->session)) {
        sigfillset(&all);
        sigdelset(&all, WAKE);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = -pthread_create(&l->threads[l->count], NULL, serve, l);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r == 0)
            l->count++;
    }
    pthread_mutex_unlock(&l->table);
    return r;
}

static void begin_reading(struct loop *l)
{
    if (reading)
        return;
    atomic_fetch_add(&l->idle, 1);
    pthread_mutex_lock(&l->reader);
    atomic_fetch_sub(&l->idle, 1);
    reading = l;
}

static void let_read(struct loop *l)
{
    reading = NULL;
    pthread_mutex_unlock(&l->reader);
    if (atomic_load(&l->idle) == 0)
        add_thread(l); /* when it cannot be made we come back ourselves */
}

void fuse_may_wait(void)
{
    if (reading)
        let_read(reading);
}

int fuse_flush_cached(fuse_ino_t ino)
{
    struct loop *l = serving;
    int r = -EAGAIN;

    fuse_may_wait();
    if (atomic_fetch_add(&l->flushing, 1) + 1 < l->max)
        r = fuse_lowlevel_notify_inval_inode(l->session, ino, 0, 0);
    atomic_fetch_sub(&l->flushing, 1);
    return r;
}

static bool more_waits(const struct loop *l)
{
    struct pollfd p = { .fd = fuse_session_fd(l->session), .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

static void *serve(void *arg)
{
    struct loop *l = arg;
    struct fuse_buf buf = { .mem = NULL };

    serving = l;
    for (;;) {
        int n;

        begin_reading(l);
        if (fuse_session_exited(l->session))
            break;
        n = fuse_session_receive_buf(l->session, &buf);
        if (n == -EINTR || n == -EAGAIN)
            continue;
        if (n <= 0) {
            fuse_session_exit(l->session); /* unmounted, or no longer ours */
            break;
        }
        if (more_waits(l))
            let_read(l);
        fuse_session_process_buf(l->session, &buf);
    }
    reading = NULL;
    pthread_mutex_unlock(&l->reader);
    sem_post(&l->ended);
    free(buf.mem);
    return NULL;
}

static void nothing(int signal)
{
    (void)signal;
}

/* Whichever of them reads is to stop; a signal that comes just before the wait it is for is lost,
 * so it is sent again. */
static void join_all(struct loop *l)
{
    int left;

    pthread_mutex_lock(&l->table); /* nobody makes one any more */
    left = l->count;
    pthread_mutex_unlock(&l->table);
    while (left > 0) {
        if (pthread_tryjoin_np(l->threads[left - 1], NULL) == 0) {
            left--;
            continue;
        }
        for (int i = 0; i < left; i++)
            pthread_kill(l->threads[i], WAKE);
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
}

int fuse_loop(struct fuse_session *session, int threads, struct xeno_err *err)
{
    struct sigaction wake = { .sa_handler = nothing }; /* without SA_RESTART */
    struct loop l = { .session = session,
                      .max = threads,
                      .reader = PTHREAD_MUTEX_INITIALIZER,
                      .table = PTHREAD_MUTEX_INITIALIZER };
    int r;

    sigaction(WAKE, &wake, NULL);
    sem_init(&l.ended, 0, 0);
    l.threads = xeno_new0_n(pthread_t, (size_t)threads);
    r = add_thread(&l);
    while (r == 0 && !fuse_session_exited(session))
        sem_wait(&l.ended); /* a signal ends it, too */
    join_all(&l);
    sem_destroy(&l.ended);
    free(l.threads);
    return r < 0 ? xeno_fail_errno(err, r, "cowfs.serve", "make a thread") : 0;
}
