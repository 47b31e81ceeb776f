/* bench/session/first-byte.c - time from starting a command to the first byte it prints.
 *
 *     first-byte NAME COUNT -- COMMAND...
 *
 * "%d" in an argument becomes the number of the run, for container names. The peers of the start
 * latency (an OCI runtime, podman, bubblewrap) are measured with it. Each run is waited for before
 * the next begins; its end is not in the figure.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/env.h"
#include "base/mem.h"
#include "stats.h"

#define FIRST_BYTE_WAIT_MS 30000

static char **numbered(char **argv, int n)
{
    size_t count = 0;
    char **out;

    while (argv[count])
        count++;
    out = xeno_new0_n(char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        char *at = strstr(argv[i], "%d");

        out[i] = at ? xeno_asprintf("%.*s%d%s", (int)(at - argv[i]), argv[i], n, at + 2)
                    : xeno_strdup(argv[i]);
    }
    return out;
}

static void run_child(char **argv, int out)
{
    int null = open("/dev/null", O_RDWR);

    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execvp(argv[0], argv);
    fprintf(stderr, "first-byte: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Milliseconds to the first byte, or -1 when the command printed nothing or failed. */
static double one(char **argv)
{
    const struct xeno_env *env = xeno_env_real();
    xeno_autoclose int rd = -1;
    struct pollfd p;
    xeno_time start;
    double ms = -1;
    char byte[4096];
    int fds[2], status;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    rd = fds[0];
    start = xeno_mono(env);
    pid = fork();
    if (pid == 0)
        run_child(argv, fds[1]);
    close(fds[1]);
    p = (struct pollfd){ .fd = rd, .events = POLLIN };
    if (pid > 0 && poll(&p, 1, FIRST_BYTE_WAIT_MS) == 1 && read(rd, byte, 1) == 1)
        ms = (double)(xeno_mono(env).ns - start.ns) / 1e6;
    while (read(rd, byte, sizeof byte) > 0)
        ;
    if (pid <= 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
        return -1;
    return ms;
}

int main(int argc, char **argv)
{
    xeno_autofree double *ms = NULL;
    int count = argc > 4 ? atoi(argv[2]) : 0;

    if (count < 1 || count > 100000 || strcmp(argv[3], "--") != 0) {
        fprintf(stderr, "usage: first-byte NAME COUNT -- COMMAND...\n");
        return 2;
    }
    ms = xeno_new0_n(double, (size_t)count);
    for (int i = 0; i < count; i++) {
        char **args = numbered(argv + 4, i);

        ms[i] = one(args);
        for (char **a = args; *a; a++)
            free(*a);
        free(args);
        if (ms[i] < 0) {
            fprintf(stderr, "first-byte: run %d of '%s' failed or printed nothing\n", i, argv[4]);
            return 1;
        }
    }
    bench_print(stdout, argv[1], ms, (size_t)count);
    return 0;
}
