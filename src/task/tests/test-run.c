/* src/task/tests/test-run.c - the run directory, and the null driver in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "task/driver.h"

#define SESSION "abcdefghijklmnop"

static char dir[] = "/tmp/xeno-run.XXXXXX";
static const struct xeno_task_host host = { .instance = "x1", .dir = dir };
static const struct xeno_task_driver *drv = &xeno_task_driver_null;

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/xeno-run.XXXXXX");
    return mkdtemp(dir) && xeno_mkdirs(AT_FDCWD, dir, 0700, NULL) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return xeno_remove_tree(AT_FDCWD, dir, NULL);
}

static struct xeno_task_spec spec_of(int64_t msps)
{
    struct xeno_task_spec spec = {
        .cpu_msps = msps, .memory_bytes = 64 << 20, .pids = 8, .disk_bytes = 8 << 20
    };

    strcpy(spec.hostname, "web");
    return spec;
}

static struct xeno_run *new_run(void)
{
    struct xeno_task_spec spec = spec_of(1000);
    xeno_autofree char *sessions = xeno_asprintf("%s/sessions", dir);
    struct xeno_run *run = NULL;

    assert_int_equal(xeno_mkdirs(AT_FDCWD, sessions, 0700, NULL), 0);
    assert_int_equal(xeno_run_new(dir, SESSION, "null", &spec, -1, &run, NULL), 0);
    return run;
}

static struct xeno_run *load(void)
{
    struct xeno_run *run = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_run_load(dir, SESSION, &run, &err) < 0)
        print_message("%s\n", err.text);
    return run;
}

static void round_trip(void **state)
{
    xeno_auto(xeno_run) run = new_run();
    xeno_auto(xeno_run) again = NULL;
    const char *argv[] = { "sleep", "1000", NULL };
    struct xeno_task_program p = { .argv = (char **)argv, .terminal = true };

    (void)state;
    run->stage = XENO_RUN_READY;
    run->base.cpu_us = 77;
    assert_int_equal(xeno_run_save(run, true, NULL), 0);
    assert_int_equal(xeno_run_add_task(run, "t1", &p, NULL), 0);
    again = load();
    assert_non_null(again);
    assert_int_equal(again->stage, XENO_RUN_READY);
    assert_true(again->this_boot);
    assert_int_equal(again->base.cpu_us, 77);
    assert_true(xeno_task_spec_equal(&again->spec, &run->spec));
    assert_int_equal(again->ntasks, 1);
    assert_true(again->tasks[0].terminal);
    assert_false(again->tasks[0].started);
}

static void broken_folders(void **state)
{
    static const char *const texts[] = { "", "{", "{\"v\":1}", "[]", "{\"v\":1,\"driver\":7}" };
    xeno_auto(xeno_run) run = new_run();
    xeno_autofree char *path = xeno_run_path(run, "session.json");
    struct xeno_run *again = NULL;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(texts); i++) {
        assert_int_equal(xeno_run_write(path, texts[i], strlen(texts[i]), NULL), 0);
        assert_true(xeno_run_load(dir, SESSION, &again, NULL) < 0);
        assert_null(again);
    }
    assert_int_equal(xeno_run_load(dir, "bbbbbbbbbbbbbbbb", &again, NULL), -ENOENT);
    assert_int_equal(xeno_run_load(dir, "../../etc", &again, NULL), -EINVAL);
}

static void other_boots_are_known(void **state)
{
    xeno_auto(xeno_run) run = new_run();
    xeno_auto(xeno_run) again = NULL;
    xeno_autofree char *path = xeno_run_path(run, "session.json");
    xeno_autofree char *text = NULL;
    struct xeno_task_session_info info;
    size_t len;
    char *boot;

    (void)state;
    run->stage = XENO_RUN_READY;
    assert_int_equal(xeno_run_save(run, false, NULL), 0);
    assert_int_equal(xeno_file_read(AT_FDCWD, path, 65536, &text, &len, NULL), 0);
    boot = strstr(text, xeno_run_boot_id());
    assert_non_null(boot);
    boot[0] = boot[0] == 'x' ? 'y' : 'x';
    assert_int_equal(xeno_run_write(path, text, len, NULL), 0);
    again = load();
    assert_false(again->this_boot);
    xeno_run_info(again, &info);
    assert_int_equal(info.state, XENO_TASK_STOPPED);
}

static void tasks_are_bounded(void **state)
{
    xeno_auto(xeno_run) run = new_run();
    const char *argv[] = { "true", NULL };
    struct xeno_task_program p = { .argv = (char **)argv };
    struct xeno_err err = XENO_ERR_INIT;
    char name[16];

    (void)state;
    for (int i = 0; i < XENO_TASK_TASKS_MAX; i++) {
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(xeno_run_add_task(run, name, &p, NULL), 0);
    }
    assert_int_equal(xeno_run_add_task(run, "more", &p, &err), -EMFILE);
    assert_string_equal(err.token, "task.many");
}

/* --- the null driver --- */

static const struct {
    const char *argv[3];
    int ended;
    int64_t code, kills;
} programs[] = {
    { { "exit", "3", NULL }, 1, 3, 0 },   { { "exit", NULL }, 1, 0, 0 },
    { { "exit", "256", NULL }, 1, 0, 0 }, { { "sleep", "0", NULL }, 1, 0, 0 },
    { { "sleep", "99", NULL }, 0, 0, 0 }, { { "server", NULL }, 0, 0, 0 },
    { { "oom", NULL }, 1, 137, 1 },
};

static void null_tasks_end(void **state)
{
    xeno_auto(xeno_run) run = new_run();

    (void)state;
    for (size_t i = 0; i < XENO_LEN(programs); i++) {
        struct xeno_task_program p = { .argv = (char **)programs[i].argv };
        int64_t code = 0, kills = 0;
        struct xeno_run_task *t;
        char name[16];

        snprintf(name, sizeof name, "t%zu", i);
        assert_int_equal(xeno_run_add_task(run, name, &p, NULL), 0);
        t = xeno_run_find(run, name);
        assert_int_equal(drv->start(&host, run, t, &p, NULL), 0);
        assert_int_equal(drv->ended(&host, run, t, &code, &kills), programs[i].ended);
        if (!programs[i].ended)
            continue;
        assert_int_equal(code, programs[i].code);
        assert_int_equal(kills, programs[i].kills);
    }
}

static void null_signals(void **state)
{
    xeno_auto(xeno_run) run = new_run();
    const char *argv[] = { "server", NULL };
    struct xeno_task_program p = { .argv = (char **)argv };
    struct xeno_run_task *t;
    int64_t code, kills;

    (void)state;
    xeno_run_add_task(run, "t1", &p, NULL);
    t = xeno_run_find(run, "t1");
    drv->start(&host, run, t, &p, NULL);
    assert_int_equal(drv->signal(&host, run, t, 10, NULL), 0);
    assert_int_equal(drv->ended(&host, run, t, &code, &kills), 0);
    assert_int_equal(drv->signal(&host, run, t, 15, NULL), 0);
    assert_int_equal(drv->ended(&host, run, t, &code, &kills), 1);
    assert_int_equal(code, 143);
}

static void null_use_grows_and_rests(void **state)
{
    xeno_auto(xeno_run) run = new_run();
    struct xeno_task_usage a = { .cpu_us = 0 }, b = a, c = a, d = a;

    (void)state;
    run->stage = XENO_RUN_READY;
    xeno_run_save(run, false, NULL);
    run->changed_ms -= 1000; /* a second has passed */
    a = run->base;
    drv->usage(&host, run, &a);
    assert_in_range(a.cpu_us, 100000, 150000); /* a tenth of what is reserved */
    assert_in_range(a.net_tx_bytes, 4000, 6000);
    assert_int_equal(drv->pause(&host, run, true, NULL), 0);
    run->paused = true;
    xeno_run_save(run, false, NULL);
    run->changed_ms -= 5000;
    b = run->base;
    drv->usage(&host, run, &b);
    assert_in_range(b.cpu_us, a.cpu_us, a.cpu_us + 50000);
    c = run->base;
    drv->usage(&host, run, &c);
    assert_int_equal(b.cpu_us, c.cpu_us); /* nothing while paused */
    run->paused = false;
    run->changed_ms += 1000000; /* the clock was set back: never less */
    d = run->base;
    drv->usage(&host, run, &d);
    assert_int_equal(d.cpu_us, c.cpu_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_folders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_boots_are_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tasks_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(null_tasks_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(null_signals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(null_use_grows_and_rests, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
