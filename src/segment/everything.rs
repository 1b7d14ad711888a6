//! Hierarchical segmenting of everything, the paper's contribution (arXiv 2312.13789, section 3.3;
//! tinysam/hierarchical_mask_generator.py).
//!
//! A coarse grid of points first; then, around each of its points, those of the full grid that no confident mask
//! already covers. Fewer than half of the points of the full grid are usually left.
//!
//! The order of points, filters and masks is the reference's. It does not handle pictures without a second round or
//! without a surviving mask; we do.

use burn::tensor::{Int, Tensor, TensorData};

use super::{BATCH, Embedding, Mask, Prompt, Sam, read};
use crate::mask::{Bitmap, Cutoffs, nms, survey};
use crate::model::{Attended, MASKS};
use crate::{Error, Result};

/// How everything is segmented. The defaults are the paper's.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// Points of the full grid along each side, a multiple of 4; the coarse grid has a quarter of them.
    pub points_per_side: u32,
    /// Masks of a lower predicted IoU are left out.
    pub pred_iou_thresh: f32,
    /// Masks of a lower stability score are left out.
    pub stability_score_thresh: f32,
    /// How far the logits' threshold is moved for the stability score.
    pub stability_score_offset: f32,
    /// Logits over this are confident: the second round spares the area.
    pub high_score_thresh: f32,
    /// Of two masks whose boxes overlap more than this (IoU), the better one stays.
    pub box_nms_thresh: f32,
    /// Islands and holes of fewer pixels are removed; 0 leaves masks as they are.
    pub min_mask_region_area: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            points_per_side: 32,
            pred_iou_thresh: 0.88,
            stability_score_thresh: 0.95,
            stability_score_offset: 1.0,
            high_score_thresh: 8.5,
            box_nms_thresh: 0.7,
            min_mask_region_area: 0,
        }
    }
}

impl Options {
    fn check(&self) -> Result<()> {
        let side = self.points_per_side;
        if !(4..=128).contains(&side) || !side.is_multiple_of(4) {
            return Err(Error::OptionInvalid(format!("points_per_side {side}; it must be a multiple of 4 up to 128")));
        }
        let numbers = [
            ("pred_iou_thresh", self.pred_iou_thresh),
            ("stability_score_thresh", self.stability_score_thresh),
            ("stability_score_offset", self.stability_score_offset),
            ("high_score_thresh", self.high_score_thresh),
            ("box_nms_thresh", self.box_nms_thresh),
        ];
        match numbers.iter().find(|(_, value)| !value.is_finite()) {
            Some((name, value)) => Err(Error::OptionInvalid(format!("{name} {value}; it must be a finite number"))),
            None => Ok(()),
        }
    }
}

/// What one batch of points brought.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Masks that passed the filters, best first. Some will lose to later ones in the non-maximum suppression.
    pub masks: &'a [Mask],
    /// Points decoded so far.
    pub done: usize,
    /// Points in all, as far as known: the second round's are counted once it begins.
    pub total: usize,
}

impl Sam {
    /// Segments everything in a picture: masks by predicted IoU, best first.
    ///
    /// `on_batch` is awaited after each batch of points; an error from it ends the work and is returned.
    ///
    /// # Errors
    /// `option_invalid`; as the device has them.
    pub async fn everything(
        &self,
        embedding: &Embedding,
        options: &Options,
        mut on_batch: impl AsyncFnMut(Batch<'_>) -> Result<()>,
    ) -> Result<Vec<Mask>> {
        options.check()?;
        let (width, height) = embedding.frame.original;
        let coarse = coarse_grid(options.points_per_side / 4, width, height);
        let mut confident = Bitmap::new(width, height);
        let mut total = coarse.len();
        let mut done = 0;

        let mut first = Vec::new();
        for points in coarse.chunks(BATCH) {
            let masks = self.decode_points(embedding, points, options, Some(&mut confident)).await?;
            done += points.len();
            on_batch(Batch { masks: &masks, done, total }).await?;
            first.extend(masks);
        }
        let fine = fine_points(&coarse, options.points_per_side, &confident);
        drop(confident);
        total += fine.len();
        // The reference puts the second round's masks first: it matters where scores are equal.
        let mut masks = Vec::new();
        for points in fine.chunks(BATCH) {
            let batch = self.decode_points(embedding, points, options, None).await?;
            done += points.len();
            on_batch(Batch { masks: &batch, done, total }).await?;
            masks.extend(batch);
        }
        masks.extend(first);
        let masks = suppress(masks, |m| m.score, options.box_nms_thresh);
        Ok(match options.min_mask_region_area {
            0 => masks,
            area => tidy(masks, area, options.box_nms_thresh),
        })
    }

    /// Decodes a batch of single foreground points and filters their masks, best first; unites the confident area of
    /// those that stay.
    async fn decode_points(
        &self,
        embedding: &Embedding,
        points: &[[f64; 2]],
        options: &Options,
        mut confident: Option<&mut Bitmap>,
    ) -> Result<Vec<Mask>> {
        let frame = embedding.frame;
        let prompts: Vec<Prompt> = points.iter().map(|[x, y]| Prompt::point(*x as f32, *y as f32)).collect();
        let inputs: Vec<_> = prompts.iter().map(|p| p.resolve(&frame)).collect::<Result<_>>()?;
        let attended = self.attend(embedding, &inputs, &prompts);
        let scores = read(self.model.mask_decoder.scores(&attended)).await?; // [B, 4]
        let wanted = |score: f32| score > options.pred_iou_thresh;

        // Scores depend on the tokens alone, so a point whose three scores all fail is never upscaled.
        let hopeful: Vec<usize> =
            (0..points.len()).filter(|i| scores[i * MASKS + 1..(i + 1) * MASKS].iter().any(|s| wanted(*s))).collect();
        if hopeful.is_empty() {
            return Ok(Vec::new());
        }
        let attended = if hopeful.len() == points.len() { attended } else { attended.select(&hopeful) };
        let logits = read(self.model.mask_decoder.masks(&attended)).await?; // [hopeful, 4, S/4, S/4]
        let one = logits.len() / (hopeful.len() * MASKS);

        let cutoffs = Cutoffs {
            stability_offset: options.stability_score_offset,
            confident: confident.is_some().then_some(options.high_score_thresh),
            ..Cutoffs::default()
        };
        let mut masks = Vec::new();
        for (point, logits) in hopeful.iter().zip(logits.chunks_exact(one * MASKS)) {
            for i in 1..MASKS {
                let score = scores[point * MASKS + i];
                if !wanted(score) {
                    continue;
                }
                let logits = &logits[i * one..][..one];
                let survey = survey(logits, &frame, &cutoffs);
                if survey.stability < options.stability_score_thresh {
                    continue;
                }
                if let (Some(all), Some(area)) = (confident.as_deref_mut(), &survey.confident) {
                    all.unite(area);
                }
                let mut mask = Mask::surveyed(frame, score, logits, &survey);
                mask.point = Some(points[*point]);
                masks.push(mask);
            }
        }
        masks.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(masks)
    }
}

impl Attended {
    /// Some prompts of the batch.
    fn select(self, prompts: &[usize]) -> Self {
        let index: Vec<i32> = prompts.iter().map(|i| *i as i32).collect();
        let index = Tensor::<1, Int>::from_data(TensorData::new(index, [prompts.len()]), &self.queries.device());
        Attended { queries: self.queries.select(0, index.clone()), keys: self.keys.select(0, index) }
    }
}

/// The centres of a grid of `side`² cells, row by row, in original pixels.
fn coarse_grid(side: u32, width: u32, height: u32) -> Vec<[f64; 2]> {
    let at = |i: u32, length: u32| (i as f64 + 0.5) / side as f64 * length as f64;
    (0..side).flat_map(|y| (0..side).map(move |x| [at(x, width), at(y, height)])).collect()
}

/// Around each coarse point its neighbours on the full grid that lie outside the confident area: offsets −1, 0, 1 and,
/// inside the picture, 2, in both directions. In the reference's order, which walks x before y.
fn fine_points(coarse: &[[f64; 2]], points_per_side: u32, confident: &Bitmap) -> Vec<[f64; 2]> {
    let (width, height) = (confident.width(), confident.height());
    // Whole pixels, as the reference divides. A side of fewer pixels than points has no points between: a stride of 0
    // would visit the coarse points again.
    let (dx, dy) = (width / points_per_side, height / points_per_side);
    let offsets = |stride: u32| -> &[i32] { if stride == 0 { &[0] } else { &[-1, 0, 1, 2] } };
    // First the inner square, then the column, the row and the corner at offset 2.
    let group = |(i, j): (i32, i32)| match (i, j) {
        (2, 2) => 3,
        (_, 2) => 2,
        (2, _) => 1,
        _ => 0,
    };
    let mut around: Vec<(i32, i32)> =
        offsets(dx).iter().flat_map(|i| offsets(dy).iter().map(|j| (*i, *j))).filter(|at| *at != (0, 0)).collect();
    around.sort_by_key(|at| group(*at)); // stable: within a group the order stays
    let neighbour = |[x, y]: [f64; 2], (i, j): (i32, i32)| [x + (i * dx as i32) as f64, y + (j * dy as i32) as f64];
    coarse
        .iter()
        .flat_map(|point| around.iter().map(|offset| neighbour(*point, *offset)))
        .filter(|[x, y]| *x < width as f64 && *y < height as f64)
        .filter(|[x, y]| !confident.get(*x as u32, *y as u32))
        .collect()
}

/// Non-maximum suppression over the masks' boxes, best score first.
fn suppress(masks: Vec<Mask>, score: impl Fn(&Mask) -> f32, threshold: f32) -> Vec<Mask> {
    let boxes: Vec<[u32; 4]> = masks.iter().map(|m| m.bbox).collect();
    let scores: Vec<f32> = masks.iter().map(score).collect();
    let mut masks: Vec<Option<Mask>> = masks.into_iter().map(Some).collect();
    nms(&boxes, &scores, threshold as f64).into_iter().filter_map(|i| masks[i].take()).collect()
}

/// Removes small regions, then duplicates that this made, preferring masks that it left alone.
fn tidy(masks: Vec<Mask>, area: u32, threshold: f32) -> Vec<Mask> {
    let masks = masks.into_iter().map(|mask| mask.without_small_regions(area)).filter(|mask| mask.area > 0).collect();
    suppress(masks, |m| m.edited.is_none() as u8 as f32, threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_grid_runs_along_rows() {
        assert_eq!(coarse_grid(2, 40, 20), [[10.0, 5.0], [30.0, 5.0], [10.0, 15.0], [30.0, 15.0]]);
    }

    #[test]
    fn fine_points_walk_in_the_reference_order() {
        let bitmap = Bitmap::new(40, 40);
        let points = fine_points(&[[10.0, 20.0]], 4, &bitmap);
        let expected = [
            [0.0, 10.0],
            [0.0, 20.0],
            [0.0, 30.0],
            [10.0, 10.0],
            [10.0, 30.0],
            [20.0, 10.0],
            [20.0, 20.0],
            [20.0, 30.0],
            [30.0, 10.0],
            [30.0, 20.0],
            [30.0, 30.0],
        ];
        // y + 2·10 lies outside, x + 2·10 does not.
        assert_eq!(points, expected);
    }

    #[test]
    fn confident_pixels_are_spared() {
        let all = Bitmap::from_fn(40, 40, |_, _| true);
        assert!(fine_points(&coarse_grid(1, 40, 40), 4, &all).is_empty());
        let left = Bitmap::from_fn(40, 40, |x, _| x < 20);
        assert!(fine_points(&coarse_grid(1, 40, 40), 4, &left).iter().all(|[x, _]| *x >= 20.0));
    }

    #[test]
    fn a_side_of_few_pixels_has_no_points_between() {
        assert!(fine_points(&coarse_grid(8, 1, 1), 32, &Bitmap::new(1, 1)).is_empty());
        // A panorama of 1 pixel by 320: only along its length.
        let points = fine_points(&coarse_grid(8, 320, 1), 32, &Bitmap::new(320, 1));
        assert!(!points.is_empty() && points.iter().all(|[_, y]| *y < 1.0));
    }
}
