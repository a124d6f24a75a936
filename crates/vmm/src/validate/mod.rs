//! Checks a configuration when it is given, before anything is opened: what could not work on any host, and what this
//! host does not have.

mod dhcp;
mod nic;

use std::collections::HashSet;

use vmm_api::{Boot, ErrorBody, ErrorCode, VmConfig};

use crate::cpuid::Topology;
use crate::{kvm, layout, memory, smbios};
pub use nic::update as update_nic;

/// Most disks of a machine: a system disk and 59 data disks.
const MAX_DISKS: usize = 60;
/// Most network interfaces of a machine.
const MAX_NICS: usize = 16;
/// Longest serial of a virtio-blk device (VIRTIO 1.2, 5.2.6).
const MAX_DISK_ID_BYTES: usize = 20;
/// Smallest MTU of IPv4 (RFC 791).
const MIN_MTU: u16 = 68;
/// Largest console history, in bytes.
const MAX_HISTORY_BYTES: u32 = 64 << 20;

/// Refuses a configuration that cannot work.
pub fn config(config: &VmConfig) -> Result<(), ErrorBody> {
    processors(config)?;
    guest_memory(config)?;
    boot(config)?;
    disks(config)?;
    nics(config)?;
    strings(config)?;
    if config.console.history_bytes > MAX_HISTORY_BYTES {
        return Err(invalid(
            format!("the console history of {} bytes is too large", config.console.history_bytes),
            format!("keep at most {MAX_HISTORY_BYTES} bytes in memory and give a log file for the rest"),
        ));
    }
    Ok(())
}

fn invalid(message: impl Into<String>, hint: impl Into<String>) -> ErrorBody {
    ErrorCode::InvalidConfig.body(message, hint)
}

fn processors(config: &VmConfig) -> Result<(), ErrorBody> {
    let VmConfig { vcpus, threads_per_core, .. } = *config;
    if vcpus == 0 {
        return Err(invalid("a machine without vCPUs cannot run", "give at least 1 vCPU"));
    }
    if !matches!(threads_per_core, 1 | 2) || vcpus % threads_per_core != 0 {
        return Err(invalid(
            format!("{vcpus} vCPUs cannot be cores of {threads_per_core} threads"),
            "threads_per_core is 1 or 2 and divides vcpus",
        ));
    }
    let topology = Topology { vcpus, threads_per_core };
    if vcpus > kvm::MAX_APIC_ID || topology.apic_id(vcpus - 1) > kvm::MAX_APIC_ID {
        return Err(invalid(
            format!("{vcpus} vCPUs are too many"),
            format!("give at most {}", kvm::MAX_APIC_ID),
        ));
    }
    Ok(())
}

fn guest_memory(config: &VmConfig) -> Result<(), ErrorBody> {
    let mib = config.memory.size_mib;
    if mib < memory::MIN_MIB {
        let hint = format!("give at least {} MiB", memory::MIN_MIB);
        return Err(invalid(format!("{mib} MiB of memory is too little for a machine"), hint));
    }
    if config.memory.huge_pages && !mib.is_multiple_of(2) {
        return Err(invalid(
            format!("{mib} MiB is no whole number of huge pages"),
            "give an even number of MiB",
        ));
    }
    let host_mib = host_memory_mib();
    if mib > host_mib {
        return Err(ErrorCode::OutOfMemory.body(
            format!("the machine wants {mib} MiB of memory, this host has {host_mib} MiB"),
            "give it less, or run it on a larger host",
        ));
    }
    Ok(())
}

fn host_memory_mib() -> u64 {
    // SAFETY: sysinfo fills the structure given, which is plain data.
    let info = unsafe {
        let mut info: libc::sysinfo = std::mem::zeroed();
        libc::sysinfo(&mut info);
        info
    };
    (info.totalram * u64::from(info.mem_unit)) >> 20
}

fn boot(config: &VmConfig) -> Result<(), ErrorBody> {
    let cmdline = match &config.boot {
        Boot::Kernel(kernel) => &kernel.cmdline,
        Boot::Disk(disk) if config.disks.is_empty() => {
            let _ = disk;
            return Err(invalid(
                "there is no disk to boot from",
                "give a disk first in `disks`, or boot a kernel file",
            ));
        }
        Boot::Disk(disk) => &disk.append_cmdline,
    };
    if cmdline.len() >= layout::COMMAND_LINE_BYTES || cmdline.contains('\0') {
        return Err(invalid("the kernel command line is too long or contains a zero", "shorten it"));
    }
    Ok(())
}

fn disks(config: &VmConfig) -> Result<(), ErrorBody> {
    if config.disks.len() > MAX_DISKS {
        return Err(invalid(
            format!("{} disks are too many", config.disks.len()),
            format!("give at most {MAX_DISKS}"),
        ));
    }
    let mut seen = HashSet::new();
    for disk in &config.disks {
        let id = &disk.id;
        if id.is_empty() || id.len() > MAX_DISK_ID_BYTES || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(
                format!("disk id {id:?} cannot be a serial"),
                format!("use 1 to {MAX_DISK_ID_BYTES} visible ASCII characters, no blanks"),
            ));
        }
        if !seen.insert(id) {
            return Err(invalid(format!("two disks have the id {id:?}"), "give each disk an id of its own"));
        }
    }
    Ok(())
}

fn nics(config: &VmConfig) -> Result<(), ErrorBody> {
    if config.nics.len() > MAX_NICS {
        let hint = format!("give at most {MAX_NICS}");
        return Err(invalid(format!("{} network interfaces are too many", config.nics.len()), hint));
    }
    let mut seen = HashSet::new();
    for nic in &config.nics {
        if let Some(mtu) = nic.mtu.filter(|mtu| *mtu < MIN_MTU) {
            return Err(invalid(
                format!("an MTU of {mtu} bytes carries no IPv4"),
                format!("give at least {MIN_MTU}"),
            ));
        }
        if let Some(mac) = nic.mac.filter(|mac| !seen.insert(*mac)) {
            return Err(invalid(
                format!("two network interfaces have the MAC address {mac}"),
                "give each its own",
            ));
        }
        if let Some(lease) = &nic.dhcp {
            dhcp::lease(lease, nic.mtu)?;
        }
        nic::services(nic)?;
    }
    Ok(())
}

fn strings(config: &VmConfig) -> Result<(), ErrorBody> {
    let smbios = &config.smbios;
    let strings = [
        ("manufacturer", &smbios.manufacturer),
        ("product", &smbios.product),
        ("version", &smbios.version),
        ("serial", &smbios.serial),
        ("asset_tag", &smbios.asset_tag),
    ];
    for (name, text) in strings {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if text.len() > smbios::MAX_STRING_BYTES || !printable {
            let hint = format!("use at most {} printable ASCII characters", smbios::MAX_STRING_BYTES);
            return Err(invalid(format!("SMBIOS {name} {text:?} cannot be written"), hint));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(change: impl FnOnce(&mut Value)) -> Option<ErrorCode> {
        let mut value = json!({
            "vcpus": 2, "memory": {"size_mib": 128}, "boot": {"disk": {}},
            "disks": [{"id": "sys", "source": {"path": "/d"}}], "nics": [{"tap": {"name": "t"}}],
        });
        change(&mut value);
        config(&serde_json::from_value(value).unwrap()).err().map(|error| error.code)
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let invalid = Some(ErrorCode::InvalidConfig);
        assert_eq!(check(|_| {}), None);
        assert_eq!(check(|vm| vm["vcpus"] = 0.into()), invalid);
        assert_eq!(check(|vm| vm["vcpus"] = u32::MAX.into()), invalid);
        assert_eq!(check(|vm| vm["threads_per_core"] = 0.into()), invalid);
        assert_eq!(check(|vm| vm["threads_per_core"] = 2.into()), None);
        assert_eq!(check(|vm| (vm["threads_per_core"], vm["vcpus"]) = (2.into(), 3.into())), invalid);
        assert_eq!(check(|vm| vm["memory"]["size_mib"] = 63.into()), invalid);
        assert_eq!(check(|vm| vm["memory"]["size_mib"] = u64::MAX.into()), Some(ErrorCode::OutOfMemory));
        assert_eq!(check(|vm| vm["disks"] = json!([])), invalid);
        assert_eq!(check(|vm| vm["disks"][0]["id"] = "".into()), invalid);
        assert_eq!(check(|vm| vm["disks"][0]["id"] = "a b".into()), invalid);
        assert_eq!(check(|vm| vm["disks"][0]["id"] = "123456789012345678901".into()), invalid);
        assert_eq!(check(|vm| vm["nics"][0]["mtu"] = 67.into()), invalid);
        assert_eq!(check(|vm| vm["smbios"] = json!({"serial": "é"})), invalid);
        assert_eq!(check(|vm| vm["console"] = json!({"history_bytes": u32::MAX})), invalid);
        let twice = |vm: &mut Value| {
            let disk = vm["disks"][0].clone();
            vm["disks"].as_array_mut().unwrap().push(disk);
        };
        assert_eq!(check(twice), invalid);
    }
}
