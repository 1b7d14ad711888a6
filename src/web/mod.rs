//! The only folder that knows a browser.
//!
//! [`bindings`] and [`mask`] are what JavaScript sees; the rest brings bytes, pixels and devices to it.

mod bindings;
pub mod cache;
mod canvas;
#[cfg(not(feature = "webgpu"))]
mod crew;
pub mod decode;
mod device;
mod digest;
mod encoded;
mod endpoint;
pub mod error;
pub mod fetch;
mod header;
mod http;
pub mod js;
#[cfg(feature = "webgpu")]
mod kernels;
mod mask;
mod prompts;
#[cfg(not(feature = "webgpu"))]
pub mod relaxed;
mod rows;
pub mod signal;

use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(feature = "webgpu")]
unsafe extern "C" {
    /// Made by the linker: runs what is registered with `inventory`, thousands of operations of cubecl's compiler among it.
    /// While nobody calls it, the linker has every export call it first, `malloc` and the like included: 0.25 ms each time.
    fn __wasm_call_ctors();
}

/// Runs once, when the module is instantiated.
#[wasm_bindgen(start)]
fn start() {
    #[cfg(feature = "webgpu")]
    // SAFETY: it takes and returns nothing, and is called here alone: once, before anything else of this module runs.
    unsafe {
        __wasm_call_ctors();
    }
    // A panic and a shader that a driver refuses are only told here: to the console, where tests look for them.
    console_error_panic_hook::set_once();
    // A second logger is refused: it would be this one again.
    let _ = console_log::init_with_level(log::Level::Warn);
}
