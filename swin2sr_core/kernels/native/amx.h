// AMX's instructions on bf16, by the numbers of registers. Strides are in words.
#pragma once

#include <immintrin.h>
#include <stdint.h>

#include <atomic>

namespace {

constexpr int AMX_ROWS = 16, AMX_WORDS = 16;  // of a register

inline void amx_configure() {
    struct alignas(64) {
        uint8_t palette = 1, start_row = 0, reserved[14] = {};
        uint16_t bytes[16] = {};  // of a register's rows
        uint8_t rows[16] = {};
    } config;
    for (int i = 0; i < 8; i++) config.bytes[i] = 4 * AMX_WORDS, config.rows[i] = AMX_ROWS;
    _tile_loadconfig(&config);
}
inline void amx_release() { _tile_release(); }

// gcc does not know that these instructions read and write memory: nothing may move across them.
inline void memory_is_as_written() { std::atomic_signal_fence(std::memory_order_seq_cst); }

// Some compilers want to read a register's number in the source: there is a case for each.
#define SWIN2SR_EACH(FIRST, SECOND, THIRD, FOURTH, CALL) \
    switch (REGISTER) {                                  \
        case FIRST: CALL(FIRST); break;                  \
        case SECOND: CALL(SECOND); break;                \
        case THIRD: CALL(THIRD); break;                  \
        case FOURTH: CALL(FOURTH); break;                \
    }

// Registers 0 to 3 are sums, [upper rows, lower rows][left half, right half]; 4 and 5 the rows on the
// left, 6 and 7 the halves on the right.
template <int REGISTER>
inline void amx_zero() {
#define CALL(NUMBER) _tile_zero(NUMBER)
    SWIN2SR_EACH(0, 1, 2, 3, CALL)
#undef CALL
}
template <int REGISTER>
inline void amx_load(const float *from, int stride) {
    memory_is_as_written();
#define CALL(NUMBER) _tile_loadd(NUMBER, from, 4 * stride)
    SWIN2SR_EACH(4, 5, 6, 7, CALL)
#undef CALL
}
template <int REGISTER>
inline void amx_store(float *to, int stride) {
#define CALL(NUMBER) _tile_stored(NUMBER, to, 4 * stride)
    SWIN2SR_EACH(0, 1, 2, 3, CALL)
#undef CALL
    memory_is_as_written();
}
// sums += left * right
template <int REGISTER>
inline void amx_multiply() {
    switch (REGISTER) {
        case 0: _tile_dpbf16ps(0, 4, 6); break;
        case 1: _tile_dpbf16ps(1, 4, 7); break;
        case 2: _tile_dpbf16ps(2, 5, 6); break;
        case 3: _tile_dpbf16ps(3, 5, 7); break;
    }
}

}  // namespace
