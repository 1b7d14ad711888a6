//! The image encoder: TinyViT-5M with SAM's neck (tinysam/modeling/tiny_vit_sam.py; paper arXiv 2207.10666).
//!
//! | stage | grid at side 1024 | channels | heads | window | blocks |
//! |---|---|---|---|---|---|
//! | patch embed | 256² | 64 | | | two strided convolutions |
//! | 0 | 256² | 64 | | | 2 MBConv |
//! | 1 | 128² | 128 | 4 | 7 | 2 |
//! | 2 | 64² | 160 | 5 | 14 | 6 |
//! | 3 | 64² | 320 | 10 | 7 | 2 |
//! | neck | 64² | 256 | | | 1×1, 3×3 |

use burn::tensor::Tensor;

use super::EMBEDDING;
use super::bands::{Haloed, Neighbours, Strip};
use super::ops::{self, Activation, Bottleneck, Conv3x3, Depthwise3x3, Linear, Norm, PixelConv, Pixels, Window};
use super::probe::Probe;
use super::weights::Weights;
use crate::Result;

/// Channels of each head's queries, keys and values.
const HEAD: usize = 32;
/// Widening of MBConv and of the MLP.
const EXPANSION: usize = 4;
/// Channels of the stages.
const CHANNELS: [usize; 4] = [64, 128, 160, 320];
/// Blocks of the stages.
const DEPTHS: [usize; 4] = [2, 2, 6, 2];
/// Sides of the windows; the first stage is convolutional.
const WINDOWS: [usize; 4] = [0, 7, 14, 7];

/// TinyViT-5M.
pub struct TinyVit {
    patch_embed: (PixelConv, Conv3x3),
    stage0: Vec<Bottleneck>,
    stages: Vec<Stage>,
    /// Patch merging after stages 0, 1 and 2.
    downsamples: Vec<Bottleneck>,
    neck: Neck,
}

struct Stage {
    blocks: Vec<Block>,
}

struct Block {
    attention: Attention,
    local_conv: Depthwise3x3,
    mlp: Mlp,
}

struct Attention {
    norm: Norm,
    qkv: Linear,
    proj: Linear,
    window: Window,
}

struct Mlp {
    norm: Norm,
    fc1: Linear,
    fc2: Linear,
}

struct Neck {
    project: Linear,
    norm1: Norm,
    conv: Conv3x3,
    norm2: Norm,
}

impl TinyVit {
    /// Reads `image_encoder.*`; `norm_head` and `head` are the classifier's and stay unused. `channels` are mean and
    /// deviation of a photo's, in units of a byte.
    pub fn load(weights: &Weights, channels: [[f32; 3]; 2]) -> Result<Self> {
        let first = CHANNELS[0];
        let embed = weights.under("patch_embed.seq");
        let patch_embed = (embed.pixel_conv_bn("0", first / 2, channels)?, embed.conv3x3_bn("2", first / 2, first)?);
        let layers = weights.under("layers");
        let stage0 = (0..DEPTHS[0])
            .map(|i| layers.under(format!("0.blocks.{i}")).bottleneck([first, EXPANSION * first, first], 1, true))
            .collect::<Result<_>>()?;
        let downsamples = (0..3)
            .map(|i| {
                let outputs = CHANNELS[i + 1];
                // The last stage keeps its grid: SAM wants 1/16 of the side, not 1/32.
                let stride = if i == 2 { 1 } else { 2 };
                layers.under(format!("{i}.downsample")).bottleneck([CHANNELS[i], outputs, outputs], stride, false)
            })
            .collect::<Result<_>>()?;
        let stages = (1..4)
            .map(|i| {
                let blocks = (0..DEPTHS[i])
                    .map(|j| Block::load(&layers.under(format!("{i}.blocks.{j}")), CHANNELS[i], WINDOWS[i]));
                Ok(Stage { blocks: blocks.collect::<Result<_>>()? })
            })
            .collect::<Result<_>>()?;
        let neck = weights.under("neck");
        let neck = Neck {
            project: neck.pointwise("0", CHANNELS[3], EMBEDDING, false)?,
            norm1: neck.layer_norm_2d("1", EMBEDDING)?,
            conv: neck.conv3x3("2", EMBEDDING, EMBEDDING)?,
            norm2: neck.layer_norm_2d("3", EMBEDDING)?,
        };
        Ok(TinyVit { patch_embed, stage0, stages, downsamples, neck })
    }

    /// Pixels → image embedding: a worker's rows of the pixels ([`Band::pixels`](super::Band::pixels)) → the whole
    /// embedding, on the first worker.
    ///
    /// # Shapes
    /// Of `S` a side → `[S/16, S/16, 256]`; `S` is a multiple of 64.
    ///
    /// # Errors
    /// As [`Neighbours::exchange`] has them.
    pub async fn forward(
        &self,
        pixels: Pixels,
        probe: &mut Probe<'_>,
        others: &mut dyn Neighbours,
    ) -> Result<Option<Tensor<3>>> {
        let half = pixels.side() / 2;
        let x = ops::embed_pixels(pixels, &self.patch_embed.0, Activation::Gelu); // [S/2, S/2, 32]
        let (x, height) = Strip::new(x, half).around(2, others).await?;
        let x = ops::conv3x3(x, &self.patch_embed.1, 2, Activation::None); // [S/4, S/4, 64]
        let mut x = Strip::new(x, height);
        probe.see(|| "enc.patch_embed".into(), || x.rows.clone());
        for (j, block) in self.stage0.iter().enumerate() {
            let (around, height) = x.around(1, others).await?;
            x = Strip::new(ops::bottleneck(around, block), height);
            probe.see(|| format!("enc.layers.0.blocks.{j}"), || x.rows.clone());
        }
        for (i, (downsample, stage)) in self.downsamples.iter().zip(&self.stages).enumerate() {
            let (around, height) = x.around(downsample.stride, others).await?;
            let y = ops::bottleneck(around, downsample); // [S/8, S/8, 128], [S/16, S/16, 160], [S/16, S/16, 320]
            x = Strip::new(y, height);
            probe.see(|| format!("enc.layers.{i}"), || x.rows.clone());
            for (j, block) in stage.blocks.iter().enumerate() {
                let name = format!("enc.layers.{}.blocks.{j}", i + 1);
                if j == 0 {
                    probe.see(|| format!("{name}.attn"), || block.attention.windows(x.rows.clone()));
                }
                x = x.in_windows(block.attention.window.side, others).await?.map(|x| block.attend(x));
                let (around, height) = x.around(1, others).await?;
                x = Strip::new(block.think(around), height);
                probe.see(|| name, || x.rows.clone());
            }
        }
        probe.see(|| "enc.layers.3".into(), || x.rows.clone());
        probe.see(|| "enc.pre_neck".into(), || x.rows.clone());
        self.neck.forward(x, probe, others).await
    }
}

impl Block {
    fn load(weights: &Weights, channels: usize, window: usize) -> Result<Self> {
        let mlp = weights.under("mlp");
        Ok(Block {
            attention: Attention::load(&weights.under("attn"), channels, window)?,
            local_conv: weights.depthwise_bn("local_conv", channels)?,
            mlp: Mlp {
                norm: mlp.layer_norm("norm", channels)?,
                fc1: mlp.linear("fc1", channels, EXPANSION * channels)?,
                fc2: mlp.linear("fc2", EXPANSION * channels, channels)?,
            },
        })
    }

    /// The first half: attention, its input added. `[H, W, C]` → `[H, W, C]`
    fn attend(&self, x: Tensor<3>) -> Tensor<3> {
        self.attention.forward(x.clone(), Some(x))
    }

    /// The second half: the convolution between neighbours, and the MLP. `[H, W, C]` → `[H, W, C]`
    fn think(&self, x: Haloed) -> Tensor<3> {
        self.mlp.forward(ops::depthwise3x3(x, &self.local_conv))
    }
}

impl Attention {
    fn load(weights: &Weights, channels: usize, side: usize) -> Result<Self> {
        let (heads, cells) = (channels / HEAD, side * side);
        let table = weights.floats("attention_biases", &[heads, cells])?;
        let index = bias_index(side);
        let bias: Vec<f32> =
            (0..heads).flat_map(|h| index.iter().map(move |i| (h, *i))).map(|(h, i)| table[h * cells + i]).collect();
        // A padded cell is zero before the LayerNorm, hence the norm's bias after it: project that once.
        let beta = weights.floats("norm.bias", &[channels])?;
        let w = weights.floats("qkv.weight", &[3 * channels, channels])?;
        let b = weights.floats("qkv.bias", &[3 * channels])?;
        let pad = w
            .chunks_exact(channels)
            .zip(&b)
            .map(|(row, b)| row.iter().zip(&beta).map(|(w, x)| *w as f64 * *x as f64).sum::<f64>() as f32 + b)
            .collect();
        Ok(Attention {
            norm: weights.layer_norm("norm", channels)?,
            qkv: weights.linear("qkv", channels, 3 * channels)?,
            proj: weights.linear("proj", channels, channels)?,
            window: Window {
                side,
                bias: weights.place(bias, [heads, cells, cells]),
                pad: weights.place(pad, [3 * channels]),
            },
        })
    }

    /// `[H, W, C]` → `[H, W, C]`
    fn forward(&self, x: Tensor<3>, residual: Option<Tensor<3>>) -> Tensor<3> {
        let qkv = ops::norm_linear(x, &self.norm, &self.qkv, Activation::None); // [H, W, 3·C]
        let x = ops::window_attention(qkv, &self.window);
        ops::linear(x, &self.proj, Activation::None, residual)
    }

    /// The attention of whole windows, padded cells included, as the reference computes it: only for a [`Probe`].
    ///
    /// # Shapes
    /// `[H, W, C]` → `[windows, side², C]`
    fn windows(&self, x: Tensor<3>) -> Tensor<3> {
        let [h, w, c] = x.dims();
        let side = self.window.side;
        let (rows, columns) = (h.div_ceil(side), w.div_ceil(side));
        let x = Tensor::zeros([rows * side, columns * side, c], &x.device()).slice_assign([0..h, 0..w, 0..c], x);
        self.forward(x, None).reshape([rows, side, columns, side, c]).swap_dims(1, 2).reshape([
            rows * columns,
            side * side,
            c,
        ])
    }
}

/// For every (query, key) pair of a window, row-major: the column of `attention_biases` for its (|Δrow|, |Δcolumn|).
/// Columns are numbered in the order in which the pairs are first met.
fn bias_index(side: usize) -> Vec<usize> {
    let cells = || (0..side).flat_map(|row| (0..side).map(move |column| (row, column)));
    let mut columns = std::collections::HashMap::new();
    cells()
        .flat_map(|a| cells().map(move |b| (a.0.abs_diff(b.0), a.1.abs_diff(b.1))))
        .map(|offset| {
            let next = columns.len();
            *columns.entry(offset).or_insert(next)
        })
        .collect()
}

impl Mlp {
    /// `[H, W, C]` → `[H, W, C]`, its input added.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        ops::feed_forward(x, &self.norm, &self.fc1, &self.fc2)
    }
}

impl Neck {
    /// `[H, W, 320]` → `[H, W, 256]`, whole, on the first worker.
    async fn forward(&self, x: Strip, probe: &mut Probe<'_>, others: &mut dyn Neighbours) -> Result<Option<Tensor<3>>> {
        let x = x.map(|x| ops::linear(x, &self.project, Activation::None, None));
        probe.see(|| "enc.neck.0".into(), || x.rows.clone());
        let x = x.map(|x| ops::layer_norm(x, &self.norm1, Activation::None));
        probe.see(|| "enc.neck.1".into(), || x.rows.clone());
        let (around, height) = x.around(1, others).await?;
        let x = Strip::new(ops::conv3x3(around, &self.conv, 1, Activation::None), height);
        probe.see(|| "enc.neck.2".into(), || x.rows.clone());
        // The embedding, which is kept.
        let x = x.map(|x| ops::keeping(&x.clone(), || ops::layer_norm(x, &self.norm2, Activation::None)));
        probe.see(|| "enc.neck.3".into(), || x.rows.clone());
        x.gather(others).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias_columns_are_numbered_as_first_met() {
        // A 2×2 window: walking the keys of the first query meets (0,0), (0,1), (1,0), (1,1) in this order.
        assert_eq!(bias_index(2), [0, 1, 2, 3, 1, 0, 3, 2, 2, 3, 0, 1, 3, 2, 1, 0]);
        // In a larger window a query in the middle meets nothing new.
        assert_eq!(bias_index(7).iter().max(), Some(&48));
    }
}
