//! What instances boot: images that behave well or not, and what is to be expected of each.

use std::path::{Path, PathBuf};

use anyhow::Context;
use native_api::{Client, ImageId, UpdateImage};

use crate::guest_image::{self, Boot};

/// A kind of guest.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The image's name.
    pub name: &'static str,
    /// Words for the fake VMM or the guest's kernel.
    pub cmdline: &'static str,
    /// How often it is launched, among others.
    pub weight: u64,
    /// Whether it is running once it was started, and until it is told otherwise.
    pub well: bool,
}

const fn kind(name: &'static str, cmdline: &'static str, weight: u64, well: bool) -> Kind {
    Kind { name, cmdline, weight, well }
}

/// Of the fake VMM.
pub const FAKES: &[Kind] = &[
    kind("well", "quiet", 20, true),
    kind("slow", "fake:slow-boot-ms=400", 5, true),
    kind("talks", "fake:print=200000", 4, true),
    kind("child", "fake:child", 4, true),
    kind("stubborn", "fake:stubborn-child", 4, true),
    kind("reboots", "fake:reboot-after-ms=700", 4, true),
    kind("deaf", "fake:ignore-button", 5, true),
    kind("refuses", "fake:refuse-boot", 2, false),
    kind("dies-on-boot", "fake:die-on-boot", 3, false),
    kind("dies", "fake:die-after-ms=1500", 4, false),
    kind("faults", "fake:fault-after-ms=900", 4, false),
    kind("powers-off", "fake:power-off-after-ms=1200", 4, false),
    kind("hangs", "fake:hang-socket", 3, false),
];

/// Of the tiny guest, in base64: `sleep 99999`, `sleep 1`, and one that writes on its console and its disk. None of them
/// listens to the power button.
pub const GUESTS: &[Kind] = &[
    kind("sleeps", "console=ttyS0 quiet bothy.run=c2xlZXAgOTk5OTk=", 4, true),
    kind(
        "writes",
        "console=ttyS0 quiet bothy.run=d2hpbGUgOjsgZG8gZGF0ZTsgaGVhZCAtYyA2NTUzNiAvZGV2L3VyYW5kb20gPi9kZXYvdmRhOyBzbGVlcCAxOyBkb25l",
        3,
        true,
    ),
    kind("powers-off", "console=ttyS0 quiet bothy.run=c2xlZXAgMQ==", 2, false),
];

/// An image that everybody may launch.
#[derive(Clone, Debug)]
pub struct Base {
    pub id: ImageId,
    pub kind: Kind,
}

/// The files that images are imported from.
#[derive(Clone, Debug)]
pub struct Sources {
    pub kernel: PathBuf,
    pub initrd: Option<PathBuf>,
    folder: PathBuf,
}

impl Sources {
    /// Of a kernel and an initial RAM disk that are there, or of none.
    pub fn new(folder: &Path, guest: Option<(PathBuf, PathBuf)>) -> anyhow::Result<Self> {
        let (kernel, initrd) = match guest {
            Some((kernel, initrd)) => (kernel, Some(initrd)),
            None => (guest_image::write(folder, "kernel")?, None),
        };
        Ok(Self { kernel, initrd, folder: folder.to_owned() })
    }

    /// The request for an image of a kind, with content that only images of the same `mark` have.
    pub fn request(
        &self,
        name: &str,
        kind: &Kind,
        mark: &str,
        token: Option<native_api::ClientToken>,
    ) -> anyhow::Result<native_api::ImportImage> {
        let boot = Boot { kernel: &self.kernel, initrd: self.initrd.as_deref(), cmdline: kind.cmdline };
        guest_image::request(name, &guest_image::write(&self.folder, mark)?, &boot, token)
    }

    /// Imports each kind, for everybody.
    pub async fn import_all(&self, client: &Client, kinds: &[Kind]) -> anyhow::Result<Vec<Base>> {
        let mut all = Vec::new();
        for kind in kinds {
            // Two have the same content, as may be.
            let mark = if kind.name == "slow" { "well" } else { kind.name };
            let image = guest_image::import(client, &self.request(kind.name, kind, mark, None)?).await?;
            let public = UpdateImage { public: Some(true), ..UpdateImage::default() };
            client.update_image(&image.id, &public).await.context("sharing an image")?;
            all.push(Base { id: image.id, kind: *kind });
        }
        Ok(all)
    }
}
