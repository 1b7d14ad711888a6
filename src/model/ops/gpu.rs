//! The operations on burn-wgpu, as CubeCL kernels of our own.
//!
//! burn has kernels for most of this; these are here because of where they run. They need nothing beyond WebGPU's
//! promises (no subgroups, no f16, no more than eight bindings and 128 MiB to each), so that every adapter runs the same
//! arithmetic; they keep their sums in registers and meet at no barrier, which costs software adapters most; they fuse
//! the activation and the residual; and they leave burn's general kernels out of the module that a page downloads.

mod attention;
mod convolution;
mod linear;

use burn::backend::Wgpu;
use burn::tensor::Tensor;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{Activation, Bottleneck};

pub use attention::{attention, window_attention};
pub use convolution::{conv3x3, depthwise3x3};
pub use linear::{combine, layer_norm, linear};

/// Numbers in a vector: channels come in multiples of four, and four floats are one load.
const LANES: usize = 4;
/// Threads in a workgroup.
const CUBE: u32 = 64;

/// Whether this tensor lives on burn-wgpu.
#[cfg(feature = "cpu")]
pub fn owns<const D: usize>(x: &Tensor<D>) -> bool {
    x.clone().try_into_primitive::<Wgpu>().is_ok()
}

/// A tensor's buffer, contiguous.
fn buffer<const D: usize>(x: &Tensor<D>) -> CubeTensor {
    let primitive = x.clone().try_into_primitive::<Wgpu>().expect("an operation's tensors share its device");
    into_contiguous(primitive)
}

/// A new tensor on the device of another.
fn empty(like: &CubeTensor, shape: [usize; 3]) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape.into(), like.dtype)
}

fn tensor(x: CubeTensor) -> Tensor<3> {
    Tensor::from_primitive::<Wgpu>(x)
}

/// Enough workgroups for `units` threads.
fn cubes(like: &CubeTensor, units: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(CUBE);
    (cubecl::calculate_cube_count_elemwise(&like.client, units, dim), dim)
}

pub fn bottleneck(x: Tensor<3>, block: &Bottleneck) -> Tensor<3> {
    let [h, w, _] = x.dims();
    let y = linear(x.clone(), &block.expand, Activation::Gelu, None);
    let y = convolution::depthwise(y, &block.depthwise, block.stride, Activation::Gelu);
    let (function, residual) = if block.residual { (Activation::Gelu, Some(x)) } else { (Activation::None, None) };
    let y = linear(y, &block.project, function, residual);
    debug_assert_eq!(y.dims()[..2], [h.div_ceil(block.stride), w.div_ceil(block.stride)]);
    y
}

/// An activation, on the device.
#[cube]
fn activate<N: Size>(x: Vector<f32, N>, #[comptime] function: Activation) -> Vector<f32, N> {
    match comptime!(function) {
        Activation::None => x,
        Activation::Gelu => gelu::<N>(x),
        Activation::Relu => x.max(Vector::new(0.0)),
    }
}

/// The rational function of [`super::cpu`], for the same digits on every device: WGSL has no error function.
#[cube]
fn gelu<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    let t = x.max(Vector::new(-5.6)).min(Vector::new(5.6));
    let u = t * t;
    let p = Vector::new(2.171_047_9e-8) * u + Vector::new(6.590_534e-6);
    let p = p * u + Vector::new(1.901_539e-4);
    let p = p * u + Vector::new(4.805_412e-3);
    let p = p * u + Vector::new(3.584_708_3e-2);
    let p = p * u + Vector::new(3.989_419e-1);
    let q = Vector::new(1.185_146_7e-6) * u + Vector::new(8.101_034e-5);
    let q = q * u + Vector::new(2.003_347_7e-3);
    let q = q * u + Vector::new(2.980_389_8e-2);
    let q = q * u + Vector::new(2.565_180_7e-1);
    let q = q * u + Vector::new(1.0);
    x * (Vector::new(0.5) + t * p / q)
}
