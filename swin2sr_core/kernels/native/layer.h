// A layer out of tiles. After a tile_*.h.
#pragma once

namespace {

constexpr int GROUPS_BYTES = 14 << 10;  // of weights that stay in L1 beside a panel

// Words of so many numbers, filled up with zeros so that products can be made of them.
inline int depth_of(int numbers) { return (words(numbers) + DEPTH - 1) / DEPTH * DEPTH; }

inline int tile_rows(int row, int rows) { return rows - row < ROWS ? rows - row : ROWS; }

// A linear layer on a whole window: finish(tile of weight in + bias, panel, row), for `rows` rows.
//
// `in` is [panel][depth][PANEL], `depth` in words. Weights are read once for all panels, a few groups
// at a time.
struct Layer {
    const float *weight, *bias;
    int rows, depth;
};

template <typename Finish>
inline void apply(const Layer &layer, const float *in, int panels, Finish finish) {
    const int group_bytes = layer.depth * ROWS * static_cast<int>(sizeof(float));
    const int most = GROUPS_BYTES / group_bytes;
    const int chunk = ROWS * (most > 1 ? most : 1);
    for (int begin = 0; begin < layer.rows; begin += chunk) {
        const int end = layer.rows - begin < chunk ? layer.rows : begin + chunk;
        for (int p = 0; p < panels; p++)
            for (int row = begin; row < end; row += ROWS)
                with_tile(tile_rows(row, layer.rows), [&](auto &tile) {
                    tile.begin_with_rows(layer.bias + row);
                    tile.multiply({layer.weight + int64_t{row} * layer.depth,
                                   BY_ROWS ? layer.depth : 1, BY_ROWS ? 1 : ROWS},
                                  in + int64_t{p} * layer.depth * PANEL, PANEL, layer.depth);
                    finish(tile, p, row);
                });
    }
}

}  // namespace
