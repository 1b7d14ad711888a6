//! What the WebGPU module holds and never runs: what reads kernels from a text.
//!
//! A kernel is built in memory, and a driver gets its text. pliron, on which cubecl builds it, can read such texts back: each
//! operation, type and attribute has a parser, and all stand in tables, where no linker can see that nobody asks for them.
//! They are a tenth of what a page downloads. Here they become a trap, and wasm-opt removes what they alone have called.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustc_demangle::demangle;
use wasm_encoder::{CodeSection, Function, Module, RawSection};
use wasmparser::{BinaryReader, CodeSectionReader, KnownCustom, Name, Parser, Payload, TypeRef};

/// How the names of functions end that read.
const READERS: [&str; 3] = [
    " as pliron::parsable::Parsable>::parse",
    "pliron::parsable::Parsable::parser",
    "pliron::parsable::parser_combinator",
];

/// Bytes of a body at most that may be another function's, too: of functions that are alike the compiler keeps one.
const SHARED: usize = 32;

/// Writes the module without readers beside it.
pub fn without(module: &Path) -> Result<PathBuf> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let (cut, readers) = cut(&bytes).with_context(|| format!("{} is no module", module.display()))?;
    ensure!(readers > 0, "no function of {} is named as pliron's readers were: see READERS", module.display());
    let to = module.with_extension("cut.wasm");
    fs::write(&to, cut).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(to)
}

/// The same module, and how many of its functions are a trap now.
fn cut(bytes: &[u8]) -> Result<(Vec<u8>, usize)> {
    let named = named(bytes)?;
    let (mut module, mut index, mut readers) = (Module::new(), 0, 0);
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else { continue };
        let data = &bytes[range.start as usize..range.end as usize];
        match payload {
            Payload::CodeSectionStart { .. } => {
                let mut code = CodeSection::new();
                for body in CodeSectionReader::new(BinaryReader::new(data, range.start))? {
                    let body = body?;
                    if named.contains(&index) && body.as_bytes().len() > SHARED {
                        let mut trap = Function::new([]);
                        trap.instructions().unreachable().end();
                        code.function(&trap);
                        readers += 1;
                    } else {
                        code.raw(body.as_bytes());
                    }
                    index += 1;
                }
                module.section(&code);
                continue;
            }
            // Imported functions are counted before those of the module.
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    index += u32::from(matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                }
            }
            _ => {}
        }
        module.section(&RawSection { id, data });
    }
    Ok((module.finish(), readers))
}

/// The functions that are named as readers are.
fn named(bytes: &[u8]) -> Result<HashSet<u32>> {
    let mut named = HashSet::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let Payload::CustomSection(section) = payload? else { continue };
        let KnownCustom::Name(kinds) = section.as_known() else { continue };
        for kind in kinds {
            let Name::Function(functions) = kind? else { continue };
            for function in functions {
                let function = function?;
                let name = format!("{:#}", demangle(function.name));
                if READERS.iter().any(|reader| name.ends_with(reader)) {
                    named.insert(function.index);
                }
            }
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{EntityType, FunctionSection, ImportSection, NameMap, NameSection, TypeSection};

    /// An import and three functions: a reader, one as short as another's may be, and one that does not read.
    fn module() -> Vec<u8> {
        let (mut types, mut imports, mut functions) =
            (TypeSection::new(), ImportSection::new(), FunctionSection::new());
        types.ty().function([], []);
        imports.import("a", "b", EntityType::Function(0));
        let (mut code, mut names, mut kinds) = (CodeSection::new(), NameMap::new(), NameSection::new());
        let parse = "_ZN50_$LT$i32$u20$as$u20$pliron..parsable..Parsable$GT$5parse17hc11871e75a7f59deE";
        let print = "_ZN52_$LT$i32$u20$as$u20$pliron..printable..Printable$GT$3fmt17hc11871e75a7f59deE";
        for (index, (name, length)) in [(1, (parse, 40)), (2, (parse, 1)), (3, (print, 40))] {
            functions.function(0);
            let mut function = Function::new([]);
            (0..length).for_each(|_| {
                function.instructions().nop();
            });
            function.instructions().end();
            code.function(&function);
            names.append(index, name);
        }
        kinds.functions(&names);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&code).section(&kinds);
        module.finish()
    }

    #[test]
    fn readers_become_a_trap_and_nothing_else_changes() {
        let whole = module();
        let (cut, readers) = cut(&whole).unwrap();
        assert_eq!(readers, 1);
        let bodies = |bytes: &[u8]| -> Vec<Vec<u8>> {
            let payloads = Parser::new(0).parse_all(bytes).map(|payload| payload.unwrap());
            let body = |payload| match payload {
                Payload::CodeSectionEntry(body) => Some(body.as_bytes().to_vec()),
                _ => None,
            };
            payloads.filter_map(body).collect()
        };
        let (before, after) = (bodies(&whole), bodies(&cut));
        assert_eq!(after[0], [0, 0x00, 0x0b]); // no locals, unreachable, end
        assert_eq!(after[1..], before[1..]);
        assert_eq!(cut.len() - after[0].len(), whole.len() - before[0].len());
        assert_eq!(named(&cut).unwrap(), named(&whole).unwrap());
    }
}
