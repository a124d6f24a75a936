//! Bodies of `PUT /v1/vm`: any bytes are parsed and validated without harm, and what is accepted means the same after it
//! was written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_api::VmConfig;

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = serde_json::from_slice::<VmConfig>(bytes) else { return };
    if vmm::validate::config(&config).is_ok() {
        assert!(config.vcpus > 0, "a machine without vCPUs was accepted");
    }
    let written = serde_json::to_vec(&config).expect("a configuration that was read can be written");
    let again: VmConfig = serde_json::from_slice(&written).expect("and read again");
    assert_eq!(again, config);
});
