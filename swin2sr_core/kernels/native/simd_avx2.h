// Vectors of eight floats: AVX2 and FMA. The names are the same in every simd_*.h.
#pragma once

#include <immintrin.h>

namespace {

using Vec = __m256;
constexpr int LANES = 8;
constexpr int VECTOR_ROWS = 6;  // of a tile: 6 x 2 sums, 2 of `right` and a broadcast fill 16 registers

inline Vec zero() { return _mm256_setzero_ps(); }
inline Vec all(float value) { return _mm256_set1_ps(value); }
inline Vec load(const float *from) { return _mm256_loadu_ps(from); }
inline void store(float *to, Vec a) { _mm256_storeu_ps(to, a); }

// A line of the cache, into the second level.
inline void prefetch(const char *line) { _mm_prefetch(line, _MM_HINT_T1); }

inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
inline Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
inline Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }  // a * b + c
inline Vec largest(Vec a, Vec b) { return _mm256_max_ps(a, b); }
inline Vec smallest(Vec a, Vec b) { return _mm256_min_ps(a, b); }
inline Vec root(Vec a) { return _mm256_sqrt_ps(a); }
inline Vec nearest(Vec a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// 2**n for whole n in -127..127; 0 for -127.
inline Vec power_of_two(Vec n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}

// a * 2**n, where the lowest bits of `whole` are n; the result must be a normal number.
inline Vec add_to_exponent(Vec a, Vec whole) {
    const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(whole), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), n));
}

inline __m256i first(int count) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane);
}

// The first `count` numbers, 0..LANES; zeros behind them. Nothing beyond is touched.
inline Vec load_part(const float *from, int count) {
    return count >= LANES ? load(from) : _mm256_maskload_ps(from, first(count));
}
inline void store_part(float *to, Vec a, int count) {
    if (count >= LANES) store(to, a);
    else _mm256_maskstore_ps(to, first(count), a);
}

// r[i][j] becomes r[j][i].
inline void transpose(Vec (&r)[LANES]) {
    Vec t[LANES];
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    for (int i = 0; i < LANES; i++) r[i] = t[i];
}

}  // namespace
