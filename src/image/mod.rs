//! Pixels in: pure.
