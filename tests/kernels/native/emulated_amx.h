// The functions of native/amx.h in plain C++, for CPUs without AMX: registers are a thread's arrays.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

namespace {

constexpr int AMX_ROWS = 16, AMX_WORDS = 16;

struct Register {
    float words[AMX_ROWS][AMX_WORDS];
};
thread_local Register registers[8];
thread_local bool configured = false;

inline Register &used(int number) {
    if (!configured) abort();  // real ones would raise SIGILL
    return registers[number];
}
inline void amx_configure() {
    configured = true;
    memset(registers, 0, sizeof registers);
}
inline void amx_release() { configured = false; }

template <int REGISTER>
inline void amx_zero() {
    used(REGISTER) = {};
}
template <int REGISTER>
inline void amx_load(const float *from, int stride) {
    for (int r = 0; r < AMX_ROWS; r++)
        memcpy(used(REGISTER).words[r], from + r * stride, sizeof(float) * AMX_WORDS);
}
template <int REGISTER>
inline void amx_store(float *to, int stride) {
    for (int r = 0; r < AMX_ROWS; r++)
        memcpy(to + r * stride, used(REGISTER).words[r], sizeof(float) * AMX_WORDS);
}
inline float float_of(uint32_t bits) {
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}
// A register's words as floats, [first or second number][row][word].
struct Numbers {
    float of[2][AMX_ROWS][AMX_WORDS];

    explicit Numbers(const Register &words) {
        for (int r = 0; r < AMX_ROWS; r++)
            for (int w = 0; w < AMX_WORDS; w++) {
                uint32_t bits;
                memcpy(&bits, &words.words[r][w], sizeof bits);
                of[0][r][w] = float_of(bits << 16);
                of[1][r][w] = float_of(bits & 0xffff0000u);
            }
    }
};
template <int REGISTER>
inline void amx_multiply() {
    Register &sums = used(REGISTER);
    const Numbers left(used(4 + REGISTER / 2)), right(used(6 + REGISTER % 2));
    for (int r = 0; r < AMX_ROWS; r++)
        for (int k = 0; k < AMX_WORDS; k++)
            for (int place = 0; place < 2; place++)
                for (int c = 0; c < AMX_WORDS; c++)
                    sums.words[r][c] += left.of[place][r][k] * right.of[place][k][c];
}

}  // namespace
