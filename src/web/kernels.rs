//! How this GPU shall compute: chosen at the first load, kept for the next ones.

use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, CacheStorage, Response};

use super::device::Found;
use super::js::property;
use crate::model::ops::gpu::{tiles, tuning};
use crate::{Error, Result};

/// The browser's cache of what was measured.
const CACHE: &str = "tinysam-kernels";

/// Chooses the way to cut products. `asked` names one; else it is what was measured on such an adapter before, or is
/// measured now. `adapter` is all that the browser tells of it.
///
/// # Errors
/// `option_invalid` for a name that is none; as the device has them.
pub async fn choose(found: &Found, asked: Option<&str>, adapter: &str) -> Result<&'static str> {
    if let Some(name) = asked {
        if !tiles::choose(name) {
            let names = tiles::ALL.map(|tiles| tiles.name).join(", ");
            return Err(Error::OptionInvalid(format!("kernels must be one of {names}, not {name}")));
        }
        return Ok(tiles::chosen().name);
    }
    let kept = Kept::of(adapter).await;
    let before = match &kept {
        Some(kept) => kept.read().await,
        None => None,
    };
    let sure = before.is_some_and(|name| tiles::choose(&name));
    if !sure {
        tiles::choose(tiles::likely(adapter, found.software));
    }
    // A program on the CPU pays for barriers more than cutting could gain.
    if !sure && !found.software {
        let fastest = tuning::fastest(&found.device, now).await?;
        if let Some(kept) = &kept {
            kept.write(fastest).await;
        }
    }
    Ok(tiles::chosen().name)
}

/// Milliseconds.
fn now() -> f64 {
    let performance = property(&js_sys::global(), "performance");
    let now = property(&performance, "now").dyn_into::<js_sys::Function>();
    now.ok().and_then(|now| now.call0(&performance).ok()).and_then(|now| now.as_f64()).unwrap_or_default()
}

/// What was measured on an adapter by this version of the module. A convenience that may be absent: then it is measured
/// anew.
struct Kept {
    cache: Cache,
    key: String,
}

impl Kept {
    async fn of(adapter: &str) -> Option<Self> {
        // The getter itself throws in a sandboxed frame.
        let caches: CacheStorage = property(&js_sys::global(), "caches").dyn_into().ok()?;
        let cache = JsFuture::from(caches.open(CACHE)).await.ok()?.dyn_into().ok()?;
        // A name for the cache alone: nobody answers there.
        let adapter = js_sys::encode_uri_component(adapter);
        let key = format!("https://kernels.tinysam.invalid/{}?{adapter}", env!("CARGO_PKG_VERSION"));
        Some(Kept { cache, key })
    }

    async fn read(&self) -> Option<String> {
        let response: Response = JsFuture::from(self.cache.match_with_str(&self.key)).await.ok()?.dyn_into().ok()?;
        JsFuture::from(response.text().ok()?).await.ok()?.as_string()
    }

    async fn write(&self, name: &str) {
        if let Ok(response) = Response::new_with_opt_str(Some(name)) {
            let _ = JsFuture::from(self.cache.put_with_str(&self.key, &response)).await;
        }
    }
}
