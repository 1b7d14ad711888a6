//! TinySAM on burn: a picture and a prompt become a mask, on the user's own machine.

pub mod checkpoint;
pub mod endpoint;
pub mod error;
pub mod image;
pub mod mask;
pub mod model;
pub mod segment;
#[cfg(target_family = "wasm")]
pub mod web;

pub use error::{Error, Result};
