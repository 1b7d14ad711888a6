use std::cell::RefCell;

use sha2::{Digest, Sha256};
use tinysam::Error;
use tinysam::web::fetch::{MAX_CHECKPOINT, Options, Progress, weights};
use tinysam::web::signal::Signal;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::aborting_after;
use crate::js::eval;

/// Of the bytes 1, 2, 3.
pub const HASH: &str = "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81";

pub fn with_hash(hash: &str) -> Options {
    Options { sha256: Some(hash.into()), ..Options::default() }
}

async fn load(source: JsValue) -> Result<Vec<u8>, Error> {
    weights(source, &Options::default(), &|_| (), &Signal::default()).await
}

async fn watched(source: JsValue) -> (Result<Vec<u8>, Error>, Vec<Progress>) {
    let seen = RefCell::new(Vec::new());
    let tell = |progress| seen.borrow_mut().push(progress);
    let bytes = weights(source, &Options::default(), &tell, &Signal::default()).await;
    (bytes, seen.into_inner())
}

fn at(phase: &'static str, loaded: u64, total: Option<u64>) -> Progress {
    Progress { phase, loaded, total }
}

#[wasm_bindgen_test]
async fn memory_is_a_source() {
    for source in [
        "new Uint8Array([1, 2, 3])",
        "new Uint8Array([1, 2, 3]).buffer",
        "new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 4)",
        "new Blob([new Uint8Array([1, 2, 3])])",
        "new File([new Uint8Array([1, 2, 3])], 'tinysam.pth')",
    ] {
        let (bytes, seen) = watched(eval(source)).await;
        assert_eq!(bytes, Ok(vec![1, 2, 3]), "{source}");
        assert_eq!(seen, [at("verify", 0, Some(3)), at("verify", 3, Some(3))], "{source}");
    }
    assert_eq!(load(eval("new Blob([])")).await, Ok(vec![]));
}

#[wasm_bindgen_test]
async fn addresses_are_a_source() {
    assert_eq!(load("data:application/octet-stream;base64,AQID".into()).await, Ok(vec![1, 2, 3]));
    let url = eval("URL.createObjectURL(new Blob([new Uint8Array([1, 2, 3])]))");
    assert_eq!(load(url).await, Ok(vec![1, 2, 3]));
}

#[wasm_bindgen_test]
async fn a_response_streams_with_progress() {
    const STREAM: &str = "new Response(new ReadableStream({
        start(c) { for (let i = 0; i < 10; i++) c.enqueue(new Uint8Array(200000).fill(i)); c.close() }
    }), { headers: HEADERS })";
    let (bytes, seen) = watched(eval(&STREAM.replace("HEADERS", "{ 'content-length': '2000000' }"))).await;
    let expected: Vec<u8> = (0..10).flat_map(|i| vec![i; 200_000]).collect();
    assert!(bytes.as_ref() == Ok(&expected));
    assert_eq!(seen.first(), Some(&at("download", 0, Some(2_000_000))));
    assert_eq!(seen.last(), Some(&at("download", 2_000_000, Some(2_000_000))));
    assert_eq!(seen.len(), 7, "every 256 KiB at the most: {seen:?}");
    assert!(seen.is_sorted_by_key(|progress| progress.loaded));

    // Lengths that do not count the bytes read: none, one before decompression, seen or hidden.
    for (headers, first) in [
        ("{}", None),
        ("{ 'content-length': '9000', 'content-encoding': 'gzip' }", None),
        ("{ 'content-length': '9000' }", Some(9000)),
    ] {
        let (bytes, seen) = watched(eval(&STREAM.replace("HEADERS", headers))).await;
        assert!(bytes.as_ref() == Ok(&expected));
        assert_eq!(seen.first(), Some(&at("download", 0, first)));
        assert_eq!(seen[1].total, None, "{headers}");
        assert_eq!(seen.last(), Some(&at("download", 2_000_000, Some(2_000_000))));
    }
}

#[wasm_bindgen_test]
async fn the_hash_is_checked() {
    let load = |source: &str, hash: &str| {
        let (source, options) = (eval(source), with_hash(hash));
        async move { weights(source, &options, &|_| (), &Signal::default()).await }
    };
    for source in ["new Uint8Array([1, 2, 3])", "new Blob([new Uint8Array([1, 2, 3])])"] {
        assert_eq!(load(source, HASH).await, Ok(vec![1, 2, 3]));
        assert_eq!(load(source, &HASH.to_uppercase()).await, Ok(vec![1, 2, 3]));
    }
    let other = "0".repeat(64);
    let actual = Sha256::digest([1, 2, 4]).iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = Error::CheckpointHash { expected: other.clone(), actual };
    assert_eq!(load("new Response(new Uint8Array([1, 2, 4]))", &other).await, Err(expected));
    for bad in ["", "abc", &"g".repeat(64), &"é".repeat(32)] {
        assert_eq!(load("new Uint8Array(3)", bad).await.unwrap_err().code(), "option_invalid");
    }
}

#[wasm_bindgen_test]
async fn the_hash_is_checked_where_the_browser_computes_none() {
    for digest in ["undefined", "() => { throw 1 }", "async () => { throw 1 }"] {
        let subtle = match digest {
            "undefined" => "undefined".into(),
            digest => format!("Object.assign(Object.create(SubtleCrypto.prototype), {{ digest: {digest} }})"),
        };
        eval(&format!("Object.defineProperty(crypto, 'subtle', {{ value: {subtle}, configurable: true }})"));
        let source = || eval("new Uint8Array([1, 2, 3])");
        let right = weights(source(), &with_hash(HASH), &|_| (), &Signal::default()).await;
        let wrong = weights(source(), &with_hash(&"0".repeat(64)), &|_| (), &Signal::default()).await;
        eval("delete crypto.subtle");
        assert_eq!(right, Ok(vec![1, 2, 3]), "{digest}");
        assert_eq!(wrong, Err(Error::CheckpointHash { expected: "0".repeat(64), actual: HASH.into() }), "{digest}");
    }
}

#[wasm_bindgen_test]
async fn other_sources_are_refused() {
    for source in ["undefined", "null", "3", "{}", "[1, 2, 3]", "new Float32Array(3)", "new URL('http://a.b')"] {
        assert_eq!(load(eval(source)).await.unwrap_err().code(), "option_invalid", "{source}");
    }
}

#[wasm_bindgen_test]
async fn http_errors_say_what_to_do() {
    for (status, advice) in [(401, "refused"), (403, "refused"), (404, "nothing at"), (503, "later"), (418, "tab")] {
        let error = load(eval(&format!("new Response('', {{ status: {status} }})"))).await.unwrap_err();
        assert_eq!(error.code(), "checkpoint_unreachable");
        let message = error.to_string();
        assert!(message.contains(&status.to_string()) && message.contains(advice), "{message}");
    }
    let real = load(eval("location.origin + '/there-is-no-such-file.pth'")).await.unwrap_err().to_string();
    assert!(real.contains("404") && real.contains("there-is-no-such-file.pth"), "{real}");
}

#[wasm_bindgen_test]
async fn network_errors_name_cors() {
    // No server; this server by its other name, which sends no CORS headers; what "no-cors" gives.
    let sources = [
        "'http://127.0.0.1:9/tinysam.pth'",
        "location.origin.replace(/127.0.0.1|localhost/, (at) => at == 'localhost' ? '127.0.0.1' : 'localhost') + '/'",
        "Response.error()",
    ];
    for source in sources {
        let error = load(eval(source)).await.unwrap_err();
        assert_eq!(error.code(), "checkpoint_unreachable", "{source}");
        assert!(error.to_string().contains("CORS"), "{error}");
    }
    assert_eq!(load("http://".into()).await.unwrap_err().code(), "checkpoint_unreachable");
}

#[wasm_bindgen_test]
async fn broken_streams_are_errors() {
    for (source, says) in [
        ("new Response(new ReadableStream({ start(c) { c.enqueue('text') } }))", "Uint8Array"),
        ("new Response(new ReadableStream({ start(c) { c.error(new Error('cut off')) } }))", "cut off"),
        ("(() => { const r = new Response('abc'); r.text(); return r })()", "read before"),
        ("(() => { const r = new Response('abc'); r.body.getReader(); return r })()", "read before"),
    ] {
        let error = load(eval(source)).await.unwrap_err();
        assert_eq!(error.code(), "checkpoint_unreachable", "{source}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// A response without end in chunks of 16 MiB; what happened to it is in `globalThis.endless`.
const ENDLESS: &str = "(() => {
    const endless = globalThis.endless = { chunks: 0, cancelled: false };
    return new Response(new ReadableStream({
        pull(c) { endless.chunks++; c.enqueue(new Uint8Array(CHUNK)); if (!MORE) return new Promise(() => {}) },
        cancel() { endless.cancelled = true }
    }, { highWaterMark: 0 }))
})()";

fn endless(chunk: u32, more: bool) -> JsValue {
    eval(&ENDLESS.replace("CHUNK", &chunk.to_string()).replace("MORE", &more.to_string()))
}

#[wasm_bindgen_test]
async fn too_long_a_stream_is_refused_while_it_comes() {
    let error = load(endless(16 << 20, true)).await.unwrap_err();
    assert_eq!(error.code(), "checkpoint_invalid");
    assert_eq!(eval("endless.chunks"), 17);
    assert_eq!(eval("endless.cancelled"), true);

    // Of a stated length, not a byte is read; a file's is known.
    let stated = format!(
        "new Response(new ReadableStream({{}}), {{ headers: {{ 'content-length': '{}' }} }})",
        MAX_CHECKPOINT + 1
    );
    assert_eq!(load(eval(&stated)).await.unwrap_err().code(), "checkpoint_invalid");
    let file = "new Blob(Array(17).fill(new Blob([new Uint8Array(16 << 20)])))";
    assert_eq!(load(eval(file)).await.unwrap_err().code(), "checkpoint_invalid");
}

#[wasm_bindgen_test]
async fn an_abort_is_heard_at_any_moment() {
    let load = |source, signal| async move { weights(source, &Options::default(), &|_| (), &signal).await };
    // Before the start.
    let aborted = Signal::new(Some(web_sys::AbortSignal::abort()));
    assert_eq!(load(eval("new Uint8Array(3)"), aborted).await, Err(Error::Aborted));
    // While no byte comes.
    assert_eq!(load(endless(1000, false), aborting_after(20)).await, Err(Error::Aborted));
    assert_eq!(eval("endless.cancelled"), true);
    assert_eq!(eval("endless.chunks"), 1);
    // By a signal that the response itself had.
    let theirs = "new Response(new ReadableStream({ start(c) { c.error(new DOMException('', 'AbortError')) } }))";
    assert_eq!(load(eval(theirs), Signal::default()).await, Err(Error::Aborted));
    // While the server is silent.
    eval("globalThis.trueFetch = fetch, globalThis.fetch = () => new Promise(() => {})");
    let outcome = load("https://weights.example/silent.pth".into(), aborting_after(20)).await;
    eval("globalThis.fetch = trueFetch");
    assert_eq!(outcome, Err(Error::Aborted));
}

#[wasm_bindgen_test]
async fn a_signal_is_left_as_it_was() {
    let signal = eval(
        "(() => {
            const { signal } = new AbortController();
            globalThis.listeners = 0;
            signal.addEventListener = function (...all) { listeners++; AbortSignal.prototype.addEventListener.apply(this, all) };
            signal.removeEventListener = function (...all) { listeners--; AbortSignal.prototype.removeEventListener.apply(this, all) };
            return signal
        })()",
    );
    let signal = Signal::new(Some(signal.into()));
    assert_eq!(eval("listeners"), 1);
    let source = eval("new Blob([new Uint8Array(5000000)])");
    let bytes = weights(source, &Options::default(), &|_| (), &signal).await;
    assert_eq!(bytes.map(|bytes| bytes.len()), Ok(5_000_000));
    assert_eq!(eval("listeners"), 1);
    drop(signal);
    assert_eq!(eval("listeners"), 0);
}

#[wasm_bindgen_test]
fn errors_cross_the_border() {
    let exception = JsValue::from(Error::Aborted);
    assert!(exception.is_instance_of::<js_sys::Error>());
    assert_eq!(tinysam::web::js::property(&exception, "code"), "aborted");
    assert_eq!(tinysam::web::js::property(&exception, "message"), "stopped by the caller");
    let text = |expression| tinysam::web::error::text(&eval(expression));
    assert_eq!(text("new TypeError('no')"), "TypeError: no");
    assert_eq!(text("new DOMException('no', 'DataError')"), "DataError: no");
    assert_eq!(text("'no'"), "no");
    assert_eq!(text("new Error()"), "Error");
    assert!(!text("undefined").is_empty() && !text("{}").is_empty());
}
