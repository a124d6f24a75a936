//! What the user keeps in `~/.config/bothy`: credentials, private keys of key pairs, host keys of instances.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use native_api::{Credentials, KeyPairName};

use crate::failure::{Exit, Failure};

/// Largest credentials file read.
const MAX_CREDENTIALS_BYTES: u64 = 64 << 10;

/// The folder: in `$XDG_CONFIG_HOME`, else in `~/.config`.
pub fn folder() -> Result<PathBuf, Failure> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let base = base.or_else(|| set("HOME").map(|home| home.join(".config")));
    base.map(|base| base.join("bothy")).ok_or_else(|| {
        Failure::new(Exit::Failed, "there is no home folder to keep keys in", "set HOME or XDG_CONFIG_HOME")
    })
}

/// The folder, made if it is not there: ssh makes the file of host keys, and no folder for it.
pub fn make_folder() -> Result<PathBuf, Failure> {
    let folder = folder()?;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|error| Failure::local(format!("making {}", folder.display()), &error))?;
    Ok(folder)
}

/// Where the private half of a key pair is, if it was made here.
pub fn private_key(name: &KeyPairName) -> Result<PathBuf, Failure> {
    Ok(folder()?.join("keys").join(name.as_str()))
}

/// A file that is only the user's and was not there before.
pub struct NewSecret {
    path: PathBuf,
    file: fs::File,
    is_kept: bool,
}

impl NewSecret {
    /// Makes it, empty, before there is anything to lose: a secret that is shown once must have its place.
    ///
    /// # Errors
    /// There is such a file, or it cannot be made.
    pub fn create(path: PathBuf) -> Result<Self, Failure> {
        let failed = |error: &io::Error| Failure::local(format!("making {}", path.display()), error);
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(|error| failed(&error))?;
        }
        match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => Ok(Self { path, file, is_kept: false }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Failure::new(
                Exit::Failed,
                format!("{} is there already and will not be written over", path.display()),
                "choose another name, or move that file away",
            )),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Writes the secret, down to the disk.
    pub fn keep(mut self, secret: &str) -> Result<PathBuf, Failure> {
        let mut write = || {
            self.file.write_all(secret.as_bytes())?;
            self.file.sync_all()
        };
        write().map_err(|error| Failure::local(format!("writing {}", self.path.display()), &error))?;
        self.is_kept = true;
        Ok(self.path.clone())
    }
}

/// One that was not needed leaves nothing behind.
impl Drop for NewSecret {
    fn drop(&mut self) {
        if !self.is_kept {
            // It is empty, and ours: if it stays, the next command says so.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The credentials in a file: lines `access_key = …`, `secret = …` and perhaps `security_token = …`.
///
/// # Errors
/// Others may read it, or it is malformed. That it is not there is no error.
pub fn credentials() -> Result<Option<Credentials>, Failure> {
    let Ok(folder) = folder() else { return Ok(None) };
    let path = folder.join("credentials");
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::local(format!("reading {}", path.display()), &error)),
    };
    let failed = |error: &io::Error| Failure::local(format!("reading {}", path.display()), error);
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(Failure::new(
            Exit::NotPermitted,
            format!(
                "{} can be read by others (mode {:o})",
                path.display(),
                metadata.permissions().mode() & 0o777
            ),
            format!("chmod 600 {}", path.display()),
        ));
    }
    let mut text = String::new();
    file.take(MAX_CREDENTIALS_BYTES).read_to_string(&mut text).map_err(|error| failed(&error))?;
    parse(&text).map(Some).map_err(|message| {
        Failure::new(
            Exit::Failed,
            format!("{}: {message}", path.display()),
            "write two lines, access_key = ID and secret = SECRET",
        )
    })
}

fn parse(text: &str) -> Result<Credentials, String> {
    let (mut access_key, mut secret, mut security_token) = (None, None, None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        // Not the line itself: it may be a secret.
        let (key, value) = line.split_once('=').ok_or("a line is no NAME = VALUE")?;
        let value = value.trim().to_owned();
        match key.trim() {
            "access_key" => access_key = Some(value.parse().map_err(|_| "access_key is no access key's id")?),
            "secret" => secret = Some(value),
            "security_token" => security_token = Some(value),
            other => return Err(format!("{other:?} is nothing that belongs here")),
        }
    }
    let access_key = access_key.ok_or("access_key is missing")?;
    Ok(Credentials { access_key, secret: secret.ok_or("secret is missing")?, security_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read() {
        let read = parse("# mine\naccess_key = AKIAIOSFODNN7EXAMPLE\nsecret=a=b\n\n").unwrap();
        assert_eq!((read.access_key.as_str(), read.secret.as_str()), ("AKIAIOSFODNN7EXAMPLE", "a=b"));
        assert_eq!(read.security_token, None);
    }

    #[test]
    fn what_is_wrong_with_credentials_is_said_without_them() {
        for text in
            ["", "access_key = x", "secret = hidden", "hidden", "access_key=AKIAIOSFODNN7EXAMPLE\nhidden = 1"]
        {
            let message = parse(text).unwrap_err();
            assert!(!message.contains("hidden") || text.ends_with("= 1"), "{message}");
        }
    }

    #[test]
    fn a_new_secret_is_private_and_never_replaces_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/laptop");
        drop(NewSecret::create(path.clone()).expect("nothing is there"));
        assert!(!path.exists(), "one that was not needed is gone");
        NewSecret::create(path.clone()).unwrap().keep("secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(NewSecret::create(path.clone()).err().unwrap().exit, Exit::Failed);
        assert_eq!(fs::read_to_string(&path).unwrap(), "secret");
    }
}
