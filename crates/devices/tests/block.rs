//! virtio-blk from the driver's side: every request, on both engines, against real files.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod driver;

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use devices::events::DeviceEvent;
use devices::virtio::block::{Block, BlockConfig, Disk, EngineChoice, OpenDiskError};
use devices::virtio::{RingPosition, VirtioDevice};
use driver::{BUFFERS, Driver, FEATURE_EVENT_IDX, FEATURE_INDIRECT, count, guest_memory, into, out};
use tempfile::TempDir;
use vm_memory::{Bytes, GuestAddress};

const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

const OK: u8 = 0;
const IOERR: u8 = 1;
const UNSUPP: u8 = 2;

const FEATURE_FLUSH: u64 = 1 << 9;

const HEADER: u64 = BUFFERS;
const STATUS: u64 = BUFFERS + 0x100;
const DATA: u64 = BUFFERS + 0x1000;

const DISK_BYTES: u64 = 4 << 20;

struct Rig {
    block: Block,
    driver: Driver,
    path: PathBuf,
    _folder: TempDir,
}

#[derive(Clone, Copy)]
struct Options {
    engine: EngineChoice,
    read_only: bool,
    direct: bool,
    features: u64,
}

const ENGINES: [EngineChoice; 2] = [EngineChoice::Best, EngineChoice::Sync];

fn options(engine: EngineChoice) -> Options {
    Options { engine, read_only: false, direct: false, features: FEATURE_FLUSH | FEATURE_INDIRECT }
}

/// A file system of the machine, not a tmpfs: those differ in what they can do.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at as u8).wrapping_mul(31) ^ (at >> 8) as u8 ^ seed).collect()
}

impl Rig {
    fn new(options: Options) -> Self {
        let folder = folder();
        let path = folder.path().join("disk");
        fs::write(&path, pattern(DISK_BYTES as usize, 7)).unwrap();
        let disk = Disk::open(&path, options.read_only, Some(options.direct)).unwrap();
        Self::with_disk(disk, options, path, folder)
    }

    fn with_disk(disk: Disk, options: Options, path: PathBuf, folder: TempDir) -> Self {
        let driver = Driver::new(&guest_memory(), 0, 256, options.features);
        let config = BlockConfig { id: "a-disk".into(), disk, events: driver.events.sink() };
        let mut block = Block::with_engine(config, options.engine);
        block.start_queue(driver.ready_at_start()).unwrap();
        Self { block, driver, path, _folder: folder }
    }

    fn header(&self, kind: u32, sector: u64) {
        let mut header = [0; 16];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..].copy_from_slice(&sector.to_le_bytes());
        self.driver.write(HEADER, &header);
        self.driver.write(STATUS, &[0xee]);
    }

    fn status(&self) -> u8 {
        self.driver.read(STATUS, 1)[0]
    }

    fn read(&mut self, sector: u64, length: u32) -> (u8, u32) {
        self.header(IN, sector);
        let used = self.driver.run(&[out(HEADER, 16), into(DATA, length), into(STATUS, 1)]);
        (self.status(), used)
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> u8 {
        self.header(OUT, sector);
        self.driver.write(DATA, bytes);
        let used = self.driver.run(&[out(HEADER, 16), out(DATA, bytes.len() as u32), into(STATUS, 1)]);
        assert_eq!(used, 1);
        self.status()
    }

    fn plain(&mut self, kind: u32) -> u8 {
        self.header(kind, 0);
        self.driver.run(&[out(HEADER, 16), into(STATUS, 1)]);
        self.status()
    }

    fn clear(&mut self, kind: u32, segments: &[(u64, u32, u32)]) -> u8 {
        self.header(kind, 0);
        let mut bytes = Vec::new();
        for (sector, sectors, flags) in segments {
            bytes.extend_from_slice(&sector.to_le_bytes());
            bytes.extend_from_slice(&sectors.to_le_bytes());
            bytes.extend_from_slice(&flags.to_le_bytes());
        }
        self.driver.write(DATA, &bytes);
        self.driver.run(&[out(HEADER, 16), out(DATA, bytes.len() as u32), into(STATUS, 1)]);
        self.status()
    }

    fn on_disk(&self, sector: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        File::open(&self.path).unwrap().read_exact_at(&mut bytes, sector * 512).unwrap();
        bytes
    }
}

/// Says so where the tests of io_uring test something else.
#[test]
fn io_uring_is_there() {
    if let Err(error) = io_uring::IoUring::new(8) {
        driver::skipped(&format!(
            "no io_uring on this machine ({error}): its engine is not tested, only the other, twice"
        ));
    }
}

#[test]
fn reads_writes_and_flushes() {
    for engine in ENGINES {
        for features in [FEATURE_FLUSH, FEATURE_FLUSH | FEATURE_EVENT_IDX, 0] {
            let mut rig = Rig::new(Options { features, ..options(engine) });
            assert_eq!(rig.read(3, 1024), (OK, 1025));
            assert_eq!(rig.driver.read(DATA, 1024), rig.on_disk(3, 1024));
            let bytes = pattern(64 << 10, 99);
            assert_eq!(rig.write(1000, &bytes), OK);
            assert_eq!(rig.on_disk(1000, bytes.len()), bytes);
            assert_eq!(rig.plain(FLUSH), OK);
            let metrics = &rig.driver.metrics;
            assert_eq!((count(&metrics.requests), count(&metrics.bytes)), (3, (64 << 10) + 1024));
            assert_eq!((count(&metrics.errors), count(&metrics.malformed)), (0, 0));
            assert_eq!(metrics.latency.iter().map(count).sum::<u64>(), 3);
            let last = rig.block.stop_queue(0);
            assert_eq!(last, Some(RingPosition { next_avail: 3, next_used: 3 }));
            assert_eq!(rig.block.stop_queue(0), None);
        }
    }
}

#[test]
fn scattered_and_indirect_chains() {
    for engine in ENGINES {
        let mut rig = Rig::new(options(engine));
        rig.header(IN, 8);
        // Header in three pieces, data in odd ones, the status at the end of a data buffer.
        let chain = [
            out(HEADER, 1),
            out(HEADER + 1, 8),
            out(HEADER + 9, 7),
            into(DATA, 100),
            into(DATA + 100, 411),
            into(DATA + 511, 514),
        ];
        let head = rig.driver.add_indirect(&chain);
        rig.driver.notify();
        assert_eq!(rig.driver.used(), (head, 1025));
        assert_eq!(rig.driver.read(DATA, 1024), rig.on_disk(8, 1024));
        assert_eq!(rig.driver.read(DATA + 1024, 1), [OK]);
    }
}

#[test]
fn ids_and_unknown_requests() {
    for engine in ENGINES {
        let mut rig = Rig::new(options(engine));
        rig.header(GET_ID, 0);
        assert_eq!(rig.driver.run(&[out(HEADER, 16), into(DATA, 20), into(STATUS, 1)]), 21);
        assert_eq!(
            (rig.status(), rig.driver.read(DATA, 20)),
            (OK, b"a-disk\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec())
        );
        rig.header(GET_ID, 0);
        rig.driver.run(&[out(HEADER, 16), into(DATA, 19), into(STATUS, 1)]);
        assert_eq!(rig.status(), IOERR, "no room for it");
        for kind in [2, 3, 14, 15, 24, 0x8000_0000, u32::MAX] {
            assert_eq!(rig.plain(kind), UNSUPP, "{kind}");
        }
    }
}

#[test]
fn out_of_range_is_an_error() {
    for engine in ENGINES {
        let mut rig = Rig::new(options(engine));
        let end = DISK_BYTES / 512;
        for (sector, length, status) in [
            (end - 1, 512, OK),
            (end - 1, 1024, IOERR),
            (end, 512, IOERR),
            (u64::MAX, 512, IOERR),
            (u64::MAX / 512, 512, IOERR),
            (0, 511, IOERR),
            (0, 513, IOERR),
        ] {
            assert_eq!(rig.read(sector, length).0, status, "read {length} at {sector}");
            let bytes = pattern(length as usize, 1);
            assert_eq!(rig.write(sector, &bytes), status, "write {length} at {sector}");
        }
        assert_eq!(rig.path.metadata().unwrap().len(), DISK_BYTES);
        assert!(rig.driver.events.all().is_empty(), "a driver's mistake is not the operator's business");
    }
}

#[test]
fn a_read_only_disk_stays_as_it_is() {
    for engine in ENGINES {
        let mut rig = Rig::new(Options { read_only: true, ..options(engine) });
        assert_ne!(rig.block.identity().features & 1 << 5, 0);
        assert_eq!(rig.block.identity().features & (1 << 13 | 1 << 14), 0);
        assert_eq!(rig.read(0, 512).0, OK);
        assert_eq!(rig.write(0, &[1; 512]), IOERR);
        assert_eq!(rig.clear(DISCARD, &[(0, 8, 0)]), IOERR);
        assert_eq!(rig.clear(WRITE_ZEROES, &[(0, 8, 0)]), IOERR);
        assert_eq!(rig.plain(FLUSH), OK);
        assert_eq!(fs::read(&rig.path).unwrap(), pattern(DISK_BYTES as usize, 7));
    }
}

#[test]
fn discard_and_write_zeroes() {
    for engine in ENGINES {
        let mut rig = Rig::new(options(engine));
        let before = rig.path.metadata().unwrap().blocks();
        assert_eq!(rig.clear(DISCARD, &[(0, 1024, 0), (2048, 1024, 0)]), OK);
        assert!(rig.path.metadata().unwrap().blocks() < before, "the space is given back");
        assert_eq!(rig.on_disk(1024, 512 * 1024), pattern(DISK_BYTES as usize, 7)[512 * 1024..1024 * 1024]);
        for (sector, flags) in [(1024, 0), (1536, 1)] {
            assert_eq!(rig.clear(WRITE_ZEROES, &[(sector, 512, flags)]), OK);
            assert_eq!(rig.on_disk(sector, 512 * 512), vec![0; 512 * 512]);
        }
        // Not on a page's edge.
        assert_eq!(rig.clear(WRITE_ZEROES, &[(4001, 3, 0), (5001, 1, 1), (0, 0, 0)]), OK);
        assert_eq!(rig.on_disk(4001, 512 * 3), vec![0; 512 * 3]);
        assert_eq!(rig.on_disk(4004, 512), pattern(DISK_BYTES as usize, 7)[4004 * 512..4005 * 512]);
        assert_eq!(rig.path.metadata().unwrap().len(), DISK_BYTES);
    }
}

#[test]
fn discard_and_write_zeroes_against_the_rules() {
    for engine in ENGINES {
        let mut rig = Rig::new(options(engine));
        for kind in [DISCARD, WRITE_ZEROES] {
            assert_eq!(rig.clear(kind, &[(0, 1, 2)]), UNSUPP, "reserved flag");
            assert_eq!(rig.clear(kind, &[(DISK_BYTES / 512, 1, 0)]), IOERR);
            assert_eq!(rig.clear(kind, &[(u64::MAX, u32::MAX, 0)]), IOERR);
            assert_eq!(rig.clear(kind, &[(0, 0x20_0001, 0)]), IOERR, "more than max_*_sectors");
            assert_eq!(rig.clear(kind, &[(0, 1, 0); 17]), IOERR, "more than max_*_seg");
            assert_eq!(rig.plain(kind), IOERR, "no segment");
        }
        assert_eq!(rig.clear(DISCARD, &[(0, 1, 1)]), UNSUPP, "unmap is reserved for a discard");
        rig.header(DISCARD, 0);
        rig.driver.run(&[out(HEADER, 16), out(DATA, 17), into(STATUS, 1)]);
        assert_eq!(rig.status(), IOERR);
    }
}

#[test]
fn chains_without_room_for_a_request() {
    for engine in ENGINES {
        let mut rig = Rig::new(options(engine));
        rig.header(FLUSH, 0);
        let chains = [
            vec![out(HEADER, 15), into(STATUS, 1)],
            vec![out(HEADER, 16)],
            vec![into(STATUS, 1)],
            vec![out(HEADER, 16), into(STATUS, 0)],
            vec![out(HEADER, 16), into(driver::MEMORY_BYTES as u64, 1)],
            vec![out(HEADER, 16), into(u64::MAX, 2)],
            vec![out(HEADER, 0)],
            vec![into(STATUS, 1), out(HEADER, 16)],
        ];
        for (at, chain) in chains.iter().enumerate() {
            assert_eq!(rig.driver.run(chain), 0, "{chain:?}");
            assert_eq!(count(&rig.driver.metrics.malformed), at as u64 + 1, "{chain:?}");
        }
        assert_eq!(rig.status(), 0xee, "untouched");
        assert_eq!(rig.plain(FLUSH), OK, "and the queue goes on");
    }
}

#[test]
fn direct_io_takes_any_buffer() {
    for engine in ENGINES {
        let folder = folder();
        let path = folder.path().join("disk");
        fs::write(&path, pattern(DISK_BYTES as usize, 7)).unwrap();
        let disk = match Disk::open(&path, false, Some(true)) {
            Ok(disk) => disk,
            Err(error) => return driver::skipped(&format!("no direct I/O here: {error}")),
        };
        let mut rig = Rig::with_disk(disk, Options { direct: true, ..options(engine) }, path, folder);
        for (offset, length) in [(0, 4096), (0, 512), (1, 512), (0x203, 200 << 10)] {
            let at = DATA + offset;
            let bytes = pattern(length, 50);
            rig.driver.write(at, &bytes);
            rig.header(OUT, 16);
            rig.driver.run(&[out(HEADER, 16), out(at, length as u32), into(STATUS, 1)]);
            assert_eq!(
                (rig.status(), rig.on_disk(16, length) == bytes),
                (OK, true),
                "write {length} from {at:#x}"
            );
            rig.driver.write(at, &vec![0; length]);
            rig.header(IN, 16);
            let half = length as u32 / 2 - 3;
            let chain = [
                out(HEADER, 16),
                into(at, half),
                into(at + u64::from(half), length as u32 - half),
                into(STATUS, 1),
            ];
            assert_eq!(rig.driver.run(&chain), length as u32 + 1);
            assert_eq!(
                (rig.status(), rig.driver.read(at, length) == bytes),
                (OK, true),
                "read {length} into {at:#x}"
            );
        }
        rig.block.stop_queue(0);
        let mut bytes = [0; 3];
        File::open(&rig.path).unwrap().read_exact(&mut bytes).unwrap();
    }
}

#[test]
fn the_file_of_a_direct_disk_can_be_read_at_any_offset_while_no_queue_runs() {
    let folder = folder();
    let path = folder.path().join("disk");
    fs::write(&path, pattern(4096, 7)).unwrap();
    let Ok(disk) = Disk::open(&path, false, Some(true)) else {
        return driver::skipped("no direct I/O here");
    };
    let driver = Driver::new(&guest_memory(), 0, 16, FEATURE_FLUSH);
    let clone = disk.try_clone().unwrap();
    let mut block = Block::new(BlockConfig { id: String::new(), disk: clone, events: driver.events.sink() });
    block.start_queue(driver.ready_at_start()).unwrap();
    block.stop_queue(0).unwrap();
    let mut byte = [0; 1];
    disk.file().read_exact_at(&mut byte, 1001).unwrap();
    assert_eq!(byte[0], pattern(4096, 7)[1001]);
}

#[test]
fn a_file_cut_short_gives_errors_and_one_event() {
    for engine in ENGINES {
        let mut rig = Rig::new(options(engine));
        File::options().write(true).open(&rig.path).unwrap().set_len(1 << 20).unwrap();
        for _ in 0..3 {
            assert_eq!(rig.read(1 << 12, 4096).0, IOERR);
        }
        assert_eq!(rig.read(0, 4096).0, OK);
        assert_eq!(count(&rig.driver.metrics.errors), 3);
        let event = DeviceEvent::DiskError { disk: "a-disk".into(), errno: libc::EIO };
        assert_eq!(rig.driver.events.all(), [event]);
    }
}

/// A file system of 1 MiB in a mount namespace of this thread, and its children: workers are started by it.
fn tiny_file_system(folder: &Path) -> nix::Result<()> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>)?;
    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some("size=1m"))
}

#[test]
fn a_full_file_system_gives_errors_and_one_event() {
    for engine in ENGINES {
        std::thread::spawn(move || {
            let folder = folder();
            if let Err(error) = tiny_file_system(folder.path()) {
                return driver::skipped(&format!("may not mount a file system here: {error}"));
            }
            let path = folder.path().join("disk");
            File::create(&path).unwrap().set_len(DISK_BYTES).unwrap();
            let disk = Disk::open(&path, false, None).unwrap();
            let mut rig = Rig::with_disk(disk, options(engine), path.clone(), folder);
            let bytes = pattern(256 << 10, 3);
            let results: Vec<u8> = (0..8).map(|at| rig.write(at * 512, &bytes)).collect();
            assert_eq!(results[..3], [OK; 3]);
            assert_eq!(results[4..], [IOERR; 4]);
            let event = DeviceEvent::DiskError { disk: "a-disk".into(), errno: libc::ENOSPC };
            assert_eq!(rig.driver.events.all(), [event]);
            // A tmpfs punches holes but zeroes no ranges: these are written.
            assert_eq!(rig.clear(DISCARD, &[(0, 1024, 0)]), OK);
            assert_eq!(rig.clear(WRITE_ZEROES, &[(1024, 511, 0)]), OK);
            assert_eq!(rig.on_disk(1024, 511 * 512), vec![0; 511 * 512]);
            assert_eq!(rig.clear(WRITE_ZEROES, &[(0, 256, 0)]), OK);
            assert_eq!(rig.write(256, &bytes[..4096]), OK);
            assert_eq!(rig.clear(WRITE_ZEROES, &[(1024, 511, 1)]), OK);
        })
        .join()
        .unwrap();
    }
}

#[test]
fn stopping_amid_requests_loses_and_repeats_none() {
    for engine in ENGINES {
        let mut rig = Rig::new(options(engine));
        let blocks = 200u64;
        let at = |block: u64| BUFFERS + 0x10000 + block * 0x2000;
        for block in 0..blocks {
            let mut header = [0; 16];
            header[0] = OUT as u8;
            header[8..].copy_from_slice(&(block * 8).to_le_bytes());
            rig.driver.write(at(block), &header);
            rig.driver.write(at(block) + 0x20, &[0xee]);
            rig.driver.write(at(block) + 0x1000, &pattern(4096, block as u8));
        }
        // As if kicked and stopped again and again by a driver that never waits.
        let mut added = 0;
        let mut finished = 0;
        let mut rounds = 0;
        while finished < blocks {
            while added < blocks && rig.driver.free_descriptors() >= 1 {
                let base = at(added);
                rig.driver.add_indirect(&[out(base, 16), out(base + 0x1000, 4096), into(base + 0x20, 1)]);
                added += 1;
                if added % 64 == 0 {
                    break;
                }
            }
            rig.driver.notify();
            let position = rig.block.stop_queue(0).unwrap();
            assert_eq!(position.next_avail, position.next_used, "nothing is in flight");
            assert_eq!(position.next_used, rig.driver.used_index());
            while let Some((_, length)) = rig.driver.try_used() {
                assert_eq!(length, 1);
                finished += 1;
            }
            rig.block.start_queue(rig.driver.ready(position)).unwrap();
            rounds += 1;
            if added == blocks && finished < blocks {
                rig.driver.used();
                finished += 1;
            }
        }
        assert!(rounds > 0);
        let position = rig.block.stop_queue(0).unwrap();
        assert_eq!(position, RingPosition { next_avail: 200, next_used: 200 });
        for block in 0..blocks {
            assert_eq!(rig.driver.read(at(block) + 0x20, 1), [OK], "request {block}");
            assert_eq!(rig.on_disk(block * 8, 4096), pattern(4096, block as u8), "request {block}");
        }
    }
}

#[test]
fn a_broken_ring_asks_for_a_reset_and_still_stops() {
    for engine in ENGINES {
        let mut rig = Rig::new(options(engine));
        rig.driver.set_avail_index(1000);
        rig.driver.notify();
        let start = std::time::Instant::now();
        // The event is told after the status bit is set.
        while rig.driver.events.all().is_empty() {
            assert!(start.elapsed() < driver::DEADLINE);
            std::thread::yield_now();
        }
        assert!(rig.driver.interrupts.status() & 64 != 0);
        assert!(matches!(rig.driver.events.all()[..], [DeviceEvent::NeedsReset { .. }]));
        assert!(rig.block.stop_queue(0).is_some());
    }
}

#[test]
fn the_configuration_space_tells_the_truth() {
    let rig = Rig::new(options(EngineChoice::Best));
    let identity = rig.block.identity();
    let mut config = vec![0; identity.config_length as usize];
    rig.block.read_config(0, &mut config);
    let u32_at = |at: usize| u32::from_le_bytes(config[at..at + 4].try_into().unwrap());
    assert_eq!(u64::from_le_bytes(config[..8].try_into().unwrap()), DISK_BYTES / 512);
    assert_eq!((u32_at(12), u32_at(20)), (254, 512));
    assert_eq!((u32_at(36), u32_at(40), u32_at(48), u32_at(52)), (1 << 21, 16, 1 << 21, 16));
    let mut two = [0; 2];
    rig.block.read_config(34, &mut two);
    assert_eq!(u16::from_le_bytes(two), 1);
}

#[test]
fn a_disk_has_one_writer_or_readers() {
    let folder = folder();
    let path = folder.path().join("disk");
    fs::write(&path, [0; 4096]).unwrap();
    let in_use = |read_only| matches!(Disk::open(&path, read_only, None), Err(OpenDiskError::InUse));

    let writer = Disk::open(&path, false, None).unwrap();
    assert!(in_use(false) && in_use(true));
    let clone = writer.try_clone().unwrap();
    drop(writer);
    assert!(in_use(false), "the clone holds the lock");
    // Closing some other descriptor of the file must not drop it, as it would with the older kind of lock.
    drop(File::open(&path).unwrap());
    assert!(in_use(false));
    drop(clone);

    let reader = Disk::open(&path, true, None).unwrap();
    let second = Disk::open(&path, true, None).unwrap();
    assert!(in_use(false));
    drop((reader, second));
    drop(Disk::open(&path, false, None).unwrap());
}

/// A loop device: a block device of our own. Detached when dropped.
struct LoopDevice {
    device: File,
    path: PathBuf,
}

impl LoopDevice {
    fn new(file: &File, block_bytes: u64) -> std::io::Result<Self> {
        const LOOP_SET_FD: libc::Ioctl = 0x4c00;
        const LOOP_SET_BLOCK_SIZE: libc::Ioctl = 0x4c09;
        const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82;
        let control = File::options().read(true).write(true).open("/dev/loop-control")?;
        let number = Self::ioctl(&control, LOOP_CTL_GET_FREE, 0)?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = File::options().read(true).write(true).open(&path)?;
        Self::ioctl(&device, LOOP_SET_FD, file.as_raw_fd() as u64)?;
        let this = Self { device, path };
        Self::ioctl(&this.device, LOOP_SET_BLOCK_SIZE, block_bytes)?;
        Ok(this)
    }

    fn ioctl(file: &File, request: libc::Ioctl, argument: u64) -> std::io::Result<libc::c_int> {
        // SAFETY: the requests used take a number, not a pointer.
        match unsafe { libc::ioctl(file.as_raw_fd(), request, argument) } {
            -1 => Err(std::io::Error::last_os_error()),
            result => Ok(result),
        }
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        const LOOP_CLR_FD: libc::Ioctl = 0x4c01;
        let _ = Self::ioctl(&self.device, LOOP_CLR_FD, 0);
    }
}

#[test]
fn block_devices() {
    for (engine, block_bytes) in ENGINES.into_iter().flat_map(|engine| [(engine, 512), (engine, 4096)]) {
        let folder = folder();
        let file = folder.path().join("disk");
        fs::write(&file, pattern(DISK_BYTES as usize, 7)).unwrap();
        let backing = File::options().read(true).write(true).open(&file).unwrap();
        let device = match LoopDevice::new(&backing, block_bytes) {
            Ok(device) => device,
            Err(error) => return driver::skipped(&format!("may not make a loop device here: {error}")),
        };
        let path = device.path.clone();
        let disk = Disk::open(&path, false, None).unwrap();
        assert!(matches!(Disk::open(&path, false, None), Err(OpenDiskError::InUse)));
        assert!(matches!(Disk::open(&path, true, None), Err(OpenDiskError::InUse)));
        // SAFETY: takes no pointer.
        let direct = |disk: &Disk| unsafe { libc::fcntl(disk.file().as_raw_fd(), libc::F_GETFL) } & libc::O_DIRECT != 0;
        assert!(!direct(&disk));
        let clone = disk.try_clone().unwrap();
        let mut rig = Rig::with_disk(disk, options(engine), path, folder);
        assert!(direct(&clone), "direct is the default for a device, while a queue runs");
        let mut config = [0; 4];
        rig.block.read_config(20, &mut config);
        assert_eq!(u64::from(u32::from_le_bytes(config)), block_bytes);
        let part = if block_bytes == 512 { OK } else { IOERR };
        assert_eq!(rig.read(1, 512).0, part, "less than a block of {block_bytes}");
        for sector in [0, 64] {
            let bytes = pattern(8192, sector as u8);
            assert_eq!(rig.write(sector, &bytes), OK);
            assert_eq!(rig.read(sector, 8192), (OK, 8193));
            assert_eq!(rig.driver.read(DATA, 8192), bytes);
        }
        assert_eq!(rig.plain(FLUSH), OK);
        for (kind, flags) in [(DISCARD, 0), (WRITE_ZEROES, 0), (WRITE_ZEROES, 1)] {
            assert_eq!(rig.write(128, &[1; 4096]), OK);
            assert_eq!(rig.clear(kind, &[(128, 64, flags)]), OK);
            assert_eq!(rig.read(128, 4096).0, OK);
            assert!(kind == DISCARD || rig.driver.read(DATA, 4096) == [0; 4096]);
        }
        rig.block.stop_queue(0);
        assert!(!direct(&clone));
        drop((rig, clone, device));
    }
}

#[test]
fn a_disk_is_free_as_soon_as_its_device_is_gone() {
    for engine in ENGINES {
        for _ in 0..20 {
            let mut rig = Rig::new(options(engine));
            assert_eq!(rig.read(0, 512).0, OK);
            let Rig { block, path, _folder, .. } = rig;
            drop(block);
            Disk::open(&path, false, None).unwrap();
        }
    }
}

#[test]
fn what_is_not_a_disk_is_refused() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("empty"), []).unwrap();
    fs::write(path("odd"), [0; 513]).unwrap();
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (path, words) in [
        (path("empty"), "empty"),
        (path("odd"), "513 bytes is not a multiple of 512"),
        (path("pipe"), "a pipe"),
        (folder.path().to_owned(), "a directory"),
        ("/dev/null".into(), "a character device"),
        (path("missing"), "refused to open"),
    ] {
        let error = Disk::open(&path, false, None).unwrap_err().to_string();
        assert!(error.contains(words), "{path:?}: {error}");
    }
    fs::write(path("disk"), [0; 4096]).unwrap();
    let read_only = File::open(path("disk")).unwrap();
    let error = Disk::from_file(read_only.try_clone().unwrap(), false, None).unwrap_err();
    assert!(matches!(error, OpenDiskError::WrongAccess(_)));
    Disk::from_file(read_only, true, None).unwrap();
    let (read, _write) = nix::unistd::pipe().unwrap();
    assert!(matches!(Disk::from_file(read.into(), true, None), Err(OpenDiskError::WrongKind("a pipe"))));
}

#[test]
fn an_inherited_descriptor_does_not_append_or_give_up() {
    let folder = folder();
    let path = folder.path().join("disk");
    fs::write(&path, [0; 4096]).unwrap();
    let file = File::options().read(true).append(true).open(&path).unwrap();
    let disk = Disk::from_file(file.try_clone().unwrap(), false, None).unwrap();
    // SAFETY: takes no pointer.
    let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
    assert_eq!(flags & (libc::O_APPEND | libc::O_NONBLOCK), 0);
    disk.file().write_all_at(&[1], 0).unwrap();
    assert_eq!(path.metadata().unwrap().len(), 4096);
    drop((disk, file));
    let mut bytes = Vec::new();
    File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes[0], 1);
}

#[test]
fn memory_over_the_seam_of_two_regions() {
    let memory = vm_memory::GuestMemoryMmap::<()>::from_ranges(&[
        (GuestAddress(0), driver::MEMORY_BYTES - 0x800),
        (GuestAddress(driver::MEMORY_BYTES as u64 - 0x800), 0x800),
    ])
    .unwrap();
    let folder = folder();
    let path = folder.path().join("disk");
    fs::write(&path, pattern(DISK_BYTES as usize, 7)).unwrap();
    let mut driver = Driver::new(&memory, 0, 256, FEATURE_FLUSH);
    let disk = Disk::open(&path, false, None).unwrap();
    let mut block = Block::new(BlockConfig { id: "x".into(), disk, events: driver.events.sink() });
    block.start_queue(driver.ready_at_start()).unwrap();
    let mut header = [0; 16];
    header[8] = 5;
    driver.write(HEADER, &header);
    let data = driver::MEMORY_BYTES as u64 - 0x1000;
    assert_eq!(driver.run(&[out(HEADER, 16), into(data, 0x1000), into(STATUS, 1)]), 0x1001);
    let mut bytes = vec![0; 0x1000];
    driver.memory.read_slice(&mut bytes, GuestAddress(data)).unwrap();
    assert_eq!(bytes, pattern(DISK_BYTES as usize, 7)[5 * 512..5 * 512 + 0x1000]);
}
