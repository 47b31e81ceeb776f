/* src/spec/schema.c - compile the schemas, and say in words what they ask for. */
#include "spec/schema.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "spec/service-doc.h"

extern const char xeno_xsd_requirements[];
extern const size_t xeno_xsd_requirements_len;
extern const char xeno_xsd_task[];
extern const size_t xeno_xsd_task_len;
extern const char xeno_xsd_service[];

#define PORT_RULE    "a whole number from 1 to 65535"
#define MB_RULE      "a whole number from 4 to 16777216 (of 2^20 bytes)"
#define CREDITS_RULE "credits above 0 and up to 1000000000, with at most 6 decimals"

static const struct xeno_xml_rule requirement_rules[] = {
    { "EnvName", "1 to 63 letters, digits, spaces or . _ - (a letter or digit first)" },
    { "EnvType", "1 to 32 letters, digits or . _ + -, for example Linux" },
    { "EnvKernel", "a release of at most 32 characters, for example 2.4.18" },
    { "EnvTemplate",
      "template://NAME of at most 143 characters, oci://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST] of at "
      "most 700, or sha256:DIGEST; at most once" },
    { "EnvOverlay",
      "overlay://NAME of at most 143 characters, oci://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST] of at "
      "most 700, or sha256:DIGEST; at most 16 of them" },
    { "EnvIPAddresses", "0 (behind address translation) or 1, before any Port" },
    { "Port", "at most 64 of them, after EnvIPAddresses" },
    { "Port@port", PORT_RULE },
    { "Port@hostPort", PORT_RULE },
    { "Port@protocol", "tcp or udp" },
    { "CPUmsps", "a whole number from 1 to 1000000 (ms of CPU per second), at most once" },
    { "CPUBurstMs", "a whole number from 0 to 100000 (ms), and at most CPUmsps / 10" },
    { "NetMbps", "a whole number from 1 to 400000 (10^6 bit/s)" },
    { "MemoryMB", MB_RULE },
    { "DiskMB", MB_RULE },
    { "LifetimeSeconds", "a whole number from 1 to 34560000" },
    { "MaxPricePerHour", CREDITS_RULE },
    { "MaxTotal", CREDITS_RULE },
    { "MaxTasks", "a whole number from 1 to 32" },
    { "MaxProcesses", "a whole number from 1 to 65536" },
    { NULL },
};

static const struct xeno_xml_rule task_rules[] = {
    { "Name", "1 to 31 lower-case letters, digits or - (a letter or digit first)" },
    { "Command", "1 to 256 Argument elements" },
    { "Argument", "text of at most 8192 bytes, at most 256 of them" },
    { "Environment", "at most 256 of them, after Command" },
    { "Environment@name", "1 to 128 letters, digits or _ (no digit first)" },
    { "Environment@value", "text of at most 8192 bytes" },
    { "WorkingDirectory", "an absolute path of at most 1023 characters" },
    { "User", "a name or number, or either with :group, each at most 32 characters" },
    { "Terminal", "true or false" },
    { "Restart", "never" },
    { NULL },
};

static const struct xeno_xml_rule service_rules[] = {
    { "Service", "any Parameter, one EnvironmentalRequirements, and 1 to 32 Task elements" },
    { "Parameter", "at most 32 of them, before EnvironmentalRequirements, each with its Values" },
    { "Parameter@name", "1 to 32 lower-case letters, digits, _ or - (a letter first)" },
    { "Value", "text of at most 1024 characters; one for all replicas, or one for each (64)" },
    { NULL },
};

static struct xeno_xml_schema *requirements, *task, *service;

static struct xeno_xml_schema *compile(const char *xsd, size_t len,
                                       const struct xeno_xml_rule *rules)
{
    struct xeno_xml_schema *s = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_xml_schema_new(xsd, len, rules, &s, &err) < 0) {
        fprintf(stderr, "a schema that was built in does not compile: %s\n", err.text);
        abort();
    }
    return s;
}

/* Put what is inside another schema where it is included; nothing is fetched, all is built in. */
static void include(struct xeno_buf *b, const char *xsd)
{
    const char *start = strchr(strstr(xsd, "<xs:schema"), '>') + 1;

    xeno_buf_add(b, start, (size_t)(strstr(start, "</xs:schema>") - start));
}

static void compile_service(void)
{
    static const struct {
        const char *line, *xsd;
    } parts[] = { { "<xs:include schemaLocation=\"requirements.xsd\"/>", xeno_xsd_requirements },
                  { "<xs:include schemaLocation=\"task.xsd\"/>", xeno_xsd_task } };
    static struct xeno_xml_rule
        rules[XENO_LEN(requirement_rules) + XENO_LEN(task_rules) + XENO_LEN(service_rules)];
    const struct xeno_xml_rule *const all[] = { requirement_rules, task_rules, service_rules };
    xeno_autobuf b = XENO_BUF_INIT;
    const char *rest = xeno_xsd_service;
    size_t n = 0;

    for (size_t i = 0; i < XENO_LEN(parts); i++) {
        const char *line = strstr(rest, parts[i].line);

        xeno_buf_add(&b, rest, (size_t)(line - rest));
        include(&b, parts[i].xsd);
        rest = line + strlen(parts[i].line);
    }
    xeno_buf_puts(&b, rest);
    for (size_t i = 0; i < XENO_LEN(all); i++)
        for (const struct xeno_xml_rule *r = all[i]; r->name; r++)
            rules[n++] = *r;
    service = compile(b.data, b.len, rules);
}

static void compile_all(void)
{
    requirements = compile(xeno_xsd_requirements, xeno_xsd_requirements_len, requirement_rules);
    task = compile(xeno_xsd_task, xeno_xsd_task_len, task_rules);
}

void xeno_spec_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, compile_all);
}

const struct xeno_xml_schema *xeno_schema_requirements(void)
{
    xeno_spec_init();
    return requirements;
}

const struct xeno_xml_schema *xeno_schema_task(void)
{
    xeno_spec_init();
    return task;
}

const struct xeno_xml_schema *xeno_schema_service(void)
{
    /* By itself: only clients read services, and daemons need not wait for it. */
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, compile_service);
    return service;
}
