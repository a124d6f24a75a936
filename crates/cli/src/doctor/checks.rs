//! The checks besides KVM. Each reads files below a root, so that tests can give it a host of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::Finding;
use crate::output::bytes;

/// Below this, nothing useful can be imported.
const LEAST_FREE_BYTES: u64 = 1 << 30;
/// Below this, a few instances fill the disk.
const COMFORTABLE_FREE_BYTES: u64 = 20 << 30;
/// Open files of one daemon with a hundred instances, each of whose disks and taps passes through it.
const COMFORTABLE_OPEN_FILES: u64 = 4096;
/// A clock before this was never set: the program is younger.
const EARLIEST_SECOND: i64 = 1_767_225_600; // 2026-01-01

/// A host, as its files tell of it.
pub(super) struct Host {
    root: PathBuf,
}

impl Host {
    /// This one.
    pub(super) fn this() -> Self {
        Self { root: "/".into() }
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    pub(super) fn architecture(&self) -> Finding {
        const CHECK: &str = "processor";
        match std::env::consts::ARCH {
            "x86_64" => Finding::ok(CHECK, "x86_64"),
            other => Finding::missing(CHECK, other, "bothy runs on 64-bit x86 only"),
        }
    }

    pub(super) fn virtualization(&self) -> Finding {
        const CHECK: &str = "virtualization";
        let cpuinfo = self.read("proc/cpuinfo").unwrap_or_default();
        let flags: Vec<&str> = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("flags")?.trim_start().strip_prefix(':'))
            .map(|flags| flags.split_whitespace().collect())
            .unwrap_or_default();
        let inside = if flags.contains(&"hypervisor") { ", inside a VM" } else { "" };
        if flags.contains(&"vmx") {
            Finding::ok(CHECK, format!("VT-x{inside}"))
        } else if flags.contains(&"svm") {
            Finding::ok(CHECK, format!("AMD-V{inside}"))
        } else {
            // KVM itself says whether it works; it may be one that needs no such flag.
            let advice = if inside.is_empty() {
                "turn on VT-x or AMD-V in the firmware"
            } else {
                "let the hypervisor below give this VM nested virtualization"
            };
            Finding::warning(CHECK, format!("the processor shows neither VT-x nor AMD-V{inside}"), advice)
        }
    }

    pub(super) fn nested(&self) -> Finding {
        const CHECK: &str = "nesting";
        let modules = ["kvm_intel", "kvm_amd"];
        let state = modules.iter().find_map(|module| {
            let text = self.read(&format!("sys/module/{module}/parameters/nested"))?;
            Some((*module, matches!(text.trim(), "Y" | "1")))
        });
        // Guests get no virtualization of their own either way.
        match state {
            Some((module, true)) => {
                Finding::ok(CHECK, format!("{module} allows it; bothy gives guests none"))
            }
            Some((module, false)) => {
                Finding::ok(CHECK, format!("{module} does not allow it; bothy needs none"))
            }
            None => Finding::ok(CHECK, "not told; bothy needs none"),
        }
    }

    pub(super) fn cgroups(&self) -> Finding {
        const CHECK: &str = "cgroups";
        let Some(controllers) = self.read("sys/fs/cgroup/cgroup.controllers") else {
            return Finding::missing(
                CHECK,
                "version 2 is not mounted at /sys/fs/cgroup",
                "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line",
            );
        };
        let lacking: Vec<_> = ["cpu", "memory", "io", "pids"]
            .into_iter()
            .filter(|wanted| !controllers.split_whitespace().any(|controller| controller == *wanted))
            .collect();
        if lacking.is_empty() {
            Finding::ok(CHECK, "version 2")
        } else {
            let found = format!("version 2 without {}", lacking.join(", "));
            Finding::warning(
                CHECK,
                found,
                "instances are not held to their share; look for cgroup_disable on the kernel's command line",
            )
        }
    }

    pub(super) fn nftables(&self) -> Finding {
        const CHECK: &str = "nftables";
        let advice = "install it: apt install nftables";
        match Command::new("nft").arg("--version").output() {
            Ok(output) if output.status.success() => {
                Finding::ok(CHECK, String::from_utf8_lossy(&output.stdout).trim())
            }
            Ok(output) => Finding::missing(CHECK, format!("nft ends with {}", output.status), advice),
            Err(error) => Finding::missing(CHECK, format!("nft cannot be run: {error}"), advice),
        }
    }

    pub(super) fn forwarding(&self) -> Finding {
        const CHECK: &str = "forwarding";
        match self.read("proc/sys/net/ipv4/ip_forward").as_deref().map(str::trim) {
            Some("1") => Finding::ok(CHECK, "the host forwards IPv4"),
            Some(_) => Finding::warning(
                CHECK,
                "the host does not forward IPv4: instances reach nothing outside",
                "sysctl -w net.ipv4.ip_forward=1, and net.ipv4.ip_forward = 1 in /etc/sysctl.d/bothy.conf",
            ),
            None => Finding::warning(CHECK, "cannot be told", "is /proc mounted?"),
        }
    }

    pub(super) fn tun(&self) -> Finding {
        const CHECK: &str = "/dev/net/tun";
        let opened = fs::OpenOptions::new().read(true).write(true).open(self.root.join("dev/net/tun"));
        match opened {
            Ok(_) => Finding::ok(CHECK, "can be opened"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Finding::missing(CHECK, "is not there", "load its module: modprobe tun")
            }
            Err(error) => Finding::missing(CHECK, format!("cannot be opened: {error}"), "run as root"),
        }
    }

    pub(super) fn space(&self, state: &Path) -> Finding {
        const CHECK: &str = "disk space";
        let folder = nearest(state);
        let free = match statvfs(&folder) {
            Ok(space) => space.blocks_available() * space.fragment_size(),
            Err(error) => {
                return Finding::warning(
                    CHECK,
                    format!("{}: {error}", folder.display()),
                    "name the state folder with --state",
                );
            }
        };
        let found = format!("{} left at {}", bytes(free), folder.display());
        let advice = "put the state folder on a larger file system";
        match free {
            0..LEAST_FREE_BYTES => Finding::missing(CHECK, found, advice),
            LEAST_FREE_BYTES..COMFORTABLE_FREE_BYTES => Finding::warning(CHECK, found, advice),
            _ => Finding::ok(CHECK, found),
        }
    }

    /// Tried with a file, as no file system says it by its name: XFS may be made without.
    pub(super) fn reflink(&self, state: &Path) -> Finding {
        const CHECK: &str = "reflinks";
        let folder = nearest(state);
        let cannot_tell = |why: String| {
            Finding::warning(CHECK, format!("cannot be tried at {}: {why}", folder.display()), "run as root")
        };
        let source = folder.join(format!(".bothy-doctor-{}", std::process::id()));
        let copy = source.with_extension("copy");
        if let Err(error) =
            fs::OpenOptions::new().write(true).create_new(true).open(&source).and_then(|mut file| {
                use std::io::Write;
                file.write_all(&[1; 4096])
            })
        {
            return cannot_tell(error.to_string());
        }
        let tried = Command::new("cp").arg("--reflink=always").arg(&source).arg(&copy).output();
        for path in [&source, &copy] {
            // The copy may not be there; what stays otherwise is empty and named after us.
            let _ = fs::remove_file(path);
        }
        match tried {
            Ok(output) if output.status.success() => {
                Finding::ok(CHECK, format!("{} shares blocks between copies", folder.display()))
            }
            Ok(_) => Finding::warning(
                CHECK,
                format!("{} copies every block: launches take longer and more space", folder.display()),
                "put the state folder on XFS or btrfs",
            ),
            Err(error) => cannot_tell(format!("cp: {error}")),
        }
    }

    pub(super) fn clock(&self) -> Finding {
        const CHECK: &str = "clock";
        let now = Timestamp::now();
        if now.as_second() < EARLIEST_SECOND {
            return Finding::missing(
                CHECK,
                format!("says {now}"),
                "set it: signed requests and certificates depend on it",
            );
        }
        let ours = self.root.join("run/systemd/timesync/synchronized").exists();
        if ours || told_by_timedatectl() {
            return Finding::ok(CHECK, format!("is kept, {now:.0}"));
        }
        Finding::warning(
            CHECK,
            format!("says {now:.0}, and nothing known keeps it"),
            "run systemd-timesyncd or chrony: signed requests are refused minutes off",
        )
    }

    pub(super) fn open_files(&self) -> Finding {
        const CHECK: &str = "open files";
        match getrlimit(Resource::RLIMIT_NOFILE) {
            Ok((_, hard)) if hard < COMFORTABLE_OPEN_FILES => Finding::warning(
                CHECK,
                format!("at most {hard}"),
                format!(
                    "allow {COMFORTABLE_OPEN_FILES} or more: LimitNOFILE in the unit, nofile in limits.conf"
                ),
            ),
            Ok((_, hard)) => Finding::ok(CHECK, format!("at most {hard}")),
            Err(error) => Finding::warning(CHECK, format!("cannot be told: {error}"), "see ulimit -n"),
        }
    }

    pub(super) fn systemd(&self) -> Finding {
        const CHECK: &str = "systemd";
        if self.root.join("run/systemd/system").is_dir() {
            Finding::ok(CHECK, "runs this host")
        } else {
            Finding::warning(
                CHECK,
                "does not run this host: nothing starts bothyd again when it ends",
                "use another supervisor, which must leave bothyd's children alone",
            )
        }
    }
}

/// The folder itself or the nearest above it that is there.
fn nearest(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find(|folder| folder.is_dir());
    found.unwrap_or(Path::new("/")).to_owned()
}

fn told_by_timedatectl() -> bool {
    let told = Command::new("timedatectl").args(["show", "--property=NTPSynchronized", "--value"]).output();
    told.is_ok_and(|output| output.stdout.trim_ascii() == b"yes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    /// A host with these files.
    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host { root: root.path().to_owned() };
        (root, host)
    }

    #[test]
    fn an_empty_host_is_told_what_it_lacks() {
        let (_root, host) = host(&[]);
        assert_eq!(host.cgroups().verdict, Verdict::Missing);
        assert_eq!(host.tun().verdict, Verdict::Missing);
        assert_eq!(host.forwarding().verdict, Verdict::Warning);
        assert_eq!(host.systemd().verdict, Verdict::Warning);
        assert_eq!(host.virtualization().verdict, Verdict::Warning);
        for finding in [host.cgroups(), host.tun(), host.forwarding(), host.systemd(), host.virtualization()]
        {
            assert!(!finding.advice.is_empty(), "{finding:?}");
        }
    }

    #[test]
    fn a_good_host_is_told_so() {
        let (_root, host) = host(&[
            ("proc/cpuinfo", "processor : 0\nflags\t\t: fpu vmx hypervisor\n"),
            ("proc/sys/net/ipv4/ip_forward", "1\n"),
            ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n"),
            ("sys/module/kvm_intel/parameters/nested", "Y\n"),
            ("dev/net/tun", ""),
            ("run/systemd/system/x", ""),
        ]);
        let findings = [
            host.virtualization(),
            host.forwarding(),
            host.cgroups(),
            host.nested(),
            host.tun(),
            host.systemd(),
        ];
        for finding in findings {
            assert_eq!(finding.verdict, Verdict::Ok, "{finding:?}");
        }
        assert_eq!(host.virtualization().found, "VT-x, inside a VM");
    }

    #[test]
    fn a_cgroup_hierarchy_without_memory_is_a_warning() {
        let (_root, host) = host(&[("sys/fs/cgroup/cgroup.controllers", "cpu io pids\n")]);
        assert!(host.cgroups().found.ends_with("without memory"));
        assert_eq!(host.cgroups().verdict, Verdict::Warning);
    }

    #[test]
    fn the_state_folder_need_not_be_there_yet() {
        let (root, host) = host(&[]);
        let state = root.path().join("not/yet");
        assert!(host.space(&state).found.contains(&root.path().display().to_string()));
        host.reflink(&state);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
