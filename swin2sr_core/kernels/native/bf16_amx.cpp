// bf16 with AMX: Intel's server CPUs since Sapphire Rapids.
#include "simd_avx512.h"
#include "words_bf16.h"
#include "tile_amx.h"
#include "window.h"
#include "convolution.h"

extern "C" const SwinKernel swin2sr_bf16_amx = {
    "bf16 AMX", ROWS, PANEL, WORD, NUMBER_BYTES, DEPTH, BY_ROWS,
    Memory::size, run_window,
    STRIP_ROWS, STRIP_COLUMNS, strip_size, run_strip};
