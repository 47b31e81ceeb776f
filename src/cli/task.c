/* src/cli/task.c - a task document from options, and deployed. */
#include "cli/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api.h"
#include "cli/fetching.h"
#include "cli/guard.h"
#include "cli/make.h"
#include "cli/out.h"

static char **copy_words(char *const *words, size_t n)
{
    char **copy = xeno_new0_n(char *, n + 1);

    for (size_t i = 0; i < n; i++)
        copy[i] = xeno_strdup(words[i]);
    return copy;
}

/* NAME alone takes our own value, as env(1) users expect of containers. */
static int add_env(const struct cli_args *args, struct xeno_task_doc *t, struct xeno_err *err)
{
    const char *const *list;
    size_t n;

    list = cli_values(args, "env", &n);
    if (n > XENO_TASK_DOC_ARGS)
        return cli_usage(err, "--env: more than %d", XENO_TASK_DOC_ARGS);
    t->env = xeno_new0_n(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *own = getenv(list[i]);

        if (!*list[i] || *list[i] == '=')
            return cli_usage(err, "--env: '%s' is not NAME=VALUE", list[i]);
        if (strchr(list[i], '='))
            t->env[t->env_count++] = xeno_strdup(list[i]);
        else if (own)
            t->env[t->env_count++] = xeno_asprintf("%s=%s", list[i], own);
    }
    return 0;
}

int cli_task_doc(const struct cli_args *args, char **argv, int argc, struct xeno_task_doc **ret,
                 struct xeno_err *err)
{
    xeno_auto(xeno_task_doc) t = xeno_new0(struct xeno_task_doc);
    xeno_auto(xeno_task_doc) checked = NULL;
    xeno_autofree char *text = NULL;
    const char *term = getenv("TERM");
    size_t len;
    int r;

    if (argc < 1 || !*argv[0])
        return cli_usage(err, "which command shall run? Put it at the end: -- COMMAND");
    if (argc > XENO_TASK_DOC_ARGS)
        return cli_usage(err, "a command has at most %d words", XENO_TASK_DOC_ARGS);
    xeno_spec_init();
    t->argv = copy_words(argv, (size_t)argc);
    t->argc = (size_t)argc;
    t->name = xeno_strdup(cli_value(args, "task"));
    t->cwd = xeno_strdup(cli_value(args, "workdir"));
    t->user = xeno_strdup(cli_value(args, "user"));
    t->terminal = cli_flag(args, "terminal");
    r = add_env(args, t, err);
    if (r < 0)
        return r;
    if (t->terminal && term && !cli_flag(args, "env")) {
        t->env = xeno_grow(t->env, t->env_count + 2);
        t->env[t->env_count++] = xeno_asprintf("TERM=%s", term);
        t->env[t->env_count] = NULL;
    }
    /* The schema is the one judge of a document, here as there. */
    text = xeno_task_doc_format(t, &len);
    r = xeno_task_doc_parse(text, len, &checked, err);
    if (r == 0)
        *ret = xeno_take(&t);
    return r;
}

struct cli_ask cli_task_ask(const struct cli_found *f, const char *path, const char *text)
{
    return (struct cli_ask){ .method = "POST",
                             .base = f->server.url,
                             .server_id = f->server.id,
                             .path = path,
                             .text = text,
                             .type = "application/xml",
                             .spends = true };
}

int cli_task_take(const struct cli_found *f, const struct xeno_json *answer, char **ret_name,
                  struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(answer);
    const char *name;
    int r = xeno_json_str(&top, "task", 1, 64, &name, err);

    if (r == 0 && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
        r = xeno_fail(err, -EPROTO, "task.name", "%s answered with something that is no task",
                      f->server.name);
    if (r == 0)
        *ret_name = xeno_strdup(name);
    return r;
}

int cli_task_deploy(struct cli *cli, struct cli_found *f, const struct xeno_task_doc *doc,
                    char **ret_name, struct xeno_err *err)
{
    xeno_auto(xeno_json) answer = NULL;
    xeno_autofree char *path = xeno_asprintf(CLI_TASKS_PATH, f->session);
    xeno_autofree char *text = xeno_task_doc_format(doc, NULL);
    struct cli_ask ask = cli_task_ask(f, path, text);
    int r = cli_ask(cli, &ask, &answer, err);

    return r < 0 ? r : cli_task_take(f, answer, ret_name, err);
}

static struct xeno_json_at task_of(const struct cli_found *f, const char *task)
{
    struct xeno_json_at top = xeno_json_top(f->object), list, none = { .j = NULL };
    size_t n;

    list = cli_list(&top, "tasks", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at t = xeno_json_item(&list, i);

        if (strcmp(cli_str(&t, "task"), task) == 0)
            return t;
    }
    return none;
}

int cli_task_started(const struct cli_found *f, const char *task, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(f->object), t = task_of(f, task);
    const char *session = cli_str(&top, "state"), *state = cli_str(&t, "state");
    const char *why = cli_str(&top, "reason");

    if (strcmp(state, "failed") == 0)
        return xeno_fail(err, -ECANCELED, "task.failed", "the command could not be started: %s",
                         *cli_str(&t, "reason") ? cli_str(&t, "reason") : "no reason was given");
    if (strcmp(state, "running") == 0 || strcmp(state, "exited") == 0)
        return 1;
    if (strcmp(session, "ended") == 0 || strcmp(session, "ending") == 0 ||
        strcmp(session, "suspended") == 0)
        return xeno_fail(err, -ECANCELED, "session.ended",
                         "session %s %s before the command ran%s%s", f->session, session,
                         *why ? ": " : "", why);
    return 0;
}

int cli_task_wait_start(struct cli *cli, struct cli_found *f, const char *task,
                        struct cli_progress *p, struct xeno_err *err)
{
    struct cli_patience patience = cli_patience_for(cli, xeno_s(CLI_START_WAIT_S));
    int64_t pause_ms = 5;

    for (;;) {
        int r = cli_found_refresh(cli, f, err);

        if (r == 0)
            r = cli_task_started(f, task, err);
        if (r != 0)
            return r < 0 ? r : 0;
        r = cli_guard_check(err);
        if (r < 0)
            return r;
        cli_fetching_show(p, f->object);
        if (cli_patience_over(&patience, cli, f->object))
            return xeno_fail(err, -ETIMEDOUT, "session.wait",
                             "the command has not started after %d s; the session goes on: xeno "
                             "session show %s",
                             CLI_START_WAIT_S, f->session);
        cli_wait(cli, xeno_ms(pause_ms));
        pause_ms = pause_ms < 200 ? pause_ms * 2 : 200;
    }
}

static bool says(const struct xeno_err *err, const char *words)
{
    return strcasestr(err->text, words) != NULL;
}

/* The runtime says it in words only: crun and runc word it alike. */
int cli_start_status(const struct xeno_err *err)
{
    if (strncmp(err->token, "task.", 5) != 0 && strncmp(err->token, "exec.", 5) != 0 &&
        strncmp(err->token, "oci.", 4) != 0)
        return CLI_RUN_FAILED;
    if (says(err, "not found") || says(err, "no such file"))
        return CLI_RUN_MISSING;
    if (says(err, "permission denied") || says(err, "not permitted") ||
        says(err, "is a directory") || says(err, "exec format error"))
        return CLI_RUN_CANNOT;
    return CLI_RUN_FAILED;
}
