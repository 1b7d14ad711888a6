//! The operations on burn-wgpu, as kernels of our own.
//!
//! burn has kernels for most of this; these are here because of where they run. They need nothing beyond WebGPU's
//! promises (no subgroups, no f16, no more than eight bindings and 128 MiB to each, 256 threads and 16 KiB of workgroup
//! memory), so that every adapter runs them; they fuse what lies around a product (norm, convolution, activation,
//! residual); and they leave burn's general kernels out of what a page compiles. How products are cut is a choice
//! ([`tiles`]): the digits of two adapters differ in the last places, as the order of their sums does.

mod decoder;
mod kernel;
mod maps;
mod product;
mod slabs;
pub mod tiles;
pub mod tuning;

use burn::backend::Wgpu;
use burn::tensor::{DType, Device, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

pub use decoder::{
    attend_image, attend_self, attend_tokens, heads, mlp, project_cells, project_positions, project_tokens, upscale,
};
use maps::depthwise;
pub use maps::{depthwise3x3, layer_norm, window_attention};
pub use product::{bottleneck, conv3x3, embed_pixels, feed_forward, linear, norm_linear};
pub use slabs::Slabs;

/// Numbers in a vector: channels come in multiples of four, and four floats are one load.
const LANES: usize = 4;

/// Whether this tensor lives on burn-wgpu.
pub fn owns<const D: usize>(x: &Tensor<D>) -> bool {
    x.clone().try_into_primitive::<Wgpu>().is_ok()
}

/// Whether this is a device of burn-wgpu.
pub fn is(device: &Device) -> bool {
    // The only device of a module that has no other; else burn tells by a tensor alone.
    !cfg!(feature = "cpu") || owns(&Tensor::<1>::empty([LANES], device))
}

/// Runs `make`; what it allocates on the device has memory of exactly its size, which serves the next of that size after
/// it. It does not go back to the driver: a browser gives that back when it collects garbage, some day.
pub fn keeping<const D: usize, R: Send>(like: &Tensor<D>, make: impl FnOnce() -> R + Send) -> R {
    let client = primitive(like).client;
    client.memory_persistent_allocation((), |()| make())
}

/// Waits until a tensor is really there: its first number cannot be read before all of it has been computed.
///
/// # Errors
/// What the device says.
pub async fn finished<const D: usize>(x: &Tensor<D>) -> Result<(), String> {
    let CubeTensor { client, handle, .. } = primitive(x);
    let rest = handle.size_in_used() - size_of::<f32>() as u64;
    client.read_async(vec![handle.offset_end(rest)]).await.map(drop).map_err(|error| error.to_string())
}

fn primitive<const D: usize>(x: &Tensor<D>) -> CubeTensor {
    x.clone().try_into_primitive::<Wgpu>().expect("an operation's tensors share its device")
}

/// A tensor's buffer, contiguous.
fn buffer<const D: usize>(x: &Tensor<D>) -> CubeTensor {
    into_contiguous(primitive(x))
}

/// A new tensor of floats on the device of another.
fn empty(like: &CubeTensor, shape: [usize; 3]) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape.into(), DType::F32)
}

fn tensor(x: CubeTensor) -> Tensor<3> {
    Tensor::from_primitive::<Wgpu>(x)
}
