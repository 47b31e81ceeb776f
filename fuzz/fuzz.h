/* fuzz/fuzz.h - what every fuzz target needs. */
#ifndef XENO_FUZZ_H
#define XENO_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold for every input; the fuzzer keeps the input that breaks it. */
#define XENO_REQUIRE(cond)                                                                         \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

#endif
