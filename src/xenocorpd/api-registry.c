/* src/xenocorpd/api-registry.c - joining and renewing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "corp/registry.h"
#include "xenocorpd/api.h"
#include "xenocorpd/job.h"

struct join {
    struct xeno_json *body; /* the texts below are its */
    const char *csr;
    const char *hosts[XENO_JOIN_HOSTS_MAX + 1];
    char *details; /* owned */
    struct xeno_join ask;
};

static void join_free(void *args)
{
    struct join *j = args;

    xeno_json_unref(j->body);
    free(j->details);
    free(j);
}

/* The request is checked away from the loop: it is a signature, and anybody may send one. */
static int check_join(struct job *j, struct xeno_err *err)
{
    struct join *join = j->args;

    return xeno_csr_check(join->csr, &join->ask.pub, err);
}

static int act_join(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    struct join *join = j->args;
    xeno_autofree char *cert = NULL;
    struct xeno_id id;
    int r = xeno_register(corp, &join->ask, &id, &cert, err);

    if (r < 0)
        return r;
    j->status = 201;
    j->reply = xeno_json_object();
    xeno_json_set_str(j->reply, "id", id.s);
    xeno_json_set_str(j->reply, "certificate", cert);
    xeno_json_set_str(j->reply, "ca", xeno_corp_ca_pem(corp));
    xeno_json_set_str(j->reply, "corp", xeno_corp_id(corp));
    return 0;
}

static int read_common(const struct xeno_json_at *at, struct join *join, struct xeno_err *err)
{
    int r = xeno_json_str(at, "token", 1, XENO_TOKEN_TEXT, &join->ask.token, err);

    if (r == 0)
        r = xeno_json_str(at, "csr", 1, XENO_CERT_PEM_MAX, &join->csr, err);
    if (r == 0)
        r = xeno_json_str(at, "name", 1, XENO_JOIN_NAME_MAX, &join->ask.name, err);
    join->ask.contact = "";
    if (r == 0)
        r = xeno_json_str_opt(at, "contact", 0, XENO_JOIN_CONTACT_MAX, &join->ask.contact, err);
    return r < 0 ? r : 0;
}

/* Members that are kept as they came: an object, in the text of the party's details. */
static int copy_object(const struct xeno_json_at *at, const char *key, struct xeno_json *to,
                       struct xeno_err *err)
{
    struct xeno_json_at member;
    int r = xeno_json_obj_opt(at, key, &member, err);

    if (r == 0)
        xeno_json_set(to, key, xeno_json_member(at->j, key));
    return r < 0 ? r : 0;
}

static int take_details(struct join *join, struct xeno_json *details, struct xeno_err *err)
{
    size_t len;

    join->details = xeno_json_format(details, false, &len);
    join->ask.details = join->details;
    if (len > XENO_JOIN_DETAILS_MAX)
        return xeno_fail(err, -EINVAL, "registry.field", "the details are %zu bytes, at most %d",
                         len, XENO_JOIN_DETAILS_MAX);
    return 0;
}

static int read_client(const struct xeno_json_at *at, struct join *join, struct xeno_err *err)
{
    xeno_auto(xeno_json) details = xeno_json_object();
    int r = read_common(at, join, err);

    join->ask.kind = XENO_PARTY_CLIENT;
    if (r == 0)
        r = xeno_json_bool_opt(at, "pseudonym", &join->ask.pseudonym, err);
    if (r >= 0)
        r = copy_object(at, "charging", details, err);
    return r < 0 ? r : take_details(join, details, err);
}

static int read_hosts(const struct xeno_json_at *at, struct join *join, struct xeno_err *err)
{
    struct xeno_json_at list;
    size_t count = 0;
    int r = xeno_json_arr_opt(at, "hosts", XENO_JOIN_HOSTS_MAX, &list, &count, err);

    for (size_t i = 0; r == 0 && i < count; i++)
        r = xeno_json_item_str(&list, i, 1, 253, &join->hosts[i], err);
    join->ask.hosts = join->hosts;
    return r < 0 ? r : 0;
}

static int read_machine(const struct xeno_json_at *at, struct xeno_err *err)
{
    struct xeno_json_at m;
    const char *text;
    int64_t n;
    int r = xeno_json_obj(at, "machine", &m, err);

    if (r == 0)
        r = xeno_json_str(&m, "architecture", 1, 40, &text, err);
    if (r == 0)
        r = xeno_json_str_opt(&m, "cpu", 0, 200, &text, err);
    if (r >= 0)
        r = xeno_json_int(&m, "cpus", 1, 65536, &n, err);
    if (r == 0)
        r = xeno_json_int(&m, "memory_bytes", 1, INT64_C(1) << 50, &n, err);
    if (r == 0)
        r = xeno_json_int(&m, "network_mbps", 1, 100000000, &n, err);
    return r;
}

/* A node that keeps nothing for others, as one of an XIS, has none. */
static int read_storage(const struct xeno_json_at *at, struct xeno_err *err)
{
    struct xeno_json_at s;
    int64_t n;
    int r = xeno_json_obj_opt(at, "storage", &s, err);

    return r != 0 ? (r < 0 ? r : 0)
                  : xeno_json_int(&s, "capacity_bytes", 1, INT64_C(1) << 60, &n, err);
}

/* Who serves: how it is reached, whose it is, how it is paid, and as member `about` what it has. */
static int read_serving(const struct xeno_json_at *at, struct join *join, const char *about,
                        int (*read_about)(const struct xeno_json_at *at, struct xeno_err *err),
                        struct xeno_err *err)
{
    xeno_auto(xeno_json) details = xeno_json_object();
    const char *owner = "";
    int r = read_common(at, join, err);

    if (r == 0)
        r = xeno_json_str(at, "endpoint", 1, XENO_JOIN_ENDPOINT_MAX, &join->ask.endpoint, err);
    if (r == 0)
        r = xeno_json_str_opt(at, "owner", 0, 200, &owner, err);
    if (r >= 0)
        r = read_about(at, err);
    if (r == 0)
        r = read_hosts(at, join, err);
    xeno_json_set_str(details, "owner", owner);
    if (r == 0)
        r = copy_object(at, "payout", details, err);
    if (r == 0)
        r = copy_object(at, about, details, err);
    return r < 0 ? r : take_details(join, details, err);
}

static int read_server(const struct xeno_json_at *at, struct join *join, struct xeno_err *err)
{
    join->ask.kind = XENO_PARTY_SERVER;
    return read_serving(at, join, "machine", read_machine, err);
}

static int read_node(const struct xeno_json_at *at, struct join *join, struct xeno_err *err)
{
    join->ask.kind = XENO_PARTY_NODE;
    return read_serving(at, join, "storage", read_storage, err);
}

static void join_by(struct xeno_http_req *q, void *user,
                    int (*read)(const struct xeno_json_at *at, struct join *join,
                                struct xeno_err *err))
{
    struct join *join = xeno_new0(struct join);
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json_at at;
    struct job *j;

    if (xeno_http_body_json(q, &join->body) < 0) {
        join_free(join);
        return;
    }
    at = xeno_json_top(join->body);
    if (read(&at, join, &err) < 0) {
        xeno_http_reply_err(q, &err);
        join_free(join);
        return;
    }
    j = job_new(user, q, act_join, join, join_free);
    j->check = check_join;
    j->item.bytes = 32 * 1024;
    job_submit(j);
}

void api_join_client(struct xeno_http_req *q, void *user)
{
    join_by(q, user, read_client);
}

void api_join_server(struct xeno_http_req *q, void *user)
{
    join_by(q, user, read_server);
}

void api_join_node(struct xeno_http_req *q, void *user)
{
    join_by(q, user, read_node);
}

/* --- renewing --- */

struct renew {
    struct xeno_json *body; /* or NULL */
    const char *csr;        /* or NULL: the peer's own credential is enough */
    struct xeno_id id;
};

static void renew_free(void *args)
{
    struct renew *r = args;

    xeno_json_unref(r->body);
    free(r);
}

static int check_renew(struct job *j, struct xeno_err *err)
{
    struct renew *renew = j->args;
    struct xeno_pub pub;
    struct xeno_id id;
    int r = xeno_csr_check(renew->csr, &pub, err);

    if (r < 0)
        return r;
    id = xeno_id_of(&pub);
    if (*j->peer.s && strcmp(j->peer.s, id.s) != 0)
        return xeno_fail(err, -EPERM, "registry.key",
                         "the request is for another key than that of your credential");
    renew->id = id;
    return 0;
}

static int act_renew(struct job *j, struct xeno_corp *corp, struct xeno_err *err)
{
    const struct renew *renew = j->args;
    xeno_autofree char *cert = NULL;
    int r = xeno_renew(corp, renew->id.s, &cert, err);

    if (r < 0)
        return r;
    j->reply = xeno_json_object();
    xeno_json_set_str(j->reply, "certificate", cert);
    xeno_json_set_str(j->reply, "ca", xeno_corp_ca_pem(corp));
    return 0;
}

void api_renew(struct xeno_http_req *q, void *user)
{
    struct renew *renew = xeno_new0(struct renew);
    struct xeno_err err = XENO_ERR_INIT;
    struct job *j = job_new(user, q, act_renew, renew, renew_free);
    struct xeno_json_at at;
    size_t len = 0;
    int r = 0;

    (void)xeno_http_body(q, &len);
    if (len > 0) {
        if (xeno_http_body_json(q, &renew->body) < 0) {
            j->q = NULL; /* answered */
            j->item.done(&j->item);
            return;
        }
        at = xeno_json_top(renew->body);
        r = xeno_json_str_opt(&at, "csr", 1, XENO_CERT_PEM_MAX, &renew->csr, &err);
    }
    if (r >= 0 && !renew->csr && !*j->peer.s)
        r = xeno_fail(&err, -EACCES, "auth.missing",
                      "without a credential a renewal needs \"csr\", a request by the same key");
    if (r < 0) {
        xeno_http_reply_err(q, &err);
        j->q = NULL;
        j->item.done(&j->item);
        return;
    }
    renew->id = j->peer;
    j->check = renew->csr ? check_renew : NULL;
    job_submit(j);
}
