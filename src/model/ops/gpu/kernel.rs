//! Kernels written in WGSL, launched through burn's runtime.
//!
//! A kernel is a few parts of text from `shaders/` after a head that is made here: its constants, its buffers and its
//! sizes. WGSL rather than CubeCL, because what makes these kernels fast is what every WebGPU implementation shares and
//! can see: literal bounds, vectors in workgroup memory, `workgroup_id`; because a page then compiles nothing but text;
//! and because the very text can be handed to a driver's compiler to see what becomes of it.

use std::fmt::Write;

use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use cubecl::ir::attributes::BufferIOAttr;
use cubecl::ir::metadata::Info;
use cubecl::ir::settings::Dim3;
use cubecl::ir::settings::KernelSettings;
use cubecl::ir::{AddressType, ElemType, Scope, UIntKind};
use cubecl::prelude::{CubeCount, KernelId, KernelMetadata};
use cubecl::server::{KernelArguments, MetadataBindingInfo};
use cubecl::{CubeKernel, ExecutionMode, PrecompiledSource};

/// WebGPU promises that many workgroups in each direction of a launch.
pub const GROUPS: usize = 65_535;

/// What cubecl itself declares: natively it puts several tensors into one buffer, which may then not be read-only here and
/// written there.
const READ: &str = if cfg!(target_family = "wasm") { "read" } else { "read_write" };

/// The text of a shader in `shaders/`, less its comments and indentation: a page need not download those.
macro_rules! shader {
    ($name:literal) => {{
        const TEXT: &str = include_str!(concat!("shaders/", $name, ".wgsl"));
        const LENGTH: usize = $crate::model::ops::gpu::kernel::code::<0>(TEXT).1;
        const CODE: [u8; LENGTH] = $crate::model::ops::gpu::kernel::code::<LENGTH>(TEXT).0;
        const { $crate::model::ops::gpu::kernel::text(&CODE) }
    }};
}
pub(super) use shader;

/// A shader without comments and indentation, as far as it fits into `N` bytes, and how many it takes.
pub const fn code<const N: usize>(text: &str) -> ([u8; N], usize) {
    let text = text.as_bytes();
    let mut code = [0; N];
    let (mut from, mut to) = (0, 0);
    let mut blank = true; // nothing but spaces in this line so far
    while from < text.len() {
        if text[from] == b'/' && from + 1 < text.len() && text[from + 1] == b'/' {
            while from < text.len() && text[from] != b'\n' {
                from += 1;
            }
            continue;
        }
        let skipped = blank && (text[from] == b' ' || text[from] == b'\n');
        blank = text[from] == b'\n' || skipped;
        if !skipped {
            if to < N {
                code[to] = text[from];
            }
            to += 1;
        }
        from += 1;
    }
    (code, to)
}

/// What is left of a shader is ASCII.
pub const fn text(code: &[u8]) -> &str {
    match std::str::from_utf8(code) {
        Ok(text) => text,
        Err(_) => panic!("a shader says in ASCII what is not a comment"),
    }
}

/// A value that is part of a kernel's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Constant {
    Integer(u32),
    /// The bits of a float.
    Float(u32),
    /// Replaces its name wherever it stands.
    Text(&'static str),
}

/// All that a kernel's text is made of: two launches with the same share a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Text {
    /// What drivers and tools call it.
    name: &'static str,
    parts: Vec<&'static str>,
    constants: Vec<(&'static str, Constant)>,
    /// Name, type of an element, whether it is only read.
    buffers: Vec<(&'static str, &'static str, bool)>,
    sizes: Vec<&'static str>,
}

impl Text {
    /// The whole of it.
    fn write(&self) -> String {
        let mut head = String::new();
        for (name, constant) in &self.constants {
            // Writing to a string cannot fail.
            let _ = match constant {
                Constant::Integer(value) => writeln!(head, "const {name} = {value}u;"),
                Constant::Float(bits) => writeln!(head, "const {name} = {:e};", f32::from_bits(*bits)),
                Constant::Text(_) => Ok(()),
            };
        }
        for (binding, (name, element, read)) in self.buffers.iter().enumerate() {
            let access = if *read { READ } else { "read_write" };
            let _ = writeln!(head, "@group(0) @binding({binding}) var<storage, {access}> {name}: array<{element}>;");
        }
        let sizes: String = self.sizes.iter().map(|name| format!("  {name}: u32,\n")).collect();
        let binding = self.buffers.len();
        let _ =
            writeln!(head, "struct Sizes {{\n{sizes}}}\n@group(0) @binding({binding}) var<uniform> sizes: Sizes;\n");
        let mut text = head + &self.parts.join("\n").replacen("fn main(", &format!("fn {}(", self.name), 1);
        for (name, constant) in &self.constants {
            if let Constant::Text(replacement) = constant {
                text = text.replace(name, replacement);
            }
        }
        text
    }
}

impl KernelMetadata for Text {
    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info(self.clone())
    }

    fn address_type(&self) -> ElemType {
        ElemType::UInt(UIntKind::U32)
    }
}

impl CubeKernel for Text {
    /// Asked for even where there is a [source](Self::source), of which it describes nothing.
    fn define(&self) -> cubecl::prelude::KernelDefinition {
        let settings = KernelSettings::new(Dim3::new_single(), ExecutionMode::Unchecked, AddressType::U32);
        cubecl::prelude::KernelDefinition { body: Scope::root(settings.clone()), settings, info: Info::default() }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        Some(PrecompiledSource { source: self.write(), entrypoint_name: self.name.into(), lang: "wgsl" })
    }
}

/// One launch of a kernel: its text and what it is given, named in one place.
pub struct Launch {
    client: Client,
    text: Text,
    arguments: KernelArguments,
    words: Vec<u32>,
}

impl Launch {
    /// A launch of the kernel that these parts of text make, on the device of a tensor.
    pub fn new(on: &CubeTensor, name: &'static str, parts: &[&'static str]) -> Self {
        let text = Text { name, parts: parts.to_vec(), constants: Vec::new(), buffers: Vec::new(), sizes: Vec::new() };
        Launch { client: on.client.clone(), text, arguments: KernelArguments::new(), words: Vec::new() }
    }

    /// Adds a part of text.
    pub fn part(mut self, part: &'static str) -> Self {
        self.text.parts.push(part);
        self
    }

    /// `const name = value`.
    pub fn constant(mut self, name: &'static str, value: usize) -> Self {
        self.text.constants.push((name, Constant::Integer(value as u32)));
        self
    }

    /// `const name = value`, a number.
    pub fn number(mut self, name: &'static str, value: f32) -> Self {
        self.text.constants.push((name, Constant::Float(value.to_bits())));
        self
    }

    /// Writes `text` where `name` stands.
    pub fn replace(mut self, name: &'static str, text: &'static str) -> Self {
        self.text.constants.push((name, Constant::Text(text)));
        self
    }

    /// A buffer of vectors of four that is only read.
    pub fn read(self, name: &'static str, tensor: &CubeTensor) -> Self {
        self.buffer(name, "vec4<f32>", tensor, true)
    }

    /// A buffer of single elements that is only read.
    pub fn read_single(self, name: &'static str, element: &'static str, tensor: &CubeTensor) -> Self {
        self.buffer(name, element, tensor, true)
    }

    /// A buffer of vectors of four that is written.
    pub fn write(self, name: &'static str, tensor: &CubeTensor) -> Self {
        self.buffer(name, "vec4<f32>", tensor, false)
    }

    /// A buffer of floats that is written.
    pub fn write_single(self, name: &'static str, tensor: &CubeTensor) -> Self {
        self.buffer(name, "f32", tensor, false)
    }

    fn buffer(mut self, name: &'static str, element: &'static str, tensor: &CubeTensor, read: bool) -> Self {
        self.text.buffers.push((name, element, read));
        let io = if read { BufferIOAttr::ReadOnly } else { BufferIOAttr::WriteOnly };
        self.arguments = self.arguments.with_buffer_io(tensor.handle.clone().binding(), io);
        self
    }

    /// `sizes.name`.
    pub fn size(mut self, name: &'static str, value: usize) -> Self {
        self.text.sizes.push(name);
        self.words.push(value as u32);
        self
    }

    /// Hands it to the device: as many workgroups as are given, none of the numbers over [`GROUPS`].
    pub fn run(mut self, groups: [usize; 3]) {
        assert!(groups.iter().all(|n| (1..=GROUPS).contains(n)), "{groups:?} workgroups");
        let [x, y, z] = groups.map(|n| n as u32);
        if self.words.len() % 2 == 1 {
            self.words.push(0);
        }
        let words = self.words.as_chunks::<2>().0.iter().map(|[low, high]| *low as u64 | (*high as u64) << 32);
        let arguments = self.arguments.with_info(MetadataBindingInfo::custom(words.collect()));
        self.client.launch(Box::new(self.text), CubeCount::Static(x, y, z), arguments);
    }

    /// As many workgroups in a row as are needed, bent into a rectangle where a row is too long: `sizes.groups` is how many
    /// lie in a row, and a kernel lets those that are left over do nothing.
    pub fn run_in_a_row(self, groups: usize) {
        let rows = groups.div_ceil(GROUPS);
        let row = groups.div_ceil(rows);
        self.size("groups", row).run([row, rows, 1]);
    }
}
