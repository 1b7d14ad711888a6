//! A prompt's answer: those of its masks that are wanted.

use std::sync::{Arc, Weak};

use super::decode::Answered;
use super::mask::Source;
use super::{Embedding, Mask, Prompt, Sam};
use crate::Result;
use crate::mask::Cutoffs;
use crate::model::{Attended, MASKS};

/// Where the decoder's masks of ambiguous prompts begin. TinySAM leaves the first out, which is the answer to prompts
/// that are not ambiguous.
const AMBIGUOUS: usize = 1;

/// Which of the three masks of a prompt are wanted. An ambiguous prompt means a part, an object or a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// All three, or the best alone.
    pub multimask: bool,
    /// A mask with a lower predicted IoU is left out, except for the best: an empty picture is the worse surprise.
    pub confidence: f32,
}

impl Choice {
    /// The best.
    pub const BEST: Choice = Choice { multimask: false, confidence: 0.0 };
    /// All three.
    pub const ALL: Choice = Choice { multimask: true, confidence: f32::NEG_INFINITY };

    /// Which masks to keep, by their predicted IoU, in their order.
    fn keep(&self, scores: &[f32]) -> Vec<usize> {
        let best = best_of(scores);
        let kept = |index: &usize| *index == best || (self.multimask && scores[*index] >= self.confidence);
        (0..scores.len()).filter(kept).collect()
    }
}

/// The answer to one prompt.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The masks that were wanted, at least one, in the decoder's order.
    pub masks: Vec<Mask>,
}

impl Answer {
    /// The mask of the highest predicted IoU; the first of equals.
    pub fn best(&self) -> &Mask {
        let scores: Vec<f32> = self.masks.iter().map(|mask| mask.score).collect();
        &self.masks[best_of(&scores)]
    }
}

impl Sam {
    /// Answers each prompt, with the masks of its `choice`.
    ///
    /// `on_batch` is awaited with the answers of each batch of prompts, before the next is decoded; an error from it ends
    /// the work and is returned.
    ///
    /// # Errors
    /// `prompt_invalid` for a prompt that cannot be, before anything is computed; as the device has them.
    pub async fn segment(
        &self,
        embedding: &Embedding,
        prompts: &[Prompt],
        choice: Choice,
        mut on_batch: impl AsyncFnMut(&mut [Answer]) -> Result<()>,
    ) -> Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(prompts.len());
        let mut batches = self.decode(embedding, prompts, None)?;
        while let Some(batch) = batches.next().await? {
            let before = answers.len();
            answers.extend(batch.answers().map(|answered| {
                let prompt = Arc::new(prompts[answered.prompt].clone());
                self.answer(embedding, &answered, prompt, choice, &batch.attended)
            }));
            drop(batch);
            on_batch(&mut answers[before..]).await?;
        }
        Ok(answers)
    }

    fn answer(
        &self,
        embedding: &Embedding,
        answered: &Answered<'_>,
        prompt: Arc<Prompt>,
        choice: Choice,
        attended: &Weak<Attended>,
    ) -> Answer {
        let single = self.single_for_boxes && prompt.bbox.is_some() && !choice.multimask;
        let tokens = match single {
            true => vec![0],
            false => choice.keep(&answered.scores[AMBIGUOUS..]).into_iter().map(|index| index + AMBIGUOUS).collect(),
        };
        let mask = |token: usize| {
            let (score, logits) = (answered.scores[token], answered.logits(token));
            let source = Source { prompt: prompt.clone(), token, attended: attended.clone() };
            Mask::measured(&embedding.frame, source, score, logits, &Cutoffs::default()).0
        };
        Answer { masks: tokens.into_iter().map(mask).collect() }
    }
}

/// The tokens that ambiguous prompts are answered with.
pub(super) fn ambiguous() -> std::ops::Range<usize> {
    AMBIGUOUS..MASKS
}

/// The place of the highest score; the first of equals.
pub(super) fn best_of(scores: &[f32]) -> usize {
    (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_stays_under_any_confidence() {
        let keep = |multimask, confidence, scores: [f32; 3]| Choice { multimask, confidence }.keep(&scores);
        assert_eq!(keep(false, 0.99, [0.1, 0.3, 0.2]), [1]);
        assert_eq!(keep(true, 0.2, [0.1, 0.3, 0.2]), [1, 2]);
        assert_eq!(keep(true, 0.99, [0.3, 0.1, 0.3]), [0]);
        assert_eq!(Choice::ALL.keep(&[-0.5, 0.1, f32::MIN]), [0, 1, 2]);
        assert_eq!(Choice::BEST.keep(&[0.5, 0.5, 0.4]), [0]);
        assert_eq!(keep(false, 0.4, [0.5, 0.9, 0.6]), [1]);
        assert_eq!(keep(true, 0.4, [0.5, 0.9, 0.3]), [0, 1]);
        assert_eq!(keep(true, 0.4, [0.1, 0.2, 0.15]), [1]);
        assert_eq!(Choice::ALL.keep(&[]), [0; 0]);
        assert_eq!(Choice { multimask: false, confidence: 0.4 }.keep(&[f32::NAN]), [0]);
    }
}
