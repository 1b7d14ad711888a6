//! The names and shapes that a caller sees: the request, its faults, log lines and the answer.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Error;
use crate::image::MAX_SIDE;

/// fal's default of `confidence`. In everything mode it stands for the paper's `pred_iou_thresh`.
pub const CONFIDENCE: f64 = 0.4;
/// At most this many points, labels or boxes in one request.
pub const MAX_PROMPTS: usize = 64;
/// fal's page of errors, which has a section for each kind.
const ERRORS: &str = "https://docs.fal.ai/errors";

/// The six fields that fal knows, in the order of its page.
pub const FAL_FIELDS: [&str; 6] = ["image_url", "size", "confidence", "box_prompt", "point_prompt", "point_label"];
/// The fields that only the device knows; they are never sent to fal.
pub const EXTENSIONS: [&str; 8] = [
    "output",
    "return_masks",
    "multimask",
    "pred_iou_thresh",
    "stability_score_thresh",
    "points_per_side",
    "min_mask_region_area",
    "combine",
];

/// A request without faults, defaults filled in. Coordinates are pixels of the original picture after its EXIF
/// orientation, origin top left; that they lie inside it is checked when its sides are known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Request {
    /// An `http(s):`, `data:` or `blob:` URL.
    pub image_url: String,
    /// The side at which the network runs: a multiple of 64 in 64..=1024.
    pub size: u32,
    /// In 0..=1.
    pub confidence: f64,
    /// `[x, y, w, h]`, w and h over 0; empty when there is no box prompt.
    pub boxes: Vec<[f64; 4]>,
    /// `[x, y]`; empty when there is no point prompt.
    pub points: Vec<[f64; 2]>,
    /// One for each point: 1 = foreground, 0 = background.
    pub labels: Vec<u8>,
    /// Extension: what the picture shows.
    pub output: Picture,
    /// Extension: whether the answer lists the masks one by one.
    pub return_masks: bool,
    /// Extension: three masks for each prompt instead of the best.
    pub multimask: bool,
    /// Extension, everything mode: in 0..=1; none leaves the choice to `confidence`.
    pub pred_iou_thresh: Option<f64>,
    /// Extension, everything mode: in 0..=1.
    pub stability_score_thresh: f64,
    /// Extension, everything mode: a multiple of 4 in 4..=128.
    pub points_per_side: u32,
    /// Extension: holes and islands under so many pixels are removed; 0 removes nothing.
    pub min_mask_region_area: u32,
    /// Extension: what a request with boxes and points means.
    pub combine: Combine,
}

/// What the picture of the answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Picture {
    /// The photo with every mask laid over it in a colour of its own.
    #[default]
    Overlay,
    /// White where any mask is, black elsewhere.
    Mask,
    /// The photo where any mask is, transparent elsewhere.
    Cutout,
}

/// What boxes and points in one request mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    /// Boxes win, points are left out: fal's order.
    #[default]
    Fal,
    /// The points refine the one box.
    Joint,
}

/// One log line, without the time at which it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Log {
    /// How much it matters.
    pub level: Level,
    /// A sentence.
    pub message: String,
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// What was done.
    Info,
    /// The answer differs from what the words of the request say.
    Warn,
}

impl Log {
    pub(crate) fn info(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { level: Level::Info, message }
    }

    pub(crate) fn warn(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { level: Level::Warn, message }
    }
}

/// One entry of `detail` in an answer with status 422.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// Where: `["body", field, index…]`.
    pub loc: Vec<Loc>,
    /// What is wrong, as a sentence.
    pub msg: String,
    /// The kind, stable: one of those that fal documents, else pydantic's.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where fal documents the kind.
    pub url: String,
    /// The numbers in the sentence, by the names that fal documents.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub ctx: Map<String, Value>,
    /// The value itself, where it is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Loc {
    /// Of an object.
    Field(&'static str),
    /// Of a list, from 0.
    Index(usize),
}

impl Fault {
    /// A fault of one field as a whole.
    pub fn field(field: &'static str, kind: &'static str, msg: impl Into<String>) -> Self {
        let loc = vec![Loc::Field("body"), Loc::Field(field)];
        Self { loc, msg: msg.into(), kind, url: format!("{ERRORS}#{kind}"), ctx: Map::new(), input: None }
    }

    /// The same fault, of the entry at `index`.
    pub(crate) fn at(mut self, index: usize) -> Self {
        self.loc.push(Loc::Index(index));
        self
    }

    /// The same fault, with a number or word of its sentence.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.ctx.insert(name.into(), value.into());
        self
    }

    /// The same fault, with the value that has it; long strings, lists and objects are left out.
    pub(crate) fn on(mut self, input: &Value) -> Self {
        let short = match input {
            Value::Array(_) | Value::Object(_) => false,
            Value::String(text) => text.len() <= 100,
            _ => true,
        };
        self.input = short.then(|| input.clone());
        self
    }

    /// A fault of the request as a whole.
    pub fn whole(kind: &'static str, msg: impl Into<String>) -> Self {
        Self { loc: vec![Loc::Field("body")], ..Self::field("", kind, msg) }
    }

    /// What an error says about the request, if it is the request's fault: the picture's, a prompt's or an option's.
    pub fn of(error: &Error) -> Option<Self> {
        let (field, kind) = match error {
            Error::ImageUnreachable(_) => ("image_url", "file_download_error"),
            Error::ImageInvalid(_) | Error::PixelsProtected => ("image_url", "image_load_error"),
            Error::ImageTooLarge { .. } => {
                let fault = Self::field("image_url", "image_too_large", error.to_string());
                return Some(fault.with("max_height", MAX_SIDE).with("max_width", MAX_SIDE));
            }
            Error::PromptInvalid(_) => ("point_prompt", "value_error"),
            Error::OptionInvalid(_) => ("size", "value_error"),
            _ => return None,
        };
        Some(Self::field(field, kind, error.to_string()))
    }
}
