//! What a pickle may name, and what each name means here. Nothing that is named is ever called.

use std::fmt;

use crate::checkpoint::tensor::Dtype;

/// A class or a function, as Python finds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Name<'a> {
    pub module: &'a str,
    pub name: &'a str,
}

/// What a call of a name comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Call {
    OrderedDict,
    DefaultDict,
    /// `torch._utils._rebuild_tensor_v2`
    Tensor,
    /// `torch._utils._rebuild_parameter`, around a tensor
    Parameter,
    /// A value without weights, such as a set, a path or a NumPy number: let it pass, unread.
    Plain,
}

impl Name<'_> {
    /// What a call comes to; none for all that is not known to be harmless and without weights.
    pub fn call(self) -> Option<Call> {
        Some(match (self.module, self.name) {
            ("collections", "OrderedDict") => Call::OrderedDict,
            ("collections", "defaultdict") => Call::DefaultDict,
            ("torch._utils", "_rebuild_tensor_v2") => Call::Tensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Call::Parameter,
            (
                "__builtin__" | "builtins",
                "set" | "frozenset" | "complex" | "bytearray" | "slice" | "range" | "xrange",
            )
            | ("_codecs", "encode")
            | ("collections", "Counter" | "deque")
            | ("copy_reg" | "copyreg", "_reconstructor")
            | ("datetime", "date" | "datetime" | "time" | "timedelta" | "timezone")
            | ("numpy", "dtype")
            | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct")
            | ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer")
            | ("pathlib" | "pathlib._local", "PosixPath" | "WindowsPath" | "PurePosixPath" | "PureWindowsPath")
            | ("torch", "Size" | "device") => Call::Plain,
            _ => return None,
        })
    }

    /// The element type of a storage of this name.
    pub fn dtype(self) -> Option<Dtype> {
        if self.module != "torch" {
            return None;
        }
        Some(match self.name {
            "DoubleStorage" => Dtype::F64,
            "FloatStorage" => Dtype::F32,
            "HalfStorage" => Dtype::F16,
            "BFloat16Storage" => Dtype::Bf16,
            "LongStorage" => Dtype::I64,
            "IntStorage" => Dtype::I32,
            "ShortStorage" => Dtype::I16,
            "CharStorage" => Dtype::I8,
            "ByteStorage" => Dtype::U8,
            "BoolStorage" => Dtype::Bool,
            _ => return None,
        })
    }
}

impl fmt::Display for Name<'_> {
    /// Its first 80 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.module.chars().chain(['.']).chain(self.name.chars());
        f.write_str(&whole.take(80).collect::<String>())
    }
}
