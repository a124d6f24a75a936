//! Chance that a seed decides: SplitMix64 (Steele, Lea and Flood 2014). The same seed makes the same choices; when they meet
//! the daemon is another matter.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed; `stream` tells several of one seed apart.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        Self(mixed.next())
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Yes, in so many of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several; `None` if there is none.
    pub fn pick<T: Clone>(&mut self, all: impl IntoIterator<Item = T>) -> Option<T> {
        let all: Vec<T> = all.into_iter().collect();
        let end = u64::try_from(all.len()).ok().filter(|end| *end > 0)?;
        let index = usize::try_from(self.below(end)).ok()?;
        all.get(index).cloned()
    }

    /// One of several, each as likely as its weight.
    pub fn weighted<T: Copy>(&mut self, all: &[(u64, T)]) -> Option<T> {
        let sum: u64 = all.iter().map(|(weight, _)| weight).sum();
        let mut at = self.below(sum.max(1));
        for (weight, one) in all {
            if at < *weight {
                return Some(*one);
            }
            at -= weight;
        }
        None
    }

    /// A word that was hardly there before.
    pub fn word(&mut self) -> String {
        format!("{:016x}", self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything_and_streams_differ() {
        let numbers = |seed, stream| {
            let mut chance = Chance::new(seed, stream);
            [chance.next(), chance.next(), chance.next()]
        };
        assert_eq!(numbers(1, 2), numbers(1, 2));
        assert_ne!(numbers(1, 2), numbers(1, 3));
        assert_ne!(numbers(1, 2), numbers(2, 2));
    }

    #[test]
    fn weights_decide_how_often() {
        let mut chance = Chance::new(7, 0);
        let picked: Vec<_> =
            (0..1000).filter_map(|_| chance.weighted(&[(9, 'a'), (1, 'b'), (0, 'c')])).collect();
        let count = |letter| picked.iter().filter(|picked| **picked == letter).count();
        assert_eq!((count('a') + count('b'), count('c')), (1000, 0));
        assert!((850..950).contains(&count('a')), "{}", count('a'));
        assert_eq!(chance.pick(Vec::<u8>::new()), None);
    }
}
