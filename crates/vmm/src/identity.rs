//! What is derived from a VM's id when the configuration does not give it: always the same for the same id, so that a
//! guest finds itself unchanged after each boot.

use vmm_api::MacAddress;

/// A UUID (RFC 9562, version 8) of the id.
pub fn uuid(id: &str) -> [u8; 16] {
    let mut bytes =
        (u128::from(hash(id, "uuid high")) << 64 | u128::from(hash(id, "uuid low"))).to_be_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

/// A locally administered MAC address for the network interface at `index`.
pub fn mac(id: &str, index: usize) -> MacAddress {
    let [_, _, _, a, b, c, d, e] = hash(id, &format!("mac {index}")).to_be_bytes();
    MacAddress([0x02, a, b, c, d, e])
}

// FNV-1a (draft-eastlake-fnv), 64 bits, with a final mix: stable over versions and machines, which std's is not.
fn hash(id: &str, purpose: &str) -> u64 {
    let bytes = purpose.bytes().chain([0]).chain(id.bytes());
    let mut hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_identities_are_stable_and_distinct() {
        assert_eq!(uuid("i-1"), uuid("i-1"));
        assert_ne!(uuid("i-1"), uuid("i-2"));
        let macs: std::collections::BTreeSet<_> = (0..100)
            .flat_map(|vm| (0..16).map(move |index| mac(&format!("i-{vm}"), index).to_string()))
            .collect();
        assert_eq!(macs.len(), 1600);
        assert!(macs.iter().all(|mac| mac.parse::<MacAddress>().is_ok()));
    }
}
