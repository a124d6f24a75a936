//! Says what a disk image boots, read in the confined helper as the VMM does:
//! `cargo run -p storage --example boot_disk -- IMAGE [FOLDER]`. Puts the kernel and the initrds into FOLDER, if given.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if argument == storage::HELPER_ARGUMENT {
        storage::helper_main();
    }
    let started = Instant::now();
    let disk = match File::open(&argument) {
        Ok(disk) => disk,
        Err(error) => {
            eprintln!("cannot open the image \"{argument}\": {error}");
            return ExitCode::FAILURE;
        }
    };
    match storage::read_boot_files(&disk, Duration::from_secs(60)) {
        Ok(files) => {
            println!("{:#?}\nread in {:?}", files.entry, started.elapsed());
            match std::env::args().nth(2).map(|folder| save(files, Path::new(&folder))) {
                Some(Err(error)) => {
                    eprintln!("cannot save the files: {error}");
                    ExitCode::FAILURE
                }
                Some(Ok(())) | None => ExitCode::SUCCESS,
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn save(mut files: storage::BootFiles, folder: &Path) -> io::Result<()> {
    io::copy(&mut files.kernel, &mut File::create(folder.join("kernel"))?)?;
    if let Some(initrd) = &mut files.initrd {
        io::copy(initrd, &mut File::create(folder.join("initrd"))?)?;
    }
    Ok(())
}
