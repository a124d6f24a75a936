//! The programs that are compared, each as a name and how it is started: nearly all by a function that makes a command
//! line. All are asked for the same machine: one vCPU, the same kernel and memory, disks opened the same way, the same tap.
//! Starts nothing.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use vmm_api::MacAddress;

/// A program that runs machines, in one way of running it.
pub struct Peer {
    /// Its name in tables.
    pub name: &'static str,
    pub start: Start,
}

/// How a machine is started.
pub enum Start {
    /// By a command line that says all of it, bothy-vmm's path given. The process ends with its guest.
    Command(fn(&Machine, &Path) -> Command),
    /// As the daemon starts bothy-vmm, over its control socket: each network interface with all that can be served on it.
    Control,
}

/// What every peer is asked to run.
#[derive(Clone, Debug)]
pub struct Machine {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    pub cmdline: String,
    pub memory_mib: u64,
    pub disks: Vec<Disk>,
    pub nic: Nic,
}

/// A machine's network interface.
#[derive(Clone, Debug)]
pub struct Nic {
    /// Name of a tap that exists.
    pub tap: String,
    /// The file of the network namespace that the tap is in, if that is not ours.
    pub namespace: Option<PathBuf>,
    pub mac: MacAddress,
    /// The guest's address, in a subnet of 24 bits. Its own script sets it, also where DHCP would tell it.
    pub address: Ipv4Addr,
    pub router: Ipv4Addr,
}

/// A raw file, with or without the host's page cache.
#[derive(Clone, Debug)]
pub struct Disk {
    pub path: PathBuf,
    pub direct: bool,
}

/// Ours.
pub const BOTHY: Peer = Peer { name: "bothy", start: Start::Command(bothy) };
/// The same with a guard, DHCP and metadata on its network interface.
const BOTHY_SERVICES: Peer = Peer { name: "bothy+services", start: Start::Control };
const Q35: Peer =
    Peer { name: "q35", start: Start::Command(|machine, _| qemu(machine, "q35", Bus::Pci, "vhost=off")) };
/// With its devices on PCI, as on the others: there they have MSI-X, and the guest drives them by the same code.
const MICROVM: Peer = Peer {
    name: "microvm",
    start: Start::Command(|machine, _| qemu(machine, MICROVM_PCI, Bus::Pci, "vhost=off")),
};
/// What microvm was made for, and its fastest boot. The tiny guest has no driver for such disks and NICs, so this one
/// can only boot.
const MICROVM_MMIO: Peer = Peer {
    name: "microvm-mmio",
    start: Start::Command(|machine, _| qemu(machine, MICROVM_PLAIN, Bus::Mmio, "vhost=off")),
};
const MICROVM_VHOST: Peer = Peer {
    name: "microvm+vhost",
    start: Start::Command(|machine, _| qemu(machine, MICROVM_PCI, Bus::Pci, "vhost=on")),
};

/// Those that boot.
pub const BOOT: &[Peer] = &[BOTHY, MICROVM, MICROVM_MMIO, Q35];
/// Those with a disk that the guest can use.
pub const BLOCK: &[Peer] = &[BOTHY, MICROVM, Q35];
/// Those with a network. vhost moves packets within the host's kernel: not what bothy does, and so an upper mark.
pub const NET: &[Peer] = &[BOTHY, BOTHY_SERVICES, MICROVM, Q35, MICROVM_VHOST];
/// Those whose memory is counted.
pub const MEMORY: &[Peer] = BLOCK;

/// ACPI, since a stock cloud kernel finds devices by nothing else. Without `auto-kernel-cmdline` the guest's command
/// line is the same as everywhere.
const MICROVM_PLAIN: &str = "microvm,acpi=on,rtc=on,auto-kernel-cmdline=off";
const MICROVM_PCI: &str = "microvm,acpi=on,rtc=on,auto-kernel-cmdline=off,pcie=on";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bus {
    Pci,
    Mmio,
}

fn bothy(machine: &Machine, vmm: &Path) -> Command {
    let mut command = Command::new(vmm);
    command.arg("run").arg("--kernel").arg(&machine.kernel).arg("--initrd").arg(&machine.initrd);
    command.args(["--cmdline", &machine.cmdline, "--vcpus", "1"]);
    command.args(["--memory-mib", &machine.memory_mib.to_string()]);
    for disk in &machine.disks {
        let mut option = OsString::from(&disk.path);
        option.push(if disk.direct { ",direct=on" } else { ",direct=off" });
        command.arg("--disk").arg(option);
    }
    command.arg("--net").arg(format!("{},mac={}", machine.nic.tap, machine.nic.mac));
    command
}

/// QEMU as its documentation advises for speed: no default devices, io_uring, an iothread per disk, no option ROM for
/// the network interface.
fn qemu(machine: &Machine, kind: &str, bus: Bus, vhost: &str) -> Command {
    let suffix = if bus == Bus::Pci { "pci" } else { "device" };
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"]);
    command.args(["-enable-kvm", "-cpu", "host", "-smp", "1", "-machine", kind]);
    command.args(["-m", &machine.memory_mib.to_string()]);
    command.arg("-kernel").arg(&machine.kernel).arg("-initrd").arg(&machine.initrd);
    command.args(["-append", &machine.cmdline]);
    for (index, disk) in machine.disks.iter().enumerate() {
        // Commas are doubled in QEMU's options, but our own paths have none.
        let direct = if disk.direct { "on" } else { "off" };
        command.arg("-object").arg(format!("iothread,id=thread{index}"));
        let mut file = OsString::from(format!(
            "driver=file,node-name=file{index},aio=io_uring,cache.direct={direct},discard=unmap,filename="
        ));
        file.push(&disk.path);
        command.arg("-blockdev").arg(file);
        command.arg("-blockdev").arg(format!(
            "driver=raw,node-name=disk{index},file=file{index},cache.direct={direct},discard=unmap"
        ));
        command.arg("-device").arg(format!("virtio-blk-{suffix},drive=disk{index},iothread=thread{index}"));
    }
    command
        .arg("-netdev")
        .arg(format!("tap,id=net0,ifname={},script=no,downscript=no,{vhost}", machine.nic.tap));
    let rom = if bus == Bus::Pci { ",romfile=" } else { "" };
    command.arg("-device").arg(format!("virtio-net-{suffix},netdev=net0,mac={}{rom}", machine.nic.mac));
    command
}
