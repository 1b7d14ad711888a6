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

use burn::tensor::Tensor;

use super::ops::decoder::{CellProjection, Heads, MASKS, Settle, TokenProjection, Upscale};
use super::ops::{Bottleneck, Conv3x3, Depthwise3x3, Linear, Norm, PixelConv, Room};
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
    room: &'a Room,
    prefix: String,
}

impl<'a> Weights<'a> {
    pub fn new(checkpoint: &'a Checkpoint, room: &'a Room) -> Self {
        Weights { checkpoint, room, prefix: String::new() }
    }

    /// The weights whose names begin with `name` and a dot.
    pub fn under(&self, name: impl std::fmt::Display) -> Self {
        Weights { prefix: format!("{}{name}.", self.prefix), ..*self }
    }

    /// A tensor's values, in the checkpoint's layout.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`]: `checkpoint_mismatch`, `checkpoint_invalid`.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.checkpoint.tensor(&format!("{}{name}", self.prefix), shape)
    }

    /// Values on the device.
    pub fn place<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        self.room.place(values, shape)
    }

    fn vector(&self, name: &str, length: usize) -> Result<Tensor<1>> {
        Ok(self.place(self.floats(name, &[length])?, [length]))
    }

    /// A linear layer's values, with a bias.
    fn columns(&self, name: &str, inputs: usize, outputs: usize) -> Result<Columns> {
        let layer = self.under(name);
        let weight = layer.floats("weight", &[outputs, inputs])?;
        Ok(Columns { weight: transposed(&weight, outputs, inputs), bias: layer.floats("bias", &[outputs])? })
    }

    fn place_linear(&self, Columns { weight, bias }: Columns) -> Linear {
        let (inputs, outputs) = (weight.len() / bias.len(), bias.len());
        Linear { weight: self.place(weight, [inputs, outputs]), bias: self.place(bias, [outputs]) }
    }

    /// A linear layer with a bias.
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        Ok(self.place_linear(self.columns(name, inputs, outputs)?))
    }

    /// Projections of tokens: of placed ones and of others, each with so many outputs.
    pub fn token_projection(
        &self,
        placed: &[(&str, usize)],
        plain: &[(&str, usize)],
        inputs: usize,
    ) -> Result<TokenProjection> {
        Ok(self.place_projection(self.token_columns(placed, plain, inputs)?))
    }

    fn token_columns(
        &self,
        placed: &[(&str, usize)],
        plain: &[(&str, usize)],
        inputs: usize,
    ) -> Result<[Option<Columns>; 2]> {
        let read = |names: &[(&str, usize)]| -> Result<Option<Columns>> {
            let layers: Result<Vec<_>> =
                names.iter().map(|(name, outputs)| self.columns(name, inputs, *outputs)).collect();
            Ok(side_by_side(layers?.iter()))
        };
        Ok([read(placed)?, read(plain)?])
    }

    fn place_projection(&self, sides: [Option<Columns>; 2]) -> TokenProjection {
        let packed = side_by_side(sides.iter().flatten()).unwrap_or_default();
        TokenProjection {
            packed: self.place_linear(packed),
            placed: sides[0].as_ref().map_or(0, |columns| columns.bias.len()),
            #[cfg(feature = "cpu")]
            apart: sides.map(|side| side.map(|columns| self.place_linear(columns))),
        }
    }

    /// Projections of an image's cells, on which `offset [in]` lies that is not in them.
    pub fn cell_projection(
        &self,
        keys: &str,
        queries: Option<&str>,
        values: &str,
        [inputs, inner]: [usize; 2],
        offset: &[f32],
    ) -> Result<CellProjection> {
        let read = |name: &str| -> Result<Columns> {
            let mut columns = self.columns(name, inputs, inner)?;
            for (column, bias) in columns.bias.iter_mut().enumerate() {
                let rows = columns.weight[column..].iter().step_by(inner);
                *bias += offset.iter().zip(rows).map(|(x, w)| *x as f64 * *w as f64).sum::<f64>() as f32;
            }
            Ok(columns)
        };
        let keys = read(keys)?;
        let queries = queries.map(read).transpose()?;
        let values = read(values)?;
        let packed = side_by_side([Some(&keys), queries.as_ref(), Some(&values)].into_iter().flatten());
        let packed = packed.unwrap_or_default();
        Ok(CellProjection {
            packed: self.place_linear(packed),
            #[cfg(feature = "cpu")]
            keys: self.place_linear(keys),
            #[cfg(feature = "cpu")]
            queries: queries.map(|columns| self.place_linear(columns)),
            #[cfg(feature = "cpu")]
            values: self.place_linear(values),
            inner,
        })
    }

    /// A projection, a norm and the next projection, of placed tokens and of others. On what is added lies `offset`, which
    /// is not in it; empty is none.
    pub fn settle(
        &self,
        project: (&str, usize),
        norm: &str,
        next: Option<[&[(&str, usize)]; 2]>,
        offset: &[f32],
    ) -> Result<Settle> {
        let channels = super::EMBEDDING;
        let mut projection = self.columns(project.0, project.1, channels)?;
        projection.bias.iter_mut().zip(offset).for_each(|(bias, offset)| *bias += offset);
        let next = next.map(|[placed, plain]| self.token_columns(placed, plain, channels)).transpose()?;
        let values = self.under(norm);
        let norm_values = [values.floats("weight", &[channels])?, values.floats("bias", &[channels])?].concat();
        let next_bias = next.iter().flatten().flatten().flat_map(|columns| &columns.bias);
        let vectors: Vec<f32> = projection.bias.iter().chain(&norm_values).chain(next_bias).copied().collect();
        let length = vectors.len();
        Ok(Settle {
            project: self.place_linear(projection),
            norm: self.layer_norm(norm, channels)?,
            next: next.map(|sides| self.place_projection(sides)),
            vectors: self.place(vectors, [length]),
        })
    }

    /// The networks on the output tokens: the predicted IoU's, then each mask's. `outputs` is the most that one has.
    pub fn heads(&self, iou: &str, hypernetwork: &str, outputs: usize) -> Result<Heads> {
        let width = super::EMBEDDING;
        let names = std::iter::once((iou.to_owned(), MASKS))
            .chain((0..MASKS).map(|i| (format!("{hypernetwork}.{i}"), outputs)));
        let mut networks = Vec::with_capacity(1 + MASKS);
        for (name, last) in names {
            let layers = self.under(name);
            networks.push([
                layers.columns("layers.0", width, width)?,
                layers.columns("layers.1", width, width)?,
                layers.columns("layers.2", width, last)?,
            ]);
        }
        // Layer by layer, network by network.
        let inner = || [0, 1].into_iter().flat_map(|layer| networks.iter().map(move |network| &network[layer]));
        let rows = 2 * networks.len() * width;
        let widened = |values: &[f32]| -> Vec<f32> {
            let columns = values.len();
            values.iter().copied().chain(std::iter::repeat_n(0.0, outputs - columns)).collect()
        };
        let outer = || networks.iter().map(|network| &network[2]);
        let outer_weight =
            outer().flat_map(|last| last.weight.chunks_exact(last.bias.len()).flat_map(widened)).collect();
        Ok(Heads {
            inner: self.place(inner().flat_map(|layer| layer.weight.iter().copied()).collect(), [rows, width]),
            inner_bias: self.place(inner().flat_map(|layer| layer.bias.iter().copied()).collect(), [rows]),
            outer: self.place(outer_weight, [networks.len() * width, outputs]),
            outer_bias: self.place(outer().flat_map(|last| widened(&last.bias)).collect(), [networks.len() * outputs]),
            #[cfg(feature = "cpu")]
            networks: networks.into_iter().map(|layers| layers.map(|layer| self.place_linear(layer))).collect(),
        })
    }

    /// Two transposed 2×2 convolutions with a norm between them.
    pub fn upscale(&self, first: &str, norm: &str, second: &str, channels: usize) -> Result<Upscale> {
        let (half, last) = (channels / 4, channels / 8);
        let mut vectors = self.under(first).floats("bias", &[half])?.repeat(4);
        vectors.extend(self.under(second).floats("bias", &[last])?.repeat(4));
        vectors.extend(self.under(norm).floats("weight", &[half])?);
        vectors.extend(self.under(norm).floats("bias", &[half])?);
        let length = vectors.len();
        Ok(Upscale {
            first: self.transposed2x2(first, channels, half)?,
            norm: self.layer_norm_2d(norm, half)?,
            second: self.transposed2x2(second, half, last)?,
            vectors: self.place(vectors, [length]),
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

    /// `Conv2d_BN` with a 3×3 kernel.
    pub fn conv3x3_bn(&self, name: &str, inputs: usize, outputs: usize) -> Result<Conv3x3> {
        let (weight, bias) = self.folded(name, &[outputs, inputs, 3, 3])?;
        Ok(Conv3x3 {
            weight: self.place(kernel_to_rows(&weight, outputs, inputs, 9), [9 * inputs, outputs]),
            bias: self.place(bias, [outputs]),
        })
    }

    /// `Conv2d_BN` with a 3×3 kernel on the photo's three channels, whose mean and deviation are given in units of a byte.
    pub fn pixel_conv_bn(&self, name: &str, outputs: usize, [mean, deviation]: [[f32; 3]; 2]) -> Result<PixelConv> {
        let (weight, bias) = self.folded(name, &[outputs, 3, 3, 3])?;
        let rows = kernel_to_rows(&weight, outputs, 3, 9); // [9·3, out]
        #[cfg(feature = "webgpu")]
        let packed = {
            let nothing = vec![0.0; outputs];
            let rows = rows.chunks_exact(3 * outputs).flat_map(|tap| tap.iter().chain(&nothing)).copied().collect();
            Conv3x3 { weight: self.place(rows, [9 * 4, outputs]), bias: self.place(bias.clone(), [outputs]) }
        };
        Ok(PixelConv {
            #[cfg(feature = "cpu")]
            conv: Conv3x3 { weight: self.place(rows, [9 * 3, outputs]), bias: self.place(bias, [outputs]) },
            #[cfg(feature = "webgpu")]
            packed,
            mean,
            deviation,
        })
    }

    /// MBConv, which keeps its channels and adds what it was given, or PatchMerging.
    pub fn bottleneck(&self, [inputs, wide, outputs]: [usize; 3], stride: usize, residual: bool) -> Result<Bottleneck> {
        let expand = self.folded("conv1", &[wide, inputs, 1, 1])?;
        let depthwise = self.folded("conv2", &[wide, 1, 3, 3])?;
        let project = self.folded("conv3", &[outputs, wide, 1, 1])?;
        let biases = [expand.1.as_slice(), &depthwise.1, &project.1].concat();
        let length = biases.len();
        let pointwise = |(weight, bias): (Vec<f32>, Vec<f32>), inputs| {
            let weight = transposed(&weight, bias.len(), inputs);
            self.place_linear(Columns { weight, bias })
        };
        Ok(Bottleneck {
            expand: pointwise(expand, inputs),
            depthwise: Depthwise3x3 {
                weight: self.place(transposed(&depthwise.0, wide, 9), [9, wide]),
                bias: self.place(depthwise.1, [wide]),
            },
            project: pointwise(project, wide),
            stride,
            residual,
            biases: self.place(biases, [length]),
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

/// A linear layer before it is on a device: `[in, out]` and `[out]`.
#[derive(Clone, Default)]
struct Columns {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// Layers of the same inputs as one, their outputs side by side; none of none.
fn side_by_side<'a>(layers: impl Iterator<Item = &'a Columns>) -> Option<Columns> {
    let layers: Vec<_> = layers.collect();
    let first = layers.first()?;
    let inputs = first.weight.len() / first.bias.len();
    let row = |layer: &'a Columns, i: usize| &layer.weight[i * layer.bias.len()..(i + 1) * layer.bias.len()];
    Some(Columns {
        weight: (0..inputs).flat_map(|i| layers.iter().flat_map(move |layer| row(layer, i))).copied().collect(),
        bias: layers.iter().flat_map(|layer| &layer.bias).copied().collect(),
    })
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
