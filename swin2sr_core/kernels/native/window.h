// A block on one window, stage by stage; block.h draws the layout. After a tile_*.h.
#pragma once

#include "layer.h"

namespace {

constexpr int WIDE = SWIN2SR_TOKENS;  // from one row of q, k or v to the next
constexpr float COSINE_EPS = 1e-12f;

// The parts of a thread's memory. All but `y` and `stream` become words; `stream` is x in floats, so
// that between the halves of a block nothing is rounded.
struct Memory {
    float *x, *stream, *y, *context, *hidden, *head, *q, *k, *keys, *scores;

    Memory(const SwinBlock &b, float *start) {
        x = start;
        stream = WORD == 1 ? x : x + int64_t{depth_of(b.channels)} * WIDE;
        y = stream + int64_t{words(b.channels) * WORD} * WIDE;
        context = y + int64_t{words(b.channels) * WORD} * WIDE;
        hidden = context + int64_t{depth_of(b.heads * b.width)} * WIDE;
        head = hidden + int64_t{depth_of(b.hidden)} * WIDE;
        q = head;  // words of q and k may lie where their numbers are, unless they are filled up
        k = q + int64_t{b.width} * WIDE;
        keys = nullptr;
        scores = head + int64_t{3 * b.width} * WIDE;
        if (DEPTH == 1) return;
        const int64_t filled = int64_t{depth_of(b.width)} * WIDE;
        q = scores, k = q + filled, keys = k + filled, scores = keys + filled;
    }
    static int64_t size(const SwinBlock *b) {
        return Memory(*b, nullptr).scores - static_cast<float *>(nullptr) + PANEL * WIDE;
    }
};

inline int panels_of(const SwinBlock &b) { return (b.tokens + PANEL - 1) / PANEL; }

// Where LANES tokens from `token` on begin, in panels of so many rows.
inline float *lanes_at(float *panels, int rows, int token) {
    return panels + int64_t{token / PANEL} * rows * PANEL + token % PANEL;
}

// The window's rows of the map, turned, to x; tokens that are not there are zeros.
inline void gather(const SwinBlock &b, const void *source, const int32_t *index, float *x) {
    const int rows = depth_of(b.channels);
    for (int token = 0; token < panels_of(b) * PANEL; token += LANES)
        for (int w = 0; w < rows; w += LANES) {
            const int count = numbers_at(b.channels, w);
            Vec square[LANES];
            for (int i = 0; i < LANES; i++)
                square[i] = token + i < b.tokens
                    ? load_numbers(source, int64_t{index[token + i]} * b.channels + w * WORD, count)
                    : zero();
            transpose(square);
            float *to = lanes_at(x, rows, token) + w * PANEL;
            for (int i = 0; i < LANES && w + i < rows; i++) store(to + i * PANEL, square[i]);
        }
}

// Words of x as floats, to `stream`.
inline void widen(const SwinBlock &b, const float *x, float *stream) {
    if (WORD == 1) return;  // it is x
    const int rows = words(b.channels);
    for (int p = 0; p < panels_of(b); p++)
        for (int at = 0; at < rows * PANEL; at += LANES) {
            Vec numbers[WORD];
            numbers_of(load(x + int64_t{p} * depth_of(b.channels) * PANEL + at), numbers);
            for (int n = 0; n < WORD; n++)
                store(stream + ((p * rows + at / PANEL) * WORD + n) * PANEL + at % PANEL, numbers[n]);
        }
}

// The inverse of `gather`.
inline void scatter(const SwinBlock &b, float *x, const int32_t *index, void *target) {
    const int rows = depth_of(b.channels);
    for (int token = 0; token < b.tokens; token += LANES)
        for (int w = 0; w < words(b.channels); w += LANES) {
            const int count = numbers_at(b.channels, w);
            const float *from = lanes_at(x, rows, token) + w * PANEL;
            Vec square[LANES];
            for (int i = 0; i < LANES; i++)
                square[i] = i < words(count) ? load(from + i * PANEL) : zero();
            transpose(square);
            for (int i = 0; i < LANES && token + i < b.tokens; i++)
                store_numbers(target, int64_t{index[token + i]} * b.channels + w * WORD, square[i],
                              count);
        }
}

// Have the rows of a window brought near, of which maps keep none in the caches.
inline void bring_near(const SwinBlock &b, const void *map, const int32_t *index) {
    const int64_t row = int64_t{b.channels} * NUMBER_BYTES;
    for (int token = 0; token < b.tokens; token++) {
        const char *from = static_cast<const char *>(map) + index[token] * row;
        for (int64_t at = 0; at < row; at += 64) prefetch(from + at);
    }
}

// q, k and v of one head, [3 * width][WIDE].
inline void project_head(const SwinBlock &b, int number, const float *x, float *head) {
    const int rows = 3 * b.width, packed = (rows + ROWS - 1) / ROWS * ROWS;
    const int depth = depth_of(b.channels);
    const Layer qkv = {b.qkv + int64_t{number} * packed * depth, b.qkv_bias + number * rows, rows,
                       depth};
    apply(qkv, x, panels_of(b), [&](auto &tile, int panel, int row) {
        tile.store_to(head + row * WIDE + panel * PANEL, WIDE);
    });
}

// Zeros in rows of a panel that only fill up a product.
inline void empty_rows(float *panel, int from, int to, int wide) {
    for (int row = from; row < to; row++)
        for (int half = 0; half < 2; half++) store(panel + row * wide + half * LANES, zero());
}

// Every token's part of q or k to the length `scale`, in words. The result may be where `rows` are.
inline void normalise(const SwinBlock &b, const float *rows, float scale, float *result) {
    for (int token = 0; token < panels_of(b) * PANEL; token += PANEL) {
        const float *at = rows + token;
        float *to = result + token;
        Vec squares[2] = {zero(), zero()}, factors[2];
        for (int i = 0; i < b.width; i++)
            UNROLLED for (int half = 0; half < 2; half++) {
                const Vec a = load(at + i * WIDE + half * LANES);
                squares[half] = fma(a, a, squares[half]);
            }
        UNROLLED for (int half = 0; half < 2; half++)
            factors[half] = div(all(scale), largest(root(squares[half]), all(COSINE_EPS)));
        for (int i = 0; i < b.width; i += WORD)
            UNROLLED for (int half = 0; half < 2; half++) {
                const float *first = at + i * WIDE + half * LANES;
                const Vec last = load(first + (WORD - 1) * WIDE);
                store(to + i / WORD * WIDE + half * LANES,
                      words_of(mul(load(first), factors[half]), mul(last, factors[half])));
            }
        empty_rows(to, words(b.width), depth_of(b.width), WIDE);
    }
}

// scores[key][query] = bias + k q, in units of log2.
inline void logits(const SwinBlock &b, const float *bias, const Left &keys, const float *q,
                   float *scores) {
    for (int key = 0; key < b.tokens; key += ROWS)
        with_tile(tile_rows(key, b.tokens), [&](auto &tile) {
            tile.begin_empty();  // the bias is large: it would cost digits of every sum
            tile.multiply(keys.from(key), q, WIDE, depth_of(b.width));
            tile.add_from(bias + key * PANEL, PANEL);
            tile.store_to(scores + key * PANEL, PANEL);
        });
}

// Scores become weights that are not normalised yet, in words of neighbouring keys and the same
// place; their sums' inverses, one per query.
inline void softmax(const SwinBlock &b, float *scores, Vec (&inverse)[2]) {
    for (int half = 0; half < 2; half++) {
        float *column = scores + half * LANES;
        Vec most = zero(), sum = zero();
        if (!b.bounded) {
            most = load(column);
            for (int key = 1; key < b.tokens; key++)
                most = largest(most, load(column + key * PANEL));
        }
        for (int key = 0; key < b.tokens; key += WORD) {
            Vec weights[WORD];
            for (int n = 0; n < WORD; n++)
                weights[n] = key + n < b.tokens
                    ? softmax_power(sub(load(column + (key + n) * PANEL), most))
                    : zero();
            const Vec pair = words_of(weights[0], weights[WORD - 1]);
            store(column + key / WORD * PANEL, pair);
            sum = multiply_add(pair, ones(), sum);
        }
        inverse[half] = div(all(1.0f), sum);
    }
    empty_rows(scores, words(b.tokens), depth_of(b.tokens), PANEL);
}

// context[channel of the head][query] = v weights, normalised.
inline void attended(const SwinBlock &b, const float *v, const float *scores, const Vec (&inverse)[2],
                     float *context) {
    constexpr int V_WIDE = WIDE / WORD;
    for (int row = 0; row < b.width; row += ROWS)
        with_tile(tile_rows(row, b.width), [&](auto &tile) {
            tile.begin_empty();
            tile.multiply({v + row * V_WIDE, V_WIDE, 1}, scores, PANEL, depth_of(b.tokens));
            tile.multiply_by(inverse);
            tile.store_words_to(context + row / WORD * PANEL, PANEL);
        });
}

inline void attention(const SwinBlock &b, const Memory &m) {
    float *q = m.head, *k = q + b.width * WIDE, *v = k + b.width * WIDE;
    const int heads = words(b.heads * b.width), rows = depth_of(b.heads * b.width);
    for (int p = 0; p < panels_of(b); p++)
        empty_rows(m.context + int64_t{p} * rows * PANEL, heads, rows, PANEL);
    for (int head = 0; head < b.heads; head++) {
        project_head(b, head, m.x, m.head);
        normalise(b, q, b.q_scale[head], m.q);
        normalise(b, k, 1.0f, m.k);
        const Left keys = turned(m.k, depth_of(b.width), m.keys);
        narrow_rows(v, b.width, WIDE);
        for (int p = 0; p < panels_of(b); p++) {
            const float *bias = b.bias + int64_t{head * PANELS + p} * WIDE * PANEL;
            float *context = m.context + (int64_t{p} * rows + words(head * b.width)) * PANEL;
            Vec inverse[2];
            logits(b, bias, keys, m.q + p * PANEL, m.scores);
            softmax(b, m.scores, inverse);
            attended(b, v, m.scores, inverse, context);
        }
    }
}

// What a layer norm takes off and multiplies by, for the tokens of a panel's halves.
struct Moments {
    Vec mean[2], factor[2];

    Moments(const SwinBlock &b, const float *panel, float eps) {
        const Vec share = all(1.0f / static_cast<float>(b.channels));
        Vec sums[2] = {zero(), zero()}, squares[2] = {zero(), zero()};
        for (int c = 0; c < b.channels; c++)
            UNROLLED for (int half = 0; half < 2; half++)
                sums[half] = add(sums[half], load(panel + c * PANEL + half * LANES));
        UNROLLED for (int half = 0; half < 2; half++) mean[half] = mul(sums[half], share);
        for (int c = 0; c < b.channels; c++)
            UNROLLED for (int half = 0; half < 2; half++) {
                const Vec a = sub(load(panel + c * PANEL + half * LANES), mean[half]);
                squares[half] = fma(a, a, squares[half]);
            }
        UNROLLED for (int half = 0; half < 2; half++)
            factor[half] = div(all(1.0f), root(fma(squares[half], share, all(eps))));
    }
};

// stream += the layer norm of y, over channels; and x, which is the stream in words.
inline void add_norm(const SwinBlock &b, const float *y, const float *weight, const float *bias,
                     float eps, float *stream, float *x) {
    const int rows = words(b.channels), panel_size = rows * WORD * PANEL;
    for (int p = 0; p < panels_of(b); p++, y += panel_size, stream += panel_size) {
        float *to = x + int64_t{p} * depth_of(b.channels) * PANEL;
        const Moments m(b, y, eps);
        for (int w = 0; w < rows; w++)
            UNROLLED for (int half = 0; half < 2; half++) {
                Vec numbers[WORD];
                UNROLLED for (int n = 0; n < WORD; n++) {
                    const int c = w * WORD + n, at = c * PANEL + half * LANES;
                    const Vec normed = mul(sub(load(y + at), m.mean[half]), m.factor[half]);
                    numbers[n] = add(load(stream + at), fma(normed, all(weight[c]), all(bias[c])));
                    if (WORD > 1) store(stream + at, numbers[n]);
                }
                store(to + w * PANEL + half * LANES, words_of(numbers[0], numbers[WORD - 1]));
            }
    }
}

// weight context + bias, or weight hidden + bias, as floats.
inline void linear(const SwinBlock &b, const Layer &layer, const float *in, float *y) {
    apply(layer, in, panels_of(b), [&](auto &tile, int panel, int row) {
        tile.store_to(y + (int64_t{panel} * layer.rows + row) * PANEL, PANEL);
    });
}

// GELU of rows of a panel, from floats to words. Apart from the product, whose registers it would take.
inline void activate(const float *rows, int count, float *to) {
    for (int at = 0; at < count / WORD * PANEL; at += LANES) {
        const float *from = rows + at / PANEL * WORD * PANEL + at % PANEL;
        store(to + at, words_of(activation(load(from)), activation(load(from + (WORD - 1) * PANEL))));
    }
}

inline void linear_gelu(const SwinBlock &b, const Layer &layer, const float *in, float *hidden) {
    apply(layer, in, panels_of(b), [&](auto &tile, int panel, int row) {
        alignas(64) float rows[ROWS * PANEL];
        tile.store_to(rows, PANEL);
        float *to = hidden + (int64_t{panel} * layer.rows + row) / WORD * PANEL;
        activate(rows, tile_rows(row, layer.rows), to);
    });
}

void run_window(const SwinBlock *block, const void *source, void *target, const int32_t *index,
                const int32_t *next, float *scratch) {
    const Tiles tiles;
    const SwinBlock &b = *block;
    const Memory m(b, scratch);
    const int depth = depth_of(b.channels), rows = words(b.channels) * WORD;
    gather(b, source, index, m.x);
    widen(b, m.x, m.stream);
    attention(b, m);
    linear(b, {b.proj, b.proj_bias, rows, depth_of(b.heads * b.width)}, m.context, m.y);
    add_norm(b, m.y, b.norm1_weight, b.norm1_bias, b.norm1_eps, m.stream, m.x);
    linear_gelu(b, {b.fc1, b.fc1_bias, b.hidden, depth}, m.x, m.hidden);
    bring_near(b, target, index);
    if (next != nullptr) bring_near(b, source, next);
    linear(b, {b.fc2, b.fc2_bias, rows, depth_of(b.hidden)}, m.hidden, m.y);
    add_norm(b, m.y, b.norm2_weight, b.norm2_bias, b.norm2_eps, m.stream, m.x);
    scatter(b, m.x, index, target);
}

}  // namespace
