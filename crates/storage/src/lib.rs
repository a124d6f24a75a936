//! What lies on disks: how to boot from one.
//!
//! - [`boot_disk`] reads a raw disk and says which kernel, initrd and command line its owner means to boot. It is plain
//!   computation over bytes, and the bytes are hostile.
//! - [`confined`] runs that in a helper process which can do nothing but read the one disk; the VMM uses only this.
//!
//! Never mounts a disk, and knows nothing of VMs.

pub mod boot_disk;
pub mod confined;

pub use boot_disk::BootEntry;
pub use confined::{
    BootFiles, HELPER_ARGUMENT, HelperError, ReadBootDiskError, helper_main, read_boot_files,
};
