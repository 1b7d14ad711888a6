//! The engine in this process against a golden: for the project's tests and for `cargo xtask verify`.

use futures_lite::future::block_on;
use tinysam::Result;
use tinysam::export::Rle;
use tinysam::image::Image;
use tinysam::segment::{Batch, EverythingOptions, Mask, Prompt, Sam, TracedPrompt};

use crate::everything::{Config, RunMask};
use crate::{Comparer, Device, Everything, Golden, Report};

/// Runs a golden's prompts on its picture and compares every tensor.
///
/// # Errors
/// As [`Sam::trace`] has them.
pub fn trace(sam: &Sam, image: &Image, golden: &Golden) -> Result<Report> {
    let prompts: Vec<_> = golden
        .prompts
        .iter()
        .map(|(name, prompt)| {
            // Another label becomes one that the engine refuses.
            let labels = prompt.labels.iter().map(|&label| u8::try_from(label).unwrap_or(u8::MAX)).collect();
            let given = Prompt { points: prompt.points.clone(), labels, bbox: prompt.bbox, mask: None };
            (name.clone(), TracedPrompt { prompt: given, mask_from: prompt.mask_from.clone() })
        })
        .collect();
    let mut comparer = Comparer::new(golden, Device::Cpu);
    let mut sink = |name: &str, shape: &[usize], data: &[f32]| comparer.observe(name, shape, data);
    block_on(sam.trace(image, golden.size, &prompts, &mut sink))?;
    Ok(comparer.finish())
}

/// Segments everything in a golden's picture and compares points and masks.
///
/// # Errors
/// As [`Sam::everything`] has them.
pub fn everything(sam: &Sam, image: &Image, golden: &Everything) -> Result<Report> {
    let embedding = block_on(sam.embed(image, golden.size, async || Ok(())))?;
    let mut points = 0;
    let masks = block_on(sam.everything(&embedding, &options(&golden.config), async |batch: Batch<'_>| {
        points = batch.done;
        Ok(())
    }))?;
    let masks: Vec<RunMask> = masks.iter().map(run_mask).collect();
    Ok(golden.compare(points, &masks, Device::Cpu))
}

fn options(config: &Config) -> EverythingOptions {
    let mut options = EverythingOptions::default();
    options.points_per_side = config.points_per_side;
    options.pred_iou_thresh = config.pred_iou_thresh as f32;
    options.stability_score_thresh = config.stability_score_thresh as f32;
    options.stability_score_offset = config.stability_score_offset as f32;
    options.high_score_thresh = config.high_score_thresh as f32;
    options.box_nms_thresh = config.box_nms_thresh;
    options.min_mask_region_area = config.min_mask_region_area;
    options
}

fn run_mask(mask: &Mask) -> RunMask {
    RunMask {
        area: mask.area.into(),
        bbox: mask.bbox.map(f64::from),
        predicted_iou: mask.score.into(),
        point: mask.point.unwrap_or([f64::NAN; 2]),
        stability_score: mask.stability.into(),
        counts: Rle::encode(&mask.bitmap()).counts,
    }
}
