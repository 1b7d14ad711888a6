//! What was found, as Markdown.

use std::fmt::Write;
use std::slice::from_ref;

use super::null_device::NullDevice;
use super::run::{Facts, Kernel, Phase};
use crate::bench::Spread;

/// RDNA2 has no room for more, whatever its registers would allow.
const MOST_WAVES: u64 = 16;

/// Times and counts of phases by name; of a repeated phase, medians.
pub fn costs<'a>(phases: impl IntoIterator<Item = (&'a str, &'a [Phase])>) -> String {
    let mut out = String::from(
        "| | host, ms | of the processor, ms | dispatches | submits | passes | buffers created | MB created |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for (name, runs) in phases {
        let Some(last) = runs.last() else { continue };
        let median = |of: fn(&Phase) -> f64| {
            let times: Vec<f64> = runs.iter().map(of).collect();
            Spread::of(&times).map_or(f64::NAN, |spread| spread.median)
        };
        let calls = |name: &str| last.calls.get(name).copied().unwrap_or(0);
        let _ = writeln!(
            out,
            "| {name} | {:.1} | {:.1} | {} | {} | {} | {} | {:.1} |",
            median(|phase| phase.wall),
            median(|phase| phase.cpu),
            last.dispatches.len(),
            calls("submit"),
            calls("beginComputePass"),
            last.buffers,
            last.bytes as f64 / 1e6,
        );
    }
    out
}

/// The module's phases.
pub fn phases(facts: &Facts) -> [(&'static str, &[Phase]); 5] {
    [
        ("load and warm-up", from_ref(&facts.load)),
        ("first encode", from_ref(&facts.first_encode)),
        ("encode", &facts.encode),
        ("first prompt", from_ref(&facts.first_decode)),
        ("prompt", &facts.decode),
    ]
}

/// What each embedding adds that is kept.
pub fn kept(facts: &Facts) -> String {
    let megabytes: Vec<String> = facts.kept.iter().map(|&bytes| format!("{:.1}", bytes as f64 / 1e6)).collect();
    format!("MB created for each further embedding that is kept, and a prompt on it: {}\n", megabytes.join(", "))
}

/// What the compiler made of each kernel.
pub fn kernels(facts: &Facts, device: NullDevice) -> String {
    let (head, rule) = match device.is_intel() {
        false => ("VGPR | waves a SIMD | spills | LDS", "---|---|---|---"),
        true => ("SIMD | spills | fills | LDS", "---|---|---|---"),
    };
    let mut out = format!(
        "{}; the innermost loop's instructions\n\n\
         | kernel | in encode | in prompt | {head} | FMA | memory | LDS | spilled | other | scalar | FMA of vector \
         | bytes a FMA: memory, LDS |\n|---|---|---|{rule}|---|---|---|---|---|---|---|---|\n",
        facts.adapter
    );
    for kernel in &facts.kernels {
        let [encode, decode] = facts.uses(kernel);
        let constants = kernel.constants(&facts.kernels);
        let of = if constants.is_empty() { String::new() } else { format!(" ({constants})") };
        let mix = kernel.mix();
        let bytes =
            mix.bytes_per_fma().map_or(String::from("–"), |[memory, local]| format!("{memory:.2}, {local:.2}"));
        let _ = writeln!(
            out,
            "| {}{of} | {encode} | {decode} | {} | {} | {} | {} | {} | {} | {} | {:.0} % | {bytes} |",
            kernel.name,
            resources(kernel, device),
            mix.fma,
            mix.memory,
            mix.local,
            mix.scratch,
            mix.other,
            mix.scalar,
            100.0 * mix.fma_share(),
        );
    }
    out
}

fn resources(kernel: &Kernel, device: NullDevice) -> String {
    let number = |name| kernel.number(name);
    let [first, second, third, fourth] = match device.is_intel() {
        false => [number("VGPRs"), number("Subgroups per SIMD").min(MOST_WAVES), kernel.spills(), number("LDS size")],
        true => [number("subgroup"), kernel.spills(), number("Fill Count"), number("Workgroup Memory Size")],
    };
    format!("{first} | {second} | {third} | {fourth}")
}
