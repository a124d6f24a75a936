//! `bothy certificate`: X.509 certificates of the account, whose private keys stay where they were made.

use std::path::PathBuf;

use jiff::Timestamp;
use native_api::{Certificate, Operation, PageQuery, Sha256, UploadCertificate};

use super::{each, read_text};
use crate::failure::{Exit, Failure};
use crate::output::age;
use crate::{Context, names};

/// Most bytes of a file with a certificate.
const MAX_BYTES: u64 = 16 << 10;

/// What can be done with certificates.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Register a certificate: SOAP requests of EC2's API that its key signs are the account's own from then on
    #[command(after_help = "\
Make a key and a certificate of it. No authority has to sign it, and its dates are not looked at:
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=ec2 -days 3650 -keyout pk.pem -out cert.pem

Examples:
  bothy certificate add cert.pem
  bothy certificate add cert.pem --account 123456789012       as the operator, for that account

The key has to be RSA, and stays with you; tools of then look for both where EC2_PRIVATE_KEY and
EC2_CERT say. An account may have two certificates, so that one can follow the other, and no two
accounts the same.")]
    Add {
        /// The certificate, as PEM; - for stdin
        file: PathBuf,
    },
    /// List certificates
    Ls,
    /// Delete certificates: what their keys sign is refused from then on
    #[command(after_help = "\
Which one is this?
  openssl x509 -in cert.pem -noout -fingerprint -sha256       with colons or without

Examples:
  bothy certificate ls -q | xargs bothy certificate rm")]
    Rm {
        /// Their fingerprints
        #[arg(required = true, value_parser = fingerprint)]
        fingerprints: Vec<Sha256>,
    },
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Command::Add { file } => {
            let made = client.upload_certificate(&UploadCertificate { pem: read(file)? }).await?;
            context.output.one(
                &made,
                made.fingerprint.as_str(),
                &[
                    ("fingerprint", made.fingerprint.to_string()),
                    ("account", made.account.to_string()),
                    ("created", made.created_at.to_string()),
                ],
            )
        }
        Command::Ls => {
            let certificates: Vec<Certificate> =
                client.all(Operation::ListCertificates, &PageQuery::default()).await?;
            let now = Timestamp::now();
            context.output.list(
                &certificates,
                |certificate| certificate.fingerprint.to_string(),
                ["FINGERPRINT", "AGE"],
                |certificate| [certificate.fingerprint.to_string(), age(certificate.created_at, now)],
            )
        }
        Command::Rm { fingerprints } => {
            let (_, result) = each(fingerprints, async |fingerprint: &Sha256| {
                client.delete_certificate(fingerprint).await?;
                context.output.say(format!("deleted {fingerprint}"))
            })
            .await;
            result
        }
    }
}

fn read(file: &std::path::Path) -> Result<native_api::CertificatePem, Failure> {
    let text = String::from_utf8(read_text(file, MAX_BYTES)?)
        .map_err(|_| Failure::usage(format!("{} is no certificate in PEM", file.display())))?;
    // The two lie beside each other, and this one is nobody else's business.
    if text.contains("PRIVATE KEY-----") {
        let message = format!("{} has a private key in it: it was not sent", file.display());
        return Err(Failure::new(Exit::Usage, message, "name the file with the certificate alone"));
    }
    names::given(&text)
}

/// A fingerprint as we print it, or as openssl does.
fn fingerprint(text: &str) -> Result<Sha256, String> {
    let digits = text.replace(':', "").to_ascii_lowercase();
    digits.parse().map_err(|error: native_api::TextError| error.to_string())
}
