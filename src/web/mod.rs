//! The only folder that knows a browser.
//!
//! [`bindings`] and [`mask`] are what JavaScript sees; the rest brings bytes, pixels and devices to it.

mod bindings;
pub mod cache;
pub mod decode;
mod device;
mod endpoint;
pub mod error;
pub mod fetch;
pub mod js;
mod mask;
pub mod signal;

use wasm_bindgen::prelude::wasm_bindgen;

/// Runs once, when the module is instantiated.
#[wasm_bindgen(start)]
fn start() {
    // A panic and a shader that a driver refuses are only told here: to the console, where tests look for them.
    console_error_panic_hook::set_once();
    // A second logger is refused: it would be this one again.
    let _ = console_log::init_with_level(log::Level::Warn);
}
