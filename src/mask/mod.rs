//! Logits to masks: pure.
