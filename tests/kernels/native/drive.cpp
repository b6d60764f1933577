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
extern "C" int swin2sr_run(const SwinKernel *, const SwinBlock *, const void *, void *,
                           const int32_t *, int, int);
extern "C" int swin2sr_convolve(const SwinKernel *, const SwinConv *, const SwinPlace *, const void *,
                                void *, int);

using Numbers = std::vector<float>;
using Bytes = std::vector<char>;

static uint32_t bits_of(float number) {
    uint32_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    return bits;
}

// A float, or two bf16, each of the upper half of a float.
static float word_of(int word, float first, float last) {
    if (word == 1) return first;
    const uint32_t bits = bits_of(first) >> 16 | (bits_of(last) & 0xffff0000);
    float made;
    std::memcpy(&made, &bits, sizeof made);
    return made;
}

// A block of random weights, and the memory that it points into.
struct Sample {
    std::vector<Numbers> parts;
    SwinBlock block{};
    SwinConv conv{};

    const float *random(int64_t count, int word = 1) {
        static std::mt19937 generator(1);
        std::normal_distribution<float> normal(0.0f, 0.2f);
        parts.emplace_back(static_cast<size_t>(count));
        for (float &each : parts.back()) each = word_of(word, normal(generator), normal(generator));
        return parts.back().data();
    }
    Sample(const SwinKernel &kernel, int tokens, int heads, int narrow, int thin, bool bounded) {
        const int word = kernel.word;
        const auto whole = [&](int numbers, int unit) { return (numbers + unit - 1) / unit * unit; };
        const auto packed = [&](int rows) { return whole(rows, kernel.rows); };
        const int unit = word * kernel.depth;
        const auto words = [&](int numbers) { return whole(numbers, unit) / word; };
        const int channels = heads * narrow, width = whole(narrow, word), hidden = whole(thin, unit);
        const int depth = words(channels), rows = whole(channels, word);
        SwinBlock &b = block;
        b = {tokens, channels, heads, width, hidden, bounded, 1e-5f, 1e-5f};
        b.qkv = random(int64_t{heads} * packed(3 * width) * depth, word);
        b.qkv_bias = random(3 * heads * width);
        b.q_scale = random(heads);
        b.bias = random(int64_t{heads} * SWIN2SR_TOKENS * SWIN2SR_TOKENS);
        b.proj = random(int64_t{packed(channels)} * words(heads * width), word);
        b.fc1 = random(int64_t{packed(hidden)} * depth, word);
        b.fc2 = random(int64_t{packed(channels)} * words(hidden), word);
        b.fc1_bias = random(hidden);
        for (const float **each : {&b.proj_bias, &b.norm1_weight, &b.norm1_bias, &b.fc2_bias,
                                   &b.norm2_weight, &b.norm2_bias})
            *each = random(rows);
        conv = {channels, channels, false};
        const int panels = whole(channels, kernel.panel);
        conv.weight = random(int64_t{panels} * 9 * depth, word);
        conv.bias = random(panels);
    }
};

static bool same_bits(const SwinKernel &kernel, Sample &sample, int windows) {
    const int rows = windows * sample.block.tokens, channels = sample.block.channels;
    const size_t size = static_cast<size_t>(rows) * static_cast<size_t>(channels);
    const size_t bytes = static_cast<size_t>(kernel.number_bytes);
    const float *numbers = sample.random(static_cast<int64_t>(size));
    Bytes map(size * bytes);  // of a bf16 the upper half of a float
    for (size_t i = 0; i < size; i++)
        std::memcpy(&map[i * bytes], reinterpret_cast<const char *>(numbers + i) + 4 - bytes, bytes);
    std::vector<int32_t> index(static_cast<size_t>(rows));
    for (int i = 0; i < rows; i++) index[static_cast<size_t>(i)] = rows - 1 - i;
    std::vector<Bytes> results(4, Bytes(size * bytes));
    const SwinBox everything = {0, 0, windows, sample.block.tokens};
    const SwinPlace place = {sample.block.tokens, everything, everything};
    const auto run = [&](int number, int threads) {
        char *result = results[static_cast<size_t>(number)].data();
        swin2sr_run(&kernel, &sample.block, map.data(), result, index.data(), windows, threads);
        swin2sr_convolve(&kernel, &sample.conv, &place, map.data(), result, threads);
    };
    run(0, 1);
    run(1, 4);
    std::thread first(run, 2, 2), second(run, 3, 3);
    first.join();
    second.join();
    for (const Bytes &each : results)
        if (each != results[0]) return false;
    for (size_t i = 0; i < size; i++) {
        float number = 0.0f;
        std::memcpy(reinterpret_cast<char *>(&number) + 4 - bytes, &results[0][i * bytes], bytes);
        if (!std::isfinite(number)) return false;
    }
    return true;
}

int main() {
    const int shapes[][4] = {{64, 6, 10, 120}, {49, 3, 7, 25}, {64, 1, 13, 5}, {49, 6, 30, 360}};
    int wrong = 0, runs = 0;
    for (int number = 0; const SwinKernel *kernel = swin2sr_kernel(number); number++) {
        std::printf("%s\n", kernel->name);
        for (const auto &shape : shapes)
            for (const bool bounded : {true, false}) {
                Sample sample(*kernel, shape[0], shape[1], shape[2], shape[3], bounded);
                wrong += !same_bits(*kernel, sample, 9);
                runs++;
            }
    }
    std::printf("%d runs, %d wrong\n", runs, wrong);
    return wrong != 0 || runs == 0;
}
