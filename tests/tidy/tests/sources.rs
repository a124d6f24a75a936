//! Rules that every source file keeps.

use tidy::{files, root, texts};

/// Longest file, in lines. Past it there are two subjects in one.
const MAX_LINES: usize = 800;

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in texts("rs") {
        assert!(text.starts_with("//!"), "{} does not begin with what it is (//!)", path.display());
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines: look for the second subject", path.display());
    }
}

#[test]
fn nothing_is_left_for_later() {
    // In two halves, so that this file is no finding.
    let words = ["TO", "FIX", "XX"].iter().zip(["DO", "ME", "X"]).map(|(a, b)| format!("{a}{b}"));
    let words: Vec<String> = words
        .chain([["un", "implemented!"], ["to", "do!("], ["for ", "now"]].map(|halves| halves.concat()))
        .collect();
    for (path, text) in texts("rs") {
        for word in &words {
            assert!(!text.contains(word.as_str()), "{} has {word}", path.display());
        }
    }
}

#[test]
fn lines_end_where_their_text_ends() {
    for (path, text) in ["rs", "toml", "md", "s"].iter().flat_map(|extension| texts(extension)) {
        assert!(text.is_empty() || text.ends_with('\n'), "{}: no end of line at its end", path.display());
        // rustfmt sees to the code; what it leaves is in texts, such as a boot menu that a test reads.
        if path.extension().is_some_and(|extension| extension == "rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            assert_eq!(line.trim_end(), line, "{place}: white space at the end");
            assert!(!line.contains('\t'), "{place}: a tab");
        }
    }
}

/// Where the compiler may not check memory for us: the VMM, its devices, what confines and what probes, tests.
const MAY_BE_UNSAFE: &[&str] = &[
    "crates/vmm",
    "crates/devices",
    "crates/hostnet/src/time.rs", // the clock's state is told by a system call only
    "crates/hostnet/src/tun.rs",  // taps are made by ioctl only
    "crates/kvm-probe",
    "crates/storage/src/confined",
    "crates/storage/src/boot_disk/disk.rs", // an ioctl tells the size of a block device
    "crates/storage/src/store/image/qcow2.rs", // methods of imago's trait are called unsafe
    "crates/storage/tests",
    "crates/xtask/src/host_vm",
    "tests/fuzz",
    "tests/micro",
];

#[test]
fn unsafe_code_is_where_it_belongs() {
    let keywords = ["{", "fn ", "impl ", "extern "].map(|what| format!("{} {what}", "unsafe"));
    for (path, text) in texts("rs") {
        let allowed = MAY_BE_UNSAFE.iter().any(|folder| path.starts_with(folder));
        let is_unsafe = keywords.iter().any(|keyword| text.contains(keyword));
        assert!(allowed || !is_unsafe, "{} has unsafe code", path.display());
    }
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    // A home is written with a user's name behind it; in two halves, so that this file is no finding.
    let homes = [["/ho", "me/"], ["/Use", "rs/"]].map(|halves| halves.concat());
    for (path, text) in ["rs", "toml", "md"].iter().flat_map(|extension| texts(extension)) {
        for home in &homes {
            assert!(!text.contains(home.as_str()), "{} names a folder below {home}", path.display());
        }
        let checkout = root().display().to_string();
        assert!(checkout == "/" || !text.contains(&checkout), "{} names {checkout}", path.display());
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for (path, text) in texts("toml").into_iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
        let is_apart = path == std::path::Path::new("Cargo.toml") || path.starts_with("tests/fuzz");
        assert!(is_apart || text.contains("[lints]\nworkspace = true"), "{}", path.display());
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (path, text) in texts("md") {
        let folder = root().join(path.parent().expect("a file is in a folder"));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            // A path of Rust is followed by rustdoc, which fails where it leads nowhere.
            let is_rust = target.contains("::") && !target.contains('/');
            let is_ours = !target.is_empty() && !target.contains("://") && !is_rust;
            assert!(!is_ours || folder.join(target).exists(), "{} links to {target}", path.display());
        }
    }
}

#[test]
fn the_readme_names_every_command() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    let commands = std::fs::read_to_string(root().join("crates/xtask/src/main.rs")).expect("xtask is there");
    let (_, rest) = commands.split_once("enum Command {").expect("it has commands");
    let (variants, _) = rest.split_once("\n}").expect("it ends");
    let mut hidden = false;
    for line in variants.lines().map(str::trim) {
        match line.split_once('(') {
            Some((name, _)) if !line.starts_with('#') && !hidden => {
                let kebab = name.char_indices().fold(String::new(), |mut kebab, (index, letter)| {
                    if letter.is_uppercase() && index > 0 {
                        kebab.push('-');
                    }
                    kebab.extend(letter.to_lowercase());
                    kebab
                });
                assert!(
                    readme.contains(&format!("cargo xtask {kebab}")),
                    "the README does not mention {kebab}"
                );
            }
            _ => {}
        }
        hidden = line.contains("hide = true");
    }
}

#[test]
fn generated_files_are_not_kept() {
    let is_generated = |path: &std::path::PathBuf| path.starts_with("target") || path.ends_with(".DS_Store");
    assert!(!files().iter().any(is_generated));
}
