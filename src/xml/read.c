/* src/xml/read.c - reading a document, and writing one. */
#include <libxml/tree.h>
#include <stdbool.h>
#include <string.h>

#include "xml/xml.h"

static const xmlNode *raw(const struct xeno_xml_node *n)
{
    return (const xmlNode *)n;
}

const struct xeno_xml_node *xeno_xml_root(const struct xeno_xml *x)
{
    return (const struct xeno_xml_node *)xmlDocGetRootElement((const xmlDoc *)x);
}

const char *xeno_xml_name(const struct xeno_xml_node *n)
{
    return (const char *)raw(n)->name;
}

int xeno_xml_line(const struct xeno_xml_node *n)
{
    return (int)xmlGetLineNo(raw(n));
}

/* The first element called `name` from `n` on. */
static const struct xeno_xml_node *find(const xmlNode *n, const char *name)
{
    for (; n; n = n->next) {
        if (n->type == XML_ELEMENT_NODE && (!name || strcmp((const char *)n->name, name) == 0))
            return (const struct xeno_xml_node *)n;
    }
    return NULL;
}

const struct xeno_xml_node *xeno_xml_child(const struct xeno_xml_node *n, const char *name)
{
    return n ? find(raw(n)->children, name) : NULL;
}

const struct xeno_xml_node *xeno_xml_next(const struct xeno_xml_node *n, const char *name)
{
    return n ? find(raw(n)->next, name) : NULL;
}

/* The library allocates with malloc(), but only its own free is promised to match. */
static char *take_text(xmlChar *text)
{
    char *copy = xeno_strdup((const char *)text);

    xmlFree(text);
    return copy;
}

char *xeno_xml_text(const struct xeno_xml_node *n)
{
    char *text = take_text(xmlNodeGetContent(raw(n)));

    return text ? text : xeno_strdup("");
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

char *xeno_xml_token(const struct xeno_xml_node *n)
{
    char *text = xeno_xml_text(n), *out = text;

    for (const char *p = text; *p; p++) {
        if (!is_space(*p))
            *out++ = *p;
        else if (out != text && out[-1] != ' ')
            *out++ = ' ';
    }
    if (out != text && out[-1] == ' ')
        out--;
    *out = '\0';
    return text;
}

char *xeno_xml_attr(const struct xeno_xml_node *n, const char *name)
{
    return take_text(xmlGetNoNsProp(raw(n), (const xmlChar *)name));
}

void xeno_xml_escape(struct xeno_buf *b, const char *text)
{
    static const struct {
        char c;
        const char *as;
    } map[] = { { '&', "&amp;" }, { '<', "&lt;" },   { '>', "&gt;" },  { '"', "&quot;" },
                { '\t', "&#9;" }, { '\n', "&#10;" }, { '\r', "&#13;" } };

    for (; *text; text++) {
        const char *as = NULL;

        for (size_t i = 0; i < XENO_LEN(map); i++) {
            if (map[i].c == *text)
                as = map[i].as;
        }
        if (as)
            xeno_buf_puts(b, as);
        else
            xeno_buf_add(b, text, 1);
    }
}

void xeno_xml_put(struct xeno_buf *b, int level, const char *element, const char *text)
{
    xeno_buf_printf(b, "%*s<%s>", 2 * level, "", element);
    xeno_xml_escape(b, text);
    xeno_buf_printf(b, "</%s>\n", element);
}
