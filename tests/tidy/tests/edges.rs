//! Which crate may use which of ours. Everything points one way: programs know parts, parts do not know each other.

use std::collections::BTreeSet;

use tidy::metadata;

/// A crate and those of ours that it may use. One that is missing here may not exist.
const ALLOWED: &[(&str, &[&str])] = &[
    ("bothyd", &["compute", "dialects", "hostnet", "metadata", "names", "native-api", "storage", "vmm-api"]),
    ("cli", &["kvm-probe", "native-api"]),
    ("compute", &["idle-host"]),
    ("devices", &[]),
    ("dialects", &["compute", "native-api"]),
    ("kvm-probe", &[]),
    ("metadata", &["compute", "idle-host"]),
    ("names", &["compute", "idle-host"]),
    ("native-api", &[]),
    ("hostnet", &[]),
    ("storage", &[]),
    ("vmm-api", &[]),
    ("vmm", &["devices", "storage", "vmm-api"]),
    ("xtask", &["hostnet", "kvm-probe", "native-api", "vmm-api"]),
    ("fake-vmm", &["vmm-api"]),
    ("idle-host", &["compute"]),
    ("micro", &["vmm-api"]),
    ("node", &["native-api", "vmm-api"]),
    ("tidy", &[]),
];

#[test]
fn crates_use_only_what_they_may() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("there are packages");
    let name = |value: &serde_json::Value| value["name"].as_str().expect("it has a name").to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let known: BTreeSet<String> = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(ours, known, "the table has each crate of the workspace");
    for package in packages {
        let (_, allowed) = ALLOWED.iter().find(|(known, _)| *known == name(package)).expect("compared above");
        for dependency in package["dependencies"].as_array().expect("a list").iter().map(name) {
            let is_fine = !ours.contains(&dependency) || allowed.contains(&dependency.as_str());
            assert!(is_fine, "{} uses {dependency}, which the table does not allow", name(package));
        }
    }
}

#[test]
fn no_crate_is_a_heap_of_things() {
    for (name, _) in ALLOWED {
        assert!(
            !["common", "util", "utils", "base", "core", "helpers"].contains(name),
            "{name}: name the thing"
        );
    }
}
