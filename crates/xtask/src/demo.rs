//! `cargo xtask demo`: a stock Debian in bothy-vmm, from nothing to the login prompt and to a clean end, for everybody
//! to see. The first half prepares; the second runs on a host whose KVM runs Linux and tells the story.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use vmm_api::{
    Boot, Client, Disk, DiskBoot, DiskSource, ExitReason, Memory, Nic, TapSource, VmConfig, VmState,
};

use crate::progress::Step;
use crate::{build, host_vm, image, packages};

/// Boots Debian in bothy-vmm: makes all that is missing, shows its console, its disks and its network, and powers it off.
///
/// Takes a few minutes the first time, most of it to make the Debian image; where this machine's KVM does not run Linux,
/// the machine runs in a nested host and is slow.
#[derive(clap::Args)]
pub struct Arguments {
    /// vCPUs of the guest
    #[arg(long, default_value_t = 2, value_name = "N")]
    vcpus: u32,
    /// Guest memory in MiB
    #[arg(long, default_value_t = 1024, value_name = "MIB")]
    memory_mib: u64,
}

/// The second half, on the host.
#[derive(clap::Args)]
pub struct StoryArguments {
    vmm: PathBuf,
    debian: PathBuf,
    seed: PathBuf,
    vcpus: u32,
    memory_mib: u64,
}

const TAP: &str = "bothy-demo";
const HOST_ADDRESS: &str = "10.99.0.1/24";
const GUEST_ADDRESS: &str = "10.99.0.2";
const MAC: &str = "52:54:00:b0:07:99";

/// Longest time for anything the guest does, on a nested host.
const PATIENCE: Duration = Duration::from_secs(900);

const USER_DATA: &str = r#"#cloud-config
hostname: bothy-demo
ssh_genkeytypes: [ed25519]
runcmd:
  - "exec >/dev/ttyS0 2>&1; echo; lsblk --output NAME,SERIAL,SIZE,RO,MOUNTPOINTS; ip -brief address; echo"
"#;
const META_DATA: &str = "instance-id: i-demo\nlocal-hostname: bothy-demo\n";

fn network_config() -> String {
    format!(
        "version: 2\nethernets:\n  nic0:\n    match: {{macaddress: '{MAC}'}}\n    addresses: [{GUEST_ADDRESS}/24]\n"
    )
}

/// Prepares, and runs the story where KVM runs Linux.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    packages::ensure(&["iproute2", "iputils-ping"])?;
    let vmm = build::vmm()?;
    let debian = image::debian()?;
    let seed = image::cidata(USER_DATA, META_DATA, &network_config())?;
    let mut command: Vec<OsString> = vec![std::env::current_exe().context("finding this program")?.into()];
    command.push("demo-story".into());
    command.extend([vmm, debian, seed].map(OsString::from));
    command.extend([arguments.vcpus.to_string(), arguments.memory_mib.to_string()].map(OsString::from));
    Ok(ExitCode::from(host_vm::execute_repeatable(&host_vm::Options::default(), &command)?))
}

/// Boots, shows, powers off.
pub fn tell(arguments: &StoryArguments) -> anyhow::Result<ExitCode> {
    let scratch = std::env::var_os("HOST_VM_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(scratch).context("making a folder")?;
    let tap = Tap::new()?;
    let config = machine(arguments, folder.path())?;

    let socket = folder.path().join("demo.sock");
    eprintln!("▸ bothy-vmm --id demo --control {}", socket.display());
    let vmm = Command::new(&arguments.vmm).args(["--id", "demo", "--control"]).arg(&socket).spawn();
    let vmm = Vmm(vmm.context("starting bothy-vmm")?);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    runtime.block_on(async {
        let client = Client::connect_when_ready(&socket, PATIENCE).await?;
        eprintln!("▸ PUT /v1/vm\n{}", serde_json::to_string_pretty(&config)?);
        client.configure(&config).await?;
        eprintln!("▸ POST /v1/vm/boot, then GET /v1/vm/console");
        client.boot().await?;
        let mut console = Console { client: &client, offset: 0, seen: String::new() };
        // The prompt may come before cloud-init is done; both must.
        console.show_until(&["finished at", "login: "]).await?;
        eprintln!("\n▸ the host asks the guest over the tap");
        greet()?;
        eprintln!("▸ POST /v1/vm/power-button");
        client.power_button().await?;
        console.show_until(&["Power down"]).await?;
        let info = client.wait_for(|info| info.state == VmState::Exited, PATIENCE).await?;
        let exit = info.exit.context("the machine ended without a reason")?;
        eprintln!("\n▸ GET /v1/vm: {:?}: {}", exit.reason, exit.message);
        ensure!(exit.reason == ExitReason::PowerOff, "the guest did not power off");
        anyhow::Ok(())
    })?;
    drop((vmm, tap));
    eprintln!("✔ that was a stock Debian, booted from its disk alone");
    Ok(ExitCode::SUCCESS)
}

fn machine(arguments: &StoryArguments, folder: &Path) -> anyhow::Result<VmConfig> {
    let step = Step::new("copying the Debian image");
    let system = folder.join("system.raw");
    let copied = Command::new("cp")
        .args(["--reflink=auto", "--sparse=always"])
        .args([&arguments.debian, &system])
        .status();
    ensure!(copied.context("running cp")?.success(), "cannot copy the image to {}", system.display());
    step.done();
    let data = folder.join("data.raw");
    std::fs::File::create(&data).and_then(|file| file.set_len(1 << 30)).context("making the data disk")?;
    let disk = |id: &str, path: &Path, read_only| Disk {
        id: id.to_owned(),
        source: DiskSource::Path(path.to_owned()),
        read_only,
        direct: None,
    };
    Ok(VmConfig {
        vcpus: arguments.vcpus,
        threads_per_core: 1,
        memory: Memory { size_mib: arguments.memory_mib, shared: false, huge_pages: false },
        boot: Boot::Disk(DiskBoot::default()),
        disks: vec![
            disk("system", &system, false),
            disk("data", &data, false),
            disk("seed", &arguments.seed, true),
        ],
        nics: vec![Nic {
            tap: TapSource::Name(TAP.to_owned()),
            mac: Some(MAC.parse()?),
            mtu: None,
            dhcp: None,
        }],
        console: Default::default(),
        smbios: Default::default(),
    })
}

/// Pings the guest and reads sshd's greeting.
fn greet() -> anyhow::Result<()> {
    let ping =
        Command::new("ping").args(["-c", "3", "-W", "10", GUEST_ADDRESS]).status().context("running ping")?;
    ensure!(ping.success(), "the guest does not answer");
    let mut stream = TcpStream::connect((GUEST_ADDRESS, 22)).context("connecting to the guest's sshd")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut greeting = [0; 255];
    let count = stream.read(&mut greeting).context("reading sshd's greeting")?;
    eprintln!("port 22: {}", String::from_utf8_lossy(&greeting[..count]).trim());
    Ok(())
}

/// The guest's console, shown as it comes.
struct Console<'a> {
    client: &'a Client,
    offset: u64,
    seen: String,
}

impl Console<'_> {
    /// Shows it until all `texts` were seen since the last call, or the machine ended.
    async fn show_until(&mut self, texts: &[&str]) -> anyhow::Result<()> {
        let deadline = std::time::Instant::now() + PATIENCE;
        self.seen.clear();
        loop {
            let news = self.client.console(Some(self.offset)).await?;
            self.offset = news.offset + news.bytes.len() as u64;
            std::io::stdout().write_all(&news.bytes).context("showing the console")?;
            self.seen.push_str(&String::from_utf8_lossy(&news.bytes));
            std::io::stdout().flush().context("showing the console")?;
            let ended = self.client.info().await?.state == VmState::Exited;
            if ended || texts.iter().all(|text| self.seen.contains(text)) {
                return Ok(());
            }
            if std::time::Instant::now() > deadline {
                bail!("the guest did not print {texts:?} within {PATIENCE:?}");
            }
            self.client.wait_console(self.offset, Duration::from_secs(1)).await?;
        }
    }
}

/// The VMM's process; dropping it ends it.
struct Vmm(Child);

impl Drop for Vmm {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A tap with the host's address; dropping it removes it.
struct Tap;

impl Tap {
    fn new() -> anyhow::Result<Self> {
        ip(&["tuntap", "add", TAP, "mode", "tap", "vnet_hdr"])?;
        let tap = Self;
        ip(&["address", "add", HOST_ADDRESS, "dev", TAP])?;
        ip(&["link", "set", TAP, "up"])?;
        Ok(tap)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", TAP]);
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("ip").args(arguments).status().context("running ip")?;
    ensure!(status.success(), "ip {} failed", arguments.join(" "));
    Ok(())
}
