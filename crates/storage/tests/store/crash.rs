//! The process killed at any moment: what it acknowledged is there and whole, and what it did not is whole or not there.

use super::volumes::MIB;
use super::*;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use storage::store::{Content, WhileInUse};

/// Images for the process that is killed, by number: each its own content.
const IMAGES: usize = 4;

/// Kills.
const ROUNDS: usize = 16;

fn image_content(number: usize) -> Vec<u8> {
    let mut content = sample(8);
    content[1 << 20] = number as u8 + 1;
    content
}

/// Does all that a store can, again and again, and says what it does: lines of a sign, a folder and a name. It says `>`
/// before it makes something and `+` when that is done; `<` before it removes something and `-` when that is done.
/// Begins where an earlier process was killed: everything is asked again.
pub fn work(folder: &Path, images: &Path) {
    let store = Store::open(folder, Limits::default()).unwrap();
    let say = |line: String| {
        // One write for one line, so that a line is whole or not there.
        std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
        std::io::stdout().flush().unwrap();
    };
    for round in 0.. {
        for number in 0..IMAGES {
            let image = store.import(&images.join(number.to_string()), None, &mut |_, _| ()).unwrap();
            say(format!("+ images {}", image.sha256));
            let volume = format!("vol-{number:08x}");
            let content = Content::Image { sha256: &image.sha256 };
            say(format!("> volumes {volume}"));
            store.create_volume(&volume, 8 * MIB, &content).unwrap();
            say(format!("+ volumes {volume}"));
            let snapshot = format!("snap-{number:08x}");
            say(format!("> snapshots {snapshot}"));
            store.snapshot(&volume, &snapshot, WhileInUse::AtOnce).unwrap();
            say(format!("+ snapshots {snapshot}"));
            let made = store.image_of(&snapshot, &mut |_, _| ()).unwrap();
            assert_eq!(made, image);
            let fresh = format!("vol-1000000{number}");
            say(format!("> volumes {fresh}"));
            store.create_volume(&fresh, 16 * MIB, &Content::Ephemeral { public_key: Some("a key") }).unwrap();
            say(format!("+ volumes {fresh}"));
        }
        for number in 0..IMAGES {
            if (round + number) % 2 == 0 {
                say(format!("< volumes vol-{number:08x}"));
                store.delete_volume(&format!("vol-{number:08x}")).unwrap();
                say(format!("- volumes vol-{number:08x}"));
                say(format!("< snapshots snap-{number:08x}"));
                store.delete_snapshot(&format!("snap-{number:08x}")).unwrap();
                say(format!("- snapshots snap-{number:08x}"));
                let fresh = format!("vol-1000000{number}");
                say(format!("< volumes {fresh}"));
                store.delete_volume(&fresh).unwrap();
                say(format!("- volumes {fresh}"));
            }
        }
    }
}

pub fn killed_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (store_folder, images) = (folder.path().join("store"), folder.path().join("sources"));
    fs::create_dir(&images).unwrap();
    let mut hashes = Vec::new();
    for number in 0..IMAGES {
        let raw = images.join("raw");
        fs::write(&raw, image_content(number)).unwrap();
        hashes.push(sha256(&raw));
        let options: &[&str] =
            if number % 2 == 0 { &["-O", "qcow2"] } else { &["-O", "vpc", "-o", "force_size=on"] };
        import::convert(&raw, &images.join(number.to_string()), options);
    }
    // True for what must be there, false for what must not.
    let mut acknowledged: BTreeMap<(String, String), bool> = BTreeMap::new();
    let mut random = Random(9);
    let mut unfinished = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("work")
            .args([&store_folder, &images])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut take = |line: String| {
            let words: Vec<&str> = line.split(' ').collect();
            let [sign, folder, name] = words[..] else { panic!("{line}") };
            let key = (folder.to_owned(), name.to_owned());
            match sign {
                "+" => _ = acknowledged.insert(key, true),
                "-" => _ = acknowledged.insert(key, false),
                // Once begun, it may be done before that is said; what is there already is not made once more.
                ">" if acknowledged.get(&key) == Some(&true) => {}
                _ => _ = acknowledged.remove(&key),
            }
        };
        for line in lines.by_ref().take(round * 3 % 40) {
            take(line.unwrap());
        }
        // Somewhere in the next thing that it does: which moment is chance anyway.
        thread::sleep(Duration::from_micros(random.next() % 20_000));
        child.kill().unwrap();
        lines.for_each(|line| take(line.unwrap()));
        child.wait().unwrap();
        unfinished += usize::from(
            fs::read_dir(store_folder.join("temporary")).is_ok_and(|mut files| files.next().is_some()),
        );

        let store = Store::open(&store_folder, Limits::default()).unwrap();
        assert_eq!(names(&store_folder.join("temporary")), [""; 0]);
        for ((folder, name), there) in &acknowledged {
            assert_eq!(store_folder.join(folder).join(name).exists(), *there, "{folder}/{name}");
        }
        // Whatever is there is whole.
        let present = store.present().unwrap();
        for image in present.images {
            assert_eq!(sha256(&store_folder.join("images").join(&image)), image);
        }
        let copies = present.snapshots.iter().map(|name| ("snapshots", name));
        for (folder, name) in copies.chain(present.volumes.iter().map(|name| ("volumes", name))) {
            let path = store_folder.join(folder).join(name);
            let number: usize = name[name.len() - 1..].parse().unwrap();
            if name.starts_with("vol-1") {
                run("e2fsck", &["-f", "-n", text(&path)]);
            } else {
                assert_eq!(sha256(&path), hashes[number], "{name}");
            }
        }
    }
    print!("{unfinished} of {ROUNDS} kills left something unfinished ... ");
    assert!(unfinished > 0, "no kill came at an interesting moment");
}
