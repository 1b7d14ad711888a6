//! How far a tensor may lie from the reference, and why.
//!
//! The reference's own distance from double precision is at most 1.3e-6 (relative RMS) in every tensor of the
//! network, so each limit leaves room for another order of summation and for nothing else: a tanh-GELU costs
//! 3e-4, an attention bias left out 6.5e-2, a wrong BatchNorm eps 3.8e-3.
//!
//! | tensor | CPU | WebGPU | from |
//! |---|---|---|---|
//! | `image_embedding`, relative RMS | 5e-6 | 1e-4 | set |
//! | `image_embedding`, max | 5e-5 | 1e-3 | set; on WebGPU in the same ratio to the RMS |
//! | other tensors of the network, relative RMS | 5e-6 | 1e-4 | as the embedding that they lead to or come from |
//! | `low_res`, `low_res4`, max | 2e-4 | 2e-3 | set |
//! | `masks_logits`, max | 3e-4 | 2.1e-3 | a bilinear mean of `low_res` cannot err more than it does; 1e-4 for interpolation at coordinates held in f32, of which the reference itself shows 9.2e-5 |
//! | best mask, share of pixels | 1e-4 | 1e-3 | set |
//! | areas of the three masks, share of pixels | 1e-4 | 1e-3 | an area differs by no more pixels than the mask |
//! | `iou`, `iou4`, max | 1e-4 | 1e-4 | set |
//! | `sparse`, `dense_pe`, max | 1e-5 | 1e-5 | computed on the CPU everywhere; the sine's argument reaches 22, where an f32 step is 1.9e-6, after five roundings |
//! | `coords_model`, `box_model`, max | 2⁻²² of the largest coordinate | same | two roundings |
//! | `labels` | equal | equal | |
//! | `resized_u8` | one step in at most 0.1 % of bytes | same | set |
//! | `input` | as `resized_u8` after the normalisation, 2e-6 elsewhere | same | a byte is 1/57.12 of a unit; the rest is rounding at magnitudes up to 2.7 |

/// What computed the tensors: the limits differ by the order in which it adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// Native or WebAssembly.
    Cpu,
    /// Any adapter.
    WebGpu,
}

/// The most that one tensor may differ; every bound that is present must hold.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limit {
    /// Of any element.
    pub max: Option<f64>,
    /// Root of the mean squared difference over the root of the mean squared reference.
    pub relative_rms: Option<f64>,
    /// Single elements may instead differ by up to this step.
    pub step: Option<f64>,
}

/// The share of elements that may take a [`Limit::step`].
pub const STEPS: f64 = 1e-3;

impl Limit {
    fn max(max: f64) -> Self {
        Self { max: Some(max), ..Self::default() }
    }

    /// The limit of the golden tensor `name`, whose largest magnitude is `absmax`.
    pub fn of(name: &str, absmax: f64, device: Device) -> Self {
        let on = |cpu, webgpu| if device == Device::Cpu { cpu } else { webgpu };
        let network = Self { relative_rms: Some(on(5e-6, 1e-4)), ..Self::default() };
        // Encoder names have dots of their own; a prompt's tensors are named by their last part.
        let part = if name.starts_with("enc.") { "enc" } else { name.rsplit('.').next().unwrap_or(name) };
        match part {
            "image_embedding" => Self { max: Some(on(5e-5, 1e-3)), ..network },
            "low_res" | "low_res4" => Self::max(on(2e-4, 2e-3)),
            "masks_logits" => Self::max(on(3e-4, 2.1e-3)),
            "iou" | "iou4" => Self::max(1e-4),
            "sparse" | "dense_pe" => Self::max(1e-5),
            "coords_model" | "box_model" => Self::max(absmax.max(1.0) / f64::from(1 << 22)),
            "labels" => Self::max(0.0),
            "resized_u8" => Self { step: Some(1.0), ..Self::max(0.0) },
            "input" => Self { step: Some(1.001 / 57.12), ..Self::max(2e-6) },
            _ => network,
        }
    }

    /// The share of a mask's pixels that may differ.
    pub fn mask_pixels(device: Device) -> f64 {
        if device == Device::Cpu { 1e-4 } else { 1e-3 }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.max.map(|max| format!("max {max:.1e}")));
        parts.extend(self.relative_rms.map(|rms| format!("rms {rms:.1e}")));
        parts.extend(self.step.map(|step| format!("or {step:.2} in 0.1 %")));
        formatter.pad(&parts.join(", "))
    }
}
