//! The golden of the everything mode: the generator's settings, how many points the decoder saw, and the masks
//! in order, each with its score, its box and its run lengths.

use std::path::Path;

use serde::Deserialize;

use crate::golden::GoldenError;
use crate::limits::{Device, Limit};
use crate::report::{Report, Row};

/// `everything_<size>_<image>.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Everything {
    /// The side of the model's input.
    pub size: u32,
    /// The original picture, width and height.
    pub image: [u32; 2],
    /// SHA-256 of its RGB bytes; none in goldens of the synthetic picture.
    pub image_sha256: Option<String>,
    /// The generator's settings.
    pub config: Config,
    /// Points in each call of the decoder.
    pub decoder_calls: Vec<u32>,
    /// Points that the decoder saw in all.
    pub points: usize,
    /// In the order in which they are returned.
    pub masks: Vec<ExpectedMask>,
}

/// The generator's settings; see the paper's hierarchical segmenting of everything.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Config {
    /// Of the full grid.
    pub points_per_side: u32,
    /// In one call of the decoder.
    pub points_per_batch: u32,
    /// Masks with a lower predicted IoU are dropped.
    pub pred_iou_thresh: f64,
    /// Logits above it are confident.
    pub high_score_thresh: f64,
    /// Masks with a lower stability score are dropped.
    pub stability_score_thresh: f64,
    /// Logits by which the threshold is moved up and down.
    pub stability_score_offset: f64,
    /// Of two boxes that overlap more, the worse mask is dropped.
    pub box_nms_thresh: f64,
    /// Islands and holes of fewer pixels are removed, and duplicates that this made; 0 leaves masks as they are.
    #[serde(default)]
    pub min_mask_region_area: u32,
}

/// A mask of the reference.
#[derive(Debug, Clone, Deserialize)]
pub struct ExpectedMask {
    /// In pixels.
    pub area: u64,
    /// `x, y`, and the distances to the last column and row, in original pixels.
    pub bbox: [f64; 4],
    /// The decoder's score.
    pub predicted_iou: f64,
    /// The prompt, in original pixels.
    pub point_coords: [[f64; 2]; 1],
    /// |logit > offset| / |logit > −offset|.
    pub stability_score: f64,
    /// How many runs the column-major run-length encoding has.
    pub rle_runs: usize,
    /// Of the comma-joined run lengths.
    pub rle_sha256: String,
}

/// A mask of the run.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunMask {
    /// In pixels.
    pub area: u64,
    /// The smallest box around its pixels, `[x, y, width, height]`; all zero if it has none.
    pub bbox: [f64; 4],
    /// The decoder's score.
    pub predicted_iou: f64,
    /// The prompt, in original pixels.
    pub point: [f64; 2],
    /// As [`ExpectedMask::stability_score`].
    pub stability_score: f64,
    /// Column-major run lengths, background first.
    pub counts: Vec<u32>,
}

impl RunMask {
    /// As [`ExpectedMask::bbox`]: the reference's boxes are one pixel short in both directions.
    fn references_bbox(&self) -> [f64; 4] {
        let [x, y, width, height] = self.bbox;
        [x, y, (width - 1.0).max(0.0), (height - 1.0).max(0.0)]
    }
}

impl Everything {
    /// Reads the file.
    pub fn open(path: &Path) -> Result<Self, GoldenError> {
        let json = std::fs::read(path).map_err(|source| GoldenError::Unreadable { path: path.to_owned(), source })?;
        Self::from_bytes(&json)
    }

    /// The same from the file's bytes.
    pub fn from_bytes(json: &[u8]) -> Result<Self, GoldenError> {
        Ok(serde_json::from_slice(json)?)
    }

    /// Compares a run: how many points were decoded, and the masks in order.
    ///
    /// Pixels whose logit lies within the noise of f32 may flip ([`Limit::mask_pixels`]); a mask whose run
    /// lengths have the reference's hash is equal in every pixel. What a flip can do at most bounds the rest:
    /// it moves the area by one, the number of runs by two, and each of the two counts in a stability score by
    /// one. On WebGPU a flip in the confident area may spare or cost a point.
    pub fn compare(&self, points: usize, run: &[RunMask], device: Device) -> Report {
        let mut rows = vec![
            Row::at_most(
                "points decoded",
                points.abs_diff(self.points) as f64,
                if device == Device::Cpu { 0.0 } else { 2.0 },
            ),
            Row::at_most("masks", run.len().abs_diff(self.masks.len()) as f64, 0.0),
        ];
        let [width, height] = self.image;
        let flips = Limit::mask_pixels(device) * f64::from(width) * f64::from(height);
        for (index, (expected, run)) in self.masks.iter().zip(run).enumerate() {
            let row =
                |what: &str, differ: f64, bound: f64| Row::at_most(&format!("mask {index} {what}"), differ, bound);
            rows.push(row("point", worst(&run.point, &expected.point_coords[0]), 1e-3));
            rows.push(row("score", (run.predicted_iou - expected.predicted_iou).abs(), 1e-4));
            let same = sha256_of(&run.counts) == expected.rle_sha256;
            rows.push(row("box", worst(&run.references_bbox(), &expected.bbox), if same { 0.0 } else { 1.0 }));
            let stability = (run.stability_score - expected.stability_score).abs();
            rows.push(row("stability", stability, 2.0 * flips / expected.area.max(1) as f64));
            let area = run.area.abs_diff(expected.area) as f64;
            let runs = run.counts.len().abs_diff(expected.rle_runs) as f64;
            rows.push(row("area", area, if same { 0.0 } else { flips }));
            rows.push(row("runs", runs, if same { 0.0 } else { 2.0 * flips }));
        }
        Report { rows }
    }
}

/// The largest difference; NaN if there is one.
fn worst(ours: &[f64], theirs: &[f64]) -> f64 {
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |worst, next| if next <= worst { worst } else { next })
}

/// As the golden hashes run lengths.
fn sha256_of(counts: &[u32]) -> String {
    use sha2::{Digest, Sha256};
    let text: Vec<String> = counts.iter().map(u32::to_string).collect();
    crate::hex(&Sha256::digest(text.join(",")))
}
