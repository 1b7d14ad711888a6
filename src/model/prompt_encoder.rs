//! Points, boxes and masks → embeddings (segment_anything/modeling/prompt_encoder.py).
//!
//! Sines and cosines are computed here on the host, never on the device: some GPUs' are imprecise, and there are only a
//! few.

use std::f32::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};

use super::EMBEDDING;
use super::ops::{self, Activation, Linear, Norm};
use super::weights::Weights;
use crate::Result;

/// One prompt in model pixels: what the network is asked about.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Prompt {
    /// `(x, y)` and whether it is in the foreground.
    pub points: Vec<((f32, f32), bool)>,
    /// Corners `[x0, y0, x1, y1]`.
    pub corners: Option<[f32; 4]>,
}

impl Prompt {
    /// Embedded points: with the two corners of a box, or the padding point in their place.
    pub fn tokens(&self) -> usize {
        self.points.len() + if self.corners.is_some() { 2 } else { 1 }
    }
}

/// The prompt encoder.
pub struct PromptEncoder {
    /// `[2, 128]`: frequencies of x, then of y.
    frequencies: Vec<f32>,
    /// Background, foreground, first corner, second corner: `[256]` each.
    point_embeddings: [Vec<f32>; 4],
    not_a_point: Vec<f32>,
    /// Stands for a mask where there is none, `[256]`.
    no_mask: Vec<f32>,
    mask_downscaling: MaskDownscaling,
}

struct MaskDownscaling {
    conv1: Linear,
    norm1: Norm,
    conv2: Linear,
    norm2: Norm,
    project: Linear,
}

impl PromptEncoder {
    /// Reads `prompt_encoder.*`.
    pub fn load(weights: &Weights) -> Result<Self> {
        let embedding = |name: &str| weights.floats(&format!("{name}.weight"), &[1, EMBEDDING]);
        let mask = weights.under("mask_downscaling");
        Ok(PromptEncoder {
            frequencies: weights.floats("pe_layer.positional_encoding_gaussian_matrix", &[2, EMBEDDING / 2])?,
            point_embeddings: [
                embedding("point_embeddings.0")?,
                embedding("point_embeddings.1")?,
                embedding("point_embeddings.2")?,
                embedding("point_embeddings.3")?,
            ],
            not_a_point: embedding("not_a_point_embed")?,
            no_mask: embedding("no_mask_embed")?,
            mask_downscaling: MaskDownscaling {
                conv1: mask.patch2x2("0", 1, 4)?,
                norm1: mask.layer_norm_2d("1", 4)?,
                conv2: mask.patch2x2("3", 4, 16)?,
                norm2: mask.layer_norm_2d("4", 16)?,
                project: mask.pointwise("6", 16, EMBEDDING, true)?,
            },
        })
    }

    /// The embedding of "no mask", `[256]`.
    pub fn no_mask(&self) -> &[f32] {
        &self.no_mask
    }

    /// Fourier features of a point of the unit square, `[256]`: sines, then cosines. In f32 up to the angle, as the
    /// reference computes it.
    fn encode(&self, x: f32, y: f32) -> Vec<f32> {
        let (x, y) = (2.0 * x - 1.0, 2.0 * y - 1.0);
        let (fx, fy) = self.frequencies.split_at(EMBEDDING / 2);
        let angles = || fx.iter().zip(fy).map(|(fx, fy)| (TAU * (x * fx + y * fy)) as f64);
        angles().map(|a| a.sin() as f32).chain(angles().map(|a| a.cos() as f32)).collect()
    }

    /// The positional encoding of the centres of a grid of `side` cells, `[1, side², 256]`.
    pub fn dense_pe(&self, side: usize, device: &Device) -> Tensor<3> {
        let at = |i: usize| ((i + 1) as f32 - 0.5) / side as f32;
        let values: Vec<f32> = (0..side * side).flat_map(|i| self.encode(at(i % side), at(i / side))).collect();
        Tensor::from_data(TensorData::new(values, [1, side * side, EMBEDDING]), device)
    }

    /// Points and corners of a batch of prompts, all of the same number of [tokens](Prompt::tokens), on an image of
    /// model side `side`: `B·N·256` numbers. The padding point takes the place of the corners where there are none.
    pub fn sparse(&self, prompts: &[Prompt], side: u32) -> Vec<f32> {
        let tokens = prompts.first().map_or(0, Prompt::tokens);
        let side = side as f32;
        let mut values = Vec::with_capacity(prompts.len() * tokens * EMBEDDING);
        let embed = |(x, y): (f32, f32), kind: &[f32]| -> Vec<f32> {
            let place = self.encode((x + 0.5) / side, (y + 0.5) / side);
            place.iter().zip(kind).map(|(a, b)| a + b).collect()
        };
        for prompt in prompts {
            for (point, foreground) in &prompt.points {
                values.extend(embed(*point, &self.point_embeddings[*foreground as usize]));
            }
            match prompt.corners {
                Some([x0, y0, x1, y1]) => {
                    values.extend(embed((x0, y0), &self.point_embeddings[2]));
                    values.extend(embed((x1, y1), &self.point_embeddings[3]));
                }
                None => values.extend(&self.not_a_point),
            }
        }
        values
    }

    /// Mask prompts → `[B, (S/16)², 256]`, added to the image's embedding if it is given.
    ///
    /// # Shapes
    /// `logits [B, S/4, S/4]`, `image [1, (S/16)², 256]`
    pub fn dense(&self, logits: Tensor<3>, image: Option<Tensor<3>>) -> Tensor<3> {
        let [batch, side, _] = logits.dims();
        let masks = &self.mask_downscaling;
        let x = patches(logits.reshape([batch, side, side, 1])); // [B, (S/8)², 4]
        let x = ops::linear(x, &masks.conv1, Activation::None, None);
        let x = ops::layer_norm(x, &masks.norm1, Activation::Gelu);
        let x = patches(x.reshape([batch, side / 2, side / 2, 4])); // [B, (S/16)², 16]
        let x = ops::linear(x, &masks.conv2, Activation::None, None);
        let x = ops::layer_norm(x, &masks.norm2, Activation::Gelu);
        ops::linear(x, &masks.project, Activation::None, image)
    }
}

/// 2×2 patches, ordered by row, column, channel: `[B, 2h, 2w, C]` → `[B, h·w, 4·C]`.
fn patches(x: Tensor<4>) -> Tensor<3> {
    let [batch, h, w, c] = x.dims();
    x.reshape([batch, h / 2, 2, w / 2, 2, c]).swap_dims(2, 3).reshape([batch, h * w / 4, 4 * c])
}
