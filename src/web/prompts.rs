//! Prompts as JavaScript writes them, and their answers.

use js_sys::{Array, Float32Array};
use serde::Deserialize;
use wasm_bindgen::{JsCast, JsValue};

use super::device::checked;
use super::js::{parse, property};
use super::signal::Signal;
use crate::segment::{Choice, Embedding, Mask, Prompt, Sam};
use crate::{Error, Result};

/// A prompt as JavaScript writes it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    points: Vec<[f32; 2]>,
    labels: Vec<u8>,
    #[serde(rename = "box")]
    bbox: Option<[f32; 4]>,
    #[serde(skip)]
    mask: Option<Vec<f32>>,
    /// All three masks, and not the best alone.
    multimask: bool,
    /// In a golden: the prompt whose best mask this one takes.
    pub mask_from: Option<String>,
}

impl Request {
    pub fn parse(value: &JsValue) -> Result<Self> {
        let mut request: Request = parse(value.clone(), Error::PromptInvalid)?;
        let mask = property(value, "mask");
        if !mask.is_undefined() && !mask.is_null() {
            let mask = mask.dyn_into::<Float32Array>();
            let mask = mask.map_err(|_| Error::PromptInvalid("its mask is no Float32Array of logits".into()))?;
            request.mask = Some(mask.to_vec());
        }
        Ok(request)
    }

    pub fn prompt(self) -> Prompt {
        Prompt { points: self.points, labels: self.labels, bbox: self.bbox, mask: self.mask }
    }
}

/// The masks of each prompt, in the prompts' order.
///
/// # Errors
/// `prompt_invalid`, before anything is computed; as the device has them; `aborted`, between two batches.
pub async fn answer(sam: &Sam, embedding: &Embedding, prompts: &Array, signal: &Signal) -> Result<Vec<Mask>> {
    signal.pause().await?;
    let count = prompts.length();
    let mut asked = Vec::new();
    for (place, value) in prompts.iter().enumerate() {
        let named = |error: Error| match error {
            Error::PromptInvalid(why) if count > 1 => {
                Error::PromptInvalid(format!("number {} of {count}: {why}", place + 1))
            }
            error => error,
        };
        let request = Request::parse(&value).map_err(named)?;
        let multimask = request.multimask;
        let prompt = request.prompt();
        let tokens = prompt.resolve(embedding.frame()).map_err(named)?.tokens();
        asked.push((place, (multimask, tokens, prompt.mask.is_some()), prompt));
    }
    // Those that can be decoded together stand together.
    asked.sort_by_key(|(_, kind, _)| *kind);
    let mut answers: Vec<Vec<Mask>> = asked.iter().map(|_| Vec::new()).collect();
    for alike in asked.chunk_by(|(_, (a, ..), _), (_, (b, ..), _)| a == b) {
        let Some((_, (multimask, ..), _)) = alike.first() else { continue };
        let choice = if *multimask { Choice::ALL } else { Choice::BEST };
        let prompts: Vec<Prompt> = alike.iter().map(|(.., prompt)| prompt.clone()).collect();
        // Messages, an abort among them, are only heard between batches.
        let answered = checked(sam.segment(embedding, &prompts, choice, async |_| signal.pause().await).await)?;
        for ((place, ..), answer) in alike.iter().zip(answered) {
            answers[*place] = answer.masks;
        }
    }
    Ok(answers.into_iter().flatten().collect())
}
