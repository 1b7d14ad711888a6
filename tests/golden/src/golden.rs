//! A golden: what the reference computed for one picture at one input size.
//!
//! `golden_<size>_<image>.json` holds the prompts, and for every tensor its shape and statistics; the
//! `.safetensors` file beside it holds samples of each tensor ([`sample_indices`]), the scores and sparse
//! embeddings whole, and the best mask's bits.
//!
//! Prompts are in pixels of the original picture. Boxes are `xyxy` in the file and `xywh` here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde::Deserialize;

use crate::ordered::Ordered;

/// A golden that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The JSON is not a golden's.
    #[error("not a golden: {0}")]
    Json(#[from] serde_json::Error),
    /// The file beside the JSON is no safetensors file.
    #[error("the golden's samples cannot be read: {0}")]
    Samples(#[from] safetensors::SafeTensorError),
    /// The two files do not belong together, or hold what is not understood.
    #[error("this golden is inconsistent: {0}")]
    Inconsistent(String),
}

/// What the reference computed.
#[derive(Debug, Clone)]
pub struct Golden {
    /// The side of the model's input.
    pub size: u32,
    /// The original picture, width × height.
    pub original: (u32, u32),
    /// SHA-256 of the picture's RGB bytes, where the golden tells it.
    pub image_sha256: Option<String>,
    /// [`crate::formula::weights_sha256`] of the checkpoint, where the golden tells it.
    pub weights_sha256: Option<String>,
    /// In the order in which the reference ran them.
    pub prompts: Vec<(String, Prompt)>,
    /// In the order in which data flows.
    pub tensors: Vec<(String, Tensor)>,
    /// Of each prompt: pixels in each of the three masks.
    pub mask_areas: BTreeMap<String, Vec<u64>>,
    /// Of each prompt: the best mask, row-major, eight pixels a byte, the most significant bit first.
    pub best_masks: BTreeMap<String, Vec<u8>>,
}

/// One prompt.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prompt {
    /// `(x, y)`.
    pub points: Vec<[f32; 2]>,
    /// 1 foreground, 0 background; one a point.
    pub labels: Vec<i32>,
    /// `x, y, width, height`.
    pub bbox: Option<[f32; 4]>,
    /// The mask prompt is the low-res logits of the best mask of this other prompt.
    pub mask_from: Option<String>,
}

/// What is known of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// In the reference's layout.
    pub shape: Vec<usize>,
    /// `uint8`, `int32` or `float32`.
    pub dtype: String,
    /// Of all elements, in double precision.
    pub sum: f64,
    /// Euclidean length of all elements.
    pub l2: f64,
    /// The largest magnitude.
    pub absmax: f64,
    /// The elements at [`sample_indices`], or, where `whole`, all of them.
    pub values: Vec<f32>,
    /// Whether `values` are all elements.
    pub whole: bool,
}

impl Tensor {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which elements of a flattened tensor of `len` elements a golden keeps.
pub fn sample_indices(len: usize) -> impl Iterator<Item = usize> {
    (0..len.min(256)).map(move |j| (7919 * j + 13) % len)
}

impl Golden {
    /// Reads `<name>.json` and `<name>.safetensors` beside it.
    pub fn open(path: &Path) -> Result<Self, GoldenError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| GoldenError::Unreadable { path: path.to_owned(), source })
        };
        Self::from_bytes(&read(path)?, &read(&path.with_extension("safetensors"))?)
    }

    /// The same from the two files' bytes, where there is no file system.
    pub fn from_bytes(json: &[u8], samples: &[u8]) -> Result<Self, GoldenError> {
        let file: File = serde_json::from_slice(json)?;
        let samples = SafeTensors::deserialize(samples)?;
        let [height, width] = file.original_size;
        let prompts = file.prompts.0.into_iter().map(|(name, prompt)| Ok((name, prompt.read()?)));
        let prompts = prompts.collect::<Result<Vec<_>, GoldenError>>()?;
        let mut best_masks = BTreeMap::new();
        for (name, _) in &prompts {
            if let Ok(bits) = samples.tensor(&format!("{name}.best_mask_bits")) {
                best_masks.insert(name.clone(), bits.data().to_vec());
            }
        }
        let tensors = file.tensors.0.into_iter().map(|(name, entry)| {
            let tensor = entry.read(&name, &samples)?;
            Ok((name, tensor))
        });
        Ok(Self {
            size: file.size,
            original: (width, height),
            image_sha256: file.image_sha256,
            weights_sha256: file.weights_sha256,
            tensors: tensors.collect::<Result<Vec<_>, GoldenError>>()?,
            prompts,
            mask_areas: file.mask_areas,
            best_masks,
        })
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor)
    }

    /// Which of a prompt's three masks the reference scores highest.
    pub fn best(&self, prompt: &str) -> Option<usize> {
        let tensor = self.tensor(&format!("{prompt}.iou"))?;
        // Three elements are all sampled, but not in their order.
        let indices: Vec<usize> = match tensor.whole {
            true => (0..tensor.len()).collect(),
            false => sample_indices(tensor.len()).collect(),
        };
        let scores = indices.into_iter().zip(&tensor.values);
        scores.max_by(|a, b| a.1.total_cmp(b.1)).map(|(index, _)| index)
    }
}

#[derive(Deserialize)]
struct File {
    size: u32,
    original_size: [u32; 2],
    prompts: Ordered<PromptEntry>,
    tensors: Ordered<TensorEntry>,
    image_sha256: Option<String>,
    weights_sha256: Option<String>,
    #[serde(default)]
    mask_areas: BTreeMap<String, Vec<u64>>,
}

#[derive(Deserialize)]
struct PromptEntry {
    #[serde(default)]
    points: Vec<[f32; 2]>,
    #[serde(default)]
    labels: Vec<i32>,
    #[serde(rename = "box")]
    corners: Option<[f32; 4]>,
    /// `low-res logits of NAME, mask argmax(iou)`.
    mask: Option<String>,
}

impl PromptEntry {
    fn read(self) -> Result<Prompt, GoldenError> {
        if self.points.len() != self.labels.len() {
            let counts = format!("{} points, {} labels", self.points.len(), self.labels.len());
            return Err(GoldenError::Inconsistent(counts));
        }
        let mask_from = self.mask.map(|text| {
            let name = text.strip_prefix("low-res logits of ").and_then(|rest| rest.split(',').next());
            let unknown = || GoldenError::Inconsistent(format!("unknown mask prompt `{text}`"));
            name.map(|name| name.trim().to_owned()).ok_or_else(unknown)
        });
        Ok(Prompt {
            points: self.points,
            labels: self.labels,
            bbox: self.corners.map(|[x0, y0, x1, y1]| [x0, y0, x1 - x0, y1 - y0]),
            mask_from: mask_from.transpose()?,
        })
    }
}

#[derive(Deserialize)]
struct TensorEntry {
    shape: Vec<usize>,
    dtype: String,
    sum: f64,
    l2: f64,
    absmax: f64,
}

impl TensorEntry {
    fn read(self, name: &str, file: &SafeTensors) -> Result<Tensor, GoldenError> {
        // The four scores of a prompt lie whole under `iou_full`, its sparse embedding under `sparse_full`.
        let whole = match name.rsplit_once('.') {
            Some((prompt, "iou4")) => file.tensor(&format!("{prompt}.iou_full")).ok(),
            Some((prompt, "sparse")) => file.tensor(&format!("{prompt}.sparse_full")).ok(),
            _ => None,
        };
        let (view, whole) = match whole {
            Some(view) => (view, true),
            None => (file.tensor(&format!("{name}.samples"))?, false),
        };
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Dtype::I32 => data.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes) as f32).collect(),
            Dtype::U8 => data.iter().map(|&byte| f32::from(byte)).collect(),
            other => return Err(GoldenError::Inconsistent(format!("{name} is {other:?}"))),
        };
        let len = self.shape.iter().product::<usize>();
        let expected = if whole { len } else { len.min(256) };
        if values.len() != expected {
            let text = format!("{name} has {} values instead of {expected}", values.len());
            return Err(GoldenError::Inconsistent(text));
        }
        let Self { shape, dtype, sum, l2, absmax } = self;
        Ok(Tensor { shape, dtype, sum, l2, absmax, values, whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn reads_every_golden() {
        for name in ["256_synth", "512_synth", "1024_synth", "1024_coffee"] {
            let golden = Golden::open(&fixture(&format!("goldens/golden_{name}.json"))).unwrap();
            let names: Vec<_> = golden.prompts.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["p1_fg", "p2_fg_bg", "p3_box", "p4_box_pt", "p5_pt_mask", "p6_border"]);
            assert_eq!(golden.best_masks.len(), 6);
            assert_eq!(golden.tensors[0].0, "resized_u8");
        }
    }

    #[test]
    fn prompts_of_the_256_golden() {
        let golden = Golden::open(&fixture("goldens/golden_256_synth.json")).unwrap();
        assert_eq!((golden.size, golden.original), (256, (640, 480)));
        let prompt = |name| &golden.prompts.iter().find(|(known, _)| known == name).unwrap().1;
        assert_eq!(prompt("p2_fg_bg").points, [[448.0, 264.0], [192.0, 384.0]]);
        assert_eq!(prompt("p2_fg_bg").labels, [1, 0]);
        assert_eq!(prompt("p3_box").bbox, Some([77.0, 72.0, 275.0, 264.0]));
        assert_eq!(prompt("p5_pt_mask").mask_from.as_deref(), Some("p1_fg"));
        let scores = golden.tensor("p1_fg.iou4").unwrap();
        assert!(scores.whole && scores.values.len() == 4);
    }

    #[test]
    fn a_golden_of_another_picture_is_refused() {
        let read = |name: &str| std::fs::read(fixture(name)).unwrap();
        let json = read("goldens/golden_256_synth.json");
        assert!(Golden::from_bytes(&json, b"no").is_err());
        assert!(Golden::from_bytes(b"{}", &read("goldens/golden_256_synth.safetensors")).is_err());
        let other = String::from_utf8(json).unwrap().replace("\"p1_fg.dense\"", "\"p9.dense\"");
        let samples = read("goldens/golden_256_synth.safetensors");
        assert!(Golden::from_bytes(other.as_bytes(), &samples).is_err());
    }
}
