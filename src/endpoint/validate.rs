//! A request as it comes in, any JSON value at all → a [`Request`], or every fault that it has.

use serde_json::{Map, Value};

use super::schema::*;
use crate::image::{MAX_MODEL_SIDE, SIDE_STEP};
use crate::segment::EverythingOptions;

/// Reads a request.
///
/// # Errors
/// Every fault, in the order of fal's page; never an empty list.
pub fn validate(input: &Value) -> Result<(Request, Vec<Log>), Vec<Fault>> {
    let Some(body) = input.as_object() else {
        return Err(vec![Fault::whole("dict_type", "Input should be a JSON object with at least `image_url`")]);
    };
    let mut reader = Reader { body, faults: Vec::new(), logs: Vec::new() };
    let image_url = reader.image_url();
    let size = reader.size();
    let confidence = reader.fraction("confidence").unwrap_or(CONFIDENCE);
    let boxes = reader.boxes();
    let points = reader.points();
    let labels = reader.labels(points.len());
    let request = Request {
        image_url,
        size,
        confidence,
        boxes,
        points,
        labels,
        output: reader
            .choice("output", [("overlay", Picture::Overlay), ("mask", Picture::Mask), ("cutout", Picture::Cutout)]),
        return_masks: reader.flag("return_masks"),
        multimask: reader.flag("multimask"),
        pred_iou_thresh: reader.fraction("pred_iou_thresh"),
        stability_score_thresh: reader
            .fraction("stability_score_thresh")
            .unwrap_or(EverythingOptions::STABILITY_SCORE_THRESH),
        points_per_side: reader.points_per_side(),
        min_mask_region_area: reader.integer("min_mask_region_area", 0, None).unwrap_or(0),
        combine: reader.choice("combine", [("fal", Combine::Fal), ("joint", Combine::Joint)]),
    };
    reader.joint(&request);
    reader.unknown_fields();
    if reader.faults.is_empty() { Ok((request, reader.logs)) } else { Err(reader.faults) }
}

/// The request's object, and what has been found in it. A method for a field returns something usable also where it
/// notes a fault, so that the next field is read, too.
struct Reader<'a> {
    body: &'a Map<String, Value>,
    faults: Vec<Fault>,
    logs: Vec<Log>,
}

impl<'a> Reader<'a> {
    /// A field that is there. `null` counts as there: it is what JSON makes of NaN and the infinities.
    fn get(&self, field: &str) -> Option<&'a Value> {
        self.body.get(field)
    }

    /// A field that is there and not `null`.
    fn some(&self, field: &str) -> Option<&'a Value> {
        self.get(field).filter(|value| !value.is_null())
    }

    fn image_url(&mut self) -> String {
        const FIELD: &str = "image_url";
        let fault = match self.get(FIELD) {
            None => Fault::field(FIELD, "missing", "Field required"),
            Some(Value::String(url)) => {
                let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
                if matches!(scheme.as_deref(), Some("http" | "https" | "data" | "blob")) {
                    return url.clone();
                }
                let msg = "Input should be an http(s):, data: or blob: URL of a picture";
                Fault::field(FIELD, "value_error", msg).on(&Value::String(url.clone()))
            }
            Some(other) => Fault::field(FIELD, "string_type", "Input should be a valid string").on(other),
        };
        self.faults.push(fault);
        String::new()
    }

    fn size(&mut self) -> u32 {
        let Some(asked) = self.integer("size", 1, None) else {
            // fal's default, too.
            return MAX_MODEL_SIDE;
        };
        if asked > MAX_MODEL_SIDE {
            let message = format!("size {asked} is more than the network can see: {MAX_MODEL_SIDE} is used");
            self.logs.push(Log::warn(message));
            return MAX_MODEL_SIDE;
        }
        let size = asked.next_multiple_of(SIDE_STEP);
        if size != asked {
            let message = format!("size {asked} is rounded up to {size}, a multiple of {SIDE_STEP}");
            self.logs.push(Log::info(message));
        }
        size
    }

    fn points_per_side(&mut self) -> u32 {
        const FIELD: &str = "points_per_side";
        let (step, most) = (EverythingOptions::POINTS_STEP, EverythingOptions::MAX_POINTS_PER_SIDE);
        let side = self.integer(FIELD, step, Some(most)).unwrap_or(EverythingOptions::POINTS_PER_SIDE);
        if !side.is_multiple_of(step) {
            let fault = Fault::field(FIELD, "multiple_of", format!("Input should be a multiple of {step}"));
            self.faults.push(fault.with("multiple_of", step).on(&side.into()));
        }
        side
    }

    /// A whole number of at least `min` and at most `max`; over `u32::MAX` it counts as that.
    fn integer(&mut self, field: &'static str, min: u32, max: Option<u32>) -> Option<u32> {
        let value = self.get(field)?;
        let fault = match value.as_f64() {
            None => Fault::field(field, "int_type", "Input should be a valid integer"),
            Some(number) if number.fract() != 0.0 => {
                Fault::field(field, "int_from_float", "Input should be a valid integer, got a fraction")
            }
            Some(number) => match outside(field, number, f64::from(min), max.map(f64::from)) {
                Some(fault) => fault,
                None => return Some(number as u32), // saturates
            },
        };
        self.faults.push(fault.on(value));
        None
    }

    /// A number in 0..=1.
    fn fraction(&mut self, field: &'static str) -> Option<f64> {
        let value = self.get(field)?;
        let fault = match value.as_f64() {
            None => Fault::field(field, "float_type", "Input should be a valid number"),
            Some(number) => match outside(field, number, 0.0, Some(1.0)) {
                Some(fault) => fault,
                None => return Some(number),
            },
        };
        self.faults.push(fault.on(value));
        None
    }

    fn flag(&mut self, field: &'static str) -> bool {
        match self.get(field) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.faults.push(Fault::field(field, "bool_type", "Input should be a valid boolean").on(other));
                false
            }
        }
    }

    fn choice<T: Copy + Default, const N: usize>(&mut self, field: &'static str, choices: [(&str, T); N]) -> T {
        let Some(value) = self.get(field) else {
            return T::default();
        };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| value == name) {
            return *choice;
        }
        let names = choices.map(|(name, _)| name);
        let expected = names.map(|name| format!("'{name}'")).join(" or ");
        let fault = Fault::field(field, "one_of", format!("Input should be {expected}"));
        self.faults.push(fault.with("expected", names.to_vec()).on(value));
        T::default()
    }

    /// `[x, y, w, h]` lists; none where all of them are all zero.
    fn boxes(&mut self) -> Vec<[f64; 4]> {
        const FIELD: &str = "box_prompt";
        let rows = self.rows::<4>(FIELD);
        if rows.iter().all(|row| row == &[0.0; 4]) {
            return Vec::new();
        }
        for (index, row) in rows.iter().enumerate() {
            if row[2] <= 0.0 || row[3] <= 0.0 {
                let msg = "A box is [x, y, width, height], width and height over 0";
                self.faults.push(Fault::field(FIELD, "value_error", msg).at(index));
            }
        }
        rows
    }

    /// `[x, y]` lists; none where they are exactly `[[0, 0]]`.
    fn points(&mut self) -> Vec<[f64; 2]> {
        let rows = self.rows::<2>("point_prompt");
        if rows == [[0.0; 2]] { Vec::new() } else { rows }
    }

    /// A list of lists of `N` numbers. An entry with a fault reads as NaN, which is no prompt's default.
    fn rows<const N: usize>(&mut self, field: &'static str) -> Vec<[f64; N]> {
        let mut rows = Vec::new();
        for (index, value) in self.list(field).iter().enumerate() {
            let numbers = value.as_array().map(|row| row.iter().map(Value::as_f64).collect::<Vec<_>>());
            let row = match numbers.map(<[Option<f64>; N]>::try_from) {
                Some(Ok(row)) => row,
                _ => {
                    let msg = format!("Input should be a list of {N} numbers");
                    self.faults.push(Fault::field(field, "list_type", msg).with("length", N).at(index).on(value));
                    [Some(f64::NAN); N]
                }
            };
            for (place, _) in row.iter().enumerate().filter(|(_, number)| number.is_none()) {
                let fault = Fault::field(field, "float_type", "Input should be a valid number");
                self.faults.push(fault.at(index).at(place).on(&value[place]));
            }
            rows.push(row.map(|number| number.unwrap_or(f64::NAN)));
        }
        rows
    }

    /// A list of at most [`MAX_PROMPTS`] values; absent, `null` and too long read as empty.
    fn list(&mut self, field: &'static str) -> &'a [Value] {
        let Some(value) = self.some(field) else {
            return &[];
        };
        let fault = match value.as_array() {
            Some(list) if list.len() <= MAX_PROMPTS => return list,
            Some(list) => {
                let msg = format!("List should have at most {MAX_PROMPTS} items, not {}", list.len());
                let fault = Fault::field(field, "sequence_too_long", msg);
                fault.with("max_length", MAX_PROMPTS).with("actual_length", list.len())
            }
            None => Fault::field(field, "list_type", "Input should be a valid list").on(value),
        };
        self.faults.push(fault);
        &[]
    }

    /// One label for each of `points` points; absent labels mean foreground.
    fn labels(&mut self, points: usize) -> Vec<u8> {
        const FIELD: &str = "point_label";
        let faults = self.faults.len();
        let list = self.list(FIELD);
        let mut labels = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            match value.as_f64() {
                Some(0.0) => labels.push(0),
                Some(1.0) => labels.push(1),
                _ => {
                    let msg = "Input should be 1 (foreground) or 0 (background)";
                    self.faults
                        .push(Fault::field(FIELD, "one_of", msg).with("expected", vec![0, 1]).at(index).on(value));
                }
            }
        }
        let readable = self.faults.len() == faults && !self.faults.iter().any(|fault| fault.is_of("point_prompt"));
        // One label without a point is fal's own default, [0].
        if !readable || (points == 0 && list.len() <= 1) {
            return Vec::new();
        }
        if self.some(FIELD).is_none() {
            return vec![1; points];
        }
        if list.len() != points {
            let msg = format!("There should be one label for each point: {} for {points}", list.len());
            let fault = Fault::field(FIELD, "value_error", msg);
            self.faults.push(fault.with("points", points).with("labels", list.len()));
        }
        labels
    }

    /// `combine: "joint"` refines one box.
    fn joint(&mut self, request: &Request) {
        if request.combine == Combine::Joint && !request.points.is_empty() && request.boxes.len() > 1 {
            let msg = format!("Points can refine one box, not {}", request.boxes.len());
            self.faults.push(Fault::field("combine", "value_error", msg).with("boxes", request.boxes.len()));
        }
    }

    fn unknown_fields(&mut self) {
        /// So many are named; a hostile request may have millions.
        const NAMED: usize = 8;
        let known = |name: &str| FAL_FIELDS.contains(&name) || EXTENSIONS.contains(&name);
        let unknown: Vec<&String> = self.body.keys().filter(|name| !known(name)).collect();
        for name in unknown.iter().take(NAMED) {
            let name: String = name.chars().take(80).collect();
            self.logs.push(Log::warn(format!("unknown field `{name}` is ignored")));
        }
        if unknown.len() > NAMED {
            self.logs.push(Log::warn(format!("{} more unknown fields are ignored", unknown.len() - NAMED)));
        }
    }
}

impl Fault {
    /// Whether this is a fault of `field` or of something in it.
    pub fn is_of(&self, field: &str) -> bool {
        matches!(self.loc.get(1), Some(Loc::Field(name)) if *name == field)
    }
}

/// The fault of a number under `min` or over `max`.
fn outside(field: &'static str, number: f64, min: f64, max: Option<f64>) -> Option<Fault> {
    if number.is_nan() || number < min {
        let msg = format!("Input should be greater than or equal to {min}");
        return Some(Fault::field(field, "greater_than_equal", msg).with("ge", min));
    }
    let max = max.filter(|max| number > *max)?;
    let msg = format!("Input should be less than or equal to {max}");
    Some(Fault::field(field, "less_than_equal", msg).with("le", max))
}
