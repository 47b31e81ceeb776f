/* src/cli/signed.h - signed names: from template://[PUBLISHER/]NAME/VERSION to the image it stands
 * for, and which images came by one (rfc/0010). What was seen of each name is remembered in .names/
 * of the image store. */
#ifndef XENO_CLI_SIGNED_H
#define XENO_CLI_SIGNED_H

#include "cli/publisher.h"
#include "cli/remote.h"
#include "image/seen.h"

/* "template://..." or "overlay://..."? */
bool cli_is_signed(const char *word);

/* What follows the scheme, which must be that of the verb; or all of it, when it has none.
 * Errors: usage, -EINVAL name.ref. */
int cli_signed_parse(const struct cli *cli, const char *word, struct xeno_name_ref *ret,
                     struct xeno_err *err);

/* The tag of the statements about a version, in the repository of its images. */
#define CLI_SIGNED_TAG (XENO_NAME_WORD + 8)
const char *cli_signed_tag(const char *version, char out[CLI_SIGNED_TAG]);

/* struct xeno_artifact_type of a statement. */
#define CLI_SIGNED_TYPE                                                                            \
    {                                                                                              \
        "application/vnd.xeno.name.v1", "application/vnd.xeno.name.v1+jws"                         \
    }

/* The repository of the name's images and statements, opened. */
int cli_signed_open(struct cli *cli, const struct cli_args *args, const struct cli_publisher *p,
                    const struct xeno_name_ref *ref, const char *tag, bool write,
                    struct cli_remote **ret, struct xeno_err *err);

/* The statement the registry has about it now, read and checked, and its text, the caller's.
 * Errors: -ENOENT name.none, and those of artifact.h and doc/name.h. */
int cli_signed_fetch(struct cli *cli, struct cli_remote *remote, const struct cli_publisher *p,
                     const struct xeno_name_ref *ref, struct xeno_name *ret, char **ret_text,
                     struct xeno_err *err);

/* Ask what `word` stands for, and take note of it beside the image store `store`. *ret is opened
 * for the pull and names the image by its digest. Errors: those above, of image/seen.h, name.kind.
 */
int cli_signed_resolve(struct cli *cli, const struct cli_args *args, const char *word,
                       const char *store, struct cli_remote **ret, struct xeno_name *ret_said,
                       struct xeno_err *err);

/* The same for EnvTemplate and EnvOverlay of a session to be: whoever starts it is to believe
 * nobody, so the name is asked for here, and noted in names/ of the profile. While the registry is
 * away what it said last is taken, as long as that is good.
 *
 * Returns: 1 and "oci://HOST/REPO@DIGEST", the caller's; 0 when `ref` is no signed name, or one of
 *          a publisher nobody here knows, or one of our own that was never published: the
 *          XenoServer may have an image of that name.
 * Errors:  those of cli_signed_resolve(). */
int cli_signed_pin(struct cli *cli, const char *ref, char **ret, struct xeno_err *err);
/* All names of a requirement document, in place. */
struct xeno_requirement;
int cli_signed_pin_all(struct cli *cli, struct xeno_requirement *req, struct xeno_err *err);

/* --- which images came by one --- */

/* What was seen beside `store`; when that cannot be read, nothing. */
struct xeno_seen_list *cli_signed_list(const char *store);

/* Member "signed" of an image's JSON. */
struct xeno_json *cli_signed_json(const struct xeno_name *n);
struct xeno_json *cli_signed_of(const struct xeno_seen_list *list, const char *digest);

/* "debian/12/current 1795285214" of the last statement that named the image; NULL: none. The
 * caller's. */
char *cli_signed_short(const struct cli *cli, const struct xeno_seen_list *list,
                       const char *digest);

/* A field for each name it came by. */
void cli_signed_show(const struct cli *cli, const struct xeno_seen_list *list, const char *digest);

#endif
