//! What goes through the decoder, on the formula checkpoint: prompts of every shape in one call, the scores' own way,
//! MobileSAM's boxes, everything's progress and bounds.

use std::sync::OnceLock;

use burn::tensor::Device;
use futures_lite::future::block_on;
use tinysam_golden::{formula, synth};

use super::{Answer, Batch, Choice, Embedding, EverythingOptions, Prompt, Sam};
use crate::checkpoint::Checkpoint;
use crate::image::Image;
use crate::mask::LowRes;
use crate::model::MASKS;

fn sam() -> &'static Sam {
    static SAM: OnceLock<Sam> = OnceLock::new();
    SAM.get_or_init(|| {
        let checkpoint = Checkpoint::from_bytes(formula::formula_safetensors(0)).unwrap();
        Sam::load(&checkpoint, &Device::flex()).unwrap()
    })
}

fn embedding() -> &'static Embedding {
    static EMBEDDING: OnceLock<Embedding> = OnceLock::new();
    EMBEDDING.get_or_init(|| {
        let photo = Image::from_rgb(160, 120, synth::synth(160, 120)).unwrap();
        block_on(sam().embed(&photo, 64, async || Ok(()))).unwrap()
    })
}

fn answers(sam: &Sam, prompts: &[Prompt], choice: Choice) -> Vec<Answer> {
    block_on(sam.segment(embedding(), prompts, choice, async |_| Ok(()))).unwrap()
}

/// Points, boxes and masks in turns, more of each than a batch has.
fn mixed() -> Vec<Prompt> {
    let point = |i: usize| Prompt::point(10.0 + 9.0 * i as f32, 50.0);
    let logits = |i: usize| (0..16 * 16).map(|at| if at % 16 < i { 4.0 } else { -4.0 }).collect();
    let mut prompts: Vec<Prompt> = (0..6).map(point).collect();
    prompts.extend((0..3).map(|i| Prompt { mask: Some(logits(3 + i)), ..point(i) }));
    prompts.push(Prompt::bbox([20.0, 10.0, 60.0, 90.0]));
    prompts.push(Prompt { points: vec![[30.0, 40.0], [90.0, 70.0]], labels: vec![1, 0], ..Prompt::default() });
    prompts.push(point(4));
    prompts
}

/// A batch ends where another shape begins, and every prompt is answered in its place.
#[test]
fn prompts_of_all_shapes_are_answered_as_each_alone() {
    let prompts = mixed();
    let mut batches = Vec::new();
    let together = block_on(sam().segment(embedding(), &prompts, Choice::ALL, async |batch: &mut [Answer]| {
        batches.push(batch.len());
        Ok(())
    }))
    .unwrap();
    assert_eq!(together.len(), prompts.len());
    assert_eq!(batches.iter().sum::<usize>(), prompts.len());
    assert!(batches.len() >= 5 && !batches.contains(&0), "{batches:?}");
    for (prompt, answer) in prompts.iter().zip(&together) {
        let alone = answers(sam(), std::slice::from_ref(prompt), Choice::ALL).remove(0);
        assert_eq!(answer.masks.len(), 3);
        for (mask, other) in answer.masks.iter().zip(&alone.masks) {
            assert!((mask.score - other.score).abs() < 1e-4, "{} {}", mask.score, other.score);
            assert!(mask.area.abs_diff(other.area) <= 4, "{} {}", mask.area, other.area);
            assert_eq!((mask.area, mask.bbox), (mask.bitmap().area(), mask.bitmap().bbox()));
        }
    }
}

/// What everything spares: a prompt without hope is not upscaled, and the others come out as if all had been.
#[test]
fn only_what_may_be_wanted_is_upscaled() {
    let prompts = mixed();
    let decoded = |over: Option<f32>| {
        let mut all = Vec::new();
        let mut batches = sam().decode(embedding(), &prompts, over).unwrap();
        let mut done = 0;
        while let Some(batch) = block_on(batches.next()).unwrap() {
            assert!(batch.done > done && batch.done <= prompts.len());
            done = batch.done;
            all.extend(batch.answers().map(|answered| {
                let masks: Vec<Vec<f32>> = (0..MASKS).map(|token| answered.logits(token).logits.to_vec()).collect();
                (answered.prompt, *answered.scores, masks)
            }));
        }
        assert_eq!(done, prompts.len());
        all
    };
    let all = decoded(None);
    assert!(all.iter().all(|(_, _, masks)| masks.windows(2).all(|pair| pair[0] != pair[1])), "each token has its own");
    assert_eq!(all.iter().map(|(prompt, ..)| *prompt).collect::<Vec<_>>(), (0..prompts.len()).collect::<Vec<_>>());
    let best = |scores: &[f32; MASKS]| scores[1..].iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    let mut scores: Vec<f32> = all.iter().map(|(_, scores, _)| best(scores)).collect();
    scores.sort_by(f32::total_cmp);
    // None, some, all.
    for bound in [f32::INFINITY, scores[scores.len() / 2], f32::NEG_INFINITY] {
        let some = decoded(Some(bound));
        let wanted: Vec<_> = all.iter().filter(|(_, scores, _)| best(scores) > bound).collect();
        assert_eq!(some.len(), wanted.len());
        for ((prompt, scores, masks), (expected, theirs, full)) in some.iter().zip(wanted) {
            assert_eq!((prompt, scores), (expected, theirs));
            let off = masks.iter().flatten().zip(full.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-4, "{off}");
        }
    }
}

/// A mask that is a prompt has the padding's logits, too, whoever is asked: the last prompt, one before, one of many.
#[test]
fn what_no_photo_shows_is_upscaled_when_it_is_asked_for() {
    for (width, height, seen) in [(160, 40, [3, 8]), (40, 160, [8, 3]), (96, 90, [8, 8])] {
        let image = Image::from_rgb(width, height, synth::synth(width, height)).unwrap();
        let embedding = block_on(sam().embed(&image, 128, async || Ok(()))).unwrap();
        let prompts = [0.3, 0.7].map(|part| Prompt::point(part * width as f32, part * height as f32));
        let mut batches = sam().decode(&embedding, &prompts, None).unwrap();
        let batch = block_on(batches.next()).unwrap().unwrap();
        let answered = batch.answers().next().unwrap();
        let LowRes { logits: drawn, columns } = answered.logits(2);
        assert_eq!((drawn.len() / columns, columns), (4 * seen[0], 4 * seen[1]));

        let sam = sam().clone();
        let asked =
            |prompts: &[Prompt]| block_on(sam.segment(&embedding, prompts, Choice::ALL, async |_| Ok(()))).unwrap();
        let logits = |answer: &Answer| block_on(sam.logits(&embedding, &answer.masks[1])).unwrap();
        let (before, last) = (asked(&prompts[1..]), asked(&prompts[..1]));
        let last = logits(&last[0]);
        let many = asked(&prompts);
        let together = [logits(&many[0]), logits(&many[1])];
        for (whole, theirs) in [(&last, &together[0]), (&logits(&before[0]), &together[1])] {
            assert_eq!(whole.len(), 32 * 32);
            assert!(off(whole, theirs) < 1e-4);
        }
        assert!(off(&last, &together[1]) > 1e-2);
        let there: Vec<f32> =
            last.chunks_exact(32).take(4 * seen[0]).flat_map(|row| &row[..columns]).copied().collect();
        assert!(off(&there, drawn) < 1e-4);
    }
}

fn off(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn mobile_sams_first_mask_is_for_boxes_and_for_one_mask() {
    let mobile = sam().clone().with_single_mask_for_boxes(true);
    let box_and_point = [Prompt::bbox([20.0, 10.0, 60.0, 90.0]), Prompt::point(60.0, 50.0)];
    let (ours, theirs) = (answers(sam(), &box_and_point, Choice::BEST), answers(&mobile, &box_and_point, Choice::BEST));
    assert!(ours.iter().chain(&theirs).all(|answer| answer.masks.len() == 1));
    assert_ne!(ours[0].best().score, theirs[0].best().score);
    assert_eq!(ours[1].best().runs, theirs[1].best().runs);
    let (ours, theirs) = (answers(sam(), &box_and_point, Choice::ALL), answers(&mobile, &box_and_point, Choice::ALL));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(
            ours.masks.iter().map(|m| m.score).collect::<Vec<_>>(),
            theirs.masks.iter().map(|m| m.score).collect::<Vec<_>>()
        );
    }
    let again = answers(&mobile.with_single_mask_for_boxes(false), &box_and_point, Choice::BEST);
    assert_eq!(again[0].best().runs, answers(sam(), &box_and_point, Choice::BEST)[0].best().runs);
    assert!(answers(sam(), &[], Choice::BEST).is_empty());
}

fn options() -> EverythingOptions {
    EverythingOptions {
        points_per_side: 8,
        pred_iou_thresh: 0.0,
        stability_score_thresh: 0.0,
        box_nms_thresh: 1.0,
        ..EverythingOptions::default()
    }
}

/// Both rounds are counted, and what batches bring is what is left in the end, where nothing is suppressed.
#[test]
fn everything_tells_how_far_it_is() {
    let mut told = Vec::new();
    let mut seen = 0;
    let masks = block_on(sam().everything(embedding(), &options(), async |batch: Batch<'_>| {
        assert!(batch.masks.is_sorted_by(|a, b| a.score >= b.score));
        assert!(batch.masks.iter().all(|mask| mask.score > 0.0 && mask.area > 0 && mask.point.is_some()));
        seen += batch.masks.len();
        told.push((batch.done, batch.total));
        Ok(())
    }))
    .unwrap();
    assert!(told.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1), "{told:?}");
    // A grid of 2 × 2 first.
    assert_eq!(told.first(), Some(&(4, 4)));
    let &(done, total) = told.last().unwrap();
    assert!(done == total && total > 4 && total <= 4 + 60, "{told:?}");
    assert_eq!(masks.len(), seen);
    assert!(masks.is_sorted_by(|a, b| a.score >= b.score));
    // Of two halves of the scores, the better one alone passes a threshold between them.
    let between = masks[masks.len() / 2].score;
    let better = EverythingOptions { pred_iou_thresh: between, ..options() };
    let fewer = block_on(sam().everything(embedding(), &better, async |_| Ok(()))).unwrap();
    assert!(!fewer.is_empty() && fewer.iter().all(|mask| mask.score > between));
    // And so with the stability.
    let mut stabilities: Vec<f32> = masks.iter().map(|mask| mask.stability).collect();
    stabilities.sort_by(f32::total_cmp);
    let between = stabilities[stabilities.len() / 2];
    let stabler = EverythingOptions { stability_score_thresh: between, ..options() };
    let fewer = block_on(sam().everything(embedding(), &stabler, async |_| Ok(()))).unwrap();
    assert!(!fewer.is_empty() && fewer.iter().all(|mask| mask.stability >= between));
    // A mask that is as stable as is asked passes.
    let all = EverythingOptions { stability_score_thresh: stabilities[0], ..options() };
    assert_eq!(block_on(sam().everything(embedding(), &all, async |_| Ok(()))).unwrap().len(), masks.len());
}

/// Where the first round is confident, the second has no points.
#[test]
fn the_second_round_spares_what_the_first_is_sure_of() {
    let points = |high_score_thresh: f32| {
        let mut total = 0;
        let options = EverythingOptions { high_score_thresh, ..options() };
        block_on(sam().everything(embedding(), &options, async |batch: Batch<'_>| {
            total = batch.total;
            Ok(())
        }))
        .unwrap();
        total
    };
    let counts = [f32::MIN, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, f32::MAX].map(points);
    assert!(counts.is_sorted() && counts[0] == 4 && counts[8] > 4, "{counts:?}");
    assert!(counts.iter().any(|count| *count > 4 && *count < counts[8]), "{counts:?}");
}

#[test]
fn options_that_cannot_be_are_refused_by_name() {
    let refused = |options: EverythingOptions| {
        let error = block_on(sam().everything(embedding(), &options, async |_| Ok(()))).unwrap_err();
        assert_eq!(error.code(), "option_invalid");
        error.to_string()
    };
    for points_per_side in [0, 1, 2, 3, 5, 130, 132, u32::MAX] {
        let told = refused(EverythingOptions { points_per_side, ..options() });
        assert!(told.contains("points_per_side") && told.contains("128"), "{told}");
    }
    for points_per_side in [4, 128] {
        assert_eq!(EverythingOptions { points_per_side, ..options() }.check(), Ok(()));
    }
    type Field = (&'static str, fn(&mut EverythingOptions, f32));
    let fields: [Field; 5] = [
        ("pred_iou_thresh", |options, value| options.pred_iou_thresh = value),
        ("stability_score_thresh", |options, value| options.stability_score_thresh = value),
        ("stability_score_offset", |options, value| options.stability_score_offset = value),
        ("high_score_thresh", |options, value| options.high_score_thresh = value),
        ("box_nms_thresh", |options, value| options.box_nms_thresh = value.into()),
    ];
    for (name, set) in fields {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut options = options();
            set(&mut options, value);
            assert!(refused(options).contains(name));
        }
    }
}
