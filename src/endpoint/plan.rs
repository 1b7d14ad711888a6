//! A request and the sides of its picture → the one thing to run.

use super::schema::*;
use crate::segment::{Choice, EverythingOptions};

/// What to run on a picture, and what to show of it. Coordinates are pixels of the original picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The side at which the network runs: a multiple of 64 in 64..=1024.
    pub size: u32,
    /// What is decoded.
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
    Boxes {
        /// Inside the picture.
        boxes: Vec<[f32; 4]>,
        /// Of each prompt's masks.
        choice: Choice,
    },
    /// One joint prompt of all points and perhaps a box.
    Points {
        /// `[x, y]`, and 1 for a point on the object or 0.
        points: Vec<([f32; 2], u8)>,
        /// The box, `[x, y, w, h]`.
        refines: Option<[f32; 4]>,
        /// Of its masks.
        choice: Choice,
    },
    /// The hierarchical everything mode.
    Everything {
        /// Of the fine grid.
        points_per_side: u32,
        /// The least predicted IoU.
        pred_iou_thresh: f32,
        /// The least stability score.
        stability_score_thresh: f32,
    },
}

/// Decides what `request` runs on a picture of `width` × `height` pixels.
///
/// # Errors
/// A fault for each point that lies outside the picture, and each box that covers nothing of it.
pub fn plan(request: &Request, width: u32, height: u32) -> Result<(Plan, Vec<Log>), Vec<Fault>> {
    let mut logs = Vec::new();
    let mut faults = Vec::new();
    let (w, h) = (f64::from(width), f64::from(height));
    let size = format!("the picture has {width} x {height} pixels");

    let mut boxes = Vec::with_capacity(request.boxes.len());
    for (index, &[x, y, bw, bh]) in request.boxes.iter().enumerate() {
        let [x0, y0, x1, y1] = [x.max(0.0), y.max(0.0), (x + bw).min(w), (y + bh).min(h)];
        // As the prompt will have it: in f32 a box may cover nothing that covers something in f64.
        let clipped = [x0, y0, x1 - x0, y1 - y0].map(|side| side as f32);
        if !covers(clipped, width, height) {
            let msg = format!("The box covers nothing of the picture: {size}");
            faults.push(Fault::field("box_prompt", "value_error", msg).at(index));
            continue;
        }
        if [x0, y0, x1, y1] != [x, y, x + bw, y + bh] {
            logs.push(Log::info(format!("box {index} is clipped: {size}")));
        }
        boxes.push(clipped);
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

/// Whether a box covers something of a picture, by the reckoning of [`segment`](crate::segment)'s prompts.
fn covers([x, y, w, h]: [f32; 4], width: u32, height: u32) -> bool {
    (x + w).min(width as f32) > x.max(0.0) && (y + h).min(height as f32) > y.max(0.0)
}

/// Everything mode's threshold: its own field, else `confidence` where that is not fal's default, else the paper's.
fn pred_iou_thresh(request: &Request, logs: &mut Vec<Log>) -> f64 {
    if let Some(threshold) = request.pred_iou_thresh {
        return threshold;
    }
    if request.confidence != CONFIDENCE {
        return request.confidence;
    }
    let paper = EverythingOptions::PRED_IOU_THRESH;
    logs.push(Log::info(format!(
        "everything: masks with a predicted IoU over {paper}; set `confidence` for another threshold"
    )));
    paper
}
