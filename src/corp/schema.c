/* src/corp/schema.c - the SQL of the tables. A change is a new step at the end, never an edit. */
#include "corp/schema.h"

#include "base/mem.h"

static const char step_1[] =
    "CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE account ("
    " n INTEGER PRIMARY KEY, kind bigint NOT NULL, balance bigint NOT NULL, total bigint NOT NULL,"
    " CHECK (balance >= 0 OR kind = 1), CHECK (total >= balance));"
    "INSERT INTO account (n, kind, balance, total) VALUES (1, 1, 0, 0), (2, 2, 0, 0);"

    "CREATE TABLE party ("
    " n INTEGER PRIMARY KEY, id text NOT NULL UNIQUE, kind bigint NOT NULL, pub text NOT NULL,"
    " operator bigint NOT NULL, pseudonym bigint NOT NULL, disabled_ms bigint NOT NULL,"
    " created_ms bigint NOT NULL, name text NOT NULL, contact text NOT NULL,"
    " details text NOT NULL, endpoint text NOT NULL, hosts text NOT NULL);"

    /* sha: of the secret part; a token itself is never stored */
    "CREATE TABLE token ("
    " sha text PRIMARY KEY, kind bigint NOT NULL, made_ms bigint NOT NULL,"
    " expires_ms bigint NOT NULL, made_by text NOT NULL, used_by text) WITHOUT ROWID;"

    "CREATE TABLE credential ("
    " serial text PRIMARY KEY, party bigint NOT NULL, expires_ms bigint NOT NULL,"
    " revoked_ms bigint NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX credential_party ON credential (party);"
    "CREATE INDEX credential_expires ON credential (expires_ms);"

    "CREATE TABLE orders ("
    " n INTEGER PRIMARY KEY, id text NOT NULL UNIQUE, client bigint NOT NULL, state bigint NOT NULL,"
    " amount bigint NOT NULL, charged bigint NOT NULL, held bigint NOT NULL, fee_bp bigint NOT NULL,"
    " issued_ms bigint NOT NULL, expires_ms bigint NOT NULL, deadline_ms bigint NOT NULL,"
    " closed_ms bigint NOT NULL, epoch bigint NOT NULL,"
    " b_session bigint NOT NULL, b_server bigint NOT NULL, b_from_ms bigint NOT NULL,"
    " b_to_ms bigint NOT NULL, b_charged bigint NOT NULL, b_base bigint NOT NULL,"
    " b_max_total bigint NOT NULL,"
    " b_max_rate bigint NOT NULL, b_not_before_ms bigint NOT NULL, b_not_after_ms bigint NOT NULL,"
    " CHECK (held >= 0), CHECK (charged >= 0), CHECK (charged + held <= amount),"
    " CHECK (state <= 2 OR (held = 0 AND b_session = 0)));"
    "CREATE INDEX orders_client ON orders (client, n);"
    "CREATE INDEX orders_live ON orders (expires_ms) WHERE state <= 2;"

    "CREATE TABLE order_text (n INTEGER PRIMARY KEY, chain text NOT NULL);"

    "CREATE TABLE binding ("
    " ord bigint NOT NULL, epoch bigint NOT NULL, session bigint NOT NULL, server bigint NOT NULL,"
    " from_ms bigint NOT NULL, ended_ms bigint NOT NULL, how bigint NOT NULL,"
    " charged bigint NOT NULL, max_total bigint NOT NULL, max_rate bigint NOT NULL,"
    " not_before_ms bigint NOT NULL, not_after_ms bigint NOT NULL, rate_per_hour bigint NOT NULL,"
    " env_type text NOT NULL, holder text NOT NULL, chain text NOT NULL,"
    " PRIMARY KEY (ord, epoch)) WITHOUT ROWID;"
    "CREATE INDEX binding_session ON binding (session);"

    "CREATE TABLE session ("
    " n INTEGER PRIMARY KEY, server bigint NOT NULL, name text NOT NULL, UNIQUE (name, server));"

    "CREATE TABLE entry ("
    " n INTEGER PRIMARY KEY, kind bigint NOT NULL, time_ms bigint NOT NULL, client bigint NOT NULL,"
    " amount bigint NOT NULL, c_after bigint NOT NULL, ord bigint, server bigint, fee bigint,"
    " s_after bigint, epoch bigint, session bigint, seq bigint, from_ms bigint, to_ms bigint,"
    " tariff bigint, sha blob, batch bigint, text text, CHECK (amount >= 0));"
    /* The rule that no charge is posted twice, in the words of the database. Sequence first:
     * sessions of one age are neighbours by number and charge the same sequence at the same time,
     * so that a group of charges goes to a few pages. Session first, every charge would dirty its
     * own page. */
    "CREATE UNIQUE INDEX entry_charge ON entry (seq, session) WHERE session IS NOT NULL;"
    "CREATE INDEX entry_client ON entry (client, n);"
    "CREATE INDEX entry_server ON entry (server, n) WHERE server IS NOT NULL;"

    "CREATE TABLE batch ("
    " n INTEGER PRIMARY KEY, server bigint NOT NULL, time_ms bigint NOT NULL, doc blob NOT NULL);"

    "CREATE TABLE audit ("
    " n INTEGER PRIMARY KEY, time_ms bigint NOT NULL, who text NOT NULL, act text NOT NULL,"
    " target text NOT NULL, detail text NOT NULL);"

    "CREATE TABLE idem ("
    " name text PRIMARY KEY, sha blob NOT NULL, time_ms bigint NOT NULL, status bigint NOT NULL,"
    " body text NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX idem_time ON idem (time_ms);";

/* The log (log-priv.h). What was charged before is appended to it when the books are opened. */
static const char step_2[] =
    "CREATE TABLE log_hash (n INTEGER PRIMARY KEY, hashes blob NOT NULL);"
    "CREATE TABLE log_act ("
    " leaf INTEGER PRIMARY KEY, party bigint NOT NULL, body text NOT NULL);"
    "CREATE INDEX log_act_party ON log_act (party, leaf);"
    /* By these the sponsor of an order finds what servers did with it: no further index, which
     * would dirty a page for each client in a group. */
    "ALTER TABLE binding ADD COLUMN leaf bigint NOT NULL DEFAULT -1;"
    "ALTER TABLE binding ADD COLUMN end_leaf bigint NOT NULL DEFAULT -1;"
    "CREATE TABLE log_charges ("
    " leaf INTEGER PRIMARY KEY, entry bigint NOT NULL UNIQUE, count bigint NOT NULL);"
    "CREATE TABLE log_head ("
    " size INTEGER PRIMARY KEY, time_ms bigint NOT NULL, signed text NOT NULL);";

/* The chain apart from the binding: in a table without rowid a row over a quarter of a page spills
 * into a page of its own, so that each validation wrote one more. Here two share one. */
static const char step_3[] =
    "CREATE TABLE binding_text ("
    " n INTEGER PRIMARY KEY, ord bigint NOT NULL, epoch bigint NOT NULL, chain text NOT NULL);"
    "INSERT INTO binding_text (ord, epoch, chain) SELECT ord, epoch, chain FROM binding"
    " ORDER BY ord, epoch;"
    "CREATE UNIQUE INDEX binding_text_ord ON binding_text (ord, epoch);"
    "ALTER TABLE binding DROP COLUMN chain;";

/* Storage: what nodes are paid for. audit_ms: when the next challenge is due; 0: no more of them.
 */
static const char step_4[] =
    "ALTER TABLE orders ADD COLUMN b_suspended_ms bigint NOT NULL DEFAULT 0;"
    "CREATE TABLE certificate ("
    " n INTEGER PRIMARY KEY, ord bigint NOT NULL, epoch bigint NOT NULL, client bigint NOT NULL,"
    " node bigint NOT NULL, id text NOT NULL, holder text NOT NULL, copy bigint NOT NULL,"
    " copies bigint NOT NULL, size bigint NOT NULL, audit_ms bigint NOT NULL, doc text NOT NULL,"
    " UNIQUE (ord, epoch), CHECK (copy >= 1 AND copy <= copies));"
    "CREATE INDEX certificate_id ON certificate (id);"
    "CREATE INDEX certificate_audit ON certificate (audit_ms) WHERE audit_ms > 0;"
    "CREATE TABLE challenge ("
    " n INTEGER PRIMARY KEY, cert bigint NOT NULL, client bigint NOT NULL, node bigint NOT NULL,"
    " owner bigint NOT NULL, digest text NOT NULL, block bigint NOT NULL, made_ms bigint NOT NULL,"
    " deadline_ms bigint NOT NULL, ended_ms bigint NOT NULL, result bigint NOT NULL,"
    " answer text NOT NULL);"
    "CREATE INDEX challenge_open ON challenge (deadline_ms) WHERE result = 0;"
    "CREATE INDEX challenge_cert ON challenge (cert, n);"
    "CREATE INDEX challenge_client ON challenge (client, n);"
    "CREATE INDEX challenge_node ON challenge (node, n) WHERE result = 0;";

/* Complaints about adverts. count: of that server, this one and those before it. */
static const char step_5[] =
    "CREATE TABLE complaint ("
    " n INTEGER PRIMARY KEY AUTOINCREMENT, client bigint NOT NULL, server bigint NOT NULL,"
    " session bigint NOT NULL, about text NOT NULL, version bigint NOT NULL, count bigint NOT NULL,"
    " time_ms bigint NOT NULL, doc text NOT NULL, UNIQUE (session, client));"
    "CREATE INDEX complaint_client ON complaint (client, time_ms);"
    "CREATE INDEX complaint_server ON complaint (server);";

const char *const corp_schema[] = { step_1, step_2, step_3, step_4, step_5 };
const size_t corp_schema_steps = XENO_LEN(corp_schema);
