//! What JavaScript sees: an engine and embeddings, as handles, which give [masks](super::mask). pkg/src wraps them; their
//! names and types are written out in pkg/src/bindings.ts.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Float32Array, Function, Object, Reflect, Uint8Array, Uint32Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, Blob};

use super::device::checked;
use super::encoded::Encoded;
use super::js::parse;
use super::mask::{Layers, Mask};
use super::photo::JsPhoto;
use super::prompts::{self, Request};
use super::signal::Signal;
use super::{decode, device, digest, endpoint, fetch};
use crate::checkpoint::Checkpoint;
use crate::image::{Image, Photo, touched};
use crate::segment::{self, Batch, Choice, EverythingOptions, Prompt, Sam, SavedPrecision, TracedPrompt};
use crate::{Error, Result};

/// A model on a device.
#[wasm_bindgen]
pub struct Engine {
    pub(super) sam: Sam,
    adapter: String,
    kernels: &'static str,
    sha256: String,
    latest: RefCell<Option<endpoint::Latest>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct LoadOptions {
    sha256: Option<String>,
    model: Option<Model>,
    cache: Option<bool>,
    force_software: bool,
    /// What the browser tells of the GPU, where the caller has asked.
    #[cfg_attr(not(feature = "webgpu"), allow(dead_code))] // the CPU has nothing to choose by it
    adapter: Option<String>,
    /// A way to cut products, for comparing them.
    #[cfg_attr(not(feature = "webgpu"), allow(dead_code))]
    kernels: Option<String>,
    /// Goes on with a device that gives wrong answers: for one that executes nothing, on which calls are counted.
    #[cfg_attr(not(feature = "webgpu"), allow(dead_code))]
    unchecked: bool,
}

/// Whose network a checkpoint is of: their codes answer a box with different masks.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Model {
    TinySam,
    MobileSam,
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
    ///
    /// # Errors
    /// `device_unavailable`, `option_invalid`, `checkpoint_unreachable`, `checkpoint_hash`, `checkpoint_invalid`,
    /// `checkpoint_mismatch`, `out_of_memory`, `aborted`; as the device has them.
    pub async fn load(
        weights: JsValue,
        options: JsValue,
        on_progress: Option<Function>,
        signal: Option<AbortSignal>,
    ) -> Result<Engine, JsValue> {
        let signal = Signal::new(signal);
        #[cfg(not(feature = "webgpu"))]
        let mates = super::crew::mates(&options);
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
        // Hashed once: what was asked for is what came.
        let sha256 = match how.sha256 {
            Some(asked) => asked.to_ascii_lowercase(),
            None => digest::sha256(&bytes).await,
        };
        #[cfg(not(feature = "webgpu"))]
        let copy = mates.as_ref().map(|_| Uint8Array::from(&bytes[..]));
        let built = Checkpoint::from_bytes(bytes).and_then(|checkpoint| {
            // The others build theirs meanwhile.
            #[cfg(not(feature = "webgpu"))]
            if let (Some(mates), Some(copy)) = (&mates, copy) {
                mates.hand_over(copy, &sha256);
            }
            Sam::load(&checkpoint.with_sha256(sha256.clone()), &found.device)
        });
        if let Err(Error::CheckpointInvalid(_) | Error::CheckpointMismatch(_)) = &built
            && let Some(url) = url.filter(|_| how.cache)
        {
            // What was kept is no checkpoint, or holds what no network can use: the next attempt shall download again.
            fetch::forget(&url).await;
        }
        let sam = match options.model {
            None => built?,
            Some(model) => built?.with_single_mask_for_boxes(model == Model::MobileSam),
        };
        #[cfg(not(feature = "webgpu"))]
        let sam = match mates {
            Some(mates) => sam.with_crew(std::sync::Arc::new(mates)),
            None => sam,
        };
        #[cfg(not(feature = "webgpu"))]
        let kernels = found.kernels();
        #[cfg(feature = "webgpu")]
        let kernels = {
            tell("warmup", None, None);
            signal.check()?;
            let adapter = options.adapter.as_deref().unwrap_or(&found.adapter);
            // What the driver has to say comes first: numbers are wrong where a kernel did not run.
            let chosen = checked(super::kernels::choose(&found, options.kernels.as_deref(), adapter).await)?;
            let answers = crate::model::ops::known::check(&found.device).await;
            device::check()?;
            if !options.unchecked {
                checked(answers)?;
            }
            chosen
        };
        let engine = Engine::of(sam, found.adapter, kernels, sha256);
        if device::BACKEND == "webgpu" {
            checked(engine.warm_up().await)?;
            device::check()?;
        }
        signal.check()?;
        Ok(engine)
    }

    /// The names of the ways to cut products that there are, for comparing them.
    #[wasm_bindgen(js_name = kernelNames)]
    pub fn kernel_names() -> Vec<String> {
        #[cfg(feature = "webgpu")]
        return crate::model::ops::gpu::tiles::ALL.map(|tiles| tiles.name.to_owned()).to_vec();
        #[cfg(not(feature = "webgpu"))]
        return Vec::new();
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

    /// How products are cut on this GPU, or the processor's instruction set.
    #[wasm_bindgen(getter)]
    pub fn kernels(&self) -> String {
        self.kernels.into()
    }

    /// SHA-256 of the checkpoint, in lower-case hex.
    #[wasm_bindgen(getter, js_name = checkpointSha256)]
    pub fn checkpoint_sha256(&self) -> String {
        self.sha256.clone()
    }

    /// Decodes and encodes a picture, or its part `crop` (`[x, y, width, height]` in its pixels), which the network sees
    /// at `size` pixels.
    pub async fn embed(
        &self,
        image: JsValue,
        size: u32,
        crop: Option<Vec<f64>>,
        signal: Option<AbortSignal>,
    ) -> Result<Embedding, JsValue> {
        let signal = Signal::new(signal);
        let photo = decode::pixels(image, &signal).await?;
        let (width, height) = (photo.width(), photo.height());
        let crop = match crop.as_deref() {
            None => [0, 0, width, height],
            Some(crop) => touched(crop, width, height)?,
        };
        signal.pause().await?;
        let embedding = self.sam.embed_crop(&photo, crop, size, async || signal.step().await).await?;
        checked(self.sam.finish(&embedding).await)?;
        signal.check()?;
        Ok(self.handle(embedding, Some(photo)))
    }

    /// An embedding from the bytes that [`Embedding::to_bytes`] gave, with its photo, if that is at hand.
    pub async fn restore(
        &self,
        bytes: &[u8],
        photo: JsValue,
        signal: Option<AbortSignal>,
    ) -> Result<Embedding, JsValue> {
        let signal = Signal::new(signal);
        let embedding = segment::Embedding::from_bytes(bytes, &self.sam)?;
        checked(self.sam.finish(&embedding).await)?;
        let photo = match photo.is_undefined() {
            true => None,
            false => Some(decode::pixels(photo, &signal).await?),
        };
        let (width, height) = embedding.frame().original;
        if let Some(photo) = photo.as_ref().filter(|photo| (photo.width(), photo.height()) != (width, height)) {
            let (other, sides) = (photo.width(), photo.height());
            let text = format!("it is of a photo of {width}×{height}, the photo given is {other}×{sides}");
            return Err(Error::EmbeddingMismatch(text).into());
        }
        signal.check()?;
        Ok(self.handle(embedding, photo))
    }

    /// Answers a request to fal's endpoint: see [`endpoint::answer`].
    pub async fn answer(
        &self,
        input: JsValue,
        image: Option<Blob>,
        on_log: Function,
        signal: Option<AbortSignal>,
    ) -> Result<JsValue, JsValue> {
        Ok(checked(endpoint::answer(&self.sam, &self.latest, &input, image, &on_log, &Signal::new(signal)).await)?)
    }

    /// Hands every tensor that the goldens name to `sink(name, shape, data)`, in the reference's layout. `prompts` maps
    /// names to prompts; `maskFrom` in one names the prompt whose best mask it takes.
    pub async fn trace(&self, image: JsValue, size: u32, prompts: Object, sink: Function) -> Result<(), JsValue> {
        let photo = decode::pixels(image, &Signal::default()).await?;
        let mut named = Vec::new();
        for entry in Object::entries(&prompts).iter() {
            let entry: Array = entry.unchecked_into();
            let mut request = Request::parse(&entry.get(1))?;
            let mask_from = request.mask_from.take();
            let prompt = request.prompt();
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
        checked(self.sam.trace(&photo, size, &named, &mut show).await)?;
        refused.map_or(Ok(()), Err)
    }
}

impl Engine {
    /// A model that was built.
    pub(super) fn of(sam: Sam, adapter: String, kernels: &'static str, sha256: String) -> Self {
        Engine { sam, adapter, kernels, sha256, latest: RefCell::default() }
    }

    fn handle(&self, embedding: segment::Embedding, photo: Option<JsPhoto>) -> Embedding {
        Embedding { encoded: Rc::new(Encoded { sam: self.sam.clone(), embedding, photo }) }
    }

    /// Runs the whole network once, as small as it goes, so that the first picture does not wait for shaders.
    async fn warm_up(&self) -> Result<()> {
        let image = Image::from_rgb(64, 64, vec![127; 64 * 64 * 3])?;
        let embedding = self.sam.embed(&image, 64, async || Ok(())).await?;
        self.sam.segment(&embedding, &[Prompt::point(32.0, 32.0)], Choice::BEST, async |_| Ok(())).await.map(drop)
    }
}

/// An encoded picture.
#[wasm_bindgen]
pub struct Embedding {
    pub(super) encoded: Rc<Encoded>,
}

#[wasm_bindgen]
impl Embedding {
    /// Of the picture, in original pixels.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> u32 {
        self.encoded.embedding.frame().original.0
    }

    /// Of the picture, in original pixels.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> u32 {
        self.encoded.embedding.frame().original.1
    }

    /// The model side.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> u32 {
        self.encoded.embedding.frame().side
    }

    /// What of the picture the network saw, `[x, y, width, height]`, original pixels.
    #[wasm_bindgen(getter)]
    pub fn crop(&self) -> Vec<u32> {
        self.encoded.embedding.frame().crop.into()
    }

    /// Answers prompts, in their order: for each the best mask, or with `multimask` three.
    pub async fn segment(&self, prompts: Array, signal: Option<AbortSignal>) -> Result<Vec<Mask>, JsValue> {
        let Encoded { sam, embedding, .. } = &*self.encoded;
        let masks = prompts::answer(sam, embedding, &prompts, &Signal::new(signal)).await?;
        Ok(masks.into_iter().map(|mask| self.handle(mask)).collect())
    }

    /// The embedding as bytes, in `f16` or `f32`.
    #[wasm_bindgen(js_name = toBytes)]
    pub async fn to_bytes(&self, precision: String) -> Result<Uint8Array, JsValue> {
        let precision = match precision.as_str() {
            "f16" => SavedPrecision::F16,
            "f32" => SavedPrecision::F32,
            _ => return Err(Error::OptionInvalid(format!("precision {precision:?}; it must be f16 or f32")).into()),
        };
        Ok(Uint8Array::from(&checked(self.encoded.embedding.to_bytes(precision).await)?[..]))
    }

    /// For drawing several of this picture's masks together.
    pub fn layers(&self) -> Layers {
        Layers::new(self.encoded.clone())
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
        let Encoded { sam, embedding, .. } = &*self.encoded;
        let outcome = sam
            .everything(embedding, &options, async |batch: Batch<'_>| {
                if let Err(exception) = self.tell(&on_batch, &batch) {
                    thrown = Some(exception);
                    return Err(Error::Aborted);
                }
                signal.pause().await
            })
            .await;
        match (outcome, thrown) {
            (_, Some(exception)) => Err(exception),
            (masks, None) => Ok(checked(masks)?.into_iter().map(|mask| self.handle(mask)).collect()),
        }
    }
}

impl Embedding {
    fn handle(&self, mask: segment::Mask) -> Mask {
        Mask::new(mask, self.encoded.clone())
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
