//! fal's endpoint for JavaScript: a request in, its answer or its faults out.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use serde::Serialize;
use serde_json::Value;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

use super::js::property;
use super::photo::JsPhoto;
use super::signal::Signal;
use super::{decode, fetch};
use crate::endpoint::{Fault, Log, Request, plan::plan, run::run, validate::validate};
use crate::image::Photo;
use crate::segment::{Embedding, Sam};
use crate::{Error, Result};

/// The picture of the last request, so that the next prompt on it costs no second encoding.
#[derive(Clone)]
pub struct Latest {
    /// SHA-256 of the encoded picture: what an address leads to may change.
    digest: Vec<u8>,
    photo: Rc<JsPhoto>,
    embedding: Embedding,
}

/// Answers a request: `{ png, width, height, masks? }`, or `{ detail, unreachable }` where the request is at fault, be
/// it at the start or while it runs. `unreachable` says that the picture could not be had, which another machine
/// may be able to.
///
/// `image` stands for the request's `image_url`, where the caller has it at hand. `on_log` is called with
/// `{ level, message }`.
///
/// # Errors
/// As the device has them; `aborted`.
pub async fn answer(
    sam: &Sam,
    latest: &RefCell<Option<Latest>>,
    input: &JsValue,
    image: Option<Blob>,
    on_log: &Function,
    signal: &Signal,
) -> Result<JsValue> {
    let log = |line: Log| {
        // What a listener throws is its own affair.
        let _ = js(&line).map(|line| on_log.call1(&JsValue::NULL, &line));
    };
    let input: Value = match serde_wasm_bindgen::from_value(input.clone()) {
        Ok(input) => input,
        Err(error) => {
            let msg = format!("Input should be what JSON can say: {error}");
            return refused(&[Fault::whole("json_invalid", msg)], false);
        }
    };
    let (request, lines) = match validate(&input) {
        Ok(read) => read,
        Err(faults) => return refused(&faults, false),
    };
    lines.into_iter().for_each(log);
    match served(sam, latest, &request, image, &log, signal).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(faults)) => refused(&faults, false),
        Err(error) => {
            let unreachable = matches!(error, Error::ImageUnreachable(_) | Error::PixelsProtected);
            let fault = Fault::of(&error).ok_or(error)?;
            let of_picture = fault.is_of("image_url");
            refused(&[if of_picture { fault.on(&Value::String(request.image_url)) } else { fault }], unreachable)
        }
    }
}

/// Answers a request without faults of its own; those that show once its picture is known come back.
async fn served(
    sam: &Sam,
    latest: &RefCell<Option<Latest>>,
    request: &Request,
    image: Option<Blob>,
    log: &impl Fn(Log),
    signal: &Signal,
) -> Result<Result<JsValue, Vec<Fault>>> {
    let file = match image {
        Some(file) => file,
        None => fetch::picture(&request.image_url, signal).await?,
    };
    decode::check_length(&file)?;
    let digest = signal.race(digest(&file)).await?;
    let known = latest.borrow().clone().filter(|latest| Some(&latest.digest) == digest.as_ref());
    let photo = match &known {
        Some(known) => known.photo.clone(),
        None => {
            // Not two pictures at a time.
            latest.take();
            Rc::new(decode::pixels(file.into(), signal).await?)
        }
    };
    let (plan, lines) = match plan(request, photo.width(), photo.height()) {
        Ok(decided) => decided,
        Err(faults) => return Ok(Err(faults)),
    };
    lines.into_iter().for_each(log);

    let embedding = match known.filter(|known| known.embedding.frame().side == plan.size) {
        Some(known) => {
            log(Log::info("the picture of the last request: it is not encoded again"));
            known.embedding
        }
        None => {
            // Of the same picture at another size, perhaps; nor two embeddings.
            latest.take();
            signal.pause().await?;
            let embedding = sam.embed(&*photo, plan.size, async || signal.step().await).await?;
            sam.finish(&embedding).await?;
            embedding
        }
    };
    *latest.borrow_mut() = digest.map(|digest| Latest { digest, photo: photo.clone(), embedding: embedding.clone() });
    signal.pause().await?;
    let output = run(sam, &*photo, &embedding, &plan, log, async || signal.pause().await).await?;
    let answer = object([
        ("png", Uint8Array::from(output.png.as_slice()).into()),
        ("width", photo.width().into()),
        ("height", photo.height().into()),
    ]);
    if let Some(masks) = output.masks {
        set(&answer, "masks", &js(&masks)?);
    }
    Ok(Ok(answer.into()))
}

/// SHA-256 of a file; `None` where the page is no secure context, and so has no such function.
async fn digest(file: &Blob) -> Option<Vec<u8>> {
    let bytes = JsFuture::from(file.array_buffer()).await.ok()?;
    let subtle = property(&property(&js_sys::global(), "crypto"), "subtle");
    let digest: Function = property(&subtle, "digest").dyn_into().ok()?;
    let promise: Promise = digest.call2(&subtle, &"SHA-256".into(), &bytes).ok()?.dyn_into().ok()?;
    Some(Uint8Array::new(&JsFuture::from(promise).await.ok()?).to_vec())
}

fn refused(faults: &[Fault], unreachable: bool) -> Result<JsValue> {
    Ok(object([("detail", js(&faults)?), ("unreachable", unreachable.into())]).into())
}

fn object<const N: usize>(entries: [(&str, JsValue); N]) -> Object {
    let object = Object::new();
    entries.iter().for_each(|(key, value)| set(&object, key, value));
    object
}

/// A fresh object takes any property.
fn set(object: &Object, key: &str, value: &JsValue) {
    let _ = Reflect::set(object, &key.into(), value);
}

/// As `JSON.parse` would give it: maps are objects.
fn js(value: &impl Serialize) -> Result<JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|error| Error::Internal(error.to_string()))
}
