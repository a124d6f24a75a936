//! Boot Loader Specification entries of type 1 (`loader/entries/*.conf`), with the variables Fedora and RHEL put into
//! them. <https://uapi-group.org/specifications/specs/boot_loader_specification/>
//!
//! Unified kernel images (type 2) and entries that start an EFI program are not read.

use super::menu::{MAX_INITRDS, MenuEntry};
use super::script::Variables;

/// Most `options` lines joined; people write one or two.
const MAX_OPTION_LINES: usize = 64;

/// Reads one entry; `None` when it names no kernel. `variables` are GRUB's (`$kernelopts`, `$tuned_params`).
#[must_use]
pub fn parse(text: &str, variables: &Variables) -> Option<MenuEntry> {
    let mut entry = MenuEntry::default();
    let mut options: Vec<String> = Vec::new();
    for line in text.lines() {
        let (key, value) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        let value = value.trim();
        match key {
            "title" => value.clone_into(&mut entry.title),
            "version" => value.clone_into(&mut entry.version),
            "linux" => entry.kernel = variables.expand(value),
            "initrd" => {
                let room = MAX_INITRDS - entry.initrds.len();
                entry
                    .initrds
                    .extend(variables.expand(value).split_whitespace().take(room).map(str::to_owned));
            }
            "options" if options.len() < MAX_OPTION_LINES => {
                let words = variables.expand(value);
                options.push(words.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            _ => {}
        }
    }
    options.retain(|words| !words.is_empty());
    entry.cmdline = options.join(" ");
    if entry.kernel.is_empty() { None } else { Some(entry) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_fedora() {
        let text = "title Fedora Linux (6.5.6-300.fc39.x86_64) 39 (Cloud Edition)\n\
                    version 6.5.6-300.fc39.x86_64\n\
                    linux /vmlinuz-6.5.6-300.fc39.x86_64\n\
                    initrd /initramfs-6.5.6-300.fc39.x86_64.img $tuned_initrd\n\
                    options root=UUID=1c2d ro rootflags=subvol=root $tuned_params\n\
                    grub_users $grub_users\ngrub_arg --unrestricted\ngrub_class fedora\n";
        let entry = parse(text, &Variables::default()).unwrap();
        assert_eq!(entry.title, "Fedora Linux (6.5.6-300.fc39.x86_64) 39 (Cloud Edition)");
        assert_eq!(entry.version, "6.5.6-300.fc39.x86_64");
        assert_eq!(entry.kernel, "/vmlinuz-6.5.6-300.fc39.x86_64");
        assert_eq!(entry.initrds, ["/initramfs-6.5.6-300.fc39.x86_64.img"]);
        assert_eq!(entry.cmdline, "root=UUID=1c2d ro rootflags=subvol=root");
    }

    #[test]
    fn reads_rhel_with_options_in_the_environment() {
        let mut variables = Variables::default();
        variables.set("kernelopts", "root=/dev/vda3 ro crashkernel=auto");
        variables.set("tuned_initrd", "/tuned.img");
        let text = "# made by hand\ntitle\tRHEL\nlinux\t/boot/vmlinuz-4.18.0\ninitrd /boot/initramfs-4.18.0.img $tuned_initrd\n\
                    options $kernelopts\noptions  quiet\n";
        let entry = parse(text, &variables).unwrap();
        assert_eq!(entry.cmdline, "root=/dev/vda3 ro crashkernel=auto quiet");
        assert_eq!(entry.initrds, ["/boot/initramfs-4.18.0.img", "/tuned.img"]);
    }

    #[test]
    fn is_none_without_a_kernel() {
        for text in ["", "title x", "linux", "efi /EFI/x.efi", "linux $nothing"] {
            assert_eq!(parse(text, &Variables::default()), None, "{text}");
        }
        let many = format!("linux /v\n{}", "initrd /i\n".repeat(100));
        assert_eq!(parse(&many, &Variables::default()).unwrap().initrds.len(), MAX_INITRDS);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(linux|initrd|options|title)?[\\PC\n\t ]{0,200}") {
            let _ = parse(&text, &Variables::default());
        }
    }
}
