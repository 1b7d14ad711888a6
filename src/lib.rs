//! TinySAM on [burn]: a picture and a prompt become a mask, on the user's own machine.
//!
//! | folder | what | knows |
//! |---|---|---|
//! | [`checkpoint`] | a file's bytes → named tensors, nothing in them executed | |
//! | [`image`] | pixels in: resize, normalise, pad, coordinates | |
//! | [`model`] | the network and nothing else | burn |
//! | [`mask`] | low-res logits → masks: measured, compared, tidied | `image` |
//! | [`export`] | masks → PNG, RLE, polygons, label maps | `mask` |
//! | [`segment`] | what a person asks for: load, embed, segment, everything | all of the above |
//! | [`endpoint`] | fal's contract: a request → its faults, or a plan and a picture | `segment` |
//! | `web` | the only folder that knows a browser: bindings, device, fetch, cache, decoding | `endpoint` |
//!
//! Arrows point down this table and never up. Everything but `web` compiles and is tested natively. What must run before
//! or without WebAssembly (the choice of a device, workers, fal's queue and wire format, the fallback) is TypeScript, in
//! pkg/src.
//!
//! # Frames and shapes
//!
//! - *Original pixels*: the picture after its EXIF orientation, origin top left. Everything that a caller gives or gets
//!   is in them; boxes are `[x, y, width, height]`.
//! - *Model pixels*: the picture resized so that its longer side is `S`, in the top left of a square of side `S`, a
//!   multiple of 64 up to 1024.
//! - *Low-res logits*: one mask as the decoder gives it, `[S/4, S/4]`.
//! - `B` prompts, `N` points, `L = (S/16)²` image tokens, `C` channels; feature maps are `[H, W, C]`, channels last.
//!
//! # Devices
//!
//! burn's device is a value, [`Device`]: `Device::flex()` is the CPU (feature `cpu`), WebGPU is `Device::wgpu_options()` (feature
//! `webgpu`). Each becomes a WebAssembly module of its own, of which a page loads one.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod checkpoint;
pub mod endpoint;
pub mod error;
pub mod export;
pub mod image;
pub mod mask;
pub mod model;
pub mod segment;
#[cfg(target_family = "wasm")]
pub mod web;

pub use burn::tensor::Device;
pub use error::{Error, Result};
