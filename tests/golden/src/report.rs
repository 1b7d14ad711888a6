//! The verdict on a run: a row a tensor.

use std::fmt;

use crate::limits::Limit;

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The tensor, or what of the run is compared.
    pub name: String,
    /// The largest difference; NaN where there was nothing to compare.
    pub max: f64,
    /// Where it is defined.
    pub relative_rms: Option<f64>,
    /// As text.
    pub limit: String,
    /// What is wrong; empty where all is well.
    pub fault: String,
}

impl Row {
    pub(crate) fn new(name: &str, max: f64, relative_rms: Option<f64>, limit: String, fault: &str) -> Self {
        Self { name: name.to_owned(), max, relative_rms, limit, fault: fault.to_owned() }
    }

    /// A tensor that could not be compared.
    pub(crate) fn failed(name: &str, limit: &Limit, fault: &str) -> Self {
        Self::new(name, f64::NAN, None, limit.to_string(), fault)
    }

    /// A number that may be at most `bound`.
    pub(crate) fn at_most(name: &str, value: f64, bound: f64) -> Self {
        let fault = if value <= bound { "" } else { "max" };
        Self::new(name, value, None, format!("max {bound:.1e}"), fault)
    }

    /// A share of pixels that may be at most `bound`.
    pub(crate) fn share(name: &str, value: f64, bound: f64) -> Self {
        let fault = if value <= bound { "" } else { "pixels" };
        Self::new(name, value, None, format!("{bound:.0e} of pixels"), fault)
    }

    /// Whether it is within its limit.
    pub fn passed(&self) -> bool {
        self.fault.is_empty()
    }
}

/// All comparisons of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// In the golden's order.
    pub rows: Vec<Row>,
}

impl Report {
    /// Whether everything was computed and lies within its limit.
    pub fn passed(&self) -> bool {
        !self.rows.is_empty() && self.failures().next().is_none()
    }

    /// The rows that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.passed())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        writeln!(formatter, "{:<28} {:>10} {:>12}  {:<26} verdict", "tensor", "max error", "relative RMS", "limit")?;
        for row in &self.rows {
            let rms = row.relative_rms.map_or(String::from("-"), |rms| format!("{rms:.2e}"));
            let verdict = if row.passed() { String::from("ok") } else { format!("FAILED: {}", row.fault) };
            writeln!(
                formatter,
                "{:<28} {:>10} {:>12}  {:<26} {verdict}",
                row.name,
                format!("{:.2e}", row.max),
                rms,
                row.limit
            )?;
        }
        let failed = self.failures().count();
        write!(formatter, "{} within their limits, {failed} not", self.rows.len() - failed)
    }
}
