//! The only folder that knows a browser.

pub mod cache;
pub mod decode;
pub mod endpoint;
pub mod error;
pub mod fetch;
pub mod js;
pub mod signal;
