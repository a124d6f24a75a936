//! Figures of several runs of several peers, as a table for people and as JSON. The first peer is ours: each other has
//! a column with ours over its.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

/// One thing measured once.
pub struct Sample {
    pub figure: Figure,
    pub value: f64,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub better: Better,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Better {
    Less,
    More,
}

impl Sample {
    pub fn new(name: impl Into<String>, unit: &'static str, better: Better, value: f64) -> Self {
        Self { figure: Figure { name: name.into(), unit, better }, value }
    }
}

/// The column of what we want, where there is no peer: the ratio is of what there is to it.
pub const AIM: &str = "aim";

/// All samples of a benchmark.
pub struct Table {
    peers: Vec<&'static str>,
    /// In the order in which figures first came: figure, and samples by peer.
    rows: Vec<(Figure, BTreeMap<&'static str, Vec<f64>>)>,
}

impl Table {
    /// An empty one.
    pub fn new(peers: Vec<&'static str>) -> Self {
        Self { peers, rows: Vec::new() }
    }

    /// Adds what one run of a peer gave.
    pub fn add(&mut self, peer: &'static str, samples: Vec<Sample>) {
        for Sample { figure, value } in samples {
            let at = self.rows.iter().position(|(known, _)| *known == figure).unwrap_or_else(|| {
                self.rows.push((figure, BTreeMap::new()));
                self.rows.len() - 1
            });
            self.rows[at].1.entry(peer).or_default().push(value);
        }
    }

    /// Adds a sample of ours, with what it should be.
    pub fn add_aimed(
        &mut self,
        name: &str,
        unit: &'static str,
        better: Better,
        value: f64,
        aim: Option<f64>,
    ) {
        let ours = self.peers.first().copied().unwrap_or_default();
        self.add(ours, vec![Sample::new(name, unit, better, value)]);
        self.add(AIM, aim.map(|aim| Sample::new(name, unit, better, aim)).into_iter().collect());
    }

    /// Medians and ratios, to read.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let width = self.rows.iter().map(|(figure, _)| label(figure).len()).max().unwrap_or(0);
        let (ours, others) = self.peers.split_first().unwrap_or((&"", &[]));
        let _ = write!(text, "{:width$} {ours:>10}", "");
        for peer in others {
            let _ = write!(text, " {peer:>14} {:>6}", "ratio");
        }
        for (figure, samples) in &self.rows {
            let median = |peer| samples.get(peer).and_then(|samples| median(samples));
            let ours = median(*ours);
            let _ = write!(text, "\n{:width$} {:>10}", label(figure), number(ours));
            for peer in others {
                let theirs = median(*peer);
                let _ = write!(text, " {:>14} {:>6}", number(theirs), number(ratio(ours, theirs)));
            }
        }
        text
    }

    /// Everything, to keep.
    pub fn json(&self) -> Value {
        let ours = self.peers.first().copied().unwrap_or_default();
        let rows = self.rows.iter().map(|(figure, samples)| {
            let medians: BTreeMap<_, _> =
                samples.iter().filter_map(|(peer, values)| Some((*peer, median(values)?))).collect();
            let ratios: BTreeMap<_, _> = medians
                .iter()
                .filter(|(peer, _)| **peer != ours)
                .filter_map(|(peer, theirs)| Some((*peer, ratio(medians.get(ours).copied(), Some(*theirs))?)))
                .collect();
            json!({
                "figure": figure.name,
                "unit": figure.unit,
                "better": match figure.better { Better::Less => "less", Better::More => "more" },
                "samples": samples,
                "median": medians,
                "ratio": ratios,
            })
        });
        rows.collect()
    }
}

fn label(figure: &Figure) -> String {
    let better = match figure.better {
        Better::Less => '↓',
        Better::More => '↑',
    };
    format!("{better} {} ({})", figure.name, figure.unit)
}

/// The middle one, or the mean of the two in the middle.
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some((sorted[low] + sorted[high]) / 2.0)
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
    Some(ours? / theirs?).filter(|ratio| ratio.is_finite())
}

/// About three digits.
fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn a_peer_without_samples_has_no_ratio() {
        let mut table = Table::new(vec!["ours", "theirs", "absent"]);
        let sample = |value| vec![Sample::new("boot", "s", Better::Less, value)];
        table.add("ours", sample(1.0));
        table.add("theirs", sample(4.0));
        let row = &table.json()[0];
        assert_eq!(row["ratio"], json!({"theirs": 0.25}));
        assert_eq!(table.text().lines().count(), 2);
        assert!(table.text().ends_with('-'));
    }
}
