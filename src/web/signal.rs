//! The caller's wish to stop, heard between any two steps of a job and while waiting.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Waker;

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, MessageChannel};

use crate::{Error, Result};

/// An `AbortSignal`, or none. It listens once, however often it is waited on, and stops listening when
/// dropped: a caller may use one signal for a thousand jobs.
pub struct Signal(Option<Listener>);

struct Listener {
    signal: AbortSignal,
    waiting: Rc<RefCell<Vec<Waker>>>,
    on_abort: Closure<dyn FnMut()>,
}

impl Signal {
    /// Starts to listen. [`Signal::default`] is one that never aborts.
    pub fn new(signal: Option<AbortSignal>) -> Self {
        Self(signal.map(|signal| {
            let waiting = Rc::new(RefCell::new(Vec::<Waker>::new()));
            let to_wake = Rc::clone(&waiting);
            let on_abort = Closure::new(move || to_wake.take().into_iter().for_each(Waker::wake));
            // Only a null callback or a full heap could refuse; `check` would see the abort even so.
            let _ = signal.add_event_listener_with_callback("abort", on_abort.as_ref().unchecked_ref());
            Listener { signal, waiting, on_abort }
        }))
    }

    /// The browser's signal, for what takes one.
    pub fn raw(&self) -> Option<&AbortSignal> {
        self.0.as_ref().map(|listener| &listener.signal)
    }

    /// # Errors
    /// [`Error::Aborted`] if the caller asked to stop.
    pub fn check(&self) -> Result<()> {
        match &self.0 {
            Some(listener) if listener.signal.aborted() => Err(Error::Aborted),
            _ => Ok(()),
        }
    }

    /// Waits for `work`, but no longer than until the caller asks to stop; `work` is then dropped.
    ///
    /// # Errors
    /// [`Error::Aborted`], also when both happened at once.
    pub async fn race<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            self.check()?;
            if let Some(listener) = &self.0 {
                let mut waiting = listener.waiting.borrow_mut();
                if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    waiting.push(context.waker().clone());
                }
            }
            work.as_mut().poll(context).map(Ok)
        })
        .await
    }

    /// Lets the event loop run once, so that a long computation hears an abort and blocks nobody for long.
    /// By a message, as timers are slowed down to one a second in a hidden page.
    ///
    /// # Errors
    /// [`Error::Aborted`] if the caller asked to stop.
    pub async fn pause(&self) -> Result<()> {
        let Ok(channel) = MessageChannel::new() else {
            return self.check();
        };
        let turn = Promise::new(&mut |resolve, _| channel.port1().set_onmessage(Some(&resolve)));
        let posted = channel.port2().post_message(&JsValue::NULL);
        let waited = match posted {
            Ok(()) => self.race(JsFuture::from(turn)).await.map(drop),
            Err(_) => self.check(),
        };
        // An open port is kept alive by its handler.
        channel.port1().close();
        waited
    }

    /// Between two steps of an encode: as [`Signal::pause`], where a step is work and not only an order to a GPU.
    ///
    /// # Errors
    /// [`Error::Aborted`] if the caller asked to stop.
    pub async fn step(&self) -> Result<()> {
        if cfg!(feature = "webgpu") { self.check() } else { self.pause().await }
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let callback = self.on_abort.as_ref().unchecked_ref();
        let _ = self.signal.remove_event_listener_with_callback("abort", callback);
    }
}
