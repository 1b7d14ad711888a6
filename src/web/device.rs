//! The device of this module: WebGPU or the CPU, as it was built.

use burn::tensor::Device;

use crate::Result;

#[cfg(feature = "webgpu")]
pub use gpu::{check, find};

/// A device, and what there is to say of it.
#[derive(Clone)]
pub struct Found {
    pub device: Device,
    /// The adapter's name, or the processor's instruction set.
    pub adapter: String,
    /// Whether the adapter is a program on the CPU.
    #[cfg(feature = "webgpu")]
    pub software: bool,
    /// Whether the processor multiplies and adds in one instruction.
    #[cfg(not(feature = "webgpu"))]
    pub relaxed: bool,
}

#[cfg(not(feature = "webgpu"))]
impl Found {
    /// The processor's instruction set.
    pub fn kernels(&self) -> &'static str {
        if self.relaxed { "relaxed-simd" } else { "simd128" }
    }
}

/// The name of this module's device.
pub const BACKEND: &str = if cfg!(feature = "webgpu") { "webgpu" } else { "cpu" };

/// The CPU.
#[cfg(not(feature = "webgpu"))]
pub async fn find(_force_software: bool) -> Result<Found> {
    let relaxed = super::relaxed::link().await;
    let adapter = if relaxed { "WebAssembly relaxed SIMD" } else { "WebAssembly SIMD" };
    Ok(Found { device: Device::flex(), relaxed, adapter: adapter.into() })
}

/// The CPU fails by what a call returns, and in no other way.
#[cfg(not(feature = "webgpu"))]
pub fn check() -> Result<()> {
    Ok(())
}

/// What came of a call, if the device has not complained meanwhile of something that no call knows of. After a call that
/// the device did not survive, the next [`find`] gets another.
///
/// # Errors
/// As the call has them, and `check`.
pub fn checked<T>(result: Result<T>) -> Result<T> {
    check()?;
    #[cfg(feature = "webgpu")]
    if result.as_ref().is_err_and(crate::Error::ends_device) {
        gpu::leave();
    }
    result
}

/// A device of our own on the browser's WebGPU, handed to burn.
///
/// burn would make one by itself, with every limit and feature of the adapter, and cubecl-wgpu 0.11 refuses an adapter
/// without timestamp queries by a panic. Nothing here is timed on the device, and WebGPU's default limits suffice: they are
/// what is asked for, so that every adapter that is one will do, and what runs on one runs on all.
#[cfg(feature = "webgpu")]
mod gpu {
    use std::cell::RefCell;
    use std::pin::Pin;

    use burn::tensor::wgpu::WgpuSetup;
    use js_sys::Reflect;
    use wasm_bindgen::JsValue;
    use wasm_bindgen::prelude::Closure;
    use wgpu::{Adapter, Features, Limits};

    use super::super::js::{property, tag};

    use super::{Device, Found, Result};
    use crate::Error;

    thread_local! {
        /// The device in use. A second model in this thread shares it.
        static FOUND: RefCell<Option<Found>> = const { RefCell::new(None) };
        /// What the device last said that nobody was waiting for.
        static FAULT: RefCell<Option<Error>> = const { RefCell::new(None) };
    }

    /// A WebGPU device.
    ///
    /// # Errors
    /// `device_unavailable` without WebGPU, without an adapter, if the adapter refuses a device, or where it is software and
    /// not asked for: the CPU module is faster.
    pub async fn find(force_software: bool) -> Result<Found> {
        if let Some(found) = FOUND.with_borrow(Clone::clone) {
            return Ok(found);
        }
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::BROWSER_WEBGPU;
        let instance = wgpu::Instance::new(descriptor);
        let wanted = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let unavailable = |error: &dyn std::fmt::Display| Error::DeviceUnavailable(error.to_string());
        let adapter = instance.request_adapter(&wanted).await.map_err(|error| unavailable(&error))?;
        let info = adapter.get_info();
        let software = info.device_type == wgpu::DeviceType::Cpu;
        if software && !force_software {
            return Err(Error::DeviceUnavailable(format!(
                "the only WebGPU adapter is software ({}); use the CPU device, which is faster",
                info.name
            )));
        }
        let descriptor = wgpu::DeviceDescriptor { label: Some("tinysam"), ..Default::default() };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| unavailable(&error))?;
        // Two loads may have come this far at once: the first one's device serves both.
        if let Some(found) = FOUND.with_borrow(Clone::clone) {
            device.destroy();
            return Ok(found);
        }
        let limits = device.limits();
        let adapter = Adapter::from_custom(Shown { adapter, limits });
        let backend = wgpu::Backend::BrowserWebGpu;
        let setup = WgpuSetup { instance, adapter, device: device.clone(), queue, backend };
        let registered = Device::wgpu_options().setup(setup).init().map_err(|error| unavailable(&error))?;
        listen(&device);
        let found = Found { device: registered, adapter: info.name, software };
        FOUND.set(Some(found.clone()));
        Ok(found)
    }

    /// What the device has complained of since it was last asked, of which no call knows: a buffer that it had no memory
    /// for, a kernel that its driver refuses. What was computed since then cannot be trusted, nor what is computed on this
    /// device from now on: the next [`find`] gets another.
    ///
    /// # Errors
    /// `out_of_memory`, or `internal` with the driver's words.
    pub fn check() -> Result<()> {
        match FAULT.take() {
            None => Ok(()),
            Some(fault) => {
                leave();
                Err(fault)
            }
        }
    }

    /// Has the next [`find`] get another device.
    pub fn leave() {
        FOUND.take();
    }

    /// Hears what nobody waits for, in the place of wgpu's handler, which panics at errors that it does not know (30.0 knows
    /// no `GPUInternalError`), and of burn's, which panics at all of them.
    fn listen(device: &wgpu::Device) {
        let Some(device) = device.as_webgpu() else { return };
        let handler = Closure::<dyn FnMut(JsValue)>::new(|event: JsValue| record(&property(&event, "error")));
        // Setting a property of a device that is there does not fail.
        let _ = Reflect::set(device, &"onuncapturederror".into(), handler.as_ref());
        // The device keeps it as long as it lives.
        handler.forget();
    }

    fn record(error: &JsValue) {
        let told = property(error, "message").as_string().unwrap_or_default();
        let fault = match tag(error).as_str() {
            "GPUOutOfMemoryError" => {
                Error::DeviceMemory("the GPU has no memory left; use a smaller size, or fewer images at once".into())
            }
            _ => Error::Internal(format!("the GPU's driver says: {}", told.trim())),
        };
        // The first one is the cause of those that follow.
        FAULT.with_borrow_mut(|kept| {
            kept.get_or_insert(fault);
        });
    }

    /// The adapter as cubecl-wgpu shall see it: one with timestamp queries, which nothing here asks for, and with the limits
    /// of the device, by which it sizes workgroups.
    #[derive(Debug)]
    struct Shown {
        adapter: Adapter,
        limits: Limits,
    }

    impl wgpu::custom::AdapterInterface for Shown {
        fn request_device(
            &self,
            _descriptor: &wgpu::DeviceDescriptor<'_>,
        ) -> Pin<Box<dyn wgpu::custom::RequestDeviceFuture>> {
            unreachable!("the device is there before the adapter is shown")
        }
        fn is_surface_supported(&self, _surface: &wgpu::custom::DispatchSurface) -> bool {
            false
        }
        fn features(&self) -> Features {
            Features::TIMESTAMP_QUERY
        }
        fn limits(&self) -> Limits {
            self.limits.clone()
        }
        fn downlevel_capabilities(&self) -> wgpu::DownlevelCapabilities {
            self.adapter.get_downlevel_capabilities()
        }
        fn get_info(&self) -> wgpu::AdapterInfo {
            self.adapter.get_info()
        }
        fn get_texture_format_features(&self, format: wgpu::TextureFormat) -> wgpu::TextureFormatFeatures {
            self.adapter.get_texture_format_features(format)
        }
        fn get_presentation_timestamp(&self) -> wgpu::PresentationTimestamp {
            self.adapter.get_presentation_timestamp()
        }
        fn cooperative_matrix_properties(&self) -> Vec<wgpu::wgt::CooperativeMatrixProperties> {
            Vec::new()
        }
    }
}
