//! Guest memory: one or two regions around the PCI hole, anonymous or from a memfd, given to KVM as slots.

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use vm_memory::mmap::{MmapRegionBuilder, MmapRegionError};
use vm_memory::{
    Address, FileOffset, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion,
    GuestRegionCollectionError, GuestRegionMmap, MmapRegion,
};
use vmm_api::Memory;

use crate::layout;

/// Smallest memory of a guest, in MiB.
pub const MIN_MIB: u64 = 64;

/// Why there is no guest memory.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The host does not have it.
    #[error("cannot get {mib} MiB of guest memory")]
    Allocate {
        /// How much was asked for.
        mib: u64,
        /// What the host says.
        source: io::Error,
    },
    /// The mappings do not make a guest memory.
    #[error("cannot put guest memory together")]
    Regions(#[from] GuestRegionCollectionError),
    /// A mapping failed its checks.
    #[error("cannot map guest memory")]
    Map(#[from] MmapRegionError),
    /// KVM refused a slot.
    #[error("KVM refused guest memory")]
    Slot(#[from] kvm_ioctls::Error),
}

/// The ranges of guest memory: address and bytes, the first one at 0.
pub fn ranges(size_mib: u64) -> Vec<(u64, u64)> {
    let size = size_mib << 20;
    if size <= layout::PCI_HOLE {
        vec![(0, size)]
    } else {
        vec![(0, layout::PCI_HOLE), (layout::HIGH_MEMORY, size - layout::PCI_HOLE)]
    }
}

/// Gets the memory from the host. Nothing of it is touched yet, so the host gives pages only as the guest uses them.
pub fn allocate(wanted: &Memory) -> Result<GuestMemoryMmap, MemoryError> {
    let refused = |source| MemoryError::Allocate { mib: wanted.size_mib, source };
    let file = match wanted.shared || wanted.huge_pages {
        true => Some(memory_file(wanted).map_err(refused)?),
        false => None,
    };
    let mut file_offset = 0;
    let mut regions = Vec::new();
    for (base, length) in ranges(wanted.size_mib) {
        let backing = match &file {
            Some(file) => Some(FileOffset::new(file.try_clone().map_err(refused)?, file_offset)),
            None => None,
        };
        let bytes = usize::try_from(length).expect("64-bit hosts only");
        let region = map(bytes, backing, wanted).map_err(|error| match error {
            MmapRegionError::Mmap(source) => refused(source),
            other => MemoryError::Map(other),
        })?;
        regions
            .push(GuestRegionMmap::new(region, GuestAddress(base)).expect("bases plus lengths fit 64 bits"));
        file_offset += length;
    }
    Ok(GuestMemoryMmap::from_regions(regions)?)
}

/// Tells KVM about the memory.
pub fn give_to_kvm(memory: &GuestMemoryMmap, vm: &VmFd) -> Result<(), MemoryError> {
    for (slot, region) in (0..).zip(memory.iter()) {
        let host = memory.get_host_address(region.start_addr()).expect("a region contains its start");
        let slot = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: region.start_addr().raw_value(),
            memory_size: region.len(),
            userspace_addr: host as u64,
        };
        // SAFETY: the mapping lives in `memory`, which the machine keeps longer than the VM's descriptor.
        unsafe { vm.set_user_memory_region(slot) }?;
    }
    Ok(())
}

fn memory_file(wanted: &Memory) -> io::Result<File> {
    let huge = if wanted.huge_pages { libc::MFD_HUGETLB | libc::MFD_HUGE_2MB } else { 0 };
    // SAFETY: the name is a C string, and the result is checked before it is owned.
    let file = unsafe {
        let fd = libc::memfd_create(c"guest memory".as_ptr(), libc::MFD_CLOEXEC | huge);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_fd(fd)
    };
    file.set_len(wanted.size_mib << 20)?;
    Ok(file)
}

/// Maps `bytes`. Linux 6.7 and later align a mapping of this size to huge pages by themselves; on an older one the
/// guest runs on small pages if chance does not align it.
fn map(bytes: usize, backing: Option<FileOffset>, wanted: &Memory) -> Result<MmapRegion, MmapRegionError> {
    // No swap is reserved: how much memory a host promises is decided by whoever starts VMMs, by size, before.
    let kind = if backing.is_some() { libc::MAP_SHARED } else { libc::MAP_PRIVATE | libc::MAP_ANONYMOUS };
    let mut builder = MmapRegionBuilder::new(bytes)
        .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
        .with_mmap_flags(libc::MAP_NORESERVE | kind);
    if let Some(backing) = backing {
        builder = builder.with_file_offset(backing);
    }
    let region = builder.build()?;
    // SAFETY: advice about the mapping just made, which changes nothing of its content. A wish, not a need: huge pages
    // mean fewer faults and shorter page walks, and a core dump with guest memory would be the guest's secrets on
    // the host's disk.
    unsafe {
        if !wanted.huge_pages {
            libc::madvise(region.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE);
        }
        libc::madvise(region.as_ptr().cast(), bytes, libc::MADV_DONTDUMP);
    }
    Ok(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_leave_the_pci_hole_out() {
        let gib = |n: u64| n << 30;
        let cases = [
            (64, vec![(0, 64 << 20)]),
            (3072, vec![(0, gib(3))]),
            (3073, vec![(0, gib(3)), (gib(4), 1 << 20)]),
            (8192, vec![(0, gib(3)), (gib(4), gib(5))]),
        ];
        for (mib, expected) in cases {
            assert_eq!(ranges(mib), expected, "{mib} MiB");
        }
    }
}
