/* src/xenod/api-status.c - what this XenoServer is and how it fares. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "conf/args.h"
#include "crypto/jws.h"
#include "doc/types.h"
#include "http/metrics.h"
#include "http/operators.h"
#include "image/agent-link.h"
#include "xenod/elsewhere.h"
#include "xenod/advertise.h"
#include "xenod/probing.h"
#include "xenod/xenod.h"

void xenod_get_health(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    struct xeno_json *body = xeno_json_object();
    bool corp = xeno_member_corp_answers(d->member);

    xeno_json_set_str(body, "state", d->task_ready && corp ? "ok" : "degraded");
    xeno_json_set_bool(body, "task_manager", d->task_ready);
    xeno_json_set_bool(body, "corp", corp);
    xeno_json_set_str(body, "version", xeno_version());
    xeno_http_reply_json(q, 200, body);
}

/* --- metrics --- */

/* The second number of /proc/self/statm is resident pages. */
static int64_t resident_bytes(void)
{
    xeno_autoclose int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    char text[128] = "";
    long long size = 0, resident = 0;

    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return 0;
    if (sscanf(text, "%lld %lld", &size, &resident) != 2)
        return 0;
    return resident * sysconf(_SC_PAGESIZE);
}

static void image_metrics(const struct xenod *d, struct xeno_buf *out)
{
    struct xenod_elsewhere_count c = xenod_elsewhere_counts(d->elsewhere);

    xeno_metric(out, "xenod_image_manager_up", "gauge", "Is the image manager connected?");
    xeno_metric_int(out, "xenod_image_manager_up", NULL, NULL,
                    d->agent && xeno_agent_link_up(d->agent));
    xeno_metric(out, "xenod_images_waiting", "gauge",
                "Requests that wait for the name of an image.");
    xeno_metric_int(out, "xenod_images_waiting", NULL, NULL, c.waiting);
    xeno_metric(out, "xenod_images_asked_total", "counter", "Names asked of the image manager.");
    xeno_metric_int(out, "xenod_images_asked_total", NULL, NULL, c.asked);
    xeno_metric(out, "xenod_images_shared_total", "counter", "Names asked for already by others.");
    xeno_metric_int(out, "xenod_images_shared_total", NULL, NULL, c.shared);
    xeno_metric(out, "xenod_images_failed_total", "counter", "Names that led nowhere.");
    xeno_metric_int(out, "xenod_images_failed_total", NULL, NULL, c.failed);
    xeno_metric(out, "xenod_images_old_total", "counter",
                "Names whose registry was away, so that what they meant last was taken.");
    xeno_metric_int(out, "xenod_images_old_total", NULL, NULL, c.old);
}

static void own_metrics(const struct xenod *d, struct xeno_buf *out)
{
    xeno_metric(out, "xenod_task_manager_up", "gauge", "Is the task manager connected and usable?");
    xeno_metric_int(out, "xenod_task_manager_up", NULL, NULL, d->task_ready);
    xeno_metric(out, "xenod_corp_up", "gauge", "Did the XenoCorp answer the last request?");
    xeno_metric_int(out, "xenod_corp_up", NULL, NULL, xeno_member_corp_answers(d->member));
    xeno_metric(out, "xenod_credential_expires_seconds", "gauge",
                "When the credential ends, in seconds since 1970.");
    xeno_metric_int(out, "xenod_credential_expires_seconds", NULL, NULL,
                    xeno_member_cert(d->member)->not_after.ns / XENO_NS_PER_S);
    xeno_metric(out, "xenod_resident_memory_bytes", "gauge", "Memory of the program.");
    xeno_metric_int(out, "xenod_resident_memory_bytes", NULL, NULL, resident_bytes());
}

void xenod_get_metrics(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    xeno_autobuf out = XENO_BUF_INIT;
    struct xeno_err err;

    if (xeno_http_may_watch(q, d->opt.operators, &err) < 0) {
        xenod_refuse(q, &err);
        return;
    }
    xeno_host_metrics(d->host, &out);
    own_metrics(d, &out);
    image_metrics(d, &out);
    xenod_advertise_metrics(d->advertise, &out);
    xenod_probing_metrics(d->probing, &out);
    xeno_http_reply_data(q, 200, XENO_METRICS_TYPE, out.data, out.len);
}

/* --- status --- */

static struct xeno_json *machine_json(const struct xenod *d)
{
    struct xeno_json *m = xeno_json_object();

    xeno_json_set_str(m, "architecture", d->machine.architecture);
    xeno_json_set_str(m, "cpu", *d->machine.cpu ? d->machine.cpu : NULL);
    xeno_json_set_int(m, "cpus", d->machine.cpus);
    xeno_json_set_int(m, "memory_bytes", d->machine.memory_bytes);
    xeno_json_set_str(m, "kernel", d->machine.kernel);
    return m;
}

void xenod_get_status(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    struct xeno_json *body = xeno_json_object();
    struct xeno_json *status = xeno_host_status_json(d->host);
    struct xeno_json *classes = xeno_json_array();
    xeno_autofree char *text = NULL;
    xeno_autofree char *jws = NULL;
    const struct xeno_key *own = xeno_member_key(d->member);
    char key[XENO_PUB_TEXT];
    size_t len;

    /* Its hash is the id, so who is handed the signed text needs nothing else to check it. */
    xeno_pub_text(xeno_key_pub(own), key);
    xeno_json_set_str(status, "key", key);
    xeno_json_append_str(classes, strcmp(d->opt.driver, "null") == 0 ? "null" : "container");
    xeno_json_set_str(status, "corp", xeno_member_corp(d->member)->s);
    xeno_json_set_str(status, "name", d->opt.told.name);
    xeno_json_set_str(status, "endpoint", d->opt.told.endpoint);
    xeno_json_set_str(status, "version", xeno_version());
    xeno_json_set_str(status, "template", d->opt.template_ref);
    xeno_json_set(status, "isolation", classes);
    xeno_json_set(status, "machine", machine_json(d));
    xeno_json_set_bool(status, "accepting", d->task_ready && xenod_has_room(d));
    text = xeno_json_format(status, false, &len);
    jws = xeno_jws_sign(own, XENO_TYP_STATUS, text, len);
    xeno_json_set(body, "status", status);
    xeno_json_set_str(body, "signed", jws);
    xeno_http_reply_json(q, 200, body);
}
