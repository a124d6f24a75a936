//! Replays the corpus of the fuzz target `kernel_loader`, and every shortening of its kernels.

use std::path::Path;

#[test]
fn the_kernel_loader_survives_its_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/kernel_loader");
    let mut kernels = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is in the repository") {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        kernels += usize::from(vmm::boot::load_bytes(&bytes).is_ok());
        for length in (0..bytes.len()).step_by(97) {
            let _ = vmm::boot::load_bytes(&bytes[..length]);
        }
    }
    assert!(kernels >= 3, "an ELF, a PVH and a bzImage kernel load");
}
