//! `cargo xtask bench`: bothy-vmm against Debian's QEMU, side by side on one host. The first half prepares; the second
//! runs on a host whose KVM runs Linux. `peers` is what is compared, `table` what comes out, and each benchmark a file
//! with one function `measure`. The daemon, rules and metadata have no peers but aims, and benchmarks that are apart: `api`,
//! `clouds` and `net::aims`.

mod api;
mod block;
mod boot;
mod clouds;
mod control;
mod guest;
mod http;
mod memory;
mod net;
mod peers;
mod table;
mod tap;
mod times;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};

use crate::isolation::{self, Folders};
use crate::progress::Step;
use crate::{build, host_vm, image, packages};
use clouds::Cloud;
use guest::Guest;
use peers::{Disk, Machine, Peer};
use table::{Sample, Table};

pub use api::{GuestStoryArguments, StoryArguments as ApiStoryArguments, tell as tell_api, tell_guest};
pub use clouds::{StoryArguments as CloudStoryArguments, tell as tell_cloud};
pub use net::aims::{Arguments as NetStoryArguments, tell as tell_net};

/// Compares bothy-vmm with Debian's QEMU on the same host, with the same kernel, initrd, disk and tap; or the daemon with
/// our aims.
///
///   boot     process start to the guest's first line from user space, and to the process's end; 256 MiB
///   block    fio in the guest: 4 KiB random, 128 KiB sequential; O_DIRECT on an XFS, and the host's page cache
///   net      TCP streams, packets a second and round trips: guest and host over a tap, and two guests of a VPC over its
///            router and rules. Then, without guests and next to our aims: changes of rules, requests for metadata
///   memory   the VMM's memory beyond the guest's: private, and its share of shared; idle, 256 MiB
///   api      bothyd with thousands of instances: lists, launches, memory, restart; see its own --help
///   alibaba  Alibaba Cloud's API in front of as many: lists and creations; see its own --help
///   ec2      Amazon EC2's: DescribeInstances as clients of today and of 2007 ask it; see its own --help
///
/// The peers are QEMU's machines microvm, lean, and q35, a PC; one vCPU, KVM, -cpu host, no default devices, io_uring,
/// an iothread for each disk, vhost off. microvm has its devices on PCI, as the others do; microvm-mmio has them where
/// it is fastest to boot. microvm+vhost lets the host's kernel move packets. bothy+services is bothy with what the daemon
/// asks of it for each network interface: a guard that lets the guest send in its own name only, DHCP and metadata; the
/// ratio there is what these cost.
///
/// Peers take turns, run after run, after one uncounted boot each, so that what else the machine does hits all of them.
/// The table has medians; ↓ means that less is better, and a ratio is bothy's figure over the other's: below 1 is good
/// with ↓, above 1 with ↑. The JSON file has every sample. On the nested host, whose processor is emulated, instructions
/// cost far more than they should and exits cost more still: only the ratios mean something there, and differences of
/// less than a tenth mean nothing.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[command(subcommand)]
    what: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Time to boot
    Boot(Options),
    /// Disks
    Block(Options),
    /// The network
    Net(NetOptions),
    /// Memory of the VMM
    Memory(Options),
    Api(api::Arguments),
    /// Measures Alibaba Cloud's API: lists in both styles of pages and with both signatures, and what creating costs more than
    /// the native API.
    ///
    /// A bothyd of its own with instances on record that are not started, as in `bench api`. DescribeInstances gives pages of
    /// 100, by number, where all are counted, and by token, and by number with a filter, where each record is looked at; one
    /// instance is also asked for by its id, as clients do that wait. Each request is signed before its time begins. Every one
    /// of them writes its nonce to the store, as none is answered twice.
    ///
    /// Creations are of one instance that is not started, one after the other over one connection, by CreateInstance and by the
    /// native API in turns: the dialect's own share is the difference.
    Alibaba(clouds::Arguments),
    /// Measures Amazon EC2's API: DescribeInstances as clients of today and of 2007 ask it.
    ///
    /// A bothyd of its own with instances on record that are not started, as in `bench api`. Clients of today sign by version 4
    /// and ask for pages of 100; those of 2007 sign by version 1, or send SOAP that is signed with an RSA key of 2048 bits, and
    /// get all there is at once. All three ask for one instance by its id, too, as clients do that wait. Each request is signed
    /// before its time begins. Those by SOAP are noted in the store, as none is answered twice.
    Ec2(clouds::Arguments),
}

#[derive(clap::Args)]
struct Options {
    /// Counted runs of each peer [default: 5; block and net: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: Option<u32>,
    /// Measure this bothy-vmm instead of building one
    #[arg(long, value_name = "PATH")]
    vmm: Option<PathBuf>,
}

#[derive(clap::Args)]
struct NetOptions {
    #[command(flatten)]
    options: Options,
    /// Only what is without guests: changes of rules, and metadata
    #[arg(long, conflicts_with_all = ["runs", "vmm"])]
    no_guests: bool,
}

/// The second half, on the host.
#[derive(clap::Args)]
pub struct StoryArguments {
    what: What,
    runs: u32,
    vmm: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
    initrd_with_tools: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Boot,
    Block,
    Net,
    Memory,
}

const TAP: &str = "bothy-bench";

/// How often a measurement is begun at most.
const TRIES: u32 = 3;

/// Size of each disk.
const DISK_MIB: usize = 512;

/// Seconds for everything; five runs of the slowest benchmark take less than half of it.
const TIMEOUT: u64 = 7200;

/// What is on the host for the guests. The programs and images are in memory: the nested host reads files slowly.
struct Place {
    vmm: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
    initrd_with_tools: PathBuf,
    disk: PathBuf,
    /// Another, to be used through the host's page cache.
    cached_disk: PathBuf,
}

/// Runs a benchmark.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.what {
        Benchmark::Boot(options) => compare(What::Boot, options),
        Benchmark::Block(options) => compare(What::Block, options),
        Benchmark::Net(arguments) => run_net(arguments),
        Benchmark::Memory(options) => compare(What::Memory, options),
        Benchmark::Api(arguments) => api::run(arguments),
        Benchmark::Alibaba(arguments) => clouds::run(Cloud::Alibaba, arguments),
        Benchmark::Ec2(arguments) => clouds::run(Cloud::Ec2, arguments),
    }
}

/// The comparison, and then what is without peers.
fn run_net(arguments: &NetOptions) -> anyhow::Result<ExitCode> {
    if !arguments.no_guests {
        let compared = compare(What::Net, &arguments.options)?;
        if compared != ExitCode::SUCCESS {
            return Ok(compared);
        }
    }
    net::aims::run()
}

/// Prepares, and runs the comparison where KVM runs Linux.
fn compare(what: What, options: &Options) -> anyhow::Result<ExitCode> {
    packages::ensure(&["qemu-system-x86", "iproute2", "iperf3", "nftables", "sockperf", "util-linux"])?;
    let vmm = match &options.vmm {
        Some(path) => fs::canonicalize(path).with_context(|| format!("looking for {}", path.display()))?,
        None => build::vmm()?,
    };
    let tiny = image::tiny()?;
    let runs = options.runs.unwrap_or(match what {
        What::Boot | What::Memory => 5,
        What::Block | What::Net => 3,
    });
    let mut command: Vec<OsString> = vec![std::env::current_exe().context("finding this program")?.into()];
    command.extend(["bench-story".into(), what.name().into(), runs.to_string().into()]);
    command.extend([vmm, tiny.kernel, tiny.initrd, tiny.initrd_with_tools].map(OsString::from));
    // Two CPUs, for figures of device threads beside vCPUs; a crash of the host costs only a second run.
    let host = host_vm::Options { cpus: 2, timeout: TIMEOUT, ..host_vm::Options::default() };
    Ok(ExitCode::from(host_vm::execute(&host, &isolation::command(&command))?))
}

/// Compares.
pub fn tell(arguments: &StoryArguments) -> anyhow::Result<ExitCode> {
    isolation::settle(Folders::Shared)?;
    let memory = tempfile::tempdir_in("/dev/shm").context("making a folder in memory")?;
    let scratch = std::env::var_os("HOST_VM_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
    let scratch = tempfile::tempdir_in(scratch).context("making a folder for disks")?;
    let place = prepare(arguments, memory.path(), scratch.path())?;
    let _tap = tap::Tap::new(TAP)?;
    let (peers, measure) = arguments.what.parts();

    for peer in peers {
        let step = Step::new(format!("{}: a boot that does not count", peer.name));
        Guest::start(peer, &machine(&place, &place.initrd, "quiet", "true"), &place.vmm)?.wait_exit()?;
        step.done();
    }
    let mut table = Table::new(peers.iter().map(|peer| peer.name).collect());
    let mut lost = Vec::new();
    for run in 1..=arguments.runs {
        for peer in peers {
            let what = format!("{}: {} {run} of {}", peer.name, arguments.what.name(), arguments.runs);
            table.add(peer.name, repeat(&what, &mut lost, || measure(&place, peer))?);
            // After each, so that an interrupted comparison has something to show.
            save(arguments.what, run, &table, &lost)?;
        }
    }
    println!(
        "\n{}: medians of {}, ratio = bothy's over theirs\n{}",
        arguments.what.name(),
        arguments.runs,
        table.text()
    );
    for what in &lost {
        println!("done once more, as it failed: {what}");
    }
    println!("every sample: {}", output_file(arguments.what).display());
    Ok(ExitCode::SUCCESS)
}

/// Measures; once more if it fails, and again. On the nested host now and then a guest's kernel dies, whoever runs it: a triple
/// fault, or a silence. What was lost is told with the figures, by peer.
fn repeat<T>(
    what: &str,
    lost: &mut Vec<String>,
    measure: impl Fn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut tries = 1;
    loop {
        let step = Step::new(what);
        match measure() {
            Ok(measured) => {
                step.done();
                return Ok(measured);
            }
            Err(error) if tries == TRIES => return Err(error),
            Err(error) => lost.push(format!("{what}: {error:#}")),
        }
        tries += 1;
    }
}

/// Runs a peer once, and says what was measured.
type Measure = fn(&Place, &Peer) -> anyhow::Result<Vec<Sample>>;

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Block => "block",
            Self::Net => "net",
            Self::Memory => "memory",
        }
    }

    fn parts(self) -> (&'static [Peer], Measure) {
        match self {
            Self::Boot => (peers::BOOT, boot::measure),
            Self::Block => (peers::BLOCK, block::measure),
            Self::Net => (peers::NET, net::measure),
            Self::Memory => (peers::MEMORY, memory::measure),
        }
    }
}

/// The machine on which all benchmarks are, which some change: its guest runs `script`.
fn machine(place: &Place, initrd: &Path, words: &str, script: &str) -> Machine {
    Machine {
        kernel: place.kernel.clone(),
        initrd: initrd.to_owned(),
        cmdline: format!("console=ttyS0 {words} bothy.run={}", base64(script.as_bytes())),
        memory_mib: 256,
        disks: vec![Disk { path: place.disk.clone(), direct: true }],
        nic: tap::nic(TAP),
    }
}

/// Copies what is measured into memory, and writes the disks.
fn prepare(arguments: &StoryArguments, memory: &Path, scratch: &Path) -> anyhow::Result<Place> {
    let step = Step::new("copying programs and images, writing disks");
    let copy = |from: &Path, name: &str| -> anyhow::Result<PathBuf> {
        let to = memory.join(name);
        fs::copy(from, &to).with_context(|| format!("copying {}", from.display()))?;
        Ok(to)
    };
    let tools = arguments.what == What::Block || arguments.what == What::Net;
    let place = Place {
        vmm: copy(&arguments.vmm, "bothy-vmm")?,
        kernel: copy(&arguments.kernel, "vmlinuz")?,
        initrd: copy(&arguments.initrd, "initrd")?,
        initrd_with_tools: match tools {
            true => copy(&arguments.initrd_with_tools, "initrd-tools")?,
            false => arguments.initrd_with_tools.clone(),
        },
        disk: scratch.join("direct.raw"),
        cached_disk: scratch.join("cached.raw"),
    };
    for path in [&place.disk, &place.cached_disk] {
        write_disk(path).with_context(|| format!("writing {}", path.display()))?;
        if arguments.what != What::Block {
            break; // only there is it used, and the second too
        }
    }
    step.done();
    Ok(place)
}

/// Writes a disk full, so that no benchmark measures the allocation of blocks.
fn write_disk(path: &Path) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    let block: Vec<u8> = (0..1 << 20).map(|index| (index % 251) as u8).collect();
    for _ in 0..DISK_MIB {
        file.write_all(&block)?;
    }
    file.sync_all()
}

fn output_file(what: What) -> PathBuf {
    let folder = std::env::var_os("HOST_VM_OUT").map_or_else(std::env::temp_dir, PathBuf::from);
    folder.join(format!("bench-{}.json", what.name()))
}

/// Writes what there is so far.
fn save(what: What, runs: u32, table: &Table, lost: &[String]) -> anyhow::Result<()> {
    let version = |program: &str, option: &str| {
        let output = Command::new(program).arg(option).stdin(Stdio::null()).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
    };
    let report = serde_json::json!({
        "benchmark": what.name(),
        "runs": runs,
        "host_kernel": version("uname", "-r"),
        "qemu": version("qemu-system-x86_64", "--version"),
        "repeated": lost,
        "figures": table.json(),
    });
    let path = output_file(what);
    let text = serde_json::to_string_pretty(&report).context("writing JSON")?;
    fs::write(&path, text + "\n").with_context(|| format!("writing {}", path.display()))
}

/// For the kernel command line, which splits at spaces.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |index| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(if digit <= chunk.len() { DIGITS[value as usize].into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("abcd", "YWJjZA==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
