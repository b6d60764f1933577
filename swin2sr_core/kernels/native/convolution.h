// A 3x3 convolution, a strip of pixels at a time. After a tile_*.h.
#pragma once

#include "layer.h"

namespace {

constexpr int STRIP_ROWS = 4;
constexpr int STRIP_COLUMNS = 48 / ROWS * ROWS;
constexpr int AROUND = 1;  // as far as a pixel sees
constexpr int TAPS = 2 * AROUND + 1;
constexpr int SEEN_COLUMNS = STRIP_COLUMNS + 2 * AROUND;

int64_t strip_size(const SwinConv *conv) {
    return int64_t{STRIP_ROWS + 2 * AROUND} * SEEN_COLUMNS * depth_of(conv->inputs);
}

inline int clamped(int at, int first, int end) {
    return at < first ? first : at < end ? at : end - 1;
}

// A pixel of the map in whole words.
inline void copy_pixel(const SwinConv &conv, const void *source, int64_t pixel, float *to) {
    const int depth = depth_of(conv.inputs);
    for (int w = 0; w < depth; w += LANES) {
        const Vec numbers = load_numbers(source, pixel * conv.inputs + w * WORD,
                                         numbers_at(conv.inputs, w));
        store_part(to + w, numbers, depth - w < LANES ? depth - w : LANES);
    }
}

// What the strip sees: [row][column][word].
inline void copy_seen(const SwinConv &conv, const SwinPlace &place, const SwinBox &strip,
                      const void *source, float *to) {
    const int depth = depth_of(conv.inputs);
    for (int row = strip.top - AROUND; row < strip.bottom + AROUND; row++) {
        float *at = to + int64_t{row - strip.top + AROUND} * SEEN_COLUMNS * depth;
        const int y = clamped(row, place.bounds.top, place.bounds.bottom);
        for (int column = strip.left - AROUND; column < strip.right + AROUND; column++, at += depth) {
            const int x = clamped(column, place.bounds.left, place.bounds.right);
            if (conv.replicates || (y == row && x == column))
                copy_pixel(conv, source, int64_t{y} * place.columns + x, at);
            else
                for (int w = 0; w < depth; w++) at[w] = 0;
        }
    }
}

// Neighbours in a row lie one behind another, so that a row of taps is one product.
void run_strip(const SwinConv *convolution, const SwinPlace *place, const void *source, void *target,
               SwinBox strip, float *seen) {
    const Tiles tiles;
    const SwinConv &conv = *convolution;
    const int depth = depth_of(conv.inputs), width = strip.right - strip.left;
    copy_seen(conv, *place, strip, source, seen);
    for (int output = 0; output < conv.outputs; output += PANEL) {
        const float *weight = conv.weight + int64_t{output} * TAPS * TAPS * depth;
        for (int row = strip.top; row < strip.bottom; row++)
            for (int column = 0; column < width; column += ROWS)
                with_tile(tile_rows(column, width), [&](auto &tile) {
                    tile.begin_with_columns(conv.bias + output);
                    for (int tap = 0; tap < TAPS; tap++) {
                        const int above = row - strip.top + tap;
                        tile.multiply({seen + int64_t{above * SEEN_COLUMNS + column} * depth, depth, 1},
                                      weight + int64_t{tap} * TAPS * depth * PANEL, PANEL, TAPS * depth);
                    }
                    const int64_t pixel = int64_t{row} * place->columns + strip.left + column;
                    tile.add_to_map(target, WORD == 1 || conv.floats, pixel * conv.outputs + output,
                                    conv.outputs, conv.outputs - output);
                });
    }
}

}  // namespace
