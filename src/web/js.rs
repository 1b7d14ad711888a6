//! Looking at JavaScript values without trusting them.

use js_sys::{Reflect, Symbol};
use serde::Deserialize;
use wasm_bindgen::JsValue;

use crate::{Error, Result};

/// A property, or `undefined` where the value is no object or its getter throws.
pub fn property(value: &JsValue, key: &str) -> JsValue {
    Reflect::get(value, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

/// The platform's name of an object ("Blob", "ImageBitmap", …), empty for anything else. Unlike
/// `instanceof` it also knows objects of another frame, and classes that this scope does not have: there is
/// no `HTMLImageElement` in a worker.
pub fn tag(value: &JsValue) -> String {
    Reflect::get(value, &Symbol::to_string_tag()).ok().and_then(|tag| tag.as_string()).unwrap_or_default()
}

/// A property that is a whole number from 0 to 2³² − 1.
pub fn length(value: &JsValue, key: &str) -> Option<u32> {
    let number = property(value, key).as_f64()?;
    let whole = number as u32;
    (f64::from(whole) == number).then_some(whole)
}

/// Reads a JavaScript object; `undefined` is an empty one.
///
/// # Errors
/// `error`, where it is of another shape.
pub fn parse<T: Default + for<'a> Deserialize<'a>>(value: JsValue, error: fn(String) -> Error) -> Result<T> {
    if value.is_undefined() || value.is_null() {
        return Ok(T::default());
    }
    serde_wasm_bindgen::from_value(value).map_err(|e| error(e.to_string()))
}
