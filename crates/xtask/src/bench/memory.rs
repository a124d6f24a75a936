//! What a machine costs beyond its guest's memory: the VMM's pages that are its own, and its share of those it shares
//! with others, without the mapping that is the guest's memory. Read when the guest is idle, its disk and network
//! interface in use by its drivers. What the kernel allocates for KVM is in no process's account, and is not counted.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::guest::{Guest, PATIENCE};
use super::peers::Peer;
use super::table::{Better::Less, Sample};
use super::{Place, machine};

/// Brings up the devices, and stays.
const SCRIPT: &str = "ip link set eth0 up; dd if=/dev/vda of=/dev/null bs=1M count=4 2>/dev/null
    echo BENCH-IDLE; sleep 3600";

/// Time between two readings, which must be the same for the VMM to count as idle.
const PAUSE: Duration = Duration::from_secs(1);

/// One machine's memory.
pub fn measure(place: &Place, peer: &Peer) -> anyhow::Result<Vec<Sample>> {
    let mut machine = machine(place, &place.initrd, "quiet", SCRIPT);
    machine.memory_mib = 256;
    let mut guest = Guest::start(peer, &machine, &place.vmm)?;
    guest.wait_line("BENCH-IDLE")?;
    let deadline = Instant::now() + PATIENCE;
    let mut before = None;
    let cost = loop {
        let now = read(guest.pid(), machine.memory_mib * 1024)?;
        if before == Some(now) {
            break now;
        }
        ensure!(Instant::now() < deadline, "{}: its memory does not settle within {PATIENCE:?}", peer.name);
        before = Some(now);
        std::thread::sleep(PAUSE);
    };
    let mib = |kib: u64| kib as f64 / 1024.0;
    Ok(vec![
        Sample::new("beyond the guest's", "MiB", Less, mib(cost.pss)),
        Sample::new("of that private", "MiB", Less, mib(cost.private)),
    ])
}

/// Memory of a process in KiB, without the guest's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    pss: u64,
    private: u64,
}

fn read(pid: u32, guest_kib: u64) -> anyhow::Result<Cost> {
    let path = format!("/proc/{pid}/smaps");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    sum(&text, guest_kib).with_context(|| format!("understanding {path}"))
}

/// Sums all mappings but the guest's memory, the largest that has pages.
fn sum(smaps: &str, guest_kib: u64) -> anyhow::Result<Cost> {
    // Size of the mapping and its cost.
    let mut mappings: Vec<(u64, Cost)> = Vec::new();
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
        let Ok(kib) = value.parse::<u64>() else { continue };
        if name == "Size:" {
            mappings.push((kib, Cost::default()));
            continue;
        }
        let Some((_, cost)) = mappings.last_mut() else { continue };
        match name {
            "Pss:" => cost.pss += kib,
            "Private_Clean:" | "Private_Dirty:" => cost.private += kib,
            _ => {}
        }
    }
    let guest = mappings.iter().enumerate().filter(|(_, (_, cost))| cost.pss > 0);
    let (at, (size, _)) = guest.max_by_key(|(_, (size, _))| *size).context("no mapping has pages")?;
    // A neighbour may have been merged into it, but none that matters.
    ensure!(
        (guest_kib..guest_kib + 4096).contains(size),
        "the largest mapping has {size} KiB, and the guest {guest_kib}"
    );
    mappings.swap_remove(at);
    Ok(mappings.iter().fold(Cost::default(), |sum, (_, cost)| Cost {
        pss: sum.pss + cost.pss,
        private: sum.private + cost.private,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
7f00-7f10 rw-p 00000000 00:00 0\nSize: 262144 kB\nRss: 9000 kB\nPss: 9000 kB\nPrivate_Dirty: 9000 kB\n\
VmFlags: rd wr\n\
7f20-7f30 r-xp 00000000 00:00 7 /bin/vmm\nSize: 2000 kB\nPss: 100 kB\nPss_Dirty: 0 kB\nPrivate_Clean: 60 kB\n\
7f40-7f50 ---p 00000000 00:00 0\nSize: 900000 kB\nPss: 0 kB\nPrivate_Dirty: 0 kB\n";

    #[test]
    fn all_but_the_guests_memory_counts() {
        assert_eq!(sum(SMAPS, 262144).expect("as the kernel writes it"), Cost { pss: 100, private: 60 });
        assert!(sum(SMAPS, 300000).is_err());
    }
}
