//! Looking at JavaScript values without trusting them.

use js_sys::{Array, Function, Object, Reflect, Symbol};
use serde::Deserialize;
use wasm_bindgen::{JsCast, JsValue};

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

/// A typed array for a picture, all zeros, outside WebAssembly's memory, which never shrinks. js-sys's constructors panic
/// where there is no room.
///
/// # Errors
/// [`Error::OutOfMemory`]
pub fn pixels<T: JsCast>(class: &str, (width, height): (u32, u32), channels: u32) -> Result<T> {
    let class: Function = property(&js_sys::global(), class).unchecked_into();
    let made = Reflect::construct(&class, &Array::of1(&(width * height * channels).into()));
    made.map(T::unchecked_from_js).map_err(|_| Error::OutOfMemory(format!("no room for a picture of {width}×{height}")))
}

/// Reads a JavaScript object; `undefined` is an empty one.
///
/// # Errors
/// `error` with the name of the property that is of another type.
pub fn parse<T: Default + for<'a> Deserialize<'a>>(value: JsValue, error: fn(String) -> Error) -> Result<T> {
    if value.is_undefined() || value.is_null() {
        return Ok(T::default());
    }
    serde_wasm_bindgen::from_value::<T>(value.clone()).map_err(|whole| error(fault::<T>(&value, whole)))
}

/// What is wrong with an object. serde tells no place: the property that cannot be read alone is the one.
fn fault<T: Default + for<'a> Deserialize<'a>>(value: &JsValue, whole: serde_wasm_bindgen::Error) -> String {
    let told = |error| {
        let message: JsValue = serde_wasm_bindgen::Error::into(error);
        let message = property(&message, "message").as_string().unwrap_or_default();
        [("u8", "a whole number from 0 on"), ("u32", "a whole number from 0 on"), ("f32", "a number")]
            .iter()
            .fold(message, |message, (ours, theirs)| {
                message.replace(&format!("expected {ours}"), &format!("expected {theirs}"))
            })
    };
    if let Some(object) = value.dyn_ref::<Object>() {
        for entry in Object::entries(object) {
            let alone = Object::from_entries(&Array::of1(&entry)).map(JsValue::from);
            if let Ok(Err(error)) = alone.map(serde_wasm_bindgen::from_value::<T>) {
                let name = entry.unchecked_ref::<Array>().get(0).as_string().unwrap_or_default();
                return format!("{name}: {}", told(error));
            }
        }
    }
    told(whole)
}
