/* src/host/rec.c - sessions, offers and tasks as JSON, for the journal's rows.
 *
 * A rec and its meter are read and written by the tables below, so that a member is named once. A
 * member that is missing is an error: a journal is read by the program that wrote it or a later
 * one, whose schema steps add what is new.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/internal.h"

#define BODY_MAX (96 * 1024)

/* --- sessions --- */

struct field {
    const char *key;
    size_t off, size; /* size 0: an int64_t; else a text of at most size - 1 bytes */
};
#define INT(member)                                                                                \
    {                                                                                              \
#member, offsetof(struct rec, member), 0                                                   \
    }
#define TEXT(member)                                                                               \
    {                                                                                              \
#member, offsetof(struct rec, member), sizeof(((struct rec *)0)->member)                   \
    }

static const struct field rec_fields[] = {
    INT(since_ms),  INT(parked),        TEXT(reason),       INT(created_ms),       INT(ends_ms),
    TEXT(order),    INT(epoch),         INT(budget),        INT(order_charged),    INT(window_ms),
    INT(dead),      TEXT(next_order),   INT(next_for),      INT(next_lifetime_ms), INT(validations),
    INT(seq),       INT(charged_to_ms), INT(charged),       INT(posted),           INT(refused),
    INT(forfeited), INT(warned),        INT(grace_ends_ms), INT(task_number),
};

#define METER(member)                                                                              \
    {                                                                                              \
#member, offsetof(struct xeno_meter, member), 0                                            \
    }
static const struct field meter_fields[] = {
    METER(at_ms),       METER(shortfall_us),   METER(cpu_seen),   METER(cpu_waits),
    METER(cpu_room),    METER(net_seen),       METER(net_waits),  METER(net_room),
    METER(waited_seen), METER(throttled_seen), METER(cpu_due),    METER(memory_bytes),
    METER(memory_ms),   METER(memory_rest),    METER(disk_bytes), METER(disk_ms),
    METER(disk_rest),
};

/* The five numbers of each resource, in this order. */
static int64_t *meter_cell(struct xeno_meter *m, int res, int column)
{
    switch (column) {
    case 0:
        return &m->total[res].reserved;
    case 1:
        return &m->total[res].used;
    case 2:
        return &m->accounted[res];
    case 3:
        return &m->told[res].reserved;
    default:
        return &m->told[res].used;
    }
}
#define METER_COLUMNS 5
static const char *const meter_columns[METER_COLUMNS] = { "reserved", "used", "accounted",
                                                          "told_reserved", "told_used" };

static void fields_set(struct xeno_json *o, const struct field *f, size_t count, const void *from)
{
    for (; count > 0; count--, f++) {
        const char *at = (const char *)from + f->off;

        if (f->size == 0)
            xeno_json_set_int(o, f->key, *(const int64_t *)at);
        else
            xeno_json_set_str(o, f->key, at);
    }
}

static int fields_get(const struct xeno_json_at *o, const struct field *f, size_t count, void *to,
                      struct xeno_err *err)
{
    for (; count > 0; count--, f++) {
        char *at = (char *)to + f->off;
        const char *text = "";
        int r;

        if (f->size == 0) {
            r = xeno_json_int(o, f->key, INT64_MIN, INT64_MAX, (int64_t *)at, err);
        } else {
            r = xeno_json_str(o, f->key, 0, f->size - 1, &text, err);
            if (r == 0)
                snprintf(at, f->size, "%s", text);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static struct xeno_json *meter_json(const struct xeno_meter *m)
{
    struct xeno_json *o = xeno_json_object();

    fields_set(o, meter_fields, XENO_LEN(meter_fields), m);
    for (int res = 0; res < XENO_RES_COUNT; res++) {
        struct xeno_json *cells = xeno_json_object();

        for (int c = 0; c < METER_COLUMNS; c++)
            xeno_json_set_int(cells, meter_columns[c], *meter_cell((struct xeno_meter *)m, res, c));
        xeno_json_set(o, xeno_res_name(res), cells);
    }
    return o;
}

static int meter_read(const struct xeno_json_at *o, struct xeno_meter *m, struct xeno_err *err)
{
    struct xeno_json_at cells;
    int r;

    r = fields_get(o, meter_fields, XENO_LEN(meter_fields), m, err);
    for (int res = 0; res < XENO_RES_COUNT && r == 0; res++) {
        r = xeno_json_obj(o, xeno_res_name(res), &cells, err);
        for (int c = 0; c < METER_COLUMNS && r == 0; c++)
            r = xeno_json_int(&cells, meter_columns[c], INT64_MIN, INT64_MAX, meter_cell(m, res, c),
                              err);
    }
    return r;
}

char *rec_text(const struct rec *r)
{
    xeno_auto(xeno_json) o = xeno_json_object();

    xeno_json_set_str(o, "state", xeno_state_name((enum xeno_state)r->state));
    fields_set(o, rec_fields, XENO_LEN(rec_fields), r);
    xeno_json_set(o, "meter", meter_json(&r->meter));
    return xeno_json_format(o, false, NULL);
}

/* Parse a text column into an object. */
static int column_json(const char *text, struct xeno_json **ret, struct xeno_err *err)
{
    if (!text)
        return xeno_fail(err, -EPROTO, "journal.row", "an empty column");
    return xeno_json_parse(text, strlen(text), BODY_MAX, ret, err);
}

int rec_read(const char *text, struct rec *ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, meter;
    enum xeno_state state;
    const char *name;
    int r;

    r = column_json(text, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_str(&top, "state", 1, 32, &name, err);
    if (r < 0)
        return r;
    if (!xeno_state_parse(name, &state))
        return xeno_fail(err, -EPROTO, "journal.state", "unknown state '%s'", name);
    ret->state = state;
    r = fields_get(&top, rec_fields, XENO_LEN(rec_fields), ret, err);
    if (r == 0)
        r = xeno_json_obj(&top, "meter", &meter, err);
    return r < 0 ? r : meter_read(&meter, &ret->meter, err);
}

/* --- offers --- */

static struct xeno_json *digests_json(char (*list)[XENO_LAYER_TEXT], size_t count)
{
    struct xeno_json *j = xeno_json_array();

    for (size_t i = 0; i < count; i++)
        xeno_json_append_str(j, list[i]);
    return j;
}

char *offer_text(const struct offer *o)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    xeno_json_set_str(doc, "name", o->name);
    xeno_json_set_str(doc, "env_type", o->env_type);
    xeno_json_set_int(doc, "lifetime_ms", o->lifetime_ms);
    xeno_json_set_int(doc, "max_total", o->max_total);
    xeno_json_set_int(doc, "tasks_max", o->tasks_max);
    xeno_json_set(doc, "grant", xeno_grant_json(&o->grant));
    xeno_json_set(doc, "tariff", xeno_tariff_json(&o->tariff));
    xeno_json_set(doc, "layers", digests_json(o->image.layers, o->image.layer_count));
    xeno_json_set(doc, "images", digests_json(o->image.images, o->image.image_count));
    return xeno_json_format(doc, false, NULL);
}

static int digests_read(const struct xeno_json_at *top, const char *key, size_t max,
                        char (**ret)[XENO_LAYER_TEXT], size_t *ret_count, struct xeno_err *err)
{
    struct xeno_json_at list;
    const char *digest;
    size_t count = 0;
    int r;

    r = xeno_json_arr_opt(top, key, max, &list, &count, err);
    if (r < 0)
        return r;
    *ret = count > 0 ? xeno_alloc0(count, sizeof(**ret)) : NULL;
    for (size_t i = 0; i < count; i++) {
        r = xeno_json_item_str(&list, i, 1, XENO_LAYER_TEXT - 1, &digest, err);
        if (r < 0)
            return r;
        snprintf((*ret)[i], sizeof(**ret), "%s", digest);
    }
    *ret_count = count;
    return 0;
}

/* Offers of before there were images elsewhere name none. */
static int image_read(const struct xeno_json_at *top, struct xeno_host_image *im,
                      struct xeno_err *err)
{
    int r = digests_read(top, "layers", XENO_TASK_LAYERS_MAX, &im->layers, &im->layer_count, err);

    return r < 0 ? r
                 : digests_read(top, "images", XENO_TASK_IMAGES_MAX, &im->images, &im->image_count,
                                err);
}

/* On failure *ret may be half filled: release it in any case. */
int offer_read(const char *text, struct offer *ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, at;
    const char *name = "", *env = "";
    int r;

    r = column_json(text, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_str(&top, "name", 0, sizeof(ret->name) - 1, &name, err);
    if (r == 0)
        r = xeno_json_str(&top, "env_type", 0, sizeof(ret->env_type) - 1, &env, err);
    if (r == 0)
        r = xeno_json_int(&top, "lifetime_ms", 0, INT64_MAX, &ret->lifetime_ms, err);
    if (r == 0)
        r = xeno_json_int(&top, "max_total", 0, INT64_MAX, &ret->max_total, err);
    if (r == 0)
        r = xeno_json_int(&top, "tasks_max", 0, INT64_MAX, &ret->tasks_max, err);
    if (r == 0)
        r = xeno_json_obj(&top, "grant", &at, err);
    if (r == 0)
        r = xeno_grant_read(&at, &ret->grant, err);
    if (r == 0)
        r = xeno_json_obj(&top, "tariff", &at, err);
    if (r == 0)
        r = xeno_tariff_read(&at, &ret->tariff, err);
    if (r < 0)
        return r;
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(ret->env_type, sizeof(ret->env_type), "%s", env);
    return image_read(&top, &ret->image, err);
}

/* --- tasks --- */

char *task_text(const struct task *t)
{
    xeno_auto(xeno_json) doc = xeno_json_object();

    xeno_json_set_str(doc, "state", task_state_name(t->state));
    xeno_json_set_int(doc, "code", t->code);
    xeno_json_set_int(doc, "signal", t->signal);
    xeno_json_set_bool(doc, "oom", t->oom);
    xeno_json_set_int(doc, "since_ms", t->since_ms);
    xeno_json_set_str(doc, "reason", t->reason);
    xeno_json_set(doc, "program", xeno_task_program_json(&t->program));
    return xeno_json_format(doc, false, NULL);
}

int task_read(const char *text, struct task *t, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, at;
    const char *state = "", *reason = "";
    int r;

    r = column_json(text, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_str(&top, "state", 1, 16, &state, err);
    if (r == 0)
        r = xeno_json_int(&top, "code", INT64_MIN, INT64_MAX, &t->code, err);
    if (r == 0)
        r = xeno_json_int(&top, "signal", INT64_MIN, INT64_MAX, &t->signal, err);
    if (r == 0)
        r = xeno_json_bool(&top, "oom", &t->oom, err);
    if (r == 0)
        r = xeno_json_int(&top, "since_ms", 0, INT64_MAX, &t->since_ms, err);
    if (r == 0)
        r = xeno_json_str(&top, "reason", 0, REASON_CHARS - 1, &reason, err);
    if (r == 0)
        r = xeno_json_obj(&top, "program", &at, err);
    if (r == 0)
        r = xeno_task_program_read(&at, &t->program, err);
    if (r < 0)
        return r;
    snprintf(t->reason, sizeof(t->reason), "%s", reason);
    for (int i = TASK_PENDING; i <= TASK_FAILED; i++)
        if (strcmp(task_state_name(i), state) == 0)
            t->state = i;
    return 0;
}
