//! fal's contract, pure.
