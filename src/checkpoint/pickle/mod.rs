//! The pickle of a flat state dict, read as data.
//!
//! To Python a pickle is a program that may call anything. This reader is a stack machine with the opcodes that
//! `torch.save` (pickle protocol 2) writes for a dict of tensors, and it knows a handful of names; for each it has an
//! answer of its own, and whatever else a file asks for is refused by name. Nothing is called.
//!
//! Tuples and dicts live in arenas and values are indices into them, so that a value which holds itself is no loop, and
//! dropping one no recursion. Every value costs at least a byte of pickle: memory is bounded by the pickle's length,
//! which is bounded by [`limits::HEADER`].

mod opcode;
mod stack;

use std::collections::HashMap;

use super::limits;
use super::tensor_file::{Dtype, invalid};
use crate::Result;

/// A tensor as the pickle describes it: which elements of which storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record<'a> {
    pub storage: Storage<'a>,
    /// In elements, from the storage's first.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// In elements, one for each axis.
    pub strides: Vec<usize>,
}

/// A storage: the file `data/<key>` beside the pickle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Storage<'a> {
    pub key: &'a str,
    pub dtype: Dtype,
    /// In elements.
    pub len: usize,
}

/// What the pickle may name.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Global {
    OrderedDict,
    RebuildTensor,
    Storage(Dtype),
}

impl Global {
    fn named(module: &str, name: &str) -> Result<Self> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch", "FloatStorage") => Global::Storage(Dtype::F32),
            ("torch", "HalfStorage") => Global::Storage(Dtype::F16),
            ("torch", "BFloat16Storage") => Global::Storage(Dtype::Bf16),
            ("torch", "LongStorage") => Global::Storage(Dtype::I64),
            _ => {
                let shown: String = format!("{module}.{name}").chars().take(80).collect();
                return Err(invalid(format!(
                    "its pickle asks for {shown:?}, which a state dict of weights does not need: \
                     save `model.state_dict()` alone, in float32, float16 or bfloat16"
                )));
            }
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Str(&'a str),
    Global(Global),
    Storage(Storage<'a>),
    /// Indices into the machine's arenas.
    Tuple(usize),
    Dict(usize),
    Tensor(usize),
}

/// Reads `data.pkl`: the dict's names and tensors, in its order.
///
/// # Errors
/// `CheckpointInvalid`, saying at which byte, for all that is not a flat dict of names and tensors.
pub(super) fn read(pickle: &[u8]) -> Result<Vec<(&str, Record<'_>)>> {
    let mut machine = Machine {
        pickle,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        tuples: Vec::new(),
        dicts: Vec::new(),
        tensors: Vec::new(),
    };
    let top = machine.run()?;
    machine.state_dict(top)
}

struct Machine<'a> {
    pickle: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at which a MARK stands.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
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
                    if version != 2 {
                        return Err(self.wrong(&format!("protocol {version}, torch.save writes 2")));
                    }
                }
                opcode::STOP => return self.stop(),
                opcode::MARK => self.marks.push(self.stack.len()),
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
                opcode::BINUNICODE => {
                    let length = u32::from_le_bytes(self.array()?);
                    let text = self.text(length)?;
                    self.stack.push(Value::Str(text));
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
                    self.stack.push(Value::Global(Global::named(module, name)?));
                }
                opcode::REDUCE => self.reduce()?,
                opcode::BUILD => self.build()?,
                opcode::BINPERSID => {
                    let id = self.pop()?;
                    let storage = self.storage(id)?;
                    self.stack.push(Value::Storage(storage));
                }
                opcode::BINPUT => {
                    let slot = self.byte()?.into();
                    self.put(slot)?;
                }
                opcode::LONG_BINPUT => {
                    let slot = u32::from_le_bytes(self.array()?);
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
                        "opcode {other:#04x} ('{shown}'), which torch.save does not write for a state dict"
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

    /// The finished dict as names and tensors.
    fn state_dict(self, top: Value<'a>) -> Result<Vec<(&'a str, Record<'a>)>> {
        let Value::Dict(dict) = top else {
            return Err(invalid("its pickle holds no dict of tensors: save `model.state_dict()`, not the model"));
        };
        let items = self.dicts.get(dict).map_or(&[][..], Vec::as_slice);
        if items.len() > limits::TENSORS {
            return Err(invalid(format!("it names {} tensors", items.len())));
        }
        let mut named = Vec::with_capacity(items.len());
        for (key, value) in items {
            let Value::Str(name) = *key else {
                return Err(invalid("its pickle names a tensor by something other than text"));
            };
            let record = match *value {
                Value::Tensor(tensor) => self.tensors.get(tensor),
                _ => None,
            };
            let record = record.ok_or_else(|| {
                let shown: String = name.chars().take(80).collect();
                invalid(format!(
                    "its entry {shown:?} is not a tensor: save the state dict alone, without a dict around it"
                ))
            })?;
            limits::check_tensor(name, &record.shape)?;
            named.push((name, record.clone()));
        }
        Ok(named)
    }

    /// Answers a call: an empty OrderedDict, or a tensor.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let arguments = self.items_of(arguments)?;
        match (callable, arguments) {
            (Value::Global(Global::OrderedDict), []) => {
                self.push_dict();
                Ok(())
            }
            (
                Value::Global(Global::RebuildTensor),
                &[Value::Storage(storage), Value::Int(offset), shape, strides, Value::Bool(_), Value::Dict(hooks)],
            ) if self.dicts.get(hooks).is_some_and(Vec::is_empty) => {
                let record = Record {
                    storage,
                    offset: self.size(offset)?,
                    shape: self.sizes(shape)?,
                    strides: self.sizes(strides)?,
                };
                self.stack.push(Value::Tensor(self.tensors.len()));
                self.tensors.push(record);
                Ok(())
            }
            _ => Err(self.wrong("a call that makes neither a dict nor a plain tensor")),
        }
    }

    /// A module's state dict carries `_metadata` (the versions of its layers): let it pass, unread.
    fn build(&mut self) -> Result<()> {
        let (state, target) = (self.pop()?, self.pop()?);
        let fits = match (state, target) {
            (Value::Dict(state), Value::Dict(_)) => {
                let items = self.dicts.get(state).map_or(&[][..], Vec::as_slice);
                matches!(items, [(Value::Str("_metadata"), Value::Dict(_))])
            }
            _ => false,
        };
        if !fits {
            return Err(self.wrong("attributes other than a state dict's `_metadata`"));
        }
        self.stack.push(target);
        Ok(())
    }

    /// A storage's persistent id: ('storage', type, key, location, len). The location (`cpu`, `cuda:0`) says where it
    /// was, not what it is.
    fn storage(&self, id: Value<'a>) -> Result<Storage<'a>> {
        match *self.items_of(id)? {
            [
                Value::Str("storage"),
                Value::Global(Global::Storage(dtype)),
                Value::Str(key),
                Value::Str(_),
                Value::Int(len),
            ] => Ok(Storage { key, dtype, len: self.size(len)? }),
            _ => Err(self.wrong("a persistent id that is not a storage's")),
        }
    }

    fn set_items(&mut self, items: &[Value<'a>]) -> Result<()> {
        let (pairs, rest) = items.as_chunks::<2>();
        let reachable = self.stack.get(self.floor()..).unwrap_or_default();
        let dict = match reachable.last().copied() {
            Some(Value::Dict(dict)) if rest.is_empty() => self.dicts.get_mut(dict),
            _ => None,
        };
        match dict {
            Some(dict) => {
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            None => Err(self.wrong("items for something that is not a dict")),
        }
    }

    fn push_tuple(&mut self, items: Vec<Value<'a>>) {
        self.stack.push(Value::Tuple(self.tuples.len()));
        self.tuples.push(items);
    }

    fn push_dict(&mut self) {
        self.stack.push(Value::Dict(self.dicts.len()));
        self.dicts.push(Vec::new());
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

    fn wrong(&self, what: &str) -> crate::Error {
        invalid(format!("its pickle has, by byte {}, {what}", self.at))
    }
}
