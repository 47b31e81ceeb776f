/* src/cli/tests/test-terminal.c - on a terminal of its own (pty), whose mode is looked at after
 * whatever ended the program that had changed it. */
#include "cli/terminal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static int open_pty(int *ret_slave)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    struct winsize size = { .ws_row = 40, .ws_col = 100 };

    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    *ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(*ret_slave >= 0);
    assert_int_equal(ioctl(*ret_slave, TIOCSWINSZ, &size), 0);
    return master;
}

/* signo 0: exit(); negative: restore, then exit. */
static void in_child(int slave, int ready, int signo)
{
    struct termios now;
    int columns, rows;

    dup2(slave, STDIN_FILENO);
    if (!cli_terminal_there() || !cli_terminal_raw() || !cli_terminal_raw())
        _exit(90);
    if (tcgetattr(STDIN_FILENO, &now) < 0 || now.c_lflag & (ICANON | ECHO | ISIG) ||
        now.c_oflag & OPOST)
        _exit(91);
    if (!cli_terminal_size(&columns, &rows) || columns != 100 || rows != 40)
        _exit(92);
    if (write(ready, "", 1) != 1)
        _exit(93);
    if (signo < 0)
        cli_terminal_restore();
    if (signo <= 0)
        exit(0);
    for (;;)
        pause();
}

static const struct {
    const char *name;
    int signo;
} ends[] = { { "exit", 0 },          { "restored, then exit", -1 }, { "SIGTERM", SIGTERM },
             { "SIGHUP", SIGHUP },   { "SIGINT", SIGINT },          { "SIGQUIT", SIGQUIT },
             { "SIGSEGV", SIGSEGV }, { "SIGABRT", SIGABRT } };

static bool same_mode(const struct termios *a, const struct termios *b)
{
    return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
           a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof a->c_cc) == 0;
}

static void mode_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(ends); i++) {
        struct termios before, after;
        int slave, pipes[2], status, master = open_pty(&slave);
        char byte;
        pid_t pid;

        print_message("%s\n", ends[i].name);
        assert_int_equal(tcgetattr(slave, &before), 0);
        assert_int_equal(pipe(pipes), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            in_child(slave, pipes[1], ends[i].signo);
        close(pipes[1]);
        assert_int_equal(read(pipes[0], &byte, 1), 1);
        if (ends[i].signo > 0)
            kill(pid, ends[i].signo);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (ends[i].signo > 0)
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == ends[i].signo);
        else
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(tcgetattr(slave, &after), 0);
        assert_true(same_mode(&before, &after));
        close(pipes[0]);
        close(slave);
        close(master);
    }
}

static void no_terminal(void **state)
{
    int saved = dup(STDIN_FILENO), null = open("/dev/null", O_RDWR);

    (void)state;
    dup2(null, STDIN_FILENO);
    assert_false(cli_terminal_there());
    assert_false(cli_terminal_raw());
    cli_terminal_restore();
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mode_comes_back),
        cmocka_unit_test(no_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
