//! What is drawn by chance: ids and secrets, from the system's own source. That an id is not taken yet is seen when its
//! record is written.

use crate::secrets::Secret;

/// Letters and digits: of all the letters of base64 those that no shell, URL or configuration file changes.
const ALL: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// What the clouds' own key ids are of.
const CAPITALS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn fill(bytes: &mut [u8]) {
    // Without chance no secret may be made, and the system always has some.
    aws_lc_rs::rand::fill(bytes).expect("the system has a source of chance");
}

/// A number below `end`, each as likely as any other.
pub fn below(end: u64) -> u64 {
    let usable = u64::MAX - u64::MAX % end;
    loop {
        let mut bytes = [0; 8];
        fill(&mut bytes);
        let number = u64::from_ne_bytes(bytes);
        if number < usable {
            return number % end;
        }
    }
}

/// A secret of letters and digits, almost six bits in each.
pub fn secret(chars: usize) -> Secret {
    let mut text = String::with_capacity(chars);
    draw(ALL, chars, &mut text);
    Secret::new(text)
}

/// A prefix, and capitals and digits behind it, five bits in each.
pub fn id(prefix: &str, chars: usize) -> String {
    let mut text = prefix.to_owned();
    draw(CAPITALS, chars, &mut text);
    text
}

/// 32 hexadecimal digits.
pub fn hex() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn draw(letters: &[u8], chars: usize, text: &mut String) {
    for _ in 0..chars {
        let index = below(letters.len() as u64);
        let index = usize::try_from(index).expect("it is below a length");
        text.push(char::from(letters[index]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_letters_are_drawn_and_about_as_often() {
        let secret = secret(62 * 200);
        for letter in ALL {
            let count = secret.expose().bytes().filter(|byte| byte == letter).count();
            assert!((100..300).contains(&count), "{} {count} times", char::from(*letter));
        }
        assert_eq!(id("AKIA", 16).len(), 20);
        assert!((0..1000).all(|_| below(3) < 3));
    }
}
