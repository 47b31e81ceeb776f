/* src/xis/tests/replica-world.h - nodes, their disks, and a network that loses, doubles and delays,
 * under a virtual clock. Adverts are short texts with a sum that only the world can make. */
#ifndef XENO_XIS_TESTS_REPLICA_WORLD_H
#define XENO_XIS_TESTS_REPLICA_WORLD_H

#include "xis/replica.h"

#define NODES_MAX 8
#define ADVERTS   280 /* more than a page */
#define STEP      xeno_ms(250)

struct version {
    int64_t version;
    xeno_time expires;
};

struct late {
    uint64_t ticket;
    struct xeno_replica_item item;
    char text[80];
};

struct world;
struct node {
    struct xeno_env env; /* its clock may be off */
    struct world *w;
    size_t index;
    bool up, liar;
    int group; /* only those of a group hear each other */
    xeno_time skew;
    struct xeno_replica *r;
    struct version disk[ADVERTS];
    int64_t highest[ADVERTS]; /* ever on this disk */
    struct late late[512];
    size_t late_count;
};

struct packet {
    xeno_time at;
    size_t from, to;
    bool answer;
    char *text;
    size_t len;
};

struct world {
    struct xeno_env_test t;
    size_t count;
    struct node nodes[NODES_MAX];
    xeno_time repair; /* of nodes that start from now on: from one to the next, about */
    struct xeno_id ids[ADVERTS];
    struct version made[ADVERTS]; /* what its publisher made last */
    struct packet *packets;
    size_t packet_count, packet_room;
    unsigned loss, again; /* per cent: packets lost or doubled; offers not taken at once */
    uint64_t bytes;
    char *old_answer; /* what liars repeat */
};

void world_init(struct world *w, uint64_t seed, size_t nodes);
void world_release(struct world *w);
uint64_t world_below(struct world *w, uint64_t n);

/* A node starts, with what is on its disk or (fresh) nothing; it stops as by kill -9. */
void world_start(struct world *w, size_t node, bool fresh);
void world_kill(struct world *w, size_t node);

/* Advert i gets a new version, or the one given, which node `node` takes if it is news. */
bool world_publish(struct world *w, size_t node, size_t i, xeno_time lease);
bool world_bring(struct world *w, size_t node, size_t i, struct version v);

void world_step(struct world *w);
void world_run(struct world *w, xeno_time len);

/* Do all honest nodes that are up hold the same? */
bool world_agrees(struct world *w);
/* The version of advert i that is alive at a node; 0: none. */
int64_t world_has(const struct world *w, size_t node, size_t i);

#endif
