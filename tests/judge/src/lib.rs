//! tinysam-golden for JavaScript: the formula checkpoint, and the verdict on a run that took place there.

use tinysam_golden::compare::Reduced;
use tinysam_golden::{Comparer, Device, Golden, formula};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

/// The formula checkpoint of a seed, a safetensors file.
#[wasm_bindgen]
pub fn weights(seed: u32) -> Vec<u8> {
    formula::formula_safetensors(seed.into())
}

/// Compares a run on WebGPU with a golden.
#[wasm_bindgen]
pub struct Judge {
    golden: Golden,
    seen: Vec<(String, Reduced)>,
}

#[wasm_bindgen]
impl Judge {
    /// With the two files of a golden.
    ///
    /// # Errors
    /// What is wrong with them.
    #[wasm_bindgen(constructor)]
    pub fn new(json: &[u8], samples: &[u8]) -> Result<Judge, JsError> {
        Ok(Judge { golden: Golden::from_bytes(json, samples)?, seen: Vec::new() })
    }

    /// Takes a tensor of the run, reduced as the job asked.
    pub fn observe(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>, sum: f64, l2: f64) {
        self.seen.push((name, Reduced { shape, values, sum, l2 }));
    }

    /// On all tensors of the golden.
    pub fn verdict(&self) -> Verdict {
        let mut comparer = Comparer::new(&self.golden, Device::WebGpu);
        for (name, tensor) in &self.seen {
            comparer.observe_reduced(name, tensor);
        }
        let report = comparer.finish();
        let embedding = report.rows.iter().find(|row| row.name == "image_embedding");
        let logits = report.rows.iter().filter(|row| row.name.ends_with(".low_res")).map(|row| row.max);
        Verdict {
            passed: report.passed(),
            rows: report.rows.len(),
            failed: report.failures().map(|row| format!("{}: {}", row.name, row.fault)).collect(),
            embedding: embedding.and_then(|row| row.relative_rms).unwrap_or(f64::NAN),
            // NaN, which is what was not computed, must not vanish.
            logits: logits.reduce(|a, b| if a.is_nan() || a > b { a } else { b }).unwrap_or(f64::NAN),
            report: report.to_string(),
        }
    }
}

/// How a run compares.
#[wasm_bindgen]
pub struct Verdict {
    /// Whether everything lies within its limit.
    pub passed: bool,
    /// How many comparisons there were.
    pub rows: usize,
    /// Relative RMS of the image embedding.
    pub embedding: f64,
    /// The largest error of any low-res logit.
    pub logits: f64,
    failed: Vec<String>,
    report: String,
}

#[wasm_bindgen]
impl Verdict {
    /// The comparisons that failed, each with its fault.
    #[wasm_bindgen(getter)]
    pub fn failed(&self) -> Vec<String> {
        self.failed.clone()
    }

    /// All of it, to read.
    #[wasm_bindgen(getter)]
    pub fn report(&self) -> String {
        self.report.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(ending: &str) -> Vec<u8> {
        std::fs::read(tinysam_golden::fixture(&format!("goldens/golden_256_synth.{ending}"))).unwrap()
    }

    #[test]
    fn what_was_not_computed_has_failed() {
        let judge = Judge::new(&golden("json"), &golden("safetensors")).ok().unwrap();
        let verdict = judge.verdict();
        assert!(!verdict.passed && verdict.embedding.is_nan() && verdict.logits.is_nan());
        assert_eq!(verdict.failed.len(), verdict.rows);
    }

    #[test]
    fn what_is_the_golden_s_own_passes() {
        let mut judge = Judge::new(&golden("json"), &golden("safetensors")).ok().unwrap();
        let (name, tensor) = judge.golden.tensors.iter().find(|(name, _)| name == "image_embedding").unwrap().clone();
        judge.observe(name, tensor.shape, tensor.values, tensor.sum, tensor.l2);
        let verdict = judge.verdict();
        assert_eq!((verdict.embedding, verdict.failed.len()), (0.0, verdict.rows - 1));
    }
}
