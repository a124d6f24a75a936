//! One way to boot as a boot loader's configuration states it, before anybody looked whether the files exist.
//! The parsers of [`bls`](super::bls), [`grub_cfg`](super::grub_cfg) and [`extlinux`](super::extlinux) produce these.

/// Most entries taken from one configuration.
pub const MAX_ENTRIES: usize = 1000;

/// Most initrds of one entry.
pub const MAX_INITRDS: usize = 16;

/// An entry as written: paths are the boot loader's, not yet looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MenuEntry {
    /// What the menu would show.
    pub title: String,
    /// The version the configuration states; empty when it states none and the kernel's file name has to tell.
    pub version: String,
    /// Path of the kernel.
    pub kernel: String,
    /// Paths of the initrds, in order.
    pub initrds: Vec<String>,
    /// Command line for the kernel.
    pub cmdline: String,
    /// UUID of the file system the paths are on, where it is not the configuration's own.
    pub fs_uuid: Option<String>,
    /// The configuration names this one as its default by something else than being newest.
    pub is_default: bool,
}

impl MenuEntry {
    /// Whether this is a rescue or recovery entry, which boots only when there is nothing else.
    #[must_use]
    pub fn is_rescue(&self) -> bool {
        let title = self.title.to_lowercase();
        let kernel = self.kernel.to_lowercase();
        title.contains("recovery mode")
            || title.contains("rescue")
            || kernel.contains("-rescue")
            || self.cmdline.split_whitespace().any(|word| {
                matches!(
                    word,
                    "single"
                        | "recovery"
                        | "emergency"
                        | "systemd.unit=rescue.target"
                        | "systemd.unit=emergency.target"
                )
            })
    }
}
