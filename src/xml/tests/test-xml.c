/* src/xml/tests/test-xml.c */
#include "xml/xml.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MAX 4096

static const char xsd[] =
    "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'>"
    "<xs:simpleType name='count'><xs:restriction base='xs:integer'>"
    "<xs:minInclusive value='1'/><xs:maxInclusive value='64'/></xs:restriction></xs:simpleType>"
    "<xs:element name='Doc'><xs:complexType><xs:sequence>"
    "<xs:element name='Name' type='xs:token'/>"
    "<xs:element name='Count' type='count' minOccurs='0'/>"
    "<xs:element name='Item' minOccurs='0' maxOccurs='2'><xs:complexType>"
    "<xs:attribute name='n' type='count' use='required'/></xs:complexType></xs:element>"
    "</xs:sequence></xs:complexType></xs:element></xs:schema>";

static const struct xeno_xml_rule rules[] = {
    { "Count", "a whole number from 1 to 64" },
    { "Item", "at most 2 times" },
    { "Item@n", "a whole number from 1 to 64 too" },
    { NULL },
};

static struct xeno_xml_schema *schema;

static int set_up(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    return xeno_xml_schema_new(xsd, strlen(xsd), rules, &schema, &err);
}

static int tear_down(void **state)
{
    (void)state;
    xeno_xml_schema_free(schema);
    return 0;
}

static void good_documents(void **state)
{
    static const char *const rows[] = {
        "<Doc><Name>a</Name></Doc>",
        "<?xml version=\"1.0\"?>\n<Doc><Name/></Doc>\n",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Doc><Name>\xc3\xa9</Name></Doc>",
        "<?xml version='1.0' encoding = 'utf-8' standalone='yes' ?><Doc><Name>a</Name></Doc>",
        "\xef\xbb\xbf<Doc><Name>a</Name></Doc>",
        "<!-- c --><Doc><?pi x?><Name>a</Name><Count> 64 </Count></Doc>",
        ("<Doc xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'"
         " xsi:noNamespaceSchemaLocation='file:///etc/passwd'><Name>a</Name></Doc>"),
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_xml) x = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_xml_parse(rows[i], strlen(rows[i]), MAX, schema, &x, &err);

        print_message("%s: %s\n", rows[i], err.text);
        assert_int_equal(r, 0);
        assert_string_equal(xeno_xml_name(xeno_xml_root(x)), "Doc");
    }
}

#define ROW(text_, token_, says_)                                                                  \
    {                                                                                              \
        .text = text_, .len = sizeof(text_) - 1, .token = token_, .says = says_                    \
    }

static const struct {
    const char *text;
    size_t len;
    const char *token, *says;
} bad[] = {
    ROW("", "xml.syntax", "well-formed"),
    ROW("   ", "xml.syntax", "well-formed"),
    ROW("<Doc>", "xml.syntax", "line 1"),
    ROW("<Doc>\n</Name>", "xml.syntax", "line 2"),
    ROW("<Doc><Name>a</Name></Doc><Doc/>", "xml.syntax", "line 1"),
    ROW("<Doc><Name>&x;</Name></Doc>", "xml.syntax", "x"),
    ROW("<Doc><Name>\x01</Name></Doc>", "xml.syntax", "line 1"),
    ROW("<!DOCTYPE Doc><Doc><Name>a</Name></Doc>", "xml.dtd", "line 1"),
    ROW("<!DOCTYPE Doc [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
        "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;\">]>"
        "<Doc><Name>&d;</Name></Doc>",
        "xml.dtd", "DOCTYPE"),
    ROW("<!DOCTYPE Doc [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Doc><Name>&x;</Name></Doc>",
        "xml.dtd", "DOCTYPE"),
    ROW("<!DOCTYPE Doc SYSTEM \"http://127.0.0.1:1/x.dtd\"><Doc><Name>a</Name></Doc>", "xml.dtd",
        "DOCTYPE"),
    ROW("\n\n<!DOCTYPE Doc [<!ENTITY % p SYSTEM \"file:///etc/passwd\"> %p;]><Doc/>", "xml.dtd",
        "line 3"),
    ROW("\xff\xfe<\0D\0o\0c\0/\0>\0", "xml.encoding", "UTF-16"),
    ROW("<\0D\0o\0c\0/\0>\0", "xml.encoding", "UTF-8"),
    ROW("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><Doc><Name>a</Name></Doc>", "xml.encoding",
        "ISO-8859-1"),
    ROW("<?xml version=\"1.0\" encoding=\"UTF-7\"?><Doc><Name>a</Name></Doc>", "xml.encoding",
        "UTF-7"),
    ROW("<Doc>\n<Name>\xe9</Name></Doc>", "xml.encoding", "line 2"),
    ROW("<Doc><Name>\xc3", "xml.encoding", "offset 11"),
    ROW("<Doc><Name>\xed\xa0\x80</Name></Doc>", "xml.", ""), /* a lone surrogate */
    ROW("<Doc><Name>\xc0\xbc</Name></Doc>", "xml.", ""),     /* '<' in two bytes */
    ROW("<Doc/>", "xml.schema", "Expected is ( Name )"),
    ROW("<Other/>", "xml.schema", "Other"),
    ROW("<Doc xmlns='urn:x'><Name>a</Name></Doc>", "xml.schema", "Doc"),
    ROW("<Doc><Name>a</Name><Name>b</Name></Doc>", "xml.schema",
        "Name: This element is not expected"),
    ROW("<Doc><Name>a</Name><New/></Doc>", "xml.schema", "New"),
    ROW("<Doc><Count>1</Count><Name>a</Name></Doc>", "xml.schema", "Expected is ( Name )"),
    ROW("<Doc a='1'><Name>a</Name></Doc>", "xml.schema", "a"),
    ROW("<Doc><Name>a</Name>\n<Count>0</Count></Doc>", "xml.schema",
        "minimum value allowed ('1'). Count: a whole number from 1 to 64"),
    ROW("<Doc><Name>a</Name><Count>65</Count></Doc>", "xml.schema", "from 1 to 64"),
    ROW("<Doc><Name>a</Name><Count>-1</Count></Doc>", "xml.schema", "from 1 to 64"),
    ROW("<Doc><Name>a</Name><Count>1.5</Count></Doc>", "xml.schema", "from 1 to 64"),
    ROW("<Doc><Name>a</Name><Count>9223372036854775808</Count></Doc>", "xml.schema",
        "from 1 to 64"),
    ROW("<Doc><Name>a</Name><Count>99999999999999999999999999999999999999</Count></Doc>",
        "xml.schema", "from 1 to 64"),
    ROW("<Doc><Name>a</Name><Item n='0'/></Doc>", "xml.schema", "1 to 64 too"),
    ROW("<Doc><Name>a</Name><Item n='1'/><Item n='1'/><Item n='1'/></Doc>", "xml.schema",
        "at most 2 times"),
};

static void bad_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_xml *x = NULL;

        assert_int_equal(xeno_xml_parse(bad[i].text, bad[i].len, MAX, schema, &x, &err), -EINVAL);
        print_message("%s\n", err.text);
        assert_ptr_equal(strstr(err.token, bad[i].token), err.token);
        assert_non_null(strstr(err.text, bad[i].says));
        assert_null(x);
    }
}

/* Any number of elements deep, the parser stops at the bound. */
static void depth_is_bounded(void **state)
{
    (void)state;
    for (int depth = XENO_XML_DEPTH; depth <= XENO_XML_DEPTH + 1; depth++) {
        xeno_autobuf b = XENO_BUF_INIT;
        xeno_auto(xeno_xml) x = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r;

        for (int i = 0; i < depth; i++)
            xeno_buf_puts(&b, "<a>");
        for (int i = 0; i < depth; i++)
            xeno_buf_puts(&b, "</a>");
        r = xeno_xml_parse(b.data, b.len, MAX, NULL, &x, &err);
        assert_int_equal(r, depth > XENO_XML_DEPTH ? -EINVAL : 0);
        if (r < 0)
            assert_string_equal(err.token, "xml.depth");
    }
}

static void size_is_bounded(void **state)
{
    char text[64] = "<Doc><Name>a</Name></Doc>";
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_xml *x = NULL;

    (void)state;
    assert_int_equal(xeno_xml_parse(text, strlen(text), strlen(text) - 1, schema, &x, &err),
                     -EFBIG);
    assert_string_equal(err.token, "xml.size");
    assert_non_null(strstr(err.text, "24"));
    assert_int_equal(xeno_xml_parse(text, strlen(text), strlen(text), schema, &x, &err), 0);
    xeno_xml_free(x);
}

static void reading(void **state)
{
    static const char text[] = "<Doc>\n<Name>  a <!-- c --> <![CDATA[<b>]]>\n</Name>"
                               "<Item n=' 7'/><Item n='8'/></Doc>";
    xeno_auto(xeno_xml) x = NULL;
    xeno_autofree char *exact = NULL;
    xeno_autofree char *token = NULL;
    xeno_autofree char *attr = NULL;
    const struct xeno_xml_node *root, *item;

    (void)state;
    assert_int_equal(xeno_xml_parse(text, strlen(text), MAX, schema, &x, NULL), 0);
    root = xeno_xml_root(x);
    exact = xeno_xml_text(xeno_xml_child(root, "Name"));
    assert_string_equal(exact, "  a  <b>\n");
    token = xeno_xml_token(xeno_xml_child(root, "Name"));
    assert_string_equal(token, "a <b>");
    assert_int_equal(xeno_xml_line(xeno_xml_child(root, NULL)), 2);
    item = xeno_xml_next(xeno_xml_child(root, "Item"), "Item");
    attr = xeno_xml_attr(item, "n");
    assert_string_equal(attr, "8");
    assert_null(xeno_xml_attr(item, "m"));
    assert_null(xeno_xml_next(item, NULL));
    assert_null(xeno_xml_child(NULL, "Item"));
    assert_null(xeno_xml_child(item, NULL));
}

static void escapes_read_back(void **state)
{
    static const char odd[] = " <a b=\"c\">'&amp;' \t\r\n \xc3\xa9";
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_auto(xeno_xml) x = NULL;
    xeno_autofree char *text = NULL;
    xeno_autofree char *attr = NULL;

    (void)state;
    xeno_buf_puts(&b, "<R a=\"");
    xeno_xml_escape(&b, odd);
    xeno_buf_puts(&b, "\">");
    xeno_xml_escape(&b, odd);
    xeno_buf_puts(&b, "</R>");
    assert_int_equal(xeno_xml_parse(b.data, b.len, MAX, NULL, &x, NULL), 0);
    text = xeno_xml_text(xeno_xml_root(x));
    attr = xeno_xml_attr(xeno_xml_root(x), "a");
    assert_string_equal(text, odd);
    assert_string_equal(attr, odd);
}

static void a_wrong_schema_is_told(void **state)
{
    struct xeno_xml_schema *s = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_xml_schema_new("<x/>", 4, NULL, &s, &err), -EINVAL);
    assert_string_equal(err.token, "xml.schema");
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_documents),
        cmocka_unit_test(bad_documents),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(reading),
        cmocka_unit_test(escapes_read_back),
        cmocka_unit_test(a_wrong_schema_is_told),
    };
    return cmocka_run_group_tests_name("xml", tests, set_up, tear_down);
}
