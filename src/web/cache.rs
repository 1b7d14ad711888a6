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
pub const NAME: &str = "tinysam-weights-2";
/// What the names of all versions begin with.
const FAMILY: &str = "tinysam-weights-";
const ETAG: &str = "etag";
const LAST_MODIFIED: &str = "last-modified";
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

    /// Keeps a whole, verified download of this version; drops the caches of other versions of this crate and what is
    /// beyond the capacity. `bytes` is mutable for web-sys alone: it is only read.
    pub async fn put(&self, url: &str, bytes: &mut [u8], version: &Validators) {
        self.drop_other_versions().await;
        if let Ok(response) = entry(bytes, version) {
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

/// By what a server tells two versions of a file apart, as far as it lets this page see it.
#[derive(Debug, Clone)]
pub struct Validators {
    etag: Option<String>,
    modified: Option<String>,
}

impl Validators {
    /// Of a server's answer, or of what was kept of one.
    pub fn of(response: &Response) -> Self {
        let header = |name| response.headers().get(name).ok().flatten();
        // A weak tag says as much here: the bytes of a file are what it means.
        let etag = header(ETAG).map(|tag| tag.strip_prefix("W/").unwrap_or(&tag).to_owned());
        Self { etag, modified: header(LAST_MODIFIED) }
    }

    /// Whether there is nothing to tell two versions apart by.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.modified.is_none()
    }

    /// The headers of a request for any other version.
    pub fn condition(&self) -> Option<Headers> {
        let headers = Headers::new().ok()?;
        match (&self.etag, &self.modified) {
            (Some(tag), _) => headers.set("if-none-match", tag).ok()?,
            (None, Some(date)) => headers.set("if-modified-since", date).ok()?,
            (None, None) => return None,
        }
        Some(headers)
    }

    /// Whether both are known to be of one version: by the tags, where both have one, else by the dates.
    pub fn agree(&self, other: &Self) -> bool {
        match (&self.etag, &other.etag) {
            (Some(a), Some(b)) => a == b,
            _ => self.modified.is_some() && self.modified == other.modified,
        }
    }
}

fn entry(bytes: &mut [u8], version: &Validators) -> Result<Response, JsValue> {
    let headers = Headers::new()?;
    headers.set("content-type", "application/octet-stream")?;
    headers.set("content-length", &bytes.len().to_string())?;
    if let Some(tag) = &version.etag {
        headers.set(ETAG, tag)?;
    }
    if let Some(date) = &version.modified {
        headers.set(LAST_MODIFIED, date)?;
    }
    let init = ResponseInit::new();
    init.set_headers(&headers);
    Response::new_with_opt_u8_array_and_init(Some(bytes), &init)
}

/// The promise's value, or nothing if it was rejected.
async fn settled(promise: Promise) -> Option<JsValue> {
    JsFuture::from(promise).await.ok()
}
