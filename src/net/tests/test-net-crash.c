/* src/net/tests/test-net-crash.c - kill -9 at every system call, then see what the next one finds.
 *
 * usage: test-net-crash RUN_DIR INSTANCE POOL add|del STEP
 *
 * For n = 0, STEP, 2*STEP ... a child adds (or deletes) a session and is killed at its n-th stop;
 * the way into a system call and the way out of it each are one. Then the instance is opened anew,
 * as a restarted daemon does. By turns it finishes what was begun, or sweeps; both must lead to a
 * session that is whole, or to none. Ends when the child got through. Prints "killed at N points, M
 * bad".
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "net/net.h"

#define SESSION "crash"

static struct xeno_net_config config;
static struct xeno_net_spec spec = {
    .session = SESSION,
    .to_kbit = 5000,
    .from_kbit = 5000,
    .ports =
        (struct xeno_net_port[]){
            { .port = 80, .host_port = 8081, .proto = IPPROTO_TCP },
            { .port = 53, .host_port = 8081, .proto = IPPROTO_UDP },
        },
    .n_ports = 2,
};
static int bad;

static void check(int point, int r, const char *what, const struct xeno_err *err)
{
    if (r >= 0)
        return;
    bad++;
    printf("at %d: %s: %s\n", point, what, err->text);
}

static struct xeno_net *open_net(void)
{
    struct xeno_net *net = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_net_open(&config, &net, &err) < 0) {
        printf("open: %s\n", err.text);
        exit(1);
    }
    return net;
}

/* Returns: did the child get through? */
static bool killed_run(struct xeno_net *net, bool add, int stops)
{
    struct xeno_err err = XENO_ERR_INIT;
    int status;
    pid_t pid = fork();

    if (pid < 0)
        exit(1);
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        _exit((add ? xeno_net_session_add(net, &spec, &err)
                   : xeno_net_session_del(net, SESSION, NULL, &err)) < 0);
    }
    for (int i = 0; waitpid(pid, &status, 0) == pid && WIFSTOPPED(status); i++) {
        if (i == stops) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return false;
        }
        ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
    }
    return true;
}

static void expect(struct xeno_net *net, int point, bool there)
{
    xeno_autofree struct xeno_net_info *all = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    size_t n = 0, whole = 0, pinned = 0;

    check(point, xeno_net_list(net, &all, &n, &err), "list", &err);
    for (size_t i = 0; i < n; i++) {
        pinned += all[i].pinned;
        whole += all[i].pinned && all[i].cable[0] && all[i].n_ports == spec.n_ports &&
                 strcmp(all[i].session, SESSION) == 0;
    }
    if (pinned != there || whole != there) {
        bad++;
        printf("at %d: %zu sessions are pinned, %zu are whole, wanted %d\n", point, pinned, whole,
               there);
    }
}

static void recover(struct xeno_net *net, int point, bool finish)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (finish) {
        check(point, xeno_net_session_add(net, &spec, &err), "add", &err);
        expect(net, point, true);
        check(point, xeno_net_session_del(net, SESSION, NULL, &err), "del", &err);
    } else {
        check(point, xeno_net_sweep(net, NULL, 0, &err), "sweep", &err);
    }
    expect(net, point, false);
}

int main(int argc, char **argv)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *address = NULL;
    bool add, through = false;
    int step, n = 0;

    if (argc != 6)
        return 2;
    config = (struct xeno_net_config){ .run_dir = argv[1], .instance = argv[2], .pool = argv[3] };
    address =
        xeno_asprintf("%.*s.0.9", (int)(strchr(strchr(argv[3], '.') + 1, '.') - argv[3]), argv[3]);
    spec.address = address;
    add = strcmp(argv[4], "add") == 0;
    step = atoi(argv[5]) > 0 ? atoi(argv[5]) : 1;
    for (; !through; n++) {
        struct xeno_net *net = open_net();

        if (!add)
            check(n * step, xeno_net_session_add(net, &spec, &err), "add before", &err);
        through = killed_run(net, add, n * step);
        xeno_net_free(net);
        net = open_net();
        recover(net, n * step, n % 2 == 0);
        xeno_net_free(net);
    }
    printf("killed at %d points, %d bad\n", n - 1, bad);
    return bad != 0;
}
