//! Reads untrusted disks in a process of its own, which is confined before it sees the first byte of the disk.
//!
//! The helper is this same program, started anew with an argument upon which its `main` has to become the helper. Over a
//! socket it gets the few files that it works on, and answers in JSON. What it answers is believed as little as the disk
//! itself: everything is limited and checked again by whoever asked.
//!
//! Two things are done this way: [`boot_files`] finds what a disk boots, and the store converts disk images.

mod answer;
pub mod boot_files;
mod helper;
mod process;
mod sandbox;

pub use boot_files::{
    BootFiles, HELPER_ARGUMENT, ReadBootDiskError, helper_main, helper_main_doing, read_boot_files,
    read_boot_files_as,
};
pub use process::HelperError;

#[cfg(feature = "store")]
pub(crate) use helper::live;
#[cfg(feature = "store")]
pub(crate) use process::{Deadline, Helper, start_error};
#[cfg(feature = "store")]
pub(crate) use sandbox::Rights;
