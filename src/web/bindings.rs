//! What JavaScript sees: an engine and embeddings, as handles, which give [masks](super::mask). pkg/src wraps them; their
//! names and types are written out in pkg/src/bindings.ts.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Float32Array, Function, Object, Reflect, Uint32Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, Blob};

use super::mask::{Layers, Mask};
use super::signal::Signal;
use super::{decode, device, endpoint, fetch};
use crate::checkpoint::Checkpoint;
use crate::image::Image;
use crate::segment::{self, Answer, Batch, EverythingOptions, Prompt, Sam, TracedPrompt};
use crate::{Error, Result};

/// A model on a device.
#[wasm_bindgen]
pub struct Engine {
    sam: Sam,
    adapter: String,
    sha256: String,
    latest: RefCell<Option<endpoint::Latest>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct LoadOptions {
    sha256: Option<String>,
    cache: Option<bool>,
    force_software: bool,
}

#[derive(Serialize)]
struct LoadProgress {
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    loaded: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<f64>,
}

#[wasm_bindgen]
impl Engine {
    /// Fetches a checkpoint and builds the model on this module's device.
    ///
    /// `weights` is a URL, a `Blob`, a `Response` or bytes; `on_progress` is called with `{ phase, loaded?, total? }`.
    pub async fn load(
        weights: JsValue,
        options: JsValue,
        on_progress: Option<Function>,
        signal: Option<AbortSignal>,
    ) -> Result<Engine, JsValue> {
        let signal = Signal::new(signal);
        let options: LoadOptions = parse(options, Error::OptionInvalid)?;
        let tell = |phase, loaded: Option<u64>, total: Option<u64>| {
            let progress = LoadProgress { phase, loaded: loaded.map(|n| n as f64), total: total.map(|n| n as f64) };
            if let (Some(callback), Ok(progress)) = (&on_progress, serde_wasm_bindgen::to_value(&progress)) {
                // A callback that throws is the caller's own affair.
                let _ = callback.call1(&JsValue::NULL, &progress);
            }
        };
        // The device first: without one nothing need be downloaded.
        let found = device::find(options.force_software).await?;
        let url = weights.as_string();
        let how = fetch::Options { sha256: options.sha256, cache: options.cache.unwrap_or(true) };
        let bytes = fetch::weights(weights, &how, &|p| tell(p.phase, Some(p.loaded), p.total), &signal).await?;
        tell("prepare", None, None);
        signal.pause().await?;
        let checkpoint = match (Checkpoint::from_bytes(bytes), url) {
            (Err(error), Some(url)) => {
                // What was kept is no checkpoint: the next attempt shall download again.
                fetch::forget(&url).await;
                return Err(error.into());
            }
            (checkpoint, _) => checkpoint?,
        };
        let sam = Sam::load(&checkpoint, &found.device)?;
        let sha256 = checkpoint.sha256().to_string();
        let engine = Engine { sam, adapter: found.adapter, sha256, latest: RefCell::default() };
        drop(checkpoint);
        if device::BACKEND == "webgpu" {
            tell("warmup", None, None);
            signal.check()?;
            engine.warm_up().await?;
        }
        signal.check()?;
        Ok(engine)
    }

    /// `webgpu` or `cpu`.
    #[wasm_bindgen(getter)]
    pub fn backend(&self) -> String {
        device::BACKEND.into()
    }

    /// The adapter's name.
    #[wasm_bindgen(getter)]
    pub fn adapter(&self) -> String {
        self.adapter.clone()
    }

    /// SHA-256 of the checkpoint, in lower-case hex.
    #[wasm_bindgen(getter, js_name = checkpointSha256)]
    pub fn checkpoint_sha256(&self) -> String {
        self.sha256.clone()
    }

    /// Decodes and encodes a picture, which the network sees at `size` pixels.
    pub async fn embed(&self, image: JsValue, size: u32, signal: Option<AbortSignal>) -> Result<Embedding, JsValue> {
        let signal = Signal::new(signal);
        let image = decode::pixels(image, &signal).await?;
        signal.pause().await?;
        let embedding = self.sam.embed(&image, size)?;
        self.sam.finish(&embedding).await?;
        signal.check()?;
        Ok(Embedding { sam: self.sam.clone(), embedding, image: Rc::new(image) })
    }

    /// Answers a request to fal's endpoint: see [`endpoint::answer`].
    pub async fn answer(
        &self,
        input: JsValue,
        image: Option<Blob>,
        on_log: Function,
        signal: Option<AbortSignal>,
    ) -> Result<JsValue, JsValue> {
        Ok(endpoint::answer(&self.sam, &self.latest, &input, image, &on_log, &Signal::new(signal)).await?)
    }

    /// Hands every tensor that the goldens name to `sink(name, shape, data)`, in the reference's layout. `prompts` maps
    /// names to prompts; `maskFrom` in one names the prompt whose best mask it takes.
    pub async fn trace(&self, image: JsValue, size: u32, prompts: Object, sink: Function) -> Result<(), JsValue> {
        let image = decode::pixels(image, &Signal::default()).await?;
        let mut named = Vec::new();
        for entry in Object::entries(&prompts).iter() {
            let entry: Array = entry.unchecked_into();
            let mut request = Request::parse(&entry.get(1))?;
            let mask_from = request.mask_from.take();
            let prompt = request.joint()?;
            named.push((entry.get(0).as_string().unwrap_or_default(), TracedPrompt { prompt, mask_from }));
        }
        let mut refused = None;
        let mut show = |name: &str, shape: &[usize], data: &[f32]| {
            let shape: Vec<u32> = shape.iter().map(|n| *n as u32).collect();
            let (shape, data) = (Uint32Array::from(&shape[..]), Float32Array::from(data));
            if let Err(exception) = sink.call3(&JsValue::NULL, &name.into(), &shape, &data) {
                refused.get_or_insert(exception);
            }
        };
        self.sam.trace(&image, size, &named, &mut show).await?;
        refused.map_or(Ok(()), Err)
    }
}

impl Engine {
    /// Runs the whole network once, as small as it goes, so that the first picture does not wait for shaders.
    async fn warm_up(&self) -> Result<()> {
        let image = Image::from_rgb(64, 64, vec![127; 64 * 64 * 3])?;
        let embedding = self.sam.embed(&image, 64)?;
        self.sam.segment(&embedding, &[Prompt::point(32.0, 32.0)]).await.map(drop)
    }
}

/// An encoded picture.
#[wasm_bindgen]
pub struct Embedding {
    sam: Sam,
    embedding: segment::Embedding,
    image: Rc<Image>,
}

#[wasm_bindgen]
impl Embedding {
    /// Of the picture, in original pixels.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> u32 {
        self.embedding.frame().original.0
    }

    /// Of the picture, in original pixels.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> u32 {
        self.embedding.frame().original.1
    }

    /// The model side.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> u32 {
        self.embedding.frame().side
    }

    /// Answers a prompt: the best mask, or with `multimask` three; for each box, where there are `boxes`.
    pub async fn segment(&self, prompt: JsValue, signal: Option<AbortSignal>) -> Result<Vec<Mask>, JsValue> {
        let signal = Signal::new(signal);
        signal.pause().await?;
        let request = Request::parse(&prompt)?;
        let (multimask, prompts) = (request.multimask, request.prompts()?);
        let answers = self.sam.segment(&self.embedding, &prompts).await?;
        signal.check()?;
        let masks = |answer: &Answer| if multimask { answer.all() } else { vec![answer.best()] };
        Ok(answers.iter().flat_map(masks).map(|mask| self.handle(mask)).collect())
    }

    /// For drawing several of this picture's masks together.
    pub fn layers(&self) -> Layers {
        Layers::new(self.image.clone())
    }

    /// Segments everything: `on_batch({ masks, done, total })` after each batch, the final masks in the end.
    pub async fn everything(
        &self,
        options: JsValue,
        on_batch: Function,
        signal: Option<AbortSignal>,
    ) -> Result<Vec<Mask>, JsValue> {
        let signal = Signal::new(signal);
        let options: EverythingOptions = parse(options, Error::OptionInvalid)?;
        let mut thrown = None;
        let outcome = self
            .sam
            .everything(&self.embedding, &options, async |batch: Batch<'_>| {
                if let Err(exception) = self.tell(&on_batch, &batch) {
                    thrown = Some(exception);
                    return Err(Error::Aborted);
                }
                // Messages, an abort among them, are only heard between batches.
                signal.pause().await
            })
            .await;
        match (outcome, thrown) {
            (_, Some(exception)) => Err(exception),
            (masks, None) => Ok(masks?.into_iter().map(|mask| self.handle(mask)).collect()),
        }
    }
}

impl Embedding {
    fn handle(&self, mask: segment::Mask) -> Mask {
        Mask::new(mask, self.image.clone())
    }

    fn tell(&self, on_batch: &Function, batch: &Batch) -> Result<(), JsValue> {
        let masks: Array = batch.masks.iter().map(|mask| JsValue::from(self.handle(mask.clone()))).collect();
        let message = Object::new();
        Reflect::set(&message, &"masks".into(), &masks)?;
        Reflect::set(&message, &"done".into(), &(batch.done as f64).into())?;
        Reflect::set(&message, &"total".into(), &(batch.total as f64).into())?;
        on_batch.call1(&JsValue::NULL, &message).map(drop)
    }
}

/// A prompt as JavaScript writes it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Request {
    points: Vec<[f32; 2]>,
    labels: Vec<u8>,
    #[serde(rename = "box")]
    bbox: Option<[f32; 4]>,
    boxes: Vec<[f32; 4]>,
    #[serde(skip)]
    mask: Option<Vec<f32>>,
    multimask: bool,
    mask_from: Option<String>,
}

impl Request {
    fn parse(value: &JsValue) -> Result<Self> {
        let mut request: Request = parse(value.clone(), Error::PromptInvalid)?;
        let mask = super::js::property(value, "mask");
        if !mask.is_undefined() && !mask.is_null() {
            let mask = mask.dyn_into::<Float32Array>();
            let mask = mask.map_err(|_| Error::PromptInvalid("its mask is no Float32Array of logits".into()))?;
            request.mask = Some(mask.to_vec());
        }
        Ok(request)
    }

    /// The points, the box and the mask as one prompt.
    fn joint(self) -> Result<Prompt> {
        if !self.boxes.is_empty() {
            return Err(Error::PromptInvalid(
                "boxes are a batch of their own: give `box` with points or a mask".into(),
            ));
        }
        Ok(Prompt { points: self.points, labels: self.labels, bbox: self.bbox, mask: self.mask })
    }

    /// One prompt, or one for each of the boxes.
    fn prompts(self) -> Result<Vec<Prompt>> {
        if self.boxes.is_empty() {
            return Ok(vec![self.joint()?]);
        }
        if !self.points.is_empty() || self.bbox.is_some() || self.mask.is_some() {
            return Err(Error::PromptInvalid("`boxes` cannot be joined with points, a box or a mask".into()));
        }
        Ok(self.boxes.into_iter().map(Prompt::bbox).collect())
    }
}

/// Reads a JavaScript object; `undefined` is an empty one.
fn parse<T: Default + for<'a> Deserialize<'a>>(value: JsValue, error: fn(String) -> Error) -> Result<T> {
    if value.is_undefined() || value.is_null() {
        return Ok(T::default());
    }
    serde_wasm_bindgen::from_value(value).map_err(|e| error(e.to_string()))
}
