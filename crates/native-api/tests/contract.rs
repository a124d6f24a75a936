//! The OpenAPI document in the repository is the one that the code gives, and says what the code does.

use std::path::Path;

use native_api::{ErrorCode, Operation, ROUTES};
use serde_json::Value;

#[test]
fn the_contract_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../api/contracts/native.json");
    let expected = serde_json::to_string_pretty(&native_api::openapi()).expect("the document is JSON") + "\n";
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == expected, "api/contracts/native.json is not what the code says: run `cargo xtask api`");
}

#[test]
fn codes_are_documented_as_they_are_sent() {
    let document = native_api::openapi();
    let sent = serde_json::to_value(ErrorCode::ALL).unwrap();
    assert_eq!(document["components"]["schemas"]["ErrorCode"]["enum"], sent);
}

#[test]
fn every_row_is_in_the_document() {
    let document = native_api::openapi();
    for route in ROUTES.iter().flat_map(|rows| rows.iter()) {
        let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
        assert_eq!(operation["operationId"], route.operation.as_str());
        for code in route.codes() {
            let description =
                operation["responses"][code.status().to_string()]["description"].as_str().unwrap();
            assert!(description.contains(code.as_str()), "{:?}", route.operation);
        }
    }
    let operations: usize =
        document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(operations, Operation::ALL.len());
}

#[test]
fn every_reference_has_its_schema_and_every_schema_is_used() {
    let document = native_api::openapi();
    let mut names = Vec::new();
    visit(&document, &mut |value| names.extend(value["$ref"].as_str().map(str::to_owned)));
    for name in &names {
        let pointer = name.strip_prefix('#').expect("references stay in the document");
        assert!(document.pointer(pointer).is_some(), "{name} is not there");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        // The lines of a stream have a schema that no media type of OpenAPI can name.
        let used = names.contains(&format!("#/components/schemas/{name}")) || name == "Event";
        assert!(used, "{name} is used nowhere");
    }
}

#[test]
fn whatever_a_caller_sends_has_bounds() {
    let document = native_api::openapi();
    let mut unbounded = Vec::new();
    let sent: Vec<Value> = (document["paths"].as_object().unwrap().values())
        .flat_map(|item| item.as_object().unwrap().values())
        .flat_map(|operation| {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            parameters
                .into_iter()
                .map(|parameter| parameter["schema"].clone())
                .chain([operation["requestBody"].clone()])
        })
        .collect();
    let mut seen = Vec::new();
    let mut left = sent;
    while let Some(value) = left.pop() {
        visit(&value, &mut |schema| {
            if let Some(name) = schema["$ref"].as_str().filter(|name| !seen.contains(&(*name).to_owned())) {
                seen.push(name.to_owned());
                left.push(document.pointer(&name[1..]).unwrap().clone());
            }
            let is = |kind: &str| {
                schema["type"] == kind
                    || schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind))
            };
            let bounded = (!is("string")
                || !schema["maxLength"].is_null()
                || !schema["enum"].is_null()
                || !schema["format"].is_null())
                && (!is("integer") || !schema["maximum"].is_null())
                && (!is("array") || !schema["maxItems"].is_null())
                && (!is("object") || !schema["additionalProperties"].is_null());
            if !bounded {
                unbounded.push(schema.clone());
            }
        });
    }
    assert!(unbounded.is_empty(), "{unbounded:#?}");
    assert!(seen.len() > 40, "only {seen:?}");
}

fn visit(value: &Value, look: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(fields) => {
            look(value);
            fields.values().for_each(|value| visit(value, look));
        }
        Value::Array(values) => values.iter().for_each(|value| visit(value, look)),
        _ => {}
    }
}
