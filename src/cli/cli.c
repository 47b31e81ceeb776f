/* src/cli/cli.c - what all verbs share: the loop, the profile, the client. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-event.h>

#include "cli/profile.h"
#include "http/client.h"

void cli_release(struct cli *cli)
{
    xeno_http_client_free(cli->http);
    cli_profile_free(cli->profile);
    sd_event_unref(cli->loop);
}

struct sd_event *cli_loop(struct cli *cli)
{
    if (!cli->loop && sd_event_new(&cli->loop) < 0) {
        fprintf(stderr, "xeno: no event loop: out of descriptors or memory\n");
        exit(CLI_FAILED);
    }
    return cli->loop;
}

void cli_wait(struct cli *cli, xeno_time length)
{
    xeno_time end = xeno_time_add(xeno_mono(cli->env), length);

    for (;;) {
        xeno_time now = xeno_mono(cli->env);

        if (now.ns >= end.ns || sd_event_get_state(cli_loop(cli)) == SD_EVENT_FINISHED)
            return;
        sd_event_run(cli_loop(cli), (uint64_t)(end.ns - now.ns) / 1000 + 1);
    }
}
