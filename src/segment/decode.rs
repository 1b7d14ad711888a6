//! The one way into the decoder: prompts in batches, each handed over and let go before the next.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Weak};

use burn::tensor::{Int, Tensor, TensorData, Transaction};

use super::answer::ambiguous;
use super::crew::{Batch, ended};
use super::{Crew, Embedding, Prompt, Sam, SavedPrecision, Task};
use crate::image::Frame;
use crate::mask::LowRes;
use crate::model::{self, Attended, MASKS};
use crate::{Error, Result};

/// Prompts decoded at once.
///
/// On WebGPU the largest buffer of a prompt is its upscaled map, 8 MiB at side 1024
/// ([`MaskDecoder::masks`](model::MaskDecoder::masks)), and no more than 128 MiB are promised to a binding: sixteen.
/// Natively several keep several cores at work. In WebAssembly a batch gains nothing, and takes 30 MB at 1024 for each
/// prompt, which memory that was taken never gives back.
///
/// A batch for which there is no memory is not tried again at half its size: cubecl's pool keeps the buffer that could not
/// be made and hands it out again, and a CPU module that could not allocate is gone. The engine that replaces it is told
/// to its caller (`out_of_memory`, `crashed`).
const BATCH: usize = if cfg!(feature = "webgpu") {
    16
} else if cfg!(target_family = "wasm") {
    1
} else {
    4
};

/// Tokens of all prompts that are decoded at once. On WebGPU what cells take up of each lies in one buffer, 32 KiB a token at
/// side 1024, of which 128 MiB are promised to a binding.
const TOKENS: usize = 2048;

/// Of fewer prompts none is given to another worker: it would first have to be given the embedding.
const SHARED: usize = 8;

/// Batches that are kept until those before them are done.
const AHEAD: usize = 16;

/// A batch among all prompts.
pub(super) struct Decoded {
    /// Prompts decoded so far, those of this batch among them.
    pub done: usize,
    /// Of a prompt that was asked alone.
    pub attended: Weak<Attended>,
    batch: Batch,
    /// Of its low-res logits.
    columns: usize,
}

/// One prompt's four masks.
pub(super) struct Answered<'a> {
    /// The prompt's place among all.
    pub prompt: usize,
    /// Predicted IoU of the masks.
    pub scores: &'a [f32; MASKS],
    logits: &'a [f32],
    columns: usize,
}

impl Decoded {
    /// The prompts that have masks.
    pub fn answers(&self) -> impl Iterator<Item = Answered<'_>> {
        let Batch { scores, upscaled, logits } = &self.batch;
        let first = self.done - scores.len();
        let each = logits.len() / upscaled.len().max(1);
        upscaled.iter().zip(logits.chunks_exact(each.max(1))).map(move |(&index, logits)| Answered {
            prompt: first + index,
            scores: &scores[index],
            logits,
            columns: self.columns,
        })
    }
}

impl Answered<'_> {
    /// Low-res logits of mask `token` of the four.
    pub fn logits(&self, token: usize) -> LowRes<'_> {
        let one = self.logits.len() / MASKS;
        LowRes { logits: &self.logits[token * one..][..one], columns: self.columns }
    }
}

/// Prompts on their way through the decoder: see [`Sam::decode`].
pub(super) struct Decoding<'a> {
    sam: &'a Sam,
    embedding: &'a Embedding,
    prompts: &'a [Prompt],
    inputs: Vec<model::Prompt>,
    over: Option<f32>,
    /// Of a prompt that is asked alone.
    attended: Weak<Attended>,
    /// Prompts whose batches were given back.
    done: usize,
    /// Prompts whose batches were begun.
    begun: usize,
    /// Batches that were begun, in their order.
    under_way: VecDeque<(Range<usize>, UnderWay)>,
}

enum UnderWay {
    Elsewhere(Task<'static, Batch>),
    Done(Batch),
}

impl Sam {
    /// Decodes prompts batch by batch, as they are asked for ([`Decoding::next`]), with the crew's help where there are many.
    ///
    /// Masks are upscaled where the photo is ([`Frame::seen`]), for 4:3 three quarters of them.
    ///
    /// With `over`, a prompt none of whose three masks has a predicted IoU over it is not upscaled: the scores depend on
    /// the tokens alone. They cost a journey of their own to the device, so without it scores and masks come back together.
    ///
    /// # Errors
    /// `prompt_invalid` for a prompt that cannot be, before anything is computed.
    pub(super) fn decode<'a>(
        &'a self,
        embedding: &'a Embedding,
        prompts: &'a [Prompt],
        over: Option<f32>,
    ) -> Result<Decoding<'a>> {
        let inputs = prompts.iter().map(|prompt| prompt.resolve(&embedding.frame)).collect::<Result<_>>()?;
        let (attended, under_way) = (Weak::new(), VecDeque::new());
        Ok(Decoding { sam: self, embedding, prompts, inputs, over, attended, done: 0, begun: 0, under_way })
    }

    /// The transformer over prompts of one shape.
    pub(super) fn attend(&self, embedding: &Embedding, inputs: &[model::Prompt], prompts: &[Prompt]) -> Attended {
        let side = embedding.frame.low_res_side() as usize;
        let masks: Vec<f32> = prompts.iter().filter_map(|p| p.mask.as_ref()).flatten().copied().collect();
        let masks = (!masks.is_empty())
            .then(|| Tensor::from_data(TensorData::new(masks, [prompts.len(), side, side]), self.model.device()));
        self.model.attend(&embedding.model, inputs, masks)
    }

    /// Decodes prompts of an embedding at once: see [`Crew::decode`].
    ///
    /// # Errors
    /// As the device has them.
    pub async fn decode_batch(
        &self,
        embedding: &Embedding,
        prompts: &[model::Prompt],
        over: Option<f32>,
    ) -> Result<Batch> {
        self.draw(&self.attend(embedding, prompts, &[]), over, &embedding.frame).await
    }

    /// The masks of prompts of one shape that went through the transformer on this worker.
    async fn draw(&self, attended: &Attended, over: Option<f32>, frame: &Frame) -> Result<Batch> {
        let (decoder, seen) = (&self.model.mask_decoder, frame.seen());
        let Some(over) = over else {
            let (heads, logits) = read_both(attended.heads.clone(), decoder.masks(attended, seen)).await?;
            let scores = scores(&heads);
            return Ok(Batch { upscaled: (0..scores.len()).collect(), scores, logits });
        };
        let scores = scores(&read(attended.heads.clone()).await?);
        let hopeful = |i: &usize| scores[*i][ambiguous()].iter().any(|score| *score > over);
        let upscaled: Vec<usize> = (0..scores.len()).filter(hopeful).collect();
        let logits = match upscaled.len() {
            0 => Vec::new(),
            all if all == scores.len() => read(decoder.masks(attended, seen)).await?,
            _ => read(decoder.masks(&select(attended, &upscaled), seen)).await?,
        };
        Ok(Batch { scores, upscaled, logits })
    }
}

impl Decoding<'_> {
    /// The next batch; none when all are decoded.
    ///
    /// # Errors
    /// As the device has them.
    pub async fn next(&mut self) -> Result<Option<Decoded>> {
        if self.done == self.prompts.len() {
            return Ok(None);
        }
        let crew = self.sam.crew.clone().filter(|_| self.prompts.len() >= SHARED);
        loop {
            if let Some(crew) = &crew {
                self.deal_out(&**crew).await?;
            }
            let nothing_else = self.begun == self.prompts.len() || self.under_way.len() >= AHEAD;
            match self.under_way.pop_front() {
                Some((prompts, UnderWay::Done(batch))) => {
                    self.done = prompts.end;
                    let columns = 4 * self.embedding.frame.seen()[1];
                    return Ok(Some(Decoded { done: prompts.end, attended: self.attended.clone(), batch, columns }));
                }
                Some((prompts, UnderWay::Elsewhere(mut task))) => {
                    let came = if nothing_else { Some(task.as_mut().await) } else { ended(&mut task).await };
                    let (batch, came) = match came {
                        Some(Ok(batch)) => (UnderWay::Done(batch), true),
                        // Whoever had it is lost.
                        Some(Err(_)) => (UnderWay::Done(self.here(&prompts).await?), true),
                        None => (UnderWay::Elsewhere(task), false),
                    };
                    self.under_way.push_front((prompts, batch));
                    if came {
                        continue;
                    }
                }
                None => {}
            }
            // What comes next is not here yet: something else, meanwhile.
            let prompts = self.following();
            let batch = self.here(&prompts).await?;
            self.begun = prompts.end;
            self.under_way.push_back((prompts, UnderWay::Done(batch)));
            if let Some(crew) = &crew {
                crew.turn().await?;
            }
        }
    }

    /// The next batch to be begun. It ends where the number of tokens changes, or where masks begin or end.
    fn following(&self) -> Range<usize> {
        let Decoding { prompts, ref inputs, begun, .. } = *self;
        let alike = |i: &usize| {
            inputs[*i].tokens() == inputs[begun].tokens() && prompts[*i].mask.is_some() == prompts[begun].mask.is_some()
        };
        let most = (TOKENS / inputs.get(begun).map_or(1, model::Prompt::tokens)).clamp(1, BATCH);
        begun..begun + (begun..prompts.len()).take(most).take_while(alike).count()
    }

    async fn here(&mut self, prompts: &Range<usize>) -> Result<Batch> {
        let Decoding { sam, embedding, .. } = *self;
        let (inputs, given) = (&self.inputs[prompts.clone()], &self.prompts[prompts.clone()]);
        sam.keep_last(None);
        let attended = Arc::new(sam.attend(embedding, inputs, given));
        let batch = sam.draw(&attended, self.over, &embedding.frame).await?;
        if self.prompts.len() == 1 {
            self.attended = Arc::downgrade(&attended);
            sam.keep_last(Some(attended));
        }
        Ok(batch)
    }

    /// Gives the crew as much as it takes, but for prompts with masks, which are large.
    async fn deal_out(&mut self, crew: &dyn Crew) -> Result<()> {
        while self.begun < self.prompts.len() && self.under_way.len() < AHEAD {
            let prompts = self.following();
            if self.prompts[prompts.start].mask.is_some() || crew.count() < 2 {
                break;
            }
            if !crew.holds(self.embedding.id) {
                crew.hold(self.embedding.id, self.embedding.to_bytes(SavedPrecision::F32).await?);
            }
            let Some(task) = crew.decode(&self.inputs[prompts.clone()], self.over) else { break };
            self.begun = prompts.end;
            self.under_way.push_back((prompts, UnderWay::Elsewhere(task)));
        }
        Ok(())
    }
}

/// Predicted IoU of the four masks of each prompt, of the heads that were read back.
pub(super) fn scores(heads: &[f32]) -> Vec<[f32; MASKS]> {
    model::scores(heads).as_chunks().0.to_vec()
}

/// Some prompts of a batch.
fn select(attended: &Attended, prompts: &[usize]) -> Attended {
    let index: Vec<i32> = prompts.iter().map(|i| *i as i32).collect();
    let index = Tensor::<1, Int>::from_data(TensorData::new(index, [prompts.len()]), &attended.queries.device());
    let Attended { queries, keys, heads } = attended;
    let some = |x: &Tensor<3>| x.clone().select(0, index.clone());
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
