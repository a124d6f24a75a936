//! What the node tests share: real guests in the real bothy-vmm, driven over its control socket as a daemon would, or by
//! the real daemon.
//!
//! They run on a host whose KVM runs Linux, as root, started by `cargo xtask test node`, which makes the images, picks
//! the host and passes their places in the environment (see [`Images`]). Without that environment they are skipped.

mod daemon;
mod images;
mod leavings;
mod network;
mod python;
mod shell;
mod vm;

pub use daemon::{ALIBABA, EC2, Node, call, on_host};
pub use images::{Images, copy};
pub use leavings::{leavings, processes, vmms};
pub use network::Network;
pub use python::Python;
pub use shell::Shell;
pub use vm::{BOOT, LOGIN, Vm, kernel_boot, sparse_file};
