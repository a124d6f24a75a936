//! Edits of signed messages as attackers make them, and as senders may: elements moved, copied, wrapped or left out, ids given
//! to others, parts of one message in another, and what means the same written otherwise.

use super::signed_requests::MESSAGES;

/// What is put between tags.
const BETWEEN: &[&str] = &[
    "<!-- c -->",
    "<![CDATA[i-2]]>",
    " ",
    "\n",
    "&#49;",
    "&amp;",
    "x",
    "<w/>",
    "<w Id=\"body\"/>",
    "&#x0;",
    "<w xmlns=\"\">",
    "</w>",
    "]]>",
    "<?p?>",
];
/// What is put into tags.
const WITHIN: &[&str] = &[
    " Id=\"body\"",
    " Id=\"time\"",
    " ID=\"body\"",
    " id=\"token\"",
    " u:Id=\"body\"",
    " u:Id=\"time\"",
    " ",
    " xmlns=\"urn:x\"",
    " xmlns=\"\"",
    " xmlns:e=\"urn:x\"",
    " xmlns:q=\"urn:q\"",
    " xml:lang=\"en\"",
    " e:mustUnderstand=\"1\"",
    " Algorithm=\"\"",
    "\n",
];
/// What is written for one another.
const WORDS: &[&str] = &[
    "body",
    "time",
    "token",
    "#body",
    "#time",
    "#token",
    "#other",
    "\"\"",
    "Body",
    "Header",
    "Timestamp",
    "Id",
    "ID",
    "item",
    "add",
    "remove",
    "instancesSet",
    "groupSet",
    "'",
    "\"",
    "rsa-sha1",
    "rsa-sha256",
    "hmac-sha1",
    "sha1",
    "sha256",
    "xml-exc-c14n#",
    "xml-exc-c14n#WithComments",
    "enveloped-signature",
];

/// A message after some edits: the same for the same seed.
pub fn edited(text: &str, seed: u64) -> String {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut text = text.to_owned();
    for _ in 0..=random.below(3) {
        text = once(&text, &mut random);
    }
    text
}

fn once(text: &str, random: &mut Random) -> String {
    let pieces = pieces(text);
    let tags: Vec<usize> = (0..pieces.len()).filter(|place| is_start(pieces[*place])).collect();
    if tags.is_empty() {
        return text.to_owned();
    }
    let start = tags[random.below(tags.len())];
    let end = end_of(&pieces, start);
    let at = random.below(pieces.len());
    let (before, element, behind) =
        (pieces[..start].concat(), pieces[start..end].concat(), pieces[end..].concat());
    match random.below(8) {
        // Left out, wrapped, copied, moved.
        0 => before + &behind,
        1 => format!("{before}<w>{element}</w>{behind}"),
        2 => pieces[..at].concat() + &element + &pieces[at..].concat(),
        3 if at <= start => pieces[..at].concat() + &element + &pieces[at..start].concat() + &behind,
        3 if at >= end => before + &pieces[end..at].concat() + &element + &pieces[at..].concat(),
        4 => pieces[..at].concat() + BETWEEN[random.below(BETWEEN.len())] + &pieces[at..].concat(),
        5 => {
            let name = element.find([' ', '>', '/']).unwrap_or(element.len());
            let inside = WITHIN[random.below(WITHIN.len())];
            format!("{before}{}{inside}{}{behind}", &element[..name], &element[name..])
        }
        6 => {
            let (word, other) = (WORDS[random.below(WORDS.len())], WORDS[random.below(WORDS.len())]);
            let found: Vec<usize> = text.match_indices(word).map(|(place, _)| place).collect();
            match found.is_empty() {
                true => text.to_owned(),
                false => {
                    let place = found[random.below(found.len())];
                    format!("{}{other}{}", &text[..place], &text[place + word.len()..])
                }
            }
        }
        // What another message has in its place.
        _ => {
            let other = MESSAGES[random.below(MESSAGES.len())];
            let other = self::pieces(std::str::from_utf8(other).unwrap_or_default());
            let same = (0..other.len()).filter(|place| name(other[*place]) == name(pieces[start]));
            let same: Vec<usize> = same.collect();
            match same.is_empty() {
                true => text.to_owned(),
                false => {
                    let place = same[random.below(same.len())];
                    before + &other[place..end_of(&other, place)].concat() + &behind
                }
            }
        }
    }
}

/// Tags, and what is between them.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = match rest.starts_with('<') {
            true => rest.find('>').map_or(rest.len(), |end| end + 1),
            false => rest.find('<').unwrap_or(rest.len()),
        };
        pieces.push(&rest[..end]);
        rest = &rest[end..];
    }
    pieces
}

fn is_start(piece: &str) -> bool {
    piece.starts_with('<') && piece.as_bytes().get(1).is_some_and(u8::is_ascii_alphabetic)
}

/// The name of a start tag without its prefix.
fn name(piece: &str) -> Option<&str> {
    let name = piece.strip_prefix('<').filter(|_| is_start(piece))?;
    let name = &name[..name.find([' ', '>', '/', '\n']).unwrap_or(name.len())];
    Some(name.split_once(':').map_or(name, |(_, name)| name))
}

/// Behind the element that begins here.
fn end_of(pieces: &[&str], start: usize) -> usize {
    let mut depth = 0_usize;
    for (place, piece) in pieces.iter().enumerate().skip(start) {
        if is_start(piece) && !piece.ends_with("/>") {
            depth += 1;
        } else if piece.starts_with("</") {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            return place + 1;
        }
    }
    pieces.len()
}

/// Xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap_or_default()
    }
}
