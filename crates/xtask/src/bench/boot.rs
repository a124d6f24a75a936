//! How long a boot takes: from the start of the process to the guest's first line from user space, and to the end of the
//! process after the guest powered off. With a silent console, and with the kernel's whole log on it.

use super::guest::Guest;
use super::peers::Peer;
use super::table::{Better::Less, Sample};
use super::{Place, machine};

/// One boot of each kind.
pub fn measure(place: &Place, peer: &Peer) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for (kind, words) in [("", "quiet"), (", with kernel log", "loglevel=7")] {
        let mut guest = Guest::start(peer, &machine(place, &place.initrd, words, "true"), &place.vmm)?;
        let (_, userspace) = guest.wait_line("BOTHY-USERSPACE")?;
        let end = guest.wait_exit()?;
        samples.push(Sample::new(format!("to user space{kind}"), "s", Less, userspace.as_secs_f64()));
        samples.push(Sample::new(format!("to exit{kind}"), "s", Less, end.as_secs_f64()));
    }
    Ok(samples)
}
