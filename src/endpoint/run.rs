//! A plan and a picture → the answer: masks, and the one picture that shows them.

use serde::Serialize;

use super::plan::{Mode, Plan};
use super::schema::{Log, Picture};
use crate::Result;
use crate::export::{Rle, cutout_png, mask_png, overlay_png};
use crate::image::Photo;
use crate::mask::Runs;
use crate::segment::{Answer, Choice, Embedding, EverythingOptions, Mask, Prompt, Sam};

/// Masks written out between two pauses.
const LISTED_AT_ONCE: usize = 16;

/// What a request came to.
#[derive(Debug)]
pub struct Output {
    /// The picture, a PNG file of the size of the original; the same request gives the same bytes.
    pub png: Vec<u8>,
    /// With `return_masks`: one for each box or point prompt, three with `multimask`; in everything mode all, best
    /// first.
    pub masks: Option<Vec<MaskOutput>>,
}

/// One mask of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaskOutput {
    /// The mask at the size of the original picture.
    pub rle: CompressedRle,
    /// Predicted IoU.
    pub score: f32,
    /// Stability score.
    pub stability: f32,
    /// The smallest box around the mask, `[x, y, w, h]`, pixels of the original picture; all zero for an empty mask.
    pub bbox: [u32; 4],
    /// Pixels of the original picture.
    pub area: u32,
}

/// COCO's compressed run-length encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompressedRle {
    /// `[height, width]`
    pub size: [u32; 2],
    /// As pycocotools writes them.
    pub counts: String,
}

/// Runs a plan on a picture and its embedding at the plan's size. `pause` is awaited between the steps: it lets others
/// run, and its error ends the work.
///
/// # Errors
/// As the device has them; what `pause` returns.
pub async fn run(
    sam: &Sam,
    photo: &impl Photo,
    embedding: &Embedding,
    plan: &Plan,
    mut log: impl FnMut(Log),
    mut pause: impl AsyncFnMut() -> Result<()>,
) -> Result<Output> {
    let (width, height) = embedding.frame().resized;
    log(Log::info(format!("the network saw the picture at {width} x {height} pixels")));
    pause().await?;

    let masks = match &plan.mode {
        Mode::Everything { points_per_side, pred_iou_thresh, stability_score_thresh } => {
            let options = EverythingOptions {
                points_per_side: *points_per_side,
                pred_iou_thresh: *pred_iou_thresh,
                stability_score_thresh: *stability_score_thresh,
                min_mask_region_area: plan.min_mask_region_area,
                ..EverythingOptions::default()
            };
            sam.everything(embedding, &options, async |_| pause().await).await?
        }
        Mode::Points { points, refines, choice } => {
            let (points, labels) = points.iter().copied().unzip();
            let prompt = Prompt { points, labels, bbox: *refines, mask: None };
            prompted(sam, embedding, &[prompt], *choice, plan, &mut log, &mut pause).await?
        }
        Mode::Boxes { boxes, choice } => {
            let prompts: Vec<Prompt> = boxes.iter().copied().map(Prompt::bbox).collect();
            prompted(sam, embedding, &prompts, *choice, plan, &mut log, &mut pause).await?
        }
    };
    log(Log::info(match masks.len() {
        1 => "1 mask".into(),
        count => format!("{count} masks"),
    }));
    let mut listed = Vec::new();
    if plan.return_masks {
        for masks in masks.chunks(LISTED_AT_ONCE) {
            pause().await?;
            listed.extend(masks.iter().map(MaskOutput::new));
        }
    }
    pause().await?;
    Ok(Output { png: draw(photo, &masks, plan.output)?, masks: plan.return_masks.then_some(listed) })
}

impl MaskOutput {
    fn new(mask: &Mask) -> Self {
        let rle = Rle::encode(&mask.bitmap());
        Self {
            rle: CompressedRle { size: rle.size, counts: rle.to_compressed() },
            score: mask.score,
            stability: mask.stability,
            bbox: mask.bbox,
            area: mask.area,
        }
    }
}

/// The masks of prompts, by their choice, tidied as the plan says.
async fn prompted(
    sam: &Sam,
    embedding: &Embedding,
    prompts: &[Prompt],
    choice: Choice,
    plan: &Plan,
    log: &mut impl FnMut(Log),
    pause: &mut impl AsyncFnMut() -> Result<()>,
) -> Result<Vec<Mask>> {
    let answers = sam
        .segment(embedding, prompts, choice, async |batch: &mut [Answer]| {
            for answer in batch {
                let score = answer.best().score;
                if score < choice.confidence {
                    log(Log::warn(format!(
                        "the best mask has a predicted IoU of {score:.3}, under the confidence of {}: it is shown all the \
                         same",
                        choice.confidence
                    )));
                }
                if plan.min_mask_region_area > 0 {
                    let tidy = |mask: Mask| mask.without_small_regions(plan.min_mask_region_area);
                    answer.masks = std::mem::take(&mut answer.masks).into_iter().map(tidy).collect();
                }
            }
            pause().await
        })
        .await?;
    Ok(answers.into_iter().flat_map(|answer| answer.masks).collect())
}

/// The one picture of all masks, as a PNG file.
fn draw(photo: &impl Photo, masks: &[Mask], output: Picture) -> Result<Vec<u8>> {
    let all = || Runs::union(photo.width(), photo.height(), masks);
    match output {
        Picture::Overlay => overlay_png(photo, masks),
        Picture::Mask => mask_png(&all()),
        Picture::Cutout => cutout_png(photo, &all()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use burn::tensor::Device;
    use futures_lite::future::block_on;
    use serde_json::{Value, json};
    use tinysam_golden::{formula, synth};

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::endpoint::{plan::plan, validate::validate};
    use crate::image::Image;
    use crate::mask::{Bitmap, fill_small_holes, remove_small_islands};
    use crate::{Error, endpoint::schema::Level};

    const SIZE: (u32, u32) = (160, 120);

    fn sam() -> &'static Sam {
        static SAM: OnceLock<Sam> = OnceLock::new();
        SAM.get_or_init(|| {
            let checkpoint = Checkpoint::from_bytes(formula::formula_safetensors(0)).unwrap();
            Sam::load(&checkpoint, &Device::flex()).unwrap()
        })
    }

    fn photo() -> Image {
        Image::from_rgb(SIZE.0, SIZE.1, synth::synth(SIZE.0, SIZE.1)).unwrap()
    }

    /// At the size of every plan here.
    fn embedding() -> &'static Embedding {
        static EMBEDDING: OnceLock<Embedding> = OnceLock::new();
        EMBEDDING.get_or_init(|| block_on(sam().embed(&photo(), 64, async || Ok(()))).unwrap())
    }

    fn planned(fields: Value) -> Plan {
        let mut body = json!({ "image_url": "data:,", "size": 64 });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (request, _) = validate(&body).unwrap();
        plan(&request, SIZE.0, SIZE.1).unwrap().0
    }

    fn answered(fields: Value) -> (Output, Vec<Log>) {
        let mut logs = Vec::new();
        let output =
            block_on(run(sam(), &photo(), embedding(), &planned(fields), |line| logs.push(line), async || Ok(())))
                .unwrap();
        (output, logs)
    }

    fn decoded(png: &[u8]) -> (u32, u32, png::ColorType, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, info.height, info.color_type, pixels)
    }

    fn pixels_of(mask: &MaskOutput) -> Bitmap {
        Rle::from_compressed(mask.rle.size, &mask.rle.counts).unwrap().decode().unwrap()
    }

    #[test]
    fn the_overlay_is_the_photo_but_for_the_mask_and_the_same_each_time() {
        let fields = json!({ "point_prompt": [[60, 50]], "return_masks": true });
        let (output, logs) = answered(fields.clone());
        let [mask] = output.masks.as_deref().unwrap() else { panic!("one mask") };
        let bitmap = pixels_of(mask);
        assert_eq!((mask.area, mask.bbox), (bitmap.area(), bitmap.bbox()));
        assert!(mask.area > 0 && mask.area < SIZE.0 * SIZE.1, "{mask:?}");
        let (width, height, _, pixels) = decoded(&output.png);
        assert_eq!((width, height), SIZE);
        assert_eq!(output.png, overlay_png(&photo(), &[Runs::encode(&bitmap)]).unwrap());
        let changed = |at: usize| pixels[3 * at..3 * at + 3] != photo().rgb()[3 * at..3 * at + 3];
        assert!((0..pixels.len() / 3).all(|at| bitmap.get(at as u32 % SIZE.0, at as u32 / SIZE.0) || !changed(at)));
        assert_eq!(answered(fields).0.png, output.png);
        assert_eq!(logs.last().unwrap().message, "1 mask");
    }

    #[test]
    fn a_picture_can_be_the_mask_or_the_object() {
        let fields = |output: &str| json!({ "point_prompt": [[60, 50]], "return_masks": true, "output": output });
        let (mask, _) = answered(fields("mask"));
        let bitmap = pixels_of(&mask.masks.unwrap()[0]);
        let runs = Runs::encode(&bitmap);
        assert_eq!(mask.png, mask_png(&runs).unwrap());
        assert_eq!(decoded(&mask.png).2, png::ColorType::Grayscale);
        let cutout = answered(fields("cutout")).0.png;
        assert_eq!(cutout, cutout_png(&photo(), &runs).unwrap());
        assert_eq!(decoded(&cutout).2, png::ColorType::Rgba);
    }

    #[test]
    fn boxes_give_one_mask_each_in_their_order() {
        let one = |b: Value| answered(json!({ "box_prompt": [b], "return_masks": true })).0.masks.unwrap().remove(0);
        let (first, second) = (json!([10, 10, 60, 60]), json!([80, 20, 70, 90]));
        let both = answered(json!({ "box_prompt": [first, second], "return_masks": true })).0.masks.unwrap();
        let close = |a: &MaskOutput, b: &MaskOutput| a.area.abs_diff(b.area) <= 2 && (a.score - b.score).abs() < 1e-4;
        assert_eq!(both.len(), 2);
        assert!(close(&both[0], &one(first)) && close(&both[1], &one(second)), "{both:?}");
        assert_ne!(both[0], both[1]);
    }

    #[test]
    fn more_boxes_than_a_batch() {
        let boxes: Vec<_> = (0..37).map(|i| json!([i, i, 50, 50])).collect();
        let (output, logs) = answered(json!({ "box_prompt": boxes, "return_masks": true, "confidence": 1 }));
        assert_eq!(output.masks.unwrap().len(), 37);
        let warnings = logs.iter().filter(|line| line.level == Level::Warn).count();
        assert_eq!(warnings, 37, "each mask is under so high a confidence, and shown all the same");
    }

    #[test]
    fn multimask_gives_the_three() {
        let fields = |confidence| json!({ "point_prompt": [[60, 50]], "multimask": true, "confidence": confidence, "return_masks": true });
        assert_eq!(answered(fields(0)).0.masks.unwrap().len(), 3);
        let best = answered(fields(1)).0.masks.unwrap();
        let alone = answered(json!({ "point_prompt": [[60, 50]], "return_masks": true })).0.masks.unwrap();
        assert_eq!(best, alone);
    }

    #[test]
    fn everything_may_find_nothing_and_then_shows_the_photo() {
        let (output, logs) = answered(json!({ "pred_iou_thresh": 1, "return_masks": true, "points_per_side": 4 }));
        assert_eq!(output.masks.unwrap(), []);
        assert_eq!(decoded(&output.png).3, photo().rgb());
        assert_eq!(logs.last().unwrap().message, "0 masks");
    }

    #[test]
    fn everything_lists_its_masks_best_first() {
        for area in [0, 60] {
            let fields = json!({
                "confidence": 0, "stability_score_thresh": 0, "points_per_side": 8, "return_masks": true,
                "min_mask_region_area": area,
            });
            let masks = answered(fields).0.masks.unwrap();
            assert!(!masks.is_empty() && masks.is_sorted_by(|a, b| a.score >= b.score));
            assert!(masks.iter().all(|mask| mask.area > 0));
        }
    }

    #[test]
    fn a_masks_own_box_is_a_prompt() {
        let fields =
            json!({ "confidence": 0, "stability_score_thresh": 0, "points_per_side": 8, "return_masks": true });
        let boxes: Vec<_> = answered(fields).0.masks.unwrap().iter().take(8).map(|mask| mask.bbox).collect();
        assert!(!boxes.is_empty());
        let (output, logs) = answered(json!({ "box_prompt": boxes, "return_masks": true }));
        assert_eq!(output.masks.unwrap().len(), boxes.len());
        assert!(!logs.iter().any(|line| line.message.contains("clipped")), "{logs:?}");
    }

    #[test]
    fn small_regions_are_removed_on_request() {
        let area = |fields: Value| answered(fields).0.masks.unwrap()[0].clone();
        let prompt = json!({ "point_prompt": [[60, 50]], "return_masks": true, "min_mask_region_area": 400 });
        let bitmap = pixels_of(&area(prompt));
        let mut again = bitmap.clone();
        assert!(!fill_small_holes(&mut again, 400) && !remove_small_islands(&mut again, 400));
    }

    #[test]
    fn a_pause_can_end_the_work() {
        for steps in 0..4 {
            let mut left = steps;
            let pause = async || {
                left -= 1;
                if left < 0 { Err(Error::Aborted) } else { Ok(()) }
            };
            let plan = planned(json!({ "points_per_side": 8 }));
            let ended = block_on(run(sam(), &photo(), embedding(), &plan, |_| (), pause));
            assert_eq!(ended.unwrap_err(), Error::Aborted, "after {steps} steps");
        }
    }
}
