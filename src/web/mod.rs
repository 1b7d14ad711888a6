//! The only folder that knows a browser.
