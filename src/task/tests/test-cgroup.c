/* src/task/tests/test-cgroup.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "task/cgroup-priv.h"

static const struct {
    const char *name, *line;
    int want;
    const char *mount, *controllers;
} rows[] = {
    { "v1 cpu", "31 23 0:27 / /sys/fs/cgroup/cpu rw,relatime shared:1 - cgroup cgroup rw,cpu", 1,
      "/sys/fs/cgroup/cpu", ",cpu," },
    { "v1 of two", "31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct", 1,
      "/sys/fs/cgroup/cpu,cpuacct", ",cpu,cpuacct," },
    { "systemd's own",
      "31 23 0:27 / /sys/fs/cgroup/systemd rw - cgroup systemd rw,xattr,name=systemd", 1,
      "/sys/fs/cgroup/systemd", ",name=systemd," },
    { "v2", "40 23 0:36 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw", 2,
      "/sys/fs/cgroup/unified", "" },
    { "ext4", "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard", 0, NULL, NULL },
    { "a path with cgroup", "22 1 0:5 / /cgroup rw - tmpfs cgroup rw", 0, NULL, NULL },
    { "cut", "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup", 0, NULL, NULL },
    { "empty", "", 0, NULL, NULL },
};

static void mount_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_cgroup_tree tree = { .mount = "untouched" };

        print_message("%s\n", rows[i].name);
        assert_int_equal(xeno_cgroup_mount_line(rows[i].line, &tree), rows[i].want);
        assert_string_equal(tree.mount, rows[i].want ? rows[i].mount : "untouched");
        if (rows[i].want)
            assert_string_equal(tree.controllers, rows[i].controllers);
    }
}

static const struct {
    const char *text, *key;
    int64_t want;
} stats[] = {
    { "usage_usec 42\nuser_usec 7\nthrottled_usec 9\n", "usage_usec", 42 },
    { "usage_usec 42\nuser_usec 7\nthrottled_usec 9\n", "throttled_usec", 9 },
    { "low 0\noom 2\noom_kill 3\n", "oom", 2 },
    { "low 0\noom 2\noom_kill 3\n", "oom_kill", 3 },
    { "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n", "oom_kill", 5 },
    { "oom_kill 5", "kill", 0 },
    { "", "x", 0 },
    { "x\n", "x", 0 },
    { "x max\n", "x", 0 },
};

static const struct {
    const char *text;
    int64_t want;
} pressures[] = {
    { "some avg10=21.25 avg60=18.12 avg300=16.39 total=3483483992\n"
      "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
      3483483992 },
    { "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", 0 },
    { "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
      "some avg10=0.00 avg60=0.00 avg300=0.00 total=9\n",
      9 },
    { "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", 0 },
    { "some avg10=0.00\nfull avg10=0.00 total=7\n", 0 },
    { "awesome total=3\n", 0 },
    { "", 0 },
};

static void pressure_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(pressures); i++) {
        print_message("%s", pressures[i].text);
        assert_int_equal(xeno_cgroup_pressure(pressures[i].text), pressures[i].want);
    }
}

static void stat_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(stats); i++)
        assert_int_equal(xeno_cgroup_stat(stats[i].text, stats[i].key), stats[i].want);
}

static void trees_and_paths(void **state)
{
    static struct xeno_cgroups cg = {
        .ops = &xeno_cgroup_v1,
        .instance = "x1",
        .trees = { { "/c/cpu,cpuacct", ",cpu,cpuacct," }, { "/c/memory", ",memory," } },
        .ntrees = 2,
        .base = "/xeno-x1",
    };
    xeno_autofree char *file = xeno_cgroup_file(&cg, 1, "s", "t", "memory.stat");
    xeno_autofree char *folder = xeno_cgroup_file(&cg, 0, "s", NULL, NULL);
    xeno_autofree char *oci = xeno_cgroup_oci_path(&cg, "s", "t");

    (void)state;
    assert_int_equal(xeno_cgroup_tree_of(&cg, "cpu"), 0);
    assert_int_equal(xeno_cgroup_tree_of(&cg, "cpuacct"), 0);
    assert_int_equal(xeno_cgroup_tree_of(&cg, "memory"), 1);
    assert_int_equal(xeno_cgroup_tree_of(&cg, "mem"), -1);
    assert_int_equal(xeno_cgroup_tree_of(&cg, "pids"), -1);
    assert_string_equal(file, "/c/memory/xeno-x1/sessions/s/t/memory.stat");
    assert_string_equal(folder, "/c/cpu,cpuacct/xeno-x1/sessions/s");
    assert_string_equal(oci, "/xeno-x1/sessions/s/t");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mount_lines),
        cmocka_unit_test(stat_lines),
        cmocka_unit_test(pressure_lines),
        cmocka_unit_test(trees_and_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
