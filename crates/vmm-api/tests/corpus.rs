//! Replays the corpus of the fuzz target `control_bodies`, and every shortening of its bodies. Validation, which the
//! target runs too, is the VMM's and replayed there.

use std::path::Path;

use vmm_api::VmConfig;

#[test]
fn bodies_mean_the_same_when_read_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/control_bodies");
    let mut configurations = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is in the repository") {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for length in 0..=bytes.len() {
            let Ok(config) = serde_json::from_slice::<VmConfig>(&bytes[..length]) else { continue };
            configurations += 1;
            let written = serde_json::to_vec(&config).unwrap();
            assert_eq!(serde_json::from_slice::<VmConfig>(&written).unwrap(), config);
        }
    }
    assert!(configurations >= 5, "only {configurations} of the corpus are configurations");
}
