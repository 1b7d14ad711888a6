//! Bytes from wherever a page has them: an address, a file, a response, memory.

use js_sys::{Promise, Uint8Array};
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Blob, BlobPropertyBag, ReadableStream, ReadableStreamDefaultReader, Request, RequestCache, RequestInit, Response,
};

use super::cache::Store;
use super::error::{is_abort, text};
use super::js::{property, tag};
use super::signal::Signal;
use crate::{Error, Result};

/// The longest checkpoint that is read; TinySAM's has 41 MB.
pub const MAX_CHECKPOINT: u64 = 256 << 20;
/// The longest encoded picture that is read: 100 megapixels without compression fit.
pub const MAX_PICTURE: u64 = 512 << 20;
/// Progress is told at the start, at the end, and once for so many bytes in between.
const PROGRESS_STEP: u64 = 256 << 10;

/// How a checkpoint is to be loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The SHA-256 of the whole file in hex, checked on download and on each read from the cache.
    pub sha256: Option<String>,
    /// Whether downloads are kept in the browser's cache. Without a hash, an address is taken to mean the
    /// same bytes for ever: serve another checkpoint under another address, or turn this off.
    pub cache: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { sha256: None, cache: true }
    }
}

/// How far loading is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// `download` for bytes that come from elsewhere (an address, a `Response`), `verify` for bytes that
    /// are on this machine already (cache, file, memory).
    pub phase: &'static str,
    /// Bytes so far.
    pub loaded: u64,
    /// Bytes in all, where that is known.
    pub total: Option<u64>,
}

/// A checkpoint's bytes from a URL, a `Blob` or `File`, a `Response`, a `Uint8Array` or an `ArrayBuffer`.
///
/// Streams straight into the returned vector; the hash is computed on the way. Only downloads from http(s)
/// addresses are cached. A cached entry that cannot be read or has another hash is replaced.
///
/// # Errors
/// [`Error::CheckpointUnreachable`] (network, CORS, HTTP status), [`Error::CheckpointHash`],
/// [`Error::CheckpointInvalid`] beyond [`MAX_CHECKPOINT`], [`Error::OptionInvalid`] for another kind of
/// source or a hash that is none, [`Error::OutOfMemory`], [`Error::Aborted`].
pub async fn weights(
    source: JsValue,
    options: &Options,
    progress: &dyn Fn(Progress),
    signal: &Signal,
) -> Result<Vec<u8>> {
    let wanted = options.sha256.as_deref().map(checked_hash).transpose()?;
    let wanted = wanted.as_deref();
    signal.check()?;
    if let Some(url) = source.as_string() {
        return download(&url, wanted, options.cache, progress, signal).await;
    }
    match tag(&source).as_str() {
        "Blob" | "File" => {
            let blob: Blob = source.unchecked_into();
            let mut bytes = Gather::new("verify", Some(blob.size() as u64), wanted, progress)?;
            drain(&blob.stream(), signal, Error::CheckpointUnreachable, |chunk| bytes.push(chunk)).await?;
            bytes.finish()
        }
        "Response" => {
            let response: Response = source.unchecked_into();
            read(&response, "download", wanted, progress, signal).await
        }
        "Uint8Array" => in_memory(source.unchecked_ref(), wanted, progress),
        "ArrayBuffer" => in_memory(&Uint8Array::new(&source), wanted, progress),
        _ => Err(Error::OptionInvalid(
            "weights must be a URL, a File, a Blob, a Response, a Uint8Array or an ArrayBuffer".into(),
        )),
    }
}

/// Forgets the download of this address, if it is cached: for when its bytes turn out to be no checkpoint.
pub async fn forget(url: &str) {
    if let (Ok(request), Some(store)) = (Request::new_with_str(url), Store::open().await) {
        store.remove(&request.url()).await;
    }
}

/// An encoded picture at an address, outside wasm's memory (which never shrinks).
///
/// # Errors
/// [`Error::ImageUnreachable`], [`Error::ImageInvalid`] beyond [`MAX_PICTURE`], [`Error::Aborted`].
pub async fn picture(url: &str, signal: &Signal) -> Result<Blob> {
    let response = get(url, signal, Error::ImageUnreachable).await?;
    let body = body(&response, Error::ImageUnreachable)?;
    let chunks = js_sys::Array::new();
    let mut length = 0;
    if let Some(body) = body {
        drain(&body, signal, Error::ImageUnreachable, |chunk| {
            length += u64::from(chunk.length());
            if length > MAX_PICTURE {
                return Err(picture_too_long());
            }
            chunks.push(chunk);
            Ok(())
        })
        .await?;
    }
    let kind = BlobPropertyBag::new();
    if let Ok(Some(declared)) = response.headers().get("content-type")
        && declared.starts_with("image/")
    {
        kind.set_type(&declared);
    }
    Blob::new_with_u8_array_sequence_and_options(&chunks, &kind)
        .map_err(|exception| Error::OutOfMemory(text(&exception)))
}

/// The error for an encoded picture beyond [`MAX_PICTURE`].
pub fn picture_too_long() -> Error {
    Error::ImageInvalid(format!("the file is over {} MiB: compress it", MAX_PICTURE >> 20))
}

async fn download(
    url: &str,
    wanted: Option<&str>,
    cache: bool,
    progress: &dyn Fn(Progress),
    signal: &Signal,
) -> Result<Vec<u8>> {
    let absolute = request(url, signal, Error::CheckpointUnreachable)?.url();
    let cacheable = cache && absolute.starts_with("http");
    let store = if cacheable { signal.race(Store::open()).await? } else { None };
    if let Some(store) = &store
        && let Some(kept) = signal.race(store.get(&absolute)).await?
    {
        match read(&kept, "verify", wanted, progress, signal).await {
            Err(error @ (Error::Aborted | Error::OutOfMemory(_))) => return Err(error),
            Err(_) => signal.race(store.remove(&absolute)).await?,
            whole => return whole,
        }
    }
    let response = get(url, signal, Error::CheckpointUnreachable).await?;
    let mut bytes = read(&response, "download", wanted, progress, signal).await?;
    if let Some(store) = &store {
        signal.race(store.put(&absolute, &mut bytes)).await?;
    }
    Ok(bytes)
}

async fn read(
    response: &Response,
    phase: &'static str,
    wanted: Option<&str>,
    progress: &dyn Fn(Progress),
    signal: &Signal,
) -> Result<Vec<u8>> {
    let body = body(response, Error::CheckpointUnreachable)?;
    let mut bytes = Gather::new(phase, content_length(response), wanted, progress)?;
    if let Some(body) = body {
        drain(&body, signal, Error::CheckpointUnreachable, |chunk| bytes.push(chunk)).await?;
    }
    bytes.finish()
}

fn in_memory(source: &Uint8Array, wanted: Option<&str>, progress: &dyn Fn(Progress)) -> Result<Vec<u8>> {
    let mut bytes = Gather::new("verify", Some(u64::from(source.length())), wanted, progress)?;
    bytes.push(source)?;
    bytes.finish()
}

/// A checkpoint's bytes as they arrive.
struct Gather<'a> {
    bytes: Vec<u8>,
    hash: Option<(Sha256, &'a str)>,
    phase: &'static str,
    total: Option<u64>,
    told: u64,
    progress: &'a dyn Fn(Progress),
}

impl<'a> Gather<'a> {
    fn new(
        phase: &'static str,
        total: Option<u64>,
        wanted: Option<&'a str>,
        progress: &'a dyn Fn(Progress),
    ) -> Result<Self> {
        let hash = wanted.map(|wanted| (Sha256::new(), wanted));
        let mut gather = Self { bytes: Vec::new(), hash, phase, total, told: 0, progress };
        if let Some(total) = total {
            gather.make_room(total)?;
        }
        gather.tell();
        Ok(gather)
    }

    /// For `length` bytes in all.
    fn make_room(&mut self, length: u64) -> Result<()> {
        if length > MAX_CHECKPOINT {
            return Err(Error::CheckpointInvalid(format!(
                "it is over {} MiB, which no TinySAM checkpoint is: check where it comes from",
                MAX_CHECKPOINT >> 20
            )));
        }
        let more = length as usize - self.bytes.len();
        let reserved = match self.total {
            Some(total) if total == length => self.bytes.try_reserve_exact(more),
            _ => self.bytes.try_reserve(more),
        };
        reserved.map_err(|_| Error::OutOfMemory(format!("no room for a checkpoint of {length} bytes")))
    }

    fn push(&mut self, chunk: &Uint8Array) -> Result<()> {
        let start = self.bytes.len();
        let end = start as u64 + u64::from(chunk.length());
        self.make_room(end)?;
        self.bytes.resize(end as usize, 0);
        let target = &mut self.bytes[start..];
        chunk.copy_to(target);
        if let Some((hash, _)) = &mut self.hash {
            hash.update(target);
        }
        if end - self.told >= PROGRESS_STEP {
            self.tell();
        }
        Ok(())
    }

    fn tell(&mut self) {
        let loaded = self.bytes.len() as u64;
        // A length that proved too short was one before decompression: its header is hidden by CORS.
        self.total = self.total.filter(|total| *total >= loaded);
        self.told = loaded;
        (self.progress)(Progress { phase: self.phase, loaded, total: self.total });
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        if let Some((hash, wanted)) = self.hash.take() {
            let actual = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            if actual != wanted {
                return Err(Error::CheckpointHash { expected: wanted.into(), actual });
            }
        }
        self.total = Some(self.bytes.len() as u64);
        self.tell();
        Ok(self.bytes)
    }
}

fn checked_hash(hash: &str) -> Result<String> {
    if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(hash.to_ascii_lowercase());
    }
    Err(Error::OptionInvalid("sha256 must be 64 hexadecimal digits".into()))
}

/// What becomes of a sentence about a fetch that failed: [`Error::CheckpointUnreachable`] or
/// [`Error::ImageUnreachable`].
type Unreachable = fn(String) -> Error;

#[wasm_bindgen]
extern "C" {
    /// The scope's own `fetch`, a window's as well as a worker's.
    #[wasm_bindgen(catch, js_name = fetch)]
    fn global_fetch(request: &Request) -> std::result::Result<Promise, JsValue>;
}

fn request(url: &str, signal: &Signal, unreachable: Unreachable) -> Result<Request> {
    let init = RequestInit::new();
    // Ask whether the HTTP cache is current: an old copy would fail its hash for as long as it is kept.
    init.set_cache(RequestCache::NoCache);
    init.set_signal(signal.raw());
    Request::new_with_str_and_init(url, &init)
        .map_err(|exception| unreachable(format!("{} is no address ({})", shown(url), text(&exception))))
}

async fn get(url: &str, signal: &Signal, unreachable: Unreachable) -> Result<Response> {
    let request = request(url, signal, unreachable)?;
    let answer = match global_fetch(&request) {
        Ok(promise) => signal.race(JsFuture::from(promise)).await?,
        Err(exception) => Err(exception),
    };
    answer.map(JsCast::unchecked_into).map_err(|exception| {
        unreachable(format!(
            "{} gave no answer ({}). Check the connection and the address; if both are right, its server does \
             not let this page read it (CORS): it must send Access-Control-Allow-Origin, or serve the page too",
            shown(url),
            text(&exception)
        ))
    })
}

/// The body of a good response; none if it is empty by nature.
fn body(response: &Response, unreachable: Unreachable) -> Result<Option<ReadableStream>> {
    let url = response.url();
    let who = if url.is_empty() { "the response" } else { shown(&url) };
    let status = response.status();
    if !response.ok() {
        let advice = match status {
            0 => "the browser hides it from this page (CORS): fetch it without mode \"no-cors\"",
            401 | 403 => "access is refused: check the rights on it, or sign the address",
            404 | 410 => "there is nothing at this address: check it",
            408 | 429 | 500..=599 => "the server is busy or broken: try again later",
            _ => "open the address in a tab to see what it says",
        };
        return Err(unreachable(format!("{who} has HTTP status {status}; {advice}")));
    }
    if response.body_used() || response.body().is_some_and(|body| body.locked()) {
        return Err(unreachable(format!("{who} was read before: pass a fresh one, or a clone()")));
    }
    Ok(response.body())
}

/// `Content-Length`, where it counts the bytes that will be read.
fn content_length(response: &Response) -> Option<u64> {
    let header = |name| response.headers().get(name).ok().flatten();
    if header("content-encoding").is_some_and(|encoding| encoding != "identity") {
        return None;
    }
    header("content-length")?.parse().ok()
}

/// Reads to the end, unless `take` refuses a chunk. A stream that is left early is cancelled: it would
/// go on downloading.
async fn drain(
    stream: &ReadableStream,
    signal: &Signal,
    unreachable: Unreachable,
    mut take: impl FnMut(&Uint8Array) -> Result<()>,
) -> Result<()> {
    let failed = |exception: JsValue| match is_abort(&exception) {
        true => Error::Aborted,
        false => unreachable(format!("the bytes stopped coming ({}): try again", text(&exception))),
    };
    let reader = Reader(ReadableStreamDefaultReader::new(stream).map_err(failed)?);
    loop {
        let part = signal.race(JsFuture::from(reader.0.read())).await?.map_err(failed)?;
        if property(&part, "done").is_truthy() {
            return Ok(());
        }
        let chunk = property(&part, "value");
        if tag(&chunk) != "Uint8Array" {
            return Err(unreachable("the stream holds something other than bytes (Uint8Array)".into()));
        }
        take(chunk.unchecked_ref())?;
    }
}

struct Reader(ReadableStreamDefaultReader);

impl Drop for Reader {
    fn drop(&mut self) {
        let cancelled = JsFuture::from(self.0.cancel());
        // A broken stream rejects it, and an unheard rejection would be an error on the console.
        spawn_local(async { drop(cancelled.await) });
    }
}

/// An address for a message: a `data:` one is long.
fn shown(url: &str) -> &str {
    match url.char_indices().nth(120) {
        Some((end, _)) => &url[..end],
        None => url,
    }
}
