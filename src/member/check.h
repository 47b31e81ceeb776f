/* src/member/check.h - what --check says of a member's daemon: a line for each thing looked at.
 *
 * Each line on standard output is "ok", "MISSING" or "note", what was looked at, and what was found
 * or is to be done. Here are the lines that all members' daemons have; each adds its own. Changes
 * nothing, but that a credential which expired meanwhile is renewed.
 */
#ifndef XENO_MEMBER_CHECK_H
#define XENO_MEMBER_CHECK_H

#include "member/member.h"

struct xeno_check {
    const char *program; /* "xenod" */
    int missing;         /* so far */
};

void xeno_check_say(struct xeno_check *c, bool ok, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void xeno_check_note(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Was the clock ever set? */
void xeno_check_clock(struct xeno_check *c, const struct xeno_env *env);
/* Is the folder ours to write? Returns: it, opened; -1 when not. */
int xeno_check_dir(struct xeno_check *c, const char *dir);
/* Load the member. */
void xeno_check_credential(struct xeno_check *c, struct xeno_member *m, struct sd_event *loop);
/* Clock, folder, credential and XenoCorp of `who` (its dirfd is not looked at); what was opened is
 * the caller's, as of xeno_member_open(). `otherwise`: what does not go on without the XenoCorp.
 * Returns: is the member there and loaded? */
bool xeno_check_member(struct xeno_check *c, const struct xeno_member_opts *who, int *ret_dirfd,
                       struct sd_event **loop, struct xeno_member **ret, const char *otherwise);
/* May one listen there? With socket activation the address is systemd's business, and a daemon that
 * runs has it: then it is a note. */
void xeno_check_listen(struct xeno_check *c, const char *listen);
/* What src/sandbox needs of the kernel. */
void xeno_check_sandbox(struct xeno_check *c);

/* Say how many are missing. Returns: the exit status. */
int xeno_check_end(const struct xeno_check *c);

#endif
