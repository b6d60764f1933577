// Runs the kernels under a sanitizer: tests/kernels/sanitize builds and starts it.
//
// Every buffer has exactly the size that it must have, so that a read or write beyond is seen. Bands
// on one thread and on four, and two callers at once, have to give the same bits.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "block.h"

extern "C" const SwinKernel *swin2sr_kernel(int number);
extern "C" int swin2sr_run(const SwinKernel *, const SwinBlock *, const float *, float *,
                           const int32_t *, int, int);

using Numbers = std::vector<float>;

// A block of random weights, and the memory that it points into.
struct Sample {
    std::vector<Numbers> parts;
    SwinBlock block{};

    const float *random(int64_t count) {
        static std::mt19937 generator(1);
        std::normal_distribution<float> normal(0.0f, 0.2f);
        parts.emplace_back(static_cast<size_t>(count));
        for (float &number : parts.back()) number = normal(generator);
        return parts.back().data();
    }
    Sample(const SwinKernel &kernel, int tokens, int heads, int width, int hidden, bool bounded) {
        const auto packed = [&](int rows) { return (rows + kernel.rows - 1) / kernel.rows * kernel.rows; };
        const int channels = heads * width;
        SwinBlock &b = block;
        b = {tokens, channels, heads, width, hidden, bounded, 1e-5f, 1e-5f};
        b.qkv = random(int64_t{heads} * packed(3 * width) * channels);
        b.qkv_bias = random(3 * channels);
        b.q_scale = random(heads);
        b.bias = random(int64_t{heads} * SWIN2SR_TOKENS * SWIN2SR_TOKENS);
        b.proj = random(int64_t{packed(channels)} * channels);
        b.fc1 = random(int64_t{packed(hidden)} * channels);
        b.fc2 = random(int64_t{packed(channels)} * hidden);
        b.fc1_bias = random(hidden);
        for (const float **each : {&b.proj_bias, &b.norm1_weight, &b.norm1_bias, &b.fc2_bias,
                                   &b.norm2_weight, &b.norm2_bias})
            *each = random(channels);
    }
};

static bool same_bits(const SwinKernel &kernel, Sample &sample, int windows) {
    const int rows = windows * sample.block.tokens, channels = sample.block.channels;
    const size_t size = static_cast<size_t>(rows) * static_cast<size_t>(channels);
    const float *map = sample.random(static_cast<int64_t>(size));
    std::vector<int32_t> index(static_cast<size_t>(rows));
    for (int i = 0; i < rows; i++) index[static_cast<size_t>(i)] = rows - 1 - i;
    std::vector<Numbers> results(4, Numbers(size));
    const auto run = [&](int number, int threads) {
        swin2sr_run(&kernel, &sample.block, map, results[static_cast<size_t>(number)].data(),
                    index.data(), windows, threads);
    };
    run(0, 1);
    run(1, 4);
    std::thread first(run, 2, 2), second(run, 3, 3);
    first.join();
    second.join();
    for (const Numbers &each : results) {
        if (std::memcmp(each.data(), results[0].data(), size * sizeof(float)) != 0) return false;
        for (const float number : each)
            if (!std::isfinite(number)) return false;
    }
    return true;
}

int main() {
    const int shapes[][4] = {{64, 6, 10, 120}, {49, 3, 7, 25}, {64, 1, 13, 5}, {49, 6, 30, 360}};
    int wrong = 0, runs = 0;
    for (int number = 0; const SwinKernel *kernel = swin2sr_kernel(number); number++)
        for (const auto &shape : shapes)
            for (const bool bounded : {true, false}) {
                Sample sample(*kernel, shape[0], shape[1], shape[2], shape[3], bounded);
                wrong += !same_bits(*kernel, sample, 9);
                runs++;
            }
    std::printf("%d runs, %d wrong\n", runs, wrong);
    return wrong != 0 || runs == 0;
}
