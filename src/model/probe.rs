//! A look at the tensors inside a forward pass, for comparing them with the reference's.

use burn::tensor::Tensor;

/// Receives named intermediate tensors, or nothing at all.
pub struct Probe<'a>(Option<&'a mut dyn FnMut(String, Tensor<3>)>);

impl<'a> Probe<'a> {
    /// Looks at nothing.
    pub fn off() -> Self {
        Probe(None)
    }

    /// Hands every named tensor to `sink`. Feature maps are `[H, W, C]`, token lists `[B, L, C]`.
    pub fn on(sink: &'a mut dyn FnMut(String, Tensor<3>)) -> Self {
        Probe(Some(sink))
    }

    /// Shows a tensor; neither it nor its name is made unless somebody looks.
    pub fn see(&mut self, name: impl FnOnce() -> String, tensor: impl FnOnce() -> Tensor<3>) {
        if let Some(sink) = &mut self.0 {
            sink(name(), tensor());
        }
    }
}
