"""Parts of a Swin V2 block in Triton, for graphics cards with tensor cores that know bf16.

A map is (B H W) x C in bf16 or fp16, of which every sum is taken in fp32. A window's rows are those
that `index` (windows x tokens) names; `kinds` says which of its biases each window needs, where
they are not all of one `kind`. A row is held as two blocks of channels, FIRST and SECOND, powers of
two that cover it: one power of two would be a third too wide for 180 channels.

Addresses are counted in int64 only where LONG says that the map needs it.
"""

import triton
import triton.language as tl


@triton.jit
def _unit(x):
    """What rows have to be multiplied with to be of length one."""
    return 1.0 / tl.maximum(tl.sqrt(tl.sum(x * x, 1)), 1e-12)


@triton.jit
def _bias(
    BIAS, kinds, kind, window, head, token, inside,
    HEADS: tl.constexpr, TOKENS: tl.constexpr, PER_WINDOW: tl.constexpr,
):  # fmt: skip
    """The logits' bias of a window and head; far below every logit beyond the window."""
    if PER_WINDOW:
        kind = tl.load(kinds + window)
    start = BIAS + (kind * HEADS + head) * (TOKENS * TOKENS)
    place = token[:, None] * TOKENS + token[None, :]
    both = inside[:, None] & inside[None, :]
    return tl.load(start + place, mask=both, other=-1e4).to(tl.float32)


@triton.jit
def _attended(q, k, v, scale, bias, MAXIMUM: tl.constexpr):
    """Scaled cosine attention: T x D each, q and k in fp32, v as the map; fp32 comes out."""
    q *= (scale * _unit(q))[:, None]
    k *= _unit(k)[:, None]
    logits = tl.dot(q.to(v.dtype), tl.trans(k.to(v.dtype))) + bias
    if MAXIMUM:
        logits -= tl.max(logits, 1)[:, None]
    weights = tl.exp2(logits)
    return tl.dot(weights.to(v.dtype), v) / tl.sum(weights, 1)[:, None]


@triton.jit
def _row(X, rows, inside, channel, C: tl.constexpr):
    """One block of the channels of `rows`; zeros where there is none."""
    place = X + rows[:, None] * C + channel[None, :]
    return tl.load(place, mask=inside[:, None] & (channel < C)[None, :], other=0.0)


@triton.jit
def _weights(W, outputs, outputs_inside, inputs, inputs_inside, PITCH: tl.constexpr):
    """Part of W.T, `inputs` x `outputs`, of W with PITCH inputs; zeros beyond either."""
    place = W + outputs[None, :] * PITCH + inputs[:, None]
    return tl.load(place, mask=outputs_inside[None, :] & inputs_inside[:, None], other=0.0)


@triton.jit
def _vector(V, place, inside):
    return tl.load(V + place, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _add_normalised(
    SOURCE, TARGET, rows, inside, y1, y2, c1, c2, BIAS, WEIGHT, SHIFT, eps, C: tl.constexpr
):
    """TARGET[rows] = SOURCE[rows] + layer_norm(y + BIAS); y in fp32, zero beyond the channels.

    The rows are read once more: kept until here, they would cost a fifth of all registers.
    """
    m1, m2 = c1 < C, c2 < C
    y1 += _vector(BIAS, c1, m1)[None, :]
    y2 += _vector(BIAS, c2, m2)[None, :]
    mean = (tl.sum(y1, 1) + tl.sum(y2, 1)) / C
    y1 = tl.where(m1[None, :], y1 - mean[:, None], 0.0)
    y2 = tl.where(m2[None, :], y2 - mean[:, None], 0.0)
    narrow = 1.0 / tl.sqrt((tl.sum(y1 * y1, 1) + tl.sum(y2 * y2, 1)) / C + eps)
    y1 *= narrow[:, None] * _vector(WEIGHT, c1, m1)[None, :]
    y2 *= narrow[:, None] * _vector(WEIGHT, c2, m2)[None, :]
    y1 += _vector(SHIFT, c1, m1)[None, :]
    y2 += _vector(SHIFT, c2, m2)[None, :]
    _add_row(SOURCE, TARGET, y1, rows, inside, c1, C)
    _add_row(SOURCE, TARGET, y2, rows, inside, c2, C)


@triton.jit
def _add_row(SOURCE, TARGET, y, rows, inside, channel, C: tl.constexpr):
    both = inside[:, None] & (channel < C)[None, :]
    place = rows[:, None] * C + channel[None, :]
    # another way to the cache, or the compiler would see that it has read this before
    x = tl.load(SOURCE + place, mask=both, other=0.0, cache_modifier=".cg")
    tl.store(TARGET + place, (y + x.to(tl.float32)).to(x.dtype), mask=both)


@triton.jit
def _rows(INDEX, place, inside, LONG: tl.constexpr):
    rows = tl.load(INDEX + place, mask=inside, other=0)
    return rows.to(tl.int64) if LONG else rows


@triton.jit
def attention_core(
    QKV, OUT, BIAS, SCALE, kinds, kind,
    HEADS: tl.constexpr, WIDTH: tl.constexpr, D: tl.constexpr,
    TOKENS: tl.constexpr, T: tl.constexpr,
    MAXIMUM: tl.constexpr, PER_WINDOW: tl.constexpr, LONG: tl.constexpr,
):  # fmt: skip
    """One head of one window, between its linear layers.

    QKV is (windows tokens) x (3 HEADS WIDTH), OUT (windows tokens) x (HEADS WIDTH).
    """
    window, head = tl.program_id(0), tl.program_id(1)
    token, d = tl.arange(0, T), tl.arange(0, D)
    inside = token < TOKENS
    rows = window * TOKENS + token
    if LONG:
        rows = rows.to(tl.int64)
    both = inside[:, None] & (d < WIDTH)[None, :]
    place = QKV + rows[:, None] * (3 * HEADS * WIDTH) + head * WIDTH + d[None, :]
    q = tl.load(place, mask=both, other=0.0).to(tl.float32)
    k = tl.load(place + HEADS * WIDTH, mask=both, other=0.0).to(tl.float32)
    v = tl.load(place + 2 * HEADS * WIDTH, mask=both, other=0.0)
    bias = _bias(BIAS, kinds, kind, window, head, token, inside, HEADS, TOKENS, PER_WINDOW)
    out = _attended(q, k, v, tl.load(SCALE + head).to(tl.float32), bias, MAXIMUM)
    place = OUT + rows[:, None] * (HEADS * WIDTH) + head * WIDTH + d[None, :]
    tl.store(place, out.to(v.dtype), mask=both)


@triton.jit
def add_normalised(
    X, Y, TARGET, INDEX, WEIGHT, SHIFT, count, eps,
    C: tl.constexpr, WHOLE: tl.constexpr, ROWS: tl.constexpr,
    SCATTER: tl.constexpr, LONG: tl.constexpr,
):  # fmt: skip
    """TARGET = X + layer_norm(Y), of `count` rows; with SCATTER to the rows that INDEX names."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    inside = row < count
    c = tl.arange(0, WHOLE)
    m = c < C
    to = _rows(INDEX, row, inside, LONG) if SCATTER else row
    x = _row(X, row, inside, c, C)
    y = _row(Y, row, inside, c, C).to(tl.float32)
    y = tl.where(m[None, :], y - (tl.sum(y, 1) / C)[:, None], 0.0)
    y *= (1.0 / tl.sqrt(tl.sum(y * y, 1) / C + eps))[:, None]
    y = y * _vector(WEIGHT, c, m)[None, :] + _vector(SHIFT, c, m)[None, :] + x.to(tl.float32)
    place = TARGET + to[:, None] * C + c[None, :]
    tl.store(place, y.to(x.dtype), mask=inside[:, None] & m[None, :])


@triton.jit
def attention_half(
    SOURCE, TARGET, INDEX, QKV, QKV_BIAS, BIAS, SCALE, PROJ, PROJ_BIAS, WEIGHT, SHIFT,
    kinds, kind, eps,
    C: tl.constexpr, FIRST: tl.constexpr, SECOND: tl.constexpr,
    HEADS: tl.constexpr, WIDTH: tl.constexpr, D: tl.constexpr,
    TOKENS: tl.constexpr, T: tl.constexpr,
    MAXIMUM: tl.constexpr, PER_WINDOW: tl.constexpr, LONG: tl.constexpr,
):  # fmt: skip
    """TARGET = SOURCE + norm(attention(SOURCE)) in one window; both may be the same map."""
    window = tl.program_id(0)
    token, d = tl.arange(0, T), tl.arange(0, D)
    inside, within = token < TOKENS, d < WIDTH
    rows = _rows(INDEX, window * TOKENS + token, inside, LONG)
    c1, c2 = tl.arange(0, FIRST), FIRST + tl.arange(0, SECOND)
    m1, m2 = c1 < C, c2 < C
    x1 = _row(SOURCE, rows, inside, c1, C)
    x2 = _row(SOURCE, rows, inside, c2, C)
    y1 = tl.zeros((T, FIRST), tl.float32)
    y2 = tl.zeros((T, SECOND), tl.float32)
    for head in range(HEADS):
        column = head * WIDTH + d
        q = tl.dot(x1, _weights(QKV, column, within, c1, m1, C))
        q = tl.dot(x2, _weights(QKV, column, within, c2, m2, C), q)
        q += _vector(QKV_BIAS, column, within)[None, :]
        column += HEADS * WIDTH
        k = tl.dot(x1, _weights(QKV, column, within, c1, m1, C))
        k = tl.dot(x2, _weights(QKV, column, within, c2, m2, C), k)
        column += HEADS * WIDTH
        v = tl.dot(x1, _weights(QKV, column, within, c1, m1, C))
        v = tl.dot(x2, _weights(QKV, column, within, c2, m2, C), v)
        v += _vector(QKV_BIAS, column, within)[None, :]
        bias = _bias(BIAS, kinds, kind, window, head, token, inside, HEADS, TOKENS, PER_WINDOW)
        scale = tl.load(SCALE + head).to(tl.float32)
        out = _attended(q, k, v.to(x1.dtype), scale, bias, MAXIMUM).to(x1.dtype)
        column = head * WIDTH + d
        y1 = tl.dot(out, _weights(PROJ, c1, m1, column, within, HEADS * WIDTH), y1)
        y2 = tl.dot(out, _weights(PROJ, c2, m2, column, within, HEADS * WIDTH), y2)
    _add_normalised(SOURCE, TARGET, rows, inside, y1, y2, c1, c2, PROJ_BIAS, WEIGHT, SHIFT, eps, C)


@triton.jit
def mlp_half(
    X, INDEX, FC1, FC1_BIAS, FC2, FC2_BIAS, WEIGHT, SHIFT, count, eps, hidden_scale,
    C: tl.constexpr, FIRST: tl.constexpr, SECOND: tl.constexpr,
    HIDDEN: tl.constexpr, PART: tl.constexpr, ROWS: tl.constexpr, LONG: tl.constexpr,
):  # fmt: skip
    """X += norm(fc2(gelu(fc1(X)))) in `count` rows that INDEX names."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    inside = row < count
    rows = _rows(INDEX, row, inside, LONG)
    c1, c2 = tl.arange(0, FIRST), FIRST + tl.arange(0, SECOND)
    m1, m2 = c1 < C, c2 < C
    x1 = _row(X, rows, inside, c1, C)
    x2 = _row(X, rows, inside, c2, C)
    y1 = tl.zeros((ROWS, FIRST), tl.float32)
    y2 = tl.zeros((ROWS, SECOND), tl.float32)
    for start in range(0, HIDDEN, PART):
        unit = start + tl.arange(0, PART)
        within = unit < HIDDEN
        h = tl.dot(x1, _weights(FC1, unit, within, c1, m1, C))
        h = tl.dot(x2, _weights(FC1, unit, within, c2, m2, C), h)
        h = (h + _vector(FC1_BIAS, unit, within)[None, :]) / hidden_scale
        h = 0.5 * h * (1.0 + tl.erf(h * 0.7071067811865476)) * hidden_scale
        h = h.to(x1.dtype)
        y1 = tl.dot(h, _weights(FC2, c1, m1, unit, within, HIDDEN), y1)
        y2 = tl.dot(h, _weights(FC2, c2, m2, unit, within, HIDDEN), y2)
    _add_normalised(X, X, rows, inside, y1, y2, c1, c2, FC2_BIAS, WEIGHT, SHIFT, eps, C)
