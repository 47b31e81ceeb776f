/* src/task/tests/test-oci.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "task/oci/config.h"
#include "task/oci/seccomp.h"
#include "task/oci/user.h"

#define PASSWD                                                                                     \
    "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/var/www:/bin/sh\nshort:x\nbad:x:y:0::/:\n"       \
    "big:x:70000:0::/:\nnohome:x:5:5::relative:/bin/sh\n7:x:9:9::/nine:\n"
#define GROUP "root:x:0:\nwww:x:34:\nmore:x:50:www,nohome\nother:x:51:awww,ww\nlast:x:52:root,www"

static const struct {
    const char *who;
    int want;
    uint32_t uid, gid;
    size_t ngroups;
    const char *home;
} users[] = {
    { "", 0, 0, 0, 1, "/root" },
    { "root", 0, 0, 0, 1, "/root" },
    { "www", 0, 33, 34, 2, "/var/www" },
    { "33", 0, 33, 34, 2, "/var/www" },
    { "www:root", 0, 33, 0, 0, "/var/www" },
    { "www:50", 0, 33, 50, 0, "/var/www" },
    { "1000", 0, 1000, 0, 0, "/" },
    { "1000:1001", 0, 1000, 1001, 0, "/" },
    { "nohome", 0, 5, 5, 1, "/" },
    { "7", 0, 7, 0, 0, "/" }, /* a name of digits is a number */
    { "nobody", -ENOENT, 0, 0, 0, NULL },
    { "www:none", -ENOENT, 0, 0, 0, NULL },
    { "short", -ENOENT, 0, 0, 0, NULL },
    { "bad", -EINVAL, 0, 0, 0, NULL },
    { "big", -ERANGE, 0, 0, 0, NULL },
    { "70000", -ERANGE, 0, 0, 0, NULL },
    { "-1", -ENOENT, 0, 0, 0, NULL },
    { "99999999999999999999", -ENOENT, 0, 0, 0, NULL },
    { ":", -ENOENT, 0, 0, 0, NULL },
};

static void user_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(users); i++) {
        struct xeno_oci_user u = { .uid = 77 };
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_oci_user_find(users[i].who, PASSWD, GROUP, &u, &err);

        print_message("'%s': %s\n", users[i].who, err.text);
        assert_int_equal(r, users[i].want);
        if (r < 0) {
            assert_int_equal(u.uid, 77);
            assert_string_equal(err.token, "oci.user");
            continue;
        }
        assert_int_equal(u.uid, users[i].uid);
        assert_int_equal(u.gid, users[i].gid);
        assert_int_equal(u.ngroups, users[i].ngroups);
        assert_string_equal(u.home, users[i].home);
    }
}

static char *config_text(const struct xeno_oci_bundle *b)
{
    xeno_auto(xeno_json) config = xeno_oci_config(b);
    size_t len;

    return xeno_json_format(config, false, &len);
}

static struct xeno_oci_bundle bundle_of(struct xeno_task_program *p)
{
    return (struct xeno_oci_bundle){ .program = p,
                                     .user = { .uid = 0, .home = "/root" },
                                     .hostname = "web",
                                     .rootfs = "/s/rootfs",
                                     .files = "/s/upper/etc",
                                     .sys = "/s/sys",
                                     .netns = "/n/s",
                                     .cgroup = "/xeno-x1/sessions/s/t1",
                                     .id_base = 100000,
                                     .id_count = 65536,
                                     .nofile = 20000,
                                     .bpf = "QUJD" };
}

/* What every bundle must say, whatever is asked for. */
static const char *const always[] = {
    "\"noNewPrivileges\":true",
    "\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}]",
    "\"gidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}]",
    "{\"type\":\"user\"}",
    "{\"type\":\"pid\"}",
    "{\"type\":\"ipc\"}",
    "{\"type\":\"network\",\"path\":\"/n/s\"}",
    "\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]",
    "\"run.oci.seccomp_bpf_data\":\"QUJD\"",
    "\"source\":\"/s/sys\",\"options\":[\"bind\",\"ro\",",
    "\"/proc/sysrq-trigger\"",
    "\"/sys/firmware\"",
    "{\"type\":\"RLIMIT_NOFILE\",\"soft\":20000,\"hard\":20000}",
    "\"cgroupsPath\":\"/xeno-x1/sessions/s/t1\"",
};
static const char *const never[] = { "CAP_SYS_ADMIN",  "CAP_NET_ADMIN",  "CAP_SYS_PTRACE",
                                     "CAP_SYS_MODULE", "\"privileged\"", "/dev/kmsg" };

static void config_says_what_it_must(void **state)
{
    const char *argv[] = { "/bin/sh", "-c", "echo \"quoted\" \\ back\n", NULL };
    const char *env[] = { "PATH=/own", "A=b", NULL };
    struct xeno_task_program p = { .argv = (char **)argv, .env = (char **)env };
    struct xeno_oci_bundle b = bundle_of(&p);
    xeno_autofree char *text = config_text(&b);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(always); i++) {
        print_message("%s\n", always[i]);
        assert_non_null(strstr(text, always[i]));
    }
    for (size_t i = 0; i < XENO_LEN(never); i++)
        assert_null(strstr(text, never[i]));
    assert_non_null(strstr(text, "\"PATH=/own\",\"A=b\""));
    assert_null(strstr(text, "/usr/local/sbin")); /* the default gave way */
    assert_non_null(strstr(text, "echo \\\"quoted\\\" \\\\ back\\n"));
    assert_non_null(strstr(text, "\"cwd\":\"/\""));
    assert_non_null(strstr(text, "\"effective\":[\"CAP_AUDIT_WRITE\""));
    assert_null(strstr(text, "consoleSize"));
}

static void another_user_has_no_capability_in_force(void **state)
{
    const char *argv[] = { "id", NULL };
    struct xeno_task_program p = { .argv = (char **)argv, .terminal = true };
    struct xeno_oci_bundle b = bundle_of(&p);
    xeno_autofree char *text = NULL;

    (void)state;
    b.user = (struct xeno_oci_user){
        .uid = 33, .gid = 33, .ngroups = 2, .groups = { 50, 51 }, .home = "/var"
    };
    b.cols = 91;
    b.rows = 37;
    b.netns = NULL;
    b.sys = NULL;
    text = config_text(&b);
    assert_non_null(strstr(text, "\"uid\":33,\"gid\":33,\"additionalGids\":[50,51]"));
    assert_non_null(strstr(text, "\"permitted\":[],\"effective\":[]"));
    assert_non_null(strstr(text, "\"consoleSize\":{\"width\":91,\"height\":37}"));
    assert_non_null(strstr(text, "{\"type\":\"network\"}")); /* a new one, not the host's */
    assert_non_null(strstr(text, "\"TERM=xterm\""));
    assert_non_null(strstr(text, "\"HOME=/var\""));
    assert_null(strstr(text, "\"destination\":\"/sys\""));
}

static void other_runtimes_get_the_list(void **state)
{
    const char *argv[] = { "id", NULL };
    struct xeno_task_program p = { .argv = (char **)argv };
    struct xeno_oci_bundle b = bundle_of(&p);
    xeno_auto(xeno_json) list = xeno_oci_seccomp_json();
    xeno_autofree char *text = NULL;

    (void)state;
    b.bpf = NULL;
    b.seccomp = list;
    text = config_text(&b);
    assert_non_null(strstr(text, "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\""));
    assert_non_null(strstr(text, "\"epoll_wait\""));
    assert_null(strstr(text, "\"clone3\"")); /* not implemented, as far as they know */
    assert_null(strstr(text, "seccomp_bpf_data"));
}

static void the_filter_compiles(void **state)
{
    xeno_autofree char *text = NULL;

    (void)state;
    assert_int_equal(xeno_oci_seccomp_bpf(&text, NULL), 0);
    print_message("%zu letters\n", strlen(text));
    assert_true(strlen(text) > 1000);
    assert_int_equal(strlen(text) % 4, 0);
    assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789+/="),
                     strlen(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_rows),
        cmocka_unit_test(config_says_what_it_must),
        cmocka_unit_test(another_user_has_no_capability_in_force),
        cmocka_unit_test(other_runtimes_get_the_list),
        cmocka_unit_test(the_filter_compiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
