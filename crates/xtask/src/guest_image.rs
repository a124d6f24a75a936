//! Images that a developer command imports: a small file system that nothing looks at, with a kernel beside it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use native_api::{
    Architecture, Client, ClientToken, HostPath, Image, ImageState, ImportFileSystem, ImportImage,
    ImportSource, Tags,
};

/// Longest time for an import.
const PATIENCE: Duration = Duration::from_secs(300);

/// Bytes of the file system.
const BYTES: usize = 1 << 20;

/// What boots: kernel, initial RAM disk, command line.
pub struct Boot<'a> {
    /// The kernel. The fake VMM does not look into it.
    pub kernel: &'a Path,
    /// The initial RAM disk.
    pub initrd: Option<&'a Path>,
    /// Words for the kernel, or for the fake VMM.
    pub cmdline: &'a str,
}

/// Writes a file system's file into `folder`, each `mark` one with content of its own.
pub fn write(folder: &Path, mark: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(format!("{mark}.raw"));
    let bytes: Vec<u8> = mark.bytes().cycle().take(BYTES).collect();
    std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// The request that imports `file_system` as the image `name`.
pub fn request(
    name: &str,
    file_system: &Path,
    boot: &Boot<'_>,
    client_token: Option<ClientToken>,
) -> anyhow::Result<ImportImage> {
    let host_path = |path: &Path| -> anyhow::Result<HostPath> {
        path.display().to_string().parse().with_context(|| format!("using {}", path.display()))
    };
    Ok(ImportImage {
        name: name.parse().context("naming an image")?,
        description: None,
        source: ImportSource::FileSystem(ImportFileSystem {
            path: Some(host_path(file_system)?),
            url: None,
            sha256: None,
            kernel: host_path(boot.kernel)?,
            initrd: boot.initrd.map(host_path).transpose()?,
            cmdline: Some(boot.cmdline.to_owned()),
        }),
        architecture: Architecture::X86_64,
        tags: Tags::default(),
        client_token,
    })
}

/// Imports an image, and waits until it can be launched.
pub async fn import(client: &Client, request: &ImportImage) -> anyhow::Result<Image> {
    let job = client.import_image(request).await.context("importing an image")?;
    let id = job.image.clone().context("an import has its image")?;
    let look = async || client.get_image(&id).await;
    let image = client
        .wait_until("the import's end", PATIENCE, look, |image| image.state != ImageState::Creating)
        .await
        .context("importing an image")?;
    if image.state == ImageState::Failed {
        let job = client.get_job(&job.id).await.context("asking why an import failed")?;
        bail!("the image {} could not be made: {:?}", request.name, job.error);
    }
    Ok(image)
}
