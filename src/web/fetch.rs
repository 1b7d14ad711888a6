//! Bytes from wherever a page has them: an address, a file, a response, memory.

use std::cell::RefCell;

use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, AbortSignal, Blob, BlobPropertyBag, Request, Response};

use super::cache::{Store, Validators};
use super::digest::sha256;
use super::error::text;
use super::http::{Answer, body, cancel, content_length, drain, get, is_own, request, send, shown};
use super::js::{property, tag};
use super::signal::Signal;
use crate::checkpoint::{Format, limits};
use crate::{Error, Result};

/// The longest checkpoint that is read; TinySAM's has 41 MB.
pub const MAX_CHECKPOINT: u64 = limits::FILE as u64;
/// The longest encoded picture that is read: 100 megapixels without compression fit.
pub const MAX_PICTURE: u64 = 512 << 20;
/// The status of the answer to a condition that still holds.
const NOT_MODIFIED: u16 = 304;
/// How long a server may take to say whether what is kept is still current. pkg/src/mirrors.ts gives an address up after ten
/// seconds without a byte.
const PATIENCE_MS: u32 = 3000;
/// How long the host of a picture may say nothing, at first and between any two pieces. Some make the picture when they are
/// asked for it; but whoever says nothing for so long holds up every other call.
const SILENCE_MS: u32 = 30_000;
/// Progress is told at the start, at the end, and once for so many bytes in between.
const PROGRESS_STEP: u64 = 256 << 10;

/// How a checkpoint is to be loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The SHA-256 of the whole file in hex, checked on download and on each read from the cache.
    pub sha256: Option<String>,
    /// Whether downloads are kept in the browser's cache. With a hash what is kept is used without a request. Without
    /// one the server is asked whether the file at the address is still the same, by its `ETag` or `Last-Modified`;
    /// where it tells neither (a server of another origin has to expose its `ETag`), or does not answer, what is kept
    /// is used.
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
/// Streams straight into the returned vector. Only downloads from http(s)
/// addresses are cached. A cached entry that cannot be read, has another hash, or of which the server has another
/// version, is replaced; by a version that comes whole and is a checkpoint, else what is kept is used.
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
            bytes.finish().await
        }
        "Response" => {
            let response: Response = source.unchecked_into();
            read(&response, "download", wanted, progress, signal).await
        }
        "Uint8Array" => in_memory(source.unchecked_ref(), wanted, progress).await,
        "ArrayBuffer" => in_memory(&Uint8Array::new(&source), wanted, progress).await,
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
/// [`Error::ImageUnreachable`], also after half a minute without a byte; [`Error::ImageInvalid`] beyond [`MAX_PICTURE`],
/// [`Error::Aborted`].
pub async fn picture(url: &str, signal: &Signal) -> Result<Blob> {
    let patience = Patience::new(SILENCE_MS)?;
    let asked = Signal::new(Some(patience.signal()));
    match signal.race(encoded(url, &asked, &patience)).await {
        Ok(Err(Error::Aborted)) => {
            let seconds = SILENCE_MS / 1000;
            Err(Error::ImageUnreachable(format!("{} sent nothing for {seconds} seconds: try again later", shown(url))))
        }
        Ok(picture) => picture,
        Err(aborted) => {
            patience.end();
            Err(aborted)
        }
    }
}

async fn encoded(url: &str, signal: &Signal, patience: &Patience) -> Result<Blob> {
    // As an `<img>` would: the next prompt on a picture costs no round trip where its host allows it to be kept. But the
    // copy that an `<img>` has left may lack the permission to be read, with which it comes when it is asked for anew.
    let response = match get(url, Answer::Kept, signal, Error::ImageUnreachable).await {
        Err(Error::ImageUnreachable(_)) => get(url, Answer::Current, signal, Error::ImageUnreachable).await?,
        first => first?,
    };
    let body = body(&response, Error::ImageUnreachable)?;
    let chunks = js_sys::Array::new();
    let mut length = 0;
    if let Some(body) = body {
        patience.renew();
        drain(&body, signal, Error::ImageUnreachable, |chunk| {
            patience.renew();
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
    let absolute = request(url, Answer::Current, signal, Error::CheckpointUnreachable)?.url();
    let cacheable = cache && absolute.starts_with("http");
    let store = if cacheable { signal.race(Store::open()).await? } else { None };
    let mut newer = None;
    if let Some(store) = &store
        && let Some(kept) = signal.race(store.get(&absolute)).await?
    {
        let response = match wanted {
            None => another(&absolute, &Validators::of(&kept), signal).await?,
            Some(_) => None,
        };
        match response {
            Some(response) => newer = Some((response, kept)),
            None => match read(&kept, "verify", wanted, progress, signal).await {
                Err(error @ (Error::Aborted | Error::OutOfMemory(_))) => return Err(error),
                Err(_) => signal.race(store.remove(&absolute)).await?,
                whole => return whole,
            },
        }
    }
    let (mut bytes, response) = match newer {
        None => {
            let response = get(url, Answer::Current, signal, Error::CheckpointUnreachable).await?;
            (read(&response, "download", wanted, progress, signal).await?, response)
        }
        Some((response, kept)) => match read(&response, "download", wanted, progress, signal).await {
            Err(error @ (Error::Aborted | Error::OutOfMemory(_))) => return Err(error),
            Ok(bytes) if Format::of(&bytes).is_some() => (bytes, response),
            // A page that says something else, or half a file.
            other => {
                let why = other.err().map_or("it is no checkpoint".to_owned(), |error| error.to_string());
                log::warn!("{url} has another version, but {why}. The version that was kept is used");
                return read(&kept, "verify", wanted, progress, signal).await;
            }
        },
    };
    if let Some(store) = &store {
        signal.race(store.put(&absolute, &mut bytes, &Validators::of(&response))).await?;
    }
    Ok(bytes)
}

/// What the server has at an address, unread, if it is another version than the one that is kept; none also if it does
/// not say or does not answer.
async fn another(url: &str, kept: &Validators, signal: &Signal) -> Result<Option<Response>> {
    if kept.is_empty() {
        return Ok(None);
    }
    // To another's server it is a question like any other, whose answer is left unread if the version is the same.
    let condition = if is_own(url) { kept.condition() } else { None };
    let answer = condition.as_ref().map_or(Answer::Current, Answer::If);
    // The question is given up without the load.
    let patience = Patience::new(PATIENCE_MS)?;
    let asked = Signal::new(Some(patience.signal()));
    let request = request(url, answer, &asked, Error::CheckpointUnreachable)?;
    let answer = match signal.race(send(&request, &asked, Error::CheckpointUnreachable)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(Error::Aborted)) => {
            log::warn!("{url} gave no answer for {PATIENCE_MS} ms. The version that was kept is used");
            return Ok(None);
        }
        Ok(Err(error)) => {
            log::warn!("{error}. The version that was kept is used");
            return Ok(None);
        }
        Err(aborted) => {
            patience.end();
            return Err(aborted);
        }
    };
    let is_same = answer.status() == NOT_MODIFIED || kept.agree(&Validators::of(&answer));
    if answer.ok() && !is_same {
        return Ok(Some(answer));
    }
    if !is_same {
        log::warn!("{url} has HTTP status {}. The version that was kept is used", answer.status());
    }
    cancel(&answer);
    Ok(None)
}

/// Ends what its signal was given to when so many milliseconds pass without news. (`AbortSignal.timeout`, which cannot be
/// renewed, is in Chrome since 103.)
struct Patience {
    ms: u32,
    controller: AbortController,
    abort: Closure<dyn FnMut()>,
    timer: RefCell<JsValue>,
}

impl Patience {
    fn new(ms: u32) -> Result<Self> {
        let controller = AbortController::new().map_err(|exception| Error::Internal(text(&exception)))?;
        let ends = controller.clone();
        let abort = Closure::new(move || ends.abort());
        let patience = Self { ms, controller, abort, timer: RefCell::default() };
        patience.renew();
        Ok(patience)
    }

    fn signal(&self) -> AbortSignal {
        self.controller.signal()
    }

    fn renew(&self) {
        self.rest();
        // Without a timer the wait has no end, as without this.
        let timer = global("setTimeout").call2(&js_sys::global(), self.abort.as_ref(), &self.ms.into());
        self.timer.replace(timer.unwrap_or_default());
    }

    fn end(&self) {
        self.controller.abort();
    }

    fn rest(&self) {
        let _ = global("clearTimeout").call1(&js_sys::global(), &self.timer.borrow());
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        self.rest();
    }
}

fn global(name: &str) -> Function {
    property(&js_sys::global(), name).unchecked_into()
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
    bytes.finish().await
}

async fn in_memory(source: &Uint8Array, wanted: Option<&str>, progress: &dyn Fn(Progress)) -> Result<Vec<u8>> {
    let mut bytes = Gather::new("verify", Some(u64::from(source.length())), wanted, progress)?;
    bytes.push(source)?;
    bytes.finish().await
}

/// A checkpoint's bytes as they arrive.
struct Gather<'a> {
    bytes: Vec<u8>,
    wanted: Option<&'a str>,
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
        let mut gather = Self { bytes: Vec::new(), wanted, phase, total, told: 0, progress };
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
        chunk.copy_to(&mut self.bytes[start..]);
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

    async fn finish(mut self) -> Result<Vec<u8>> {
        if let Some(wanted) = self.wanted {
            let actual = sha256(&self.bytes).await;
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
