//! The one error type. Errors are values: each has a stable [`code`](Error::code), which JavaScript sees as
//! `error.code`, and a sentence that says what to do next.

/// What can go wrong between a checkpoint's bytes and a mask.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a checkpoint that can be read: wrong format, truncated, corrupt or hostile.
    #[error("this checkpoint cannot be read: {0}")]
    CheckpointInvalid(String),
    /// A readable checkpoint of another network: a tensor is missing, unknown or of another shape.
    #[error("this checkpoint is not TinySAM's: {0}")]
    CheckpointMismatch(String),
    /// The bytes are not those that were asked for.
    #[error("the checkpoint's SHA-256 is {actual}, expected {expected}: download it again")]
    CheckpointHash {
        /// In hex.
        expected: String,
        /// In hex.
        actual: String,
    },
    /// The checkpoint could not be fetched.
    #[error("the checkpoint could not be fetched: {0}")]
    CheckpointUnreachable(String),
    /// The picture could not be fetched.
    #[error("the picture could not be fetched: {0}")]
    ImageUnreachable(String),
    /// The bytes are no picture, or the pixels do not match the stated sides.
    #[error("this picture cannot be read: {0}")]
    ImageInvalid(String),
    /// A side over 16 384 pixels, or over 100 megapixels in all.
    #[error(
        "this picture is {width}×{height}; at most 16384 pixels a side and 100 megapixels can be segmented: make it smaller first"
    )]
    ImageTooLarge {
        /// Of the picture, in pixels.
        width: u32,
        /// Of the picture, in pixels.
        height: u32,
    },
    /// The browser gives other pixels than those of the picture, for fear that they tell who is there.
    #[error(
        "this browser protects its user by giving noise in place of a picture's pixels: allow this site to read canvas \
         data, or give an ImageData"
    )]
    PixelsProtected,
    /// The bytes are no saved embedding, or a damaged one.
    #[error("this embedding cannot be read: {0}")]
    EmbeddingInvalid(String),
    /// A saved embedding of another network, or of another photo than the one given with it.
    #[error("this embedding does not fit: {0}")]
    EmbeddingMismatch(String),
    /// Points, labels, boxes or mask that do not fit together or are no numbers.
    #[error("this prompt cannot be used: {0}")]
    PromptInvalid(String),
    /// An option outside its range.
    #[error("this option cannot be used: {0}")]
    OptionInvalid(String),
    /// There is no such device here, or it refused.
    #[error("no device: {0}")]
    DeviceUnavailable(String),
    /// The GPU was lost: embeddings on it are gone.
    #[error("the GPU was lost ({0}): load the model again")]
    DeviceLost(String),
    /// There is no memory for this. What was there before is still there.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The GPU has no memory for this, and does not recover from it: what is on it is gone.
    #[error("out of memory: {0}")]
    DeviceMemory(String),
    /// The caller asked to stop.
    #[error("stopped by the caller")]
    Aborted,
    /// A fault of this library.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl Error {
    /// What a device says when it fails, in one line, sorted by what the caller can do about it.
    pub fn of_device(text: &str) -> Self {
        // The runtime adds a backtrace, of which nobody who reads the sentence has any use.
        let told = text.split("Backtrace").next().unwrap_or(text);
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        let lower = told.to_lowercase();
        if lower.contains("memory") {
            Error::DeviceMemory(format!("{told}; use a smaller size or a smaller picture"))
        } else if lower.contains("lost") || lower.contains("poisoned") {
            Error::DeviceLost(told)
        } else {
            Error::Internal(told)
        }
    }

    /// Whether a GPU that failed with this is of no further use.
    #[cfg(target_family = "wasm")]
    pub(crate) fn ends_device(&self) -> bool {
        matches!(self, Error::DeviceLost(_) | Error::DeviceMemory(_) | Error::Internal(_))
    }

    /// The stable name of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Error::CheckpointInvalid(_) => "checkpoint_invalid",
            Error::CheckpointMismatch(_) => "checkpoint_mismatch",
            Error::CheckpointHash { .. } => "checkpoint_hash",
            Error::CheckpointUnreachable(_) => "checkpoint_unreachable",
            Error::ImageUnreachable(_) => "image_unreachable",
            Error::ImageInvalid(_) => "image_invalid",
            Error::ImageTooLarge { .. } => "image_too_large",
            Error::PixelsProtected => "pixels_protected",
            Error::EmbeddingInvalid(_) => "embedding_invalid",
            Error::EmbeddingMismatch(_) => "embedding_mismatch",
            Error::PromptInvalid(_) => "prompt_invalid",
            Error::OptionInvalid(_) => "option_invalid",
            Error::DeviceUnavailable(_) => "device_unavailable",
            Error::DeviceLost(_) => "device_lost",
            Error::OutOfMemory(_) | Error::DeviceMemory(_) => "out_of_memory",
            Error::Aborted => "aborted",
            Error::Internal(_) => "internal",
        }
    }
}

/// This crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
