//! Hierarchical segmenting of everything, the paper's contribution (arXiv 2312.13789, section 3.3;
//! tinysam/hierarchical_mask_generator.py).
//!
//! A coarse grid of points first; then, around each of its points, those of the full grid that no confident mask
//! already covers. Fewer than half of the points of the full grid are usually left.
//!
//! The order of points, filters and masks is the reference's. It does not handle pictures without a second round or
//! without a surviving mask; we do.

use std::sync::{Arc, Weak};

use super::answer::ambiguous;
use super::mask::Source;
use super::{Embedding, Mask, Prompt, Sam};
use crate::image::Frame;
use crate::mask::{Bitmap, Cutoffs, nms};
use crate::{Error, Result};

/// How everything is segmented. The defaults are the paper's.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
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
    /// Of two masks whose boxes overlap more than this (IoU), the better one stays. f64, as the reference has it: 0.6 in
    /// f32 is over 3/5, which many pairs of boxes overlap by.
    pub box_nms_thresh: f64,
    /// Islands and holes of fewer pixels are removed, but for a mask's largest island; 0 leaves masks as they are.
    pub min_mask_region_area: u32,
}

impl Options {
    /// The paper's `pred_iou_thresh`.
    pub const PRED_IOU_THRESH: f64 = 0.88;
    /// The paper's `stability_score_thresh`.
    pub const STABILITY_SCORE_THRESH: f64 = 0.95;
    /// The paper's `points_per_side`.
    pub const POINTS_PER_SIDE: u32 = 32;
    /// What `points_per_side` must be a multiple of: the coarse grid is as much coarser.
    pub const POINTS_STEP: u32 = 4;
    /// The largest `points_per_side`.
    pub const MAX_POINTS_PER_SIDE: u32 = 128;
}

/// `crop_nms_thresh` of the reference, below which the overlap of masks whose small regions were removed does not count
/// whatever `box_nms_thresh` is.
const TIDY_NMS_THRESH: f64 = 0.7;

impl Default for Options {
    fn default() -> Self {
        Options {
            points_per_side: Self::POINTS_PER_SIDE,
            pred_iou_thresh: Self::PRED_IOU_THRESH as f32,
            stability_score_thresh: Self::STABILITY_SCORE_THRESH as f32,
            stability_score_offset: 1.0,
            high_score_thresh: 8.5,
            box_nms_thresh: 0.7,
            min_mask_region_area: 0,
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<()> {
        let (side, step, most) = (self.points_per_side, Self::POINTS_STEP, Self::MAX_POINTS_PER_SIDE);
        if !(step..=most).contains(&side) || !side.is_multiple_of(step) {
            let text = format!("points_per_side {side}; it must be a multiple of {step} from {step} to {most}");
            return Err(Error::OptionInvalid(text));
        }
        let numbers = [
            ("pred_iou_thresh", self.pred_iou_thresh),
            ("stability_score_thresh", self.stability_score_thresh),
            ("stability_score_offset", self.stability_score_offset),
            ("high_score_thresh", self.high_score_thresh),
            ("box_nms_thresh", self.box_nms_thresh as f32),
        ];
        match numbers.iter().find(|(_, value)| !value.is_finite()) {
            Some((name, value)) => Err(Error::OptionInvalid(format!("{name} {value}; it must be a finite number"))),
            None => Ok(()),
        }
    }
}

/// Bytes of candidates' pixels that are held until all are compared. Those over it are let go, and decoded again if they
/// are among the results.
const CANDIDATES_HELD: usize = 64 << 20;
/// Bytes of results' pixels; at a typical 5 to 20 kB for a mask of twelve megapixels some ten thousand masks.
const RESULTS_HELD: usize = 128 << 20;
/// Masks whose small regions are removed between two pauses.
const TIDIED_AT_ONCE: usize = 4;

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

/// A mask that passed the filters, until it is compared with all others.
struct Candidate {
    score: f32,
    bbox: [u32; 4],
    point: [f64; 2],
    source: Source,
    /// Let go where the pixels of all would be too many.
    mask: Option<Mask>,
}

impl Sam {
    /// Segments everything in a picture: masks by predicted IoU, best first, each of at least one pixel.
    ///
    /// `on_batch` is awaited after each batch of points, and while masks are tidied in the end; an error from it ends the
    /// work and is returned.
    ///
    /// # Errors
    /// `option_invalid`; `out_of_memory` where the masks that were asked for take more than 128 MiB; as the device has
    /// them.
    pub async fn everything(
        &self,
        embedding: &Embedding,
        options: &Options,
        mut on_batch: impl AsyncFnMut(Batch<'_>) -> Result<()>,
    ) -> Result<Vec<Mask>> {
        options.check()?;
        let Frame { original: (width, height), crop, .. } = embedding.frame;
        let coarse = coarse_grid(options.points_per_side / Options::POINTS_STEP, crop);
        let mut confident = Bitmap::new(width, height);
        let mut total = coarse.len();
        let mut held = 0;

        let first = self
            .candidates(embedding, &coarse, options, Some(&mut confident), &mut held, async |masks: &[Mask], done| {
                on_batch(Batch { masks, done, total }).await
            })
            .await?;
        let fine = fine_points(&coarse, options.points_per_side, crop, &confident);
        drop(confident);
        total += fine.len();
        // The reference puts the second round's masks first: it matters where scores are equal.
        let mut candidates = self
            .candidates(embedding, &fine, options, None, &mut held, async |masks: &[Mask], done| {
                on_batch(Batch { masks, done: coarse.len() + done, total }).await
            })
            .await?;
        candidates.extend(first);

        let candidates = suppress(candidates, |c| (c.bbox, c.score), options.box_nms_thresh);
        let mut pause = async || on_batch(Batch { masks: &[], done: total, total }).await;
        let masks = self.masks_of(embedding, candidates, options, &mut pause).await?;
        match options.min_mask_region_area {
            0 => Ok(masks),
            area => tidied(masks, area, options.box_nms_thresh, pause).await,
        }
    }

    /// Decodes single foreground points and filters their masks, best first within a batch; unites the confident area of
    /// those that stay. `held` counts the bytes of the masks that are kept.
    async fn candidates(
        &self,
        embedding: &Embedding,
        points: &[[f64; 2]],
        options: &Options,
        mut confident: Option<&mut Bitmap>,
        held: &mut usize,
        mut on_batch: impl AsyncFnMut(&[Mask], usize) -> Result<()>,
    ) -> Result<Vec<Candidate>> {
        let prompts: Vec<Prompt> = points.iter().map(|[x, y]| Prompt::point(*x as f32, *y as f32)).collect();
        let wanted = |score: f32| score > options.pred_iou_thresh;
        let cutoffs = Cutoffs {
            stability_offset: options.stability_score_offset,
            confident: confident.is_some().then_some(options.high_score_thresh),
            ..Cutoffs::default()
        };
        let mut candidates = Vec::new();
        let mut batches = self.decode(embedding, &prompts, Some(options.pred_iou_thresh))?;
        while let Some(batch) = batches.next().await? {
            let mut masks = Vec::new();
            for answered in batch.answers() {
                let prompt = Arc::new(prompts[answered.prompt].clone());
                for token in ambiguous().filter(|token| wanted(answered.scores[*token])) {
                    let (score, logits) = (answered.scores[token], answered.logits(token));
                    let source = Source { prompt: prompt.clone(), token, attended: Weak::new() };
                    let (mut mask, area) = Mask::measured(&embedding.frame, source, score, logits, &cutoffs);
                    // Neither is a mask of nothing kept where any stability is wanted.
                    if mask.area == 0 || mask.stability < options.stability_score_thresh {
                        continue;
                    }
                    if let (Some(all), Some(area)) = (confident.as_deref_mut(), &area) {
                        all.unite(area);
                    }
                    mask.point = Some(points[answered.prompt]);
                    masks.push(mask);
                }
            }
            let done = batch.done;
            drop(batch);
            masks.sort_by(|a, b| b.score.total_cmp(&a.score));
            on_batch(&masks, done).await?;
            candidates.extend(masks.into_iter().map(|mask| Candidate::new(mask, held)));
        }
        Ok(candidates)
    }

    /// The masks of candidates, in their order; those that were let go are decoded again.
    async fn masks_of(
        &self,
        embedding: &Embedding,
        candidates: Vec<Candidate>,
        options: &Options,
        pause: &mut impl AsyncFnMut() -> Result<()>,
    ) -> Result<Vec<Mask>> {
        let mut held = 0;
        let mut room = |mask: &Mask| {
            held += mask.runs.bytes();
            match held > RESULTS_HELD {
                true => Err(Error::OutOfMemory(format!(
                    "{} masks of a picture this large; raise the thresholds, or take fewer points",
                    candidates.len()
                ))),
                false => Ok(()),
            }
        };
        candidates.iter().filter_map(|candidate| candidate.mask.as_ref()).try_for_each(&mut room)?;
        let gone: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.mask.is_none()).collect();
        let prompts: Vec<Prompt> = gone.iter().map(|candidate| candidate.source.prompt.as_ref().clone()).collect();
        let mut again = Vec::with_capacity(gone.len());
        let cutoffs = Cutoffs { stability_offset: options.stability_score_offset, ..Cutoffs::default() };
        let mut batches = self.decode(embedding, &prompts, None)?;
        while let Some(batch) = batches.next().await? {
            for answered in batch.answers() {
                let Candidate { score, source, point, .. } = gone[answered.prompt];
                let logits = answered.logits(source.token);
                let frame = &embedding.frame;
                let mut mask = Mask::measured(frame, source.clone(), *score, logits, &cutoffs).0;
                mask.point = Some(*point);
                room(&mask)?;
                again.push(mask);
            }
            drop(batch);
            pause().await?;
        }
        let mut again = again.into_iter();
        Ok(candidates.into_iter().filter_map(|candidate| candidate.mask.or_else(|| again.next())).collect())
    }
}

impl Candidate {
    /// Of a mask, which is kept while all that are `held` are not too large.
    fn new(mask: Mask, held: &mut usize) -> Self {
        let room = *held + mask.runs.bytes() <= CANDIDATES_HELD;
        if room {
            *held += mask.runs.bytes();
        }
        Candidate {
            score: mask.score,
            bbox: mask.bbox,
            point: mask.point.unwrap_or_default(),
            source: mask.source.clone(),
            mask: room.then_some(mask),
        }
    }
}

/// The centres of a grid of `side`² cells over what the network saw, row by row, in original pixels.
fn coarse_grid(side: u32, [left, top, width, height]: [u32; 4]) -> Vec<[f64; 2]> {
    let at = |i: u32, first: u32, length: u32| first as f64 + (i as f64 + 0.5) / side as f64 * length as f64;
    (0..side).flat_map(|y| (0..side).map(move |x| [at(x, left, width), at(y, top, height)])).collect()
}

/// Around each coarse point its neighbours on the full grid that lie outside the confident area: offsets −1, 0, 1 and,
/// inside of what the network saw, 2, in both directions. In the reference's order, which walks x before y.
fn fine_points(coarse: &[[f64; 2]], points_per_side: u32, crop: [u32; 4], confident: &Bitmap) -> Vec<[f64; 2]> {
    let [left, top, width, height] = crop;
    let (right, bottom) = ((left + width) as f64, (top + height) as f64);
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
        .filter(|[x, y]| *x < right && *y < bottom)
        .filter(|[x, y]| !confident.get(*x as u32, *y as u32))
        .collect()
}

/// Non-maximum suppression over masks' boxes, best score first.
fn suppress<T>(all: Vec<T>, told: impl Fn(&T) -> ([u32; 4], f32), threshold: f64) -> Vec<T> {
    let (boxes, scores): (Vec<_>, Vec<_>) = all.iter().map(told).unzip();
    let mut all: Vec<Option<T>> = all.into_iter().map(Some).collect();
    nms(&boxes, &scores, threshold).into_iter().filter_map(|i| all[i].take()).collect()
}

/// Removes small regions, then duplicates that this made, preferring masks that it left alone; best first again.
async fn tidied(
    masks: Vec<Mask>,
    area: u32,
    threshold: f64,
    mut pause: impl AsyncFnMut() -> Result<()>,
) -> Result<Vec<Mask>> {
    let mut tidy = Vec::with_capacity(masks.len());
    for (mask, i) in masks.into_iter().zip(1..) {
        let mask = mask.without_small_regions(area);
        if mask.area > 0 {
            tidy.push(mask);
        }
        if i % TIDIED_AT_ONCE == 0 {
            pause().await?;
        }
    }
    let untouched = |mask: &Mask| (mask.bbox, if mask.edited { 0.0 } else { 1.0 });
    let mut masks = suppress(tidy, untouched, threshold.max(TIDY_NMS_THRESH));
    masks.sort_by(|a, b| b.score.total_cmp(&a.score)); // stable: of equals the untouched one stays first
    Ok(masks)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use futures_lite::future::block_on;
    use tinysam_golden::{formula, synth};

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::image::Image;
    use crate::mask::LowRes;

    /// A mask of these pixels on a picture of 64 × 64, as its logits would say it.
    fn mask(score: f32, is_set: impl Fn(u32, u32) -> bool) -> Mask {
        let frame = Frame::new(64, 64, 256).unwrap();
        let logits: Vec<f32> = (0..64 * 64).map(|i| if is_set(i % 64, i / 64) { 10.0 } else { -10.0 }).collect();
        let source = Source { prompt: Arc::default(), token: 1, attended: Weak::new() };
        Mask::measured(&frame, source, score, LowRes::whole(&logits, &frame), &Cutoffs::default()).0
    }

    fn tidy(masks: Vec<Mask>, area: u32, threshold: f64) -> Vec<Mask> {
        block_on(tidied(masks, area, threshold, async || Ok(()))).unwrap()
    }

    fn scores(masks: &[Mask]) -> Vec<f32> {
        masks.iter().map(|m| m.score).collect()
    }

    #[test]
    fn the_better_of_two_that_overlap_stays() {
        let left = |x: u32, _: u32| x < 30;
        let masks = || vec![mask(0.5, left), mask(0.9, |x, _| x < 29), mask(0.7, |x, _| x >= 32)];
        assert_eq!(scores(&suppress(masks(), |m| (m.bbox, m.score), 0.7)), [0.9, 0.7]);
        assert_eq!(scores(&suppress(masks(), |m| (m.bbox, m.score), 0.99)), [0.9, 0.7, 0.5]);
    }

    #[test]
    fn tidying_keeps_the_order_and_prefers_the_untouched() {
        let disc = |x: u32, y: u32| x.abs_diff(16).pow(2) + y.abs_diff(16).pow(2) < 100;
        let specked = |x: u32, y: u32| disc(x, y) || (x, y) == (16, 40);
        let far = |x: u32, y: u32| (40..60).contains(&x) && (40..60).contains(&y);
        let holed = |x: u32, y: u32| far(x, y) && (x, y) != (50, 50);
        // The best loses its speck, and then to the same disc, which had none; its neighbour loses its hole and stays.
        let masks = vec![mask(0.9, specked), mask(0.8, holed), mask(0.7, disc)];
        let tidied = tidy(masks, 30, 0.7);
        assert_eq!(scores(&tidied), [0.8, 0.7]);
        assert!(tidied[0].bitmap().get(50, 50) && !tidied[1].edited);
        assert_eq!(tidied.iter().map(|m| m.area).collect::<Vec<_>>(), [400, tidied[1].bitmap().area()]);
        // Best first, though the edited one was compared after the untouched.
        let tidied = tidy(vec![mask(0.9, holed), mask(0.7, disc)], 30, 0.7);
        assert_eq!(scores(&tidied), [0.9, 0.7]);
        // A mask of small islands alone keeps the largest; one of nothing goes.
        let islands = |x: u32, y: u32| (x < 3 && y < 3) || (x == 60 && y == 60);
        let tidied = tidy(vec![mask(0.9, islands), mask(0.8, |_, _| false)], 1000, 0.7);
        assert_eq!((scores(&tidied), tidied[0].area), (vec![0.9], 9));
    }

    #[test]
    fn tidying_suppresses_no_more_than_the_reference() {
        // IoU of the boxes 0.5: over a `box_nms_thresh` of 0.4, under the reference's 0.7.
        let masks = vec![mask(0.9, |x, y| x < 21 && y < 11), mask(0.8, |x, y| x < 11 && y < 11)];
        assert_eq!(tidy(masks, 1, 0.4).len(), 2);
    }

    /// Masks for which there was no room are decoded again, and come out as if there had been.
    #[test]
    fn candidates_that_were_let_go_come_back() {
        let checkpoint = Checkpoint::from_bytes(formula::formula_safetensors(0)).unwrap();
        let sam = Sam::load(&checkpoint, &Device::flex()).unwrap();
        let image = Image::from_rgb(160, 120, synth::synth(160, 120)).unwrap();
        let embedding = block_on(sam.embed(&image, 64, async || Ok(()))).unwrap();
        let options = Options {
            pred_iou_thresh: 0.0,
            stability_score_thresh: 0.0,
            stability_score_offset: 0.25,
            ..Options::default()
        };
        let points = coarse_grid(4, [0, 0, 160, 120]);
        let masks = |mut held: usize| {
            let candidates =
                block_on(sam.candidates(&embedding, &points, &options, None, &mut held, async |_, _| Ok(()))).unwrap();
            let gone = candidates.iter().filter(|candidate| candidate.mask.is_none()).count();
            let mut pauses = 0;
            let mut pause = async || {
                pauses += 1;
                Ok(())
            };
            (block_on(sam.masks_of(&embedding, candidates, &options, &mut pause)).unwrap(), gone, pauses)
        };
        let (held, none_gone, _) = masks(0);
        assert!(held.len() > 16 && none_gone == 0);
        let one = held[0].runs.bytes();
        for (room, all) in [(0, true), (one, false)] {
            let (again, gone, pauses) = masks(CANDIDATES_HELD - room);
            assert!(pauses > 0 && if all { gone == again.len() } else { gone < again.len() });
            assert_eq!(scores(&again), scores(&held));
            for (again, held) in again.iter().zip(&held) {
                assert_eq!(again.point, held.point);
                assert!(again.area.abs_diff(held.area) <= 4, "{} {}", again.area, held.area);
                let apart = (again.stability - held.stability).abs();
                assert!(apart < 0.01, "{} {}", again.stability, held.stability);
            }
        }
    }

    /// Cloned masks share their runs: many of a large one cost nothing here, and count.
    #[test]
    fn results_are_bounded_by_what_their_pixels_take() {
        let sam =
            Sam::load(&Checkpoint::from_bytes(formula::formula_safetensors(0)).unwrap(), &Device::flex()).unwrap();
        let image = Image::from_rgb(8, 8, synth::synth(8, 8)).unwrap();
        let embedding = block_on(sam.embed(&image, 64, async || Ok(()))).unwrap();
        let checkers = Bitmap::from_fn(512, 512, |x, y| (x + y) % 2 == 0);
        let mut large = mask(0.5, |_, _| true);
        large.runs = crate::mask::Runs::encode(&checkers);
        let most = RESULTS_HELD / large.runs.bytes();
        let results = |count: usize| {
            let candidate =
                |_| Candidate { mask: Some(large.clone()), ..Candidate::new(mask(0.5, |_, _| true), &mut 0) };
            let candidates = (0..count).map(candidate).collect();
            block_on(sam.masks_of(&embedding, candidates, &Options::default(), &mut async || Ok(())))
        };
        assert_eq!(results(most).unwrap().len(), most);
        assert_eq!(results(most + 1).unwrap_err().code(), "out_of_memory");
    }

    #[test]
    fn tidying_pauses_every_few_masks() {
        let pauses = |count: usize| {
            let mut pauses = 0;
            let masks = (0..count).map(|_| mask(0.5, |x, _| x < 9)).collect();
            let pause = async || {
                pauses += 1;
                Ok(())
            };
            block_on(tidied(masks, 3, 1.0, pause)).unwrap();
            pauses
        };
        assert_eq!([0, 3, 4, 9].map(pauses), [0, 0, 1, 2]);
        let ended =
            block_on(tidied((0..4).map(|_| mask(0.5, |_, _| true)).collect(), 3, 1.0, async || Err(Error::Aborted)));
        assert_eq!(ended.unwrap_err(), Error::Aborted);
    }

    #[test]
    fn the_coarse_grid_runs_along_rows() {
        assert_eq!(coarse_grid(2, [0, 0, 40, 20]), [[10.0, 5.0], [30.0, 5.0], [10.0, 15.0], [30.0, 15.0]]);
        assert_eq!(coarse_grid(2, [7, 9, 40, 20]), [[17.0, 14.0], [37.0, 14.0], [17.0, 24.0], [37.0, 24.0]]);
    }

    #[test]
    fn fine_points_walk_in_the_reference_order() {
        let bitmap = Bitmap::new(40, 40);
        let points = fine_points(&[[10.0, 20.0]], 4, [0, 0, 40, 40], &bitmap);
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
        // Of a part of a larger picture: the same, moved.
        let moved = fine_points(&[[110.0, 70.0]], 4, [100, 50, 40, 40], &Bitmap::new(200, 200));
        assert_eq!(moved, expected.map(|[x, y]| [x + 100.0, y + 50.0]));
    }

    /// 600 is 18.75 times 32, and 400 is 12.5 times.
    #[test]
    fn strides_are_whole_pixels() {
        let points = fine_points(&[[37.5, 25.0]], 32, [0, 0, 600, 400], &Bitmap::new(600, 400));
        assert_eq!(points.first(), Some(&[37.5 - 18.0, 25.0 - 12.0]));
        assert_eq!(points.last(), Some(&[37.5 + 36.0, 25.0 + 24.0]));
        assert_eq!(points.len(), 15);
        // The last point in its row and column has none at offset 2 that is inside.
        let last = fine_points(&[[562.5, 375.0]], 32, [0, 0, 600, 400], &Bitmap::new(600, 400));
        assert_eq!((last.len(), last.last()), (15, Some(&[598.5, 399.0])));
        let last = fine_points(&[[564.0, 376.0]], 32, [0, 0, 600, 400], &Bitmap::new(600, 400));
        assert_eq!((last.len(), last.last()), (8, Some(&[582.0, 388.0])));
    }

    #[test]
    fn confident_pixels_are_spared() {
        let all = Bitmap::from_fn(40, 40, |_, _| true);
        let whole = [0, 0, 40, 40];
        assert!(fine_points(&coarse_grid(1, whole), 4, whole, &all).is_empty());
        let left = Bitmap::from_fn(40, 40, |x, _| x < 20);
        assert!(fine_points(&coarse_grid(1, whole), 4, whole, &left).iter().all(|[x, _]| *x >= 20.0));
    }

    #[test]
    fn a_side_of_few_pixels_has_no_points_between() {
        assert!(fine_points(&coarse_grid(8, [0, 0, 1, 1]), 32, [0, 0, 1, 1], &Bitmap::new(1, 1)).is_empty());
        // A panorama of 1 pixel by 320: only along its length.
        let line = [0, 0, 320, 1];
        let points = fine_points(&coarse_grid(8, line), 32, line, &Bitmap::new(320, 1));
        assert!(!points.is_empty() && points.iter().all(|[_, y]| *y < 1.0));
    }
}
