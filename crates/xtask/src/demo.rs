//! `cargo xtask demo`: bothyd from its start to an empty host again, for everybody to see: a stock Debian is imported, two
//! of it are launched in a VPC, one serves what the other may see, and they are left alone while their daemon is killed, and
//! terminated. The first half prepares; the second runs on a host whose KVM runs Linux and tells the story.

mod node;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};

use crate::host::{self, Host};
use crate::{build, host_vm, image, packages};
use node::Node;

/// Runs bothyd and shows instances' whole lives: image, VPC, launch, console, ssh, ports that are open and that are not, a
/// killed daemon, termination, a clean host.
///
/// Takes a few minutes the first time, most of it to make the Debian image and to build; where this machine's KVM does not
/// run Linux, all of it runs in a nested host and is slow.
#[derive(clap::Args)]
pub struct Arguments {}

/// The second half, on the host.
#[derive(clap::Args)]
pub struct StoryArguments {
    bothy: PathBuf,
    bothyd: PathBuf,
    vmm: PathBuf,
    debian: PathBuf,
}

/// What the first instance does with its first boot.
const USER_DATA: &str = "\
#!/bin/sh
mkdir /srv/www
echo \"a page of $(hostname)\" >/srv/www/index.html
for port in 8000 9000; do
    systemd-run python3 -m http.server $port --directory /srv/www
done
";

/// What a guest is asked by ssh.
const QUESTION: &str =
    "hostname; uptime --pretty; lsblk --output NAME,SERIAL,SIZE,RO,MOUNTPOINTS; ip -brief -4 address";

/// How a guest without curl gets a page.
fn get(url: &str) -> String {
    format!(
        "python3 -c 'import urllib.request as web; print(web.urlopen(\"{url}\", timeout=10).read().decode())'"
    )
}

/// Prepares, and runs the story where KVM runs Linux.
pub fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    packages::ensure(&["e2fsprogs", "iproute2", "nftables", "openssh-client"])?;
    let programs = build::programs()?;
    let debian = image::debian()?;
    let mut command: Vec<OsString> = vec![std::env::current_exe().context("finding this program")?.into()];
    command.push("demo-story".into());
    command.extend([programs.bothy, programs.bothyd, programs.vmm, debian].map(OsString::from));
    Ok(ExitCode::from(host_vm::execute_repeatable(&host_vm::Options::default(), &command)?))
}

/// Tells the story.
pub fn tell(arguments: &StoryArguments) -> anyhow::Result<ExitCode> {
    let scratch = std::env::var_os("HOST_VM_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new().prefix("demo").tempdir_in(scratch).context("making a folder")?;
    let before = Host::look()?;
    let node = Node::new(arguments, folder.path())?;
    let ssh = |instance: &str, command: &str| -> Vec<String> {
        let words = ["ssh", instance, "--user", "debian", "--wait", "--timeout", "600", "--", command];
        words.map(str::to_owned).into()
    };
    let ask = |instance: &str, command: &str| {
        let words = ssh(instance, command);
        node.bothy(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };

    say("bothyd, the daemon of a host");
    let mut daemon = node.start()?;
    node.bothy(&["image", "import", &arguments.debian.display().to_string(), "--name", "debian", "--wait"])?;
    node.bothy(&["key", "create", "demo"])?;

    say("a VPC, and two instances in it");
    node.bothy(&["vpc", "create", "10.0.0.0/16", "--name", "shop"])?;
    node.bothy(&["subnet", "create", "shop", "10.0.1.0/24", "--name", "front"])?;
    node.bothy(&["group", "create", "visitors", "--vpc", "shop"])?;
    node.bothy(&["group", "create", "web", "--vpc", "shop", "--allow", "tcp 8000 from group visitors"])?;
    let user_data = node.file("serve.sh", USER_DATA)?;
    let launch = ["launch", "debian", "--type", "small", "--key", "demo", "--subnet", "front"];
    let web = [
        "--name",
        "web",
        "--host-name",
        "web",
        "--group",
        "web",
        "--data-disk",
        "1",
        "--user-data",
        &user_data,
    ];
    node.bothy(&[&launch[..], &web].concat())?;
    node.bothy(&[&launch[..], &["--name", "visitor", "--group", "visitors"]].concat())?;
    node.bothy(&["ls"])?;

    say("the first boots; its console");
    node.show_console("web", &["finished at", "login: "])?;
    say("log in");
    ask("web", QUESTION)?;
    say("its user data, from the metadata service");
    ask("web", &get("http://169.254.169.254/latest/user-data"))?;

    say("what the web's group lets the visitor see, by its name");
    let page = |port: u16| get(&format!("http://web.local.compute.internal:{port}/"));
    ask("visitor", &page(8000))?;
    say("and what it does not: not until a rule says so, which is in force at once");
    let words = ssh("visitor", &page(9000));
    node.refused(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    node.bothy(&["group", "allow", "web", "--vpc", "shop", "tcp 9000 from group visitors"])?;
    ask("visitor", &page(9000))?;
    node.bothy(&["group", "show", "web", "--vpc", "shop", "--counts"])?;

    say("kill -9 of the daemon: the guests do not notice, and the next daemon takes them over");
    let running = vmms()?;
    daemon.kill()?;
    ensure!(vmms()? == running && running.len() == 2, "the VMMs did not go on by themselves");
    daemon = node.start()?;
    node.bothy(&["ls"])?;
    ask("web", QUESTION)?;
    ensure!(vmms()? == running, "the VMMs are others");

    say("the end of it");
    node.bothy(&["terminate", "web", "visitor", "--wait", "--timeout", "600"])?;
    for rest in [&["group", "rm", "--vpc", "shop", "web", "visitors"][..], &["subnet", "rm", "front"]] {
        node.bothy(rest)?;
    }
    node.bothy(&["vpc", "rm", "shop"])?;
    node.bothy(&["image", "rm", "debian"])?;
    node.bothy(&["ls", "--all"])?;
    daemon.end()?;
    node.clear()?;
    folder.close().context("removing the demo's folder")?;
    let left = Host::look()?.since(&before);
    ensure!(left.is_empty(), "the host is not as it was:\n{}", left.join("\n"));
    eprintln!("✔ the host is as it was: links, rules, mounts, cgroups, processes, files");
    Ok(ExitCode::SUCCESS)
}

fn say(what: &str) {
    eprintln!("\n── {what}");
}

/// Processes of VMMs.
fn vmms() -> anyhow::Result<Vec<String>> {
    let found = host::processes()?.into_iter().filter(|process| process.contains("bothy-vmm --id"));
    // The disk's reader comes and goes.
    Ok(found.filter(|process| !process.contains("read-boot-disk")).collect())
}
