//! What of the WebGPU module is the same on every machine, and therefore tested: what it exports, what it asks of a
//! device, and that the kernels it chooses fit the registers of those GPUs that can be compiled for.

use anyhow::{Result, ensure};

use super::null_device::NullDevice;
use super::run::{Facts, Job};
use crate::modules::Module;
use crate::shell;

/// The most that may be counted at 1024.
struct Most {
    /// Dispatches of an encode: each costs a GPU 4 to 35 µs of its own, and the CPU some 0.1 ms.
    encode_dispatches: usize,
    /// Of one prompt, of which most are too small to fill a GPU.
    decode_dispatches: usize,
    /// Bytes of the buffers that the first encode creates, beyond the weights: what a phone has to spare.
    encode_bytes: i64,
    /// Bytes of the buffers that an encode creates in place of one that was freed.
    again_bytes: i64,
    /// Bytes of the buffers that each further embedding takes that is kept: 4.2 MB are its own, 6.3 MB its keys and
    /// values.
    embedding_bytes: i64,
    /// Buffers that loading creates: six hold the weights, the others what the known answers are asked with, and what is
    /// read back.
    load_buffers: i64,
}

const MOST: Most = Most {
    encode_dispatches: 75,
    decode_dispatches: 24,
    encode_bytes: 250 << 20,
    again_bytes: 0,
    embedding_bytes: 20_000_000,
    load_buffers: 170,
};

/// The kernels that the module chooses by an adapter's vendor, until it has measured (a null device tells it nothing).
/// They may not spill, not one register: a spill in a loop costs more than the largest tile gains.
const CHOSEN: [(NullDevice, &str); 3] =
    [(NullDevice::Rdna2, "8x8"), (NullDevice::Gen12, "4x4"), (NullDevice::Gen9, "4x4")];

/// A step of `cargo xtask test`.
pub fn run() -> Result<()> {
    let module = Module::WebGpu.folder();
    let mut faults = Vec::new();
    for (device, kernels) in CHOSEN {
        let facts = Job { module: &module, device, kernels: Some(kernels), size: 1024, runs: 2 }.run()?;
        if device == NullDevice::Rdna2 {
            faults.extend(miscounted(&facts, &MOST));
        }
        faults.extend(spilling(&facts, device));
        if facts.chosen != kernels {
            faults.push(format!("{}: kernels {} ran, not {kernels}", device.name(), facts.chosen));
        }
    }
    for fault in &faults {
        shell::say(fault);
    }
    ensure!(faults.is_empty(), "the WebGPU module asks more of a device than it may");
    Ok(())
}

/// What is counted and is more than it may be.
fn miscounted(facts: &Facts, most: &Most) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |what: &str, counted: i64, most: i64| {
        if counted > most {
            faults.push(format!("{what}: {counted}, at most {most}"));
        }
    };
    let commands = facts.exports.iter().filter(|name| name.ends_with("_command_export")).count();
    // Each would run all static constructors whenever it is called: cubecl's cost a quarter of a millisecond.
    check("exports that end in _command_export", commands as i64, 0);
    let (encode, decode) = (facts.encode.last(), facts.decode.last());
    check(
        "dispatches of an encode",
        encode.map_or(i64::MAX, |phase| phase.dispatches.len() as i64),
        most.encode_dispatches as i64,
    );
    check(
        "dispatches of a prompt",
        decode.map_or(i64::MAX, |phase| phase.dispatches.len() as i64),
        most.decode_dispatches as i64,
    );
    check("bytes created by the first encode", facts.first_encode.bytes, most.encode_bytes);
    check(
        "bytes created by an encode in place of another",
        encode.map_or(i64::MAX, |phase| phase.bytes),
        most.again_bytes,
    );
    check("bytes created by a prompt after another", decode.map_or(i64::MAX, |phase| phase.bytes), 0);
    let embedding = facts.kept.iter().copied().max().unwrap_or(i64::MAX);
    check("bytes created for an embedding beside others", embedding, most.embedding_bytes);
    check("buffers created by loading", facts.load.buffers, most.load_buffers);
    faults
}

/// The kernels that spill.
fn spilling(facts: &Facts, device: NullDevice) -> Vec<String> {
    let spill = facts.kernels.iter().filter(|kernel| kernel.spills() > 0);
    let told = spill.map(|kernel| {
        let constants = kernel.constants(&facts.kernels);
        format!("{}: {} ({constants}) spills {} times", device.name(), kernel.name, kernel.spills())
    });
    let mut faults: Vec<String> = told.collect();
    if facts.kernels.is_empty() {
        faults.push(format!("{}: no kernel was compiled", device.name()));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::run::{Kernel, Phase};
    use super::*;

    /// A module that is within all bounds, and what it is after a change.
    fn faults(change: impl FnOnce(&mut Facts)) -> Vec<String> {
        let phase = |dispatches| Phase { dispatches: vec![(0, 1, 1, 1); dispatches], ..Phase::default() };
        let mut facts = Facts {
            exports: vec!["memory".into(), "__wbindgen_malloc".into()],
            encode: vec![phase(MOST.encode_dispatches)],
            decode: vec![phase(MOST.decode_dispatches)],
            kept: vec![1000, MOST.embedding_bytes],
            kernels: vec![Kernel { name: "product".into(), ..Kernel::default() }],
            ..Facts::default()
        };
        change(&mut facts);
        let mut faults = miscounted(&facts, &MOST);
        faults.extend(spilling(&facts, NullDevice::Gen12));
        faults
    }

    #[test]
    fn within_all_bounds() {
        assert_eq!(faults(|_| ()), [""; 0]);
    }

    #[test]
    fn each_bound_is_looked_at() {
        let changes: [fn(&mut Facts); 12] = [
            |facts| facts.exports.push("__wbindgen_malloc_command_export".into()),
            |facts| facts.encode[0].dispatches.push((0, 1, 1, 1)),
            |facts| facts.decode[0].dispatches.push((0, 1, 1, 1)),
            |facts| facts.first_encode.bytes = MOST.encode_bytes + 1,
            |facts| facts.encode[0].bytes = MOST.again_bytes + 1,
            |facts| facts.decode[0].bytes = 1,
            |facts| facts.kept[0] = MOST.embedding_bytes + 1,
            |facts| facts.kept.clear(),
            |facts| facts.load.buffers = MOST.load_buffers + 1,
            |facts| drop(facts.kernels[0].statistics.insert("Spill Count".into(), "1".into())),
            |facts| drop(facts.kernels[0].statistics.insert("Spilled VGPRs".into(), "1".into())),
            |facts| facts.kernels.clear(),
        ];
        for (at, change) in changes.into_iter().enumerate() {
            assert_eq!(faults(change).len(), 1, "change {at}");
        }
    }
}
