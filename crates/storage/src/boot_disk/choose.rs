//! Which kernel to boot, of all that a disk offers.
//!
//! The first of these that offers one whose files are there: Boot Loader Specification entries, `grub.cfg`, an extlinux
//! menu, the kernels themselves. Within it the newest, rescue entries last; what a boot loader has saved as its default
//! does not count, for it is the newly installed kernel that should boot next.

use super::ext4::{Ext4, Found, LookupError};
use super::grub_cfg::{self, GrubConfig};
use super::layout::Layout;
use super::menu::{MAX_ENTRIES, MenuEntry};
use super::script::Variables;
use super::{BootEntry, MAX_CMDLINE_BYTES, MAX_INITRD_BYTES, MAX_KERNEL_BYTES};
use super::{bls, chain, default_grub, extlinux, printable, version};
use std::cmp::Ordering;

/// Largest configuration file read. Those of machines with many kernels have some 50 KiB.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// Most files read in `/etc/default/grub.d`.
const MAX_DEFAULT_FILES: usize = 64;
/// Most bytes of a path or title that is only shown.
const MAX_SHOWN_BYTES: usize = 512;
/// Most entries of which an error says why they were passed over.
const MAX_NOTES: usize = 4;

// With /boot as part of the root file system, and as its own.
const BLS_FOLDERS: &[&str] = &["/boot/loader/entries", "/loader/entries"];
const GRUB_FOLDERS: &[&str] = &["/boot/grub", "/boot/grub2", "/grub", "/grub2"];
const EXTLINUX_FILES: &[&str] = &[
    "/boot/extlinux/extlinux.conf",
    "/boot/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/extlinux/extlinux.conf",
    "/extlinux.conf",
    "/syslinux/syslinux.cfg",
];
const KERNEL_FOLDERS: &[&str] = &["/boot", "/"];

/// The kernel to boot, its files found and their sizes checked.
pub(crate) struct Chosen<'a> {
    pub(crate) fs: &'a Ext4,
    pub(crate) kernel: Found,
    pub(crate) initrds: Vec<Found>,
    pub(crate) entry: BootEntry,
}

/// Why entries were passed over, in words.
pub(crate) type Notes = Vec<String>;

/// Where entries come from.
#[derive(Clone, Copy)]
enum Source {
    Bls,
    GrubCfg,
    Extlinux,
    Plain,
}

/// An entry and the file system its configuration is on.
struct Candidate<'a> {
    fs: &'a Ext4,
    entry: MenuEntry,
}

/// Chooses among what the volumes of `layout` offer.
pub(crate) fn choose(layout: &Layout) -> Result<Chosen<'_>, Notes> {
    let grub: Vec<(&Ext4, GrubConfig)> = layout.readable().map(|(_, fs)| (fs, read_grub(fs))).collect();
    let mut notes = Notes::new();
    for source in [Source::Bls, Source::GrubCfg, Source::Extlinux, Source::Plain] {
        let mut candidates: Vec<Candidate> = match source {
            Source::Bls => grub.iter().flat_map(|(fs, config)| bls_entries(fs, &config.variables)).collect(),
            Source::GrubCfg => grub.iter().flat_map(|(fs, config)| on(fs, config.entries.clone())).collect(),
            Source::Extlinux => layout.readable().flat_map(|(_, fs)| extlinux_entries(fs)).collect(),
            Source::Plain => plain_kernels(layout),
        };
        candidates.truncate(MAX_ENTRIES);
        candidates.sort_by(|left, right| rank(&left.entry, &right.entry));
        for candidate in &candidates {
            match find_files(layout, candidate) {
                Ok(chosen) => return Ok(chosen),
                Err(note) if notes.len() < MAX_NOTES => notes.push(note),
                Err(_) => {}
            }
        }
    }
    Err(notes)
}

/// Best first. Sorting is stable, so that the order of the configuration decides between equals.
fn rank(left: &MenuEntry, right: &MenuEntry) -> Ordering {
    left.is_rescue()
        .cmp(&right.is_rescue())
        .then_with(|| version::compare(&right.version, &left.version))
        .then_with(|| right.is_default.cmp(&left.is_default))
}

/// Looks for the files of a candidate; says why not in words.
fn find_files<'a>(layout: &'a Layout, candidate: &Candidate<'a>) -> Result<Chosen<'a>, String> {
    let entry = &candidate.entry;
    let title = if entry.title.is_empty() { &entry.kernel } else { &entry.title };
    let note = |why: String| format!("\"{}\": {why}", printable(title, MAX_SHOWN_BYTES));
    let fs = match &entry.fs_uuid {
        None => candidate.fs,
        Some(uuid) => {
            layout.readable().find(|(_, fs)| fs.uuid() == uuid).map(|(_, fs)| fs).ok_or_else(|| {
                note(format!("no file system that can be read has the UUID {}", printable(uuid, 64)))
            })?
        }
    };
    if entry.cmdline.len() > MAX_CMDLINE_BYTES {
        return Err(note(format!("its command line has more than {MAX_CMDLINE_BYTES} bytes")));
    }
    let mut initrd_bytes = 0;
    let find = |path: &str, limit_bytes: u64| {
        let found = fs.lookup_file(path, limit_bytes);
        let why = match found {
            // An unclean shutdown soon after an update leaves files with a name and no content.
            Ok(found) if found.inode.size_bytes == 0 => "it is empty".to_owned(),
            Ok(found) => return Ok(found),
            Err(error) => chain(&error),
        };
        Err(note(format!("{}: {why}", printable(path, MAX_SHOWN_BYTES))))
    };
    let kernel = find(&entry.kernel, MAX_KERNEL_BYTES)?;
    let mut initrds = Vec::new();
    for path in &entry.initrds {
        let found = find(path, MAX_INITRD_BYTES - initrd_bytes)?;
        initrd_bytes = (initrd_bytes + found.inode.size_bytes.next_multiple_of(4)).min(MAX_INITRD_BYTES);
        initrds.push(found);
    }
    let shown = |text: &str| printable(text, MAX_SHOWN_BYTES);
    let entry = BootEntry {
        title: shown(&entry.title),
        version: shown(&entry.version),
        kernel: shown(&kernel.path),
        initrds: initrds.iter().map(|found| shown(&found.path)).collect(),
        cmdline: printable(&entry.cmdline, MAX_CMDLINE_BYTES),
    };
    Ok(Chosen { fs, kernel, initrds, entry })
}

/// Entries as candidates, with their versions where only the kernel's file name tells it.
fn on(fs: &Ext4, entries: Vec<MenuEntry>) -> impl Iterator<Item = Candidate<'_>> {
    entries.into_iter().map(move |mut entry| {
        if entry.version.is_empty() {
            version::of_kernel(&entry.kernel).clone_into(&mut entry.version);
        }
        if entry.version.is_empty()
            && let Ok(found) = fs.lookup(&entry.kernel)
        {
            version::of_kernel(&found.path).clone_into(&mut entry.version);
        }
        // Alpine's `vmlinuz-lts` and `vmlinuz-virt` are flavours; neither is newer than the other.
        if !entry.version.contains(|sign: char| sign.is_ascii_digit()) {
            entry.version.clear();
        }
        Candidate { fs, entry }
    })
}

fn read_grub(fs: &Ext4) -> GrubConfig {
    let read = |name: &str| {
        let mut paths = GRUB_FOLDERS.iter().map(|folder| format!("{folder}/{name}"));
        paths.find_map(|path| fs.read_text(&path, MAX_CONFIG_BYTES).ok()).unwrap_or_default()
    };
    let mut config = grub_cfg::parse(&read("grub.cfg"), grub_cfg::parse_environment(&read("grubenv")));
    // What RHEL's grub.cfg does for entries that say `$kernelopts` when the environment block has none.
    if config.variables.get("kernelopts").is_none()
        && let Some(options) = config.variables.get("default_kernelopts").map(str::to_owned)
    {
        config.variables.set("kernelopts", &options);
    }
    config
}

fn bls_entries<'a>(fs: &'a Ext4, variables: &Variables) -> impl Iterator<Item = Candidate<'a>> {
    let mut entries = Vec::new();
    for folder in BLS_FOLDERS {
        let names = fs.list(folder).unwrap_or_default();
        for name in names.iter().filter(|name| name.ends_with(".conf")).take(MAX_ENTRIES) {
            let text = fs.read_text(&format!("{folder}/{name}"), MAX_CONFIG_BYTES);
            entries.extend(text.ok().and_then(|text| bls::parse(&text, variables)));
        }
    }
    on(fs, entries)
}

fn extlinux_entries(fs: &Ext4) -> impl Iterator<Item = Candidate<'_>> {
    let files =
        EXTLINUX_FILES.iter().filter_map(|path| Some((path, fs.read_text(path, MAX_CONFIG_BYTES).ok()?)));
    on(fs, files.flat_map(|(path, text)| extlinux::parse(&text, path)).collect())
}

/// Kernels lying in the usual places, with the initrd of the same version. If any has one, those without are left out:
/// they are being installed just now, or were left behind.
fn plain_kernels(layout: &Layout) -> Vec<Candidate<'_>> {
    let root = Root::find(layout);
    let mut candidates: Vec<Candidate> = Vec::new();
    for (_, fs) in layout.readable() {
        for folder in KERNEL_FOLDERS {
            let names = fs.list(folder).unwrap_or_default();
            let names =
                names.iter().filter(|name| name.starts_with("vmlinuz") || name.starts_with("bzImage"));
            let folder = folder.trim_end_matches('/');
            let entries =
                names.take(MAX_ENTRIES).map(|name| plain_kernel(fs, format!("{folder}/{name}"), &root));
            candidates.extend(on(fs, entries.collect()));
        }
    }
    if candidates.iter().any(|candidate| !candidate.entry.initrds.is_empty()) {
        candidates.retain(|candidate| !candidate.entry.initrds.is_empty());
    }
    candidates
}

fn plain_kernel(fs: &Ext4, kernel: String, root: &Root) -> MenuEntry {
    // `/vmlinuz` is a link to the newest one on Debian; its initrd lies beside where it leads to.
    let path = fs.lookup(&kernel).map_or(kernel, |found| found.path);
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let suffix = name.split_once('-').map_or(String::new(), |(_, version)| format!("-{version}"));
    let initrds = [
        format!("{folder}/initrd.img{suffix}"),
        format!("{folder}/initramfs{suffix}.img"),
        format!("{folder}/initramfs{suffix}"),
        format!("{folder}/initrd{suffix}.img"),
        format!("{folder}/initrd{suffix}"),
    ];
    // One that is damaged counts as there, so that it is reported and not left out.
    let is_there = |path: &String| !matches!(fs.lookup(path), Err(LookupError::NotFound));
    let initrds: Vec<String> = initrds.into_iter().find(is_there).into_iter().collect();
    let cmdline = root.cmdline(!initrds.is_empty());
    MenuEntry { kernel: path, initrds, cmdline, ..MenuEntry::default() }
}

/// The root file system, as far as a command line tells the kernel about it.
#[derive(Default)]
struct Root {
    /// For an initrd, which looks into file systems.
    by_uuid: String,
    /// For the kernel alone, which knows partitions only.
    by_partition: String,
    /// The rest of the command line.
    options: String,
}

impl Root {
    /// The file system that has `/etc`; empty if there is none.
    fn find(layout: &Layout) -> Self {
        let root = layout.readable().find(|(_, fs)| fs.list("/etc").is_ok());
        root.map_or(Self::default(), |(volume, fs)| Self {
            by_uuid: format!("root=UUID={} ro", fs.uuid()),
            by_partition: format!("root={} ro", volume.bare_root()),
            options: default_options(fs),
        })
    }

    fn cmdline(&self, has_initrd: bool) -> String {
        if self.options.split_whitespace().any(|word| word.starts_with("root=")) {
            return self.options.clone();
        }
        let root = if has_initrd { &self.by_uuid } else { &self.by_partition };
        format!("{root} {}", self.options).trim().to_owned()
    }
}

fn default_options(fs: &Ext4) -> String {
    let folder = "/etc/default/grub.d";
    let names = fs.list(folder).unwrap_or_default();
    let names = names.iter().filter(|name| name.ends_with(".cfg")).take(MAX_DEFAULT_FILES);
    let mut variables = Variables::default();
    for path in
        ["/etc/default/grub".to_owned()].into_iter().chain(names.map(|name| format!("{folder}/{name}")))
    {
        if let Ok(text) = fs.read_text(&path, MAX_CONFIG_BYTES) {
            default_grub::parse(&text, &mut variables);
        }
    }
    default_grub::options(&variables)
}
