/* src/task/driver.c - the list of drivers, and what is common to them. */
#include "task/driver.h"

#include <string.h>
#include <sys/socket.h>

const struct xeno_task_driver *const xeno_task_drivers[] = {
    &xeno_task_driver_null,
    &xeno_task_driver_oci,
    NULL,
};

const struct xeno_task_driver *xeno_task_driver_find(const char *name)
{
    for (size_t i = 0; xeno_task_drivers[i]; i++)
        if (strcmp(xeno_task_drivers[i]->name, name) == 0)
            return xeno_task_drivers[i];
    return NULL;
}

void xeno_task_rouse(const struct xeno_task_host *h)
{
    /* A full pipe holds wishes enough; one that nobody reads any more is as none. */
    if (h->rouser > 0)
        (void)!send(h->rouser, "", 1, MSG_NOSIGNAL);
}
