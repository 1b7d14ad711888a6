//! A run against a golden, one tensor at a time, so that memory stays flat.
//!
//! A golden keeps 256 samples of most tensors, and the sum and length of all of them. Both are compared: the
//! samples element by element, and the whole by what a difference within the limit can do at most to its
//! length and sum, so that a fault between the samples shows too.

use std::collections::BTreeMap;

use crate::golden::{Golden, Tensor, sample_indices};
use crate::limits::{Device, Limit, STEPS};
use crate::report::{Report, Row};

/// How much of a tensor has to be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The elements at [`sample_indices`] do.
    Samples,
    /// All elements.
    Whole,
}

/// A tensor of a run, reduced to what is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduced {
    /// In the reference's layout.
    pub shape: Vec<usize>,
    /// What [`Comparer::want`] asked for.
    pub values: Vec<f32>,
    /// Of all elements, in double precision.
    pub sum: f64,
    /// Euclidean length of all elements, in double precision.
    pub l2: f64,
}

impl Reduced {
    /// Reduces the whole tensor `data`.
    pub fn new(shape: &[usize], data: &[f32], want: Want) -> Self {
        let values = match want {
            Want::Whole => data.to_vec(),
            Want::Samples => sample_indices(data.len()).map(|index| data[index]).collect(),
        };
        let double = || data.iter().map(|&value| f64::from(value));
        let l2 = double().map(|value| value * value).sum::<f64>().sqrt();
        Self { shape: shape.to_vec(), values, sum: double().sum(), l2 }
    }
}

/// Compares a run with a golden.
pub struct Comparer<'a> {
    golden: &'a Golden,
    device: Device,
    rows: BTreeMap<&'a str, Vec<Row>>,
}

impl<'a> Comparer<'a> {
    /// A comparison in which nothing has been observed yet.
    pub fn new(golden: &'a Golden, device: Device) -> Self {
        Self { golden, device, rows: BTreeMap::new() }
    }

    /// How much of the tensor `name` is compared; nothing of one that the golden does not have.
    pub fn want(&self, name: &str) -> Option<Want> {
        let tensor = self.golden.tensor(name)?;
        let whole = tensor.whole || name.ends_with(".masks_logits");
        Some(if whole { Want::Whole } else { Want::Samples })
    }

    /// Takes a whole tensor of the run. One that the golden does not have is ignored; of one that is observed
    /// again, the last counts.
    pub fn observe(&mut self, name: &str, shape: &[usize], data: &[f32]) {
        if let Some(want) = self.want(name) {
            self.observe_reduced(name, &Reduced::new(shape, data, want));
        }
    }

    /// Takes a tensor that was reduced elsewhere, as [`Comparer::want`] asked.
    pub fn observe_reduced(&mut self, name: &str, run: &Reduced) {
        let golden = self.golden;
        let (Some(want), Some((name, tensor))) =
            (self.want(name), golden.tensors.iter().find(|(known, _)| known == name))
        else {
            return;
        };
        let limit = Limit::of(name, tensor.absmax, self.device);
        let expected = if want == Want::Whole { tensor.len() } else { tensor.len().min(256) };
        let rows = if run.shape != tensor.shape {
            let fault = format!("shape {:?} instead of {:?}", run.shape, tensor.shape);
            vec![Row::failed(name, &limit, &fault)]
        } else if run.values.len() != expected {
            let fault = format!("{} values instead of {expected}", run.values.len());
            vec![Row::failed(name, &limit, &fault)]
        } else if let Some(prompt) = name.strip_suffix(".masks_logits") {
            let samples: Vec<_> = sample_indices(tensor.len()).map(|index| run.values[index]).collect();
            let mut rows = vec![row(name, tensor, &samples, run, &limit)];
            rows.extend(self.masks(prompt, run));
            rows
        } else {
            vec![row(name, tensor, &run.values, run, &limit)]
        };
        self.rows.insert(name, rows);
    }

    /// The verdict. A tensor of the golden that was never observed has failed.
    pub fn finish(mut self) -> Report {
        let rows = self.golden.tensors.iter().flat_map(|(name, tensor)| {
            let limit = Limit::of(name, tensor.absmax, self.device);
            let missing = || vec![Row::failed(name, &limit, "never computed")];
            self.rows.remove(name.as_str()).unwrap_or_else(missing)
        });
        Report { rows: rows.collect() }
    }

    /// The best mask's pixels, and the areas of all three.
    fn masks(&self, prompt: &str, logits: &Reduced) -> Vec<Row> {
        let share = Limit::mask_pixels(self.device);
        let pixels = logits.shape.iter().rev().take(2).product::<usize>();
        let masks: Vec<&[f32]> = logits.values.chunks(pixels.max(1)).collect();
        let mut rows = Vec::new();
        if let Some(bits) = self.golden.best_masks.get(prompt) {
            let best = self.golden.best(prompt).and_then(|best| masks.get(best));
            let name = format!("{prompt}.best_mask");
            rows.push(match best.filter(|_| bits.len() == pixels.div_ceil(8)) {
                None => Row::share(&name, f64::NAN, share),
                Some(mask) => {
                    let differ = mask.iter().enumerate().filter(|&(index, &logit)| {
                        let bit = bits[index / 8] >> (7 - index % 8) & 1 == 1;
                        (logit > 0.0) != bit
                    });
                    Row::share(&name, differ.count() as f64 / pixels as f64, share)
                }
            });
        }
        if let Some(areas) = self.golden.mask_areas.get(prompt) {
            let area = |mask: &&[f32]| mask.iter().filter(|&&logit| logit > 0.0).count() as u64;
            let differences = masks.iter().map(area).zip(areas).map(|(run, &area)| run.abs_diff(area));
            let worst = differences.max().filter(|_| masks.len() == areas.len());
            let differ = worst.map_or(f64::NAN, |worst| worst as f64 / pixels as f64);
            rows.push(Row::share(&format!("{prompt}.mask_areas"), differ, share));
        }
        rows
    }
}

/// Samples against samples, and the whole by its length and sum.
fn row(name: &str, golden: &Tensor, values: &[f32], run: &Reduced, limit: &Limit) -> Row {
    let differences: Vec<f64> =
        values.iter().zip(&golden.values).map(|(&ours, &theirs)| (f64::from(ours) - f64::from(theirs)).abs()).collect();
    let count = differences.len().max(1) as f64;
    let square = |sum: f64, value: f64| sum + value * value;
    let rms = (differences.iter().copied().fold(0.0, square) / count).sqrt();
    let scale = (golden.values.iter().map(|&value| f64::from(value)).fold(0.0, square) / count).sqrt();
    let relative_rms = if scale > 0.0 { rms / scale } else { rms };
    // `f64::max` drops NaN, which must not pass.
    let worst = differences.iter().copied().reduce(|a, b| if a.is_nan() || a > b { a } else { b });
    let max = worst.unwrap_or(0.0);

    let mut faults = Vec::new();
    if let Some(bound) = limit.max {
        let allowed = if limit.step.is_some() { (STEPS * count).ceil() as usize } else { 0 };
        let beyond = differences.iter().filter(|&&value| !within(value, bound)).count();
        if beyond > allowed || !within(max, bound.max(limit.step.unwrap_or(0.0))) {
            faults.push("max");
        }
    }
    if limit.relative_rms.is_some_and(|bound| !within(relative_rms, bound)) {
        faults.push("rms");
    }
    let (length, sum) = whole_bounds(golden, limit);
    if !within((run.l2 - golden.l2).abs(), length) {
        faults.push("length of the whole");
    }
    if !within((run.sum - golden.sum).abs(), sum) {
        faults.push("sum of the whole");
    }
    Row::new(name, max, Some(relative_rms), limit.to_string(), &faults.join(", "))
}

/// What differences within the limit can do to a tensor's length and to its sum: by the triangle inequality the
/// length changes by at most the length of the difference, and the sum by at most √n times that.
fn whole_bounds(golden: &Tensor, limit: &Limit) -> (f64, f64) {
    let root = (golden.len() as f64).sqrt();
    let by_rms = limit.relative_rms.map_or(f64::INFINITY, |rms| rms * golden.l2);
    let by_max = limit.max.map_or(f64::INFINITY, |max| max * root);
    let by_steps = limit.step.map_or(0.0, |step| step * STEPS.sqrt() * root);
    // Both statistics were added up in double precision, in some order.
    let rounding = 1e-10 * golden.l2;
    let length = by_rms.min(by_max + by_steps) + rounding;
    let steps_sum = limit.step.map_or(0.0, |step| step * STEPS * root);
    let sum = (by_rms.min(by_max + steps_sum) + rounding) * root;
    (length, sum)
}

/// Whether a difference is in bounds; NaN never is.
fn within(value: f64, bound: f64) -> bool {
    value <= bound
}
