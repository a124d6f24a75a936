//! What CPUID tells the guest: the host's processor as far as KVM can give it, with the topology that was asked for.
//!
//! All vCPUs sit in one socket, `threads_per_core` of them to a core. Nested virtualization and the performance
//! counters are not given: both are attack surface that a guest of ours does not need.

use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

/// How vCPUs make cores.
#[derive(Clone, Copy, Debug)]
pub struct Topology {
    /// vCPUs of the machine.
    pub vcpus: u32,
    /// Hardware threads of a core; divides `vcpus`.
    pub threads_per_core: u32,
}

impl Topology {
    fn cores(self) -> u32 {
        self.vcpus / self.threads_per_core
    }

    /// Bits of the APIC id that number the threads of a core.
    fn thread_bits(self) -> u32 {
        bits(self.threads_per_core)
    }

    /// Bits of the APIC id that number threads and cores of the socket.
    fn socket_bits(self) -> u32 {
        self.thread_bits() + bits(self.cores())
    }

    /// APIC id of a vCPU: its core's number above its thread's.
    pub fn apic_id(self, vcpu: u32) -> u32 {
        ((vcpu / self.threads_per_core) << self.thread_bits()) | (vcpu % self.threads_per_core)
    }
}

/// Bits needed to number `count` things.
fn bits(count: u32) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

// Leaf 1, ECX.
const VMX: u32 = 1 << 5;
const X2APIC: u32 = 1 << 21;
const TSC_DEADLINE: u32 = 1 << 24;
const HYPERVISOR: u32 = 1 << 31;
// Leaf 1, EDX.
const HYPER_THREADING: u32 = 1 << 28;
// Leaf 0x8000_0001, ECX.
const CMP_LEGACY: u32 = 1 << 1;
const SVM: u32 = 1 << 2;
const PERFCTR_CORE: u32 = 1 << 23;
const PERFCTR_NB: u32 = 1 << 24;

/// Makes the CPUID of `vcpu` from what KVM supports.
pub fn for_vcpu(supported: &CpuId, topology: Topology, vcpu: u32, tsc_deadline: bool) -> CpuId {
    let apic_id = topology.apic_id(vcpu);
    let mut entries: Vec<kvm_cpuid_entry2> = supported.as_slice().to_vec();
    let vendor_is_amd =
        entries.iter().any(|leaf| leaf.function == 0 && leaf.ebx == u32::from_le_bytes(*b"Auth"));
    // Topology leaves are written whole below; on AMD the newest of them is left out, so that guests use these.
    entries.retain(|leaf| !matches!(leaf.function, 0xb | 0x1f | 0x8000_0026));
    for leaf in &mut entries {
        patch(leaf, topology, apic_id, tsc_deadline);
    }
    let max_leaf = entries.iter().find(|leaf| leaf.function == 0).map_or(0, |leaf| leaf.eax);
    if max_leaf >= 0xb {
        entries.extend(extended_topology(0xb, topology, apic_id));
    }
    if max_leaf >= 0x1f && !vendor_is_amd {
        entries.extend(extended_topology(0x1f, topology, apic_id));
    }
    CpuId::from_entries(&entries).expect("as many leaves as KVM gave, and a few more")
}

fn patch(leaf: &mut kvm_cpuid_entry2, topology: Topology, apic_id: u32, tsc_deadline: bool) {
    let Topology { vcpus, threads_per_core } = topology;
    match (leaf.function, leaf.index) {
        (0x1, _) => {
            let ids = 1 << topology.socket_bits();
            leaf.ebx = leaf.ebx & 0x0000_ffff | (ids & 0xff) << 16 | apic_id << 24;
            leaf.ecx = leaf.ecx & !VMX | HYPERVISOR | X2APIC;
            set(&mut leaf.ecx, TSC_DEADLINE, tsc_deadline);
            set(&mut leaf.edx, HYPER_THREADING, vcpus > 1);
        }
        // Intel caches: levels 1 and 2 belong to a core, the last one to the socket.
        (0x4, _) if leaf.eax & 0x1f != 0 => {
            let level = leaf.eax >> 5 & 7;
            let sharing = if level < 3 { topology.thread_bits() } else { topology.socket_bits() };
            let core_ids = 1 << bits(topology.cores());
            leaf.eax = leaf.eax & 0x3fff | ((1 << sharing) - 1) << 14 | (core_ids - 1) << 26;
        }
        // No performance counters.
        (0xa, _) => (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) = (0, 0, 0, 0),
        (0x8000_0001, _) => {
            leaf.ecx &= !(SVM | PERFCTR_CORE | PERFCTR_NB);
            set(&mut leaf.ecx, CMP_LEGACY, vcpus > 1);
        }
        // AMD: number of threads, and bits of the APIC id that number them.
        (0x8000_0008, _) => leaf.ecx = (vcpus - 1) & 0xff | topology.socket_bits() << 12,
        // AMD SVM features and performance monitoring version 2.
        (0x8000_000a | 0x8000_0022, _) => (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) = (0, 0, 0, 0),
        // AMD caches.
        (0x8000_001d, _) if leaf.eax & 0x1f != 0 => {
            let level = leaf.eax >> 5 & 7;
            let sharing = if level < 3 { threads_per_core } else { vcpus };
            leaf.eax = leaf.eax & 0x3fff | (sharing - 1) << 14;
        }
        // AMD: APIC id, core and threads to a core; one node.
        (0x8000_001e, _) => {
            leaf.eax = apic_id;
            leaf.ebx = (threads_per_core - 1) << 8 | apic_id >> topology.thread_bits();
            leaf.ecx = 0;
        }
        _ => {}
    }
}

fn set(register: &mut u32, bit: u32, on: bool) {
    *register = if on { *register | bit } else { *register & !bit };
}

/// The extended topology leaf: threads of a core, then threads of the socket, then nothing.
fn extended_topology(function: u32, topology: Topology, apic_id: u32) -> [kvm_cpuid_entry2; 3] {
    let level = |index: u32, shift: u32, threads: u32, kind: u32| kvm_cpuid_entry2 {
        function,
        index,
        flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        eax: shift,
        ebx: threads,
        ecx: kind << 8 | index,
        edx: apic_id,
        ..Default::default()
    };
    [
        level(0, topology.thread_bits(), topology.threads_per_core, 1),
        level(1, topology.socket_bits(), topology.vcpus, 2),
        level(2, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apic_ids_leave_room_for_whole_cores() {
        let cases = [
            (1, 1, vec![0]),
            (3, 1, vec![0, 1, 2]),
            (4, 2, vec![0, 1, 2, 3]),
            (6, 2, vec![0, 1, 2, 3, 4, 5]),
        ];
        for (vcpus, threads_per_core, expected) in cases {
            let topology = Topology { vcpus, threads_per_core };
            let ids: Vec<_> = (0..vcpus).map(|vcpu| topology.apic_id(vcpu)).collect();
            assert_eq!(ids, expected);
        }
        assert_eq!(Topology { vcpus: 6, threads_per_core: 2 }.socket_bits(), 3);
        assert_eq!(Topology { vcpus: 64, threads_per_core: 1 }.socket_bits(), 6);
    }

    #[test]
    fn topology_is_told_the_same_in_every_leaf() {
        let functions = [(0, 0), (1, 0), (4, 0), (4, 3), (0x8000_0008, 0), (0x8000_001e, 0)];
        let mut entries: Vec<_> = functions
            .map(|(function, index)| kvm_cpuid_entry2 { function, index, ..Default::default() })
            .into();
        entries[0].eax = 0x20;
        (entries[2].eax, entries[3].eax) = (1 | 1 << 5, 3 | 3 << 5);
        let supported = CpuId::from_entries(&entries).unwrap();
        let cpuid = for_vcpu(&supported, Topology { vcpus: 4, threads_per_core: 2 }, 3, true);
        let leaf = |function: u32, index: u32| {
            *cpuid.as_slice().iter().find(|leaf| (leaf.function, leaf.index) == (function, index)).unwrap()
        };
        assert_eq!(leaf(1, 0).ebx, 3 << 24 | 4 << 16);
        assert_ne!(leaf(1, 0).ecx & TSC_DEADLINE, 0);
        assert_eq!(leaf(4, 0).eax >> 14 & 0xfff, 1, "two threads share the first level");
        assert_eq!(leaf(4, 3).eax >> 14 & 0xfff, 3, "four the last");
        assert_eq!((leaf(0xb, 0).eax, leaf(0xb, 0).ebx, leaf(0xb, 0).edx), (1, 2, 3));
        assert_eq!((leaf(0xb, 1).eax, leaf(0xb, 1).ebx), (2, 4));
        assert_eq!((leaf(0x1f, 1).eax, leaf(0x1f, 1).ebx), (2, 4));
        assert_eq!(leaf(0x8000_0008, 0).ecx, 3 | 2 << 12);
        assert_eq!((leaf(0x8000_001e, 0).eax, leaf(0x8000_001e, 0).ebx), (3, 1 << 8 | 1));
    }
}
