//! Giving up rights, for good: user, files, memory, processor time and nearly all system calls.
//!
//! Used by the helpers alone. What is left is to read one descriptor, to write to a few, and to have memory.

use crate::boot_disk::chain;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, geteuid, getpid, setgroups, setresgid, setresuid};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::os::fd::RawFd;

/// Address space of the helper. It needs some 30 MiB, and more for a journal with much in it.
const MAX_MEMORY_BYTES: u64 = 1 << 30;
/// User and group that own nothing.
const NOBODY: u32 = 65534;

/// What a helper keeps.
pub(crate) struct Rights {
    /// Descriptor that may be read at offsets.
    pub read: RawFd,
    /// Whether its data and holes may be asked for.
    pub seek: bool,
    /// Descriptors that may be written to.
    pub write: Vec<RawFd>,
    /// Largest file that may be written, in bytes.
    pub file_bytes: u64,
    /// Processor time, in seconds.
    pub cpu_seconds: u64,
}

/// Closes all descriptors from `first` on, among them those that a library opened without the flag that closes them.
pub(super) fn close_all_from(first: RawFd) -> Result<(), String> {
    // SAFETY: closes descriptors by number. Nothing in this process owns any of them: it has only just begun.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    Errno::result(result).map(drop).map_err(|errno| format!("cannot close inherited files: {errno}"))
}

/// Confines this process, which has one thread, to these rights.
pub(super) fn enter(rights: &Rights) -> Result<(), String> {
    let filter = filter(rights).map_err(|error| format!("cannot make the filter: {}", chain(&error)))?;
    become_nobody().map_err(|errno| format!("cannot become nobody: {errno}"))?;
    // Only now: changing the user undoes both.
    prctl::set_dumpable(false).map_err(|errno| format!("cannot forbid debugging: {errno}"))?;
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|errno| format!("cannot tie itself to its parent: {errno}"))?;
    prctl::set_no_new_privs().map_err(|errno| format!("cannot renounce new rights: {errno}"))?;
    let limits = [
        (Resource::RLIMIT_AS, MAX_MEMORY_BYTES),
        (Resource::RLIMIT_CPU, rights.cpu_seconds),
        (Resource::RLIMIT_FSIZE, rights.file_bytes),
        (Resource::RLIMIT_NOFILE, 0),
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_CORE, 0),
    ];
    for (resource, limit) in limits {
        setrlimit(resource, limit, limit).map_err(|errno| format!("cannot limit {resource:?}: {errno}"))?;
    }
    seccompiler::apply_filter(&filter)
        .map_err(|error| format!("cannot filter system calls: {}", chain(&error)))
}

/// Leaves root behind, where this is root. In a user namespace there may be no such user to become; what its root may do
/// is little, and the filter leaves nothing of it.
fn become_nobody() -> nix::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    let changed =
        setgroups(&[]).and_then(|()| setresgid(gid, gid, gid)).and_then(|()| setresuid(uid, uid, uid));
    match changed {
        Err(Errno::EINVAL | Errno::EPERM) => Ok(()),
        other => other,
    }
}

/// Any other system call kills the process.
fn filter(rights: &Rights) -> Result<BpfProgram, seccompiler::BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, MaskedEq};
    // Descriptors, processes and flags are 32 bits to the kernel; casts keep their bits.
    let is = |argument, value: i32| SeccompCondition::new(argument, Dword, Eq, u64::from(value as u32));
    let has = |argument, mask: i32, value: i32| {
        SeccompCondition::new(argument, Qword, MaskedEq(mask as u64), value as u64)
    };
    let write = rights.write.iter().map(|file| SeccompRule::new(vec![is(0, *file)?]));
    let mut rules = BTreeMap::from([
        (libc::SYS_pread64, vec![SeccompRule::new(vec![is(0, rights.read)?])?]),
        (libc::SYS_write, write.collect::<Result<_, _>>()?),
        // Memory: never of a file, never to be executed.
        (
            libc::SYS_mmap,
            vec![SeccompRule::new(vec![
                has(2, libc::PROT_EXEC, 0)?,
                has(3, libc::MAP_ANONYMOUS, libc::MAP_ANONYMOUS)?,
            ])?],
        ),
        (libc::SYS_munmap, vec![]),
        (libc::SYS_mremap, vec![]),
        (libc::SYS_brk, vec![]),
        (libc::SYS_madvise, vec![]),
        (libc::SYS_close, vec![]),
        // Debug builds of the standard library ask before they close whether there is something to close.
        (libc::SYS_fcntl, vec![SeccompRule::new(vec![is(1, libc::F_GETFD)?])?]),
        // To die of what went wrong: the allocator aborts, and aborting is a signal to oneself.
        (libc::SYS_rt_sigaction, vec![]),
        (libc::SYS_rt_sigprocmask, vec![]),
        (libc::SYS_rt_sigreturn, vec![]),
        (libc::SYS_getpid, vec![]),
        (libc::SYS_gettid, vec![]),
        (libc::SYS_tgkill, vec![SeccompRule::new(vec![is(0, getpid().as_raw())?])?]),
        (libc::SYS_exit, vec![]),
        (libc::SYS_exit_group, vec![]),
    ]);
    if rights.seek {
        rules.insert(libc::SYS_lseek, vec![SeccompRule::new(vec![is(0, rights.read)?])?]);
    }
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?.try_into()
}
