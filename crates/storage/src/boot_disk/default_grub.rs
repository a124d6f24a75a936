//! `/etc/default/grub` and its folder: the kernel options of a disk that has kernels but no boot menu yet.
//!
//! Assignments only; a file that computes its options by running programs is not understood, and its options are lost.

use super::script::{Commands, Variables};

/// Takes one file's assignments into `variables`, which later files may refer to.
pub fn parse(text: &str, variables: &mut Variables) {
    let mut commands = Commands::new(text);
    while let Some(words) = commands.next(variables) {
        let assignment = words.iter().find(|word| *word != "export").and_then(|word| word.split_once('='));
        if let Some((name, value)) = assignment {
            variables.set(name, value);
        }
    }
}

/// The options in the order in which `grub-mkconfig` writes them for its first entry.
#[must_use]
pub fn options(variables: &Variables) -> String {
    let names = ["GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"];
    let values = names.iter().filter_map(|name| variables.get(name)).flat_map(str::split_whitespace);
    values.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_files_as_grub_mkconfig_does() {
        let mut variables = Variables::default();
        let debian = "GRUB_DEFAULT=0\nGRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`\n\
                      GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash\"\nGRUB_CMDLINE_LINUX='net.ifnames=0'\n";
        parse(debian, &mut variables);
        parse("export GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX console=ttyS0\"\n", &mut variables);
        assert_eq!(options(&variables), "net.ifnames=0 console=ttyS0 quiet splash");
        assert_eq!(options(&Variables::default()), "");
    }
}
