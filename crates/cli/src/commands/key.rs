//! `bothy key`: key pairs. The private half of one that is made here goes into a file, before anything can lose it.

use std::path::PathBuf;

use jiff::Timestamp;
use native_api::{
    CreateKeyPair, ImportKeyPair, KeyAlgorithm, KeyPair, KeyPairName, Operation, PageQuery, Tags,
};

use super::read_text;
use crate::config::{self, NewSecret};
use crate::failure::Failure;
use crate::output::{age, tags, word};
use crate::{Context, names};

/// What can be done with key pairs.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a key pair and keep its private half in ~/.config/bothy/keys
    #[command(
        after_help = "Examples:\n  bothy key create laptop\n  bothy key create old --algorithm rsa --file old.pem"
    )]
    Create {
        /// Its name
        name: KeyPairName,
        /// Its kind: ed25519, or rsa for old guests
        #[arg(long, value_name = "NAME", default_value = "ed25519", value_parser = algorithm)]
        algorithm: KeyAlgorithm,
        /// Where to keep the private half, instead of where bothy ssh looks for it. Never written over
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Import a public key
    #[command(after_help = "Examples:\n  bothy key import laptop ~/.ssh/id_ed25519.pub")]
    Import {
        /// Its name
        name: KeyPairName,
        /// The public key; - for stdin
        file: PathBuf,
    },
    /// List key pairs
    Ls,
    /// Show a key pair
    Show {
        /// The key pair, by name or id
        key: String,
    },
    /// Delete key pairs from the daemon; private halves on this machine stay
    Rm {
        /// The key pairs, by name or id
        #[arg(required = true)]
        keys: Vec<String>,
    },
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Command::Create { name, algorithm, file } => {
            let path = match file {
                Some(path) => path.clone(),
                None => config::private_key(name)?,
            };
            // First the place: a key whose private half could not be kept would be of no use to anybody.
            let place = NewSecret::create(path)?;
            let request = CreateKeyPair { name: name.clone(), algorithm: *algorithm, tags: Tags::default() };
            let made = client.create_key_pair(&request).await?;
            let path = place.keep(&made.private_key)?;
            if !context.output.json && !context.output.quiet {
                context.output.line(format!("private key in {}", path.display()))?;
            }
            // Also for programs without the private half: they have the file.
            show(context, &made.key_pair)
        }
        Command::Import { name, file } => {
            let bytes = read_text(file, 16 << 10)?;
            let text = String::from_utf8(bytes)
                .map_err(|_| Failure::usage(format!("{} is no public key", file.display())))?;
            let request = ImportKeyPair {
                name: name.clone(),
                public_key: names::given(text.trim())?,
                tags: Tags::default(),
            };
            show(context, &client.import_key_pair(&request).await?)
        }
        Command::Ls => {
            let keys: Vec<KeyPair> = client.all(Operation::ListKeyPairs, &PageQuery::default()).await?;
            let now = Timestamp::now();
            let headers = ["ID", "NAME", "KIND", "HERE", "FINGERPRINT", "AGE"];
            context.output.list(
                &keys,
                |key| key.id.to_string(),
                headers,
                |key| {
                    let is_here = config::private_key(&key.name).is_ok_and(|path| path.exists());
                    [
                        key.id.to_string(),
                        key.name.to_string(),
                        word(&key.algorithm),
                        if is_here { "yes" } else { "no" }.into(),
                        format!("SHA256:{}", key.fingerprints.sha256.trim_end_matches('=')),
                        age(key.created_at, now),
                    ]
                },
            )
        }
        Command::Show { key } => {
            let id = names::key_pair(client, key).await?;
            show(context, &client.get_key_pair(&id).await?)
        }
        Command::Rm { keys } => {
            let (_, result) = super::each(keys, async |key: &String| {
                let id = names::key_pair(client, key).await?;
                client.delete_key_pair(&id).await?;
                context.output.say(format!("deleted {id}"))
            })
            .await;
            result
        }
    }
}

fn show(context: &Context, key: &KeyPair) -> Result<(), Failure> {
    let prints = &key.fingerprints;
    context.output.one(
        key,
        key.id.as_str(),
        &[
            ("id", key.id.to_string()),
            ("name", key.name.to_string()),
            ("kind", word(&key.algorithm)),
            ("public key", key.public_key.clone()),
            ("sha256", prints.sha256.clone()),
            ("md5", prints.md5.clone()),
            ("md5 of DER", prints.der_md5.clone().unwrap_or_default()),
            ("sha1 of private DER", prints.private_sha1.clone().unwrap_or_default()),
            ("tags", tags(&key.tags)),
            ("created", key.created_at.to_string()),
        ],
    )
}

fn algorithm(text: &str) -> Result<KeyAlgorithm, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected ed25519 or rsa".into())
}
