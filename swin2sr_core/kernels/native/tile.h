// What tiles are made of, and what they work on. After a simd_*.h and a words_*.h.
//
// A Tile is up to ROWS rows by a PANEL of sums. There are two, with the same functions: of vectors
// (tile_vectors.h), and of AMX's own registers (tile_amx.h). Products are of words, sums are floats.
#pragma once

#include "block.h"

namespace {

constexpr int PANEL = 2 * LANES;  // tokens
constexpr int PANELS = SWIN2SR_TOKENS / PANEL;

// A tile's functions are inlined and its loops unrolled at once: only then do compilers keep its sums
// in registers.
#if defined(__GNUC__)
#define INLINED inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")
#else
#define INLINED __forceinline
#define UNROLLED
#endif

inline int words(int numbers) { return (numbers + WORD - 1) / WORD; }

// Numbers of a pixel's `channels` that go into LANES words from word `w` on.
inline int numbers_at(int channels, int w) {
    const int left = channels - w * WORD;
    return left < LANES * WORD ? left : LANES * WORD;
}

// Two vectors are added to the first `count` numbers of `to`.
inline void add_floats(float *to, int count, Vec low, Vec high) {
    const int first = count < LANES ? count : LANES;
    const int rest = count - first < LANES ? count - first : LANES;
    store_part(to, add(load_part(to, first), low), first);
    if (rest > 0) store_part(to + LANES, add(load_part(to + LANES, rest), high), rest);
}

// The left side of a product, by rows of the sums and words.
struct Left {
    const float *numbers;
    int row, step;  // from one row, and one word, to the next

    Left from(int first) const { return {numbers + int64_t{first} * row, row, step}; }
};

}  // namespace
