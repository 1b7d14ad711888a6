//! Every tensor that the goldens name, in the reference's layout and order: for comparing a device with it.

use burn::tensor::Tensor;

use super::answer::{ambiguous, best_of};
use super::crew::{Others, Part};
use super::decode::{read, scores};
use super::{Prompt, Sam};
use crate::image::{Frame, Photo, normalise_and_pad, resize};
use crate::mask::{LowRes, visit_rows};
use crate::model::{Band, EMBEDDING, MASKS, Probe};
use crate::{Error, Result};

/// Takes a tensor's name, its shape in the reference's layout, and its values.
pub type Sink<'a> = dyn FnMut(&str, &[usize], &[f32]) + 'a;

/// A prompt of a trace.
#[derive(Clone, Debug, Default)]
pub struct TracedPrompt {
    /// What is asked for.
    pub prompt: Prompt,
    /// The mask prompt is the best mask of this earlier prompt.
    pub mask_from: Option<String>,
}

impl Sam {
    /// Encodes a picture and decodes each prompt alone, handing every intermediate tensor to `sink` with its name and
    /// its shape in the reference's layout.
    ///
    /// # Errors
    /// As [`Sam::embed`] and [`Sam::segment`].
    pub async fn trace(
        &self,
        photo: &impl Photo,
        side: u32,
        prompts: &[(String, TracedPrompt)],
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let frame = Frame::new(photo.width(), photo.height(), side)?;
        let resized = resize(photo, &frame)?;
        let (w, h) = (frame.resized.0 as usize, frame.resized.1 as usize);
        sink("resized_u8", &[h, w, 3], &resized.iter().map(|v| *v as f32).collect::<Vec<_>>());

        let mut seen = Vec::new();
        let input = normalise_and_pad(&resized, w, [side as usize; 2]);
        let channel = |c: usize| input[c..].iter().step_by(3).copied();
        let planes: Vec<f32> = (0..3).flat_map(channel).collect();
        sink("input", &[1, 3, side as usize, side as usize], &planes);
        let part = Part::of(&resized, w, side as usize, Band::WHOLE);
        let mut see = |name, x| seen.push((name, x));
        let mut others = Others::none(async || Ok(()));
        let model = self.model.encode(self.pixels(&part), &mut Probe::on(&mut see), &mut others).await?;
        let model = model.ok_or_else(|| Error::Internal("the only worker has no embedding".into()))?;
        for (name, x) in seen {
            show(&name, x, sink).await?;
        }
        let grid = side as usize / 16;
        let map = |x: Tensor<3>| x.reshape([grid, grid, EMBEDDING]);
        show("image_embedding", map(model.image.clone()), sink).await?;
        let device = self.model.device();
        let encoder = &self.model.prompt_encoder;
        show("dense_pe", map(encoder.dense_pe(grid, device)), sink).await?;

        let embedding = super::Embedding::new(model, frame, self);
        let mut best = std::collections::HashMap::new();
        for (name, traced) in prompts {
            let mut prompt = traced.prompt.clone();
            if let Some(from) = &traced.mask_from {
                let mask: &Vec<f32> = best.get(from).ok_or_else(|| {
                    Error::PromptInvalid(format!("{name} wants the mask of {from}, which is not before it"))
                })?;
                prompt.mask = Some(mask.clone());
            }
            let input = prompt.resolve(&frame)?;
            let named = |tensor: &str| format!("{name}.{tensor}");
            if !input.points.is_empty() {
                let coords: Vec<f32> = input.points.iter().flat_map(|((x, y), _)| [*x, *y]).collect();
                sink(&named("coords_model"), &[1, input.points.len(), 2], &coords);
                let labels: Vec<f32> = input.points.iter().map(|(_, foreground)| *foreground as u8 as f32).collect();
                sink(&named("labels"), &[1, input.points.len()], &labels);
            }
            if let Some(corners) = &input.corners {
                sink(&named("box_model"), &[1, 4], corners);
            }
            let inputs = std::slice::from_ref(&input);
            sink(&named("sparse"), &[1, input.tokens(), EMBEDDING], &encoder.sparse(inputs, side));
            let dense = match &prompt.mask {
                None => {
                    let row = burn::tensor::TensorData::new(encoder.no_mask().to_vec(), [1, 1, EMBEDDING]);
                    Tensor::<3>::from_data(row, device).expand([1, grid * grid, EMBEDDING])
                }
                Some(mask) => {
                    let mask = burn::tensor::TensorData::new(mask.clone(), [1, 4 * grid, 4 * grid]);
                    encoder.dense(Tensor::from_data(mask, device), None)
                }
            };
            show(&named("dense"), map(dense), sink).await?;

            let attended = self.attend(&embedding, inputs, std::slice::from_ref(&prompt));
            show(&named("tr_queries"), attended.queries.clone(), sink).await?;
            show(&named("tr_keys"), attended.keys.clone(), sink).await?;
            let masks = read(self.model.mask_decoder.masks(&attended, [grid, grid])).await?;
            let scores = scores(&read(attended.heads).await?).concat();
            let one = masks.len() / MASKS;
            sink(&named("low_res4"), &[1, MASKS, 4 * grid, 4 * grid], &masks);
            sink(&named("iou4"), &[1, MASKS], &scores);
            sink(&named("low_res"), &[1, MASKS - 1, 4 * grid, 4 * grid], &masks[one..]);
            sink(&named("iou"), &[1, MASKS - 1], &scores[1..]);

            let (width, height) = (frame.original.0 as usize, frame.original.1 as usize);
            let mut logits = Vec::with_capacity((MASKS - 1) * width * height);
            for mask in masks[one..].chunks_exact(one) {
                visit_rows(LowRes::whole(mask, &frame), &frame, f32::NEG_INFINITY, |_, _, row| {
                    logits.extend_from_slice(row)
                });
            }
            sink(&named("masks_logits"), &[1, MASKS - 1, height, width], &logits);
            let token = ambiguous().start + best_of(&scores[ambiguous()]);
            best.insert(name.clone(), masks[token * one..][..one].to_vec());
        }
        Ok(())
    }
}

/// Reads a tensor and hands it over in the reference's layout: feature maps `[1, C, H, W]`, token lists `[1, L, C]`.
async fn show(name: &str, x: Tensor<3>, sink: &mut Sink<'_>) -> Result<()> {
    let [a, b, c] = x.dims();
    // After stage 0 the reference keeps the encoder's features as tokens, until the neck.
    let tokens = name.starts_with("enc.layers.") && !name.starts_with("enc.layers.0.blocks");
    let windows = name.ends_with(".attn");
    let listed = ["tr_queries", "tr_keys"].iter().any(|end| name.ends_with(end));
    if windows || listed {
        sink(name, &[a, b, c], &read(x).await?);
    } else if tokens {
        sink(name, &[1, a * b, c], &read(x).await?);
    } else {
        sink(name, &[1, c, a, b], &read(x.permute([2, 0, 1])).await?);
    }
    Ok(())
}
