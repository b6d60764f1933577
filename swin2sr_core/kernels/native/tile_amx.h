// A tile in AMX's registers. After simd_avx512.h and words_bf16.h.
//
// AMX multiplies 16 rows of 32 bf16 by 32 rows of 16 bf16, where a register's row on the right holds
// two neighbours of each column: words, as everything here. So `right` is read as it lies, and `left`
// has the words of a row side by side. Four registers hold the sums of 32 x 32, two and two what is
// multiplied. The sums go to memory before anything else is done with them.
#pragma once

#include "tile.h"

#ifdef SWIN2SR_EMULATED_AMX  // a header with the same functions, for CPUs that have none
#include SWIN2SR_EMULATED_AMX
#else
#include "amx.h"
#endif

namespace {

constexpr int ROWS = 2 * AMX_ROWS;
constexpr int DEPTH = AMX_WORDS;  // products are of whole registers
constexpr bool BY_ROWS = true;  // a group of weights is [ROWS][word]

static_assert(PANEL == 2 * AMX_WORDS, "a panel is two registers wide");

// Registers are the thread's own while one of these exists.
struct Tiles {
    Tiles() { amx_configure(); }
    ~Tiles() { amx_release(); }
};

class Tile {
public:
    explicit Tile(int count) : count_(count) {}

    void begin_empty() {
        amx_zero<0>(), amx_zero<1>(), amx_zero<2>(), amx_zero<3>();
        rows_ = columns_ = nullptr;
        in_memory_ = false;
    }
    // Every row begins with a number of its own, or every column.
    void begin_with_rows(const float *numbers) { begin_empty(), rows_ = numbers; }
    void begin_with_columns(const float *numbers) { begin_empty(), columns_ = numbers; }

    // sums += left * right over `depth` words, whole registers of them; left.step is 1.
    void multiply(Left left, const float *right, int right_step, int depth) {
        const bool both = count_ > AMX_ROWS;
        const Left lower = left.from(AMX_ROWS);
        for (int k = 0; k < depth; k += AMX_WORDS, right += AMX_WORDS * right_step) {
            amx_load<4>(left.numbers + k, left.row);
            amx_load<6>(right, right_step);
            amx_load<7>(right + AMX_WORDS, right_step);
            amx_multiply<0>();
            amx_multiply<1>();
            if (!both) continue;
            amx_load<5>(lower.numbers + k, lower.row);
            amx_multiply<2>();
            amx_multiply<3>();
        }
    }
    void add_from(const float *from, int stride) {
        to_memory();
        for_all([&](int r, int half, float *sum) {
            store(sum, add(load(sum), load(from + r * stride + half * LANES)));
        });
    }
    void multiply_by(const Vec (&factors)[2]) {
        to_memory();
        for_all([&](int, int half, float *sum) { store(sum, mul(load(sum), factors[half])); });
    }
    void store_to(float *to, int stride) {
        to_memory();
        for_all([&](int r, int half, float *sum) {
            store(to + r * stride + half * LANES, load(sum));
        });
    }
    // The first `count` numbers of the rows' pixels are added to the map; see tile_vectors.h.
    void add_to_map(void *map, bool floats, int64_t at, int pixel, int count) {
        to_memory();
        for (int r = 0; r < count_; r++, at += pixel) {
            const Vec low = load(row(r)), high = load(row(r) + LANES);
            if (floats) add_floats(static_cast<float *>(map) + at, count, low, high);
            else add_words(map, at, count, low, high);
        }
    }
    // As words: WORD rows become one.
    void store_words_to(float *to, int stride) {
        to_memory();
        for (int w = 0; w < count_ / WORD; w++)
            for (int half = 0; half < 2; half++)
                store(to + w * stride + half * LANES,
                      words_of(load(row(w * WORD) + half * LANES), load(row(w * WORD + 1) + half * LANES)));
    }

private:
    float *row(int r) { return sums_ + r * PANEL; }

    template <typename Work>
    void for_all(Work work) {
        for (int r = 0; r < count_; r++)
            for (int half = 0; half < 2; half++) work(r, half, row(r) + half * LANES);
    }
    void to_memory() {
        if (in_memory_) return;
        amx_store<0>(row(0), PANEL), amx_store<1>(row(0) + AMX_WORDS, PANEL);
        if (count_ > AMX_ROWS)
            amx_store<2>(row(AMX_ROWS), PANEL), amx_store<3>(row(AMX_ROWS) + AMX_WORDS, PANEL);
        in_memory_ = true;
        if (rows_ == nullptr && columns_ == nullptr) return;
        for_all([&](int r, int half, float *sum) {
            const Vec begun = rows_ != nullptr ? all(rows_[r]) : load(columns_ + half * LANES);
            store(sum, add(load(sum), begun));
        });
    }

    alignas(64) float sums_[ROWS * PANEL];
    const float *rows_ = nullptr, *columns_ = nullptr;
    int count_;
    bool in_memory_ = false;
};

template <typename Work>
inline void with_tile(int count, Work &&work) {
    Tile tile(count);
    work(tile);
}

// Rows of words, [word][WIDE tokens], as `left` whose rows are tokens, in `to`.
inline Left turned(const float *rows, int depth, float *to) {
    for (int token = 0; token < SWIN2SR_TOKENS; token += LANES)
        for (int w = 0; w < depth; w += LANES) {
            Vec square[LANES];
            for (int i = 0; i < LANES; i++) square[i] = load(rows + (w + i) * SWIN2SR_TOKENS + token);
            transpose(square);
            for (int i = 0; i < LANES; i++) store(to + (token + i) * depth + w, square[i]);
        }
    return {to, depth, 1};
}

}  // namespace
