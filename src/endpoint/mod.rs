//! fal's contract for `fal-ai/tiny-sam`, pure: what may be asked, what is wrong with a request, what it runs, and
//! what comes back.
//!
//! The path of a request: [`validate`](validate::validate) reads any JSON value and returns a [`Request`] or every
//! fault that it has; once the picture's sides are known, [`plan`](plan::plan) turns the request into the one thing to
//! run, a [`Plan`]; [`run`](run::run) does it and draws the picture. All leave [`Log`] lines where they did something
//! that the caller may not expect. What passed both cannot fail for the request's sake.
//!
//! Faults are what fal documents (<https://docs.fal.ai/errors>): each with its place, a sentence, a stable kind, the
//! address of the kind's section, and the limits in `ctx`.
//!
//! The queue, the wire format and the routing of requests are *not* here: they must work in a browser that downloads
//! neither of the modules (one without WebGPU that sends its requests to fal), so they are written once, in TypeScript,
//! in `pkg/src/fal/`. There, too, a log line gets its time and a picture its URL.

pub mod plan;
pub mod run;
pub mod schema;
pub mod validate;

pub use plan::{Mode, Plan};
pub use schema::{Fault, Log, Request};

#[cfg(test)]
mod tests;
