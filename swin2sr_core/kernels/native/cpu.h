// What this CPU and this operating system can, together.
#pragma once

#include <stdint.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_MSC_VER)
#include <intrin.h>
inline void cpuid(uint32_t leaf, uint32_t (&r)[4], uint32_t part = 0) {
    __cpuidex(reinterpret_cast<int *>(r), static_cast<int>(leaf), static_cast<int>(part));
}
inline uint64_t enabled_state() { return _xgetbv(0); }
#else
#include <cpuid.h>
inline void cpuid(uint32_t leaf, uint32_t (&r)[4], uint32_t part = 0) {
    __cpuid_count(leaf, part, r[0], r[1], r[2], r[3]);
}
inline uint64_t enabled_state() {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
}
#endif

// AMX's registers are 8 KB a thread: a program has to ask for them before its first use.
inline bool tiles_allowed() {
#if defined(__linux__)
    constexpr int ASK_FOR = 0x1023, TILES = 18;
    return syscall(SYS_arch_prctl, ASK_FOR, TILES) == 0;
#else
    return false;  // Windows: not tried
#endif
}

struct Cpu {
    bool avx2 = false, avx512 = false, avx512_bf16 = false, amx_bf16 = false;

    Cpu() {
        uint32_t r[4];  // eax, ebx, ecx, edx
        cpuid(0, r);
        const uint32_t leaves = r[0];
        cpuid(1, r);
        const bool fma = r[2] >> 12 & 1, saves = r[2] >> 27 & 1;
        if (leaves < 7 || !saves) return;
        cpuid(7, r);
        const uint64_t state = enabled_state();  // registers that the system keeps for programs
        const bool wide = (state & 0x6) == 0x6, widest = (state & 0xe6) == 0xe6;
        avx2 = wide && fma && (r[1] >> 5 & 1);
        avx512 = avx2 && widest && (r[1] >> 16 & 1);
        const bool words = r[1] >> 30 & 1;  // AVX512BW
        const bool tiles = (r[3] >> 24 & 1) && (r[3] >> 22 & 1) && (state >> 17 & 3) == 3;
        const uint32_t parts = r[0];
        if (parts < 1) return;
        cpuid(7, r, 1);
        avx512_bf16 = avx512 && words && (r[0] >> 5 & 1);
        amx_bf16 = avx512_bf16 && tiles && tiles_allowed();
    }
};
#else
struct Cpu {
    bool avx2 = false, avx512 = false, avx512_bf16 = false, amx_bf16 = false;
};
#endif
