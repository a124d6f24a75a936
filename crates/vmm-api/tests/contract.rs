//! The OpenAPI document in the repository is the one that the code gives.

use std::path::Path;

#[test]
fn the_contract_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../api/contracts/vmm.json");
    let expected = vmm_api::openapi().to_pretty_json().expect("the document is JSON") + "\n";
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == expected, "api/contracts/vmm.json is not what the code says: run `cargo xtask api`");
}

#[test]
fn codes_are_documented_as_they_are_sent() {
    let document = serde_json::to_value(vmm_api::openapi()).unwrap();
    let sent = serde_json::to_value(vmm_api::ErrorCode::ALL).unwrap();
    assert_eq!(document["components"]["schemas"]["ErrorCode"]["enum"], sent);
}

#[test]
fn every_reference_has_its_schema() {
    let document = serde_json::to_value(vmm_api::openapi()).unwrap();
    let mut names = Vec::new();
    references(&document, &mut names);
    assert!(names.iter().any(|name| name.ends_with("/VmConfig")), "{names:?}");
    for name in names {
        let pointer = name.strip_prefix('#').expect("references stay in the document");
        assert!(document.pointer(pointer).is_some(), "{name} is not there");
    }
}

fn references(value: &serde_json::Value, found: &mut Vec<String>) {
    if let Some(name) = value.get("$ref").and_then(|name| name.as_str()) {
        found.push(name.to_owned());
    }
    match value {
        serde_json::Value::Object(fields) => fields.values().for_each(|value| references(value, found)),
        serde_json::Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}
