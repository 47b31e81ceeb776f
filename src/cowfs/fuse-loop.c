/* src/cowfs/fuse-loop.c - the threads that read and serve requests. */
#include "cowfs/fuse-loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "cowfs/fuse-raw.h"

#define WAKE     SIGUSR1 /* ends a wait for a request; SIGUSR1 has no other use here */
#define WATCH_NS 4000000 /* requests wait for no more than twice this for one that takes long */
#define FEW      2       /* processors that one thread and who asks it have enough to do on */

struct loop {
    struct fuse_session *session;
    pthread_mutex_t table; /* of the members below, up to the first that is atomic */
    pthread_cond_t given;  /* reading is nobody's, or the session is at its end */
    pthread_t *threads;
    int count, max;
    int idle;   /* threads that want to read */
    bool taken; /* a thread reads, or serves what it has read and will read again */
    bool spread;
    atomic_uint_fast64_t turn; /* of reading: another number each time that it changes hands */
    atomic_uint_fast64_t busy; /* the turn of whose request is being served; 0: none is */
    atomic_uint_fast64_t received;
    atomic_int flushing;  /* threads that wait for others to serve the kernel's writes */
    atomic_bool watching; /* the watch goes round; else it waits for `watch` */
    sem_t watch;
    sem_t ended; /* one of them found the session's end */
};

static __thread struct loop *serving; /* where this thread is one of the threads */
static __thread uint64_t my_turn;     /* it reads while that is the loop's */

static void *serve(void *arg);

/* `table` held. */
static int add_thread(struct loop *l)
{
    sigset_t all, old;
    int r = 0;

    if (l->count < l->max && !fuse_session_exited(l->session)) {
        sigfillset(&all);
        sigdelset(&all, WAKE);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = -pthread_create(&l->threads[l->count], NULL, serve, l);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r == 0)
            l->count++;
    }
    return r;
}

/* Returns: false at the session's end. */
static bool begin_reading(struct loop *l)
{
    if (my_turn == atomic_load(&l->turn))
        return !fuse_session_exited(l->session);
    pthread_mutex_lock(&l->table);
    l->idle++;
    while (l->taken && !fuse_session_exited(l->session))
        pthread_cond_wait(&l->given, &l->table);
    l->idle--;
    l->taken = true;
    my_turn = atomic_fetch_add(&l->turn, 1) + 1;
    pthread_mutex_unlock(&l->table);
    return !fuse_session_exited(l->session);
}

/* Another thread reads from now on, unless that happened since `turn`. */
static void let_read(struct loop *l, uint64_t turn)
{
    pthread_mutex_lock(&l->table);
    if (turn == atomic_load(&l->turn)) {
        atomic_fetch_add(&l->turn, 1);
        atomic_store(&l->busy, 0);
        l->taken = false;
        if (l->idle > 0)
            pthread_cond_signal(&l->given);
        else
            add_thread(l); /* when it cannot be made, whoever is done first comes back */
    }
    pthread_mutex_unlock(&l->table);
}

void fuse_may_wait(void)
{
    if (serving && my_turn == atomic_load(&serving->turn))
        let_read(serving, my_turn);
}

/* --- what takes longer than was expected --- */

/* Goes round as long as requests come: one that is served since the last time shall not keep the
 * others waiting. */
static void *watch(void *arg)
{
    struct loop *l = arg;
    uint64_t last = 0;

    while (!fuse_session_exited(l->session)) {
        uint64_t received = atomic_load(&l->received), busy = atomic_load(&l->busy);

        if (received == last && busy)
            let_read(l, busy);
        if (received == last && !busy) {
            atomic_store(&l->watching, false);
            if (atomic_load(&l->received) == last) /* or it came just now, and did not call us */
                sem_wait(&l->watch);
            atomic_store(&l->watching, true);
        }
        last = received;
        nanosleep(&(struct timespec){ .tv_nsec = WATCH_NS }, NULL);
    }
    return NULL;
}

static void begin_serving(struct loop *l)
{
    atomic_store(&l->busy, my_turn);
    atomic_fetch_add(&l->received, 1);
    if (!atomic_load(&l->watching) && !atomic_exchange(&l->watching, true))
        sem_post(&l->watch);
}

static void end_serving(struct loop *l)
{
    uint64_t mine = my_turn;

    atomic_compare_exchange_strong(&l->busy, &mine, 0);
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
    while (begin_reading(l)) {
        int n = fuse_session_receive_buf(l->session, &buf);

        if (n == -EINTR || n == -EAGAIN)
            continue;
        if (n <= 0) {
            fuse_session_exit(l->session); /* unmounted, or no longer ours */
            break;
        }
        begin_serving(l);
        fuse_raw_look(&buf);
        if (l->spread && more_waits(l))
            let_read(l, my_turn);
        fuse_session_process_buf(l->session, &buf);
        end_serving(l);
    }
    pthread_mutex_lock(&l->table);
    l->taken = false;
    pthread_cond_broadcast(&l->given);
    pthread_mutex_unlock(&l->table);
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

static int start(struct loop *l, pthread_t *ret_watch)
{
    sigset_t all, old;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = -pthread_create(ret_watch, NULL, watch, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r < 0)
        return r;
    pthread_mutex_lock(&l->table);
    r = add_thread(l);
    pthread_mutex_unlock(&l->table);
    if (r < 0)
        fuse_session_exit(l->session);
    return r;
}

int fuse_loop(struct fuse_session *session, int threads, struct xeno_err *err)
{
    struct sigaction wake = { .sa_handler = nothing }; /* without SA_RESTART */
    struct loop l = { .session = session,
                      .max = threads,
                      .table = PTHREAD_MUTEX_INITIALIZER,
                      .given = PTHREAD_COND_INITIALIZER,
                      .turn = 1,
                      .watching = true };
    pthread_t watcher = 0;
    cpu_set_t cpus;
    int r;

    l.spread = sched_getaffinity(0, sizeof cpus, &cpus) < 0 || CPU_COUNT(&cpus) > FEW;
    sigaction(WAKE, &wake, NULL);
    sem_init(&l.ended, 0, 0);
    sem_init(&l.watch, 0, 0);
    l.threads = xeno_new0_n(pthread_t, (size_t)threads);
    r = start(&l, &watcher);
    while (r == 0 && !fuse_session_exited(session))
        sem_wait(&l.ended); /* a signal ends it, too */
    join_all(&l);
    sem_post(&l.watch);
    if (watcher)
        pthread_join(watcher, NULL);
    sem_destroy(&l.watch);
    sem_destroy(&l.ended);
    free(l.threads);
    return r < 0 ? xeno_fail_errno(err, r, "cowfs.serve", "make a thread") : 0;
}
