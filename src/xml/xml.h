/* src/xml/xml.h - XML from strangers: parsed, checked against a compiled XSD, then only read.
 *
 * A document is UTF-8, at most `max` bytes and XENO_XML_DEPTH elements deep. One with a document
 * type declaration is refused at its first byte, so there are no entities to expand and nothing to
 * fetch; the loader of external entities is replaced by one that gives nothing. The schema is
 * compiled once, before a daemon's sandbox, and may be shared. (libxml2 behind.)
 * Context: any thread, a document one at a time.
 */
#ifndef XENO_XML_XML_H
#define XENO_XML_XML_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#define XENO_XML_DEPTH 16

struct xeno_xml_schema;
struct xeno_xml;      /* a document */
struct xeno_xml_node; /* an element of it; never freed by itself */

/* What a person must know about an element or attribute ("Port", "Port@port") when it is wrong: put
 * into the error after the validator's own words. */
struct xeno_xml_rule {
    const char *name;
    const char *rule; /* "a whole number from 1 to 65535" */
};

/* Compile an XSD. `rules` ends with name NULL and is borrowed for ever; NULL: none.
 * Errors: -EINVAL xml.schema: our own mistake. */
int xeno_xml_schema_new(const char *xsd, size_t len, const struct xeno_xml_rule *rules,
                        struct xeno_xml_schema **ret, struct xeno_err *err);
void xeno_xml_schema_free(struct xeno_xml_schema *s);
XENO_DEFINE_AUTO(xeno_xml_schema, xeno_xml_schema_free);

/* Parse and validate.
 *
 * Returns: 0 and the document, the caller's.
 * Errors:  -EFBIG  xml.size      more than max bytes
 *          -EINVAL xml.encoding  not UTF-8, or declared as something else
 *                  xml.dtd       a document type declaration
 *                  xml.depth     nested too deep
 *                  xml.syntax    not well-formed: line and what is wrong
 *                  xml.schema    against the schema: line, element, rule
 */
int xeno_xml_parse(const char *text, size_t len, size_t max, const struct xeno_xml_schema *schema,
                   struct xeno_xml **ret, struct xeno_err *err);
void xeno_xml_free(struct xeno_xml *x);
XENO_DEFINE_AUTO(xeno_xml, xeno_xml_free);

const struct xeno_xml_node *xeno_xml_root(const struct xeno_xml *x);
const char *xeno_xml_name(const struct xeno_xml_node *n);
int xeno_xml_line(const struct xeno_xml_node *n);
/* The first child element, or the next sibling element, called `name` (NULL: any); NULL: none. A
 * NULL `n` has neither. */
const struct xeno_xml_node *xeno_xml_child(const struct xeno_xml_node *n, const char *name);
const struct xeno_xml_node *xeno_xml_next(const struct xeno_xml_node *n, const char *name);

/* The text inside an element, exact; the caller's. */
char *xeno_xml_text(const struct xeno_xml_node *n);
/* The same with white space trimmed and runs of it made one space, as the XSD type token says. */
char *xeno_xml_token(const struct xeno_xml_node *n);
/* An attribute's value; the caller's; NULL: absent. */
char *xeno_xml_attr(const struct xeno_xml_node *n, const char *name);

/* Append `text` so that a parser reads exactly it back, in an element or in a quoted attribute. */
void xeno_xml_escape(struct xeno_buf *b, const char *text);
/* Append "<element>text</element>\n", indented by two spaces a level. */
void xeno_xml_put(struct xeno_buf *b, int level, const char *element, const char *text);

#endif
