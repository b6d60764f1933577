// A block on one window, stage by stage; block.h draws the layout. After a simd_*.h.
#pragma once

#include "maths.h"
#include "tile.h"

namespace {

constexpr int WIDE = SWIN2SR_TOKENS;  // from one row of q, k or v to the next
constexpr float COSINE_EPS = 1e-12f;

// The parts of a thread's memory.
struct Memory {
    float *x, *y, *context, *hidden, *head, *scores;

    Memory(const SwinBlock &b, float *start) {
        const int64_t map = int64_t{b.channels} * WIDE;
        x = start;
        y = x + map;
        context = y + map;
        hidden = context + map;
        head = hidden + int64_t{b.hidden} * WIDE;
        scores = head + int64_t{3 * b.width} * WIDE;
    }
    static int64_t size(const SwinBlock *b) {
        return (int64_t{3 * b->channels} + b->hidden + 3 * b->width + PANEL) * WIDE;
    }
};

inline int panels_of(const SwinBlock &b) { return (b.tokens + PANEL - 1) / PANEL; }

// Where LANES tokens from `token` on begin, in a row of channels' panels.
inline float *lanes_at(float *panels, int channels, int token) {
    return panels + int64_t{token / PANEL} * channels * PANEL + token % PANEL;
}

// The window's rows of the map, turned, to x; tokens that are not there are zeros.
inline void gather(const SwinBlock &b, const float *source, const int32_t *index, float *x) {
    for (int token = 0; token < panels_of(b) * PANEL; token += LANES)
        for (int c = 0; c < b.channels; c += LANES) {
            const int count = b.channels - c < LANES ? b.channels - c : LANES;
            Vec square[LANES];
            for (int i = 0; i < LANES; i++)
                square[i] = token + i < b.tokens
                    ? load_part(source + int64_t{index[token + i]} * b.channels + c, count)
                    : zero();
            transpose(square);
            float *to = lanes_at(x, b.channels, token) + c * PANEL;
            for (int i = 0; i < count; i++) store(to + i * PANEL, square[i]);
        }
}

// The inverse of `gather`.
inline void scatter(const SwinBlock &b, float *x, const int32_t *index, float *target) {
    for (int token = 0; token < b.tokens; token += LANES)
        for (int c = 0; c < b.channels; c += LANES) {
            const int count = b.channels - c < LANES ? b.channels - c : LANES;
            const float *from = lanes_at(x, b.channels, token) + c * PANEL;
            Vec square[LANES];
            for (int i = 0; i < LANES; i++) square[i] = i < count ? load(from + i * PANEL) : zero();
            transpose(square);
            for (int i = 0; i < LANES && token + i < b.tokens; i++)
                store_part(target + int64_t{index[token + i]} * b.channels + c, square[i], count);
        }
}

// q, k and v of one head, [3 * width][WIDE].
inline void project_head(const SwinBlock &b, int number, const float *x, float *head) {
    const int rows = 3 * b.width, packed = (rows + ROWS - 1) / ROWS * ROWS;
    const Layer qkv = {b.qkv + int64_t{number} * packed * b.channels, b.qkv_bias + number * rows,
                       rows, b.channels};
    apply(qkv, x, panels_of(b), head, PANEL, WIDE, [](auto &) {});
}

// Every token's part of q or k to the length `scale`.
inline void normalise(const SwinBlock &b, float *rows, float scale) {
    for (int token = 0; token < panels_of(b) * PANEL; token += LANES) {
        Vec squares = zero();
        for (int i = 0; i < b.width; i++) {
            const Vec a = load(rows + i * WIDE + token);
            squares = fma(a, a, squares);
        }
        const Vec factor = div(all(scale), largest(root(squares), all(COSINE_EPS)));
        for (int i = 0; i < b.width; i++) {
            float *at = rows + i * WIDE + token;
            store(at, mul(load(at), factor));
        }
    }
}

// scores[key][query] = bias + k q, in units of log2.
inline void logits(const SwinBlock &b, const float *bias, const float *k, const float *q,
                   float *scores) {
    for (int key = 0; key < b.tokens; key += ROWS)
        with_tile(tile_rows(key, b.tokens), [&](auto &tile) {
            tile.begin_empty();  // the bias is large: it would cost digits of every sum
            tile.template multiply<1>(k + key, WIDE, q, WIDE, b.width);
            tile.add_from(bias + key * PANEL, PANEL);
            tile.store_to(scores + key * PANEL, PANEL);
        });
}

// Scores become weights that are not normalised yet; their sums' inverses, one per query.
inline void softmax(const SwinBlock &b, float *scores, Vec (&inverse)[2]) {
    for (int half = 0; half < 2; half++) {
        float *column = scores + half * LANES;
        Vec most = zero(), sum = zero();
        if (!b.bounded) {
            most = load(column);
            for (int key = 1; key < b.tokens; key++)
                most = largest(most, load(column + key * PANEL));
        }
        for (int key = 0; key < b.tokens; key++) {
            const Vec weight = exp2_of(sub(load(column + key * PANEL), most));
            store(column + key * PANEL, weight);
            sum = add(sum, weight);
        }
        inverse[half] = div(all(1.0f), sum);
    }
}

// context[channel of the head][query] = v weights, normalised.
inline void attended(const SwinBlock &b, const float *v, const float *scores, const Vec (&inverse)[2],
                     float *context) {
    for (int row = 0; row < b.width; row += ROWS)
        with_tile(tile_rows(row, b.width), [&](auto &tile) {
            tile.begin_empty();
            tile.template multiply<WIDE>(v + row * WIDE, 1, scores, PANEL, b.tokens);
            for (auto &sums : tile.sums)
                for (int half = 0; half < 2; half++) sums[half] = mul(sums[half], inverse[half]);
            tile.store_to(context + row * PANEL, PANEL);
        });
}

inline void attention(const SwinBlock &b, const Memory &m) {
    float *q = m.head, *k = q + b.width * WIDE, *v = k + b.width * WIDE;
    const int64_t panel_size = int64_t{b.channels} * PANEL;
    for (int head = 0; head < b.heads; head++) {
        project_head(b, head, m.x, m.head);
        normalise(b, q, b.q_scale[head]);
        normalise(b, k, 1.0f);
        for (int p = 0; p < panels_of(b); p++) {
            const float *bias = b.bias + int64_t{head * PANELS + p} * WIDE * PANEL;
            Vec inverse[2];
            logits(b, bias, k, q + p * PANEL, m.scores);
            softmax(b, m.scores, inverse);
            attended(b, v, m.scores, inverse, m.context + p * panel_size + head * b.width * PANEL);
        }
    }
}

// x += the layer norm of y, over channels.
inline void add_norm(const SwinBlock &b, float *y, const float *weight, const float *bias, float eps,
                     float *x) {
    const Vec share = all(1.0f / static_cast<float>(b.channels));
    for (int token = 0; token < panels_of(b) * PANEL; token += LANES) {
        float *from = lanes_at(y, b.channels, token), *to = lanes_at(x, b.channels, token);
        Vec sum = zero(), squares = zero();
        for (int c = 0; c < b.channels; c++) sum = add(sum, load(from + c * PANEL));
        const Vec mean = mul(sum, share);
        for (int c = 0; c < b.channels; c++) {
            const Vec a = sub(load(from + c * PANEL), mean);
            squares = fma(a, a, squares);
        }
        const Vec factor = div(all(1.0f), root(fma(squares, share, all(eps))));
        for (int c = 0; c < b.channels; c++) {
            const Vec normed = mul(sub(load(from + c * PANEL), mean), factor);
            const Vec scaled = fma(normed, all(weight[c]), all(bias[c]));
            store(to + c * PANEL, add(load(to + c * PANEL), scaled));
        }
    }
}

inline void linear(const SwinBlock &b, const Layer &layer, const float *in, float *out) {
    apply(layer, in, panels_of(b), out, layer.rows * PANEL, PANEL, [](auto &) {});
}

inline void linear_gelu(const SwinBlock &b, const Layer &layer, const float *in, float *out) {
    apply(layer, in, panels_of(b), out, layer.rows * PANEL, PANEL,
          [](auto &tile) { tile.map(gelu_of); });
}

void run_window(const SwinBlock *block, const float *source, float *target, const int32_t *index,
                float *scratch) {
    const SwinBlock &b = *block;
    const Memory m(b, scratch);
    gather(b, source, index, m.x);
    attention(b, m);
    linear(b, {b.proj, b.proj_bias, b.channels, b.channels}, m.context, m.y);
    add_norm(b, m.y, b.norm1_weight, b.norm1_bias, b.norm1_eps, m.x);
    linear_gelu(b, {b.fc1, b.fc1_bias, b.hidden, b.channels}, m.x, m.hidden);
    linear(b, {b.fc2, b.fc2_bias, b.channels, b.hidden}, m.hidden, m.y);
    add_norm(b, m.y, b.norm2_weight, b.norm2_bias, b.norm2_eps, m.x);
    scatter(b, m.x, index, target);
}

}  // namespace
