//! A checkpoint as a small `.safetensors`: what the network needs and nothing else.

use std::collections::HashMap;

use ::safetensors::{Dtype, tensor::TensorView};
use half::f16;

use super::{Checkpoint, int8, manifest};
use crate::{Error, Result};

/// How a converted checkpoint holds its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    F32,
    /// Half the size of f32; rounds to nearest, ties to even: some 0.003 of a mask's IoU.
    F16,
    /// A quarter of the size of f32: int8 for the large weights, each output channel with a scale of its own (its
    /// largest magnitude is 127), f16 for the rest.
    Int8,
}

impl Checkpoint {
    /// The checkpoint as `.safetensors`, without the tensors that the network does not use. The same weights give the
    /// same bytes, whatever file they came from.
    ///
    /// # Errors
    /// [`Error::OptionInvalid`] if a value is too large for f16 (over 65 504); the errors of
    /// [`tensor`](Checkpoint::tensor).
    pub fn to_safetensors(&self, precision: Precision) -> Result<Vec<u8>> {
        let mut tensors = Vec::new();
        for key in manifest::keys().iter().filter(|key| key.used) {
            let (name, shape) = (key.name.to_owned(), key.shape.clone());
            let values = self.tensor(key.name, &key.shape)?;
            match (precision, key.outputs()) {
                (Precision::F32, _) => tensors.push((name, Dtype::F32, shape, to_f32(&values))),
                (Precision::Int8, Some(axis)) => {
                    let (data, scales) = int8::pack(&values, &key.shape, axis);
                    let mut sides = vec![1; shape.len()];
                    sides[axis] = scales.len();
                    tensors.push((int8::scale_of(key.name), Dtype::F32, sides, to_f32(&scales)));
                    tensors.push((name, Dtype::I8, shape, data));
                }
                (Precision::F16 | Precision::Int8, _) => {
                    tensors.push((name, Dtype::F16, shape, to_f16(key.name, &values)?))
                }
            }
        }
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, data)| Ok((name, TensorView::new(*dtype, shape.clone(), data)?)))
            .collect::<Result<Vec<_>, ::safetensors::SafeTensorError>>()
            .map_err(|e| Error::Internal(e.to_string()))?;
        // What other tools look for before they take the tensors for PyTorch's.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        ::safetensors::serialize(views, Some(metadata)).map_err(|e| Error::Internal(e.to_string()))
    }
}

fn to_f32(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn to_f16(name: &str, values: &[f32]) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(values.len() * 2);
    for (at, &value) in values.iter().enumerate() {
        let rounded = f16::from_f32(value);
        if !rounded.is_finite() {
            return Err(Error::OptionInvalid(format!(
                "f16 cannot hold {value}, element {at} of tensor {name:?}: convert to f32"
            )));
        }
        data.extend_from_slice(&rounded.to_le_bytes());
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(value: f32) -> Result<u16> {
        to_f16("t", &[value]).map(|b| u16::from_le_bytes([b[0], b[1]]))
    }

    #[test]
    fn f16_rounds_to_nearest_even() {
        assert_eq!(bits(1.0), Ok(0x3c00));
        // Halfway between 1 and the next f16: the even one; a little more: up.
        assert_eq!(bits(1.0 + 2f32.powi(-11)), Ok(0x3c00));
        assert_eq!(bits(1.0 + 2f32.powi(-11) + 2f32.powi(-20)), Ok(0x3c01));
        assert_eq!(bits(1.0 + 3.0 * 2f32.powi(-11)), Ok(0x3c02));
        assert_eq!(bits(-0.0), Ok(0x8000));
    }

    #[test]
    fn f16_overflow_is_an_error() {
        assert_eq!(bits(65504.0), Ok(0x7bff));
        assert_eq!(bits(65519.0), Ok(0x7bff));
        let error = bits(65520.0).unwrap_err();
        assert_eq!(error.code(), "option_invalid");
        assert!(error.to_string().contains("65520"), "{error}");
        assert!(bits(-1e9).is_err());
    }
}
