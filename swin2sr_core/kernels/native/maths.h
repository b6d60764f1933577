// Functions of vectors, after a simd_*.h. The polynomials are weighted minimax fits.
#pragma once

namespace {

// 2**x to a relative 1e-7, for x up to 127; 0 from -126.5 down.
inline Vec exp2_of(Vec x) {
    x = largest(x, all(-127.0f));
    const Vec n = nearest(x);
    const Vec f = sub(x, n);
    Vec p = all(1.327647129e-3f);
    p = fma(p, f, all(9.675540961e-3f));
    p = fma(p, f, all(5.550713092e-2f));
    p = fma(p, f, all(2.402212024e-1f));
    p = fma(p, f, all(6.931469440e-1f));
    p = fma(p, f, all(1.000000119f));
    return mul(p, power_of_two(n));
}

// Exact GELU, x * Phi(x) with the normal distribution's Phi, to a relative 1e-7 of x.
//
// It is max(x, 0) - a * tail(a), where a = |x| and tail(a) = Phi(-a) falls like exp(-a**2 / 2): what
// is left of it, between 1/2 and 0, is a polynomial of a. Beyond 6 the product is less than 1e-8.
inline Vec gelu_of(Vec x) {
    const Vec a = smallest(largest(x, sub(zero(), x)), all(6.0f));
    const Vec bell = exp2_of(mul(mul(a, a), all(-0.72134752f)));
    Vec p = all(-3.155084585e-07f);
    p = fma(p, a, all(7.708145858e-06f));
    p = fma(p, a, all(-8.476608491e-05f));
    p = fma(p, a, all(5.636316491e-04f));
    p = fma(p, a, all(-2.590035321e-03f));
    p = fma(p, a, all(9.003756568e-03f));
    p = fma(p, a, all(-2.547172271e-02f));
    p = fma(p, a, all(6.192387268e-02f));
    p = fma(p, a, all(-1.328057647e-01f));
    p = fma(p, a, all(2.499725670e-01f));
    p = fma(p, a, all(-3.989405930e-01f));
    p = fma(p, a, all(4.999999702e-01f));
    return sub(largest(x, zero()), mul(mul(a, bell), p));
}

}  // namespace
