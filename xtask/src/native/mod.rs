//! What runs the engine in this process. It takes burn to compile, so a plain `cargo xtask` is built without it
//! and starts itself again with it where a command needs it.

#[cfg(not(feature = "native"))]
mod again;
#[cfg(feature = "native")]
mod engine;

#[cfg(not(feature = "native"))]
pub use again::{bench, convert, samples, verify};
#[cfg(feature = "native")]
pub use engine::{bench, convert, samples, verify};
