//! A file's bytes → named tensors.
