/* src/xenocorpd/api.h - the handlers, by family; api.c has the table of routes. */
#ifndef XENO_XENOCORPD_API_H
#define XENO_XENOCORPD_API_H

struct xeno_http_req;

/* api-open.c: what anybody may see */
void api_healthz(struct xeno_http_req *q, void *user);
void api_metrics(struct xeno_http_req *q, void *user);
void api_ca(struct xeno_http_req *q, void *user);
void api_revocations(struct xeno_http_req *q, void *user);

/* api-registry.c */
void api_join_client(struct xeno_http_req *q, void *user);
void api_join_server(struct xeno_http_req *q, void *user);
void api_join_node(struct xeno_http_req *q, void *user);
void api_renew(struct xeno_http_req *q, void *user);

/* api-account.c */
void api_account(struct xeno_http_req *q, void *user);
void api_statement(struct xeno_http_req *q, void *user);

/* api-orders.c */
void api_order_create(struct xeno_http_req *q, void *user);
void api_orders(struct xeno_http_req *q, void *user);
void api_order(struct xeno_http_req *q, void *user);
void api_order_close(struct xeno_http_req *q, void *user);

/* api-audits.c: what XenoStore nodes keep */
void api_audits(struct xeno_http_req *q, void *user);
void api_audit_ask(struct xeno_http_req *q, void *user);
void api_audit_answer(struct xeno_http_req *q, void *user);

/* api-complaints.c */
void api_complaint_file(struct xeno_http_req *q, void *user);
void api_complaint(struct xeno_http_req *q, void *user);
void api_complaints(struct xeno_http_req *q, void *user);

/* api-charges.c: XenoServers and XenoStore nodes */
void api_validate(struct xeno_http_req *q, void *user);
void api_release(struct xeno_http_req *q, void *user);
void api_charges(struct xeno_http_req *q, void *user);

/* api-log.c */
void api_log_head(struct xeno_http_req *q, void *user);
void api_log_consistency(struct xeno_http_req *q, void *user);
void api_log_inclusion(struct xeno_http_req *q, void *user);
void api_log_entries(struct xeno_http_req *q, void *user);

/* api-admin.c: operators */
void api_admin_token(struct xeno_http_req *q, void *user);
void api_admin_fund(struct xeno_http_req *q, void *user);
void api_admin_parties(struct xeno_http_req *q, void *user);
void api_admin_party(struct xeno_http_req *q, void *user);
void api_admin_disable(struct xeno_http_req *q, void *user);
void api_admin_ledger(struct xeno_http_req *q, void *user);
void api_admin_charges(struct xeno_http_req *q, void *user);
void api_admin_batch(struct xeno_http_req *q, void *user);
void api_admin_acts(struct xeno_http_req *q, void *user);

#endif
