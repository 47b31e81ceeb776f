/* src/spec/task-doc.c - the task document to a struct and back. */
#include "spec/task-doc.h"

#include <errno.h>
#include <string.h>

#include "spec/schema.h"

static void free_list(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

void xeno_task_doc_free(struct xeno_task_doc *t)
{
    if (!t)
        return;
    free(t->name);
    free_list(t->argv);
    free_list(t->env);
    free(t->cwd);
    free(t->user);
    free(t);
}

/* --- reading --- */

static char *token_of(const struct xeno_xml_node *parent, const char *name)
{
    const struct xeno_xml_node *n = xeno_xml_child(parent, name);

    return n ? xeno_xml_token(n) : NULL;
}

/* The schema counts characters; the kernel and the task protocol count bytes. */
static int check_bytes(const struct xeno_xml_node *n, const char *text, const char *token,
                       struct xeno_err *err)
{
    if (strlen(text) > XENO_TASK_DOC_ARG_BYTES)
        return xeno_fail(err, -EINVAL, token, "line %d: %s: %zu bytes are more than %d",
                         xeno_xml_line(n), xeno_xml_name(n), strlen(text), XENO_TASK_DOC_ARG_BYTES);
    return 0;
}

static int read_command(const struct xeno_xml_node *command, struct xeno_task_doc *t,
                        struct xeno_err *err)
{
    const struct xeno_xml_node *n = xeno_xml_child(command, "Argument");

    t->argv = xeno_new0_n(char *, XENO_TASK_DOC_ARGS + 1);
    for (; n; n = xeno_xml_next(n, "Argument")) {
        int r;

        t->argv[t->argc] = xeno_xml_text(n);
        r = check_bytes(n, t->argv[t->argc++], "spec.argument", err);
        if (r < 0)
            return r;
    }
    if (t->argv[0][0] == '\0')
        return xeno_fail(err, -EINVAL, "spec.argument",
                         "line %d: Argument: the first one names the program and is empty",
                         xeno_xml_line(command));
    return 0;
}

static int read_variable(const struct xeno_xml_node *n, struct xeno_task_doc *t,
                         struct xeno_err *err)
{
    xeno_autofree char *name = xeno_xml_attr(n, "name"); /* an NMTOKEN: no white space */
    xeno_autofree char *value = xeno_xml_attr(n, "value");
    size_t len;

    len = strlen(name);
    for (size_t i = 0; i < t->env_count; i++) {
        if (strncmp(t->env[i], name, len) == 0 && t->env[i][len] == '=')
            return xeno_fail(err, -EINVAL, "spec.environment",
                             "line %d: Environment: %s is set twice", xeno_xml_line(n), name);
    }
    t->env[t->env_count] = xeno_asprintf("%s=%s", name, value);
    return check_bytes(n, t->env[t->env_count++], "spec.environment", err);
}

static int read_environment(const struct xeno_xml_node *root, struct xeno_task_doc *t,
                            struct xeno_err *err)
{
    const struct xeno_xml_node *n = xeno_xml_child(root, "Environment");

    t->env = xeno_new0_n(char *, XENO_TASK_DOC_ARGS + 1);
    for (; n; n = xeno_xml_next(n, "Environment")) {
        int r = read_variable(n, t, err);

        if (r < 0)
            return r;
    }
    return 0;
}

static int read_directory(const struct xeno_xml_node *root, struct xeno_task_doc *t,
                          struct xeno_err *err)
{
    const struct xeno_xml_node *n = xeno_xml_child(root, "WorkingDirectory");

    if (!n)
        return 0;
    t->cwd = xeno_xml_text(n);
    if (strlen(t->cwd) > 1023)
        return xeno_fail(err, -EINVAL, "spec.directory",
                         "line %d: WorkingDirectory: %zu bytes are more than 1023",
                         xeno_xml_line(n), strlen(t->cwd));
    return 0;
}

int xeno_task_doc_from(const struct xeno_xml_node *root, struct xeno_task_doc **ret,
                       struct xeno_err *err)
{
    xeno_auto(xeno_task_doc) t = xeno_new0(struct xeno_task_doc);
    xeno_autofree char *terminal = token_of(root, "Terminal");
    int r;

    t->name = token_of(root, "Name");
    t->user = token_of(root, "User");
    t->terminal = terminal && (*terminal == 't' || *terminal == '1');
    r = read_command(xeno_xml_child(root, "Command"), t, err);
    if (r == 0)
        r = read_environment(root, t, err);
    if (r == 0)
        r = read_directory(root, t, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&t);
    return 0;
}

int xeno_task_doc_parse(const char *text, size_t len, struct xeno_task_doc **ret,
                        struct xeno_err *err)
{
    xeno_auto(xeno_xml) x = NULL;
    int r = xeno_xml_parse(text, len, XENO_TASK_DOC_MAX_BYTES, xeno_schema_task(), &x, err);

    return r < 0 ? r : xeno_task_doc_from(xeno_xml_root(x), ret, err);
}

/* --- writing --- */

char *xeno_task_doc_format(const struct xeno_task_doc *t, size_t *ret_len)
{
    xeno_autobuf b = XENO_BUF_INIT;

    xeno_buf_puts(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Task>\n");
    if (t->name)
        xeno_xml_put(&b, 1, "Name", t->name);
    xeno_buf_puts(&b, "  <Command>\n");
    for (size_t i = 0; i < t->argc; i++)
        xeno_xml_put(&b, 2, "Argument", t->argv[i]);
    xeno_buf_puts(&b, "  </Command>\n");
    for (size_t i = 0; i < t->env_count; i++) {
        const char *eq = strchr(t->env[i], '=');

        xeno_buf_printf(&b, "  <Environment name=\"%.*s\" value=\"", (int)(eq - t->env[i]),
                        t->env[i]);
        xeno_xml_escape(&b, eq + 1);
        xeno_buf_puts(&b, "\"/>\n");
    }
    if (t->cwd)
        xeno_xml_put(&b, 1, "WorkingDirectory", t->cwd);
    if (t->user)
        xeno_xml_put(&b, 1, "User", t->user);
    xeno_xml_put(&b, 1, "Terminal", t->terminal ? "true" : "false");
    xeno_buf_puts(&b, "</Task>\n");
    return xeno_buf_take(&b, ret_len);
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_list(char **a, char **b)
{
    for (; *a && *b; a++, b++) {
        if (strcmp(*a, *b) != 0)
            return false;
    }
    return *a == *b;
}

bool xeno_task_doc_equal(const struct xeno_task_doc *a, const struct xeno_task_doc *b)
{
    return same(a->name, b->name) && same_list(a->argv, b->argv) && same_list(a->env, b->env) &&
           same(a->cwd, b->cwd) && same(a->user, b->user) && a->terminal == b->terminal;
}
