/* src/spec/service-doc.c - the service document to a struct, and to the tasks of a replica. */
#include "spec/service-doc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "spec/schema.h"

#define NAME_CHARS 32

static void free_parameter(struct xeno_service_parameter *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->values[i]);
    free(p->values);
    free(p->name);
}

void xeno_service_free(struct xeno_service *s)
{
    if (!s)
        return;
    xeno_requirement_free(s->req);
    for (size_t i = 0; i < s->task_count; i++)
        xeno_task_doc_free(s->tasks[i]);
    free(s->tasks);
    for (size_t i = 0; i < s->parameter_count; i++)
        free_parameter(&s->parameters[i]);
    free(s->parameters);
    free(s);
}

/* --- substitution --- */

static const char *const built_in[] = { "replica", "replicas", "server", "address", "port" };

static bool is_built_in(const char *name)
{
    for (size_t i = 0; i < XENO_LEN(built_in); i++)
        if (strcmp(built_in[i], name) == 0)
            return true;
    return false;
}

static const struct xeno_service_parameter *find(const struct xeno_service *s, const char *name)
{
    for (size_t i = 0; i < s->parameter_count; i++)
        if (strcmp(s->parameters[i].name, name) == 0)
            return &s->parameters[i];
    return NULL;
}

/* *ret: the value, the caller's. */
static int value_of(const struct xeno_service *s, const char *name, const struct xeno_replica *re,
                    char **ret, struct xeno_err *err)
{
    const struct xeno_service_parameter *p = find(s, name);

    if (p && p->count > 1 && re->number > p->count)
        return xeno_fail(err, -EINVAL, "spec.parameter",
                         "Parameter %s has %zu values, none for replica %u", name, p->count,
                         re->number);
    if (p)
        *ret = xeno_strdup(p->values[p->count == 1 ? 0 : re->number - 1]);
    else if (strcmp(name, "replica") == 0)
        *ret = xeno_asprintf("%u", re->number);
    else if (strcmp(name, "replicas") == 0)
        *ret = xeno_asprintf("%u", re->count);
    else if (strcmp(name, "server") == 0)
        *ret = xeno_strdup(re->server);
    else if (strcmp(name, "address") == 0)
        *ret = xeno_strdup(re->address);
    else if (strcmp(name, "port") == 0 && s->req->port_count > 0)
        *ret = xeno_asprintf("%u", re->port);
    else if (strcmp(name, "port") == 0)
        return xeno_fail(err, -EINVAL, "spec.parameter",
                         "${port}: the requirement publishes no Port");
    else
        return xeno_fail(err, -EINVAL, "spec.parameter",
                         "${%s}: there is no Parameter of that name, nor is it one of replica, "
                         "replicas, server, address and port; $${ is ${ itself",
                         name);
    return 0;
}

/* The name that stands at `at`, behind "${"; *ret_end is behind its "}". */
static int read_name(const char *at, char name[NAME_CHARS + 1], const char **ret_end,
                     struct xeno_err *err)
{
    size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789_-");

    if (len < 1 || len > NAME_CHARS || at[len] != '}')
        return xeno_fail(err, -EINVAL, "spec.parameter",
                         "'${%.20s': a name of 1 to %d lower-case letters, digits, _ and - must "
                         "follow, and a }; $${ is ${ itself",
                         at, NAME_CHARS);
    memcpy(name, at, len);
    name[len] = '\0';
    *ret_end = at + len + 1;
    return 0;
}

static int put_value(const struct xeno_service *s, const char **at, const struct xeno_replica *re,
                     struct xeno_buf *b, struct xeno_err *err)
{
    xeno_autofree char *value = NULL;
    char name[NAME_CHARS + 1];
    int r = read_name(*at + 2, name, at, err);

    if (r == 0)
        r = value_of(s, name, re, &value, err);
    if (r == 0)
        xeno_buf_puts(b, value); /* what is too much is found by expand() */
    return r;
}

static int expand(const struct xeno_service *s, const char *text, const struct xeno_replica *re,
                  char **ret, struct xeno_err *err)
{
    xeno_autobuf b = XENO_BUF_INIT;
    int r = 0;

    while (r == 0 && *text && b.len <= XENO_TASK_DOC_ARG_BYTES) {
        if (strncmp(text, "$${", 3) == 0) {
            xeno_buf_puts(&b, "${");
            text += 3;
        } else if (strncmp(text, "${", 2) == 0)
            r = put_value(s, &text, re, &b, err);
        else
            xeno_buf_add(&b, text++, 1);
    }
    if (r == 0 && b.len > XENO_TASK_DOC_ARG_BYTES)
        r = xeno_fail(err, -EINVAL, "spec.parameter",
                      "with its values it is more than the %d bytes of an argument",
                      XENO_TASK_DOC_ARG_BYTES);
    if (r == 0)
        *ret = xeno_buf_take(&b, NULL);
    return r;
}

static int expand_list(const struct xeno_service *s, char *const *from, size_t n,
                       const struct xeno_replica *re, char ***ret, size_t *ret_count,
                       struct xeno_err *err)
{
    *ret = xeno_new0_n(char *, n + 1);
    for (*ret_count = 0; *ret_count < n; ++*ret_count) {
        int r = expand(s, from[*ret_count], re, &(*ret)[*ret_count], err);

        if (r < 0)
            return r;
    }
    return 0;
}

int xeno_service_task(const struct xeno_service *s, size_t i, const struct xeno_replica *replica,
                      struct xeno_task_doc **ret, struct xeno_err *err)
{
    const struct xeno_task_doc *as = s->tasks[i];
    xeno_auto(xeno_task_doc) t = xeno_new0(struct xeno_task_doc);
    xeno_auto(xeno_task_doc) checked = NULL;
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    t->name = xeno_strdup(as->name);
    t->cwd = xeno_strdup(as->cwd);
    t->user = xeno_strdup(as->user);
    t->terminal = as->terminal;
    r = expand_list(s, as->argv, as->argc, replica, &t->argv, &t->argc, err);
    if (r == 0)
        r = expand_list(s, as->env, as->env_count, replica, &t->env, &t->env_count, err);
    if (r == 0) {
        /* The schema is the one judge of a document, here as there. */
        text = xeno_task_doc_format(t, &len);
        r = xeno_task_doc_parse(text, len, &checked, err);
    }
    if (r < 0)
        return xeno_context(err, r, "task %zu of replica %u", i + 1, replica->number);
    *ret = xeno_take(&checked);
    return 0;
}

int xeno_service_requirement(const struct xeno_service *s, unsigned number,
                             struct xeno_requirement **ret, struct xeno_err *err)
{
    struct xeno_requirement *req = xeno_memdup(s->req, sizeof *req);
    int n = snprintf(req->name, sizeof req->name, "%s-%u", s->req->name, number);

    if (n < 0 || (size_t)n >= sizeof req->name) {
        xeno_requirement_free(req);
        return xeno_fail(err, -EINVAL, "spec.service",
                         "EnvName: with -%u at its end it has more than %d characters", number,
                         XENO_ENV_NAME_TEXT - 1);
    }
    *ret = req;
    return 0;
}

/* --- reading --- */

static int read_parameter(const struct xeno_xml_node *n, struct xeno_service *s,
                          struct xeno_err *err)
{
    struct xeno_service_parameter p = { .name = xeno_xml_attr(n, "name") };

    p.values = xeno_new0_n(char *, XENO_REPLICAS_MAX + 1);
    for (const struct xeno_xml_node *v = xeno_xml_child(n, "Value"); v;
         v = xeno_xml_next(v, "Value"))
        p.values[p.count++] = xeno_xml_text(v);
    if (is_built_in(p.name) || find(s, p.name)) {
        xeno_fail(err, -EINVAL, "spec.parameter", "line %d: Parameter: the name %s is taken",
                  xeno_xml_line(n), p.name);
        free_parameter(&p);
        return -EINVAL;
    }
    s->parameters[s->parameter_count++] = p;
    return 0;
}

static int read_task(const struct xeno_xml_node *n, struct xeno_service *s, struct xeno_err *err)
{
    struct xeno_task_doc *t;
    int r = xeno_task_doc_from(n, &t, err);

    if (r < 0)
        return r;
    s->tasks[s->task_count++] = t;
    for (size_t i = 0; t->name && i + 1 < s->task_count; i++)
        if (s->tasks[i]->name && strcmp(s->tasks[i]->name, t->name) == 0)
            return xeno_fail(err, -EINVAL, "spec.service", "line %d: Task: %s is there twice",
                             xeno_xml_line(n), t->name);
    if ((int64_t)s->task_count > s->req->tasks)
        return xeno_fail(err, -EINVAL, "spec.service",
                         "line %d: Task: there are more of them than MaxTasks (%" PRId64 ") allows",
                         xeno_xml_line(n), s->req->tasks);
    return 0;
}

/* Every name that is used is known, whatever there will be of replicas. */
static int check_names(const struct xeno_service *s, struct xeno_err *err)
{
    const struct xeno_replica any = {
        .number = 1, .count = 1, .server = "x", .address = "0.0.0.0", .port = 1
    };

    for (size_t i = 0; i < s->task_count; i++) {
        xeno_auto(xeno_task_doc) t = NULL;
        int r = xeno_service_task(s, i, &any, &t, err);

        if (r < 0)
            return r;
    }
    return 0;
}

static int read_service(const struct xeno_xml_node *root, struct xeno_service *s,
                        struct xeno_err *err)
{
    const struct xeno_xml_node *n;
    int r = 0;

    s->parameters = xeno_new0_n(struct xeno_service_parameter, XENO_SERVICE_PARAMETERS);
    s->tasks = xeno_new0_n(struct xeno_task_doc *, XENO_SERVICE_TASKS);
    for (n = xeno_xml_child(root, "Parameter"); r == 0 && n; n = xeno_xml_next(n, "Parameter"))
        r = read_parameter(n, s, err);
    if (r == 0)
        r = xeno_requirement_from(xeno_xml_child(root, "EnvironmentalRequirements"), &s->req, err);
    for (n = xeno_xml_child(root, "Task"); r == 0 && n; n = xeno_xml_next(n, "Task"))
        r = read_task(n, s, err);
    return r < 0 ? r : check_names(s, err);
}

int xeno_service_parse(const char *text, size_t len, struct xeno_service **ret,
                       struct xeno_err *err)
{
    xeno_auto(xeno_xml) x = NULL;
    xeno_auto(xeno_service) s = NULL;
    const struct xeno_xml_node *root;
    int r = xeno_xml_parse(text, len, XENO_SERVICE_MAX_BYTES, xeno_schema_service(), &x, err);

    if (r < 0)
        return r;
    root = xeno_xml_root(x);
    /* The schemas it includes have roots of their own, which are no services. */
    if (strcmp(xeno_xml_name(root), "Service") != 0)
        return xeno_fail(err, -EINVAL, "spec.service",
                         "line %d: the root element is %s, not Service; only that is deployed on "
                         "several XenoServers",
                         xeno_xml_line(root), xeno_xml_name(root));
    s = xeno_new0(struct xeno_service);
    r = read_service(root, s, err);
    if (r == 0)
        *ret = xeno_take(&s);
    return r;
}
