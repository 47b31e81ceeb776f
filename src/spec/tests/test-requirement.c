/* src/spec/tests/test-requirement.c */
#include "spec/requirement.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

#define DECL "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

/* Section II-A.3 of the platform's paper, its dots removed. */
static const char paper[] = DECL "<EnvironmentalRequirements>\n"
                                 "\n"
                                 "<Basic>\n"
                                 "<EnvName>MyEnvironment</EnvName>\n"
                                 "<EnvType>Linux</EnvType>\n"
                                 "<EnvKernel>2.4.18</EnvKernel>\n"
                                 "\n"
                                 "</Basic>\n"
                                 "<Network>\n"
                                 "\n"
                                 "<EnvIPAddresses>1</EnvIPAddresses>\n"
                                 "\n"
                                 "</Network>\n"
                                 "<QoS>\n"
                                 "\n"
                                 "<CPUmsps>150</CPUmsps>\n"
                                 "<NetMbps>5</NetMbps>\n"
                                 "\n"
                                 "</QoS>\n"
                                 "\n"
                                 "</EnvironmentalRequirements>\n";

static void the_papers_example(void **state)
{
    xeno_auto(xeno_requirement) req = NULL;
    xeno_auto(xeno_requirement) bare = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    const char *without = strchr(paper, '\n') + 1;

    (void)state;
    assert_int_equal(xeno_requirement_parse(paper, strlen(paper), &req, &err), 0);
    assert_string_equal(req->name, "MyEnvironment");
    assert_string_equal(req->env_type, "Linux");
    assert_string_equal(req->kernel, "2.4.18");
    assert_int_equal(req->addresses, 1);
    assert_int_equal(req->cpu_msps, 150);
    assert_int_equal(req->net_kbps, 5000);
    assert_int_equal(xeno_requirement_parse(without, strlen(without), &bare, &err), 0);
    assert_true(xeno_requirement_equal(req, bare));
}

static void everything_at_once(void **state)
{
    static const char text[] =
        "<EnvironmentalRequirements><Basic><EnvName>my web 1.0</EnvName><EnvType> Linux "
        "</EnvType><EnvKernel>6.1.0-18-amd64</EnvKernel>"
        "<EnvTemplate>template://debian-apache:latest</EnvTemplate>"
        "<EnvOverlay>overlay://site/v1</EnvOverlay><EnvOverlay>"
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef</EnvOverlay>"
        "</Basic><Network><Port port=\"80\"/><Port port=\"53\" protocol=\"udp\" "
        "hostPort=\"5353\"/></Network><QoS><CPUmsps>1500</CPUmsps><CPUBurstMs>20</CPUBurstMs>"
        "<NetMbps>100</NetMbps><MemoryMB>64</MemoryMB><DiskMB>32</DiskMB></QoS><Limits>"
        "<LifetimeSeconds>60</LifetimeSeconds><MaxPricePerHour>0.25</MaxPricePerHour>"
        "<MaxTotal>1000000000</MaxTotal><MaxTasks>2</MaxTasks><MaxProcesses>10</MaxProcesses>"
        "</Limits></EnvironmentalRequirements>";
    xeno_auto(xeno_requirement) req = NULL;
    xeno_auto(xeno_requirement) back = NULL;
    xeno_autofree char *canonical = NULL;
    xeno_autofree char *again = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_grant g;
    size_t len;

    (void)state;
    assert_int_equal(xeno_requirement_parse(text, strlen(text), &req, &err), 0);
    assert_string_equal(req->name, "my web 1.0");
    assert_string_equal(req->template_ref, "template://debian-apache:latest");
    assert_int_equal(req->overlay_count, 2);
    assert_string_equal(req->overlays[0], "overlay://site/v1");
    assert_int_equal(req->addresses, 0);
    assert_int_equal(req->port_count, 2);
    assert_int_equal(req->ports[0].port, 80);
    assert_int_equal(req->ports[0].proto, XENO_PROTO_TCP);
    assert_int_equal(req->ports[1].host_port, 5353);
    assert_int_equal(req->ports[1].proto, XENO_PROTO_UDP);
    assert_int_equal(req->cpu_burst_ms, 20);
    assert_int_equal(req->memory_bytes, 64 << 20);
    assert_int_equal(req->lifetime_s, 60);
    assert_int_equal(req->max_per_hour, 250000);
    assert_true(req->max_total == INT64_C(1000000000000000));
    assert_int_equal(req->tasks, 2);

    canonical = xeno_requirement_format(req, &len);
    assert_int_equal(xeno_requirement_parse(canonical, len, &back, &err), 0);
    assert_true(xeno_requirement_equal(req, back));
    again = xeno_requirement_format(back, &len);
    assert_string_equal(canonical, again);

    xeno_requirement_grant(req, &g);
    assert_int_equal(g.pids, 10);
    assert_int_equal(g.ports[1].host_port, 5353);
    assert_string_equal(g.address, "");
}

static void defaults(void **state)
{
    static const char text[] = "<EnvironmentalRequirements><Basic><EnvName>a</EnvName>"
                               "<EnvType>Linux</EnvType></Basic></EnvironmentalRequirements>";
    xeno_auto(xeno_requirement) req = NULL;
    xeno_auto(xeno_requirement) made = xeno_requirement_new("a");
    xeno_auto(xeno_requirement) odd = xeno_requirement_new("  \xc3\xa9t\xc3\xa9/x");
    xeno_auto(xeno_requirement) none = xeno_requirement_new("//");

    (void)state;
    assert_int_equal(xeno_requirement_parse(text, strlen(text), &req, NULL), 0);
    assert_int_equal(req->cpu_msps, 100);
    assert_int_equal(req->cpu_burst_ms, 10);
    assert_int_equal(req->memory_bytes, 128 << 20);
    assert_int_equal(req->disk_bytes, 256 << 20);
    assert_int_equal(req->net_kbps, 10000);
    assert_int_equal(req->lifetime_s, 3600);
    assert_int_equal(req->pids, 256);
    assert_int_equal(req->max_total, 0);
    assert_true(xeno_requirement_equal(req, made));
    assert_string_equal(odd->name, "t---x");
    assert_string_equal(none->name, "session");
}

#define HEAD   "<EnvironmentalRequirements><Basic><EnvName>a</EnvName><EnvType>Linux</EnvType>"
#define BASIC  HEAD "</Basic>"
#define TAIL   "</EnvironmentalRequirements>"
#define QOS(x) BASIC "<QoS>" x "</QoS>" TAIL
#define NET(x) BASIC "<Network>" x "</Network>" TAIL
#define LIM(x) BASIC "<Limits>" x "</Limits>" TAIL
#define LONG64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Each error names the element (first word) and the limit (second). */
static const struct {
    const char *text, *token, *element, *limit;
} bad[] = {
    { QOS("<CPUmsps>0</CPUmsps>"), "xml.schema", "CPUmsps", "1 to 1000000" },
    { QOS("<CPUmsps>-1</CPUmsps>"), "xml.schema", "CPUmsps", "1 to 1000000" },
    { QOS("<CPUmsps>1000001</CPUmsps>"), "xml.schema", "CPUmsps", "1 to 1000000" },
    { QOS("<CPUmsps>9223372036854775808</CPUmsps>"), "xml.schema", "CPUmsps", "1000000" },
    { QOS("<CPUmsps>18446744073709551617</CPUmsps>"), "xml.schema", "CPUmsps", "1000000" },
    { QOS("<CPUmsps>99999999999999999999999999999999999999999</CPUmsps>"), "xml.schema", "CPUmsps",
      "1000000" },
    { QOS("<CPUmsps>1.5</CPUmsps>"), "xml.schema", "CPUmsps", "whole number" },
    { QOS("<CPUmsps>1e3</CPUmsps>"), "xml.schema", "CPUmsps", "whole number" },
    { QOS("<CPUmsps></CPUmsps>"), "xml.schema", "CPUmsps", "1 to 1000000" },
    { QOS("<CPUmsps>all</CPUmsps>"), "xml.schema", "CPUmsps", "1 to 1000000" },
    { QOS("<CPUmsps>1</CPUmsps><CPUmsps>1</CPUmsps>"), "xml.schema", "CPUmsps", "at most once" },
    { QOS("<NetMbps>1</NetMbps><CPUmsps>1</CPUmsps>"), "xml.schema", "CPUmsps",
      "Expected is one of ( MemoryMB, DiskMB )" },
    { QOS("<CPUmsps>100</CPUmsps><CPUBurstMs>11</CPUBurstMs>"), "spec.burst", "CPUBurstMs",
      "than 10" },
    { QOS("<CPUBurstMs>-1</CPUBurstMs>"), "xml.schema", "CPUBurstMs", "0 to 100000" },
    { QOS("<NetMbps>0</NetMbps>"), "xml.schema", "NetMbps", "1 to 400000" },
    { QOS("<NetMbps>400001</NetMbps>"), "xml.schema", "NetMbps", "1 to 400000" },
    { QOS("<MemoryMB>3</MemoryMB>"), "xml.schema", "MemoryMB", "4 to 16777216" },
    { QOS("<MemoryMB>16777217</MemoryMB>"), "xml.schema", "MemoryMB", "4 to 16777216" },
    { QOS("<DiskMB>0</DiskMB>"), "xml.schema", "DiskMB", "4 to 16777216" },
    { QOS("<GPUs>1</GPUs>"), "xml.schema", "GPUs", "Expected is one of" },
    { NET("<EnvIPAddresses>2</EnvIPAddresses>"), "xml.schema", "EnvIPAddresses", "0 (behind" },
    { NET("<EnvIPAddresses>-1</EnvIPAddresses>"), "xml.schema", "EnvIPAddresses", "or 1" },
    { NET("<Port port='0'/>"), "xml.schema", "Port@port", "1 to 65535" },
    { NET("<Port port='65536'/>"), "xml.schema", "Port@port", "1 to 65535" },
    { NET("<Port/>"), "xml.schema", "Port", "'port' is required" },
    { NET("<Port port='1' hostPort='0'/>"), "xml.schema", "Port@hostPort", "1 to 65535" },
    { NET("<Port port='1' protocol='sctp'/>"), "xml.schema", "Port@protocol", "tcp or udp" },
    { NET("<Port port='1' other='1'/>"), "xml.schema", "Port@other", "not allowed" },
    { NET("<Port port='1'/><Port port='1'/>"), "spec.port", "Port", "twice" },
    { NET("<Port port='1' hostPort='9'/><Port port='2' hostPort='9'/>"), "spec.port", "Port",
      "twice" },
    { NET("<Port port='1'/><EnvIPAddresses>1</EnvIPAddresses>"), "xml.schema", "EnvIPAddresses",
      "before any Port" },
    { LIM("<LifetimeSeconds>0</LifetimeSeconds>"), "xml.schema", "LifetimeSeconds", "34560000" },
    { LIM("<LifetimeSeconds>34560001</LifetimeSeconds>"), "xml.schema", "LifetimeSeconds",
      "34560000" },
    { LIM("<MaxPricePerHour>0</MaxPricePerHour>"), "xml.schema", "MaxPricePerHour", "above 0" },
    { LIM("<MaxPricePerHour>0.0000001</MaxPricePerHour>"), "xml.schema", "MaxPricePerHour",
      "6 decimals" },
    { LIM("<MaxTotal>1000000000.000001</MaxTotal>"), "xml.schema", "MaxTotal", "1000000000" },
    { LIM("<MaxTotal>9223372036854775808</MaxTotal>"), "xml.schema", "MaxTotal", "1000000000" },
    { LIM("<MaxTotal>-1</MaxTotal>"), "xml.schema", "MaxTotal", "above 0" },
    { LIM("<MaxTotal>1e2</MaxTotal>"), "xml.schema", "MaxTotal", "credits" },
    { LIM("<MaxTasks>33</MaxTasks>"), "xml.schema", "MaxTasks", "1 to 32" },
    { LIM("<MaxProcesses>65537</MaxProcesses>"), "xml.schema", "MaxProcesses", "1 to 65536" },
    { LIM("<MaxProcesses>0</MaxProcesses>"), "xml.schema", "MaxProcesses", "1 to 65536" },
    { BASIC "<Limits/><QoS/>" TAIL, "xml.schema", "QoS", "not expected" },
    { BASIC "<Extra/>" TAIL, "xml.schema", "Extra", "Expected is one of ( Network, QoS, Limits )" },
    { BASIC "</EnvironmentalRequirements><x/>", "xml.syntax", "", "line 1" },
    { "<EnvironmentalRequirements/>", "xml.schema", "EnvironmentalRequirements", "Basic" },
    { "<EnvironmentalRequirements><Basic><EnvName>a</EnvName></Basic>" TAIL, "xml.schema", "Basic",
      "EnvType" },
    { "<EnvironmentalRequirements><Basic><EnvName></EnvName><EnvType>L</EnvType></Basic>" TAIL,
      "xml.schema", "EnvName", "1 to 63" },
    { "<EnvironmentalRequirements><Basic><EnvName>" LONG64
      "</EnvName><EnvType>L</EnvType></Basic>" TAIL,
      "xml.schema", "EnvName", "1 to 63" },
    { "<EnvironmentalRequirements><Basic><EnvName>../x</EnvName><EnvType>L</EnvType></Basic>" TAIL,
      "xml.schema", "EnvName", "1 to 63" },
    { HEAD "<EnvKernel>latest</EnvKernel></Basic>" TAIL, "xml.schema", "EnvKernel", "2.4.18" },
    { HEAD "<EnvTemplate>/etc</EnvTemplate></Basic>" TAIL, "xml.schema", "EnvTemplate",
      "template://NAME" },
    { HEAD "<EnvTemplate>sha256:0</EnvTemplate></Basic>" TAIL, "xml.schema", "EnvTemplate",
      "DIGEST" },
    { HEAD "<EnvOverlay>template://a</EnvOverlay></Basic>" TAIL, "xml.schema", "EnvOverlay",
      "overlay://NAME" },
    { HEAD "<EnvTemplate>oci://host</EnvTemplate></Basic>" TAIL, "xml.schema", "EnvTemplate",
      "oci://HOST" },
    { HEAD "<EnvTemplate>oci:///repo</EnvTemplate></Basic>" TAIL, "xml.schema", "EnvTemplate",
      "REPOSITORY" },
    { HEAD "<EnvTemplate>oci://user@host/repo</EnvTemplate></Basic>" TAIL, "xml.schema",
      "EnvTemplate", "REPOSITORY" },
    { HEAD "<EnvOverlay>oci://host/repo@sha256:12</EnvOverlay></Basic>" TAIL, "xml.schema",
      "EnvOverlay", "DIGEST" },
    { HEAD "<EnvOverlay>https://host/repo</EnvOverlay></Basic>" TAIL, "xml.schema", "EnvOverlay",
      "oci://HOST" },
    { DECL "<!DOCTYPE x [<!ENTITY a 'b'>]>" BASIC TAIL, "xml.dtd", "DOCTYPE", "line 2" },
    { "<?xml version='1.0' encoding='ISO-8859-1'?>" BASIC TAIL, "xml.encoding", "ISO-8859-1",
      "UTF-8" },
    { "<EnvironmentalRequirements><Basic><EnvName>\xe9</EnvName>", "xml.encoding", "", "UTF-8" },
};

static void bad_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        struct xeno_requirement *req = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_requirement_parse(bad[i].text, strlen(bad[i].text), &req, &err);

        print_message("%s\n", err.text);
        assert_int_equal(r, -EINVAL);
        assert_string_equal(err.token, bad[i].token);
        assert_non_null(strstr(err.text, bad[i].element));
        assert_non_null(strstr(err.text, bad[i].limit));
        assert_null(req);
    }
}

#define DIGEST_ "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Names of images that the XenoServer is to fetch, up to the longest there can be. */
static void images_elsewhere(void **state)
{
    struct {
        const char *host, *rest;
        size_t repo; /* its length */
        int want;
    } rows[] = {
        { "registry.example.org", "", 7, 0 },
        { "localhost:5000", ":1.2", 40, 0 },
        { "[::1]:5000", "@" DIGEST_, 3, 0 },
        { "store.example:8445", ":12-current@" DIGEST_, XENO_IMAGE_REF_TEXT - 1 - 6 - 19 - 83, 0 },
        { "store.example:8445", ":12-current@" DIGEST_, XENO_IMAGE_REF_TEXT - 6 - 19 - 83,
          -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *repo = xeno_alloc0(1, rows[i].repo + 1), *name = NULL, *text = NULL;
        xeno_auto(xeno_requirement) req = NULL;
        xeno_auto(xeno_requirement) back = NULL;
        xeno_autofree char *canonical = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        size_t len;

        memset(repo, 'r', rows[i].repo);
        name = xeno_asprintf("oci://%s/%s%s", rows[i].host, repo, rows[i].rest);
        text = xeno_asprintf(HEAD "<EnvTemplate>%s</EnvTemplate><EnvOverlay>%s</EnvOverlay>"
                                  "</Basic>" TAIL,
                             name, name);
        assert_int_equal(xeno_requirement_parse(text, strlen(text), &req, &err), rows[i].want);
        if (rows[i].want < 0)
            continue;
        assert_string_equal(req->template_ref, name);
        assert_string_equal(req->overlays[0], name);
        canonical = xeno_requirement_format(req, &len);
        assert_int_equal(xeno_requirement_parse(canonical, len, &back, &err), 0);
        assert_true(xeno_requirement_equal(req, back));
    }
}

static void add_ports(struct xeno_buf *b, int count)
{
    xeno_buf_puts(b, BASIC "<Network>");
    for (int i = 1; i <= count; i++)
        xeno_buf_printf(b, "<Port port=\"%d\"/>", i);
    xeno_buf_puts(b, "</Network>" TAIL);
}

static void ports_are_counted(void **state)
{
    xeno_autobuf fits = XENO_BUF_INIT;
    xeno_autobuf many = XENO_BUF_INIT;
    xeno_auto(xeno_requirement) req = NULL;
    struct xeno_requirement *none = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    add_ports(&fits, 64);
    add_ports(&many, 65);
    assert_int_equal(xeno_requirement_parse(fits.data, fits.len, &req, &err), 0);
    assert_int_equal(req->port_count, 64);
    assert_int_equal(xeno_requirement_parse(many.data, many.len, &none, &err), -EINVAL);
    print_message("%s\n", err.text);
    assert_non_null(strstr(err.text, "Port: at most 64"));
}

/* 10 MB are refused before a byte is read. */
static void size_is_bounded(void **state)
{
    size_t len = 10 << 20;
    xeno_autofree char *text = xeno_try_alloc(len);
    struct xeno_requirement *req = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    memset(text, ' ', len);
    memcpy(text, BASIC TAIL, strlen(BASIC TAIL));
    assert_int_equal(xeno_requirement_parse(text, len, &req, &err), -EFBIG);
    assert_string_equal(err.token, "xml.size");
    assert_non_null(strstr(err.text, "65536"));
    assert_null(req);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_papers_example), cmocka_unit_test(everything_at_once),
        cmocka_unit_test(defaults),           cmocka_unit_test(bad_documents),
        cmocka_unit_test(images_elsewhere),   cmocka_unit_test(ports_are_counted),
        cmocka_unit_test(size_is_bounded),
    };
    return cmocka_run_group_tests_name("requirement", tests, NULL, NULL);
}
