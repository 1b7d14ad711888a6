//! fal's endpoint for JavaScript: a request in, its answer or its faults out.

use js_sys::{Function, Object, Reflect, Uint8Array};
use serde::Serialize;
use serde_json::Value;
use wasm_bindgen::prelude::*;
use web_sys::Blob;

use super::decode;
use super::signal::Signal;
use crate::endpoint::{Fault, Log, plan::plan, run::run, validate::validate};
use crate::segment::Sam;
use crate::{Error, Result};

/// Answers a request: `{ png, width, height, masks? }`, or `{ detail, unreachable }` where the request is at fault.
/// `unreachable` says that the picture could not be fetched, which another machine may be able to.
///
/// `image` stands for the request's `image_url`, where the caller has it at hand. `on_log` is called with
/// `{ level, message }`.
///
/// # Errors
/// As the device has them; `aborted`.
pub async fn answer(
    sam: &Sam,
    input: &JsValue,
    image: Option<Blob>,
    on_log: &Function,
    signal: &Signal,
) -> Result<JsValue> {
    let log = |line: Log| {
        // What a listener throws is its own affair.
        let _ = js(&line).map(|line| on_log.call1(&JsValue::NULL, &line));
    };
    // What JSON cannot say has no place in a request.
    let input = serde_wasm_bindgen::from_value(input.clone()).unwrap_or(Value::Null);
    let (request, lines) = match validate(&input) {
        Ok(read) => read,
        Err(faults) => return refused(&faults, false),
    };
    lines.into_iter().for_each(log);

    let source = image.map_or_else(|| JsValue::from(&request.image_url), JsValue::from);
    let image = match decode::pixels(source, signal).await {
        Ok(image) => image,
        Err(error) => {
            let unreachable = matches!(error, Error::ImageUnreachable(_));
            let fault = Fault::of(&error).ok_or(error)?;
            return refused(&[fault], unreachable);
        }
    };
    let (plan, lines) = match plan(&request, image.width(), image.height()) {
        Ok(decided) => decided,
        Err(faults) => return refused(&faults, false),
    };
    lines.into_iter().for_each(log);

    let output = run(sam, &image, &plan, log, async || signal.pause().await).await?;
    let answer = object([
        ("png", Uint8Array::from(output.png.as_slice()).into()),
        ("width", image.width().into()),
        ("height", image.height().into()),
    ]);
    if let Some(masks) = output.masks {
        set(&answer, "masks", &js(&masks)?);
    }
    Ok(answer.into())
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
