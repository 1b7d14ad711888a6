//! The machine's primitives: its stack and memo, and values read from the pickle's bytes. None trusts a length.

use super::{Machine, Value, opcode};
use crate::Result;

impl<'a> Machine<'a> {
    /// The lowest part of the stack that values may be taken from: what lies under a MARK is out of reach.
    pub(super) fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    /// The value on top, if it may be taken.
    pub(super) fn top(&self) -> Option<Value<'a>> {
        self.stack.get(self.floor()..).and_then(<[_]>::last).copied()
    }

    pub(super) fn pop(&mut self) -> Result<Value<'a>> {
        if self.stack.len() > self.floor()
            && let Some(value) = self.stack.pop()
        {
            return Ok(value);
        }
        Err(self.wrong("an operation on values that are not there"))
    }

    pub(super) fn pop_many(&mut self, count: usize) -> Result<Vec<Value<'a>>> {
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => Err(self.wrong("an operation on values that are not there")),
        }
    }

    pub(super) fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err(self.wrong("the end of a group that did not begin")),
        }
    }

    pub(super) fn put(&mut self, slot: u32) -> Result<()> {
        let value = self.pop()?;
        self.stack.push(value);
        self.memo.insert(slot, value);
        Ok(())
    }

    pub(super) fn get(&mut self, slot: u32) -> Result<()> {
        match self.memo.get(&slot) {
            Some(&value) => {
                self.stack.push(value);
                Ok(())
            }
            None => Err(self.wrong(&format!("memo {slot}, which was not stored"))),
        }
    }

    /// A little-endian two's complement number; none is 0, and more than eight bytes are no size of anything here.
    pub(super) fn long(&mut self) -> Result<()> {
        let length = self.byte()?;
        let bytes = self.take(length.into())?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        self.stack.push(match wide.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            None => Value::Plain,
        });
        Ok(())
    }

    pub(super) fn line(&mut self) -> Result<&'a str> {
        let rest = self.pickle.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n');
        let length = length.ok_or_else(|| self.wrong("a name that does not end"))?;
        let line = self.text(length)?;
        self.at += 1;
        Ok(line)
    }

    /// The length before a text or bytes, of one, four or eight bytes itself.
    pub(super) fn length(&mut self, op: u8) -> Result<usize> {
        let length = match op {
            opcode::SHORT_BINUNICODE | opcode::SHORT_BINBYTES => self.byte()?.into(),
            opcode::BINUNICODE | opcode::BINBYTES => u32::from_le_bytes(self.array()?).into(),
            _ => u64::from_le_bytes(self.array()?),
        };
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }

    pub(super) fn text(&mut self, length: usize) -> Result<&'a str> {
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.wrong("text that is not UTF-8"))
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| self.wrong("too few bytes"))
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count);
        match end.and_then(|end| self.pickle.get(self.at..end)) {
            Some(bytes) => {
                self.at += count;
                Ok(bytes)
            }
            None => Err(self.wrong("an end in the middle of a value")),
        }
    }
}
