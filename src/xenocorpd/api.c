/* src/xenocorpd/api.c - the routes of a XenoCorp. */
#include "xenocorpd/api.h"

#include "doc/charge.h"
#include "doc/complaint.h"
#include "doc/order.h"
#include "doc/storage.h"
#include "xenocorpd/corpd.h"

#define SMALL (16 * 1024)

const struct xeno_http_route corpd_routes[] = {
    { "GET", "/healthz", XENO_ROUTE_ANON, 0, api_healthz },
    { "GET", "/metrics", XENO_ROUTE_ANON, 0, api_metrics },
    { "GET", "/v1/ca", XENO_ROUTE_ANON, 0, api_ca },
    { "GET", "/v1/revocations", XENO_ROUTE_ANON, 0, api_revocations },

    { "POST", "/v1/clients", XENO_ROUTE_ANON, SMALL, api_join_client },
    { "POST", "/v1/servers", XENO_ROUTE_ANON, SMALL, api_join_server },
    { "POST", "/v1/nodes", XENO_ROUTE_ANON, SMALL, api_join_node },
    /* Anonymous too: a request for a certificate proves that the asker holds the key, and a
     * credential that expired while its holder was away could not be renewed otherwise. */
    { "POST", "/v1/credentials/renew", XENO_ROUTE_ANON, SMALL, api_renew },

    { "GET", "/v1/account", 0, 0, api_account },
    { "GET", "/v1/statement", 0, 0, api_statement },
    { "POST", "/v1/orders", XENO_ROUTE_IDEMPOTENT, SMALL, api_order_create },
    { "GET", "/v1/orders", 0, 0, api_orders },
    { "GET", "/v1/orders/{order}", 0, 0, api_order },
    { "POST", "/v1/orders/{order}/close", XENO_ROUTE_IDEMPOTENT, SMALL, api_order_close },

    { "POST", "/v1/validate", XENO_ROUTE_IDEMPOTENT,
      XENO_ORDER_BYTES_MAX + XENO_WRITECERT_BYTES_MAX + SMALL, api_validate },
    { "POST", "/v1/validate/release", XENO_ROUTE_IDEMPOTENT, SMALL, api_release },
    { "POST", "/v1/charges", 0, XENO_CHARGE_BATCH_BYTES, api_charges },

    { "GET", "/v1/audits", 0, 0, api_audits },
    { "POST", "/v1/audits", 0, SMALL, api_audit_ask },
    { "POST", "/v1/audits/answers", 0, XENO_STORAGE_ANSWER_MAX, api_audit_answer },

    { "GET", "/v1/complaints", 0, 0, api_complaints },
    { "GET", "/v1/complaints/{complaint}", 0, 0, api_complaint },
    { "POST", "/v1/complaints", 0, XENO_COMPLAINT_MAX, api_complaint_file },

    { "GET", "/v1/log/head", XENO_ROUTE_ANON, 0, api_log_head },
    { "GET", "/v1/log/consistency", 0, 0, api_log_consistency },
    { "GET", "/v1/log/inclusion", 0, 0, api_log_inclusion },
    { "GET", "/v1/log/entries", 0, 0, api_log_entries },

    { "POST", "/v1/admin/tokens", 0, SMALL, api_admin_token },
    { "POST", "/v1/admin/fund", XENO_ROUTE_IDEMPOTENT, SMALL, api_admin_fund },
    { "GET", "/v1/admin/parties", 0, 0, api_admin_parties },
    { "GET", "/v1/admin/parties/{id}", 0, 0, api_admin_party },
    { "POST", "/v1/admin/parties/{id}/disable", 0, SMALL, api_admin_disable },
    { "GET", "/v1/admin/ledger", 0, 0, api_admin_ledger },
    { "GET", "/v1/admin/charges", 0, 0, api_admin_charges },
    { "GET", "/v1/admin/batches/{batch}", 0, 0, api_admin_batch },
    { "GET", "/v1/admin/acts", 0, 0, api_admin_acts },
    { NULL, NULL, 0, 0, NULL },
};
