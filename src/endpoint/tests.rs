//! The contract, example by example, and that no input at all panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::plan::plan;
use super::schema::*;
use super::validate::validate;
use super::{Fault, Log, Mode, Request};
use crate::Error;
use crate::image::{Frame, MAX_MODEL_SIDE, MAX_SIDE, SIDE_STEP};
use crate::segment::Prompt;

const URL: &str = "https://example.com/cat.png";

/// The URL and `fields` as a request.
fn body(fields: Value) -> Value {
    let mut body = json!({ "image_url": URL });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn accepted(fields: Value) -> (Request, Vec<Log>) {
    validate(&body(fields.clone())).unwrap_or_else(|faults| panic!("{fields}: {faults:?}"))
}

/// `(loc without "body", type)` of each fault.
fn faults(input: Value) -> Vec<(Value, &'static str)> {
    let faults = validate(&input).expect_err(&input.to_string());
    assert!(!faults.is_empty());
    faults.iter().map(|fault| (loc(fault), fault.kind)).collect()
}

fn loc(fault: &Fault) -> Value {
    let mut loc = json!(fault.loc).as_array().unwrap().clone();
    assert_eq!(loc.remove(0), "body");
    Value::Array(loc)
}

#[test]
fn the_shortest_request_has_fals_defaults() {
    let (request, logs) = accepted(json!({}));
    assert_eq!(request.size, 1024);
    assert_eq!(request.confidence, 0.4);
    assert!(request.boxes.is_empty() && request.points.is_empty() && request.labels.is_empty());
    assert_eq!((request.output, request.combine), (Picture::Overlay, Combine::Fal));
    assert!(!request.return_masks && !request.multimask);
    assert_eq!(logs, []);
}

#[test]
fn the_example_of_fals_page_is_one_foreground_point() {
    let (request, logs) = accepted(json!({
        "size": 1024, "confidence": 0.4, "box_prompt": [[0, 0, 0, 0]], "point_prompt": [[300, 300]], "point_label": [1]
    }));
    assert_eq!(logs, []);
    let (plan, logs) = plan(&request, 640, 480).unwrap();
    assert_eq!(logs, []);
    let Mode::Points { points, refines: None, choice } = plan.mode else { panic!("{plan:?}") };
    assert_eq!(points, [([300.0, 300.0], 1)]);
    assert!(!choice.multimask);
}

#[test]
fn no_prompt_has_many_forms() {
    for fields in [
        json!({}),
        json!({ "box_prompt": null, "point_prompt": null, "point_label": null }),
        json!({ "box_prompt": [], "point_prompt": [] }),
        json!({ "box_prompt": [[0, 0, 0, 0]], "point_prompt": [[0, 0]], "point_label": [0] }),
        json!({ "box_prompt": [[0, 0, 0, 0], [0.0, 0, 0, 0]], "point_label": [1] }),
    ] {
        let (plan, _) = plan(&accepted(fields.clone()).0, 640, 480).unwrap();
        assert!(matches!(plan.mode, Mode::Everything { points_per_side: 32, .. }), "{fields}: {plan:?}");
    }
    let (request, _) = accepted(json!({ "point_prompt": [[0, 0], [5, 6]] }));
    assert_eq!(request.points, [[0.0, 0.0], [5.0, 6.0]]);
}

#[test]
fn boxes_win_over_points_unless_they_are_joined() {
    let both = json!({ "box_prompt": [[1, 2, 30, 40], [5, 5, 6, 6]], "point_prompt": [[3, 4]] });
    let (decided, logs) = plan(&accepted(both.clone()).0, 100, 100).unwrap();
    assert!(matches!(&decided.mode, Mode::Boxes { boxes, .. } if boxes.len() == 2));
    assert_eq!(logs.len(), 1);

    let mut joint = both;
    joint["combine"] = json!("joint");
    assert_eq!(faults(body(joint.clone())), [(json!(["combine"]), "value_error")]);
    joint["box_prompt"] = json!([[1, 2, 30, 40]]);
    let (decided, logs) = plan(&accepted(joint).0, 100, 100).unwrap();
    assert!(matches!(decided.mode, Mode::Points { refines: Some([1.0, 2.0, 30.0, 40.0]), .. }));
    assert_eq!(logs, []);
}

#[test]
fn labels_belong_to_points_one_by_one() {
    let points = json!([[1, 1], [2, 2]]);
    assert_eq!(accepted(json!({ "point_prompt": points })).0.labels, [1, 1]);
    assert_eq!(accepted(json!({ "point_prompt": points, "point_label": null })).0.labels, [1, 1]);
    assert_eq!(accepted(json!({ "point_prompt": points, "point_label": [0, 1.0] })).0.labels, [0, 1]);
    assert_eq!(accepted(json!({ "point_prompt": [[1, 1]], "point_label": [0] })).0.labels, [0]);
    for labels in [json!([]), json!([1]), json!([1, 0, 1])] {
        let found = validate(&body(json!({ "point_prompt": points, "point_label": labels }))).unwrap_err();
        assert_eq!(found.len(), 1);
        assert_eq!(
            json!(found[0]),
            json!({
                "loc": ["body", "point_label"],
                "msg": format!("There should be one label for each point: {} for 2", labels.as_array().unwrap().len()),
                "type": "value_error",
                "url": "https://docs.fal.ai/errors#value_error",
                "ctx": { "points": 2, "labels": labels.as_array().unwrap().len() },
            })
        );
    }
    let found = faults(body(json!({ "point_prompt": points, "point_label": [2, "1"] })));
    assert_eq!(found, [(json!(["point_label", 0]), "one_of"), (json!(["point_label", 1]), "one_of")]);
    assert_eq!(faults(body(json!({ "point_label": [1, 1] }))), [(json!(["point_label"]), "value_error")]);
}

#[test]
fn every_fault_is_told_at_once() {
    let found = faults(json!({
        "image_url": 7, "size": -1, "confidence": 1.5, "box_prompt": [[1, 2, 3], [1, 2, 0, 4], "box"],
        "point_prompt": [[1, null], [1, 2]], "point_label": [1, 3], "output": "svg", "return_masks": "yes",
        "multimask": 1, "pred_iou_thresh": "high", "stability_score_thresh": -0.1, "points_per_side": 0,
        "min_mask_region_area": 0.5, "combine": null,
    }));
    let expected = [
        (json!(["image_url"]), "string_type"),
        (json!(["size"]), "greater_than_equal"),
        (json!(["confidence"]), "less_than_equal"),
        (json!(["box_prompt", 0]), "list_type"),
        (json!(["box_prompt", 2]), "list_type"),
        (json!(["box_prompt", 1]), "value_error"),
        (json!(["point_prompt", 0, 1]), "float_type"),
        (json!(["point_label", 1]), "one_of"),
        (json!(["output"]), "one_of"),
        (json!(["return_masks"]), "bool_type"),
        (json!(["multimask"]), "bool_type"),
        (json!(["pred_iou_thresh"]), "float_type"),
        (json!(["stability_score_thresh"]), "greater_than_equal"),
        (json!(["points_per_side"]), "greater_than_equal"),
        (json!(["min_mask_region_area"]), "int_from_float"),
        (json!(["combine"]), "one_of"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_request_is_an_object_with_a_picture() {
    for input in [json!(null), json!([]), json!("x"), json!(1), json!(true)] {
        assert_eq!(faults(input), [(json!([]), "dict_type")]);
    }
    assert_eq!(faults(json!({})), [(json!(["image_url"]), "missing")]);
    for url in ["", "cat.png", "/cat.png", "file:///cat.png", "javascript:alert(1)", "httpx://a"] {
        assert_eq!(faults(json!({ "image_url": url })), [(json!(["image_url"]), "value_error")], "{url}");
    }
    for url in ["HTTP://a/b", "data:image/png;base64,AAAA", "blob:https://a/1"] {
        assert_eq!(validate(&json!({ "image_url": url })).unwrap().0.image_url, url);
    }
}

#[test]
fn size_is_rounded_up_clamped_and_says_so() {
    for (asked, size, lines) in [
        (json!(1), 64, 1),
        (json!(64), 64, 0),
        (json!(65), 128, 1),
        (json!(512.0), 512, 0),
        (json!(1000), 1024, 1),
        (json!(1024), 1024, 0),
        (json!(1025), 1024, 1),
        (json!(1e300), 1024, 1),
        (json!(u64::MAX), 1024, 1),
    ] {
        let (request, logs) = accepted(json!({ "size": asked }));
        assert_eq!((request.size, logs.len()), (size, lines), "{asked}");
    }
    for (asked, kind) in [
        (json!(0), "greater_than_equal"),
        (json!(-64), "greater_than_equal"),
        (json!(0.5), "int_from_float"),
        // What JSON makes of NaN and the infinities.
        (json!(null), "int_type"),
        (json!("512"), "int_type"),
        (json!([512]), "int_type"),
        (json!(true), "int_type"),
    ] {
        assert_eq!(faults(body(json!({ "size": asked }))), [(json!(["size"]), kind)], "{asked}");
    }
}

#[test]
fn confidence_is_the_threshold_of_everything_only_when_it_is_chosen() {
    let thresh = |fields: Value| {
        let (plan, logs) = plan(&accepted(fields).0, 100, 100).unwrap();
        let Mode::Everything { pred_iou_thresh, .. } = plan.mode else { panic!("{plan:?}") };
        (pred_iou_thresh, logs.len())
    };
    assert_eq!(thresh(json!({})), (0.88, 1));
    assert_eq!(thresh(json!({ "confidence": 0.4 })), (0.88, 1));
    assert_eq!(thresh(json!({ "confidence": 0.7 })), (0.7, 0));
    assert_eq!(thresh(json!({ "confidence": 0.7, "pred_iou_thresh": 0.5 })), (0.5, 0));
    assert_eq!(thresh(json!({ "confidence": 0 })), (0.0, 0));
}

#[test]
fn prompts_lie_inside_the_picture() {
    let (request, _) = accepted(json!({ "box_prompt": [[-5, -5, 10, 10], [90, 90, 1e30, 20], [1, 1, 2, 2]] }));
    let (decided, logs) = plan(&request, 100, 100).unwrap();
    let Mode::Boxes { boxes, .. } = decided.mode else { panic!() };
    assert_eq!(boxes, [[0.0, 0.0, 5.0, 5.0], [90.0, 90.0, 10.0, 10.0], [1.0, 1.0, 2.0, 2.0]]);
    assert_eq!(logs.len(), 2);

    let (request, _) = accepted(json!({ "box_prompt": [[100, 0, 5, 5], [0, 0, 1, 1], [-9, 0, 9, 9]] }));
    let found = plan(&request, 100, 100).unwrap_err();
    assert_eq!(found.iter().map(loc).collect::<Vec<_>>(), [json!(["box_prompt", 0]), json!(["box_prompt", 2])]);

    // Smaller than an f32 can say, or lost beside their place: as numbers over 0, as boxes nothing.
    let boxes = json!([[0, 0, 1e-50, 5], [0, 0, 5, 1e-50], [90, 1, 1e-7, 5], [1, 90, 5, 1e-7], [0, 0, 1e-40, 1e-40]]);
    let found = plan(&accepted(json!({ "box_prompt": boxes })).0, 100, 100);
    let (kept, refused): (Vec<_>, Vec<_>) = (0..5).partition(|i| *i == 4);
    let found = found.unwrap_err();
    assert_eq!(
        found.iter().map(loc).collect::<Vec<_>>(),
        refused.iter().map(|i| json!(["box_prompt", i])).collect::<Vec<_>>()
    );
    // A subnormal width is one, and segments.
    assert_eq!(kept, [4]);

    let (request, _) = accepted(json!({ "point_prompt": [[100, 100], [101, 1], [1, -1e300]] }));
    let found = plan(&request, 100, 100).unwrap_err();
    assert_eq!(found.iter().map(loc).collect::<Vec<_>>(), [json!(["point_prompt", 1]), json!(["point_prompt", 2])]);
}

#[test]
fn unknown_fields_are_ignored_with_a_line_each() {
    let (request, logs) = accepted(json!({ "prompt": "a cat", "sync_mode": true }));
    assert_eq!(request, accepted(json!({})).0);
    assert_eq!(logs.len(), 2);
    let many: serde_json::Map<String, Value> = (0..1000).map(|i| (format!("field_{i}"), json!(i))).collect();
    assert_eq!(accepted(Value::Object(many)).1.len(), 9);
}

#[test]
fn lists_are_bounded() {
    let long = |entry: Value| Value::Array(vec![entry; MAX_PROMPTS + 1]);
    for (field, entry) in [("box_prompt", json!([1, 1, 2, 2])), ("point_prompt", json!([1, 1]))] {
        assert_eq!(faults(body(json!({ field: long(entry) }))), [(json!([field]), "sequence_too_long")]);
    }
    assert_eq!(faults(body(json!({ "point_label": long(json!(1)) }))), [(json!(["point_label"]), "sequence_too_long")]);
}

/// The last value that is one and the first that is none, on each side.
#[test]
fn bounds_are_where_they_are_said_to_be() {
    for fraction in ["confidence", "pred_iou_thresh", "stability_score_thresh"] {
        for value in [0.0, 1.0] {
            accepted(json!({ fraction: value }));
        }
        assert_eq!(faults(body(json!({ fraction: -1e-9 }))), [(json!([fraction]), "greater_than_equal")]);
        assert_eq!(faults(body(json!({ fraction: 1.0 + 1e-9 }))), [(json!([fraction]), "less_than_equal")]);
    }
    for side in [4, 128] {
        assert_eq!(accepted(json!({ "points_per_side": side })).0.points_per_side, side);
    }
    assert_eq!(faults(body(json!({ "points_per_side": 3 }))), [(json!(["points_per_side"]), "greater_than_equal")]);
    assert_eq!(faults(body(json!({ "points_per_side": 132 }))), [(json!(["points_per_side"]), "less_than_equal")]);
    for (asked, area) in [(json!(0), 0), (json!(5), 5), (json!(u64::MAX), u32::MAX)] {
        assert_eq!(accepted(json!({ "min_mask_region_area": asked })).0.min_mask_region_area, area);
    }
    let many = |entry: Value| Value::Array(vec![entry; MAX_PROMPTS]);
    let (request, _) = accepted(json!({ "point_prompt": many(json!([1, 2])), "point_label": many(json!(0)) }));
    assert_eq!((request.points.len(), request.labels), (MAX_PROMPTS, vec![0; MAX_PROMPTS]));
    assert_eq!(accepted(json!({ "box_prompt": many(json!([1, 2, 3, 4])) })).0.boxes.len(), MAX_PROMPTS);
    let boxes = |width: f64, height: f64| json!({ "box_prompt": [[1, 2, width, height], [1, 1, 1, 1]] });
    for (width, height) in [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (1.0, -1.0)] {
        assert_eq!(faults(body(boxes(width, height))), [(json!(["box_prompt", 0]), "value_error")]);
    }
    accepted(boxes(5e-324, 5e-324));
    // As long as it may be repeated, and as many strangers as are named.
    let input = |length: usize| validate(&body(json!({ "size": "x".repeat(length) }))).unwrap_err().remove(0).input;
    assert_eq!((input(100), input(101)), (Some(json!("x".repeat(100))), None));
    let strangers = |count: usize| {
        let fields: serde_json::Map<String, Value> = (0..count).map(|i| (format!("field_{i}"), json!(i))).collect();
        accepted(Value::Object(fields)).1
    };
    assert_eq!([1, 8, 9].map(|count| strangers(count).len()), [1, 8, 9]);
    assert!(strangers(8).iter().all(|line| line.level == Level::Warn && line.message.contains("`field_")));
    assert!(strangers(11)[8].message.starts_with("3 more"));
}

/// A picture's edges belong to it for points, and for boxes only what is inside of them counts.
#[test]
fn edges_are_inside() {
    let points = |x: f64, y: f64| plan(&accepted(json!({ "point_prompt": [[x, y], [1, 1]] })).0, 100, 50);
    for (x, y) in [(0.0, 0.0), (100.0, 50.0), (100.0, 0.0), (0.0, 50.0)] {
        assert!(matches!(points(x, y).unwrap().0.mode, Mode::Points { points, .. } if points.len() == 2));
    }
    for (x, y) in [(-0.001, 1.0), (1.0, -0.001), (100.001, 1.0), (1.0, 50.001), (50.0, 100.0)] {
        assert_eq!(points(x, y).unwrap_err().len(), 1, "{x} {y}");
    }
    let boxes = |bbox: [f64; 4]| plan(&accepted(json!({ "box_prompt": [bbox] })).0, 100, 50);
    for (bbox, clipped) in [([0.0, 0.0, 100.0, 50.0], 0), ([0.0, 0.0, 100.5, 50.0], 1), ([-1.0, 3.0, 5.0, 5.0], 1)] {
        assert_eq!(boxes(bbox).unwrap().1.len(), clipped, "{bbox:?}");
    }
    for outside in [[100.0, 1.0, 5.0, 5.0], [1.0, 50.0, 5.0, 5.0], [-5.0, 1.0, 5.0, 5.0], [1.0, -5.0, 5.0, 5.0]] {
        assert_eq!(boxes(outside).unwrap_err().len(), 1, "{outside:?}");
    }
}

#[test]
fn the_grid_of_everything_is_in_quarters() {
    assert_eq!(accepted(json!({ "points_per_side": 16 })).0.points_per_side, 16);
    assert_eq!(faults(body(json!({ "points_per_side": 18 }))), [(json!(["points_per_side"]), "multiple_of")]);
    assert_eq!(faults(body(json!({ "points_per_side": 256 }))), [(json!(["points_per_side"]), "less_than_equal")]);
}

#[test]
fn a_value_is_repeated_only_where_it_is_short() {
    let input = |value: Value| validate(&body(json!({ "size": value }))).unwrap_err().remove(0).input;
    assert_eq!(input(json!("big")), Some(json!("big")));
    assert_eq!(input(json!("x".repeat(101))), None);
    assert_eq!(input(json!([1])), None);
}

#[test]
fn faults_are_as_fal_documents_them() {
    let fault = |fields: Value| json!(validate(&body(fields)).unwrap_err().remove(0));
    for (found, expected) in [
        (fault(json!({ "size": 0 })), json!({ "type": "greater_than_equal", "ctx": { "ge": 1.0 }, "input": 0 })),
        (fault(json!({ "confidence": 2 })), json!({ "type": "less_than_equal", "ctx": { "le": 1.0 }, "input": 2 })),
        (
            fault(json!({ "points_per_side": 18 })),
            json!({ "type": "multiple_of", "ctx": { "multiple_of": 4 }, "input": 18 }),
        ),
        (
            fault(json!({ "output": "png" })),
            json!({ "type": "one_of", "ctx": { "expected": ["overlay", "mask", "cutout"] }, "input": "png" }),
        ),
        (
            fault(json!({ "point_prompt": [[1, 1]], "point_label": [2] })),
            json!({ "type": "one_of", "ctx": { "expected": [0, 1] }, "input": 2 }),
        ),
        (json!(Fault::of(&Error::ImageInvalid("x".into()))), json!({ "type": "image_load_error" })),
        (json!(Fault::of(&Error::ImageUnreachable("x".into()))), json!({ "type": "file_download_error" })),
        (
            json!(Fault::of(&Error::ImageTooLarge { width: 1, height: 20_000 })),
            json!({ "type": "image_too_large", "ctx": { "max_height": MAX_SIDE, "max_width": MAX_SIDE } }),
        ),
    ] {
        let kind = expected["type"].as_str().unwrap();
        assert_eq!(found["url"], json!(format!("https://docs.fal.ai/errors#{kind}")));
        assert_eq!(found["loc"][0], "body");
        assert!(found["msg"].as_str().is_some_and(|msg| !msg.is_empty()));
        for name in ["type", "ctx", "input"] {
            assert_eq!(found.get(name), expected.get(name), "{name} of {found}");
        }
    }
    let long = json!({ "box_prompt": vec![[1, 1, 2, 2]; MAX_PROMPTS + 1] });
    assert_eq!(fault(long)["ctx"]["max_length"], MAX_PROMPTS);
    assert_eq!(json!(Fault::whole("dict_type", "x"))["loc"], json!(["body"]));
}

#[test]
fn the_requests_own_errors_are_faults() {
    for (error, expected) in [
        (Error::ImageUnreachable("x".into()), Some("file_download_error")),
        (Error::ImageInvalid("x".into()), Some("image_load_error")),
        (Error::ImageTooLarge { width: 20_000, height: 1 }, Some("image_too_large")),
        (Error::PixelsProtected, Some("image_load_error")),
        (Error::DeviceLost("x".into()), None),
        (Error::OutOfMemory("x".into()), None),
        (Error::CheckpointUnreachable("x".into()), None),
    ] {
        let fault = Fault::of(&error);
        assert_eq!(fault.as_ref().map(|fault| fault.kind), expected);
        assert!(fault.is_none_or(|fault| loc(&fault) == json!(["image_url"])));
    }
    for (error, field) in
        [(Error::PromptInvalid("x".into()), "point_prompt"), (Error::OptionInvalid("x".into()), "size")]
    {
        let fault = Fault::of(&error).unwrap();
        assert_eq!((loc(&fault), fault.kind, fault.msg), (json!([field]), "value_error", error.to_string()));
    }
}

/// Any JSON value, a few levels deep.
fn json_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        (-4i32..1100).prop_map(|n| json!(n)),
        (-0.5f64..1.5).prop_map(|n| json!(n)),
    ];
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool), number, ".{0,12}".prop_map(Value::String),];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map(".{0,6}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Objects that have our fields, with any values.
fn request_value() -> impl Strategy<Value = Value> {
    let known: Vec<&str> = FAL_FIELDS.into_iter().chain(EXTENSIONS).collect();
    let number = || (-20.0f64..700.0).prop_map(|n| json!(n.round()));
    let rows = prop::collection::vec(prop::collection::vec(number(), 1..6), 0..5).prop_map(|rows| json!(rows));
    let labels = prop::collection::vec(0..3u8, 0..5).prop_map(|labels| json!(labels));
    let value = prop_oneof![json_value(), rows, labels];
    prop::collection::btree_map(prop::sample::select(known), value, 0..10).prop_map(|map| {
        let fields = map.into_iter().map(|(name, value)| (name.to_string(), value));
        let mut body = json!({ "image_url": URL });
        body.as_object_mut().unwrap().extend(fields);
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_value_is_read(input in prop_oneof![json_value(), request_value()], w in 1u32..2000, h in 1u32..2000) {
        match validate(&input) {
            Err(faults) => prop_assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.msg.is_empty())),
            Ok((request, _)) => {
                prop_assert!(request.size.is_multiple_of(SIDE_STEP));
                prop_assert!((SIDE_STEP..=MAX_MODEL_SIDE).contains(&request.size));
                prop_assert!((0.0..=1.0).contains(&request.confidence));
                prop_assert_eq!(request.points.len(), request.labels.len());
                prop_assert!(request.boxes.iter().all(|b| b[2] > 0.0 && b[3] > 0.0));
                match plan(&request, w, h) {
                    Err(faults) => prop_assert!(!faults.is_empty()),
                    Ok((plan, _)) => if let Mode::Boxes { boxes, .. } = plan.mode {
                        for [x, y, bw, bh] in boxes {
                            prop_assert!(x >= 0.0 && y >= 0.0 && bw > 0.0 && bh > 0.0);
                            prop_assert!(x + bw <= w as f32 + 1e-2 && y + bh <= h as f32 + 1e-2);
                            let frame = Frame::new(w, h, SIDE_STEP).unwrap();
                            prop_assert!(Prompt::bbox([x, y, bw, bh]).resolve(&frame).is_ok());
                        }
                    },
                }
            }
        }
    }

    #[test]
    fn what_is_sensible_is_accepted(
        size in 1u32..3000,
        confidence in 0.0f64..=1.0,
        boxes in prop::collection::vec([0.0f64..600.0, 0.0..400.0, 1.0..100.0, 1.0..100.0], 0..5),
        points in prop::collection::vec(([0.0f64..=640.0, 0.0..=480.0], 0u8..2), 0..5),
    ) {
        let (points, labels): (Vec<_>, Vec<_>) = points.into_iter().unzip();
        let (request, _) = validate(&body(json!({
            "size": size, "confidence": confidence, "box_prompt": boxes, "point_prompt": points, "point_label": labels,
        }))).unwrap();
        prop_assert_eq!(&request.boxes, &boxes);
        let (plan, _) = plan(&request, 640, 480).unwrap();
        prop_assert_eq!(matches!(plan.mode, Mode::Boxes { .. }), !boxes.is_empty());
    }
}
