//! How the fake and its guest misbehave, read out of a configuration.

use std::time::Duration;

use vmm_api::{Boot, VmConfig};

/// What was asked for by words in `smbios.product` or in the kernel's command line. Words that begin with `fake:` and are
/// not known are refused, so that a test does not believe it tested something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// `fake:ignore-button`: the guest does not obey the power button.
    pub ignore_button: bool,
    /// `fake:die-on-boot`: the process ends with status 7 in the midst of booting.
    pub die_on_boot: bool,
    /// `fake:refuse-boot`: booting is refused with `kvm_unavailable`.
    pub refuse_boot: bool,
    /// `fake:hang-socket`: once it runs, no request is answered any more.
    pub hang_socket: bool,
    /// `fake:child`: booting starts a child process that ends with its parent.
    pub child: bool,
    /// `fake:stubborn-child`: booting starts a child process that does not.
    pub stubborn_child: bool,
    /// `fake:print=BYTES`: the guest prints that much when it was booted.
    pub print_bytes: usize,
    /// `fake:slow-boot-ms=N`: how long booting takes.
    pub slow_boot: Option<Duration>,
    /// `fake:reboot-after-ms=N`: the guest reboots, once.
    pub reboot_after: Option<Duration>,
    /// `fake:power-off-after-ms=N`: the guest powers off.
    pub power_off_after: Option<Duration>,
    /// `fake:fault-after-ms=N`: the guest's vCPU ends with a triple fault.
    pub fault_after: Option<Duration>,
    /// `fake:die-after-ms=N`: the process ends with SIGABRT.
    pub die_after: Option<Duration>,
}

impl Behaviour {
    /// What a configuration asks for; an error names the word that is not known.
    pub fn of(config: &VmConfig) -> Result<Self, String> {
        let cmdline = match &config.boot {
            Boot::Kernel(kernel) => &kernel.cmdline,
            Boot::Disk(disk) => &disk.append_cmdline,
        };
        let mut behaviour = Self::default();
        for word in cmdline.split_whitespace().chain(config.smbios.product.split_whitespace()) {
            if let Some(wish) = word.strip_prefix("fake:") {
                behaviour.take(wish).ok_or_else(|| format!("{word} is not known"))?;
            }
        }
        Ok(behaviour)
    }

    fn take(&mut self, wish: &str) -> Option<()> {
        let (name, number) = match wish.split_once('=') {
            Some((name, number)) => (name, Some(number.parse::<u32>().ok()?)),
            None => (wish, None),
        };
        let after = number.map(|ms| Duration::from_millis(ms.into()));
        match (name, number) {
            ("ignore-button", None) => self.ignore_button = true,
            ("die-on-boot", None) => self.die_on_boot = true,
            ("refuse-boot", None) => self.refuse_boot = true,
            ("hang-socket", None) => self.hang_socket = true,
            ("child", None) => self.child = true,
            ("stubborn-child", None) => self.stubborn_child = true,
            ("print", Some(bytes)) => self.print_bytes = usize::try_from(bytes).ok()?,
            ("slow-boot-ms", Some(_)) => self.slow_boot = after,
            ("reboot-after-ms", Some(_)) => self.reboot_after = after,
            ("power-off-after-ms", Some(_)) => self.power_off_after = after,
            ("fault-after-ms", Some(_)) => self.fault_after = after,
            ("die-after-ms", Some(_)) => self.die_after = after,
            _ => return None,
        }
        Some(())
    }
}
