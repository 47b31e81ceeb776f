/* src/member/options.h - the options in which an operator says what the XenoCorp is told. */
#ifndef XENO_MEMBER_OPTIONS_H
#define XENO_MEMBER_OPTIONS_H

#include <stddef.h>

#include "conf/conf.h"

/* As in struct xeno_member_join. */
struct xeno_member_told {
    char *endpoint, *hosts, *name, *owner, *contact, *payout;
};

#define XENO_MEMBER_ITEM(type_, field_, item_, ...)                                                \
    {                                                                                              \
        .name = #item_, .type = XENO_CONF_TEXT,                                                    \
        .offset = offsetof(type_, field_) + offsetof(struct xeno_member_told, item_), __VA_ARGS__  \
    }

/* The rows of a program's table: its options `type_` have a struct xeno_member_told as `field_`;
 * it is called `name_` unless the operator says otherwise, and is a `what_`. */
#define XENO_MEMBER_ITEMS(type_, field_, name_, what_)                                             \
    XENO_MEMBER_ITEM(type_, field_, endpoint, .max = 200,                                          \
                     .help = "URL clients reach this " what_ " by; told at enrolment"),            \
        XENO_MEMBER_ITEM(type_, field_, hosts, .fallback = "127.0.0.1,localhost", .max = 500,      \
                         .help = "Names and addresses for the certificate, with commas; told at "  \
                                 "enrolment"),                                                     \
        XENO_MEMBER_ITEM(type_, field_, name, .fallback = name_, .min = 1, .max = 100,             \
                         .help = "What this " what_ " is called; told at enrolment"),              \
        XENO_MEMBER_ITEM(type_, field_, owner, .fallback = "unknown", .min = 1, .max = 200,        \
                         .help = "Who runs it; told at enrolment"),                                \
        XENO_MEMBER_ITEM(type_, field_, contact, .max = 200,                                       \
                         .help = "How to reach them; told at enrolment"),                          \
        XENO_MEMBER_ITEM(type_, field_, payout, .max = 500,                                        \
                         .help = "Where earnings are paid to; told at enrolment")

#endif
