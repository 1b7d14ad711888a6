//! The eight operations that the network is made of, on channels-last tensors.
//!
//! Every feature map is `[H, W, C]` and every token list `[B, L, C]`: a 1×1 convolution is then a matrix product, a
//! LayerNorm2d is a LayerNorm, and nothing is transposed between the first pixel and the last logit.
//!
//! Each operation is written for burn-flex ([`cpu`]) and for burn-wgpu ([`gpu`]); the device of the tensor decides. What
//! it means is written once more in burn's own tensor operations (`portable`), to which tests hold both.

#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "webgpu")]
mod gpu;
#[cfg(all(test, feature = "cpu"))]
mod portable;

#[cfg(not(any(feature = "cpu", feature = "webgpu")))]
compile_error!("choose a device: the feature `cpu` (burn-flex) or `webgpu` (burn-wgpu)");

use burn::tensor::Tensor;

/// The function applied to the result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    None,
    /// `x·Φ(x)` with the exact Gaussian distribution function, not the tanh approximation.
    Gelu,
    Relu,
}

/// `y = x·W + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[in, out]`: the transpose of PyTorch's.
    pub weight: Tensor<2>,
    /// `[out]`.
    pub bias: Tensor<1>,
}

/// Normalisation over the channels, with a scale and a shift.
#[derive(Clone, Debug)]
pub struct Norm {
    /// `[C]`.
    pub weight: Tensor<1>,
    /// `[C]`.
    pub bias: Tensor<1>,
    /// Added to the variance: 1e-5 in LayerNorm, 1e-6 in SAM's LayerNorm2d.
    pub epsilon: f64,
}

/// A 3×3 convolution with padding 1.
#[derive(Clone, Debug)]
pub struct Conv3x3 {
    /// `[3·3·in, out]`, rows ordered by kernel row, kernel column, input channel.
    pub weight: Tensor<2>,
    /// `[out]`.
    pub bias: Tensor<1>,
}

/// A depthwise 3×3 convolution with padding 1.
#[derive(Clone, Debug)]
pub struct Depthwise3x3 {
    /// `[3·3, C]`.
    pub weight: Tensor<2>,
    /// `[C]`.
    pub bias: Tensor<1>,
}

/// The shape shared by MBConv and PatchMerging: 1×1, GELU, depthwise 3×3, GELU, 1×1.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    pub expand: Linear,
    pub depthwise: Depthwise3x3,
    pub project: Linear,
    /// Of the depthwise convolution: 1 or 2.
    pub stride: usize,
    /// MBConv adds its input to the result and applies GELU to the sum; PatchMerging does neither.
    pub residual: bool,
}

/// What windowed attention needs besides queries, keys and values.
#[derive(Clone, Debug)]
pub struct Window {
    /// Side of a window in grid cells.
    pub side: usize,
    /// Added to the scaled products of queries and keys: `[heads, side², side²]`.
    pub bias: Tensor<3>,
    /// The packed query, key and value of a padded cell, `[3·C]`: the reference pads with zeros before the LayerNorm,
    /// so a padded cell is the LayerNorm's bias, projected.
    pub pad: Tensor<1>,
}

/// Runs an operation on the device of the tensor.
macro_rules! on_device {
    ($x:ident, $name:ident($($argument:expr),*)) => {{
        #[cfg(all(feature = "cpu", feature = "webgpu"))]
        if gpu::owns(&$x) {
            return gpu::$name($($argument),*);
        }
        #[cfg(feature = "cpu")]
        return cpu::$name($($argument),*);
        #[cfg(not(feature = "cpu"))]
        return gpu::$name($($argument),*);
    }};
}

/// `activation(x·W + b + residual)`.
///
/// # Shapes
/// `x [B, L, in]`, `residual [B or 1, L, out]` → `[B, L, out]`
pub fn linear(x: Tensor<3>, layer: &Linear, activation: Activation, residual: Option<Tensor<3>>) -> Tensor<3> {
    on_device!(x, linear(x, layer, activation, residual))
}

/// `activation(LayerNorm(x))` over the last axis.
///
/// # Shapes
/// `x [B, L, C]` → `[B, L, C]`
pub fn layer_norm(x: Tensor<3>, norm: &Norm, activation: Activation) -> Tensor<3> {
    on_device!(x, layer_norm(x, norm, activation))
}

/// `activation(conv(x) + b)`, 3×3, padding 1.
///
/// # Shapes
/// `x [H, W, in]` → `[⌈H/stride⌉, ⌈W/stride⌉, out]`
pub fn conv3x3(x: Tensor<3>, conv: &Conv3x3, stride: usize, activation: Activation) -> Tensor<3> {
    on_device!(x, conv3x3(x, conv, stride, activation))
}

/// Depthwise `conv(x) + b`, 3×3, padding 1, stride 1.
///
/// # Shapes
/// `x [H, W, C]` → `[H, W, C]`
pub fn depthwise3x3(x: Tensor<3>, conv: &Depthwise3x3) -> Tensor<3> {
    on_device!(x, depthwise3x3(x, conv))
}

/// MBConv or PatchMerging.
///
/// # Shapes
/// `x [H, W, in]` → `[⌈H/stride⌉, ⌈W/stride⌉, out]`
pub fn bottleneck(x: Tensor<3>, block: &Bottleneck) -> Tensor<3> {
    on_device!(x, bottleneck(x, block))
}

/// Attention within windows of `window.side` cells a side; the grid is padded right and bottom to whole windows, and
/// padded cells take part as keys.
///
/// # Shapes
/// `qkv [H, W, 3·C]`, packed per head as `[query | key | value]` → `[H, W, C]`
pub fn window_attention(qkv: Tensor<3>, window: &Window) -> Tensor<3> {
    on_device!(qkv, window_attention(qkv, window))
}

/// `softmax(q·kᵀ / √d)·v` for each of `heads` heads, which lie side by side in the channels.
///
/// # Shapes
/// `q [B, Lq, C]`, `k, v [B or 1, Lk, C]` → `[B, Lq, C]`; a batch of one in any of them is shared by all.
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    on_device!(q, attention(q, k, v, heads))
}

/// Attention of tokens to an image's cells, whose keys have positions.
///
/// # Shapes
/// `q [B, T, inner]`, `x [B or 1, L, C]`, `positions [1, L, inner]` → `[B, T, inner]`
pub fn attend_image(
    q: Tensor<3>,
    x: Tensor<3>,
    k: &Linear,
    positions: Tensor<3>,
    v: &Linear,
    heads: usize,
) -> Tensor<3> {
    #[cfg(feature = "cpu")]
    if cpu::owns(&q) && heads * q.dims()[1] < k.bias.dims()[0] {
        return cpu::attend_image(q, x, k, positions, v, heads);
    }
    let k = linear(x.clone(), k, Activation::None, Some(positions));
    let v = linear(x, v, Activation::None, None);
    attention(q, k, v, heads)
}

/// The queries of an image's cells.
pub enum Queries<'a> {
    /// Projected before, `[B or 1, L, inner]`.
    Known(Tensor<3>),
    /// To be projected from the image, with positions `[1, L, inner]`.
    Of(&'a Linear, Tensor<3>),
}

/// Attention of an image's cells to tokens; projected and added to the image.
///
/// # Shapes
/// `x [B or 1, L, C]`, `k, v [B, T, inner]` → `[B, L, C]`
pub fn attend_tokens(
    x: Tensor<3>,
    q: Queries<'_>,
    k: Tensor<3>,
    v: Tensor<3>,
    out: &Linear,
    heads: usize,
) -> Tensor<3> {
    #[cfg(feature = "cpu")]
    if cpu::owns(&x) && heads * k.dims()[1] < k.dims()[2] {
        return cpu::attend_tokens(x, q, k, v, out, heads);
    }
    let q = match q {
        Queries::Known(q) => q,
        Queries::Of(layer, positions) => linear(x.clone(), layer, Activation::None, Some(positions)),
    };
    linear(attention(q, k, v, heads), out, Activation::None, Some(x))
}

/// The masks of each prompt: its `weights` times the upscaled map, cell by cell.
///
/// # Shapes
/// `weights [B, masks, C]`, `x [B, L, C]` → `[B, masks, L]`
pub fn combine(weights: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
    on_device!(x, combine(weights, x))
}

#[cfg(all(test, feature = "cpu"))]
mod tests;
