// bf16 with AVX512-BF16: Intel's server CPUs since Cooper Lake, AMD's since Zen 4.
#include "simd_avx512.h"
#include "words_bf16.h"
#include "tile_vectors.h"
#include "window.h"
#include "convolution.h"

extern "C" const SwinKernel swin2sr_bf16_avx512 = {
    "bf16 AVX512", ROWS, PANEL, WORD, NUMBER_BYTES, DEPTH, BY_ROWS,
    Memory::size, run_window,
    STRIP_ROWS, STRIP_COLUMNS, strip_size, run_strip};
