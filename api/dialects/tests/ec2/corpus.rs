//! Replays the corpora of the fuzz targets `soap` and `ec2_query`, so that what fuzzing found stays found without a fuzzer; and
//! what attackers make of signed messages, the same at each run.

#[path = "../../../../tests/fuzz/fuzz_targets/signed_requests.rs"]
mod signed_requests;
#[path = "../../../../tests/fuzz/fuzz_targets/xml_edits.rs"]
mod xml_edits;

use std::fs;
use std::path::Path;

use dialects::ec2::reading;
use signed_requests::MESSAGES;

fn replay(target: &str, take: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{folder:?} is empty");
    for file in files {
        eprintln!("{}", file.display());
        take(&fs::read(file).unwrap());
    }
}

#[test]
fn requests_that_fuzzing_found_are_taken() {
    replay("soap", signed_requests::soap);
    replay("ec2_query", signed_requests::query);
}

#[test]
fn no_edit_makes_a_message_that_nobody_signed() {
    let (mut wrong, mut right) = (0, 0);
    for seed in 0..1600 {
        let message = str::from_utf8(MESSAGES[usize::try_from(seed).unwrap() % MESSAGES.len()]).unwrap();
        let edited = xml_edits::edited(message, seed);
        signed_requests::soap(edited.as_bytes());
        match reading::soap(edited.as_bytes()) {
            Ok(_) => right += u32::from(edited != message),
            Err(code) => wrong += u32::from(code == "SignatureDoesNotMatch"),
        }
    }
    // Not each edit is an attack, and what means the same is as good as what was sent.
    assert!(wrong > 40 && right > 40, "{wrong} came as far as their signatures, {right} were as good");
}

/// Short of the longest message that is taken.
const ROOM: usize = 500 << 10;

/// So many that they have this length.
fn many(length: usize, one: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for number in 0.. {
        if text.len() >= length {
            break;
        }
        text += &one(number);
    }
    text
}

/// Something in elements that declare very many name spaces.
fn nested(levels: usize, inside: &str) -> String {
    let declared =
        |level| (0..60).map(|number| format!(" xmlns:n{level}x{number}=\"u\"")).collect::<String>();
    let open: String = (0..levels).map(|level| format!("<w{}>", declared(level))).collect();
    format!("{open}{inside}{}", "</w>".repeat(levels))
}

#[test]
fn what_is_hard_to_read_is_read_soon() {
    let message = str::from_utf8(MESSAGES[1]).unwrap();
    let with_inclusive = str::from_utf8(MESSAGES[3]).unwrap();
    let header = |inside: &str| message.replacen("<u:Timestamp", &format!("{inside}<u:Timestamp"), 1);
    let body = |inside: &str| message.replacen("<groupSet>", &format!("{inside}<groupSet>"), 1);
    let leaves = many(70 << 10, |_| "<w/>".to_owned());
    let prefixes = many(ROOM, |number| format!("p{number} "));
    for (what, text) in [
        ("ids", header(&many(300 << 10, |number| format!("<w Id=\"i{number}\"/>")))),
        ("name spaces", header(&many(ROOM, |_| nested(1, "")))),
        ("nested in the header", header(&nested(25, &leaves))),
        ("nested in the body", body(&nested(24, &leaves))),
        ("entities", body(&many(ROOM, |_| "&amp;".to_owned()))),
        ("comments", body(&many(ROOM, |_| "<!---->".to_owned()))),
        ("sections", body(&many(ROOM, |_| "<![CDATA[a]]>".to_owned()))),
        ("items", body(&many(150 << 10, |_| "<item><a/></item>".to_owned()))),
        ("prefixes", with_inclusive.replacen("\"wsse\"", &format!("\"{prefixes}\""), 1)),
        ("an attribute", header(&format!("<w a=\"{}\"/>", "&lt;".repeat(ROOM / 4)))),
        ("a name", header(&format!("<{}/>", "w".repeat(ROOM)))),
        ("blanks in the certificate", message.replacen("MII", &"\n".repeat(ROOM), 1)),
    ] {
        assert_ne!(text.len(), message.len(), "{what}");
        let began = std::time::Instant::now();
        signed_requests::soap(text.as_bytes());
        // Less than one on a host that has nothing else to do; what grows with the square of its length takes minutes.
        assert!(began.elapsed().as_secs() < 20, "{what}: {:?}", began.elapsed());
    }
}
