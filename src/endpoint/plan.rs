//! A request and the sides of its picture → the one thing to run.

use super::schema::*;

/// What to run on a picture, and what to show of it. Coordinates are pixels of the original picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The side at which the network runs: a multiple of 64 in 64..=1024.
    pub size: u32,
    pub mode: Mode,
    /// Holes and islands under so many pixels are removed; 0 removes nothing.
    pub min_mask_region_area: u32,
    /// What the picture of the answer shows.
    pub output: Picture,
    /// Whether the answer lists the masks one by one.
    pub return_masks: bool,
}

/// fal's order: boxes win over points, points over everything.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// One prompt for each `[x, y, w, h]`, decoded as one batch.
    Boxes { boxes: Vec<[f32; 4]>, choice: Choice },
    /// One joint prompt of all points (`[x, y]`, label 1 or 0) and perhaps a box.
    Points { points: Vec<([f32; 2], u8)>, refines: Option<[f32; 4]>, choice: Choice },
    /// The hierarchical everything mode.
    Everything { points_per_side: u32, pred_iou_thresh: f32, stability_score_thresh: f32 },
}

/// Which of the three masks of a prompt are answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// All three, or the best alone.
    pub multimask: bool,
    /// A mask with a lower predicted IoU is left out, except for the best: an empty picture is the worse surprise.
    pub confidence: f32,
}

impl Choice {
    /// Which masks of one prompt to keep, by their predicted IoU, in their order; and a line where the best is under
    /// the threshold.
    pub fn keep(&self, scores: &[f32]) -> (Vec<usize>, Option<Log>) {
        let Some((best, score)) = scores.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)) else {
            return (Vec::new(), None);
        };
        let kept = |index: &usize| *index == best || (self.multimask && scores[*index] >= self.confidence);
        let log = (score < self.confidence).then(|| {
            Log::warn(format!(
                "the best mask has a predicted IoU of {score:.3}, under the confidence of {}: it is shown all the same",
                self.confidence
            ))
        });
        ((0..scores.len()).filter(kept).collect(), log)
    }
}

/// Decides what `request` runs on a picture of `width` × `height` pixels.
///
/// # Errors
/// A fault for each point, and each box, that lies outside the picture.
pub fn plan(request: &Request, width: u32, height: u32) -> Result<(Plan, Vec<Log>), Vec<Fault>> {
    let mut logs = Vec::new();
    let mut faults = Vec::new();
    let (w, h) = (f64::from(width), f64::from(height));
    let size = format!("the picture has {width} x {height} pixels");

    let mut boxes = Vec::with_capacity(request.boxes.len());
    for (index, &[x, y, bw, bh]) in request.boxes.iter().enumerate() {
        let [x0, y0, x1, y1] = [x.max(0.0), y.max(0.0), (x + bw).min(w), (y + bh).min(h)];
        if x0 >= x1 || y0 >= y1 {
            let msg = format!("The box lies outside the picture: {size}");
            faults.push(Fault::field("box_prompt", "value_error", msg).at(index));
            continue;
        }
        if [x0, y0, x1, y1] != [x, y, x + bw, y + bh] {
            logs.push(Log::info(format!("box {index} is clipped: {size}")));
        }
        boxes.push([x0, y0, x1 - x0, y1 - y0].map(|side| side as f32));
    }
    let joint = request.combine == Combine::Joint;
    let boxes_alone = !request.boxes.is_empty() && !joint;
    let mut points = Vec::with_capacity(request.points.len());
    if !boxes_alone {
        for (index, (&[x, y], &label)) in request.points.iter().zip(&request.labels).enumerate() {
            if (0.0..=w).contains(&x) && (0.0..=h).contains(&y) {
                points.push(([x as f32, y as f32], label));
            } else {
                let msg = format!("The point lies outside the picture: {size}");
                faults.push(Fault::field("point_prompt", "value_error", msg).at(index));
            }
        }
    } else if !request.points.is_empty() {
        logs.push(Log::warn("boxes win over points: the points are left out (`combine: \"joint\"` uses both)"));
    }
    if !faults.is_empty() {
        return Err(faults);
    }

    let choice = Choice { multimask: request.multimask, confidence: request.confidence as f32 };
    let mode = if !points.is_empty() {
        Mode::Points { points, refines: boxes.first().copied(), choice }
    } else if !boxes.is_empty() {
        Mode::Boxes { boxes, choice }
    } else {
        Mode::Everything {
            points_per_side: request.points_per_side,
            pred_iou_thresh: pred_iou_thresh(request, &mut logs) as f32,
            stability_score_thresh: request.stability_score_thresh as f32,
        }
    };
    let plan = Plan {
        size: request.size,
        mode,
        min_mask_region_area: request.min_mask_region_area,
        output: request.output,
        return_masks: request.return_masks,
    };
    Ok((plan, logs))
}

/// Everything mode's threshold: its own field, else `confidence` where that is not fal's default, else the paper's.
fn pred_iou_thresh(request: &Request, logs: &mut Vec<Log>) -> f64 {
    if let Some(threshold) = request.pred_iou_thresh {
        return threshold;
    }
    if request.confidence != CONFIDENCE {
        return request.confidence;
    }
    logs.push(Log::info(format!(
        "everything: masks with a predicted IoU over {PRED_IOU_THRESH}; set `confidence` for another threshold"
    )));
    PRED_IOU_THRESH
}
