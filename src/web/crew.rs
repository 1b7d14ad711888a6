//! The other workers of this engine, as pkg/src/mates.ts reaches them.

use js_sys::{Array, Float32Array, Promise, Uint8Array, Uint32Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::bindings::{Embedding, Engine};
use super::device;
use super::encoded::Encoded;
use super::error::text;
use super::js::property;
use super::signal::Signal;
use crate::checkpoint::Checkpoint;
use crate::model::{self, Arriving, Band, Exchange, Neighbours};
use crate::segment::{Crew, DecodedBatch, Part, Sam, Task};
use crate::{Error, Result};

#[wasm_bindgen]
extern "C" {
    /// `Mates` of pkg/src/mates.ts, on the first worker.
    pub type Mates;
    #[wasm_bindgen(method, getter)]
    fn count(this: &Mates) -> u32;
    #[wasm_bindgen(method)]
    fn share(this: &Mates, weights: Uint8Array, sha256: &str, module: JsValue);
    #[wasm_bindgen(method)]
    fn begin(this: &Mates, parts: Array);
    #[wasm_bindgen(method)]
    fn exchange(this: &Mates, outgoing: Array, incoming: Array) -> Promise;
    #[wasm_bindgen(method)]
    fn end(this: &Mates);
    #[wasm_bindgen(method)]
    fn holds(this: &Mates, embedding: u32) -> bool;
    #[wasm_bindgen(method)]
    fn hold(this: &Mates, embedding: u32, bytes: Uint8Array);
    #[wasm_bindgen(method)]
    fn decode(this: &Mates, prompts: JsValue, over: Option<f32>) -> Option<Promise>;

    /// A job of another worker: its place in the encode that it takes part in.
    pub type Job;
    #[wasm_bindgen(method, js_name = exchange)]
    fn swap(this: &Job, outgoing: Array, incoming: Array) -> Promise;
}

/// The others of an engine that is loaded with such options, if there are any.
pub fn mates(options: &JsValue) -> Option<Mates> {
    let mates = property(options, "mates");
    mates.is_object().then(|| mates.unchecked_into())
}

/// What another worker than the first does.
#[wasm_bindgen]
impl Engine {
    /// Builds the model of a checkpoint that the first worker has checked.
    ///
    /// # Errors
    /// As `load` has them of a checkpoint; `out_of_memory`.
    pub async fn join(weights: Vec<u8>, sha256: String) -> Result<Engine, JsValue> {
        let found = device::find(false).await?;
        let checkpoint = Checkpoint::from_bytes(weights)?.with_sha256(sha256.clone());
        let kernels = found.kernels();
        Ok(Engine::of(Sam::load(&checkpoint, &found.device)?, found.adapter, kernels, sha256))
    }

    /// Does its part of an encode.
    pub async fn part(&self, part: JsValue, rgb: Vec<u8>, job: &Job) -> Result<(), JsValue> {
        let part = serde_wasm_bindgen::from_value(part).map_err(|error| Error::Internal(error.to_string()))?;
        let part = Part { rgb, ..part };
        let band = Band { index: part.index, count: part.count };
        Ok(self.sam.encode_part(&part, &mut Taking { band, job }).await?)
    }
}

#[wasm_bindgen]
impl Embedding {
    /// Decodes a batch for the first worker: `[scores, upscaled, logits]`.
    #[wasm_bindgen(js_name = decodeBatch)]
    pub async fn decode_batch(&self, prompts: JsValue, over: Option<f32>) -> Result<JsValue, JsValue> {
        let prompts: Vec<model::Prompt> =
            serde_wasm_bindgen::from_value(prompts).map_err(|error| Error::Internal(error.to_string()))?;
        let Encoded { sam, embedding, .. } = &*self.encoded;
        Ok(told(&sam.decode_batch(embedding, &prompts, over).await?).into())
    }
}

impl Mates {
    /// Hands the others a checkpoint that was checked, and this module, which need be neither fetched nor compiled again.
    pub fn hand_over(&self, weights: Uint8Array, sha256: &str) {
        self.share(weights, sha256, wasm_bindgen::module());
    }
}

impl Crew for Mates {
    fn count(&self) -> usize {
        Mates::count(self) as usize
    }

    fn begin(&self, parts: Vec<Part>) {
        let parts = parts.into_iter().map(|part| {
            let pair = Array::of2(&plain(&part), &Uint8Array::from(&part.rgb[..]));
            JsValue::from(pair)
        });
        Mates::begin(self, parts.collect());
    }

    fn exchange(&self, rows: Exchange) -> Task<'_, Vec<Vec<f32>>> {
        Box::pin(arrived(Mates::exchange(self, outgoing(&rows), incoming(&rows))))
    }

    fn end(&self) {
        Mates::end(self);
    }

    fn holds(&self, embedding: u32) -> bool {
        Mates::holds(self, embedding)
    }

    fn hold(&self, embedding: u32, bytes: Vec<u8>) {
        Mates::hold(self, embedding, Uint8Array::from(&bytes[..]));
    }

    fn decode(&self, prompts: &[model::Prompt], over: Option<f32>) -> Option<Task<'static, DecodedBatch>> {
        let decoded = Mates::decode(self, plain(prompts), over)?;
        Some(Box::pin(async move { batch(&JsFuture::from(decoded).await.map_err(lost)?) }))
    }

    fn turn(&self) -> Task<'_, ()> {
        Box::pin(async { Signal::default().pause().await })
    }
}

/// Another worker's part of an encode.
struct Taking<'a> {
    band: Band,
    job: &'a Job,
}

impl Neighbours for Taking<'_> {
    fn band(&self) -> Band {
        self.band
    }

    fn exchange(&mut self, rows: Exchange) -> Arriving<'_> {
        Box::pin(arrived(self.job.swap(outgoing(&rows), incoming(&rows))))
    }
}

/// What a batch came to, for [`batch`] on the worker that asked for it.
fn told(batch: &DecodedBatch) -> Array {
    let upscaled: Vec<u32> = batch.upscaled.iter().map(|place| *place as u32).collect();
    Array::of3(
        &Float32Array::from(batch.scores.as_flattened()),
        &Uint32Array::from(&upscaled[..]),
        &Float32Array::from(&batch.logits[..]),
    )
}

fn batch(told: &JsValue) -> Result<DecodedBatch> {
    let part = |index: u32| js_sys::Reflect::get_u32(told, index).unwrap_or(JsValue::UNDEFINED);
    let scores = Float32Array::new(&part(0)).to_vec();
    let upscaled: Vec<usize> = Uint32Array::new(&part(1)).to_vec().into_iter().map(|place| place as usize).collect();
    let logits = Float32Array::new(&part(2)).to_vec();
    Ok(DecodedBatch { scores: scores.as_chunks().0.to_vec(), upscaled, logits })
}

/// `[to, rows]` of each.
fn outgoing(rows: &Exchange) -> Array {
    let pair = |(to, rows): &(usize, Vec<f32>)| {
        JsValue::from(Array::of2(&(*to as u32).into(), &Float32Array::from(&rows[..])))
    };
    rows.outgoing.iter().map(pair).collect()
}

fn incoming(rows: &Exchange) -> Array {
    rows.incoming.iter().map(|from| JsValue::from(*from as u32)).collect()
}

async fn arrived(came: Promise) -> Result<Vec<Vec<f32>>> {
    let came: Array = JsFuture::from(came).await.map_err(lost)?.unchecked_into();
    Ok(came.iter().map(|rows| Float32Array::new(&rows).to_vec()).collect())
}

/// A worker was lost, or has been told to stop.
fn lost(exception: JsValue) -> Error {
    match property(&exception, "code").as_string().as_deref() {
        Some("aborted") => Error::Aborted,
        _ => Error::Internal(text(&exception)),
    }
}

/// As JavaScript has it.
fn plain<T: Serialize + ?Sized>(value: &T) -> JsValue {
    // Numbers, booleans and lists of them: nothing that could be refused.
    serde_wasm_bindgen::to_value(value).unwrap_or(JsValue::UNDEFINED)
}
