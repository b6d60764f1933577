// What Python calls. Compiled for any CPU: only the kernels that this one can run are touched.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <exception>
#include <new>

#ifdef _WIN32
#include <process.h>
#define EXPORT extern "C" __declspec(dllexport)
#define process_id _getpid
#else
#include <unistd.h>
#define EXPORT extern "C" __attribute__((visibility("default")))
#define process_id getpid
#endif

#include "block.h"
#include "cpu.h"
#include "team.h"

#ifdef SWIN2SR_FP32_AVX2
extern "C" const SwinKernel swin2sr_fp32_avx2;
#endif
#ifdef SWIN2SR_BF16_AMX
extern "C" const SwinKernel swin2sr_bf16_amx;
#ifdef SWIN2SR_EMULATED_AMX
constexpr bool EMULATED = true;
#else
constexpr bool EMULATED = false;
#endif
#endif
#ifdef SWIN2SR_BF16_AVX512
extern "C" const SwinKernel swin2sr_bf16_avx512;
#endif
#ifdef SWIN2SR_FP32_AVX512
extern "C" const SwinKernel swin2sr_fp32_avx512;
#endif

namespace {

// A thread's own memory, which it keeps for the next window.
class Scratch {
public:
    float *of(int64_t numbers) {
        if (numbers > size_) {
            memory_.reset();
            size_ = 0;
            memory_.reset(new float[static_cast<size_t>(numbers + ALIGNMENT)]);
            size_ = numbers;
        }
        const auto address = reinterpret_cast<uintptr_t>(memory_.get());
        const uintptr_t bytes = ALIGNMENT * sizeof(float);
        return reinterpret_cast<float *>((address + bytes - 1) / bytes * bytes);
    }

private:
    static constexpr int64_t ALIGNMENT = 16;  // numbers: a line of the cache
    std::unique_ptr<float[]> memory_;
    int64_t size_ = 0;
};

thread_local Scratch scratch;

// The process's team. It is never taken down: at the end of the process its threads may be waiting.
// A forked process has no threads but its own, and makes a team of its own.
Team &team() {
    static Team *made = nullptr;
    static int owner = 0;
    if (made == nullptr || owner != process_id()) {
        made = new Team;
        owner = process_id();
    }
    return *made;
}

std::atomic_flag team_is_taken = ATOMIC_FLAG_INIT;

struct TeamHold {
    const bool mine = !team_is_taken.test_and_set(std::memory_order_acquire);
    ~TeamHold() {
        if (mine) team_is_taken.clear(std::memory_order_release);
    }
};

// Calls work(piece, memory of so many numbers) for every piece, on the team, or alone while another
// thread's call has it. 0, or 1 where memory has run out.
template <typename Work>
int shared_out(int threads, int pieces, int64_t numbers, const Work &work) {
    std::atomic<int> failed{0};
    const auto guarded = [&](int piece) {
        try {
            work(piece, scratch.of(numbers));
        } catch (const std::bad_alloc &) {
            failed = 1;
        }
    };
    try {
        const TeamHold hold;
        if (hold.mine)
            team().run(threads, pieces, guarded);
        else
            for (int piece = 0; piece < pieces; piece++) guarded(piece);
    } catch (const std::exception &) {  // no thread or no memory to be had
        failed = 1;
    }
    return failed;
}

int pieces(int length, int most) { return (length + most - 1) / most; }

}  // namespace

// The kernel of that number, the fastest first; null when there are no more. Those that this CPU
// cannot run are left out.
EXPORT const SwinKernel *swin2sr_kernel(int number) {
    static const Cpu cpu;
    const SwinKernel *all[8] = {};
    int count = 0;
#ifdef SWIN2SR_BF16_AMX
    if (cpu.amx_bf16 || (EMULATED && cpu.avx512_bf16)) all[count++] = &swin2sr_bf16_amx;
#endif
#ifdef SWIN2SR_BF16_AVX512
    if (cpu.avx512_bf16) all[count++] = &swin2sr_bf16_avx512;
#endif
#ifdef SWIN2SR_FP32_AVX512
    if (cpu.avx512) all[count++] = &swin2sr_fp32_avx512;
#endif
#ifdef SWIN2SR_FP32_AVX2
    if (cpu.avx2) all[count++] = &swin2sr_fp32_avx2;
#endif
    return number >= 0 && number < count ? all[number] : nullptr;
}

// `block` on `windows` windows, [windows][tokens] of `index`. The maps may be the same. 0, or 1 where
// memory has run out.
EXPORT int swin2sr_run(const SwinKernel *kernel, const SwinBlock *block, const void *source,
                       void *target, const int32_t *index, int windows, int threads) {
    return shared_out(threads, windows, kernel->scratch(block), [&](int window, float *memory) {
        const int32_t *now = index + int64_t{window} * block->tokens;
        const int ahead = threads > 1 ? threads : 1;
        const int32_t *next = window + ahead < windows ? now + ahead * block->tokens : nullptr;
        kernel->window(block, source, target, now, next, memory);
    });
}

// target += conv of source at `place`. As `swin2sr_run`.
EXPORT int swin2sr_convolve(const SwinKernel *kernel, const SwinConv *conv, const SwinPlace *place,
                            const void *source, void *target, int threads) {
    const SwinBox &box = place->box;
    const int across = pieces(box.right - box.left, kernel->strip_columns);
    const int down = pieces(box.bottom - box.top, kernel->strip_rows);
    return shared_out(threads, across * down, kernel->strip_scratch(conv), [&](int piece, float *memory) {
        SwinBox strip;
        strip.top = box.top + piece / across * kernel->strip_rows;
        strip.left = box.left + piece % across * kernel->strip_columns;
        strip.bottom = std::min(strip.top + kernel->strip_rows, box.bottom);
        strip.right = std::min(strip.left + kernel->strip_columns, box.right);
        kernel->strip(conv, place, source, target, strip, memory);
    });
}
