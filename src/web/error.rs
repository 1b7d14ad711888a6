//! Errors across the border: ours become JavaScript `Error`s with a `code`, exceptions become text.

use wasm_bindgen::JsValue;

use super::js::property;
use crate::Error;

impl From<Error> for JsValue {
    /// A JavaScript `Error` whose `message` is the error's sentence and whose `code` is its
    /// [`code`](Error::code), with `endsDevice` where a GPU is of no further use.
    fn from(error: Error) -> Self {
        let exception = js_sys::Error::new(&error.to_string());
        // A fresh object takes any property.
        let _ = js_sys::Reflect::set(&exception, &"code".into(), &error.code().into());
        if error.ends_device() {
            let _ = js_sys::Reflect::set(&exception, &"endsDevice".into(), &true.into());
        }
        exception.into()
    }
}

/// What an exception says, as `Name: message` where it has both.
pub fn text(exception: &JsValue) -> String {
    let part = |key| property(exception, key).as_string().filter(|part| !part.is_empty());
    match (part("name"), part("message")) {
        (Some(name), Some(message)) => format!("{name}: {message}"),
        (Some(part), None) | (None, Some(part)) => part,
        (None, None) => exception.as_string().unwrap_or_else(|| format!("{exception:?}")),
    }
}

/// Whether an exception says that somebody aborted, be it through a signal of ours or of the caller's own.
pub fn is_abort(exception: &JsValue) -> bool {
    property(exception, "name") == "AbortError"
}
