//! `grub.cfg` as `grub-mkconfig` writes it on Debian, Ubuntu and others: menu entries with their kernel, initrds and
//! command line. Also GRUB's environment block.
//!
//! No GRUB script is run: the branches of a condition are all looked at, one after the other, and functions are skipped.
//! Which entry is GRUB's default does not matter here: the newest kernel is chosen among them.

use super::menu::{MAX_ENTRIES, MAX_INITRDS, MenuEntry};
use super::script::{Commands, Variables};

/// Deepest nesting of braces followed.
const MAX_DEPTH: usize = 64;
/// Most kernels looked at in one entry; a condition gives two.
const MAX_KERNELS: usize = 16;

/// What a `grub.cfg` says.
#[derive(Clone, Debug, Default)]
pub struct GrubConfig {
    /// Entries with a kernel, in the order of the file.
    pub entries: Vec<MenuEntry>,
    /// Variables it sets, among them the `default_kernelopts` that BLS entries may need.
    pub variables: Variables,
}

/// One `linux` command and the `initrd` that follows it. An entry has several where a condition chooses.
#[derive(Default)]
struct Kernel {
    path: String,
    initrds: Vec<String>,
    cmdline: String,
}

enum Block {
    Entry { title: String, kernels: Vec<Kernel>, fs_uuid: Option<String> },
    Function,
    Other,
}

/// Reads a `grub.cfg`; `variables` come from the environment block, or are empty. Never fails: what it does not
/// understand has no kernel in it.
#[must_use]
pub fn parse(text: &str, variables: Variables) -> GrubConfig {
    let mut config = GrubConfig { entries: Vec::new(), variables };
    let mut commands = Commands::new(text);
    let mut blocks: Vec<Block> = Vec::new();
    while let Some(words) = commands.next(&config.variables) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let words = without_keywords(&words);
        let Some((command, arguments)) = words.split_first() else { continue };
        let in_function = blocks.iter().any(|block| matches!(block, Block::Function));
        match *command {
            "}" => {
                if let Some(entry) = blocks.pop().and_then(finish) {
                    config.entries.push(entry);
                }
            }
            _ if words.last() == Some(&"{") => blocks.push(open(command, arguments)),
            _ if in_function => {}
            "set" => {
                if let Some((name, value)) =
                    arguments.first().and_then(|assignment| assignment.split_once('='))
                {
                    config.variables.set(name, value);
                }
            }
            "linux" | "linuxefi" | "linux16" => {
                if let (Some(Block::Entry { kernels, .. }), Some((path, options))) =
                    (blocks.last_mut(), arguments.split_first())
                    && kernels.len() < MAX_KERNELS
                {
                    kernels.push(Kernel {
                        path: path_of(path),
                        initrds: Vec::new(),
                        cmdline: command_line(options),
                    });
                }
            }
            "initrd" | "initrdefi" | "initrd16" => {
                if let Some(Block::Entry { kernels, .. }) = blocks.last_mut()
                    && let Some(kernel) = kernels.last_mut()
                {
                    kernel.initrds = arguments.iter().take(MAX_INITRDS).map(|path| path_of(path)).collect();
                }
            }
            "search" => {
                if let Some(Block::Entry { fs_uuid, .. }) = blocks.last_mut()
                    && arguments.iter().any(|argument| matches!(*argument, "--fs-uuid" | "-u"))
                {
                    *fs_uuid = arguments.last().map(|uuid| uuid.to_lowercase());
                }
            }
            _ => {}
        }
        if blocks.len() > MAX_DEPTH || config.entries.len() >= MAX_ENTRIES {
            break;
        }
    }
    config
}

/// Reads GRUB's environment block (`grubenv`): `name=value` lines, padded with `#`.
#[must_use]
pub fn parse_environment(text: &str) -> Variables {
    let mut variables = Variables::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.split_once('=') {
            variables.set(name, value);
        }
    }
    variables
}

/// The command behind words such as `then`, which may share its line.
fn without_keywords<'a>(words: &'a [&'a str]) -> &'a [&'a str] {
    let is_keyword = |word: &&str| matches!(*word, "then" | "else" | "do");
    let start = words.iter().position(|word| !is_keyword(word)).unwrap_or(words.len());
    &words[start..]
}

fn open(command: &str, arguments: &[&str]) -> Block {
    match command {
        "menuentry" => Block::Entry {
            title: arguments.first().filter(|title| **title != "{").map_or("", |title| title).to_owned(),
            kernels: Vec::new(),
            fs_uuid: None,
        },
        "function" => Block::Function,
        _ => Block::Other,
    }
}

/// What a closed block means. Of several kernels the first with an initrd counts: Ubuntu's cloud images first try to
/// boot without one, and rely on GRUB to come back after the panic.
fn finish(block: Block) -> Option<MenuEntry> {
    let Block::Entry { title, mut kernels, fs_uuid } = block else { return None };
    if kernels.is_empty() {
        return None;
    }
    let chosen = kernels.iter().position(|kernel| !kernel.initrds.is_empty()).unwrap_or(0);
    let Kernel { path, initrds, cmdline } = kernels.swap_remove(chosen);
    Some(MenuEntry { title, kernel: path, initrds, cmdline, fs_uuid, ..MenuEntry::default() })
}

/// A path without the device GRUB would read it from: `(hd0,gpt1)/vmlinuz` is `/vmlinuz`.
fn path_of(word: &str) -> String {
    let path =
        word.strip_prefix('(').and_then(|device| device.split_once(')')).map_or(word, |(_, path)| path);
    path.to_owned()
}

/// Words as one line. Like GRUB, quotes a word that has spaces, which the kernel understands.
fn command_line(words: &[&str]) -> String {
    let quoted = words.iter().map(|word| match word.contains(' ') {
        true => format!("\"{word}\""),
        false => (*word).to_owned(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The shape of Debian 12's file, shortened.
    const DEBIAN: &str = r#"
### BEGIN /etc/grub.d/00_header ###
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
else
   set default="0"
fi
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
function load_video {
  if [ x$feature_all_video_module = xy ]; then
    insmod all_video
  else
    insmod efi_gop
  fi
}
### BEGIN /etc/grub.d/10_linux ###
function gfxmode {
	set gfxpayload="${1}"
}
set linux_gfx_mode=
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux $menuentry_id_option 'gnulinux-simple-1' {
	load_video
	insmod gzio
	if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
	insmod part_gpt
	insmod ext2
	search --no-floppy --fs-uuid --set=root 5A0F1C2E-0000-4000-8000-000000000001
	echo	'Loading Linux 6.1.0-18-amd64 ...'
	linux	/boot/vmlinuz-6.1.0-18-amd64 root=UUID=5a0f1c2e-0000-4000-8000-000000000001 ro console=tty0 console=ttyS0,115200 dyndbg="file drivers/a.c +p" 
	echo	'Loading initial ramdisk ...'
	initrd	/boot/initrd.img-6.1.0-18-amd64
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1' {
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-18-amd64 (recovery mode)' --class debian {
		linux	/boot/vmlinuz-6.1.0-18-amd64 root=UUID=5a0f1c2e-0000-4000-8000-000000000001 ro single
		initrd	/boot/initrd.img-6.1.0-18-amd64
	}
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-9-amd64' --class debian {
		linux	/boot/vmlinuz-6.1.0-9-amd64 root=UUID=5a0f1c2e-0000-4000-8000-000000000001 ro
		initrd	/boot/initrd.img-6.1.0-9-amd64
	}
}
### BEGIN /etc/grub.d/30_uefi-firmware ###
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
	fwsetup
}
"#;

    #[test]
    fn reads_debian() {
        let entries = parse(DEBIAN, Variables::default()).entries;
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[0].title, "Debian GNU/Linux");
        assert_eq!(entries[0].kernel, "/boot/vmlinuz-6.1.0-18-amd64");
        assert_eq!(entries[0].initrds, ["/boot/initrd.img-6.1.0-18-amd64"]);
        assert_eq!(
            entries[0].cmdline,
            "root=UUID=5a0f1c2e-0000-4000-8000-000000000001 ro console=tty0 console=ttyS0,115200 \
             \"dyndbg=file drivers/a.c +p\""
        );
        assert_eq!(entries[0].fs_uuid.as_deref(), Some("5a0f1c2e-0000-4000-8000-000000000001"));
        assert!(!entries[0].is_rescue());
        assert!(entries[1].is_rescue());
        assert_eq!(entries[2].kernel, "/boot/vmlinuz-6.1.0-9-amd64");
        assert_eq!(entries[2].fs_uuid, None);
    }

    /// The shape of Ubuntu 24.04's cloud image: /boot is its own partition, first tried without an initrd.
    const UBUNTU: &str = r#"
set vt_handoff=
function gfxmode {
	set gfxpayload="${1}"
	if [ "${1}" = "keep" ]; then
		set vt_handoff=vt.handoff=7
	else
		set vt_handoff=
	fi
}
if [ "${recordfail}" != 1 ]; then set linux_gfx_mode=keep; else set linux_gfx_mode=text; fi
menuentry 'Ubuntu' --class ubuntu --class os $menuentry_id_option 'gnulinux-simple-2' {
	recordfail
	gfxmode $linux_gfx_mode
	search --no-floppy --fs-uuid --set=root 0b1c
	if [ "${initrdfail}" = 1 ]; then
	  echo	'GRUB_FORCE_PARTUUID set, initrdless boot failed. Attempting with initrd.'
	  linux	/vmlinuz-6.8.0-31-generic root=PARTUUID=1234 ro  console=tty1 console=ttyS0 $vt_handoff
	  initrd	/microcode.cpio /initrd.img-6.8.0-31-generic
	else
	  echo	'GRUB_FORCE_PARTUUID set, attempting initrdless boot.'
	  linux	/vmlinuz-6.8.0-31-generic root=PARTUUID=1234 ro  console=tty1 console=ttyS0 panic=-1
	fi
	initrdfail
}
menuentry "Memory test (memtest86+x64.efi)" { linux /memtest86+x64.efi ; }
"#;

    #[test]
    fn reads_ubuntu() {
        let entries = parse(UBUNTU, Variables::default()).entries;
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].initrds, ["/microcode.cpio", "/initrd.img-6.8.0-31-generic"]);
        assert_eq!(entries[0].cmdline, "root=PARTUUID=1234 ro console=tty1 console=ttyS0");
        assert_eq!(entries[1].kernel, "/memtest86+x64.efi");
    }

    #[test]
    fn reads_devices_and_variables() {
        let text = "set default_kernelopts=\"root=UUID=1 ro\"\nset v=6.1\n\
                    menuentry x {\nlinuxefi ($root)/vmlinuz-${v} $default_kernelopts\ninitrdefi (hd0,gpt2)/initrd\n}";
        let config = parse(text, Variables::default());
        assert_eq!(config.entries[0].kernel, "/vmlinuz-6.1");
        assert_eq!(config.entries[0].cmdline, "root=UUID=1 ro");
        assert_eq!(config.entries[0].initrds, ["/initrd"]);
        assert_eq!(config.variables.get("default_kernelopts"), Some("root=UUID=1 ro"));
    }

    #[test]
    fn reads_an_environment_block() {
        let text = "# GRUB Environment Block\nsaved_entry=abc-6.5\nkernelopts=root=UUID=1 ro quiet\n#####";
        let variables = parse_environment(text);
        assert_eq!(variables.get("kernelopts"), Some("root=UUID=1 ro quiet"));
        assert_eq!(variables.get("saved_entry"), Some("abc-6.5"));
    }

    #[test]
    fn limits_entries_and_depth() {
        let many = "menuentry x {\nlinux /v\n}\n".repeat(MAX_ENTRIES + 5);
        assert_eq!(parse(&many, Variables::default()).entries.len(), MAX_ENTRIES);
        assert!(parse(&"submenu {\n".repeat(100_000), Variables::default()).entries.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_panics(lines in proptest::collection::vec(
            prop_oneof![
                Just("menuentry 'a' {".to_owned()), Just("}".to_owned()), Just("linux /v $x ${y".to_owned()),
                Just("initrd".to_owned()), Just("search --fs-uuid".to_owned()), Just("then set x=\"$x".to_owned()),
                "\\PC{0,40}",
            ], 0..30)) {
            let _ = parse(&lines.join("\n"), Variables::default());
            let _ = parse_environment(&lines.join("\n"));
        }
    }
}
