//! A bothy-vmm that is driven as the daemon drives it: configured and booted over its control socket, with a guard, DHCP
//! and a metadata relay on its network interface, which `bothy-vmm run` has no options for. Called by `guest`, to whose
//! lines the console goes.

use std::io;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use vmm_api::{
    Boot, Client, ConsoleConfig, Dhcp, Disk, DiskSource, ExitReason, Guard, KernelBoot, Memory,
    MetadataRelay, Nic, Smbios, TapSource, VmConfig,
};

use super::guest::PATIENCE;
use super::peers::Machine;

/// Where guests find their metadata, as the daemon has it.
const METADATA: [Ipv4Addr; 2] = [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(100, 100, 100, 200)];

/// How long a request for output waits on the VMM's side; so often it is looked whether the machine has ended.
const POLL: Duration = Duration::from_secs(1);

/// A line of a console, and when it came.
type Line = (Instant, String);

/// The command that starts the VMM, with its socket in the folder `run`.
pub fn command(vmm: &Path, run: &Path) -> Command {
    let mut command = Command::new(vmm);
    command.args(["--id", "bench", "--control"]).arg(run.join("control"));
    command
}

/// Boots `machine` in the VMM with this process id, hands over what its guest prints, and ends the VMM when the machine has
/// ended. All that on a thread, which ends with the VMM; what fails is a line like the guest's.
pub fn drive(run: TempDir, machine: &Machine, pid: u32, lines: Sender<Line>) {
    let machine = machine.clone();
    std::thread::spawn(move || {
        let driven = boot_and_follow(run.path(), &machine, &lines);
        if let Err(error) = driven {
            // Who waits for lines may be gone.
            let _ = lines.send((Instant::now(), format!("driving bothy-vmm: {error:#}")));
        }
        // It may have ended by itself, or be ended already by whoever dropped its guest.
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
    });
}

fn boot_and_follow(run: &Path, machine: &Machine, lines: &Sender<Line>) -> anyhow::Result<()> {
    let metadata = run.join("metadata");
    echo(UnixListener::bind(&metadata).context("binding a socket for metadata")?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("starting a runtime")?.block_on(async {
        let client = Client::connect_when_ready(run.join("control"), PATIENCE).await?;
        client.configure(&config(machine, &metadata)).await?;
        client.boot().await?;
        let (mut next, mut printed) = (0, Vec::new());
        loop {
            let news = client.wait_console(next, POLL).await?;
            next = news.offset + news.bytes.len() as u64;
            if news.bytes.is_empty()
                && let Some(exit) = client.info().await?.exit
            {
                ensure!(exit.reason == ExitReason::PowerOff, "the machine ended: {}", exit.message);
                return Ok(());
            }
            printed.extend(news.bytes);
            while let Some(end) = printed.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = printed.drain(..=end).collect();
                lines.send((Instant::now(), String::from_utf8_lossy(&line).trim_end().to_owned()))?;
            }
        }
    })
}

/// Answers, in the place of the metadata service, with what it was sent: so that it is the relay that takes time.
fn echo(listener: UnixListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = io::copy(&mut &stream, &mut &stream);
        }
    });
}

/// The machine, with each interface as the daemon asks for it.
fn config(machine: &Machine, metadata: &Path) -> VmConfig {
    let disks = machine.disks.iter().enumerate().map(|(index, disk)| Disk {
        id: format!("disk{index}"),
        source: DiskSource::Path(disk.path.clone()),
        read_only: false,
        direct: Some(disk.direct),
    });
    let nic = &machine.nic;
    let nic = Nic {
        tap: TapSource::Name(nic.tap.clone()),
        mac: Some(nic.mac),
        mtu: Some(1500),
        dhcp: Some(Dhcp {
            address: nic.address,
            prefix_len: 24,
            router: nic.router,
            dns: vec![nic.router],
            ntp: vec![nic.router],
            host_name: Some("bench".to_owned()),
            domain: Some("compute.internal".to_owned()),
            mtu: Some(1500),
            lease_seconds: 3600,
            routes: Vec::new(),
        }),
        metadata: Some(MetadataRelay {
            socket: metadata.to_owned(),
            addresses: METADATA.to_vec(),
            hop_limit: 1,
        }),
        guard: Some(Guard { addresses: vec![nic.address.into()], ipv6: false }),
    };
    VmConfig {
        vcpus: 1,
        threads_per_core: 1,
        memory: Memory { size_mib: machine.memory_mib, shared: false, huge_pages: false },
        boot: Boot::Kernel(KernelBoot {
            kernel: machine.kernel.clone(),
            initrd: Some(machine.initrd.clone()),
            cmdline: machine.cmdline.clone(),
        }),
        disks: disks.collect(),
        nics: vec![nic],
        console: ConsoleConfig::default(),
        smbios: Smbios::default(),
    }
}
