//! From the values that a pickle leaves to named tensors: the dict, and the dicts in it.

use std::collections::HashSet;

use super::{Machine, Record, Value};
use crate::checkpoint::limits;
use crate::checkpoint::tensor::invalid;
use crate::{Error, Result};

/// The tensors of a pickle.
#[derive(Debug, Default)]
pub struct Found<'a> {
    /// By name, in the file's order. The name of a dict within the dict comes before those of its tensors, and a dot
    /// between.
    pub tensors: Vec<(String, Record<'a>)>,
    /// The names, with their dots, of the dicts within the dict that hold tensors.
    pub dicts: Vec<String>,
    /// Why the first tensor that cannot be one of the network's is not among them.
    skipped: Option<Error>,
}

impl<'a> Machine<'a> {
    /// The tensors of the finished dict. What else is in it is skipped: numbers, texts, lists, what is named by
    /// anything but text, dicts deeper than [`limits::DEPTH`], tensors beyond the limits beside others within them.
    pub(super) fn tensors_of(&self, top: Value<'a>) -> Result<Found<'a>> {
        let Value::Dict(dict) = top else {
            return Err(invalid(format!(
                "its pickle holds {}, no dict of tensors: save `model.state_dict()`, not the model",
                self.describe(top)
            )));
        };
        let mut found = Found::default();
        self.walk(dict, "", limits::DEPTH, &mut HashSet::from([dict]), &mut found)?;
        if let (true, Some(skipped)) = (found.tensors.is_empty(), found.skipped.take()) {
            return Err(skipped);
        }
        match self.items(dict).first() {
            Some((Value::Str(name), value)) if found.tensors.is_empty() => {
                let shown: String = name.chars().take(80).collect();
                Err(invalid(format!(
                    "its pickle's entry {shown:?} is {}, not a tensor, and no other is: save the state dict, \
                     `model.state_dict()`",
                    self.describe(*value)
                )))
            }
            Some(_) if found.tensors.is_empty() => {
                Err(invalid("its pickle names a tensor by something other than text: save `model.state_dict()`"))
            }
            _ => Ok(found),
        }
    }

    /// Adds the tensors of a dict, and of those in it to `depth`. `seen` are the dicts met so far: one that holds
    /// itself is met once.
    fn walk(
        &self,
        dict: usize,
        path: &str,
        depth: usize,
        seen: &mut HashSet<usize>,
        found: &mut Found<'a>,
    ) -> Result<()> {
        for (key, value) in self.items(dict) {
            let Value::Str(key) = *key else { continue };
            match *value {
                Value::Tensor(tensor) => {
                    let Some(record) = self.tensors.get(tensor) else { continue };
                    match self.named(path, key, record) {
                        Ok(name) => found.tensors.push((name, record.clone())),
                        Err(error) => drop(found.skipped.get_or_insert(error)),
                    }
                    if found.tensors.len() > limits::TENSORS {
                        return Err(invalid(format!("it names {} tensors", found.tensors.len())));
                    }
                }
                Value::Dict(inner) if depth > 0 && key.len() <= limits::NAME && seen.insert(inner) => {
                    let (dicts, tensors) = (found.dicts.len(), found.tensors.len());
                    let path = format!("{path}{key}.");
                    found.dicts.push(path.clone());
                    self.walk(inner, &path, depth - 1, seen, found)?;
                    if found.tensors.len() == tensors {
                        found.dicts.truncate(dicts);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A tensor's whole name, if it may be one of the network's: a script's own may be the path of a file, and its score.
    fn named(&self, path: &str, key: &str, record: &Record<'a>) -> Result<String> {
        // Before it is joined: neither part is longer than what is read.
        limits::check_name(key)?;
        let name = format!("{path}{key}");
        limits::check_tensor(&name, &record.shape)?;
        Ok(name)
    }

    /// What a value is, in words.
    fn describe(&self, value: Value<'a>) -> String {
        match value {
            Value::None => "None".to_owned(),
            Value::Bool(_) | Value::Int(_) => "a number".to_owned(),
            Value::Str(_) => "a text".to_owned(),
            Value::Plain => "a plain value".to_owned(),
            Value::List => "a list".to_owned(),
            Value::Tuple(_) => "a tuple".to_owned(),
            Value::Dict(_) => "a dict without tensors".to_owned(),
            Value::Tensor(_) => "a tensor".to_owned(),
            Value::Storage(_) => "a storage".to_owned(),
            Value::Global(name) => format!("{:?}", self.name(name).to_string()),
            Value::Object(class) => format!("an object of {:?}", self.name(class).to_string()),
        }
    }
}
