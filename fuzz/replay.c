/* fuzz/replay.c - run a fuzz target over its corpus, as an ordinary test. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "../fuzz/fuzz.h"

#define REPLAY_MAX_BYTES (16 << 20)

static int replay(int dirfd, const char *name)
{
    xeno_autofree char *data = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    size_t len;

    if (xeno_file_read(dirfd, name, REPLAY_MAX_BYTES, &data, &len, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)data, len);
    return 0;
}

int main(int argc, char **argv)
{
    struct dirent *e;
    int files = 0;
    DIR *d = argc == 2 ? opendir(argv[1]) : NULL;

    if (!d) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER (got '%s')\n", argv[0], argc > 1 ? argv[1] : "");
        return 2;
    }
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        if (replay(dirfd(d), e->d_name) < 0)
            return 1;
        files++;
    }
    closedir(d);
    printf("%d inputs replayed\n", files);
    return files > 0 ? 0 : 1; /* an empty corpus proves nothing */
}
