// The matrix product: one tile in registers, and a layer out of tiles. After a simd_*.h.
#pragma once

#include "block.h"

namespace {

constexpr int PANEL = 2 * LANES;  // tokens
constexpr int PANELS = SWIN2SR_TOKENS / PANEL;
constexpr int GROUPS_BYTES = 14 << 10;  // of weights that stay in L1 beside a panel

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

// Rows of the sums: [row][half of the panel]. Products are of words, sums are floats.
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
    // sums[r] += left[r * left_row + k * left_step] * right[k * right_step ...] over `depth` words.
    INLINED void multiply(const float *left, int left_row, int left_step, const float *right,
                          int right_step, int depth) {
        for (int k = 0; k < depth; k++) {
            const Vec low = load(right), high = load(right + LANES);
            UNROLLED for (int r = 0; r < COUNT; r++) {
                const Vec word = all(left[r * left_row]);
                sums[r][0] = multiply_add(word, low, sums[r][0]);
                sums[r][1] = multiply_add(word, high, sums[r][1]);
            }
            left += left_step;
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

inline int tile_rows(int row, int rows) { return rows - row < ROWS ? rows - row : ROWS; }

// A linear layer on a whole window: finish(tile of weight in + bias, panel, row), for `rows` rows.
//
// `in` is [panel][depth][PANEL], `depth` in words. Weights are read once for all panels, a few groups
// at a time.
struct Layer {
    const float *weight, *bias;
    int rows, depth;
};

template <typename Finish>
inline void apply(const Layer &layer, const float *in, int panels, Finish finish) {
    const int group_bytes = layer.depth * ROWS * static_cast<int>(sizeof(float));
    const int most = GROUPS_BYTES / group_bytes;
    const int chunk = ROWS * (most > 1 ? most : 1);
    for (int begin = 0; begin < layer.rows; begin += chunk) {
        const int end = layer.rows - begin < chunk ? layer.rows : begin + chunk;
        for (int p = 0; p < panels; p++)
            for (int row = begin; row < end; row += ROWS)
                with_tile(tile_rows(row, layer.rows), [&](auto &tile) {
                    tile.begin_with_rows(layer.bias + row);
                    tile.multiply(layer.weight + int64_t{row} * layer.depth, 1, ROWS,
                                  in + int64_t{p} * layer.depth * PANEL, PANEL, layer.depth);
                    finish(tile, p, row);
                });
    }
}

}  // namespace
