//! Downloaded checkpoints, kept by the browser's Cache API.
//!
//! A convenience that may be absent (pages without HTTPS, some private windows, Node) or full: then
//! everything works as without it, so nothing here fails. An entry is written in one piece, after its
//! download was verified; the API itself never shows a half-written one.

use js_sys::{Array, Promise};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, CacheStorage, Headers, Response, ResponseInit};

use super::js::property;

/// The cache of this version. A change of what an entry means takes a new number.
pub const NAME: &str = "tinysam-weights-1";
/// What the names of all versions begin with.
const FAMILY: &str = "tinysam-weights-";
/// The most checkpoints kept; the one written first goes first.
const CAPACITY: u32 = 4;

/// The open cache.
pub struct Store {
    caches: CacheStorage,
    cache: Cache,
}

impl Store {
    /// Opens the cache, if there is one.
    pub async fn open() -> Option<Self> {
        // The getter itself throws in a sandboxed frame.
        let caches = property(&js_sys::global(), "caches");
        if caches.is_undefined() {
            return None;
        }
        let caches: CacheStorage = caches.unchecked_into();
        let cache = settled(caches.open(NAME)).await?.unchecked_into();
        Some(Self { caches, cache })
    }

    /// What was kept of this absolute URL.
    pub async fn get(&self, url: &str) -> Option<Response> {
        settled(self.cache.match_with_str(url)).await?.dyn_into().ok()
    }

    /// Keeps a whole, verified download; drops the caches of other versions and what is beyond the capacity.
    /// `bytes` is mutable for web-sys alone: it is only read.
    pub async fn put(&self, url: &str, bytes: &mut [u8]) {
        self.drop_other_versions().await;
        if let Ok(response) = entry(bytes) {
            settled(self.cache.put_with_str(url, &response)).await;
            self.drop_oldest().await;
        }
    }

    /// Forgets this absolute URL.
    pub async fn remove(&self, url: &str) {
        settled(self.cache.delete_with_str(url)).await;
    }

    async fn drop_other_versions(&self) {
        let Some(names) = settled(self.caches.keys()).await else {
            return;
        };
        for name in Array::from(&names).iter().filter_map(|name| name.as_string()) {
            if name.starts_with(FAMILY) && name != NAME {
                settled(self.caches.delete(&name)).await;
            }
        }
    }

    async fn drop_oldest(&self) {
        let Some(requests) = settled(self.cache.keys()).await else {
            return;
        };
        let requests = Array::from(&requests);
        // In the order in which they were written.
        for request in requests.iter().take(requests.length().saturating_sub(CAPACITY) as usize) {
            settled(self.cache.delete_with_request(request.unchecked_ref())).await;
        }
    }
}

fn entry(bytes: &mut [u8]) -> Result<Response, JsValue> {
    let headers = Headers::new()?;
    headers.set("content-type", "application/octet-stream")?;
    headers.set("content-length", &bytes.len().to_string())?;
    let init = ResponseInit::new();
    init.set_headers(&headers);
    Response::new_with_opt_u8_array_and_init(Some(bytes), &init)
}

/// The promise's value, or nothing if it was rejected.
async fn settled(promise: Promise) -> Option<JsValue> {
    JsFuture::from(promise).await.ok()
}
