// The function applied to a result: ACTIVATION is NONE, GELU or RELU.

const NONE = 0u;
const GELU = 1u;
const RELU = 2u;

// x·Φ(x) by the rational function of the CPU's kernels (cpu/math.rs), for the same digits on every device: WGSL has no
// error function.
fn gelu(x: vec4<f32>) -> vec4<f32> {
  let t = clamp(x, vec4<f32>(-5.6), vec4<f32>(5.6));
  let u = t * t;
  var p = vec4<f32>(2.1710479e-8);
  p = fma(p, u, vec4<f32>(6.590534e-6));
  p = fma(p, u, vec4<f32>(1.901539e-4));
  p = fma(p, u, vec4<f32>(4.805412e-3));
  p = fma(p, u, vec4<f32>(3.5847083e-2));
  p = fma(p, u, vec4<f32>(3.989419e-1));
  var q = vec4<f32>(1.1851467e-6);
  q = fma(q, u, vec4<f32>(8.101034e-5));
  q = fma(q, u, vec4<f32>(2.0033477e-3));
  q = fma(q, u, vec4<f32>(2.9803898e-2));
  q = fma(q, u, vec4<f32>(2.5651807e-1));
  q = fma(q, u, vec4<f32>(1.0));
  return x * (0.5 + t * p / q);
}

fn activate(x: vec4<f32>) -> vec4<f32> {
  if (ACTIVATION == GELU) {
    return gelu(x);
  }
  if (ACTIVATION == RELU) {
    return max(x, vec4<f32>(0.0));
  }
  return x;
}
