//! What a kernel's innermost loop is made of, read from what drivers print: RADV the instructions of AMD's GPUs by
//! LLVM's names, ANV those of Intel's by Mesa's.
//!
//! The innermost loop is the one that contains no other; of several, that with the most multiply-adds, then with the
//! most instructions. A kernel without a loop is counted as a whole. Every instruction counts once, either side of an
//! `if` included: it says what is issued, not how long that takes.

use std::collections::HashMap;

/// Instructions by what they keep busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mix {
    /// Fused multiply-adds of floats.
    pub fma: usize,
    /// Loads and stores of buffers.
    pub memory: usize,
    /// Of workgroup memory.
    pub local: usize,
    /// Registers moved out and in again.
    pub scratch: usize,
    /// Everything else that all lanes do.
    pub other: usize,
    /// What is done once a wave, and waiting.
    pub scalar: usize,
    /// Bytes that a lane loads from buffers.
    pub memory_bytes: usize,
    /// Bytes that a lane loads from workgroup memory.
    pub local_bytes: usize,
}

/// A line that is one.
enum Line<'a> {
    Label(&'a str),
    Instruction { counts: Mix, jumps_to: Option<&'a str> },
}

impl Mix {
    /// Of the innermost loop of a kernel.
    pub fn of(assembly: &str) -> Mix {
        let lines: Vec<Line> = lines(assembly);
        let mut labels = HashMap::new();
        let mut loops: HashMap<usize, usize> = HashMap::new();
        for (at, line) in lines.iter().enumerate() {
            match line {
                Line::Label(name) => {
                    labels.insert(*name, at);
                }
                Line::Instruction { jumps_to: Some(label), .. } => {
                    // A label that is known already lies before: the jump closes a loop.
                    if let Some(&start) = labels.get(label) {
                        let end = loops.entry(start).or_insert(at);
                        *end = at.max(*end);
                    }
                }
                Line::Instruction { .. } => {}
            }
        }
        let inner = |&(start, end): &(usize, usize)| {
            !loops.iter().any(|(&other, &its_end)| (other, its_end) != (start, end) && start <= other && its_end <= end)
        };
        let bodies = loops.iter().map(|(&start, &end)| (start, end)).filter(inner);
        let mixes = bodies.map(|(start, end)| sum(&lines[start..=end]));
        mixes.max_by_key(|mix| (mix.fma, mix.instructions())).unwrap_or_else(|| sum(&lines))
    }

    /// All of them.
    pub fn instructions(&self) -> usize {
        self.vector() + self.scalar
    }

    /// The share of multiply-adds in what is issued for all lanes.
    pub fn fma_share(&self) -> f64 {
        self.fma as f64 / self.vector().max(1) as f64
    }

    /// Bytes that a lane loads for a multiply-add: from buffers, from workgroup memory.
    pub fn bytes_per_fma(&self) -> Option<[f64; 2]> {
        (self.fma > 0).then(|| [self.memory_bytes, self.local_bytes].map(|bytes| bytes as f64 / self.fma as f64))
    }

    fn vector(&self) -> usize {
        self.fma + self.memory + self.local + self.scratch + self.other
    }

    fn add(self, other: Mix) -> Mix {
        Mix {
            fma: self.fma + other.fma,
            memory: self.memory + other.memory,
            local: self.local + other.local,
            scratch: self.scratch + other.scratch,
            other: self.other + other.other,
            scalar: self.scalar + other.scalar,
            memory_bytes: self.memory_bytes + other.memory_bytes,
            local_bytes: self.local_bytes + other.local_bytes,
        }
    }
}

fn sum(lines: &[Line]) -> Mix {
    let counts = lines.iter().filter_map(|line| match line {
        Line::Instruction { counts, .. } => Some(*counts),
        Line::Label(_) => None,
    });
    counts.fold(Mix::default(), Mix::add)
}

fn lines(assembly: &str) -> Vec<Line<'_>> {
    let mut all = Vec::new();
    let mut rest = assembly.lines().peekable();
    while let Some(line) = rest.next() {
        let line = line.trim();
        if let Some(label) = line.strip_suffix(':').filter(|label| is_label(label)) {
            all.push(Line::Label(label));
            continue;
        }
        let jumps_to = line.split_whitespace().find(|word| is_label(word));
        let counts = match opcode(line) {
            Some((name, true)) => {
                // The message of a send stands in the line after it.
                let message = rest.next_if(|next| next.contains("MsgDesc:")).unwrap_or("");
                intel(name, line, message)
            }
            Some((name, false)) => amd(name),
            None => continue,
        };
        all.push(Line::Instruction { counts, jumps_to });
    }
    all
}

/// `BB7` of RADV, `LABEL7` of ANV.
fn is_label(word: &str) -> bool {
    let number = word.strip_prefix("BB").or_else(|| word.strip_prefix("LABEL"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The name of the line's instruction, and whether it is Intel's: those have their width in parentheses.
fn opcode(line: &str) -> Option<(&str, bool)> {
    let first = |text: &str| text.starts_with(|first: char| first.is_ascii_lowercase());
    // AMD's end with their encoding.
    let encoded = |code: &str| code.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b' ');
    if let Some((text, code)) = line.rsplit_once("; ") {
        let name = text.split_whitespace().next()?;
        return (first(name) && encoded(code)).then_some((name, false));
    }
    // Intel's may begin with a condition in parentheses: `(+f0.0) break(16)`.
    let unconditional = match line.strip_prefix('(') {
        Some(rest) => rest.split_once(')')?.1.trim_start(),
        None => line,
    };
    let (head, rest) = unconditional.split_once('(')?;
    let (width, _) = rest.split_once(')')?;
    let is = first(head) && width.bytes().all(|byte| byte.is_ascii_digit());
    is.then_some((head.split_whitespace().next()?, true))
}

fn amd(name: &str) -> Mix {
    let mut mix = Mix::default();
    let fma = ["v_fma", "v_pk_fma", "v_mac_f", "v_mad_f", "v_mad_mix"];
    if fma.iter().any(|start| name.starts_with(start)) {
        mix.fma = if name.starts_with("v_pk") { 2 } else { 1 };
    } else if name.starts_with("ds_") {
        mix.local = 1;
        mix.local_bytes = if name.starts_with("ds_read") { local_bytes(name) } else { 0 };
    } else if name.starts_with("scratch_") {
        mix.scratch = 1;
    } else if ["buffer_", "global_", "flat_"].iter().any(|start| name.starts_with(start)) {
        mix.memory = 1;
        mix.memory_bytes = if name.contains("_load_") { buffer_bytes(name) } else { 0 };
    } else if name.starts_with("v_") {
        mix.other = 1;
    } else {
        mix.scalar = 1;
    }
    mix
}

/// `buffer_load_dwordx4` → 16.
fn buffer_bytes(name: &str) -> usize {
    let width = name.rsplit('_').next().unwrap_or("");
    match width.strip_prefix("dword") {
        Some("") => 4,
        Some(times) => 4 * times.trim_start_matches('x').parse().unwrap_or(1),
        None if width.ends_with("byte") => 1,
        None => 2,
    }
}

/// `ds_read2st64_b32` → 8.
fn local_bytes(name: &str) -> usize {
    let pair = if name.starts_with("ds_read2") { 2 } else { 1 };
    let bits = name.rsplit('_').next().map(|width| width.trim_start_matches(|c: char| !c.is_ascii_digit()));
    pair * bits.and_then(|bits| bits.parse::<usize>().ok()).unwrap_or(32) / 8
}

fn intel(name: &str, line: &str, message: &str) -> Mix {
    let mut mix = Mix::default();
    // The first operand is where it goes: `g8<1>F`.
    let float = line.split_whitespace().find(|word| word.contains('<')).is_some_and(|word| word.ends_with('F'));
    match name {
        "mad" | "mac" if float => mix.fma = 1,
        _ if name.starts_with("send") => {
            // 254 is workgroup memory; 253 and 255 are the thread's own, without a surface.
            let stateless = ["bti 253", "bti 255", "scratch"].iter().any(|name| message.contains(name));
            if message.contains("Surface = 254") {
                mix.local = 1;
                mix.local_bytes = intel_bytes(message);
            } else if message.contains("block") && stateless {
                mix.scratch = 1;
            } else if ["barrier", "mfence", "thread_spawner", "ts/btd"].iter().any(|name| message.contains(name)) {
                mix.scalar = 1;
            } else {
                mix.memory = 1;
                mix.memory_bytes = intel_bytes(message);
            }
        }
        "sync" | "nop" | "while" | "break" | "if" | "else" | "endif" | "wait" | "jmpi" | "cont" => mix.scalar = 1,
        _ => mix.other = 1,
    }
    mix
}

/// `untyped surface read, … Mask = 0xe`: a bit for each of four words that is left out.
fn intel_bytes(message: &str) -> usize {
    let mask = message.split_once("Mask = 0x").and_then(|(_, rest)| {
        let digits = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
        u32::from_str_radix(digits, 16).ok()
    });
    match mask {
        Some(mask) if message.contains("read") => 4 * (4 - (mask & 15).count_ones() as usize),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_loop_of_amd() {
        let text = "BB0:\n\tv_fma_f32 v1, v2, v3, v4  ; d54b\n\tv_fmac_f32_e32 v1, v2, v3 ; 5602\nBB1:\n\
            \ts_cmp_eq_i32 s6, 0  ; bf00\n\ts_cbranch_scc1 BB5  ; bf85\nBB2:\n\
            \tbuffer_load_dwordx4 v[0:3], v4, s[0:3], 0 offen  ; e038\n\tds_read_b128 v[4:7], v8  ; d9fc\n\
            \tds_read2st64_b32 v[4:5], v8 offset1:1  ; d9fc\n\ts_waitcnt vmcnt(0)  ; bf8c\n\
            \tv_fmac_f32_e32 v1, v2, v3  ; 5602\n\tv_add_f32 v1, v1, v2  ; 0602\n\ts_cbranch_scc0 BB2  ; bf84\n\
            \ts_branch BB1  ; bf82\nBB5:\n\tbuffer_store_dword v1, v2, s[0:3], 0 offen  ; e070\n";
        let expected =
            Mix { fma: 1, memory: 1, local: 2, other: 1, scalar: 2, memory_bytes: 16, local_bytes: 24, scratch: 0 };
        let mix = Mix::of(text);
        assert_eq!(mix, expected);
        assert_eq!((mix.instructions(), mix.fma_share()), (7, 0.2));
        assert_eq!(mix.bytes_per_fma(), Some([16.0, 24.0]));
    }

    #[test]
    fn the_innermost_loop_of_intel() {
        let text = "mov(8)  g3<1>UD  0x0UD  { align1 WE_all 1Q };\n\nLABEL3:\n\
            (+f0.0) break(16) JIP:  LABEL2  UIP:  LABEL2  { align1 1H };\nsync nop(1)  null<0,1,0>UB  { @1 };\n\
            mad(16)  g4<1>F  g4<8,8,1>F  g6<8,8,1>F  g8<1,1,1>F  { align1 1H };\n\
            mad(16)  g4<1>D  g4<8,8,1>D  g6<8,8,1>D  g8<1,1,1>D  { align1 1H };\n\
            send(16)  g4UD  g3UD  nullUD  0x022803fd  0x00000000\n\
            \x20  data MsgDesc: (DC OWORD block read, bti 253, owords = 4, aligned = 0) mlen 1 { align1 1H };\n\
            send(16)  g4UD  g3UD  nullUD  0x02\n\
            \x20  dp data 1 MsgDesc: (DC untyped surface read, Surface = 254, SIMD16, Mask = 0x0) mlen 2 { 1H };\n\
            send(16)  g4UD  g3UD  nullUD  0x02\n\
            \x20  dp data 1 MsgDesc: (DC untyped surface read, Surface = 2, SIMD16, Mask = 0xe) mlen 2 { 1H };\n\
            LABEL2:\nwhile(16)  JIP:  LABEL3  { align1 1H };\nadd(16)  g4<1>F  g4<8,8,1>F  g6<8,8,1>F  { 1H };\n";
        let expected =
            Mix { fma: 1, memory: 1, local: 1, scratch: 1, other: 1, scalar: 3, memory_bytes: 4, local_bytes: 16 };
        assert_eq!(Mix::of(text), expected);
    }

    #[test]
    fn without_a_loop_all_counts() {
        let mix = Mix::of("BB0:\n\tv_add_f32 v1, v1, v2  ; 0602\n\ts_endpgm  ; bf81\n");
        assert_eq!(mix, Mix { other: 1, scalar: 1, ..Mix::default() });
        assert_eq!(mix.bytes_per_fma(), None);
    }
}
