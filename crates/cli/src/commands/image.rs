//! `bothy image`: import, list, show, share, remove.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use native_api::{
    Architecture, Description, Endpoint, HostPath, Image, ImageDisk, ImageQuery, ImageUrl, ImportDisk,
    ImportFileSystem, ImportImage, ImportSource, Operation, ResourceName, Sha256, Tags, UpdateImage,
};

use super::{Wait, job};
use crate::failure::{Exit, Failure};
use crate::output::{age, bytes, maybe, several, tags, word};
use crate::{Context, names};

const EXAMPLES: &str = "\
Examples:
  bothy image import debian-12.qcow2 --name debian --wait
  bothy image import https://images.example.org/debian-12.qcow2 --sha256 DIGITS --wait
  bothy image import root.img --kernel vmlinuz --initrd initrd.img --wait";

/// What can be done with images.
#[derive(clap::Subcommand)]
pub enum Command {
    Import(Box<Import>),
    /// List images
    Ls {
        /// Only those with this name
        #[arg(long)]
        name: Option<ResourceName>,
    },
    /// Show an image
    Show {
        /// The image, by name or id
        image: String,
    },
    /// Change an image
    Set {
        /// The image, by name or id
        image: String,
        /// A new name
        #[arg(long)]
        name: Option<ResourceName>,
        /// A new description
        #[arg(long)]
        description: Option<Description>,
        /// Let every account launch it, or not
        #[arg(long, value_name = "BOOL")]
        public: Option<bool>,
    },
    /// Remove images; instances of them live on
    Rm {
        /// The images, by name or id
        #[arg(required = true)]
        images: Vec<String>,
    },
}

/// Import an image from a file on the daemon's host, or from a URL that the daemon fetches; for the operator
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Import {
    /// A disk image, raw, qcow2 or VHD: a file or an http or https URL; with --kernel, a file system
    #[arg(value_name = "FILE_OR_URL")]
    file: PathBuf,
    /// What to call it. Default: the file's name without its ending
    #[arg(long)]
    name: Option<ResourceName>,
    /// What it is
    #[arg(long)]
    description: Option<Description>,
    /// What the file, or the disk in it, must hash to
    #[arg(long, value_name = "DIGITS")]
    sha256: Option<Sha256>,
    /// Boot the file with this kernel, instead of what a whole disk boots by itself
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Initial RAM disk for the kernel
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,
    /// Command line for the kernel
    #[arg(long, value_name = "TEXT", requires = "kernel")]
    cmdline: Option<String>,
    /// What processors it is for: x86_64 or i386
    #[arg(long, value_name = "NAME", default_value = "x86_64", value_parser = architecture)]
    architecture: Architecture,
    #[command(flatten)]
    wait: Wait,
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Command::Import(arguments) => import(context, arguments).await,
        Command::Ls { name } => {
            let query = ImageQuery { name: name.clone(), ..ImageQuery::default() };
            let images: Vec<Image> = client.all(Operation::ListImages, &query).await?;
            let now = Timestamp::now();
            let headers = ["ID", "NAME", "STATE", "SIZE", "BOOT", "PUBLIC", "AGE"];
            context.output.list(
                &images,
                |image| image.id.to_string(),
                headers,
                |image| {
                    [
                        image.id.to_string(),
                        image.name.to_string(),
                        word(&image.state),
                        image.bytes.map(bytes).unwrap_or_default(),
                        word(&image.boot),
                        if image.public { "yes" } else { "no" }.into(),
                        age(image.created_at, now),
                    ]
                },
            )
        }
        Command::Show { image } => {
            let id = names::image(client, image).await?;
            show(context, &client.get_image(&id).await?)
        }
        Command::Set { image, name, description, public } => {
            let id = names::image(client, image).await?;
            let change = UpdateImage {
                name: name.clone(),
                description: description.clone(),
                public: *public,
                ..UpdateImage::default()
            };
            show(context, &client.update_image(&id, &change).await?)
        }
        Command::Rm { images } => {
            let (_, result) = super::each(images, async |image: &String| {
                let id = names::image(client, image).await?;
                client.deregister_image(&id).await?;
                context.output.say(format!("removed {id}"))
            })
            .await;
            result
        }
    }
}

async fn import(context: &Context, arguments: &Import) -> Result<(), Failure> {
    let path = |path: &Path| host_path(context, path);
    let url = url_of(&arguments.file).map(names::given::<ImageUrl>).transpose()?;
    let file = if url.is_some() { None } else { Some(path(&arguments.file)?) };
    let source = match &arguments.kernel {
        Some(kernel) => ImportSource::FileSystem(ImportFileSystem {
            path: file,
            url,
            sha256: arguments.sha256.clone(),
            kernel: path(kernel)?,
            initrd: arguments.initrd.as_deref().map(path).transpose()?,
            cmdline: arguments.cmdline.clone(),
        }),
        None => ImportSource::Disk(ImportDisk { path: file, url, sha256: arguments.sha256.clone() }),
    };
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => names::given(&name_of(&arguments.file))?,
    };
    let request = ImportImage {
        name,
        description: arguments.description.clone(),
        source,
        architecture: arguments.architecture,
        tags: Tags::default(),
        client_token: None,
    };
    let begun = context.client.import_image(&request).await?;
    if !arguments.wait.wait {
        return job::show(context, &begun);
    }
    let done = job::wait_for(context, &begun.id, arguments.wait.limit()).await?;
    match &done.image {
        Some(image) => show(context, &context.client.get_image(image).await?),
        None => job::show(context, &done),
    }
}

/// The same as a URL, if it is one.
fn url_of(file: &Path) -> Option<&str> {
    file.to_str().filter(|text| text.starts_with("http://") || text.starts_with("https://"))
}

/// The name of a file without its ending; of a URL, without what is behind its path.
fn name_of(file: &Path) -> String {
    let path = match url_of(file) {
        Some(url) => Path::new(url.split(['?', '#']).next().unwrap_or_default()),
        None => file,
    };
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The path as the daemon finds it: from the root on, and through no link that this user sees and the daemon does not.
fn host_path(context: &Context, path: &Path) -> Result<HostPath, Failure> {
    let is_here = matches!(context.client.endpoint(), Endpoint::Unix(_));
    let whole = if is_here {
        path.canonicalize()
            .map_err(|error| Failure::local(format!("looking at {}", path.display()), &error))?
    } else if path.is_absolute() {
        path.to_owned()
    } else {
        let message = format!("{} is no absolute path on the daemon's host", path.display());
        return Err(Failure::new(
            Exit::Usage,
            message,
            "the daemon reads the file itself: say where it has it",
        ));
    };
    let text = whole.to_str().ok_or_else(|| Failure::usage(format!("{} is no text", whole.display())))?;
    names::given(text)
}

fn show(context: &Context, image: &Image) -> Result<(), Failure> {
    context.output.one(
        image,
        image.id.as_str(),
        &[
            ("id", image.id.to_string()),
            ("name", image.name.to_string()),
            ("description", maybe(image.description.as_ref())),
            ("state", word(&image.state)),
            ("size", image.bytes.map(bytes).unwrap_or_default()),
            ("sha256", maybe(image.sha256.as_ref())),
            ("architecture", word(&image.architecture)),
            ("boot", word(&image.boot)),
            ("data disks", several(image.data_disks.iter().map(data_disk))),
            ("public", if image.public { "yes" } else { "no" }.into()),
            ("owner", image.account.to_string()),
            ("may launch", image.launch_permissions.as_ref().map(several).unwrap_or_default()),
            ("product codes", several(&image.product_codes)),
            ("tags", tags(&image.tags)),
            ("job", maybe(image.job.as_ref())),
            ("created", image.created_at.to_string()),
        ],
    )
}

/// A data disk in a few words.
fn data_disk(disk: &ImageDisk) -> String {
    let of = disk.snapshot.as_ref().map(|snapshot| format!(" of {snapshot}")).unwrap_or_default();
    format!("{} {} GiB{of}", disk.device, disk.size_gib)
}

fn architecture(text: &str) -> Result<Architecture, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected x86_64 or i386".into())
}
