/* src/doc/complaint.h - a client says that a XenoServer's advert was false (rfc/0020).
 *
 * Signed by the client, with the evidence inside: the advert as the XenoServer signed it, and other
 * documents that it signed (receipts). Whether these are signed by whom they say, and the session
 * was the client's, is for who takes the complaint to see (corp/complaints.h).
 */
#ifndef XENO_DOC_COMPLAINT_H
#define XENO_DOC_COMPLAINT_H

#include "crypto/key.h"
#include "doc/types.h"

#define XENO_COMPLAINT_MAX      (256 * 1024) /* bytes of the signed document */
#define XENO_COMPLAINT_TEXT     1000         /* bytes of what the client says */
#define XENO_COMPLAINT_RECEIPTS 8
#define XENO_COMPLAINT_SIGNED   (96 * 1024) /* bytes of an advert or a receipt */
#define XENO_COMPLAINT_WORD_MAX 16

/* What was false; the words of rfc/0020 in this order. */
enum xeno_complaint_about {
    XENO_COMPLAINT_RESOURCES,
    XENO_COMPLAINT_PRICE,
    XENO_COMPLAINT_ISOLATION,
    XENO_COMPLAINT_LATENCY,
    XENO_COMPLAINT_LOCATION,
    XENO_COMPLAINT_IMAGES,
    XENO_COMPLAINT_ACCESS,
    XENO_COMPLAINT_OTHER,
    XENO_COMPLAINT_COUNT
};
const char *xeno_complaint_word(enum xeno_complaint_about about);
bool xeno_complaint_about_parse(const char *word, enum xeno_complaint_about *ret);

/* Borrows everything, from the reader's document or the maker's texts. */
struct xeno_complaint {
    struct xeno_id client; /* filled in by the reader */
    struct xeno_id server;
    char session[XENO_SESSION_ID_CHARS + 1];
    enum xeno_complaint_about about;
    const char *text;           /* "" when the client says no more */
    const char *advert, *delta; /* signed; delta NULL: none */
    size_t receipt_count;
    const char *receipts[XENO_COMPLAINT_RECEIPTS];
    xeno_time time;
};

/* Returns: the signed text, the caller's. */
char *xeno_complaint_sign(const struct xeno_key *client, const struct xeno_complaint *c);

/* Is it a complaint, signed by that client? *ret_doc is what `ret` borrows from, the caller's.
 * Errors: -EFBIG complaint.size, -EINVAL complaint.about, and those of jws.h and json.h. */
int xeno_complaint_read(const char *text, size_t len, const struct xeno_pub *client,
                        struct xeno_json **ret_doc, struct xeno_complaint *ret,
                        struct xeno_err *err);

#endif
