//! `src/web` in a browser's worker, where it runs for users. What needs a page is in `web_page.rs`.
#![cfg(target_family = "wasm")]

mod cache;
mod js;
mod pictures;
mod products;
mod weights;

use tinysam::web::signal::Signal;
use wasm_bindgen::JsCast;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// A signal that aborts after so many milliseconds.
pub fn aborting_after(milliseconds: u32) -> Signal {
    let expression = format!(
        "(() => {{ const c = new AbortController(); setTimeout(() => c.abort(), {milliseconds}); return c.signal }})()"
    );
    Signal::new(Some(js::eval(&expression).unchecked_into()))
}
