//! Replays the corpus of the fuzz target `control_bodies` through validation: it never panics, and lets through only what
//! could be a machine.

use std::path::Path;

use vmm_api::VmConfig;

#[test]
fn validation_survives_its_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/control_bodies");
    let mut accepted = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is in the repository") {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let Ok(config) = serde_json::from_slice::<VmConfig>(&bytes) else { continue };
        match vmm::validate::config(&config) {
            Ok(()) => {
                assert!(config.vcpus > 0 && config.memory.size_mib >= 64);
                accepted += 1;
            }
            Err(error) => assert!(!error.message.is_empty() && !error.hint.is_empty(), "{error:?}"),
        }
    }
    assert!(accepted >= 2, "only {accepted} of the corpus could be machines");
}
