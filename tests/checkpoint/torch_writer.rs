//! Writes what `torch.save` writes for a state dict: the same pickle, byte for byte (see `containers.rs`, which
//! compares it with PyTorch's own), in a zip of the same layout. It serves to make files that PyTorch would not.

use std::collections::HashMap;
use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A storage and its type's name in `torch`.
#[derive(Clone)]
pub struct Storage {
    pub kind: &'static str,
    pub len: usize,
    pub data: Vec<u8>,
}

impl Storage {
    pub fn f32(values: &[f32]) -> Self {
        Self { kind: "FloatStorage", len: values.len(), data: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }

    pub fn i64(values: &[i64]) -> Self {
        Self { kind: "LongStorage", len: values.len(), data: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }
}

/// A tensor: which elements of which storage.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub storage: usize,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// A state dict to be written. Storages are numbered in the order in which tensors first use them, as torch does.
#[derive(Clone)]
pub struct StateDict {
    pub tensors: Vec<Tensor>,
    pub storages: Vec<Storage>,
    /// The version of each module, where the dict comes from one.
    pub metadata: Option<Vec<(&'static str, u8)>>,
    pub location: &'static str,
    /// Whether each tensor is an `nn.Parameter`.
    pub parameters: bool,
    /// Of the pickle: 2 to 5.
    pub protocol: u8,
}

/// What a training script saves: dicts of state dicts, and of anything.
pub enum Saved {
    State(StateDict),
    Dict(Vec<(&'static str, Saved)>),
    /// Pickle that leaves one value.
    Raw(&'static [u8]),
}

impl StateDict {
    pub fn new() -> Self {
        let (tensors, storages) = (Vec::new(), Vec::new());
        Self { tensors, storages, metadata: None, location: "cpu", parameters: false, protocol: 2 }
    }

    /// Adds a tensor with a storage of its own, row-major.
    pub fn push(&mut self, name: &str, shape: &[usize], storage: Storage) {
        let strides = row_major(shape);
        self.storages.push(storage);
        self.view(name, 0, shape, &strides);
    }

    /// Adds a view of the last storage.
    pub fn view(&mut self, name: &str, offset: usize, shape: &[usize], strides: &[usize]) {
        self.tensors.push(Tensor {
            name: name.to_owned(),
            storage: self.storages.len() - 1,
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        });
    }

    pub fn pickle(&self) -> Vec<u8> {
        let mut p = Pickler::new(self.protocol);
        self.write(&mut p, 0);
        p.finish()
    }

    /// Its storages are numbered from `first` on.
    fn write(&self, p: &mut Pickler, first: usize) {
        p.ordered_dict();
        // SETITEM, for a single one, takes no mark.
        if self.tensors.len() != 1 {
            p.op(b"(");
        }
        for tensor in &self.tensors {
            let storage = &self.storages[tensor.storage];
            p.fresh_text(&tensor.name);
            if self.parameters {
                p.global("torch._utils", "_rebuild_parameter");
            }
            p.global("torch._utils", "_rebuild_tensor_v2");
            p.op(b"((");
            p.text("storage");
            p.global("torch", storage.kind);
            p.text(&(first + tensor.storage).to_string());
            p.text(self.location);
            p.int(storage.len);
            p.op(b"t");
            p.put();
            p.op(b"Q");
            p.int(tensor.offset);
            p.ints(&tensor.shape);
            p.ints(&tensor.strides);
            p.op(b"\x89");
            p.ordered_dict();
            p.op(b"t");
            p.put();
            p.op(b"R");
            p.put();
            if self.parameters {
                p.op(b"\x88");
                p.ordered_dict();
                p.op(b"\x87");
                p.put();
                p.op(b"R");
                p.put();
            }
        }
        p.op(if self.tensors.len() == 1 { b"s" } else { b"u" });
        if let Some(modules) = &self.metadata {
            p.op(b"}");
            p.put();
            p.fresh_text("_metadata");
            p.ordered_dict();
            p.op(b"(");
            for (module, version) in modules {
                p.fresh_text(module);
                p.op(b"}");
                p.put();
                p.text("version");
                p.int((*version).into());
                p.op(b"s");
            }
            p.op(b"usb");
        }
    }

    /// The zip's entries, in torch's order.
    pub fn entries(&self) -> Vec<(String, Vec<u8>)> {
        entries(self.pickle(), &self.storages)
    }

    pub fn file(&self) -> Vec<u8> {
        zip_of(&self.entries(), CompressionMethod::Stored)
    }
}

impl Saved {
    /// The file that torch.save makes of it, in pickle protocol 2.
    pub fn file(&self) -> Vec<u8> {
        let mut p = Pickler::new(2);
        let mut storages = Vec::new();
        self.write(&mut p, &mut storages);
        zip_of(&entries(p.finish(), &storages), CompressionMethod::Stored)
    }

    fn write(&self, p: &mut Pickler, storages: &mut Vec<Storage>) {
        match self {
            Saved::State(dict) => {
                dict.write(p, storages.len());
                storages.extend(dict.storages.iter().cloned());
            }
            Saved::Dict(items) => {
                p.op(b"}");
                p.put();
                p.op(b"(");
                for (name, item) in items {
                    p.fresh_text(name);
                    item.write(p, storages);
                }
                p.op(b"u");
            }
            Saved::Raw(pickle) => p.op(pickle),
        }
    }
}

fn entries(pickle: Vec<u8>, storages: &[Storage]) -> Vec<(String, Vec<u8>)> {
    let mut entries =
        vec![("archive/data.pkl".to_owned(), pickle), ("archive/byteorder".to_owned(), b"little".to_vec())];
    for (i, storage) in storages.iter().enumerate() {
        entries.push((format!("archive/data/{i}"), storage.data.clone()));
    }
    entries.push(("archive/version".to_owned(), b"3\n".to_vec()));
    entries
}

/// A zip of these entries, each aligned as torch aligns them.
pub fn zip_of(entries: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method).with_alignment(64);
    for (name, data) in entries {
        zip.start_file(name.as_str(), options).unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

/// Python's pickler, as far as a state dict needs it.
struct Pickler {
    out: Vec<u8>,
    protocol: u8,
    slots: usize,
    seen: HashMap<String, usize>,
}

impl Pickler {
    fn new(protocol: u8) -> Self {
        let mut out = vec![0x80, protocol];
        if protocol >= 4 {
            out.extend_from_slice(b"\x95\0\0\0\0\0\0\0\0");
        }
        Self { out, protocol, slots: 0, seen: HashMap::new() }
    }

    /// The pickle, all in one frame where there are frames.
    fn finish(mut self) -> Vec<u8> {
        self.op(b".");
        if self.protocol >= 4 {
            let length = self.out.len() as u64 - 11;
            self.out[3..11].copy_from_slice(&length.to_le_bytes());
        }
        self.out
    }

    fn op(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn put(&mut self) {
        match u8::try_from(self.slots) {
            _ if self.protocol >= 4 => self.op(b"\x94"),
            Ok(slot) => self.op(&[b'q', slot]),
            Err(_) => {
                let slot = (self.slots as u32).to_le_bytes();
                self.op(b"r");
                self.op(&slot);
            }
        }
        self.slots += 1;
    }

    /// Writes a reference to `what`, if it was written before.
    fn refer(&mut self, what: &str) -> bool {
        let Some(&slot) = self.seen.get(what) else {
            return false;
        };
        match u8::try_from(slot) {
            Ok(slot) => self.op(&[b'h', slot]),
            Err(_) => {
                self.op(b"j");
                self.op(&(slot as u32).to_le_bytes());
            }
        }
        true
    }

    /// What was just written is `what`, to be referred to from now on.
    fn put_as(&mut self, what: String) {
        self.seen.insert(what, self.slots);
        self.put();
    }

    fn global(&mut self, module: &str, name: &str) {
        let what = format!("global {module} {name}");
        if self.refer(&what) {
            return;
        }
        if self.protocol >= 4 {
            self.text(module);
            self.text(name);
            self.op(b"\x93");
        } else {
            self.op(format!("c{module}\n{name}\n").as_bytes());
        }
        self.put_as(what);
    }

    /// A string object that Python meets again.
    fn text(&mut self, text: &str) {
        let what = format!("text {text}");
        if !self.refer(&what) {
            self.unput_text(text);
            self.put_as(what);
        }
    }

    /// A string object of its own.
    fn fresh_text(&mut self, text: &str) {
        self.unput_text(text);
        self.put();
    }

    fn unput_text(&mut self, text: &str) {
        match u8::try_from(text.len()) {
            Ok(length) if self.protocol >= 4 => self.op(&[0x8c, length]),
            _ => {
                self.op(b"X");
                self.op(&(text.len() as u32).to_le_bytes());
            }
        }
        self.op(text.as_bytes());
    }

    fn int(&mut self, value: usize) {
        if let Ok(value) = u8::try_from(value) {
            self.op(&[b'K', value]);
        } else if let Ok(value) = u16::try_from(value) {
            self.op(b"M");
            self.op(&value.to_le_bytes());
        } else {
            let value = i32::try_from(value).unwrap();
            self.op(b"J");
            self.op(&value.to_le_bytes());
        }
    }

    fn ints(&mut self, values: &[usize]) {
        if values.len() > 3 {
            self.op(b"(");
        }
        for value in values {
            self.int(*value);
        }
        match values.len() {
            0 => return self.op(b")"),
            1 => self.op(b"\x85"),
            2 => self.op(b"\x86"),
            3 => self.op(b"\x87"),
            _ => self.op(b"t"),
        }
        self.put();
    }

    fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.op(b")R");
        self.put();
    }
}
