//! GPUs that are not there: Mesa's drivers compile for them, and nothing runs. The C beside tests/instrument/module.mjs
//! says how.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{inputs, shell, tools};

/// Compilers that differ: AMD's of today, and Intel's for the two families that most laptops have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullDevice {
    /// AMD Navi 21.
    Rdna2,
    /// Intel Xe of Tiger Lake, 96 execution units.
    Gen12,
    /// Intel HD 620, 24 execution units.
    Gen9,
}

impl NullDevice {
    pub const ALL: [NullDevice; 3] = [NullDevice::Rdna2, NullDevice::Gen12, NullDevice::Gen9];

    pub fn name(self) -> &'static str {
        match self {
            NullDevice::Rdna2 => "RDNA2 (Navi 21)",
            NullDevice::Gen12 => "Gen12 (Xe of Tiger Lake)",
            NullDevice::Gen9 => "Gen9 (HD 620)",
        }
    }

    pub fn is_intel(self) -> bool {
        self != NullDevice::Rdna2
    }

    /// Node, which finds this device and no other. Builds the driver and installs what that takes.
    pub fn node(self) -> Result<Command> {
        let built = built()?;
        let mut node = shell::command("node");
        node.env("VK_DRIVER_FILES", manifest(&built)?);
        // Only to keep the Vulkan loader from complaining of its absence.
        node.env("XDG_RUNTIME_DIR", &built);
        match self {
            NullDevice::Rdna2 => {
                node.env("NULL_VULKAN_DRIVER", driver("radeon")?);
                node.env("RADV_FORCE_FAMILY", "navi21").env("RADV_DEBUG", "nocache");
            }
            NullDevice::Gen12 | NullDevice::Gen9 => {
                // The PCI id, and slices, subslices a slice, units a subslice.
                let (id, topology) = if self == NullDevice::Gen12 { ("9a49", "1,6,16") } else { ("5916", "1,3,8") };
                node.env("NULL_VULKAN_DRIVER", driver("intel")?);
                node.env("NULL_I915_DEVICE", id).env("NULL_I915_TOPOLOGY", topology);
                node.env("LD_PRELOAD", built.join("null_i915.so")).env("MESA_SHADER_CACHE_DISABLE", "true");
            }
        }
        Ok(node)
    }
}

/// The folder of both libraries, compiled from tests/instrument.
fn built() -> Result<PathBuf> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the null device is made of Mesa's drivers on x86-64 Linux; run this there, in Debian 12 for instance");
    }
    for (file, package) in [
        ("/usr/include/vulkan/vulkan.h", "libvulkan-dev"),
        ("/usr/include/xf86drm.h", "libdrm-dev"),
        ("/usr/share/vulkan/icd.d/radeon_icd.x86_64.json", "mesa-vulkan-drivers"),
        ("/usr/share/vulkan/icd.d/intel_icd.x86_64.json", "mesa-vulkan-drivers"),
    ] {
        if !Path::new(file).is_file() {
            tools::apt_install(package)
                .with_context(|| format!("{file} is missing; install your distribution's {package}"))?;
        }
    }
    tools::vulkan_loader()?;
    let folder = shell::cache("null-device")?;
    for name in ["null_vulkan", "null_i915"] {
        let source = shell::root().join("tests/instrument").join(name).with_extension("c");
        let library = folder.join(name).with_extension("so");
        let stamp = folder.join(name).with_extension("sha256");
        let key = shell::sha256(&source)?;
        if library.is_file() && fs::read_to_string(&stamp).is_ok_and(|of| of == key) {
            continue;
        }
        let compiler = tools::program("CC", &["cc", "gcc", "clang"], "gcc")?;
        let mut compile = shell::command(compiler);
        compile.args(["-O1", "-Wall", "-shared", "-fPIC", "-I/usr/include/libdrm", "-o"]);
        shell::run(compile.arg(&library).arg(&source).arg("-ldl"))?;
        fs::write(&stamp, key).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    Ok(folder)
}

/// The file by which Vulkan's loader finds a driver: ours.
fn manifest(built: &Path) -> Result<PathBuf> {
    let path = built.join("null_vulkan.json");
    let icd = json!({ "api_version": "1.3.230", "library_path": built.join("null_vulkan.so") });
    inputs::write(&path, json!({ "file_format_version": "1.0.0", "ICD": icd }).to_string().as_bytes())?;
    Ok(path)
}

/// Where a Mesa driver lies, by its own file for the loader.
fn driver(name: &str) -> Result<String> {
    let path = format!("/usr/share/vulkan/icd.d/{name}_icd.x86_64.json");
    let json: Value = serde_json::from_slice(&fs::read(&path).with_context(|| format!("cannot read {path}"))?)?;
    let library = json["ICD"]["library_path"].as_str();
    Ok(library.with_context(|| format!("{path} names no library"))?.to_owned())
}
