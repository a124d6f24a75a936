//! The store with real images, real file systems, full disks and kills. Has its own `main`, because this program is
//! started anew as the helper that converts images, and as processes that are killed or run on other file systems.
//!
//! Tests run one after the other.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod crash;
mod downloads;
mod file_systems;
mod fresh;
mod helpers;
mod import;
mod refused;
mod volumes;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use storage::store::{CONVERT_ARGUMENT, Limits, Store, convert_main};

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("imports_every_format", import::every_format),
    ("imports_what_qemu_never_writes", import::odd_images),
    ("takes_hashes_of_content_and_file", import::expected_hashes),
    ("skips_what_is_not_there", import::sparse),
    ("makes_images_of_snapshots", import::image_of_snapshot),
    ("refuses_what_is_not_whole", refused::not_whole),
    ("refuses_other_formats", refused::other_formats),
    ("refuses_cut_off_images_anywhere", refused::cut_off_anywhere),
    ("refuses_what_is_no_file", refused::no_file),
    ("refuses_what_is_too_large", refused::too_large),
    ("a_file_that_changes_is_refused", refused::changing),
    ("a_helper_cannot_do_anything_else", helpers::misbehaviour),
    ("volumes_come_and_go", volumes::come_and_go),
    ("volumes_have_their_content", volumes::content),
    ("volumes_in_use", volumes::in_use),
    ("many_at_once", volumes::many_at_once),
    ("names_lead_nowhere", volumes::names),
    ("a_store_has_one_owner", volumes::one_owner),
    ("downloads_go_on", downloads::go_on),
    ("ephemeral_disks", fresh::ephemeral),
    ("swap_areas", fresh::swap),
    ("killed_at_any_moment", crash::killed_at_any_moment),
    ("full_disk", file_systems::full_disk),
    ("reuse_on_ext4", file_systems::ext4),
    ("reflinks_on_xfs", file_systems::xfs),
    ("reflinks_on_btrfs", file_systems::btrfs),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        [CONVERT_ARGUMENT] => convert_main(),
        [name] if name.starts_with("misbehave-") => helpers::misbehave(name),
        ["work", folder, images] => return crash::work(Path::new(folder), Path::new(images)),
        ["on-full-disk", folder] => return file_systems::on_full_disk(Path::new(folder)),
        ["on-ext4", folder] => return file_systems::on_ext4(Path::new(folder)),
        ["on-reflinks", folder] => return file_systems::on_reflinks(Path::new(folder)),
        _ => {}
    }
    // The little of the usual test runner's command line that people and tools use.
    if arguments.iter().any(|argument| argument == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    let filter = arguments.iter().skip(1).find(|argument| !argument.starts_with('-')).cloned();
    let filter = filter.unwrap_or_default();
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&filter)) {
        print!("test {name} ... ");
        let _ = std::io::stdout().flush();
        let started = std::time::Instant::now();
        test();
        println!("ok ({:.1} s)", started.elapsed().as_secs_f32());
    }
}

/// A store in a folder of its own, which goes with it.
struct Place {
    folder: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), limits).unwrap();
        Self { folder, store }
    }

    /// A path outside the store.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn image(&self, sha256: &str) -> PathBuf {
        self.path("store/images").join(sha256)
    }

    fn volume(&self, id: &str) -> Vec<u8> {
        fs::read(self.path("store/volumes").join(id)).unwrap()
    }

    #[track_caller]
    fn assert_nothing_unfinished(&self) {
        assert_eq!(names(&self.path("store/temporary")), [""; 0]);
    }

    #[track_caller]
    fn assert_empty(&self) {
        self.assert_nothing_unfinished();
        assert_eq!(self.store.present().unwrap(), storage::store::Present::default());
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Runs a program, which must succeed, and gives what it says.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn sha256(path: &Path) -> String {
    run("sha256sum", &[text(path)]).split(' ').next().unwrap().to_owned()
}

/// Numbers that look random (xorshift), the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// A disk's content with noise, text that can be compressed, zeroes, and lone bytes in places that formats care about.
fn sample(megabytes: usize) -> Vec<u8> {
    let mut random = Random(77);
    let mut content = vec![0; megabytes << 20];
    let length = content.len();
    content[..100_000].copy_from_slice(&random.bytes(100_000));
    content[3 << 20..][..700_000].copy_from_slice(&b"to be or not to be ".repeat(40_000)[..700_000]);
    content[length / 2 + 513] = 1;
    for at in (5 << 20..length - (1 << 20)).step_by(777_777) {
        content[at] = at as u8 | 1;
    }
    content[length - 1] = 9;
    content
}
