/* src/xenod/stream.h - carry a program's input and output over an upgraded connection.
 *
 * One stream: on the one side the peer, in frames of xeno-stream/1; on the other the descriptors
 * that xeno-taskd handed over. Memory is bounded on both ways: who does not take what waits for it
 * is not read from.
 *
 *     peer --frames--> to_program --> in        stdin pipe, terminal, or conmon's attach socket
 *     peer <--frames-- to_peer    <-- out[0,1]  stdout and stderr pipes, terminal, or that socket
 *
 * The stream ends when the program has ended and its output is read to the end ({"exit":code} is
 * the last frame), or when the peer goes away: then a program run by exec gets SIGHUP.
 */
#ifndef XENOD_STREAM_H
#define XENOD_STREAM_H

#include "xenod/xenod.h"

enum xenod_stream_kind { XENOD_EXEC, XENOD_ATTACH };

/* Make one, not yet connected to anything. `name`: of the exec, or of the task. Owned by the
 * program's list; frees itself at its end. */
struct xenod_stream *xenod_stream_new(struct xenod *d, enum xenod_stream_kind kind,
                                      const char *session, const char *name, bool terminal);
/* Ask the task manager for the descriptors, then switch protocols. Answers q whatever happens.
 * `ask` is borrowed for the call. */
void xenod_stream_start(struct xenod_stream *x, struct xeno_http_req *q,
                        struct xeno_task_request *ask);

/* Does the request ask for xeno-stream/1? If not it is answered, and false. */
bool xenod_stream_asked(struct xeno_http_req *q);

#endif
