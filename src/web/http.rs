//! Plain HTTP: requests, answers and streams of bytes, with advice where they fail.

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Headers, ReadableStream, ReadableStreamDefaultReader, Request, RequestCache, RequestInit, Response};

use super::error::{is_abort, text};
use super::js::{property, tag};
use super::signal::Signal;
use crate::{Error, Result};

/// What becomes of a sentence about a fetch that failed: [`Error::CheckpointUnreachable`] or
/// [`Error::ImageUnreachable`].
pub type Unreachable = fn(String) -> Error;

#[wasm_bindgen]
extern "C" {
    /// The scope's own `fetch`, a window's as well as a worker's.
    #[wasm_bindgen(catch, js_name = fetch)]
    fn global_fetch(request: &Request) -> std::result::Result<Promise, JsValue>;
}

/// What the browser's HTTP cache may answer.
#[derive(Clone, Copy)]
pub enum Answer<'a> {
    /// Whatever it may, as to an `<img>`.
    Kept,
    /// What its server says is current: an old copy would fail its hash for as long as it is kept.
    Current,
    /// Nothing: the server alone, under a condition of ours, beside which there must be none of the cache's own.
    If(&'a Headers),
}

/// A request.
///
/// # Errors
/// `unreachable` if the text is no address.
pub fn request(url: &str, answer: Answer<'_>, signal: &Signal, unreachable: Unreachable) -> Result<Request> {
    let init = RequestInit::new();
    match answer {
        Answer::Kept => {}
        Answer::Current => init.set_cache(RequestCache::NoCache),
        Answer::If(headers) => {
            init.set_cache(RequestCache::NoStore);
            init.set_headers(headers);
        }
    }
    init.set_signal(signal.raw());
    Request::new_with_str_and_init(url, &init)
        .map_err(|exception| unreachable(format!("{} is no address ({})", shown(url), text(&exception))))
}

/// Whether an absolute address is of this page's own server, which may be asked with any header. Another's browser
/// would have to ask first whether that header is welcome, and often it is not.
pub fn is_own(url: &str) -> bool {
    let origin = property(&property(&js_sys::global(), "location"), "origin").as_string();
    origin.is_some_and(|origin| url.strip_prefix(&origin).is_some_and(|path| path.starts_with('/')))
}

/// Sends a request.
///
/// # Errors
/// `unreachable` if there is no answer at all; [`Error::Aborted`].
pub async fn send(request: &Request, signal: &Signal, unreachable: Unreachable) -> Result<Response> {
    let answer = match global_fetch(request) {
        Ok(promise) => signal.race(JsFuture::from(promise)).await?,
        Err(exception) => Err(exception),
    };
    answer.map(JsCast::unchecked_into).map_err(|exception| {
        let url = request.url();
        let advice = match url.split_once(':') {
            Some(("blob", _)) => {
                "Was it revoked? Else the page's Content-Security-Policy forbids it: add blob: to its connect-src"
            }
            Some(("data", _)) => {
                "If it is whole, the page's Content-Security-Policy forbids it: add data: to its connect-src"
            }
            _ => {
                "Check the connection and the address; if both are right, its server does not let this page read it \
                 (CORS): it must send Access-Control-Allow-Origin, or serve the page too; or the page's own \
                 Content-Security-Policy forbids it (connect-src)"
            }
        };
        unreachable(format!("{} gave no answer ({}). {advice}", shown(&url), text(&exception)))
    })
}

/// Asks for what is at an address.
///
/// # Errors
/// `unreachable` if the text is no address, or if there is no answer at all; [`Error::Aborted`].
pub async fn get(url: &str, answer: Answer<'_>, signal: &Signal, unreachable: Unreachable) -> Result<Response> {
    send(&request(url, answer, signal, unreachable)?, signal, unreachable).await
}

/// The body of a good response; none if it is empty by nature.
///
/// # Errors
/// `unreachable` for another status, and for a body that was read before.
pub fn body(response: &Response, unreachable: Unreachable) -> Result<Option<ReadableStream>> {
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
pub fn content_length(response: &Response) -> Option<u64> {
    let header = |name| response.headers().get(name).ok().flatten();
    if header("content-encoding").is_some_and(|encoding| encoding != "identity") {
        return None;
    }
    header("content-length")?.parse().ok()
}

/// Reads to the end, unless `take` refuses a chunk. A stream that is left early is cancelled: it would
/// go on downloading.
///
/// # Errors
/// What `take` returns; `unreachable` if the stream breaks off or holds something other than bytes; [`Error::Aborted`].
pub async fn drain(
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

/// Lets go of a response that will not be read: it would go on downloading.
pub fn cancel(response: &Response) {
    if let Some(reader) = response.body().and_then(|body| ReadableStreamDefaultReader::new(&body).ok()) {
        drop(Reader(reader));
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
pub fn shown(url: &str) -> &str {
    match url.char_indices().nth(120) {
        Some((end, _)) => &url[..end],
        None => url,
    }
}
