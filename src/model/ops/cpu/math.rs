//! Two functions of one number without a branch, so that loops over them are vectorised. Both are tested against
//! `f64`. In WebAssembly the loops over many numbers are [`relaxed`](super::relaxed)'s, where the browser has that.

/// [`gelu`] of each number.
#[inline(always)]
pub fn gelu_all(x: &mut [f32]) {
    #[cfg(target_family = "wasm")]
    super::relaxed::gelu(x, gelu);
    #[cfg(not(target_family = "wasm"))]
    x.iter_mut().for_each(|x| *x = gelu(*x));
}

/// [`exp`] of each number.
#[inline(always)]
pub fn exp_all(x: &mut [f32]) {
    #[cfg(target_family = "wasm")]
    super::relaxed::exp(x, exp);
    #[cfg(not(target_family = "wasm"))]
    x.iter_mut().for_each(|x| *x = exp(*x));
}

/// `x·Φ(x)`: GELU with the exact Gaussian distribution function.
///
/// `Φ(x) = 1/2 + x·R(x²)`, with `R` the rational function that minimises the largest error of `x·Φ(x)`, fitted on
/// [0, 5.6] by reweighted least squares; beyond, Φ is 0 or 1 to the last bit that matters. The error is below 2 units
/// in the last place of the largest value.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    const LIMIT: f32 = 5.6;
    let t = if x > LIMIT { LIMIT } else { x };
    let t = if t < -LIMIT { -LIMIT } else { t };
    let u = t * t;
    let p = 2.171_047_9e-8 * u + 6.590_534e-6;
    let p = p * u + 1.901_539e-4;
    let p = p * u + 4.805_412e-3;
    let p = p * u + 3.584_708_3e-2;
    let p = p * u + 3.989_419e-1;
    let q = 1.185_146_7e-6 * u + 8.101_034e-5;
    let q = q * u + 2.003_347_7e-3;
    let q = q * u + 2.980_389_8e-2;
    let q = q * u + 2.565_180_7e-1;
    let q = q * u + 1.0;
    x * (0.5 + t * p / q)
}

/// `eˣ` for `x ≤ 0`, as softmax needs it: below −87 the result is about 1e-38 instead of a denormal number.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = if x < -87.0 { -87.0 } else { x };
    // x = n·ln 2 + r: adding and taking away 1.5·2²³ rounds to the nearest integer, and leaves n in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, the first with so few bits that n times it is exact.
    let r = x - n * 0.693_359_4;
    let r = r + n * 2.121_944_4e-4;
    // eʳ on [−ln 2 / 2, ln 2 / 2]: Taylor to the seventh power, whose remainder is below 1e-8.
    let p = 1.0 / 5040.0 * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r + 1.0;
    let p = p * r + 1.0;
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abramowitz & Stegun 7.1.5 and 7.1.14: the series near zero, the continued fraction beyond.
    fn phi(x: f64) -> f64 {
        let z = x.abs() / std::f64::consts::SQRT_2;
        let half = if z < 3.0 {
            let (mut term, mut total) = (z, z);
            for n in 1..200 {
                term *= -z * z / n as f64;
                total += term / (2 * n + 1) as f64;
            }
            total / std::f64::consts::PI.sqrt()
        } else {
            let fraction = (1..200).rev().fold(z, |tail, n| z + n as f64 / 2.0 / tail);
            0.5 - (-z * z).exp() / (2.0 * std::f64::consts::PI.sqrt() * fraction)
        };
        if x < 0.0 { 0.5 - half } else { 0.5 + half }
    }

    #[test]
    fn gelu_is_exact_to_the_last_places() {
        for i in -120_000..120_000 {
            let x = i as f32 * 1e-4;
            let expected = x as f64 * phi(x as f64);
            let error = (gelu(x) as f64 - expected).abs();
            assert!(error <= 2e-7 * (1.0 + x.abs() as f64) + 1e-7, "gelu({x}): {} instead of {expected}", gelu(x));
        }
        assert_eq!(gelu(0.0), 0.0);
        assert!((gelu(100.0) - 100.0).abs() < 1e-4 && gelu(-100.0).abs() < 1e-4);
    }

    #[test]
    fn exp_is_exact_to_the_last_places() {
        for i in -860_000..=0 {
            let x = i as f32 * 1e-4;
            let expected = (x as f64).exp();
            let error = (exp(x) as f64 / expected - 1.0).abs();
            assert!(error <= 4e-7, "exp({x}): {} instead of {expected}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 1e-37 && exp(-1e30) < 1e-37);
    }
}
