//! The operations on burn-flex, fused so that a tile of rows stays in the cache from its first product to its
//! activation, and so that no expanded feature map is ever stored whole.
//!
//! Products are those of [`product`](mod@product); the loops around them are written to be vectorised by the compiler, for
//! the instruction set found at run time natively ([`pulp`]) and for SIMD128 in WebAssembly. Tiles are shared among threads
//! natively.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorData};

use super::Activation;
use math::gelu_all;
use product::{Factor, Matrix, product};

mod attention;
mod cells;
mod convolution;
mod decoder;
#[cfg(any(target_family = "wasm", test))]
mod kernel;
mod linear;
mod math;
mod product;
#[cfg(target_family = "wasm")]
pub mod relaxed;

pub use attention::{attention, window_attention};
pub use convolution::{bottleneck, conv3x3, depthwise3x3};
pub use decoder::{
    attend_image, attend_self, attend_tokens, heads, mlp, project_cells, project_positions, project_tokens, upscale,
};
pub use linear::{feed_forward, layer_norm, linear, norm_linear};

/// Floats of output computed at a time: with its input, a tile fits the second-level cache.
const TILE: usize = 32 * 1024;

/// Whether this tensor lives on burn-flex.
pub fn owns<const D: usize>(x: &Tensor<D>) -> bool {
    x.clone().try_into_primitive::<Flex>().is_ok()
}

/// A tensor's numbers, contiguous.
struct Floats(FlexTensor);

impl Floats {
    fn of<const D: usize>(x: &Tensor<D>) -> Self {
        let flex = x.clone().try_into_primitive::<Flex>().expect("an operation's tensors share its device");
        Floats(if flex.is_contiguous() { flex } else { flex.to_contiguous() })
    }
}

impl std::ops::Deref for Floats {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        self.0.as_slice::<f32>().expect("contiguous f32")
    }
}

fn tensor(values: Vec<f32>, shape: [usize; 3]) -> Tensor<3> {
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(values, shape)))
}

/// Runs `body` compiled for the widest instruction set of this machine.
#[inline(always)]
fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// Calls `body(index, chunk)` for every chunk of `size` elements, on all cores where there are threads.
fn for_chunks(out: &mut [f32], size: usize, body: impl Fn(usize, &mut [f32]) + Sync) {
    for_chunks_with(out, size, |_: &mut (), i, chunk| body(i, chunk));
}

/// The same, with a scratch that each thread goes on using: what a chunk needs between its steps is neither allocated nor
/// cleared for every one.
fn for_chunks_with<S: Default>(out: &mut [f32], size: usize, body: impl Fn(&mut S, usize, &mut [f32]) + Sync) {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        out.par_chunks_mut(size).enumerate().for_each_init(S::default, |scratch, (i, chunk)| body(scratch, i, chunk));
    }
    #[cfg(target_family = "wasm")]
    {
        let mut scratch = S::default();
        out.chunks_mut(size).enumerate().for_each(|(i, chunk)| body(&mut scratch, i, chunk));
    }
}

/// `activation(rows + bias + residual)`, in place.
#[inline(always)]
fn finish(rows: &mut [f32], bias: &[f32], residual: Option<&[f32]>, activation: Activation) {
    let n = bias.len();
    match residual {
        Some(residual) => {
            for (row, residual) in rows.chunks_exact_mut(n).zip(residual.chunks_exact(n)) {
                for ((x, b), r) in row.iter_mut().zip(bias).zip(residual) {
                    *x += b + r;
                }
                activate(row, activation);
            }
        }
        None => {
            for row in rows.chunks_exact_mut(n) {
                for (x, b) in row.iter_mut().zip(bias) {
                    *x += b;
                }
                activate(row, activation);
            }
        }
    }
}

#[inline(always)]
fn activate(row: &mut [f32], activation: Activation) {
    match activation {
        Activation::None => {}
        Activation::Gelu => gelu_all(row),
        Activation::Relu => row.iter_mut().for_each(|x| *x = if *x > 0.0 { *x } else { 0.0 }),
    }
}

/// The sum of `f` over a slice, in sixteen partial sums: exact enough, and the compiler can use vectors.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = x.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|x| f(*x)).sum();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += f(*x);
        }
    }
    lanes.iter().sum::<f32>() + rest
}
