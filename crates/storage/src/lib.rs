//! What lies on disks: how to boot from one, and the store of images and volumes.
//!
//! - [`boot_disk`] reads a raw disk and says which kernel, initrd and command line its owner means to boot. It is plain
//!   computation over bytes, and the bytes are hostile.
//! - [`confined`] runs that in a helper process which can do nothing but read the one disk; the VMM uses only this.
//! - [`store`], behind the feature of this name, keeps images, volumes and snapshots as files. Disk images of other
//!   formats are converted in a confined helper too.
//! - [`ownership`], behind it too, is how a folder has one process at a time that uses it.
//! - [`seed`], likewise, makes the small disks that cloud-init reads where they do not ask a metadata service.
//!
//! Never mounts a disk, and knows nothing of VMs.

pub mod boot_disk;
pub mod confined;
#[cfg(feature = "store")]
pub mod ownership;
#[cfg(feature = "store")]
pub mod seed;
#[cfg(feature = "store")]
pub mod store;

pub use boot_disk::BootEntry;
pub use confined::{
    BootFiles, HELPER_ARGUMENT, HelperError, ReadBootDiskError, helper_main, read_boot_files,
};
