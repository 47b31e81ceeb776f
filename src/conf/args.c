/* src/conf/args.c - the command line that every daemon has. */
#include "conf/args.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

const char *xeno_version(void)
{
    return XENO_VERSION;
}

/* One argument taken apart: "--name=value", "--name value" or "--name". */
struct arg {
    char name[64];
    const char *value; /* NULL: none given with '=' */
};

static int take_apart(const char *text, struct arg *ret, struct xeno_err *err)
{
    const char *eq;
    size_t len;

    if (strncmp(text, "--", 2) != 0 || text[2] == '\0')
        return xeno_fail(err, -EINVAL, "conf.argument",
                         "'%.80s' is not understood (--help lists all options)", text);
    eq = strchr(text, '=');
    len = eq ? (size_t)(eq - text - 2) : strlen(text + 2);
    if (len >= sizeof ret->name)
        return xeno_fail(err, -EINVAL, "conf.argument", "there is no option '%.80s'", text);
    memcpy(ret->name, text + 2, len);
    ret->name[len] = '\0';
    ret->value = eq ? eq + 1 : NULL;
    return 0;
}

/* --- what is printed --- */

static void print_help(const struct xeno_conf_program *p)
{
    printf("%s - %s\n\nusage: %s [--config FILE] [--OPTION=VALUE ...]\n\n"
           "  --config FILE          read \"option = value\" lines; arguments win over them\n"
           "  --check                say what is missing for serving, and what to do\n"
           "  --dump-config          print the configuration that would be used\n"
           "  --help, --version\n",
           p->name, p->purpose, p->name);
    for (const struct xeno_conf_verb *v = p->verbs; v && v->name; v++) {
        int n = printf("  --%s %s", v->name, v->argument ? v->argument : "");

        printf("%*s%s\n", n < 25 ? 25 - n : 1, "", v->help);
    }
    printf("\noptions:\n");
    for (size_t i = 0; i < p->count; i++) {
        const struct xeno_conf_item *it = &p->items[i];
        int n = printf("  --%s", it->name);

        printf("%*s%s%s%s%s", n < 25 ? 25 - n : 1, "", it->help, it->unit ? " (" : "",
               it->unit ? it->unit : "", it->unit ? ")" : "");
        if (it->fallback && !it->secret)
            printf(" [%s]", it->fallback);
        printf("%s\n", it->required && !it->fallback ? " (required)" : "");
    }
}

static int print_asked(const struct xeno_conf_program *p, const struct arg *a, const void *conf,
                       struct xeno_err *err)
{
    if (strcmp(a->name, "help") == 0)
        print_help(p);
    else if (strcmp(a->name, "version") == 0)
        printf("%s %s\n", p->name, xeno_version());
    else if (a->value && strcmp(a->value, "mdoc") == 0)
        xeno_conf_mdoc(p->items, p->count, stdout);
    else if (!a->value)
        xeno_conf_dump(p->items, p->count, conf, stdout);
    else
        return xeno_fail(err, -EINVAL, "conf.argument",
                         "--dump-config=%.40s: only mdoc is another form", a->value);
    return 0;
}

/* --- reading --- */

static const struct xeno_conf_verb *find_verb(const struct xeno_conf_program *p, const char *name)
{
    for (const struct xeno_conf_verb *v = p->verbs; v && v->name; v++) {
        if (strcmp(v->name, name) == 0)
            return v;
    }
    return NULL;
}

static bool is_bool(const struct xeno_conf_program *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->items[i].name, name) == 0)
            return p->items[i].type == XENO_CONF_BOOL;
    }
    return false;
}

static bool prints(const char *name)
{
    return strcmp(name, "help") == 0 || strcmp(name, "version") == 0 ||
           strcmp(name, "dump-config") == 0;
}

/* The value of an argument that needs one: after '=', or the next word. */
static int need_value(struct arg *a, int argc, char **argv, int *i, struct xeno_err *err)
{
    if (a->value)
        return 0;
    if (*i + 1 >= argc)
        return xeno_fail(err, -EINVAL, "conf.argument", "--%s needs a value", a->name);
    a->value = argv[++*i];
    return 0;
}

struct reader {
    const struct xeno_conf_program *p;
    void *conf;
    int argc;
    char **argv;
    struct xeno_conf_ask ask;
    struct arg print; /* name "": nothing */
    const char *file;
};

static int ask_for(struct reader *rd, enum xeno_conf_todo todo, const struct arg *a,
                   struct xeno_err *err)
{
    if (rd->ask.todo != XENO_CONF_RUN)
        return xeno_fail(err, -EINVAL, "conf.argument",
                         "--%s: only one thing can be done at a time", a->name);
    rd->ask.todo = todo;
    return 0;
}

static int take_verb(struct reader *rd, const struct xeno_conf_verb *v, struct arg *a, int *i,
                     struct xeno_err *err)
{
    int r = 0;

    if (v->argument)
        r = need_value(a, rd->argc, rd->argv, i, err);
    else if (a->value)
        r = xeno_fail(err, -EINVAL, "conf.argument", "--%s takes no value", a->name);
    if (r == 0)
        r = ask_for(rd, XENO_CONF_VERB, a, err);
    if (r < 0)
        return r;
    rd->ask.verb = v->name;
    rd->ask.value = a->value;
    return 0;
}

/* One option; only when `set` is it applied: the file must come first. */
static int take_option(struct reader *rd, struct arg *a, int *i, bool set, struct xeno_err *err)
{
    int r;

    if (is_bool(rd->p, a->name) && !a->value)
        a->value = "yes";
    r = need_value(a, rd->argc, rd->argv, i, err);
    if (r < 0 || !set)
        return r;
    return xeno_conf_set(rd->p->items, rd->p->count, rd->conf, a->name, a->value, err);
}

static int take_first(struct reader *rd, struct arg *a, int *i, struct xeno_err *err)
{
    const struct xeno_conf_verb *v = find_verb(rd->p, a->name);
    int r;

    if (strcmp(a->name, "config") == 0) {
        r = need_value(a, rd->argc, rd->argv, i, err);
        rd->file = a->value;
        return r;
    }
    if (strcmp(a->name, "check") == 0)
        return ask_for(rd, XENO_CONF_CHECK, a, err);
    if (prints(a->name)) {
        rd->print = *a;
        return ask_for(rd, XENO_CONF_DONE, a, err);
    }
    if (v)
        return take_verb(rd, v, a, i, err);
    return take_option(rd, a, i, false, err);
}

static int each(struct reader *rd, bool second, struct xeno_err *err)
{
    for (int i = 1; i < rd->argc; i++) {
        struct arg a;
        int r = take_apart(rd->argv[i], &a, err);
        const struct xeno_conf_verb *v;

        if (r < 0)
            return r;
        v = find_verb(rd->p, a.name);
        if (!second)
            r = take_first(rd, &a, &i, err);
        else if (strcmp(a.name, "config") == 0 || (v && v->argument))
            r = need_value(&a, rd->argc, rd->argv, &i, err);
        else if (!v && strcmp(a.name, "check") != 0 && !prints(a.name))
            r = take_option(rd, &a, &i, true, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int xeno_conf_args(const struct xeno_conf_program *p, void *conf, int argc, char **argv,
                   struct xeno_conf_ask *ret, struct xeno_err *err)
{
    struct reader rd = { .p = p, .conf = conf, .argc = argc, .argv = argv };
    int r;

    xeno_conf_defaults(p->items, p->count, conf);
    r = each(&rd, false, err);
    if (r == 0 && rd.file)
        r = xeno_conf_file(p->items, p->count, conf, rd.file, err);
    if (r == 0)
        r = each(&rd, true, err);
    if (r == 0 && rd.ask.todo == XENO_CONF_DONE)
        r = print_asked(p, &rd.print, conf, err);
    else if (r == 0 && rd.ask.todo != XENO_CONF_VERB)
        r = xeno_conf_complete(p->items, p->count, conf, err);
    if (r < 0)
        return r;
    *ret = rd.ask;
    return 0;
}

int xeno_conf_reload(const struct xeno_conf_program *p, void *conf, void *fresh, int argc,
                     char **argv, int (*check)(const void *fresh, struct xeno_err *err),
                     struct xeno_err *err)
{
    struct xeno_conf_ask ask;
    int r = xeno_conf_args(p, fresh, argc, argv, &ask, err);

    if (r == 0 && check)
        r = check(fresh, err);
    if (r == 0)
        xeno_conf_take(p->items, p->count, conf, fresh);
    xeno_conf_release(p->items, p->count, fresh);
    return r;
}

char *xeno_conf_folder(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *path = NULL;
        char *slash, *folder;

        if (strncmp(argv[i], "--config=", 9) == 0)
            path = argv[i] + 9;
        else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            path = argv[i + 1];
        if (!path)
            continue;
        folder = xeno_strdup(path);
        slash = strrchr(folder, '/');
        if (slash)
            slash[slash == folder] = '\0';
        else
            strcpy(folder, ".");
        return folder;
    }
    return NULL;
}
