//! Key pairs against the programs that people use with them: OpenSSH's ssh-keygen, and openssl.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use compute::key_pair::{Algorithm, Fingerprints, ImportError, MAX_KEY_CHARS, PublicKey, generate};
use proptest::prelude::*;

/// What a program prints, given `input`.
fn ask(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    let mut child =
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(program);
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    output.stdout
}

fn text(program: &str, arguments: &[&str], input: &[u8]) -> String {
    String::from_utf8(ask(program, arguments, input)).unwrap()
}

/// A file that only its owner may read, as ssh-keygen wants a private key to be.
fn private_file(folder: &Path, contents: &str) -> PathBuf {
    let path = folder.join("key");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(contents.as_bytes()).unwrap();
    path
}

/// The fingerprint in a line of `ssh-keygen -l`: `2048 MD5:… comment (RSA)`.
fn keygen_fingerprint(public: &str, hash: &str) -> String {
    let line = text("ssh-keygen", &["-l", "-f", "/dev/stdin", "-E", hash], public.as_bytes());
    line.split(' ').nth(1).unwrap().split_once(':').unwrap().1.to_owned()
}

/// The digest that openssl prints as `MD5(stdin)= 91:bc:…`.
fn openssl_digest(hash: &str, bytes: &[u8]) -> String {
    let line = text("openssl", &["dgst", "-c", hash], bytes);
    line.trim_end().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_new_pair_is_what_ssh_keygen_and_openssl_take_it_for() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
        let pair = generate(algorithm);
        let public = pair.public.to_string();
        assert_eq!(pair.public.algorithm(), algorithm);

        let file = private_file(folder.path(), pair.private.ssh.expose());
        let derived = text("ssh-keygen", &["-y", "-f", file.to_str().unwrap()], b"");
        assert_eq!(derived.trim_end(), public);
        std::fs::remove_file(file).unwrap();

        assert_eq!(pair.fingerprints.md5, keygen_fingerprint(&public, "md5"));
        let sha256 = keygen_fingerprint(&public, "sha256");
        assert_eq!(pair.fingerprints.sha256.trim_end_matches('='), sha256);

        let pkcs8 = pair.private.pkcs8.expose().as_bytes();
        assert_eq!(&ask("openssl", &["pkey"], pkcs8), pkcs8, "as openssl itself would write it");
        if algorithm == Algorithm::Rsa {
            assert!(pair.private.ssh.expose().starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
            let traditional = ask("openssl", &["pkey", "-traditional"], pkcs8);
            assert_eq!(traditional, pair.private.ssh.expose().as_bytes());
            // As EC2's own documentation tells people to check them.
            let der = ask("openssl", &["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"], &traditional);
            assert_eq!(pair.fingerprints.ec2(), openssl_digest("-sha1", &der));
            let der = ask("openssl", &["pkey", "-pubout", "-outform", "DER"], &traditional);
            let imported = Fingerprints::of(&public.parse().unwrap());
            assert_eq!(imported.ec2(), openssl_digest("-md5", &der));
            assert_eq!(imported.md5, pair.fingerprints.md5);
        } else {
            assert_eq!(pair.fingerprints.ec2(), pair.fingerprints.sha256);
        }
    }
}

#[test]
fn what_is_private_is_not_printed() {
    let printed = format!("{:?}", generate(Algorithm::Ed25519));
    assert!(printed.contains("[secret]") && !printed.contains("PRIVATE KEY"), "{printed}");
}

#[test]
fn a_key_is_read_in_every_form_that_tools_write() {
    for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
        let pair = generate(algorithm);
        let line = pair.public.to_string();
        let mut forms = vec![
            format!("{line}\n"),
            format!("  {line} somebody@somewhere  and more\r\n"),
            text("ssh-keygen", &["-e", "-m", "RFC4716", "-f", "/dev/stdin"], line.as_bytes()),
        ];
        let continued = forms[2].replacen("Comment: ", "Subject: a \\\n  b\nComment: ", 1);
        assert_ne!(continued, forms[2]);
        forms.push(continued);
        if algorithm == Algorithm::Rsa {
            let pem = text("openssl", &["pkey", "-pubout"], pair.private.pkcs8.expose().as_bytes());
            forms.push(pem.lines().filter(|line| !line.starts_with('-')).collect());
            forms.push(pem.replace('\n', "\r\n"));
            forms.push(pem);
        }
        for form in forms {
            assert_eq!(form.parse(), Ok(pair.public.clone()), "{form}");
        }
        let record = serde_json::to_string(&pair.public).unwrap();
        assert_eq!(record, format!("\"{line}\""));
        assert_eq!(serde_json::from_str::<PublicKey>(&record).unwrap(), pair.public);
    }
}

#[test]
fn what_is_no_usable_key_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, kind: &[&str]| {
        let path = folder.path().join(name);
        let fixed = ["-q", "-N", "", "-f", path.to_str().unwrap()];
        ask("ssh-keygen", &[&fixed, kind].concat(), b"");
        std::fs::read_to_string(path.with_extension("pub")).unwrap()
    };
    let refused = |text: &str| text.parse::<PublicKey>().unwrap_err();
    let ecdsa = made("ecdsa", &["-t", "ecdsa"]);
    assert_eq!(refused(&ecdsa), ImportError::Algorithm("ecdsa-sha2-nistp256".to_owned()));
    let pair = generate(Algorithm::Ed25519);
    assert_eq!(refused(pair.private.ssh.expose()), ImportError::Private);
    assert_eq!(refused(pair.private.pkcs8.expose()), ImportError::Private);
    assert_eq!(refused(&"A".repeat(MAX_KEY_CHARS + 1)), ImportError::TooLong);
    let whole = pair.public.to_string();
    let rsa = generate(Algorithm::Rsa).public.to_string();
    let cut = [&whole[..whole.len() - 4], &rsa[..rsa.len() - 4]];
    for text in ["", " ", "ssh-rsa", "hello world", "ssh-ed25519 AAAA", "====", "----"].iter().chain(&cut) {
        assert_eq!(refused(text), ImportError::Malformed, "{text:?}");
    }
    // Several keys, or a key with a command before it, would say more in a guest than they should.
    for text in [format!("{whole}\n{rsa}"), format!("command=\"id\" {whole}"), format!("{whole}\n\nrogue")] {
        assert_eq!(refused(&text), ImportError::Malformed, "{text:?}");
    }
}

#[test]
fn a_weak_key_is_refused() {
    // 512 bits, by `openssl genrsa 512 | openssl rsa -pubout`.
    let weak = "-----BEGIN PUBLIC KEY-----\n\
                MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf\n\
                9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==\n\
                -----END PUBLIC KEY-----\n";
    assert_eq!(weak.parse::<PublicKey>(), Err(ImportError::Weak(512)));
}

proptest! {
    #[test]
    fn nothing_makes_reading_panic(text in "(ssh-(rsa|ed25519) )?[ -~\n]{0,200}", bytes: Vec<u8>) {
        let _ = text.parse::<PublicKey>();
        let _ = String::from_utf8_lossy(&bytes).parse::<PublicKey>();
    }
}
