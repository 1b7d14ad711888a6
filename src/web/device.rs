//! The device of this module: WebGPU or the CPU, as it was built.

use burn::tensor::Device;

use crate::Result;

/// A device, and what there is to say of it.
#[derive(Clone)]
pub struct Found {
    pub device: Device,
    /// The adapter's name, or the processor's instruction set.
    pub adapter: String,
}

/// The name of this module's device.
pub const BACKEND: &str = if cfg!(feature = "webgpu") { "webgpu" } else { "cpu" };

/// The CPU.
#[cfg(not(feature = "webgpu"))]
pub async fn find(_force_software: bool) -> Result<Found> {
    Ok(Found { device: Device::flex(), adapter: "WebAssembly SIMD, one thread".into() })
}

/// A WebGPU device, with the limits and features of its adapter.
///
/// # Errors
/// `device_unavailable` without WebGPU, without an adapter, or where the adapter is software and not asked for: it is
/// some eighty times slower than the CPU module.
#[cfg(feature = "webgpu")]
pub async fn find(force_software: bool) -> Result<Found> {
    use burn::tensor::wgpu::wgpu::DeviceType;
    use std::cell::RefCell;

    use crate::Error;

    // burn registers a device once for ever: a second model in this thread shares it.
    thread_local!(static FOUND: RefCell<Option<Found>> = const { RefCell::new(None) });
    if let Some(found) = FOUND.with_borrow(Clone::clone) {
        return Ok(found);
    }
    let (device, setup) =
        Device::wgpu_options().init_with_setup_async().await.map_err(|e| Error::DeviceUnavailable(e.to_string()))?;
    let info = setup.adapter.get_info();
    if info.device_type == DeviceType::Cpu && !force_software {
        return Err(Error::DeviceUnavailable(format!(
            "the only WebGPU adapter is software ({}); use the CPU device, which is faster",
            info.name
        )));
    }
    let found = Found { device, adapter: info.name };
    FOUND.set(Some(found.clone()));
    Ok(found)
}
