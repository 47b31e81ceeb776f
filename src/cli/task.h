/* src/cli/task.h - a task document from options, deployed, and followed to its end. */
#ifndef XENO_CLI_TASK_H
#define XENO_CLI_TASK_H

#include "cli/api.h"
#include "cli/args.h"
#include "cli/find.h"
#include "cli/progress.h"
#include "spec/task-doc.h"

/* For the tables of run and deploy. */
#define CLI_TASK_OPTIONS                                                                           \
    { "env", 'e', "NAME=VALUE", "set an environment variable of the command", true, 0 },           \
        { "workdir", 'w', "DIR", "start the command in this folder", false, 0 },                   \
        { "user", 'u', "USER[:GROUP]", "run the command as this user of the session", false, 0 },  \
        { "task", 0, "NAME", "name of the task (default: t1, t2, ...)", false, 0 },                \
    {                                                                                              \
        "terminal", 't', NULL, "give it a terminal; ctrl-p ctrl-q leaves it", false, 0             \
    }

/* Errors: usage, those of spec/task-doc.h. */
int cli_task_doc(const struct cli_args *args, char **argv, int argc, struct xeno_task_doc **ret,
                 struct xeno_err *err);

/* Deploy it. Returns: its name, the caller's. */
int cli_task_deploy(struct cli *cli, struct cli_found *f, const struct xeno_task_doc *doc,
                    char **ret_name, struct xeno_err *err);

/* The same as a question and what is made of its answer; path (CLI_TASKS_PATH) and text (the task
 * document) are borrowed. */
#define CLI_TASKS_PATH "/v1/sessions/%s/tasks"
struct cli_ask cli_task_ask(const struct cli_found *f, const char *path, const char *text);
int cli_task_take(const struct cli_found *f, const struct xeno_json *answer, char **ret_name,
                  struct xeno_err *err);

/* By f->object as it is: 1 when it runs or is over, 0 when not yet. Errors: it never will: those of
 * cli_task_wait_start(). */
int cli_task_started(const struct cli_found *f, const char *task, struct xeno_err *err);

#define CLI_START_WAIT_S 180 /* unpacking a large image for the first time takes a while */

/* Wait until it runs or is over; how far the image is that it waits for is shown on `p` (NULL:
 * nowhere). f->object is fresh then.
 * Errors: -ECANCELED task.failed (why it could not be started), session.ended (with the reason). */
int cli_task_wait_start(struct cli *cli, struct cli_found *f, const char *task,
                        struct cli_progress *p, struct xeno_err *err);

struct cli_follow {
    bool terminal;  /* attach instead of following the log */
    int64_t tail;   /* lines of the log to begin with; -1: all */
    bool follow;    /* to the end of the task */
    bool forward;   /* SIGINT and SIGTERM go to the task; a second one ends us */
    bool times;     /* print the log as it stands */
    bool json;      /* an object a line: time, stream, text, and whether a line feed ended it */
    bool to_stderr; /* all output to stderr (--json) */
};
/* Its output, to stdout and stderr. *ret_code: the exit code of the task, or a value of stream.h
 * (detached, lost: not known). */
int cli_task_follow(struct cli *cli, struct cli_found *f, const char *task,
                    const struct cli_follow *how, int *ret_code, struct xeno_err *err);

/* The exit status that tells why a command was not started: 125, 126 or 127. */
int cli_start_status(const struct xeno_err *err);

#endif
