//! What callers may name on the host: paths below a folder that the operator keeps for it. No path leads out: none is absolute,
//! steps upwards, passes a link, or is a URL. What is at its end is for the caller to look at.

use std::path::{Path, PathBuf};

/// Longest path below a folder.
const MAX_PATH: usize = 512;

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BelowError {
    /// It can be no such path.
    Malformed,
    /// There is nothing, or nothing that may be seen.
    Nowhere,
}

/// What is at a path below the folder. Looks at files: not for a thread that others wait for.
///
/// # Errors
///
/// The path is malformed, or leads nowhere.
pub(crate) fn below(folder: &Path, path: &str) -> Result<PathBuf, BelowError> {
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.contains(['\\', ':'])
            && !part.chars().any(char::is_control)
    };
    if path.len() > MAX_PATH || !path.split('/').all(is_plain) {
        return Err(BelowError::Malformed);
    }
    let mut found = folder.canonicalize().map_err(|error| {
        log::error!("the folder of images, {}: {error}", folder.display());
        BelowError::Nowhere
    })?;
    for part in path.split('/') {
        found.push(part);
        // Each step, as a link anywhere would lead out.
        let metadata = found.symlink_metadata().map_err(|_| BelowError::Nowhere)?;
        if metadata.is_symlink() {
            return Err(BelowError::Nowhere);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("images");
        fs::create_dir_all(inside.join("bucket/deep")).unwrap();
        fs::write(folder.path().join("secret"), b"secret").unwrap();
        fs::write(inside.join("bucket/deep/a.img"), b"a").unwrap();
        fs::write(inside.join("bucket/.hidden"), b"x").unwrap();
        symlink(folder.path().join("secret"), inside.join("bucket/link.img")).unwrap();
        symlink(folder.path(), inside.join("up")).unwrap();
        for path in ["bucket", "bucket/deep", "bucket/deep/a.img"] {
            assert!(below(&inside, path).unwrap().ends_with(path), "{path}");
        }
        let long = "a".repeat(MAX_PATH + 1);
        for (path, error) in [
            ("", BelowError::Malformed),
            ("/", BelowError::Malformed),
            ("/etc/passwd", BelowError::Malformed),
            ("..", BelowError::Malformed),
            ("bucket/../../secret", BelowError::Malformed),
            ("bucket//deep", BelowError::Malformed),
            ("bucket/.hidden", BelowError::Malformed),
            ("bucket\\deep", BelowError::Malformed),
            ("file:///etc/passwd", BelowError::Malformed),
            ("bucket/deep/a.img\0", BelowError::Malformed),
            (&long, BelowError::Malformed),
            ("none", BelowError::Nowhere),
            ("bucket/deep/a.img/more", BelowError::Nowhere),
            ("bucket/link.img", BelowError::Nowhere),
            ("up/secret", BelowError::Nowhere),
        ] {
            assert_eq!(below(&inside, path), Err(error), "{path:?}");
        }
        assert_eq!(below(&folder.path().join("nowhere"), "bucket"), Err(BelowError::Nowhere));
    }
}
