//! The browser's side of the tests.

use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The value of a JavaScript expression.
pub fn eval(expression: &str) -> JsValue {
    match js_sys::eval(&format!("({expression})")) {
        Ok(value) => value,
        Err(exception) => panic!("{expression}: {exception:?}"),
    }
}

/// The value of a JavaScript expression that is a promise.
pub async fn evaluate(expression: &str) -> JsValue {
    match JsFuture::from(eval(expression).unchecked_into::<Promise>()).await {
        Ok(value) => value,
        Err(exception) => panic!("{expression}: {exception:?}"),
    }
}
