//! The operations that the network is made of, on channels-last tensors.
//!
//! Every feature map is `[H, W, C]` and every token list `[B, L, C]`: a 1×1 convolution is then a matrix product, a
//! LayerNorm2d is a LayerNorm, and nothing is transposed between the first pixel and the last logit.
//!
//! Each operation is written for burn-flex (`cpu`) and for burn-wgpu (`gpu`); the device of the tensor decides. What
//! it means is written once more in burn's own tensor operations (`portable`), to which tests hold both. The encoder's
//! are here, the decoder's steps in [`decoder`].

#[cfg(feature = "cpu")]
mod cpu;
pub mod decoder;
#[cfg(feature = "webgpu")]
#[allow(missing_docs)] // its operations are those of this module and of `decoder`, which say what they do
pub mod gpu;
pub mod known;
#[cfg(all(test, feature = "cpu"))]
mod portable;

#[cfg(all(feature = "cpu", target_family = "wasm"))]
#[doc(hidden)]
pub use cpu::relaxed;

#[cfg(not(any(feature = "cpu", feature = "webgpu")))]
compile_error!("choose a device: the feature `cpu` (burn-flex) or `webgpu` (burn-wgpu)");

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::bands::{Band, Haloed};

/// The function applied to the result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x`.
    None,
    /// `x·Φ(x)` with the exact Gaussian distribution function, not the tanh approximation.
    Gelu,
    /// `max(x, 0)`.
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

/// The first convolution, which sees the photo.
#[derive(Clone, Debug)]
pub struct PixelConv {
    /// Of three channels, normalised: what the CPU takes.
    #[cfg(feature = "cpu")]
    pub conv: Conv3x3,
    /// Of four, whose last is nothing: what a GPU takes, which normalises by itself.
    #[cfg(feature = "webgpu")]
    pub packed: Conv3x3,
    /// Of the channels, in units of a byte.
    pub mean: [f32; 3],
    /// The standard one of the channels, in units of a byte.
    pub deviation: [f32; 3],
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
    /// 1×1, to the wide map.
    pub expand: Linear,
    /// On the wide map.
    pub depthwise: Depthwise3x3,
    /// 1×1, back.
    pub project: Linear,
    /// Of the depthwise convolution: 1 or 2.
    pub stride: usize,
    /// MBConv adds its input to the result and applies GELU to the sum; PatchMerging does neither.
    pub residual: bool,
    /// The biases of the three one after another, as a kernel takes them that does all three.
    pub biases: Tensor<1>,
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

/// Where weights are put on a device.
pub struct Room {
    device: Device,
    #[cfg(feature = "webgpu")]
    slabs: Option<gpu::Slabs>,
}

impl Room {
    /// On a device.
    pub fn new(device: &Device) -> Self {
        Room {
            device: device.clone(),
            #[cfg(feature = "webgpu")]
            slabs: gpu::is(device).then(|| gpu::Slabs::new(device)),
        }
    }

    /// Puts values there.
    pub fn place<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        #[cfg(feature = "webgpu")]
        if let Some(slabs) = &self.slabs {
            return slabs.place(values, shape);
        }
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }
}

/// Pixels on a device, in the form that its first convolution takes.
pub enum Pixels {
    /// `[S, S, 3]`, normalised, or a worker's rows of it.
    Normalised(Haloed),
    /// `[S, S]`: four bytes each, red first, the last one 255 where there is a photo and 0 where there is only padding.
    Packed(Tensor<2, Int>),
}

impl Pixels {
    /// A worker's rows ([`Band::pixels`]) of the resized photo's bytes `[height, width, 3]`, padded to `side` to the right
    /// and below. `normalise` makes the network's input of them, `[rows, side, 3]` for the number of rows that it is given,
    /// where the device does not do so itself.
    pub fn new(
        rgb: &[u8],
        width: usize,
        side: usize,
        band: Band,
        device: &Device,
        normalise: impl FnOnce(usize) -> Vec<f32>,
    ) -> Self {
        #[cfg(feature = "webgpu")]
        if gpu::is(device) {
            let mut packed = vec![0i32; side * side];
            for (to, from) in packed.chunks_exact_mut(side).zip(rgb.chunks_exact(3 * width)) {
                for (to, [r, g, b]) in to.iter_mut().zip(from.as_chunks::<3>().0) {
                    *to = i32::from_le_bytes([*r, *g, *b, 255]);
                }
            }
            return Pixels::Packed(Tensor::from_data(TensorData::new(packed, [side, side]), device));
        }
        let _ = (rgb, width);
        let halo = band.pixels(side);
        let rows = halo.rows.len();
        let rows = Tensor::from_data(TensorData::new(normalise(rows), [rows, side, 3]), device);
        Pixels::Normalised(Haloed::new(rows, &halo))
    }

    /// The model side `S`.
    pub fn side(&self) -> usize {
        match self {
            Pixels::Normalised(x) => x.rows.dims()[1],
            Pixels::Packed(x) => x.dims()[1],
        }
    }
}

/// Runs an operation on the device of the tensor; `haloed`: of its rows, which a GPU has all.
macro_rules! on_device {
    (haloed $x:ident, $name:ident($first:ident $(, $argument:expr)*)) => {{
        let $x: Haloed = $x.into();
        #[cfg(all(feature = "cpu", feature = "webgpu"))]
        if gpu::owns(&$x.rows) {
            return gpu::$name($x.whole() $(, $argument)*);
        }
        #[cfg(feature = "cpu")]
        return cpu::$name($first $(, $argument)*);
        #[cfg(not(feature = "cpu"))]
        return gpu::$name($first.whole() $(, $argument)*);
    }};
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
use on_device;

/// Runs `make`; what it makes is kept for long. On a GPU it gets memory of its own size, instead of a page that was made for
/// something larger.
pub fn keeping<const D: usize, R: Send>(like: &Tensor<D>, make: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "webgpu")]
    if gpu::owns(like) {
        return gpu::keeping(like, make);
    }
    let _ = like;
    make()
}

/// Waits until a tensor is really there.
///
/// # Errors
/// What the device says.
pub async fn finished<const D: usize>(x: &Tensor<D>) -> Result<(), String> {
    #[cfg(feature = "webgpu")]
    if gpu::owns(x) {
        return gpu::finished(x).await;
    }
    let _ = x;
    Ok(())
}

/// `activation(x·W + b + residual)`.
///
/// # Shapes
/// `x [B, L, in]`, `residual [B or 1, L, out]` → `[B, L, out]`
pub fn linear(x: Tensor<3>, layer: &Linear, activation: Activation, residual: Option<Tensor<3>>) -> Tensor<3> {
    on_device!(x, linear(x, layer, activation, residual))
}

/// `activation(LayerNorm(x)·W + b)`.
///
/// # Shapes
/// `x [B, L, in]` → `[B, L, out]`
pub fn norm_linear(x: Tensor<3>, norm: &Norm, layer: &Linear, activation: Activation) -> Tensor<3> {
    on_device!(x, norm_linear(x, norm, layer, activation))
}

/// `x + narrow(GELU(widen(LayerNorm(x))))`.
///
/// # Shapes
/// `x [B, L, C]`, `widen [C, hidden]`, `narrow [hidden, C]` → `[B, L, C]`
pub fn feed_forward(x: Tensor<3>, norm: &Norm, widen: &Linear, narrow: &Linear) -> Tensor<3> {
    on_device!(x, feed_forward(x, norm, widen, narrow))
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
/// `x [H, W, in]` → `[⌈H/stride⌉, ⌈W/stride⌉, out]`; of a [`Haloed`] the rows that are around its own.
pub fn conv3x3(x: impl Into<Haloed>, conv: &Conv3x3, stride: usize, activation: Activation) -> Tensor<3> {
    on_device!(haloed x, conv3x3(x, conv, stride, activation))
}

/// `activation(conv(pixels) + b)`, 3×3, padding 1, stride 2.
///
/// # Shapes
/// `[S, S]` pixels → `[S/2, S/2, out]`; of a worker's rows of them its own rows.
pub fn embed_pixels(pixels: Pixels, conv: &PixelConv, activation: Activation) -> Tensor<3> {
    match pixels {
        #[cfg(feature = "cpu")]
        Pixels::Normalised(x) => cpu::conv3x3(x, &conv.conv, 2, activation),
        #[cfg(feature = "webgpu")]
        Pixels::Packed(x) => gpu::embed_pixels(x, conv, activation),
        #[cfg(not(all(feature = "cpu", feature = "webgpu")))]
        _ => unreachable!("pixels are made in the form that the only device takes"),
    }
}

/// Depthwise `conv(x) + b`, 3×3, padding 1, stride 1.
///
/// # Shapes
/// `x [H, W, C]` → `[H, W, C]`; of a [`Haloed`] its own rows.
pub fn depthwise3x3(x: impl Into<Haloed>, conv: &Depthwise3x3) -> Tensor<3> {
    on_device!(haloed x, depthwise3x3(x, conv))
}

/// MBConv or PatchMerging.
///
/// # Shapes
/// `x [H, W, in]` → `[⌈H/stride⌉, ⌈W/stride⌉, out]`; of a [`Haloed`] the rows that are around its own.
pub fn bottleneck(x: impl Into<Haloed>, block: &Bottleneck) -> Tensor<3> {
    on_device!(haloed x, bottleneck(x, block))
}

/// Attention within windows of `window.side` cells a side; the grid is padded right and bottom to whole windows, and
/// padded cells take part as keys.
///
/// # Shapes
/// `qkv [H, W, 3·C]`, packed per head as `[query | key | value]` → `[H, W, C]`
pub fn window_attention(qkv: Tensor<3>, window: &Window) -> Tensor<3> {
    on_device!(qkv, window_attention(qkv, window))
}

#[cfg(all(test, feature = "cpu"))]
mod tests;
