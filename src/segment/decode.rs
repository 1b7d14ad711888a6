//! The one way into the decoder: prompts in batches, each handed over and let go before the next.

use burn::tensor::{Int, Tensor, TensorData, Transaction};

use super::{Embedding, Prompt, Sam};
use crate::model::{self, Attended, MASKS};
use crate::{Error, Result};

/// Prompts decoded at once.
///
/// On WebGPU the largest buffer of a prompt is its upscaled map, 8 MiB at side 1024
/// ([`MaskDecoder::masks`](model::MaskDecoder::masks)), and no more than 128 MiB are promised to a binding: sixteen. On
/// the CPU a batch gains nothing once its products are large, and memory that WebAssembly has taken it never gives back.
///
/// A batch for which there is no memory is not tried again at half its size: cubecl's pool keeps the buffer that could not
/// be made and hands it out again, and a CPU module that could not allocate is gone. The engine that replaces it is told
/// to its caller (`out_of_memory`, `crashed`).
const BATCH: usize = if cfg!(feature = "webgpu") { 16 } else { 4 };

/// Says of a prompt's four scores whether any of its masks may be wanted.
pub(super) type Hopeful<'a> = dyn Fn(&[f32; MASKS]) -> bool + 'a;

/// What one batch came to.
pub(super) struct Decoded {
    /// Prompts decoded so far, those of this batch among them.
    pub done: usize,
    /// Predicted IoU of the four masks of each prompt of the batch.
    scores: Vec<[f32; MASKS]>,
    /// Which prompts of the batch have masks.
    upscaled: Vec<usize>,
    /// Low-res logits of their four masks, `[upscaled, 4, S/4, S/4]`.
    logits: Vec<f32>,
}

/// One prompt's four masks.
pub(super) struct Answered<'a> {
    /// The prompt's place among all.
    pub prompt: usize,
    /// Predicted IoU of the masks.
    pub scores: &'a [f32; MASKS],
    logits: &'a [f32],
}

impl Decoded {
    /// The prompts that have masks.
    pub fn answers(&self) -> impl Iterator<Item = Answered<'_>> {
        let first = self.done - self.scores.len();
        let each = self.logits.len() / self.upscaled.len().max(1);
        self.upscaled.iter().zip(self.logits.chunks_exact(each.max(1))).map(move |(&index, logits)| Answered {
            prompt: first + index,
            scores: &self.scores[index],
            logits,
        })
    }
}

impl Answered<'_> {
    /// Low-res logits of mask `token` of the four, `[S/4, S/4]`.
    pub fn logits(&self, token: usize) -> &[f32] {
        let one = self.logits.len() / MASKS;
        &self.logits[token * one..][..one]
    }
}

/// Prompts on their way through the decoder: see [`Sam::decode`].
pub(super) struct Decoding<'a> {
    sam: &'a Sam,
    embedding: &'a Embedding,
    prompts: &'a [Prompt],
    inputs: Vec<model::Prompt>,
    hopeful: Option<&'a Hopeful<'a>>,
    done: usize,
}

impl Sam {
    /// Decodes prompts batch by batch, as they are asked for ([`Decoding::next`]).
    ///
    /// With `hopeful`, a prompt of which it says no is not upscaled: the scores depend on the tokens alone. They cost a
    /// journey of their own to the device, so without it scores and masks come back together.
    ///
    /// # Errors
    /// `prompt_invalid` for a prompt that cannot be, before anything is computed.
    pub(super) fn decode<'a>(
        &'a self,
        embedding: &'a Embedding,
        prompts: &'a [Prompt],
        hopeful: Option<&'a Hopeful<'a>>,
    ) -> Result<Decoding<'a>> {
        let inputs = prompts.iter().map(|prompt| prompt.resolve(&embedding.frame)).collect::<Result<_>>()?;
        Ok(Decoding { sam: self, embedding, prompts, inputs, hopeful, done: 0 })
    }

    /// The transformer over prompts of one shape.
    pub(super) fn attend(&self, embedding: &Embedding, inputs: &[model::Prompt], prompts: &[Prompt]) -> Attended {
        let side = embedding.frame.low_res_side() as usize;
        let masks: Vec<f32> = prompts.iter().filter_map(|p| p.mask.as_ref()).flatten().copied().collect();
        let masks = (!masks.is_empty())
            .then(|| Tensor::from_data(TensorData::new(masks, [prompts.len(), side, side]), self.model.device()));
        self.model.attend(&embedding.model, inputs, masks)
    }
}

impl Decoding<'_> {
    /// The next batch; none when all are decoded.
    ///
    /// # Errors
    /// As the device has them.
    pub async fn next(&mut self) -> Result<Option<Decoded>> {
        let Decoding { sam, embedding, prompts, ref inputs, hopeful, done } = *self;
        if done == prompts.len() {
            return Ok(None);
        }
        // A batch ends where the number of tokens changes, or where masks begin or end.
        let alike = |i: &usize| {
            inputs[*i].tokens() == inputs[done].tokens() && prompts[*i].mask.is_some() == prompts[done].mask.is_some()
        };
        let length = (done..prompts.len()).take(BATCH).take_while(alike).count();
        let batch = done..done + length;
        let decoder = &sam.model.mask_decoder;
        let attended = sam.attend(embedding, &inputs[batch.clone()], &prompts[batch.clone()]);
        let (scores, upscaled, logits) = match hopeful {
            None => {
                let masks = decoder.masks(&attended);
                let (heads, logits) = read_both(attended.heads, masks).await?;
                (scores(&heads), (0..length).collect(), logits)
            }
            Some(hopeful) => {
                let scores = scores(&read(attended.heads.clone()).await?);
                let upscaled: Vec<usize> = (0..length).filter(|i| hopeful(&scores[*i])).collect();
                let logits = match upscaled.len() {
                    0 => Vec::new(),
                    all if all == length => read(decoder.masks(&attended)).await?,
                    _ => read(decoder.masks(&select(attended, &upscaled))).await?,
                };
                (scores, upscaled, logits)
            }
        };
        self.done = batch.end;
        Ok(Some(Decoded { done: batch.end, scores, upscaled, logits }))
    }
}

/// Predicted IoU of the four masks of each prompt, of the heads that were read back.
pub(super) fn scores(heads: &[f32]) -> Vec<[f32; MASKS]> {
    model::scores(heads).as_chunks().0.to_vec()
}

/// Some prompts of a batch.
fn select(attended: Attended, prompts: &[usize]) -> Attended {
    let index: Vec<i32> = prompts.iter().map(|i| *i as i32).collect();
    let index = Tensor::<1, Int>::from_data(TensorData::new(index, [prompts.len()]), &attended.queries.device());
    let Attended { queries, keys, heads } = attended;
    let some = |x: Tensor<3>| x.select(0, index.clone());
    Attended { queries: some(queries), keys: some(keys), heads: some(heads) }
}

/// Reads a tensor back.
pub(super) async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    floats(tensor.into_data_async().await.map_err(|e| Error::of_device(&e.to_string()))?)
}

/// Reads two tensors back in one journey to the device.
async fn read_both<const D: usize, const E: usize>(a: Tensor<D>, b: Tensor<E>) -> Result<(Vec<f32>, Vec<f32>)> {
    let data = Transaction::default().register(a).register(b).execute_async().await;
    let data: [TensorData; 2] = data
        .map_err(|e| Error::of_device(&e.to_string()))?
        .try_into()
        .map_err(|all: Vec<_>| Error::Internal(format!("{} tensors came back for two", all.len())))?;
    let [a, b] = data.map(floats);
    Ok((a?, b?))
}

fn floats(data: TensorData) -> Result<Vec<f32>> {
    data.try_into_vec::<f32>().map_err(|e| Error::Internal(format!("{e:?}")))
}
