//! The pickle of a checkpoint, read as data.
//!
//! To Python a pickle is a program that may call anything. This reader is a stack machine with the opcodes that
//! `torch.save` writes for dicts of tensors and for the plain values that training scripts put beside them. It knows
//! the [names](name) of what tensors, dicts and plain values are made by, and for each it has an answer of its own; a
//! call of anything else is refused by name, and an object of a class stays a name. Nothing is called.
//!
//! Values are indices into arenas, so that a value which holds itself is no loop, and dropping one no recursion. Every
//! value costs at least a byte of pickle: memory is bounded by the pickle's length, which is bounded by
//! [`limits::PICKLE`].

mod found;
mod name;
mod opcode;
mod stack;

use std::collections::HashMap;

use crate::checkpoint::limits;
use crate::checkpoint::tensor::{Dtype, invalid};
use crate::{Error, Result};

pub use found::Found;
use name::{Call, Name};

/// The pickle protocols that are read; torch.save writes 2 unless told otherwise.
const PROTOCOLS: std::ops::RangeInclusive<u8> = 2..=5;

/// A tensor as the pickle describes it: which elements of which storage.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    pub storage: Storage<'a>,
    /// In elements, from the storage's first.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// In elements, one for each axis.
    pub strides: Vec<usize>,
}

/// A storage: the file `data/<key>` beside the pickle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Storage<'a> {
    pub key: &'a str,
    pub dtype: Dtype,
    /// In elements.
    pub len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Str(&'a str),
    /// A number or bytes that no tensor is described by, or a set of such: it only has to be somewhere.
    Plain,
    /// What is in it is not kept.
    List,
    /// Indices into the machine's arenas.
    Global(usize),
    /// Of the class of that name; what is in it is not kept.
    Object(usize),
    Storage(usize),
    Tuple(usize),
    Dict(usize),
    Tensor(usize),
}

/// Reads `data.pkl`.
///
/// # Errors
/// `CheckpointInvalid`, saying at which byte, for all that is not a dict in which tensors can be found.
pub fn read(pickle: &[u8]) -> Result<Found<'_>> {
    let mut machine = Machine {
        pickle,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        names: Vec::new(),
        storages: Vec::new(),
        tuples: Vec::new(),
        dicts: Vec::new(),
        tensors: Vec::new(),
    };
    let top = machine.run()?;
    machine.tensors_of(top)
}

struct Machine<'a> {
    pickle: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at which a MARK stands.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    names: Vec<Name<'a>>,
    storages: Vec<Storage<'a>>,
    tuples: Vec<Vec<Value<'a>>>,
    dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    tensors: Vec<Record<'a>>,
}

impl<'a> Machine<'a> {
    /// Runs to STOP and returns the value that is left.
    fn run(&mut self) -> Result<Value<'a>> {
        loop {
            let op = self.byte()?;
            match op {
                opcode::PROTO => {
                    let version = self.byte()?;
                    if !PROTOCOLS.contains(&version) {
                        return Err(self.wrong(&format!(
                            "protocol {version}: save it anew with torch.save, which writes protocol 2"
                        )));
                    }
                }
                // How many bytes to read ahead: all are there.
                opcode::FRAME => drop(self.array::<8>()?),
                opcode::STOP => return self.stop(),
                opcode::MARK => self.marks.push(self.stack.len()),
                opcode::POP => drop(self.pop()?),
                opcode::POP_MARK => drop(self.pop_to_mark()?),
                opcode::NONE => self.stack.push(Value::None),
                opcode::NEWTRUE => self.stack.push(Value::Bool(true)),
                opcode::NEWFALSE => self.stack.push(Value::Bool(false)),
                opcode::BININT1 => {
                    let value = self.byte()?.into();
                    self.stack.push(Value::Int(value));
                }
                opcode::BININT2 => {
                    let value = u16::from_le_bytes(self.array()?).into();
                    self.stack.push(Value::Int(value));
                }
                opcode::BININT => {
                    let value = i32::from_le_bytes(self.array()?).into();
                    self.stack.push(Value::Int(value));
                }
                opcode::LONG1 => self.long()?,
                opcode::BINFLOAT => {
                    self.array::<8>()?;
                    self.stack.push(Value::Plain);
                }
                opcode::SHORT_BINUNICODE | opcode::BINUNICODE | opcode::BINUNICODE8 => {
                    let length = self.length(op)?;
                    let text = self.text(length)?;
                    self.stack.push(Value::Str(text));
                }
                opcode::SHORT_BINBYTES | opcode::BINBYTES | opcode::BINBYTES8 | opcode::BYTEARRAY8 => {
                    let length = self.length(op)?;
                    self.take(length)?;
                    self.stack.push(Value::Plain);
                }
                opcode::EMPTY_TUPLE => self.push_tuple(Vec::new()),
                opcode::TUPLE1 | opcode::TUPLE2 | opcode::TUPLE3 => {
                    let items = self.pop_many(usize::from(op - opcode::TUPLE1) + 1)?;
                    self.push_tuple(items);
                }
                opcode::TUPLE => {
                    let items = self.pop_to_mark()?;
                    self.push_tuple(items);
                }
                opcode::EMPTY_LIST => self.stack.push(Value::List),
                opcode::EMPTY_SET => self.stack.push(Value::Plain),
                opcode::FROZENSET => {
                    self.pop_to_mark()?;
                    self.stack.push(Value::Plain);
                }
                opcode::APPEND => {
                    self.pop()?;
                    self.has_members()?;
                }
                opcode::APPENDS | opcode::ADDITEMS => {
                    self.pop_to_mark()?;
                    self.has_members()?;
                }
                opcode::EMPTY_DICT => self.push_dict(),
                opcode::SETITEM => {
                    let items = self.pop_many(2)?;
                    self.set_items(&items)?;
                }
                opcode::SETITEMS => {
                    let items = self.pop_to_mark()?;
                    self.set_items(&items)?;
                }
                opcode::GLOBAL => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push_name(Name { module, name });
                }
                opcode::STACK_GLOBAL => match (self.pop()?, self.pop()?) {
                    (Value::Str(name), Value::Str(module)) => self.push_name(Name { module, name }),
                    _ => return Err(self.wrong("a name that is not text")),
                },
                opcode::REDUCE => self.reduce()?,
                opcode::NEWOBJ => match (self.pop()?, self.pop()?) {
                    (Value::Tuple(_), Value::Global(class)) => self.stack.push(Value::Object(class)),
                    _ => return Err(self.wrong("an object of something that is no class")),
                },
                opcode::BUILD => self.build()?,
                opcode::BINPERSID => {
                    let id = self.pop()?;
                    let storage = self.storage(id)?;
                    self.stack.push(Value::Storage(self.storages.len()));
                    self.storages.push(storage);
                }
                opcode::BINPUT => {
                    let slot = self.byte()?.into();
                    self.put(slot)?;
                }
                opcode::LONG_BINPUT => {
                    let slot = u32::from_le_bytes(self.array()?);
                    self.put(slot)?;
                }
                opcode::MEMOIZE => {
                    let slot = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
                    self.put(slot)?;
                }
                opcode::BINGET => {
                    let slot = self.byte()?.into();
                    self.get(slot)?;
                }
                opcode::LONG_BINGET => {
                    let slot = u32::from_le_bytes(self.array()?);
                    self.get(slot)?;
                }
                other => {
                    let shown = char::from(other).escape_default();
                    return Err(self.wrong(&format!(
                        "opcode {other:#04x} ('{shown}'), which torch.save does not write for weights and plain \
                         values: save `model.state_dict()` alone"
                    )));
                }
            }
        }
    }

    fn stop(&mut self) -> Result<Value<'a>> {
        let top = self.pop()?;
        if !self.stack.is_empty() || !self.marks.is_empty() || self.at != self.pickle.len() {
            return Err(self.wrong("an end before everything is used"));
        }
        Ok(top)
    }

    /// Answers a call: a dict, a tensor, or a value that is skipped.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Value::Global(callable) = callable else {
            return Err(self.wrong("a call of something that is not a name"));
        };
        let name = self.name(callable);
        let call = name.call().ok_or_else(|| self.unknown(name))?;
        let arguments = self.items_of(arguments)?;
        match (call, arguments) {
            (Call::OrderedDict, []) | (Call::DefaultDict, _) => self.push_dict(),
            (
                Call::Tensor,
                &[Value::Storage(storage), Value::Int(offset), shape, strides, Value::Bool(_), Value::Dict(hooks)],
            ) if self.items(hooks).is_empty() => {
                let storage = *self.storages.get(storage).ok_or_else(|| self.wrong("a storage that is not there"))?;
                let record = Record {
                    storage,
                    offset: self.size(offset)?,
                    shape: self.sizes(shape)?,
                    strides: self.sizes(strides)?,
                };
                self.stack.push(Value::Tensor(self.tensors.len()));
                self.tensors.push(record);
            }
            (Call::Parameter, &[tensor @ Value::Tensor(_), Value::Bool(_), ..]) => self.stack.push(tensor),
            (Call::Plain, _) => self.stack.push(Value::Object(callable)),
            _ => return Err(self.wrong("a call that makes neither a dict nor a plain tensor")),
        }
        Ok(())
    }

    /// Attributes are not kept: a module's state dict carries `_metadata`, the versions of its layers.
    fn build(&mut self) -> Result<()> {
        let (_, target) = (self.pop()?, self.pop()?);
        if !matches!(target, Value::Dict(_) | Value::Object(_)) {
            return Err(self.wrong("attributes of something that has none"));
        }
        self.stack.push(target);
        Ok(())
    }

    /// A storage's persistent id: ('storage', type, key, location, len). The location (`cpu`, `cuda:0`) says where it
    /// was, not what it is.
    fn storage(&self, id: Value<'a>) -> Result<Storage<'a>> {
        match *self.items_of(id)? {
            [Value::Str("storage"), Value::Global(kind), Value::Str(key), Value::Str(_), Value::Int(len)] => {
                let kind = self.name(kind);
                let dtype = kind.dtype().ok_or_else(|| self.unknown(kind))?;
                Ok(Storage { key, dtype, len: self.size(len)? })
            }
            _ => Err(self.wrong("a persistent id that is not a storage's")),
        }
    }

    fn set_items(&mut self, items: &[Value<'a>]) -> Result<()> {
        let (pairs, rest) = items.as_chunks::<2>();
        match self.top() {
            Some(Value::Dict(dict)) if rest.is_empty() => {
                if let Some(dict) = self.dicts.get_mut(dict) {
                    dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
                }
                Ok(())
            }
            Some(Value::Object(_)) if rest.is_empty() => Ok(()),
            _ => Err(self.wrong("items for something that is not a dict")),
        }
    }

    /// Members were put into the value on top, which are not kept.
    fn has_members(&self) -> Result<()> {
        match self.top() {
            Some(Value::List | Value::Plain | Value::Object(_)) => Ok(()),
            _ => Err(self.wrong("members for something that is neither a list nor a set")),
        }
    }

    fn push_name(&mut self, name: Name<'a>) {
        self.stack.push(Value::Global(self.names.len()));
        self.names.push(name);
    }

    fn push_tuple(&mut self, items: Vec<Value<'a>>) {
        self.stack.push(Value::Tuple(self.tuples.len()));
        self.tuples.push(items);
    }

    fn push_dict(&mut self) {
        self.stack.push(Value::Dict(self.dicts.len()));
        self.dicts.push(Vec::new());
    }

    fn name(&self, name: usize) -> Name<'a> {
        self.names.get(name).copied().unwrap_or(Name { module: "", name: "" })
    }

    /// The names and values of a dict, in the order in which they were set.
    fn items(&self, dict: usize) -> &[(Value<'a>, Value<'a>)] {
        self.dicts.get(dict).map_or(&[], Vec::as_slice)
    }

    fn items_of(&self, tuple: Value<'a>) -> Result<&[Value<'a>]> {
        match tuple {
            Value::Tuple(tuple) => Ok(self.tuples.get(tuple).map_or(&[], Vec::as_slice)),
            _ => Err(self.wrong("something else where a tuple belongs")),
        }
    }

    /// A shape or strides: few, and none negative.
    fn sizes(&self, tuple: Value<'a>) -> Result<Vec<usize>> {
        let items = self.items_of(tuple)?;
        if items.len() > limits::AXES {
            return Err(self.wrong(&format!("a tensor of {} axes", items.len())));
        }
        let size = |item: &Value<'a>| match *item {
            Value::Int(size) => self.size(size),
            _ => Err(self.wrong("a shape that is not of whole numbers")),
        };
        items.iter().map(size).collect()
    }

    fn size(&self, value: i64) -> Result<usize> {
        usize::try_from(value).map_err(|_| self.wrong(&format!("a size of {value}")))
    }

    fn wrong(&self, what: &str) -> Error {
        invalid(format!("its pickle has, by byte {}, {what}", self.at))
    }

    /// The refusal of a call or a storage that has no answer here.
    fn unknown(&self, name: Name<'a>) -> Error {
        invalid(format!(
            "its pickle asks for {:?}, which a state dict of weights does not need: save `model.state_dict()` alone, \
             in float32, float16 or bfloat16",
            name.to_string()
        ))
    }
}
