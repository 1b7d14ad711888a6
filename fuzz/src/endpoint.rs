//! A request to fal's endpoint, from its JSON to its plan.

use tinysam::endpoint::plan::plan;
use tinysam::endpoint::schema::{Fault, Loc, MAX_PROMPTS};
use tinysam::endpoint::validate::validate;
use tinysam::endpoint::{Mode, Plan};
use tinysam::image::{MAX_MODEL_SIDE, SIDE_STEP};

use crate::number;

/// A picture's two sides and a request.
pub fn request(input: &[u8]) {
    let Some((width, rest)) = number(input) else { return };
    let Some((height, rest)) = number(rest) else { return };
    let Ok(json) = serde_json::from_slice(rest) else { return };
    let (width, height) = (u32::from(width).max(1), u32::from(height).max(1));
    let (request, _) = match validate(&json) {
        Ok(valid) => valid,
        Err(faults) => return told(&faults),
    };
    assert!(request.size.is_multiple_of(SIDE_STEP) && (SIDE_STEP..=MAX_MODEL_SIDE).contains(&request.size));
    assert!((0.0..=1.0).contains(&request.confidence));
    assert!(request.points.len() == request.labels.len() && request.points.len() <= MAX_PROMPTS);
    assert!(request.boxes.len() <= MAX_PROMPTS && request.boxes.iter().all(|b| b[2] > 0.0 && b[3] > 0.0));
    match plan(&request, width, height) {
        Ok((plan, _)) => runs(&plan, width as f32, height as f32),
        Err(faults) => told(&faults),
    }
}

/// What a plan asks of the engine is what the engine takes: prompts inside the picture, boxes that cover something.
fn runs(plan: &Plan, width: f32, height: f32) {
    let covers = |&[x, y, w, h]: &[f32; 4]| {
        [x, y, w, h].iter().all(|side| side.is_finite())
            && (x + w).min(width) > x.max(0.0)
            && (y + h).min(height) > y.max(0.0)
    };
    match &plan.mode {
        Mode::Boxes { boxes, .. } => assert!(!boxes.is_empty() && boxes.iter().all(covers), "{boxes:?}"),
        Mode::Points { points, refines, .. } => {
            assert!(!points.is_empty() && refines.iter().all(covers), "{refines:?}");
            let inside = |&([x, y], label): &([f32; 2], u8)| {
                (0.0..=width).contains(&x) && (0.0..=height).contains(&y) && label <= 1
            };
            assert!(points.iter().all(inside), "{points:?}");
        }
        &Mode::Everything { points_per_side, pred_iou_thresh, stability_score_thresh } => {
            assert!(points_per_side.is_multiple_of(4) && (4..=128).contains(&points_per_side));
            assert!((0.0..=1.0).contains(&pred_iou_thresh) && (0.0..=1.0).contains(&stability_score_thresh));
        }
    }
}

/// Faults are some, few, of the body, and can be sent.
fn told(faults: &[Fault]) {
    assert!(!faults.is_empty());
    for fault in faults {
        assert_eq!(fault.loc.first(), Some(&Loc::Field("body")));
        let sent = serde_json::to_string(fault).expect("a fault is JSON");
        assert!(sent.len() < 1000, "{sent}");
    }
}
