//! Clouds' own clients of the metadata service, as PyPI has them, in a folder that a guest can be given: what `clients.py` of
//! the metadata service's tests needs, and that itself.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::progress::Step;
use crate::run::watched;
use crate::{packages, tree};

/// Installs them where they are not yet, and says where they are.
pub fn install() -> anyhow::Result<PathBuf> {
    let source = tree::root().join("api/metadata/tests/clients");
    let folder = tree::target().join("python/clients");
    let (requirements, installed) = (source.join("requirements.txt"), folder.join("installed"));
    let wanted =
        fs::read_to_string(&requirements).with_context(|| format!("reading {}", requirements.display()))?;
    if fs::read_to_string(&installed).ok().as_ref() != Some(&wanted) {
        packages::ensure(&["python3-pip"])?;
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        let step = Step::new("installing clouds' own clients");
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-compile", "--target"]);
        watched(pip.arg(&folder).arg("-r").arg(&requirements), &step)?;
        fs::write(&installed, wanted).with_context(|| format!("writing {}", installed.display()))?;
        step.done();
    }
    fs::copy(source.join("clients.py"), folder.join("clients.py")).context("copying clients.py")?;
    Ok(folder)
}
