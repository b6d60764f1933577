// float32 with AVX512F.
#include "simd_avx512.h"
#include "words_fp32.h"
#include "tile_vectors.h"
#include "window.h"
#include "convolution.h"

extern "C" const SwinKernel swin2sr_fp32_avx512 = {
    "fp32 AVX512", ROWS, PANEL, WORD, NUMBER_BYTES, DEPTH, BY_ROWS,
    Memory::size, run_window,
    STRIP_ROWS, STRIP_COLUMNS, strip_size, run_strip};
