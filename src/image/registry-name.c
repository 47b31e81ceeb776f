/* src/image/registry-name.c - names of images at registries (distribution-spec, "pull"). */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/registry-priv.h"

static int fail(struct xeno_err *err, const char *text, const char *why)
{
    return xeno_fail(err, -EINVAL, "oci.name",
                     "'%.300s' is not oci://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST]: %s", text, why);
}

static bool is_word(char c)
{
    return islower((unsigned char)c) || isdigit((unsigned char)c);
}

/* Between two words: ".", "_", "__" or any number of "-". */
static bool joint_ok(const char *p, size_t len)
{
    return len == 1 || (len == 2 && p[0] == '_' && p[1] == '_') || strspn(p, "-") >= len;
}

static bool segment_ok(const char *p, size_t len)
{
    const char *end = p + len;

    for (;;) {
        size_t joint = 0;
        const char *word = p;

        while (p < end && is_word(*p))
            p++;
        if (p == word || p == end)
            return p > word;
        while (p + joint < end && strchr("._-", p[joint]))
            joint++;
        if (joint == 0 || !joint_ok(p, joint))
            return false;
        p += joint;
    }
}

bool xeno_registry_repo_ok(const char *repo)
{
    if (strlen(repo) > XENO_REGISTRY_REPO_MAX)
        return false;
    for (;;) {
        size_t len = strcspn(repo, "/");

        if (!segment_ok(repo, len))
            return false;
        if (repo[len] == '\0')
            return true;
        repo += len + 1;
    }
}

static bool port_ok(const char *port)
{
    size_t len = strspn(port, "0123456789");

    return len > 0 && len <= 5 && port[len] == '\0' && atoi(port) > 0 && atoi(port) < 65536;
}

bool xeno_registry_host_ok(const char *host)
{
    const char *end;

    if (strlen(host) > XENO_REGISTRY_HOST_MAX)
        return false;
    if (host[0] == '[') {
        end = host + 1 + strspn(host + 1, "0123456789abcdefABCDEF:.");
        if (end == host + 1 || *end++ != ']')
            return false;
    } else {
        end = host;
        while (isalnum((unsigned char)*end) || *end == '-' || *end == '.')
            end++;
        if (end == host || !isalnum((unsigned char)host[0]) || !isalnum((unsigned char)end[-1]))
            return false;
    }
    return *end == '\0' || (*end == ':' && port_ok(end + 1));
}

static bool tag_ok(const char *tag)
{
    if (strlen(tag) > XENO_REGISTRY_TAG_MAX || *tag == '\0' || *tag == '.' || *tag == '-')
        return false;
    for (; *tag; tag++)
        if (!isalnum((unsigned char)*tag) && !strchr("_.-", *tag))
            return false;
    return true;
}

/* Returns: NULL, or what is wrong. */
static const char *read_within(const char *text, struct xeno_registry_name *n)
{
    size_t repo = strcspn(text, ":@");
    const char *rest = text + repo, *at = strchr(rest, '@');

    n->tag[0] = n->digest[0] = '\0';
    if (repo > XENO_REGISTRY_REPO_MAX)
        return "the repository's name is too long";
    snprintf(n->repo, sizeof(n->repo), "%.*s", (int)repo, text);
    if (!xeno_registry_repo_ok(n->repo))
        return "the repository is words of a-z and 0-9, joined by / . _ __ or -";
    if (at && !xeno_digest_ok(at + 1))
        return "after '@' comes sha256: and 64 digits";
    if (*rest == ':') {
        xeno_autofree char *tag =
            at ? xeno_strndup(rest + 1, (size_t)(at - rest - 1)) : xeno_strdup(rest + 1);

        if (!tag_ok(tag))
            return "a tag is letters, digits and _ . -, at most 128";
        snprintf(n->tag, sizeof(n->tag), "%s", at ? "" : tag);
    } else if (!at) {
        snprintf(n->tag, sizeof(n->tag), "latest");
    }
    if (at)
        snprintf(n->digest, sizeof(n->digest), "%s", at + 1);
    return NULL;
}

int xeno_registry_name_within(const char *text, struct xeno_registry_name *ret,
                              struct xeno_err *err)
{
    struct xeno_registry_name n = *ret;
    const char *why = read_within(text, &n);

    if (why)
        return xeno_fail(err, -EINVAL, "oci.name", "'%.300s' is not REPOSITORY[:TAG]: %s", text,
                         why);
    *ret = n;
    return 0;
}

int xeno_registry_name_parse(const char *text, struct xeno_registry_name *ret, struct xeno_err *err)
{
    static const char scheme[] = XENO_REGISTRY_SCHEME;
    struct xeno_registry_name n = { .host = "" };
    const char *host = text + sizeof(scheme) - 1, *why;
    size_t len;

    if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
        return fail(err, text, "it does not start with oci://");
    len = strcspn(host, "/");
    if (host[len] != '/')
        return fail(err, text, "it names no repository");
    if (len > XENO_REGISTRY_HOST_MAX)
        return fail(err, text, "the host is too long");
    snprintf(n.host, sizeof(n.host), "%.*s", (int)len, host);
    if (!xeno_registry_host_ok(n.host))
        return fail(err, text, "the host is a name or an address, with a port or without");
    why = read_within(host + len + 1, &n);
    if (why)
        return fail(err, text, why);
    *ret = n;
    return 0;
}

char *xeno_registry_name_format(const struct xeno_registry_name *n)
{
    return xeno_asprintf("%s%s/%s%s%s", XENO_REGISTRY_SCHEME, n->host, n->repo,
                         n->digest[0] ? "@" : ":", n->digest[0] ? n->digest : n->tag);
}
