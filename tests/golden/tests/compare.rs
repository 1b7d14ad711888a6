//! The comparer must let the reference pass and nothing else.

use tinysam_golden::compare::{Comparer, Reduced, Want};
use tinysam_golden::golden::Golden;
use tinysam_golden::limits::Device;
use tinysam_golden::{everything, fixture};

fn golden() -> Golden {
    Golden::open(&fixture("goldens/golden_256_synth.json")).unwrap()
}

/// The run that is the golden itself. Mask logits, of which the golden has samples only, are left out.
fn perfect<'a>(golden: &'a Golden, device: Device) -> Comparer<'a> {
    let mut comparer = Comparer::new(golden, device);
    for (name, tensor) in &golden.tensors {
        if !name.ends_with("masks_logits") {
            let (shape, values) = (tensor.shape.clone(), tensor.values.clone());
            comparer.observe_reduced(name, &Reduced { shape, values, sum: tensor.sum, l2: tensor.l2 });
        }
    }
    comparer
}

/// The faults after changing one tensor of the perfect run.
fn faults(name: &str, change: impl Fn(&mut Reduced)) -> Vec<String> {
    let golden = golden();
    let mut comparer = perfect(&golden, Device::Cpu);
    let tensor = golden.tensor(name).unwrap();
    let (shape, values) = (tensor.shape.clone(), tensor.values.clone());
    let mut run = Reduced { shape, values, sum: tensor.sum, l2: tensor.l2 };
    change(&mut run);
    comparer.observe_reduced(name, &run);
    let report = comparer.finish();
    let rows = report.failures().filter(|row| !row.name.contains("masks_logits"));
    rows.map(|row| format!("{}: {}", row.name, row.fault)).collect()
}

#[test]
fn the_reference_passes_and_what_is_missing_fails() {
    let golden = golden();
    let report = perfect(&golden, Device::Cpu).finish();
    let failures: Vec<_> = report.failures().map(|row| row.name.as_str()).collect();
    assert_eq!(failures.len(), 6, "{failures:?}");
    assert!(failures.iter().all(|name| name.ends_with("masks_logits")));
    assert!(!report.passed());
}

#[test]
fn one_element_beyond_the_limit_fails() {
    assert!(faults("p1_fg.low_res", |run| run.values[3] += 1e-4).is_empty());
    assert_eq!(faults("p1_fg.low_res", |run| run.values[3] += 3e-4), ["p1_fg.low_res: max"]);
    assert_eq!(faults("p1_fg.iou4", |run| run.values[0] -= 2e-4), ["p1_fg.iou4: max"]);
    assert_eq!(faults("p1_fg.labels", |run| run.values[0] = 0.0), ["p1_fg.labels: max"]);
    assert_eq!(faults("enc.layers.2.blocks.3", |run| run.values[9] += 1e-2).len(), 1);
}

#[test]
fn not_a_number_fails() {
    for name in ["p1_fg.low_res", "image_embedding", "enc.neck.0", "input", "p1_fg.sparse"] {
        assert_eq!(faults(name, |run| run.values[0] = f32::NAN).len(), 1, "{name}");
        assert_eq!(faults(name, |run| run.l2 = f64::NAN).len(), 1, "{name}");
    }
}

#[test]
fn a_fault_between_the_samples_fails() {
    let length = faults("enc.layers.1", |run| run.l2 *= 1.0 + 1e-5);
    assert_eq!(length, ["enc.layers.1: length of the whole"]);
    let sum = faults("p1_fg.labels", |run| run.sum += 1.0);
    assert_eq!(sum, ["p1_fg.labels: sum of the whole"]);
}

#[test]
fn shapes_and_counts_are_compared() {
    let shape = faults("image_embedding", |run| run.shape = vec![1, 16, 16, 256]);
    assert_eq!(shape, ["image_embedding: shape [1, 16, 16, 256] instead of [1, 256, 16, 16]"]);
    assert_eq!(faults("image_embedding", |run| run.values.truncate(9)).len(), 1);
}

#[test]
fn a_byte_in_a_thousand_may_be_off_by_one() {
    assert!(faults("resized_u8", |run| run.values[0] += 1.0).is_empty());
    assert_eq!(faults("resized_u8", |run| run.values[0] += 2.0).len(), 1);
    let two = |run: &mut Reduced| run.values.iter_mut().take(2).for_each(|value| *value += 1.0);
    assert_eq!(faults("resized_u8", two).len(), 1);
    assert_eq!(faults("resized_u8", |run| run.sum += 200.0).len(), 1);
}

#[test]
fn masks_are_compared_pixel_by_pixel() {
    let golden = golden();
    let tensor = golden.tensor("p1_fg.masks_logits").unwrap();
    let best = golden.best("p1_fg").unwrap();
    let pixels = 480 * 640;
    // Logits that have the golden's best mask, flipped in `flips` pixels.
    let rows = |flips: usize| {
        let mut data = vec![-1.0f32; 3 * pixels];
        for index in 0..pixels {
            let bit = golden.best_masks["p1_fg"][index / 8] >> (7 - index % 8) & 1 == 1;
            data[best * pixels + index] = if bit != (index < flips) { 1.0 } else { -1.0 };
        }
        let mut comparer = Comparer::new(&golden, Device::Cpu);
        assert_eq!(comparer.want("p1_fg.masks_logits"), Some(Want::Whole));
        comparer.observe("p1_fg.masks_logits", &tensor.shape, &data);
        comparer.finish().rows.into_iter().find(|row| row.name == "p1_fg.best_mask").unwrap()
    };
    assert!(rows(0).passed() && rows(0).max == 0.0);
    assert!(rows(30).passed());
    assert!(!rows(31).passed());
}

#[test]
fn the_everything_golden() {
    let golden = everything::Everything::open(&fixture("goldens/everything_256_synth.json")).unwrap();
    assert_eq!((golden.points, golden.masks.len()), (225, 17));
    let mask = |index: usize| {
        let expected = &golden.masks[index];
        everything::RunMask {
            area: expected.area,
            bbox: {
                let [x, y, w, h] = expected.bbox;
                [x, y, w + 1.0, h + 1.0]
            },
            predicted_iou: expected.predicted_iou,
            point: expected.point_coords[0],
            stability_score: expected.stability_score,
            counts: vec![0; expected.rle_runs],
        }
    };
    let run: Vec<_> = (0..17).map(mask).collect();
    assert!(golden.compare(225, &run, Device::Cpu).passed());
    assert!(!golden.compare(224, &run, Device::Cpu).passed());
    assert!(!golden.compare(225, &run[..16], Device::Cpu).passed());
    let mut swapped = run.clone();
    swapped.swap(0, 1);
    assert!(!golden.compare(225, &swapped, Device::Cpu).passed());
    // The reference's own numbers, one pixel short of the mask.
    let mut short = run.clone();
    short.iter_mut().zip(&golden.masks).for_each(|(mask, expected)| mask.bbox = expected.bbox.map(|side| side - 1.0));
    assert!(!golden.compare(225, &short, Device::Cpu).passed());
    let mut larger = run;
    larger[5].area += 40;
    assert!(!golden.compare(225, &larger, Device::Cpu).passed());
}
