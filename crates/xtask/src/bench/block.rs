//! How fast a disk is: fio in the guest, on a raw file of the host's XFS. O_DIRECT on both sides of the VMM, so that the
//! host's disk is in each figure, and reads through the host's page cache, where only the VMM is.

use anyhow::{Context, ensure};

use super::guest::Guest;
use super::peers::Peer;
use super::table::{
    Better::{Less, More},
    Sample,
};
use super::{Place, machine};

/// What fio does: name, device, and options that say which access it is.
const JOBS: &[Job] = &[
    job("randread", 1, "4k", Backing::Direct),
    job("randread", 32, "4k", Backing::Direct),
    job("randwrite", 1, "4k", Backing::Direct),
    job("randwrite", 32, "4k", Backing::Direct),
    job("read", 8, "128k", Backing::Direct),
    job("write", 8, "128k", Backing::Direct),
    job("randread", 1, "4k", Backing::Cached),
    job("randread", 32, "4k", Backing::Cached),
];

struct Job {
    access: &'static str,
    depth: u32,
    size: &'static str,
    backing: Backing,
}

/// How the host has the file open; the guest has a disk for each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backing {
    Direct,
    Cached,
}

const fn job(access: &'static str, depth: u32, size: &'static str, backing: Backing) -> Job {
    Job { access, depth, size, backing }
}

/// Seconds that each job runs, and before that without being counted.
const RUNTIME: u32 = 4;
const RAMP: u32 = 1;

impl Job {
    /// A line of the guest's script.
    fn command(&self) -> String {
        let device = match self.backing {
            Backing::Direct => "vda",
            Backing::Cached => "vdb",
        };
        format!("f {device} {} {} {}\n", self.access, self.size, self.depth)
    }

    /// The figures in a line that fio printed.
    fn samples(&self, line: &str) -> anyhow::Result<Vec<Sample>> {
        let write = self.access.ends_with("write");
        let report = Report::parse(line, write).with_context(|| format!("understanding fio's {line:?}"))?;
        let cached = if self.backing == Backing::Cached { ", cached" } else { "" };
        let name = format!("{} {} QD{}{cached}", self.size, self.access, self.depth);
        Ok(match (self.access.starts_with("rand"), self.depth) {
            (false, _) => vec![Sample::new(name, "MiB/s", More, report.kib_per_s / 1024.0)],
            (true, 1) => vec![
                Sample::new(name.clone(), "IOPS", More, report.iops),
                Sample::new(format!("{name}, median"), "µs", Less, report.median_us),
                Sample::new(format!("{name}, 99 %"), "µs", Less, report.p99_us),
            ],
            (true, _) => vec![Sample::new(name, "IOPS", More, report.iops)],
        })
    }
}

/// All jobs in one guest.
pub fn measure(place: &Place, peer: &Peer) -> anyhow::Result<Vec<Sample>> {
    // A function, since a kernel command line has room for no more than 2047 bytes. Without --thread fio forks;
    // --minimal is one line of semicolons.
    let function = format!(
        "f() {{ echo BENCH-FIO $(/usr/bin/fio --minimal --name=j --filename=/dev/$1 --rw=$2 --bs=$3 --iodepth=$4 \
         --direct=1 --ioengine=libaio --norandommap --thread --time_based --runtime={RUNTIME} --ramp_time={RAMP}); }}\n"
    );
    let script = JOBS.iter().map(Job::command).fold(function, |script, command| script + &command);
    let mut machine = machine(place, &place.initrd_with_tools, "quiet", &script);
    machine.memory_mib = 512;
    let mut cached = machine.disks[0].clone();
    cached.path = place.cached_disk.clone();
    cached.direct = false;
    machine.disks.push(cached);
    let mut guest = Guest::start(peer, &machine, &place.vmm)?;
    let mut samples = Vec::new();
    for job in JOBS {
        let (line, _) = guest.wait_line("BENCH-FIO")?;
        samples.extend(job.samples(&line)?);
    }
    guest.wait_exit()?;
    Ok(samples)
}

/// What fio's terse format, version 3, says of one direction.
#[derive(Debug, PartialEq)]
struct Report {
    kib_per_s: f64,
    iops: f64,
    median_us: f64,
    p99_us: f64,
}

impl Report {
    /// The fields are in fio's HOWTO: five in front, then 41 for reads and as many for writes.
    fn parse(line: &str, write: bool) -> anyhow::Result<Self> {
        let fields: Vec<&str> = line.split(';').collect();
        ensure!(fields.first() == Some(&"3"), "not version 3 of the terse format");
        ensure!(fields.get(4) == Some(&"0"), "fio ended with an error");
        let start = 5 + if write { 41 } else { 0 };
        let fields = fields.get(start..start + 41).context("too few fields")?;
        let percentile = |percent: &str| {
            let value = fields.iter().find_map(|field| field.strip_prefix(percent)?.strip_prefix("%="));
            value.with_context(|| format!("no percentile {percent}"))?.parse().context("no number")
        };
        Ok(Self {
            kib_per_s: fields[1].parse().context("no bandwidth")?,
            iops: fields[2].parse().context("no IOPS")?,
            median_us: percentile("50.000000")?,
            p99_us: percentile("99.000000")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terse_lines_are_understood() {
        let mut fields = vec!["3", "fio-3.33", "j", "0", "0"];
        let direction = |iops| {
            [vec!["400", "100", iops], vec!["0"; 9], vec!["50.000000%=7", "99.000000%=9"], vec!["0"; 27]]
        };
        fields.extend(direction("25").concat());
        fields.extend(direction("50").concat());
        let line = fields.join(";");
        let report = Report { kib_per_s: 100.0, iops: 50.0, median_us: 7.0, p99_us: 9.0 };
        assert_eq!(Report::parse(&line, true).expect("is terse"), report);
        assert_eq!(Report::parse(&line, false).expect("is terse").iops, 25.0);
        assert!(Report::parse("fio: no such file", false).is_err());
    }
}
