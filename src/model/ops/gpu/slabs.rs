//! Where weights lie on a GPU: side by side in a few large buffers.
//!
//! A network has some two hundred tensors of weights, and a buffer for each, of no less than 32 KiB, is what a runtime
//! makes of them otherwise.

use std::sync::Mutex;

use burn::backend::Wgpu;
use burn::tensor::{DType, Device, Tensor};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::bytes::Bytes;
use cubecl::zspace::metadata::Metadata;

use super::{LANES, primitive};

/// Bytes of a buffer: far below what any device promises, and an upload that no driver takes long for.
const SLAB: usize = 8 << 20;
/// What WebGPU wants the start of a binding to be a multiple of.
const ALIGNMENT: usize = 256;

/// Buffers that are filled one after another.
pub struct Slabs {
    /// Something on the device, to make buffers like.
    like: CubeTensor,
    /// The buffer that is being filled, and how far.
    last: Mutex<Option<(CubeTensor, usize)>>,
}

impl Slabs {
    pub fn new(device: &Device) -> Self {
        Slabs { like: primitive(&Tensor::<1>::empty([LANES], device)), last: Mutex::new(None) }
    }

    /// A buffer of so many bytes, of exactly that size and kept as long as anything in it.
    fn buffer(&self, bytes: usize) -> CubeTensor {
        let CubeTensor { client, device, .. } = &self.like;
        client.memory_persistent_allocation((), |()| {
            let shape = [bytes / size_of::<f32>()].into();
            empty_device_contiguous_dtype(client.clone(), device.clone(), shape, DType::F32)
        })
    }

    /// Puts values on the device.
    pub fn place<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        let bytes = size_of_val(values.as_slice());
        // A poisoned lock holds a value like any other.
        let mut last = self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (slab, from) = match last.take() {
            Some((slab, from)) if from + bytes <= SLAB => (slab, from),
            _ => (self.buffer(SLAB.max(bytes)), 0),
        };
        let size = slab.handle.size() as usize;
        let handle = slab.handle.clone().offset_start(from as u64).offset_end((size - from - bytes) as u64);
        slab.client.write(&handle, Bytes::from_elems(values));
        let next = (from + bytes).next_multiple_of(ALIGNMENT);
        let mut placed = slab.clone();
        placed.handle = handle;
        placed.meta = Box::new(Metadata::new(shape, contiguous(shape)));
        *last = Some((slab, next));
        Tensor::from_primitive::<Wgpu>(placed)
    }
}

/// How far apart the elements of each axis are.
fn contiguous<const D: usize>(shape: [usize; D]) -> [usize; D] {
    std::array::from_fn(|axis| shape[axis + 1..].iter().product())
}
