/* src/xenod/machine.c - what this machine is. Whatever can be probed is not configured. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/io.h"
#include "xenod/xenod.h"

/* "model name : AMD EPYC 7B13" of the first processor; "" where the kernel names it otherwise. */
static void cpu_model(char *out, size_t size)
{
    xeno_autoclose int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    xeno_autofree char *text = NULL;
    const char *p;
    size_t len;

    out[0] = '\0';
    if (fd < 0 || xeno_read_all(fd, 4 << 20, &text, &len) < 0)
        return;
    p = strstr(text, "model name");
    p = p ? strchr(p, ':') : NULL;
    if (p)
        snprintf(out, size, "%.*s", (int)strcspn(p + 2, "\n"), p + 2);
}

void xenod_machine_read(struct xenod_machine *ret, const char *dir)
{
    struct sysinfo si;
    struct utsname un;
    struct statvfs fs;

    memset(ret, 0, sizeof *ret);
    if (uname(&un) == 0) {
        snprintf(ret->kernel, sizeof ret->kernel, "%.60s", un.release);
        snprintf(ret->architecture, sizeof ret->architecture, "%.30s", un.machine);
    }
    cpu_model(ret->cpu, sizeof ret->cpu);
    ret->cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (sysinfo(&si) == 0)
        ret->memory_bytes = (int64_t)si.totalram * si.mem_unit;
    if (statvfs(dir, &fs) == 0)
        ret->disk_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
}
