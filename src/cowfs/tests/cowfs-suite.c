/* src/cowfs/tests/cowfs-suite.c - runs a table of file system cases against what is mounted.
 *
 *     cowfs-suite CASES prepare BOTTOM MIDDLE   make the layers: one folder a case
 *     cowfs-suite CASES run MOUNT               one line a case: "ok NAME" or "not NAME: why"
 *     cowfs-suite-nfs CASES run ""              the same over NFS (suite-nfs.c); "none NAME: what"
 *                                               where the protocol has no such request
 *
 * The table is a text of cases, "= NAME" and a line for each step: an operation, its arguments and
 * "-> what is wanted" (an errno's name, a text; nothing: it succeeds). The operations are the rows
 * of suite-*.c; what stands in a case's folder is in `things` below: that of it which the case
 * names, or all of it when it asks what is in ".". As root.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "suite.h"

#define ARGS_MAX 8

const char *suite_missing;

/* --- what an operation says --- */

int say(struct world *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(w->said, sizeof w->said, fmt, ap);
    va_end(ap);
    return 0;
}
int say_bytes(struct world *w, ssize_t n)
{
    if (n < 0)
        return -1;
    while (n > 0 && w->said[n - 1] == '\n')
        n--;
    w->said[n] = '\0';
    return 0;
}

/* --- what is in a case's folder --- */

static const struct thing {
    char layer; /* b: bottom, m: middle */
    const char *path;
    mode_t mode;
    uid_t uid;
    const char *text; /* of files; where links lead; what hard links are of */
} things[] = {
    { 'b', "file", S_IFREG | 0644, 0, "lower" },
    { 'b', "mine", S_IFREG | 0644, 1000, "mine" },
    { 'b', "ro", S_IFREG | 0444, 1000, "ro" },
    { 'b', "secret", S_IFREG | 0600, 0, "secret" },
    { 'b', "suid", S_IFREG | 06755, 1000, "suid" },
    { 'b', "exec", S_IFREG | 0755, 0, "exec" },
    { 'b', "link", S_IFLNK, 0, "file" },
    { 'b', "dangling", S_IFLNK, 0, "nowhere" },
    { 'b', "loop", S_IFLNK, 0, "loop" },
    { 'b', "dirlink", S_IFLNK, 0, "dir" },
    { 'b', "fifo", S_IFIFO | 0644, 0, NULL },
    { 'b', "hard1", S_IFREG | 0644, 0, "hard" },
    { 'b', "hard2", 0, 0, "hard1" },
    { 'b', "dir", S_IFDIR | 0755, 0, NULL },
    { 'b', "dir/a", S_IFREG | 0644, 0, "a" },
    { 'b', "dir/b", S_IFREG | 0644, 0, "b" },
    { 'b', "dir/sub", S_IFDIR | 0755, 0, NULL },
    { 'b', "dir/sub/deep", S_IFREG | 0644, 0, "deep" },
    { 'b', "empty", S_IFDIR | 0755, 0, NULL },
    { 'b', "sticky", S_IFDIR | 01777, 0, NULL },
    { 'b', "sticky/of1000", S_IFREG | 0644, 1000, "x" },
    { 'b', "sgid", S_IFDIR | 02777, 100, NULL },
    { 'b', "locked", S_IFDIR | 0700, 0, NULL },
    { 'b', "locked/in", S_IFREG | 0666, 0, "in" },
    { 'b', "home", S_IFDIR | 0755, 1000, NULL },
    { 'b', "home/f", S_IFREG | 0644, 1000, "home" },
    { 'b', "over", S_IFREG | 0644, 0, "bottom" },
    { 'b', "gone", S_IFREG | 0644, 0, "gone" },
    { 'b', "opq", S_IFDIR | 0755, 0, NULL },
    { 'b', "opq/old", S_IFREG | 0644, 0, "old" },
    { 'b', "merged", S_IFDIR | 0755, 0, NULL },
    { 'b', "merged/bottom", S_IFREG | 0644, 0, "bottom" },
    { 'b', "merged/both", S_IFREG | 0644, 0, "bottom" },
    { 'b', "turned", S_IFDIR | 0755, 0, NULL },
    { 'b', "turned/x", S_IFREG | 0644, 0, "x" },
    { 'm', "over", S_IFREG | 0640, 0, "middle" },
    { 'm', "gone", S_IFCHR, 0, NULL },
    { 'm', "opq", S_IFDIR | 0755, 0, NULL },
    { 'm', "opq/new", S_IFREG | 0644, 0, "new" },
    { 'm', "merged", S_IFDIR | 0755, 0, NULL },
    { 'm', "merged/middle", S_IFREG | 0644, 0, "middle" },
    { 'm', "merged/both", S_IFREG | 0644, 0, "middle" },
    { 'm', "turned", S_IFREG | 0644, 0, "file now" },
};

static int make_thing(const struct thing *t)
{
    bool link = S_ISLNK(t->mode);

    if (t->mode == 0)
        return linkat(AT_FDCWD, t->text, AT_FDCWD, t->path, 0);
    if ((link               ? symlink(t->text, t->path)
         : S_ISDIR(t->mode) ? mkdir(t->path, 0755)
         : S_ISREG(t->mode) ? write_with(t->path, O_CREAT | O_EXCL, t->text)
                            : mknod(t->path, t->mode, 0)) < 0)
        return -1;
    if (lchown(t->path, t->uid, t->uid) < 0)
        return -1;
    return link || S_ISCHR(t->mode) ? 0 : chmod(t->path, t->mode & 07777);
}

/* Does the case, of this text, name it? (Some are there for nothing.) */
static bool wanted(const char *text, const char *path)
{
    char name[32];
    size_t len = strcspn(path, "/0123456789");

    snprintf(name, sizeof name, "%.*s", (int)len, path);
    return strcmp(path, "file") == 0 || strstr(text, name) || strstr(text, " . ") ||
           strstr(text, " .\n");
}

static int make_folder(const char *layer, char which, int number, const char *text)
{
    char path[32];

    snprintf(path, sizeof path, "%03d", number);
    if (chdir(layer) < 0 || mkdir(path, 0777) < 0 || chmod(path, 0777) < 0 || chdir(path) < 0)
        return -1;
    for (size_t i = 0; i < XENO_LEN(things); i++)
        if (things[i].layer == which && wanted(text, things[i].path) &&
            make_thing(&things[i]) < 0) {
            perror(things[i].path);
            return -1;
        }
    if (which == 'm')
        return wanted(text, "opq") ? setxattr("opq", "user.overlay.opaque", "y", 1, 0) : 0;
    if (wanted(text, "x") &&
        (write_with("x", O_CREAT, "x") < 0 || setxattr("x", "user.k", "v", 1, 0) < 0))
        return -1;
    if (!wanted(text, "sparse"))
        return 0;
    return write_with("sparse", O_CREAT, "head") < 0 ? -1 : truncate("sparse", 8 << 20);
}

/* --- the table --- */

static const char *errno_name(int e)
{
    const char *s = strerrorname_np(e);

    return strcmp(s, "ENOTSUP") == 0 ? "EOPNOTSUPP" : s;
}

/* "@255": a name of so many letters. */
static char *expand(char *word)
{
    size_t len = *word == '@' ? strtoul(word + 1, NULL, 10) : 0;
    char *s;

    if (*word != '@')
        return xeno_strdup(word);
    s = xeno_alloc0(1, len + 1);
    memset(s, 'n', len);
    for (size_t i = 200; len > 255 + 1 && i < len; i += 200)
        s[i] = '/';
    return s;
}

/* Returns: NULL: there is no such operation. */
static const struct suite_op *find_op(const char *name)
{
    const struct suite_op *tables[] = { suite_contents, suite_room,  suite_locks,
                                        suite_names,    suite_attrs, suite_process };

    for (size_t i = 0; i < XENO_LEN(tables); i++)
        for (const struct suite_op *op = tables[i]; op->name; op++)
            if (strcmp(op->name, name) == 0)
                return op;
    return NULL;
}

/* Returns: false with the reason in `why`. */
static bool step(struct world *w, char *line, char *why, size_t size)
{
    char *want = strstr(line, "->"), *args[ARGS_MAX] = { NULL }, *word, *rest = NULL;
    const char *got;
    int n = -1, r = -2;
    const struct suite_op *op;

    if (want) {
        *want = '\0';
        want += 2;
        want += strspn(want, " ");
    }
    word = strtok_r(line, " ", &rest);
    op = find_op(word);
    for (char *a; n < ARGS_MAX - 1 && (a = strtok_r(NULL, " ", &rest));)
        args[++n] = expand(a);
    w->said[0] = '\0';
    errno = 0;
    if (op && n + 1 >= op->args)
        r = op->fn(w, args, n + 1);
    got = r < 0 ? errno_name(errno) : w->said;
    if (r == -2)
        got = "(no such operation, or too few arguments)";
    snprintf(why, size, "%s %.80s: got '%s', want '%s'", word, n >= 0 ? args[0] : "", got,
             want ? want : "success");
    for (; n >= 0; n--)
        free(args[n]);
    return want ? strcmp(got, want) == 0 : r >= 0;
}

static void begin(struct world *w, const char *root, int number)
{
    char path[4096];

    for (int i = 0; i < SLOTS; i++)
        w->fds[i] = -1;
    if (seteuid(0) < 0 || setegid(0) < 0 || setgroups(0, NULL) < 0)
        exit(2);
    umask(022);
    snprintf(path, sizeof path, "%s/%03d", root, number);
    if (chdir(path) < 0) {
        perror(path);
        exit(2);
    }
}

static void end(struct world *w)
{
    for (int i = 0; i < SLOTS; i++)
        if (w->fds[i] >= 0)
            close(w->fds[i]);
    if (seteuid(0) < 0)
        exit(2);
    process_end(w);
}

static int run(FILE *f, const char *root)
{
    static struct world w = { .runs = -1 };
    char line[1024], name[256] = "", why[TEXT_MAX + 1024] = "";
    bool good = true, first = true;
    int number = 0;

    for (;;) {
        bool more = fgets(line, sizeof line, f) != NULL;

        if (!first && (!more || *line == '=')) {
            end(&w);
            if (suite_missing)
                printf("none %s: %s\n", name, suite_missing);
            else
                printf("%s %s%s%s\n", good ? "ok" : "not", name, good ? "" : ": ", good ? "" : why);
        }
        if (!more)
            return 0;
        line[strcspn(line, "\n")] = '\0';
        if (*line == '=') {
            snprintf(name, sizeof name, "%.200s", line + 2);
            good = true;
            first = false;
            suite_missing = NULL;
            begin(&w, root, number++);
        } else if (*line != '\0' && *line != '#' && good) {
            good = step(&w, line, why, sizeof why);
        }
    }
}

static int prepare(FILE *f, const char *bottom, const char *middle)
{
    char line[1024], text[TEXT_MAX] = "";
    int number = -1;

    umask(0);
    for (bool more = true; more;) {
        more = fgets(line, sizeof line, f) != NULL;
        if ((!more || *line == '=') && number >= 0 &&
            (make_folder(bottom, 'b', number, text) < 0 ||
             make_folder(middle, 'm', number, text) < 0)) {
            perror("prepare");
            return 1;
        }
        if (*line == '=') {
            number++;
            *text = '\0';
        } else if (strlen(text) + strlen(line) < sizeof text) {
            strcat(text, line);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    FILE *f = argc > 3 ? fopen(argv[1], "re") : NULL;

    if (argc == 2 && strcmp(argv[1], "wait") == 0) /* as a program that a case runs */
        return getchar() == EOF;
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (f && argc == 5 && strcmp(argv[2], "prepare") == 0)
        return prepare(f, argv[3], argv[4]);
    if (f && argc == 4 && strcmp(argv[2], "run") == 0)
        return run(f, argv[3]);
    fprintf(stderr, "cowfs-suite CASES prepare BOTTOM MIDDLE | CASES run MOUNT; absolute paths\n");
    return 2;
}
