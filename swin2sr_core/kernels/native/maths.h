// Functions of vectors, after a simd_*.h. The polynomials are weighted minimax fits.
#pragma once

namespace {

// 2**x to a relative 1e-7, for x up to 127; 0 from -126.5 down.
inline Vec exp2_of(Vec x) {
    x = largest(x, all(-127.0f));
    const Vec n = nearest(x);
    const Vec f = sub(x, n);
    Vec p = all(1.32765e-3f);
    p = fma(p, f, all(9.67554e-3f));
    p = fma(p, f, all(5.550713e-2f));
    p = fma(p, f, all(2.402212e-1f));
    p = fma(p, f, all(6.9314697e-1f));
    p = fma(p, f, all(1.0f));
    return mul(p, power_of_two(n));
}

// Exact GELU, x * Phi(x) with the normal distribution's Phi, to an absolute 5e-7.
//
// It is max(x, 0) - a * tail(a), where a = |x| and tail(a) = Phi(-a) falls like exp(-a**2 / 2): what
// is left of it, between 1/2 and 0, is a polynomial of a. Beyond 6 the product is less than 1e-8.
inline Vec gelu_of(Vec x) {
    const Vec a = smallest(largest(x, sub(zero(), x)), all(6.0f));
    const Vec bell = exp2_of(mul(mul(a, a), all(-0.72134752f)));
    Vec p = all(-4.501758667e-6f);
    p = fma(p, a, all(9.555527504e-5f));
    p = fma(p, a, all(-9.018372511e-4f));
    p = fma(p, a, all(5.081651732e-3f));
    p = fma(p, a, all(-1.954603940e-2f));
    p = fma(p, a, all(5.618477985e-2f));
    p = fma(p, a, all(-1.293827891e-1f));
    p = fma(p, a, all(2.488094419e-1f));
    p = fma(p, a, all(-3.987469375e-1f));
    p = fma(p, a, all(4.999889433e-1f));
    return sub(largest(x, zero()), mul(mul(a, bell), p));
}

}  // namespace
