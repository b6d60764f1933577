// A tile in vectors. After a simd_*.h and a words_*.h.
#pragma once

#include "tile.h"

namespace {

constexpr int ROWS = VECTOR_ROWS;
constexpr int DEPTH = 1;  // products are of any number of words
constexpr bool BY_ROWS = false;  // a group of weights is [word][ROWS]

// What has to be done around the use of tiles: nothing.
struct Tiles {
    Tiles() {}
};

// In registers: [row][half of the panel].
template <int COUNT>
struct Tile {
    Vec sums[COUNT][2];

    // Every row begins with a number of its own.
    INLINED void begin_with_rows(const float *numbers) {
        UNROLLED for (int r = 0; r < COUNT; r++) sums[r][0] = sums[r][1] = all(numbers[r]);
    }
    INLINED void begin_empty() {
        UNROLLED for (int r = 0; r < COUNT; r++) sums[r][0] = sums[r][1] = zero();
    }
    INLINED void begin_with_columns(const float *numbers) {
        const Vec low = load(numbers), high = load(numbers + LANES);
        UNROLLED for (int r = 0; r < COUNT; r++) sums[r][0] = low, sums[r][1] = high;
    }
    // sums += left * right over `depth` words; right is [word][right_step].
    INLINED void multiply(Left left, const float *right, int right_step, int depth) {
        for (int k = 0; k < depth; k++) {
            const Vec low = load(right), high = load(right + LANES);
            UNROLLED for (int r = 0; r < COUNT; r++) {
                const Vec word = all(left.numbers[r * left.row]);
                sums[r][0] = multiply_add(word, low, sums[r][0]);
                sums[r][1] = multiply_add(word, high, sums[r][1]);
            }
            left.numbers += left.step;
            right += right_step;
        }
    }
    INLINED void add_from(const float *from, int stride) {
        UNROLLED for (int r = 0; r < COUNT; r++) {
            sums[r][0] = add(sums[r][0], load(from + r * stride));
            sums[r][1] = add(sums[r][1], load(from + r * stride + LANES));
        }
    }
    INLINED void multiply_by(const Vec (&factors)[2]) {
        UNROLLED for (int r = 0; r < COUNT; r++) {
            sums[r][0] = mul(sums[r][0], factors[0]);
            sums[r][1] = mul(sums[r][1], factors[1]);
        }
    }
    INLINED void store_to(float *to, int stride) const {
        UNROLLED for (int r = 0; r < COUNT; r++) {
            store(to + r * stride, sums[r][0]);
            store(to + r * stride + LANES, sums[r][1]);
        }
    }
    // Rows are pixels, columns their numbers: the first `count` are added to those of the map, which
    // are floats, or else words and the columns in their order.
    INLINED void add_to_map(void *map, bool floats, int64_t at, int pixel, int count) const {
        UNROLLED for (int r = 0; r < COUNT; r++, at += pixel)
            if (floats) add_floats(static_cast<float *>(map) + at, count, sums[r][0], sums[r][1]);
            else add_words(map, at, count, sums[r][0], sums[r][1]);
    }
    // As words: WORD rows become one.
    INLINED void store_words_to(float *to, int stride) const {
        UNROLLED for (int w = 0; w < COUNT / WORD; w++) {
            const Vec *low = sums[w * WORD], *last = sums[w * WORD + WORD - 1];
            store(to + w * stride, words_of(low[0], last[0]));
            store(to + w * stride + LANES, words_of(low[1], last[1]));
        }
    }
};

// Calls `work` with a Tile<count>; count is 1..ROWS.
template <int COUNT = ROWS, typename Work>
inline void with_tile(int count, Work &&work) {
    if constexpr (COUNT > 1)
        if (count < COUNT) return with_tile<COUNT - 1>(count, work);
    Tile<COUNT> tile;
    work(tile);
}

// Rows of words, [word][WIDE tokens], as `left` whose rows are tokens: they are read as they lie.
inline Left turned(const float *rows, int, float *) { return {rows, 1, SWIN2SR_TOKENS}; }

}  // namespace
