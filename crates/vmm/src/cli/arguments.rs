//! What the command line looks like, and how `run`'s options become the configuration that the control socket takes.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use vmm_api::{
    Boot, ConsoleConfig, Disk, DiskBoot, DiskSource, KernelBoot, MacAddress, Memory, Nic, Smbios, TapSource,
    VmConfig,
};

/// One KVM virtual machine, driven over a REST control socket.
///
/// Waits for a configuration on the control socket:
///
///   bothy-vmm --id web1 --control /run/web1.sock &
///   curl --unix-socket /run/web1.sock -X PUT http://vm/v1/vm -d @web1.json
///   curl --unix-socket /run/web1.sock -X POST http://vm/v1/vm/boot
///
/// Or runs a machine right here, with its console on this terminal: see `bothy-vmm run --help`.
#[derive(Parser)]
#[command(
    version,
    verbatim_doc_comment,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub serve: ServeArguments,

    /// What to say on standard error: off, error, warn, info, debug or trace.
    #[arg(long, global = true, default_value = "warn", value_name = "LEVEL")]
    pub log_level: log::LevelFilter,
}

#[derive(Args)]
pub struct ServeArguments {
    /// Name of the VM: 1 to 64 letters, digits, dots, dashes and underscores. Default of its SMBIOS serial, and what its
    /// UUID and MAC addresses are derived from.
    #[arg(long, required = true, value_parser = id)]
    pub id: Option<String>,

    /// Where to create the control socket (mode 0600). It is removed at exit.
    #[arg(long, required = true, value_name = "PATH")]
    pub control: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum Command {
    Run(RunArguments),
}

/// Runs a machine with its console on standard input and output.
///
/// Without --kernel it boots what is installed on the first disk. A reboot by the
/// guest restarts the machine. SIGTERM presses the power button; a second one ends
/// the machine at once, as Ctrl-A x does at a terminal. The exit status is 0 if the
/// guest powered off.
///
///   bothy-vmm run --vcpus 2 --memory-mib 1024 --disk debian.raw --net tap0
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct RunArguments {
    /// Name of the VM.
    #[arg(long, default_value = "vm", value_parser = id)]
    pub id: String,

    /// Also serve the control socket here.
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,

    /// Kernel to boot: a bzImage or an x86-64 ELF file.
    #[arg(long, value_name = "PATH")]
    pub kernel: Option<PathBuf>,

    /// Initial RAM disk for that kernel.
    #[arg(long, value_name = "PATH", requires = "kernel")]
    pub initrd: Option<PathBuf>,

    /// Kernel command line; without --kernel it is added to the one on the disk.
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    pub cmdline: String,

    /// Number of vCPUs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub vcpus: u32,

    /// Hardware threads per core, 1 or 2.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads_per_core: u32,

    /// Guest memory in MiB.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub memory_mib: u64,

    /// Back guest memory by reserved 2 MiB huge pages.
    #[arg(long)]
    pub huge_pages: bool,

    /// A disk: a raw image or a block device. May be given again; the first is the system disk. SERIAL, at most 20 bytes,
    /// names it in the guest's /dev/disk/by-id/virtio-SERIAL (default: disk0, disk1, ...). direct=on bypasses the host's
    /// page cache. A comma in PATH is written twice.
    #[arg(long, value_name = "PATH[,serial=ID][,readonly][,direct=on|off]")]
    pub disk: Vec<DiskArgument>,

    /// A network interface on an existing tap. May be given again.
    #[arg(long, value_name = "TAP[,mac=MAC][,mtu=N]")]
    pub net: Vec<NetArgument>,

    /// Also append the console's output to this file.
    #[arg(long, value_name = "PATH")]
    pub console_log: Option<PathBuf>,
}

impl RunArguments {
    /// The machine asked for, as the control socket would be told.
    pub fn config(&self) -> VmConfig {
        let boot = match &self.kernel {
            Some(kernel) => Boot::Kernel(KernelBoot {
                kernel: kernel.clone(),
                initrd: self.initrd.clone(),
                cmdline: self.cmdline.clone(),
            }),
            None => Boot::Disk(DiskBoot { append_cmdline: self.cmdline.clone() }),
        };
        let disks = self.disk.iter().enumerate().map(|(index, disk)| Disk {
            id: disk.serial.clone().unwrap_or_else(|| format!("disk{index}")),
            source: DiskSource::Path(disk.path.clone()),
            read_only: disk.read_only,
            direct: disk.direct,
        });
        let nics = self.net.iter().map(|net| Nic {
            tap: TapSource::Name(net.tap.clone()),
            mac: net.mac,
            mtu: net.mtu,
            dhcp: None,
            metadata: None,
            guard: None,
        });
        VmConfig {
            vcpus: self.vcpus,
            threads_per_core: self.threads_per_core,
            memory: Memory { size_mib: self.memory_mib, shared: false, huge_pages: self.huge_pages },
            boot,
            disks: disks.collect(),
            nics: nics.collect(),
            console: ConsoleConfig { log: self.console_log.clone(), ..ConsoleConfig::default() },
            smbios: Smbios::default(),
        }
    }
}

fn id(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("use 1 to 64 letters, digits, dots, dashes and underscores".to_owned())
    }
}

/// A `--disk`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskArgument {
    path: PathBuf,
    serial: Option<String>,
    read_only: bool,
    direct: Option<bool>,
}

impl FromStr for DiskArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, options) = split(text);
        let mut disk = Self { path: path.into(), serial: None, read_only: false, direct: None };
        for option in options {
            match option.split_once('=') {
                Some(("serial", serial)) => disk.serial = Some(serial.to_owned()),
                Some(("direct", "on")) => disk.direct = Some(true),
                Some(("direct", "off")) => disk.direct = Some(false),
                None if option == "readonly" => disk.read_only = true,
                _ => return Err(format!("{option:?} is none of serial=ID, readonly, direct=on, direct=off")),
            }
        }
        Ok(disk)
    }
}

/// A `--net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetArgument {
    tap: String,
    mac: Option<MacAddress>,
    mtu: Option<u16>,
}

impl FromStr for NetArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tap, options) = split(text);
        let mut net = Self { tap, mac: None, mtu: None };
        for option in options {
            match option.split_once('=') {
                Some(("mac", mac)) => net.mac = Some(mac.parse().map_err(|error| format!("{error}"))?),
                Some(("mtu", mtu)) => {
                    net.mtu = Some(mtu.parse().map_err(|_| format!("{mtu:?} is no MTU in bytes"))?)
                }
                _ => return Err(format!("{option:?} is none of mac=MAC, mtu=N")),
            }
        }
        Ok(net)
    }
}

/// Splits at commas; two of them stand for one in the text.
fn split(text: &str) -> (String, Vec<String>) {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ',' if letters.next_if_eq(&',').is_none() => parts.push(String::new()),
            _ => parts.last_mut().expect("there is always one").push(letter),
        }
    }
    let first = parts.remove(0);
    (first, parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        assert!(Arguments::try_parse_from(["bothy-vmm"]).is_err());
        assert!(Arguments::try_parse_from(["bothy-vmm", "--id", "a/b", "--control", "/s"]).is_err());
        let arguments = Arguments::try_parse_from(["bothy-vmm", "--id", "a-1", "--control", "/s"]).unwrap();
        assert_eq!(arguments.serve.id.as_deref(), Some("a-1"));
    }

    #[test]
    fn run_becomes_a_configuration() {
        let text = "bothy-vmm run --vcpus 2 --memory-mib 256 --disk a,,b.raw --disk c,serial=data,readonly,direct=on \
                    --net tap0,mac=52:54:00:00:00:01,mtu=9000 --cmdline -v";
        let arguments = Arguments::try_parse_from(text.split_whitespace()).unwrap();
        let Some(Command::Run(run)) = arguments.command else { panic!("{text}") };
        let config = run.config();
        assert_eq!(config.boot, Boot::Disk(DiskBoot { append_cmdline: "-v".into() }));
        assert_eq!(config.disks[0].source, DiskSource::Path("a,b.raw".into()));
        assert_eq!(config.disks[0].id, "disk0");
        assert_eq!((config.disks[1].id.as_str(), config.disks[1].read_only), ("data", true));
        assert_eq!(config.disks[1].direct, Some(true));
        assert_eq!(config.nics[0].mtu, Some(9000));
    }

    #[test]
    fn wrong_options_are_named() {
        for (text, part) in
            [("p,cache=none", "cache=none"), ("p,direct=maybe", "direct=maybe"), ("p,", "\"\"")]
        {
            assert!(text.parse::<DiskArgument>().unwrap_err().contains(part), "{text}");
        }
        for (text, part) in [("t,mac=x", "hexadecimal"), ("t,mtu=-1", "-1"), ("t,up", "up")] {
            assert!(text.parse::<NetArgument>().unwrap_err().contains(part), "{text}");
        }
    }
}
