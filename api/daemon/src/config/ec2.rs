//! What images of Amazon EC2's first years need of the host: they are bare file systems, and it is the host that has a kernel.

use std::path::{Path, PathBuf};

use compute::image_url::UrlPrefix;
use compute::resource::HostKernel;
use serde::{Deserialize, Serialize};

use super::{ReadConfigError, check_folder};

/// Kernel and initial RAM disk for images that are bare file systems (`cargo xtask image bare` makes both).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ec2 {
    /// The kernel: a bzImage or an ELF file. Left out: such images cannot be registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<PathBuf>,
    /// The initial RAM disk, which gives the disks their names of then, as `/dev/sda1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initrd: Option<PathBuf>,
    /// The kernel's command line.
    pub cmdline: String,
    /// The folder below which images are that RegisterImage of version 2007-03-01 can be asked for, as `BUCKET/IMAGE` or by a
    /// manifest beside it, `BUCKET/IMAGE.manifest.xml`, which says whose it is: `<manifest><image><name>FILE</name>
    /// <user>ACCOUNT</user></image></manifest>`. An image without a manifest is for every account. A caller gets at nothing
    /// else: steps upwards and links are refused. Only the operator should be able to write there. Left out: no image can be
    /// registered so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Folders of servers, as `https://images.example.org/debian/`, below which images and manifests are that RegisterImage can
    /// be asked for by a URL. The daemon fetches them, and follows no redirect that leads out of these folders: whoever may
    /// register images has it ask these servers and no others. Left out: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_urls: Vec<String>,
}

impl Default for Ec2 {
    fn default() -> Self {
        // Guests of then know no other name of their network interface than eth0.
        let cmdline = "root=/dev/sda1 ro console=ttyS0 net.ifnames=0".to_owned();
        Self { kernel: None, initrd: None, cmdline, images: None, image_urls: Vec::new() }
    }
}

impl Ec2 {
    pub(super) fn check(&self) -> Result<(), ReadConfigError> {
        let files = [("ec2.kernel", &self.kernel), ("ec2.initrd", &self.initrd)];
        for (name, path) in files.into_iter().filter_map(|(name, path)| Some((name, path.as_ref()?))) {
            check_file(path).map_err(|why| ReadConfigError::Value { name, why })?;
        }
        check_folder("ec2.images", self.images.as_deref())?;
        self.url_prefixes()?;
        if self.initrd.is_some() && self.kernel.is_none() {
            let why = "is of no use without ec2.kernel".to_owned();
            return Err(ReadConfigError::Value { name: "ec2.initrd", why });
        }
        if self.cmdline.len() > MAX_CMDLINE || self.cmdline.bytes().any(|byte| !(b' '..=b'~').contains(&byte))
        {
            let why =
                format!("must be at most {MAX_CMDLINE} characters of ASCII, none of them control characters");
            return Err(ReadConfigError::Value { name: "ec2.cmdline", why });
        }
        Ok(())
    }

    /// Where images may be that are registered by their location.
    ///
    /// # Errors
    ///
    /// What was given is no folder of a server.
    pub fn url_prefixes(&self) -> Result<Vec<UrlPrefix>, ReadConfigError> {
        let parse = |text: &String| {
            UrlPrefix::parse(text).map_err(|error| ReadConfigError::Value {
                name: "ec2.image_urls",
                why: format!("{text:?} {error}"),
            })
        };
        self.image_urls.iter().map(parse).collect()
    }

    /// The same for the core.
    pub fn host_kernel(&self) -> Option<HostKernel> {
        let kernel = self.kernel.clone()?;
        Some(HostKernel { kernel, initrd: self.initrd.clone(), cmdline: self.cmdline.clone() })
    }
}

/// Longest command line: Linux takes 2048 bytes, some of which the core needs to tell the names of 60 disks.
const MAX_CMDLINE: usize = 1024;

fn check_file(path: &Path) -> Result<(), String> {
    if !path.is_absolute() {
        return Err("must be an absolute path".to_owned());
    }
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(format!("{} is no file", path.display())),
        Err(error) => Err(format!("cannot look at {}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_offered_only_where_it_is_there() {
        let ours = std::env::current_exe().unwrap();
        let there = Some(ours.clone());
        assert_eq!(Ec2::default().host_kernel(), None);
        let both = Ec2 { kernel: there.clone(), initrd: there.clone(), ..Ec2::default() };
        both.check().unwrap();
        let offered = both.host_kernel().unwrap();
        assert_eq!((&offered.kernel, &offered.initrd), (&ours, &there));
        assert!(offered.cmdline.contains("root=/dev/sda1"));
        let cases = [
            (Ec2 { kernel: Some("vmlinuz".into()), ..Ec2::default() }, "ec2.kernel"),
            (Ec2 { kernel: Some("/nowhere/vmlinuz".into()), ..Ec2::default() }, "/nowhere/vmlinuz"),
            (Ec2 { kernel: Some("/".into()), ..Ec2::default() }, "no file"),
            (Ec2 { images: Some("images".into()), ..Ec2::default() }, "ec2.images"),
            (Ec2 { images: Some("/nowhere".into()), ..Ec2::default() }, "/nowhere"),
            (Ec2 { image_urls: vec!["images.example.org".into()], ..Ec2::default() }, "ec2.image_urls"),
            (Ec2 { image_urls: vec!["ftp://a.example/".into()], ..Ec2::default() }, "neither by http"),
            (Ec2 { initrd: there.clone(), ..Ec2::default() }, "without ec2.kernel"),
            (Ec2 { cmdline: "a\nb".to_owned(), ..Ec2::default() }, "ec2.cmdline"),
            (Ec2 { cmdline: "x".repeat(MAX_CMDLINE + 1), ..Ec2::default() }, "ec2.cmdline"),
        ];
        for (config, part) in cases {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(part), "{config:?}: {error}");
        }
    }
}
