//! SHA-256 as the browser computes it.

use js_sys::Uint8Array;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::SubtleCrypto;

use super::js::property;
use crate::checkpoint::{hex, sha256_hex};

/// SHA-256 in lower-case hex. In WebAssembly that of TinySAM's 41 MB takes 0.7 s, a third of a whole load; a browser has the
/// processor's own instructions for it. But it lends them to secure contexts alone, and a page of `http:` does without.
pub async fn sha256(bytes: &[u8]) -> String {
    match by_browser(bytes).await {
        Some(digest) => hex(&digest),
        None => sha256_hex(bytes),
    }
}

async fn by_browser(bytes: &[u8]) -> Option<Vec<u8>> {
    let subtle: SubtleCrypto = property(&property(&js_sys::global(), "crypto"), "subtle").dyn_into().ok()?;
    // Copied before this returns: what becomes of the module's memory meanwhile makes no difference.
    let digest = subtle.digest_with_str_and_u8_array("SHA-256", bytes).ok()?;
    Some(Uint8Array::new(&JsFuture::from(digest).await.ok()?).to_vec())
}
