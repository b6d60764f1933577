// Words that hold one float: fp32. After a simd_*.h; the names are the same in every words_*.h.
#pragma once

#include <stdint.h>

#include "maths.h"

namespace {

constexpr int WORD = 1;  // numbers in a word
constexpr int NUMBER_BYTES = 4;  // on the map

// sums + left * right, word by word.
inline Vec multiply_add(Vec left, Vec right, Vec sums) { return fma(left, right, sums); }
inline Vec ones() { return all(1.0f); }

// A vector of words out of a vector of their first and one of their last numbers, and back.
inline Vec words_of(Vec first, Vec) { return first; }
inline void numbers_of(Vec words, Vec (&numbers)[WORD]) { numbers[0] = words; }

// `count` numbers of the map, at most LANES words of them; zeros behind.
inline Vec load_numbers(const void *map, int64_t at, int count) {
    return load_part(static_cast<const float *>(map) + at, count);
}
inline void store_numbers(void *map, int64_t at, Vec words, int count) {
    store_part(static_cast<float *>(map) + at, words, count);
}

// As in words_bf16.h: with one number in a word there is no order but one.
inline void add_words(void *, int64_t, int, Vec, Vec) {}

// Rows of floats, WIDE apart, as `left`: words of neighbouring floats, WIDE / WORD apart.
inline void narrow_rows(float *, int, int) {}

inline Vec softmax_power(Vec x) { return exp2_of(x); }
inline Vec activation(Vec x) { return gelu_of(x); }

}  // namespace
