// Vectors of sixteen floats: AVX512F. The names are the same in every simd_*.h.
#pragma once

#include <immintrin.h>

namespace {

using Vec = __m512;
constexpr int LANES = 16;
constexpr int VECTOR_ROWS = 12;  // of a tile: 12 x 2 sums and 2 of `right` in 32 registers

inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec all(float value) { return _mm512_set1_ps(value); }
inline Vec load(const float *from) { return _mm512_loadu_ps(from); }
inline void store(float *to, Vec a) { _mm512_storeu_ps(to, a); }

// A line of the cache, into the second level.
inline void prefetch(const char *line) { _mm_prefetch(line, _MM_HINT_T1); }

inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
inline Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }  // a * b + c
inline Vec largest(Vec a, Vec b) { return _mm512_max_ps(a, b); }
inline Vec smallest(Vec a, Vec b) { return _mm512_min_ps(a, b); }
inline Vec root(Vec a) { return _mm512_sqrt_ps(a); }
inline Vec nearest(Vec a) { return _mm512_roundscale_ps(a, 0); }

// 2**n for whole n in -127..127; 0 for -127.
inline Vec power_of_two(Vec n) {
    const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
}

// a * 2**n, where the lowest bits of `whole` are n; the result must be a normal number.
inline Vec add_to_exponent(Vec a, Vec whole) {
    const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(whole), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), n));
}

inline __mmask16 first(int count) {
    return static_cast<__mmask16>(count >= LANES ? 0xffff : (1u << count) - 1);
}

// The first `count` numbers, 0..LANES; zeros behind them. Nothing beyond is touched.
inline Vec load_part(const float *from, int count) {
    return _mm512_maskz_loadu_ps(first(count), from);
}
inline void store_part(float *to, Vec a, int count) { _mm512_mask_storeu_ps(to, first(count), a); }

// r[i][j] becomes r[j][i].
inline void transpose(Vec (&r)[LANES]) {
    Vec t[LANES];
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {  // quarters 0 2 of two rows, and 1 3
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

}  // namespace
