//! Where the images are, as `cargo xtask test node` says in the environment.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Kernels, disks, the program, and a place for files.
pub struct Images {
    /// The bothy-vmm under test.
    pub vmm: PathBuf,
    /// The daemon under test.
    pub bothyd: PathBuf,
    /// The command line.
    pub bothy: PathBuf,
    /// Kernel of the tiny image.
    pub kernel: PathBuf,
    /// Its initrd: busybox and the init that runs the command given on the kernel command line.
    pub initrd: PathBuf,
    /// The same with programs of Debian's, as `images/tiny/tools` has them.
    pub initrd_with_tools: PathBuf,
    /// Disk of the Debian image; copy it before use.
    pub debian: PathBuf,
    /// The host's kernel for images that are bare file systems.
    pub bare_kernel: PathBuf,
    /// Its initrd, which gives the disks their names.
    pub bare_initrd: PathBuf,
    /// Such an image: an ext3 file system, whose init tells what it finds.
    pub bare_guest: PathBuf,
    /// A folder with `clients.py`, which asks as clouds' own clients do, and with these clients.
    pub clients: PathBuf,
    /// A folder on a file system that knows O_DIRECT and reflinks.
    pub scratch: PathBuf,
}

impl Images {
    /// Reads the environment; `None`, and a line that says so, if it does not name everything. The test is then skipped.
    pub fn find() -> Option<Self> {
        let path = |name: &str| {
            let path = env::var_os(name).map(PathBuf::from);
            if path.is_none() {
                eprintln!("skipped: {name} is not set; run `cargo xtask test node`");
            }
            path
        };
        Some(Self {
            vmm: path("BOTHY_VMM")?,
            bothyd: path("BOTHY_BOTHYD")?,
            bothy: path("BOTHY_BOTHY")?,
            kernel: path("BOTHY_TINY_KERNEL")?,
            initrd: path("BOTHY_TINY_INITRD")?,
            initrd_with_tools: path("BOTHY_TINY_TOOLS")?,
            debian: path("BOTHY_DEBIAN")?,
            bare_kernel: path("BOTHY_BARE_KERNEL")?,
            bare_initrd: path("BOTHY_BARE_INITRD")?,
            bare_guest: path("BOTHY_BARE_GUEST")?,
            clients: path("BOTHY_CLIENTS")?,
            scratch: path("HOST_VM_SCRATCH")?,
        })
    }

    /// A folder of the test's own on the scratch disk.
    pub fn folder(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(&self.scratch).expect("the scratch disk has room")
    }
}

/// Makes a copy that takes no room until it is written to, where the file system can.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").args(["--reflink=auto", "--sparse=always"]).arg(from).arg(to).status();
    assert!(status.expect("cp is there").success(), "cannot copy {} to {}", from.display(), to.display());
}
