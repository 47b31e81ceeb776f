/* src/xml/xml.c - parse within bounds and validate. */
#include "xml/xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlschemas.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct xeno_xml_schema {
    xmlSchemaPtr compiled;
    const struct xeno_xml_rule *rules;
};

/* What a parse under way has found; the parser's _private. */
struct watch {
    int depth;
    const char *stopped; /* token of the bound that stopped it */
    int line;
    char text[256]; /* first complaint of the library */
    startElementNsSAX2Func start;
    endElementNsSAX2Func end;
};

static xmlParserInputPtr load_nothing(const char *url, const char *id, xmlParserCtxtPtr ctxt)
{
    (void)url;
    (void)id;
    (void)ctxt;
    return NULL;
}

static void init_once(void)
{
    xmlInitParser();
    xmlSetExternalEntityLoader(load_nothing);
}

static void init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
}

/* The library's message, one line without its end; only the first is kept, the rest follow from it.
 */
static void keep_message(char *out, size_t size, const char *message)
{
    size_t len;

    if (out[0] != '\0' || !message)
        return;
    len = strcspn(message, "\n");
    if (len >= size)
        len = size - 1;
    memcpy(out, message, len);
    out[len] = '\0';
}

/* --- encoding --- */

static int count_lines(const char *text, size_t len)
{
    int n = 1;

    for (size_t i = 0; i < len; i++)
        n += text[i] == '\n';
    return n;
}

/* The encoding that the XML declaration names, in *ret; false when it names none. The parser is
 * told to pass it over, so that it never loads a converter: being fooled here does no harm. */
static bool declared_encoding(const char *text, size_t len, char *ret, size_t size)
{
    const char *end, *p;
    size_t n;
    char quote;

    if (!text || len < 6 || memcmp(text, "<?xml", 5) != 0)
        return false;
    end = memmem(text, len < 256 ? len : 256, "?>", 2);
    p = end ? memmem(text, (size_t)(end - text), "encoding", 8) : NULL;
    if (!p)
        return false;
    p += 8;
    p += strspn(p, " \t\r\n");
    if (*p++ != '=')
        return false;
    p += strspn(p, " \t\r\n");
    quote = *p++;
    for (n = 0; p + n < end && p[n] != quote && n + 1 < size; n++)
        ret[n] = p[n];
    ret[n] = '\0';
    return true;
}

static int check_encoding(const char *text, size_t len, struct xeno_err *err)
{
    char name[41];

    if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return xeno_fail(err, -EINVAL, "xml.encoding",
                         "the document is UTF-16; only UTF-8 is read");
    for (size_t i = 0; i < len;) {
        int width = len - i > 4 ? 4 : (int)(len - i);

        if (text[i] == '\0' || xmlGetUTF8Char((const unsigned char *)text + i, &width) < 0)
            return xeno_fail(err, -EINVAL, "xml.encoding",
                             "line %d: the document is not UTF-8 (byte 0x%02x at offset %zu)",
                             count_lines(text, i), (unsigned char)text[i], i);
        i += (size_t)width;
    }
    if (declared_encoding(text, len, name, sizeof name) && strcasecmp(name, "UTF-8") != 0)
        return xeno_fail(err, -EINVAL, "xml.encoding",
                         "the document is declared as %s; only UTF-8 is read", name);
    return 0;
}

/* --- parsing --- */

static struct watch *watch_of(void *ctx)
{
    return ((xmlParserCtxtPtr)ctx)->_private;
}

static void stop(void *ctx, const char *token)
{
    struct watch *w = watch_of(ctx);

    if (!w->stopped) {
        w->stopped = token;
        w->line = xmlSAX2GetLineNumber(ctx);
    }
    xmlStopParser(ctx);
}

static void on_dtd(void *ctx, const xmlChar *name, const xmlChar *id, const xmlChar *url)
{
    (void)name;
    (void)id;
    (void)url;
    stop(ctx, "xml.dtd");
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int nb_namespaces, const xmlChar **namespaces, int nb_attributes,
                     int nb_defaulted, const xmlChar **attributes)
{
    struct watch *w = watch_of(ctx);

    if (++w->depth > XENO_XML_DEPTH) {
        stop(ctx, "xml.depth");
        return;
    }
    w->start(ctx, name, prefix, uri, nb_namespaces, namespaces, nb_attributes, nb_defaulted,
             attributes);
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    struct watch *w = watch_of(ctx);

    w->depth--;
    w->end(ctx, name, prefix, uri);
}

static void on_parse_error(void *ctx, xmlErrorPtr e)
{
    struct watch *w = watch_of(ctx);

    if (w->text[0] == '\0')
        w->line = e->line;
    keep_message(w->text, sizeof w->text, e->message);
}

static int parse_failed(const struct watch *w, struct xeno_err *err)
{
    if (w->stopped && strcmp(w->stopped, "xml.dtd") == 0)
        return xeno_fail(err, -EINVAL, w->stopped,
                         "line %d: a document type declaration (DOCTYPE) is not allowed", w->line);
    if (w->stopped)
        return xeno_fail(err, -EINVAL, w->stopped, "line %d: elements are nested more than %d deep",
                         w->line, XENO_XML_DEPTH);
    return xeno_fail(err, -EINVAL, "xml.syntax", "line %d: not well-formed XML: %s", w->line,
                     w->text[0] ? w->text : "no document");
}

static int parse(const char *text, size_t len, xmlDocPtr *ret, struct xeno_err *err)
{
    struct watch w = { .line = 1 };
    xmlParserCtxtPtr ctxt = xmlNewParserCtxt();
    xmlDocPtr doc;
    int r = 0;

    if (!ctxt)
        return xeno_fail(err, -ENOMEM, "xml.syntax", "no memory for a parser");
    ctxt->_private = &w;
    w.start = ctxt->sax->startElementNs;
    w.end = ctxt->sax->endElementNs;
    ctxt->sax->startElementNs = on_start;
    ctxt->sax->endElementNs = on_end;
    ctxt->sax->internalSubset = on_dtd;
    ctxt->sax->serror = on_parse_error;
    doc = xmlCtxtReadMemory(ctxt, text, (int)len, NULL, NULL,
                            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                XML_PARSE_IGNORE_ENC | XML_PARSE_NOCDATA);
    if (!doc || !ctxt->wellFormed || w.stopped)
        r = parse_failed(&w, err);
    xmlFreeParserCtxt(ctxt);
    if (r < 0) {
        xmlFreeDoc(doc);
        return r;
    }
    *ret = doc;
    return 0;
}

/* --- schemas --- */

struct finding {
    const struct xeno_xml_rule *rules;
    const char *rule;
    char name[96]; /* element, or element@attribute */
    int line;
    char text[320];
};

static const char *rule_for(const struct xeno_xml_rule *rules, const char *name)
{
    for (; rules && rules->name; rules++) {
        if (strcmp(rules->name, name) == 0)
            return rules->rule;
    }
    return NULL;
}

/* The attribute that a message "Element 'E', attribute 'A': ..." is about. */
static bool attribute_in(const char *message, char *out, size_t size)
{
    static const char mark[] = "', attribute '";
    const char *p = message ? strstr(message, mark) : NULL;
    size_t len;

    if (!p)
        return false;
    p += sizeof mark - 1;
    len = strcspn(p, "'");
    if (len >= size)
        len = size - 1;
    memcpy(out, p, len);
    out[len] = '\0';
    return true;
}

static void on_schema_error(void *ctx, xmlErrorPtr e)
{
    struct finding *f = ctx;
    const xmlNode *n = e->node;
    char attr[48];

    if (f->text[0] != '\0')
        return;
    if (n && attribute_in(e->message, attr, sizeof attr))
        snprintf(f->name, sizeof f->name, "%.40s@%s", (const char *)n->name, attr);
    else if (n)
        snprintf(f->name, sizeof f->name, "%.80s", (const char *)n->name);
    f->line = e->line;
    f->rule = rule_for(f->rules, f->name);
    keep_message(f->text, sizeof f->text, e->message);
}

int xeno_xml_schema_new(const char *xsd, size_t len, const struct xeno_xml_rule *rules,
                        struct xeno_xml_schema **ret, struct xeno_err *err)
{
    struct finding f = { .line = 0 };
    xmlSchemaParserCtxtPtr ctxt;
    xmlSchemaPtr compiled;
    struct xeno_xml_schema *s;

    init();
    ctxt = xmlSchemaNewMemParserCtxt(xsd, (int)len);
    if (!ctxt)
        return xeno_fail(err, -ENOMEM, "xml.schema", "no memory for a schema");
    xmlSchemaSetParserStructuredErrors(ctxt, on_schema_error, &f);
    compiled = xmlSchemaParse(ctxt);
    xmlSchemaFreeParserCtxt(ctxt);
    if (!compiled)
        return xeno_fail(err, -EINVAL, "xml.schema", "schema, line %d: %s", f.line, f.text);
    s = xeno_new0(struct xeno_xml_schema);
    s->compiled = compiled;
    s->rules = rules;
    *ret = s;
    return 0;
}

void xeno_xml_schema_free(struct xeno_xml_schema *s)
{
    if (!s)
        return;
    xmlSchemaFree(s->compiled);
    free(s);
}

/* "Element 'CPUmsps': [facet 'minInclusive'] The value ..." from "The value" on. */
static const char *without_head(const char *text)
{
    const char *p = strstr(text, "': ");

    if (strncmp(text, "Element '", 9) == 0 && p)
        text = p + 3;
    p = strstr(text, "'] ");
    if (strncmp(text, "[facet '", 8) == 0 && p)
        text = p + 3;
    return text;
}

static int validate(xmlDocPtr doc, const struct xeno_xml_schema *schema, struct xeno_err *err)
{
    struct finding f = { .rules = schema->rules };
    xmlSchemaValidCtxtPtr ctxt = xmlSchemaNewValidCtxt(schema->compiled);
    int r;

    if (!ctxt)
        return xeno_fail(err, -ENOMEM, "xml.schema", "no memory for a validation");
    xmlSchemaSetValidStructuredErrors(ctxt, on_schema_error, &f);
    r = xmlSchemaValidateDoc(ctxt, doc);
    xmlSchemaFreeValidCtxt(ctxt);
    if (r == 0)
        return 0;
    if (f.rule)
        return xeno_fail(err, -EINVAL, "xml.schema", "line %d: %s: %s %s: %s", f.line, f.name,
                         without_head(f.text), f.name, f.rule);
    return xeno_fail(err, -EINVAL, "xml.schema", "line %d: %s: %s", f.line, f.name,
                     without_head(f.text));
}

int xeno_xml_parse(const char *text, size_t len, size_t max, const struct xeno_xml_schema *schema,
                   struct xeno_xml **ret, struct xeno_err *err)
{
    xmlDocPtr doc = NULL;
    int r;

    init();
    if (len > max)
        return xeno_fail(err, -EFBIG, "xml.size",
                         "the document has %zu bytes, at most %zu are allowed", len, max);
    r = check_encoding(text, len, err);
    if (r == 0)
        r = parse(text, len, &doc, err);
    if (r == 0 && schema)
        r = validate(doc, schema, err);
    if (r < 0) {
        xmlFreeDoc(doc);
        return r;
    }
    *ret = (struct xeno_xml *)doc;
    return 0;
}

void xeno_xml_free(struct xeno_xml *x)
{
    xmlFreeDoc((xmlDocPtr)x);
}
