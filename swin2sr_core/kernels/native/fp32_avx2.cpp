// float32 with AVX2 and FMA: nearly every x86 computer since 2013.
#include "simd_avx2.h"
#include "words_fp32.h"
#include "tile_vectors.h"
#include "window.h"
#include "convolution.h"

extern "C" const SwinKernel swin2sr_fp32_avx2 = {
    "fp32 AVX2", ROWS, PANEL, WORD, NUMBER_BYTES, DEPTH, BY_ROWS,
    Memory::size, run_window,
    STRIP_ROWS, STRIP_COLUMNS, strip_size, run_strip};
