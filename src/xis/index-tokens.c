/* src/xis/index-tokens.c - what is known of tokens. */
#include <string.h>

#include "xis/index-priv.h"

static double number_at(const struct xeno_node *root, uint64_t rank)
{
    struct xeno_cursor c;
    struct xeno_entry e = { .key = 0 };

    xeno_cursor_set(&c, root, false, rank);
    xeno_cursor_get(&c, &e);
    return xeno_number_of_key(e.key);
}

size_t xeno_index_tokens(const struct xeno_index *ix, const char *after, size_t limit,
                         struct xeno_token_info *ret)
{
    const struct xeno_names *names = atomic_load(&ix->names);
    size_t low = 0, high = names->n, n = 0;

    while (after && low < high) {
        size_t mid = (low + high) / 2;

        if (strcmp(names->token[mid]->path, after) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < names->n && n < limit; low++) {
        const struct xeno_token *t = names->token[low];
        const struct xeno_node *root = xeno_tree_root(&t->numbers);
        struct xeno_token_info i = { .path = t->path, .numbers = xeno_tree_count(root) };

        i.strings = xeno_tree_count(xeno_tree_root(&t->texts));
        if (i.numbers > 0) {
            i.min = number_at(root, 0);
            i.max = number_at(root, i.numbers - 1);
        }
        if (i.numbers + i.strings > 0) /* else it is on its way in or out */
            ret[n++] = i;
    }
    return n;
}
