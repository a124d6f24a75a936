//! What the control socket answers is what the OpenAPI document says, no more and no less.

use std::collections::BTreeSet;

#[test]
fn the_document_has_every_route_and_no_other() {
    let served: BTreeSet<_> =
        vmm::control::ROUTES.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(served.len(), vmm::control::ROUTES.len(), "a route is there twice");

    let document = serde_json::to_value(vmm_api::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let documented: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    assert_eq!(served, documented);
}
