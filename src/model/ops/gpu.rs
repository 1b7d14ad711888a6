//! The operations on burn-wgpu.

use burn::backend::Wgpu;
use burn::tensor::Tensor;

pub use super::portable::{attention, bottleneck, conv3x3, depthwise3x3, layer_norm, linear, window_attention};

/// Whether this tensor lives on burn-wgpu.
pub fn owns<const D: usize>(x: &Tensor<D>) -> bool {
    x.clone().try_into_primitive::<Wgpu>().is_ok()
}
