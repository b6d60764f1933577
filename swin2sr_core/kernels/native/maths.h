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

// 2**x to a relative 1e-4, for x up to 127; less than 2e-38 from -126 down.
//
// Adding 1.5 * 2**23 leaves the nearest whole number in the lowest bits, from where it goes into the
// exponent of a polynomial of the rest.
inline Vec rough_exp2_of(Vec x) {
    const Vec magic = all(12582912.0f);
    x = largest(x, all(-126.0f));
    const Vec n = add(x, magic);
    const Vec f = sub(x, sub(n, magic));
    Vec p = all(5.517164511e-02f);
    p = fma(p, f, all(2.426113832e-01f));
    p = fma(p, f, all(6.932610091e-01f));
    p = fma(p, f, all(9.999280583e-01f));
    return add_to_exponent(p, n);
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

// GELU to 4e-5 of x: x * (1/2 + an odd polynomial of x), which beyond +-4 is as good as 0 and x.
inline Vec rough_gelu_of(Vec x) {
    const Vec c = smallest(largest(x, all(-4.0f)), all(4.0f));
    const Vec square = mul(c, c);
    Vec p = all(-1.301267111e-09f);
    p = fma(p, square, all(1.041944557e-07f));
    p = fma(p, square, all(-3.657095801e-06f));
    p = fma(p, square, all(7.485460240e-05f));
    p = fma(p, square, all(-1.006487511e-03f));
    p = fma(p, square, all(9.505388273e-03f));
    p = fma(p, square, all(-6.588782625e-02f));
    p = fma(p, square, all(3.986733866e-01f));
    return mul(x, fma(c, p, all(0.5f)));
}

}  // namespace
