// One Swin V2 block on windows of a feature map: what callers hand over, and how it is laid out.
//
// THE LAYOUT
//
// A window is at most 64 tokens (8x8 pixels; 7x7 has 49) of C channels. On the map a token is a row
// of C numbers. Inside, everything is turned: A WINDOW IS A MATRIX OF CHANNELS x TOKENS, and vectors
// hold tokens. So no number of channels or heads is ever padded; per-token work (norms, softmax)
// sums over rows, never within a vector; and every product has the same shape,
//
//     out[row][token] += left[row][k] * right[k][token]
//
// with `right` in vectors and `left` broadcast number by number. `left` is a layer's weights, or a
// head's k for the logits, or its v for what attention reads.
//
// Tokens are cut into PANELS as wide as two vectors. A panel of `rows` channels lies in one piece,
// rows x PANEL numbers, so that a product streams it from the first-level cache; a window is
// PANELS of them, one behind the other:
//
//     x, y, context, hidden     [panel][channel][token in panel]
//     q, k, v of one head       [3 * width][64]: q is read as panels 64 apart, k and v as `left`
//     scores of one head        [key][query in panel], one panel of queries at a time
//
// A product makes a TILE at a time: up to ROWS rows of `out` by one panel, in registers. Weights are
// packed for that, in groups of ROWS rows, [group][k][ROWS] (with AMX, whose registers multiply 16 words
// at once, [group][ROWS][k]), the last filled up with zeros; the
// weights of qkv are [head][q, k, v][width] in rows, each head a matrix of its own. The position
// bias, in units of log2 and with its mask, is packed as scores are: [head][panel][key][query].
//
// A window goes through these stages, each a function of its own in window.h, in memory of about
// 250 KB at 180 channels, which stays in the second-level cache:
//
//     gather -> for each head: qkv, normalise; for each panel: logits, softmax, context
//            -> projection, norm, residual -> fc1 and GELU -> fc2, norm, residual -> scatter
//
// A convolution turns nothing: its `left` are the map's pixels, its `right` weights, and a tile is
// ROWS pixels by a panel of outputs (convolution.h).
//
// Every window and pixel is computed alike whatever else is computed, so bands and threads change no bit.
// Each instruction set has a header of helpers with the same names (simd_*.h), and a .cpp that
// includes it and window.h; library.cpp is compiled for any CPU and asks it what it can.
#pragma once

#include <stdint.h>

#define SWIN2SR_TOKENS 64  // the most in a window

// One block with the bias of one kind of window. Weights are words, all else is float32.
struct SwinBlock {
    int32_t tokens, channels, heads, width, hidden;  // width: of a head, in whole words, as `hidden`
    int32_t bounded;                                 // no logit can leave the range of exp2
    float norm1_eps, norm2_eps;
    const float *qkv, *qkv_bias, *q_scale, *bias;
    const float *proj, *proj_bias, *norm1_weight, *norm1_bias;
    const float *fc1, *fc1_bias, *fc2, *fc2_bias, *norm2_weight, *norm2_bias;
};

// A 3x3 convolution from map to map. Weights are words, [panel of outputs][3][3][word of inputs][PANEL],
// the bias floats, [panel of outputs][PANEL]; zeros fill the last panel. What it is added to may be
// `floats` where all other maps are not. If it is not, a panel's outputs begin with the first of every
// word, for `add_words`. Beyond the bounds of its place it sees zeros, or the border once more.
struct SwinConv {
    int32_t inputs, outputs, floats, replicates;
    const float *weight, *bias;
};

// Pixels from top/left to before bottom/right.
struct SwinBox {
    int32_t top, left, bottom, right;
};

// Which pixels of two maps with so many columns are computed, and which may be seen for it.
struct SwinPlace {
    int32_t columns;
    SwinBox box, bounds;
};

// What one instruction set offers.
struct SwinKernel {
    const char *name;
    int32_t rows, panel;  // of a tile, which packing has to know
    int32_t word;         // numbers in a word
    int32_t number_bytes; // of a number on the maps
    int32_t depth;        // words that are multiplied at once: zeros fill them up
    int32_t by_rows;      // a group of weights is [ROWS][word], not [word][ROWS]
    // Floats of scratch memory that one thread needs, to be aligned to 64 bytes.
    int64_t (*scratch)(const SwinBlock *block);
    // `index`: rows of the maps, [tokens]; `next`: of a window that is likely to follow, or null.
    // The maps are rows of `channels` numbers.
    void (*window)(const SwinBlock *block, const void *source, void *target, const int32_t *index,
                   const int32_t *next, float *scratch);
    // The same for a convolution, whose box is cut into strips of at most so many rows and columns;
    // target += convolution of source, which is another map.
    int32_t strip_rows, strip_columns;
    int64_t (*strip_scratch)(const SwinConv *conv);
    void (*strip)(const SwinConv *conv, const SwinPlace *place, const void *source, void *target,
                  SwinBox strip, float *scratch);
};
