//! Checkpoint → layers: every layer is built straight from its tensors, so that no random initialisation is allocated
//! and overwritten.
//!
//! PyTorch's layouts become those of [`ops`](super::ops) here, and here alone:
//!
//! | checkpoint | here |
//! |---|---|
//! | linear, 1×1 convolution `[out, in(, 1, 1)]` | `[in, out]` |
//! | convolution `[out, in, 3, 3]` | `[3·3·in, out]` |
//! | depthwise convolution `[C, 1, 3, 3]` | `[3·3, C]` |
//! | transposed convolution `[in, out, 2, 2]` | `[in, 2·2·out]` |
//! | BatchNorm | folded into the convolution before it |

use burn::tensor::{Device, Tensor, TensorData};

use super::ops::{Conv3x3, Depthwise3x3, Linear, Norm};
use crate::checkpoint::Checkpoint;
use crate::{Error, Result};

/// `eps` of PyTorch's BatchNorm.
const BATCH_NORM_EPSILON: f64 = 1e-5;
/// `eps` of PyTorch's LayerNorm.
const LAYER_NORM_EPSILON: f64 = 1e-5;
/// `eps` of SAM's own LayerNorm2d (segment_anything/modeling/common.py).
const LAYER_NORM_2D_EPSILON: f64 = 1e-6;

/// A checkpoint, read for one device, under a prefix of names.
#[derive(Clone)]
pub struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    device: &'a Device,
    prefix: String,
}

impl<'a> Weights<'a> {
    pub fn new(checkpoint: &'a Checkpoint, device: &'a Device) -> Self {
        Weights { checkpoint, device, prefix: String::new() }
    }

    /// The weights whose names begin with `name` and a dot.
    pub fn under(&self, name: impl std::fmt::Display) -> Self {
        Weights { prefix: format!("{}{name}.", self.prefix), ..*self }
    }

    /// A tensor's values, in the checkpoint's layout.
    ///
    /// # Errors
    /// `checkpoint_mismatch` if there is none of that name and shape.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.checkpoint.tensor(&format!("{}{name}", self.prefix), shape)
    }

    /// Values on the device.
    pub fn place<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }

    fn vector(&self, name: &str, length: usize) -> Result<Tensor<1>> {
        Ok(self.place(self.floats(name, &[length])?, [length]))
    }

    /// A linear layer with a bias.
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let layer = self.under(name);
        let weight = layer.floats("weight", &[outputs, inputs])?;
        Ok(Linear {
            weight: self.place(transposed(&weight, outputs, inputs), [inputs, outputs]),
            bias: layer.vector("bias", outputs)?,
        })
    }

    /// A 1×1 convolution, with a bias of its own or none.
    pub fn pointwise(&self, name: &str, inputs: usize, outputs: usize, biased: bool) -> Result<Linear> {
        let layer = self.under(name);
        let weight = layer.floats("weight", &[outputs, inputs, 1, 1])?;
        let bias = if biased { layer.floats("bias", &[outputs])? } else { vec![0.0; outputs] };
        Ok(Linear {
            weight: self.place(transposed(&weight, outputs, inputs), [inputs, outputs]),
            bias: self.place(bias, [outputs]),
        })
    }

    /// A 2×2 convolution of stride 2, as a linear layer on 2×2 patches ordered by row, column, channel.
    pub fn patch2x2(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let layer = self.under(name);
        let weight = layer.floats("weight", &[outputs, inputs, 2, 2])?;
        Ok(Linear {
            weight: self.place(kernel_to_rows(&weight, outputs, inputs, 4), [4 * inputs, outputs]),
            bias: layer.vector("bias", outputs)?,
        })
    }

    /// A 2×2 transposed convolution of stride 2, as a linear layer whose outputs are ordered by row, column, channel.
    pub fn transposed2x2(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let layer = self.under(name);
        let weight = layer.floats("weight", &[inputs, outputs, 2, 2])?; // [in, out, 4]
        let weight = weight.chunks_exact(outputs * 4).flat_map(|w| transposed(w, outputs, 4)).collect();
        let bias = layer.floats("bias", &[outputs])?.repeat(4);
        Ok(Linear { weight: self.place(weight, [inputs, 4 * outputs]), bias: self.place(bias, [4 * outputs]) })
    }

    /// A 3×3 convolution without a bias.
    pub fn conv3x3(&self, name: &str, inputs: usize, outputs: usize) -> Result<Conv3x3> {
        let weight = self.under(name).floats("weight", &[outputs, inputs, 3, 3])?;
        Ok(Conv3x3 {
            weight: self.place(kernel_to_rows(&weight, outputs, inputs, 9), [9 * inputs, outputs]),
            bias: self.place(vec![0.0; outputs], [outputs]),
        })
    }

    /// A convolution `c` and the BatchNorm `bn` after it, folded: `[out, ..]` and `[out]`. In f64, because folding a
    /// small variance in f32 would cost more accuracy than the network has to spare.
    fn folded(&self, name: &str, shape: &[usize; 4]) -> Result<(Vec<f32>, Vec<f32>)> {
        let outputs = shape[0];
        let pair = self.under(name);
        let mut weight = pair.floats("c.weight", shape)?;
        let norm = pair.under("bn");
        let (gamma, beta) = (norm.floats("weight", &[outputs])?, norm.floats("bias", &[outputs])?);
        let (mean, variance) = (norm.floats("running_mean", &[outputs])?, norm.floats("running_var", &[outputs])?);
        let fan_in = weight.len() / outputs;
        let mut bias = Vec::with_capacity(outputs);
        for (i, kernel) in weight.chunks_exact_mut(fan_in).enumerate() {
            if variance[i].is_nan() || variance[i] < 0.0 {
                return Err(Error::CheckpointMismatch(format!("{name}.bn.running_var holds {}", variance[i])));
            }
            let scale = gamma[i] as f64 / (variance[i] as f64 + BATCH_NORM_EPSILON).sqrt();
            kernel.iter_mut().for_each(|w| *w = (*w as f64 * scale) as f32);
            bias.push((beta[i] as f64 - mean[i] as f64 * scale) as f32);
        }
        Ok((weight, bias))
    }

    /// `Conv2d_BN` with a 1×1 kernel.
    pub fn pointwise_bn(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let (weight, bias) = self.folded(name, &[outputs, inputs, 1, 1])?;
        Ok(Linear {
            weight: self.place(transposed(&weight, outputs, inputs), [inputs, outputs]),
            bias: self.place(bias, [outputs]),
        })
    }

    /// `Conv2d_BN` with a 3×3 kernel.
    pub fn conv3x3_bn(&self, name: &str, inputs: usize, outputs: usize) -> Result<Conv3x3> {
        let (weight, bias) = self.folded(name, &[outputs, inputs, 3, 3])?;
        Ok(Conv3x3 {
            weight: self.place(kernel_to_rows(&weight, outputs, inputs, 9), [9 * inputs, outputs]),
            bias: self.place(bias, [outputs]),
        })
    }

    /// `Conv2d_BN` with a 3×3 kernel for each channel.
    pub fn depthwise_bn(&self, name: &str, channels: usize) -> Result<Depthwise3x3> {
        let (weight, bias) = self.folded(name, &[channels, 1, 3, 3])?;
        Ok(Depthwise3x3 {
            weight: self.place(transposed(&weight, channels, 9), [9, channels]),
            bias: self.place(bias, [channels]),
        })
    }

    fn norm(&self, name: &str, channels: usize, epsilon: f64) -> Result<Norm> {
        let layer = self.under(name);
        Ok(Norm { weight: layer.vector("weight", channels)?, bias: layer.vector("bias", channels)?, epsilon })
    }

    /// PyTorch's LayerNorm.
    pub fn layer_norm(&self, name: &str, channels: usize) -> Result<Norm> {
        self.norm(name, channels, LAYER_NORM_EPSILON)
    }

    /// SAM's LayerNorm2d, which differs in its epsilon.
    pub fn layer_norm_2d(&self, name: &str, channels: usize) -> Result<Norm> {
        self.norm(name, channels, LAYER_NORM_2D_EPSILON)
    }
}

/// `[rows, columns]` → `[columns, rows]`.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|i| values[i % rows * columns + i / rows]).collect()
}

/// `[out, in, kernel]` → `[kernel·in, out]`.
fn kernel_to_rows(values: &[f32], outputs: usize, inputs: usize, kernel: usize) -> Vec<f32> {
    let mut rows = vec![0.0; values.len()];
    for (i, value) in values.iter().enumerate() {
        let (o, c, k) = (i / (inputs * kernel), i / kernel % inputs, i % kernel);
        rows[(k * inputs + c) * outputs + o] = *value;
    }
    rows
}
