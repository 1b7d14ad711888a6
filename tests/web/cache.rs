use tinysam::Error;
use tinysam::web::cache::NAME;
use tinysam::web::fetch::{Options, forget, weights};
use tinysam::web::signal::Signal;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::aborting_after;
use crate::js::{eval, evaluate};
use crate::weights::{HASH, with_hash};

const URL: &str = "https://weights.example/tinysam.pth";
const GOOD: &str = "new Response(new Uint8Array([1, 2, 3]))";
/// What takes the place of a checkpoint that is kept has to begin as one: here as a zip.
const ANOTHER: &str = "[80, 75, 3, 4]";
const ANOTHER_BYTES: [u8; 4] = *b"PK\x03\x04";

/// Empties the cache and puts a server in the network's place, which answers with `response` (a JavaScript
/// expression) and counts.
async fn serve(response: &str) {
    evaluate(&format!("caches.delete('{NAME}')")).await;
    answer(response);
}

fn answer(response: &str) {
    eval(&format!(
        "globalThis.trueFetch ??= fetch, globalThis.downloads = 0,
         globalThis.fetch = async (request) => {{ downloads++; return {response} }}"
    ));
}

/// Gives the network back: tests run in no order, and others need it.
fn restore() {
    eval("globalThis.fetch = trueFetch");
}

fn downloads() -> f64 {
    eval("downloads").as_f64().unwrap()
}

async fn load(options: &Options) -> Result<Vec<u8>, Error> {
    load_from(URL, options).await
}

async fn load_from(url: &str, options: &Options) -> Result<Vec<u8>, Error> {
    weights(url.into(), options, &|_| (), &Signal::default()).await
}

/// A file of these bytes, by its version.
fn version(bytes: &str, headers: &str) -> String {
    format!("new Response(new Uint8Array({bytes}), {{ headers: {headers} }})")
}

/// The addresses that are kept.
async fn kept() -> Vec<String> {
    let urls =
        evaluate(&format!("caches.open('{NAME}').then((c) => c.keys()).then((all) => all.map((r) => r.url))")).await;
    js_sys::Array::from(&urls).iter().filter_map(|url| url.as_string()).collect()
}

async fn keep(url: &str, bytes: &str) {
    evaluate(&format!("caches.open('{NAME}').then((c) => c.put('{url}', new Response(new Uint8Array({bytes}))))"))
        .await;
}

#[wasm_bindgen_test]
async fn the_second_load_needs_no_network() {
    for options in [Options::default(), with_hash(HASH)] {
        serve(GOOD).await;
        assert_eq!(load(&options).await, Ok(vec![1, 2, 3]));
        assert_eq!(kept().await, [URL]);
        answer("Response.error()");
        let phases = std::cell::RefCell::new(Vec::new());
        let tell = |progress: tinysam::web::fetch::Progress| {
            phases.borrow_mut().push((progress.phase, progress.loaded, progress.total));
        };
        assert_eq!(weights(URL.into(), &options, &tell, &Signal::default()).await, Ok(vec![1, 2, 3]));
        assert_eq!(downloads(), 0.0);
        assert_eq!(phases.into_inner(), [("verify", 0, Some(3)), ("verify", 3, Some(3))]);
    }
    forget(URL).await;
    assert!(kept().await.is_empty());
    restore();
}

#[wasm_bindgen_test]
async fn weights_that_changed_are_seen() {
    for (old, same, new) in [
        ("{ etag: '\"a\"' }", "{ etag: 'W/\"a\"' }", "{ etag: '\"b\"' }"),
        (
            "{ 'last-modified': 'Wed, 25 Nov 2026 00:00:00 GMT' }",
            "{ 'last-modified': 'Wed, 25 Nov 2026 00:00:00 GMT' }",
            "{ 'last-modified': 'Wed, 25 Nov 2026 00:00:01 GMT' }",
        ),
        // What cannot be compared may have changed.
        ("{ etag: '\"a\"' }", "{ etag: '\"a\"', 'last-modified': 'x' }", "{}"),
    ] {
        serve(&version("[1, 2, 3]", old)).await;
        assert_eq!(load(&Options::default()).await, Ok(vec![1, 2, 3]));
        // The same version is not downloaded again: its body is let go.
        eval("globalThis.cancelled = 0");
        answer(&format!("new Response(new ReadableStream({{ cancel() {{ cancelled++ }} }}), {{ headers: {same} }})"));
        assert_eq!(load(&Options::default()).await, Ok(vec![1, 2, 3]), "{same}");
        assert_eq!((downloads(), eval("cancelled").as_f64()), (1.0, Some(1.0)), "{same}");
        // Another is, once.
        answer(&version(ANOTHER, new));
        assert_eq!(load(&Options::default()).await, Ok(ANOTHER_BYTES.to_vec()), "{new}");
        assert_eq!(downloads(), 1.0);
        answer("Response.error()");
        assert_eq!(load(&Options::default()).await, Ok(ANOTHER_BYTES.to_vec()), "{new}");
        assert_eq!(kept().await, [URL]);
        // With a hash nobody is asked.
        serve(&version("[1, 2, 3]", old)).await;
        assert_eq!(load(&Options::default()).await, Ok(vec![1, 2, 3]));
        answer(&version(ANOTHER, new));
        assert_eq!(load(&with_hash(HASH)).await, Ok(vec![1, 2, 3]));
        assert_eq!(downloads(), 0.0);
    }
    restore();
}

/// A server of this page's own origin may be asked with a condition; to another's that would be a request in advance.
#[wasm_bindgen_test]
async fn the_pages_own_server_is_asked_with_a_condition() {
    let own = eval("location.origin + '/weights/tinysam.pth'").as_string().unwrap();
    let asked = "globalThis.asked = ['if-none-match', 'if-modified-since'].map((name) => request.headers.get(name))";
    let asks = || eval("String(asked)").as_string().unwrap();
    for (headers, condition) in [
        ("{ etag: '\"a\"', 'last-modified': 'yesterday' }", "\"a\","),
        ("{ 'last-modified': 'yesterday' }", ",yesterday"),
    ] {
        serve(&version("[1, 2, 3]", headers)).await;
        assert_eq!(load_from(&own, &Options::default()).await, Ok(vec![1, 2, 3]));
        answer(&format!("({asked}, new Response(null, {{ status: 304 }}))"));
        assert_eq!(load_from(&own, &Options::default()).await, Ok(vec![1, 2, 3]));
        assert_eq!((asks(), downloads()), (condition.to_owned(), 1.0));
        answer(&version(ANOTHER, "{ etag: '\"b\"' }"));
        assert_eq!(load_from(&own, &Options::default()).await, Ok(ANOTHER_BYTES.to_vec()));
    }
    serve(&version("[1, 2, 3]", "{ etag: '\"a\"' }")).await;
    load(&Options::default()).await.unwrap();
    answer(&format!("({asked}, {})", version("[1, 2, 3]", "{ etag: '\"a\"' }")));
    load(&Options::default()).await.unwrap();
    assert_eq!(asks(), ",");
    restore();
}

#[wasm_bindgen_test]
async fn what_is_kept_is_used_where_the_server_does_not_answer() {
    serve(&version("[1, 2, 3]", "{ etag: '\"a\"' }")).await;
    load(&Options::default()).await.unwrap();
    for silence in [
        "Promise.reject(new TypeError('Failed to fetch'))",
        "new Response('busy', { status: 503 })",
        "new Response('gone', { status: 404 })",
        "new Response(null, { status: 304 })",
        "new Promise(() => {})",
    ] {
        answer(silence);
        assert_eq!(load(&Options::default()).await, Ok(vec![1, 2, 3]), "{silence}");
        assert_eq!(downloads(), 1.0, "{silence}");
    }
    // Nor is a newer version one that breaks off, or is a page about something else.
    for other in [
        "new Response(new ReadableStream({ pull(c) { c.error(new TypeError('network error')) } }), { headers: { etag: 'b' } })",
        "new Response('<!doctype html><title>Back soon</title>')",
        "new Response('', { headers: { etag: 'b' } })",
    ] {
        answer(other);
        assert_eq!(load(&Options::default()).await, Ok(vec![1, 2, 3]), "{other}");
        assert_eq!(kept().await, [URL]);
    }
    // An abort is heard while the server is silent.
    answer("new Promise(() => {})");
    let outcome = weights(URL.into(), &Options::default(), &|_| (), &aborting_after(20)).await;
    assert_eq!(outcome, Err(Error::Aborted));
    assert_eq!(kept().await, [URL]);
    restore();
}

#[wasm_bindgen_test]
async fn a_corrupt_entry_is_replaced() {
    serve(GOOD).await;
    keep(URL, "[1, 2, 4]").await;
    assert_eq!(load(&with_hash(HASH)).await, Ok(vec![1, 2, 3]));
    assert_eq!(downloads(), 1.0);
    assert_eq!(load(&with_hash(HASH)).await, Ok(vec![1, 2, 3]));
    assert_eq!(downloads(), 1.0);

    // Nor is it kept when there is nothing better.
    keep(URL, "[1, 2, 4]").await;
    answer("Response.error()");
    assert_eq!(load(&with_hash(HASH)).await.unwrap_err().code(), "checkpoint_unreachable");
    assert!(kept().await.is_empty());
    restore();
}

#[wasm_bindgen_test]
async fn failed_downloads_leave_nothing() {
    let cut_off = "new Response(new ReadableStream({ pull(c) {
        if (this.sent) c.error(new TypeError('network error')); else { this.sent = true; c.enqueue(new Uint8Array(9)) }
    } }))";
    for (response, code) in [
        ("new Response(new Uint8Array([1, 2, 4]))", "checkpoint_hash"),
        ("new Response(new Uint8Array([1, 2]))", "checkpoint_hash"),
        ("new Response('not found', { status: 404 })", "checkpoint_unreachable"),
        (cut_off, "checkpoint_unreachable"),
        ("Promise.reject(new TypeError('Failed to fetch'))", "checkpoint_unreachable"),
    ] {
        serve(response).await;
        assert_eq!(load(&with_hash(HASH)).await.unwrap_err().code(), code, "{response}");
        assert!(kept().await.is_empty(), "{response}");
    }
    let hanging = "new Response(new ReadableStream({ start(c) { c.enqueue(new Uint8Array([1, 2, 3])) } }))";
    serve(hanging).await;
    let outcome = weights(URL.into(), &Options::default(), &|_| (), &aborting_after(20)).await;
    assert_eq!(outcome, Err(Error::Aborted));
    assert!(kept().await.is_empty());
    restore();
}

#[wasm_bindgen_test]
async fn only_addresses_are_cached_and_only_if_wanted() {
    serve(GOOD).await;
    let not_wanted = Options { cache: false, ..Options::default() };
    assert_eq!(load(&not_wanted).await, Ok(vec![1, 2, 3]));
    restore();
    let sources = [
        eval(GOOD),
        eval("new Blob([new Uint8Array(3)])"),
        "data:application/octet-stream;base64,AQID".into(),
        eval("URL.createObjectURL(new Blob([new Uint8Array(3)]))"),
    ];
    for source in sources {
        weights(source, &Options::default(), &|_| (), &Signal::default()).await.unwrap();
    }
    assert!(kept().await.is_empty());
    restore();
}

#[wasm_bindgen_test]
async fn the_cache_is_bounded() {
    serve(GOOD).await;
    evaluate("caches.open('tinysam-weights-0')").await;
    evaluate("caches.open('tinysam-of-somebody-else')").await;
    for i in 0..6 {
        keep(&format!("https://weights.example/{i}.pth"), "[0]").await;
    }
    load(&Options::default()).await.unwrap();
    assert_eq!(
        kept().await,
        [3, 4, 5]
            .map(|i| format!("https://weights.example/{i}.pth"))
            .into_iter()
            .chain([URL.into()])
            .collect::<Vec<_>>()
    );
    assert_eq!(evaluate("caches.has('tinysam-weights-0')").await, false);
    assert_eq!(evaluate("caches.has('tinysam-of-somebody-else')").await, true);
    evaluate("caches.delete('tinysam-of-somebody-else')").await;
    restore();
}

#[wasm_bindgen_test]
async fn loading_works_without_a_cache() {
    serve(GOOD).await;
    for (broken, mended) in [
        (
            "Object.defineProperty(globalThis, 'caches', { value: undefined, configurable: true })",
            "delete globalThis.caches",
        ),
        (
            "Object.defineProperty(globalThis, 'caches', { get() { throw new DOMException('', 'SecurityError') }, configurable: true })",
            "delete globalThis.caches",
        ),
        (
            "CacheStorage.prototype.open = ((open) => { globalThis.trueOpen = open; return () => Promise.reject(new Error('no')) })(CacheStorage.prototype.open)",
            "CacheStorage.prototype.open = trueOpen",
        ),
        (
            "Cache.prototype.put = ((put) => { globalThis.truePut = put; return () => Promise.reject(new DOMException('', 'QuotaExceededError')) })(Cache.prototype.put)",
            "Cache.prototype.put = truePut",
        ),
    ] {
        eval(broken);
        let outcome = load(&with_hash(HASH)).await;
        eval(mended);
        assert_eq!(outcome, Ok(vec![1, 2, 3]), "{broken}");
        assert!(kept().await.is_empty(), "{broken}");
    }
    assert_eq!(downloads(), 4.0);
    restore();
}
