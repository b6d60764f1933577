// Words that hold two bf16, the earlier row in the lower half: AVX512-BF16. After simd_avx512.h.
#pragma once

#include <stdint.h>
#include <string.h>

#include "maths.h"

namespace {

constexpr int WORD = 2;  // numbers in a word
constexpr int NUMBER_BYTES = 2;  // on the map

template <typename To, typename From>
inline To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

inline __m512i bits(Vec a) { return _mm512_castps_si512(a); }
inline Vec from_bits(__m512i a) { return _mm512_castsi512_ps(a); }

// sums + left * right, word by word: both products of a pair are added.
inline Vec multiply_add(Vec left, Vec right, Vec sums) {
    return _mm512_dpbf16_ps(sums, same_bits<__m512bh>(left), same_bits<__m512bh>(right));
}
inline Vec ones() { return from_bits(_mm512_set1_epi32(0x3f803f80)); }

// The bf16 nearest to each float: those of `low`, then those of `high`.
inline __m512i rounded(Vec low, Vec high) {
    return same_bits<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

// A vector of words out of a vector of their first and one of their last numbers, and back.
inline Vec words_of(Vec first, Vec last) {
    const __m512i low_high = _mm512_add_epi32(
        _mm512_set1_epi32(0x00100000),
        _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                           _mm512_set1_epi32(0x00010001)));
    return from_bits(_mm512_permutexvar_epi16(low_high, rounded(first, last)));
}
inline void numbers_of(Vec words, Vec (&numbers)[WORD]) {
    numbers[0] = from_bits(_mm512_slli_epi32(bits(words), 16));
    numbers[1] = from_bits(_mm512_and_si512(bits(words), _mm512_set1_epi32(-0x10000)));
}

inline __mmask32 first_halves(int count) {
    return static_cast<__mmask32>(count >= 2 * LANES ? 0xffffffff : (1u << count) - 1);
}

// `count` numbers of the map, at most LANES words of them; zeros behind.
inline Vec load_numbers(const void *map, int64_t at, int count) {
    return from_bits(
        _mm512_maskz_loadu_epi16(first_halves(count), static_cast<const uint16_t *>(map) + at));
}
inline void store_numbers(void *map, int64_t at, Vec words, int count) {
    _mm512_mask_storeu_epi16(static_cast<uint16_t *>(map) + at, first_halves(count), bits(words));
}

// Floats are added to the first `count` numbers of the map: `even` to every other one, `odd` between.
inline void add_words(void *map, int64_t at, int count, Vec even, Vec odd) {
    Vec numbers[WORD];
    numbers_of(load_numbers(map, at, count), numbers);
    store_numbers(map, at, words_of(add(numbers[0], even), add(numbers[1], odd)), count);
}

// Rows of floats, WIDE apart, as `left`: words of neighbouring floats, WIDE / WORD apart.
inline void narrow_rows(float *rows, int count, int wide) {
    for (int r = 0; r < count; r++)
        for (int at = 0; at < wide; at += 2 * LANES) {
            const float *from = rows + r * wide + at;
            const Vec words = from_bits(rounded(load(from), load(from + LANES)));
            store(rows + (r * wide + at) / WORD, words);
        }
}

// What is rounded to bf16 needs no more digits than these have: to a relative 1e-4, and 4e-5 of x.
inline Vec softmax_power(Vec x) { return rough_exp2_of(x); }
inline Vec activation(Vec x) { return rough_gelu_of(x); }

}  // namespace
