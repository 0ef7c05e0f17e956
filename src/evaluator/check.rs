//! Proves every entry of a store.

use std::{
    collections::BTreeSet,
    fmt::{self, Display},
};

use serde::Serialize;

use super::{
    fib,
    functions::{Key, MARKS, rungs},
    pi_digits,
};
use crate::{
    cache::{Location, Survey, SurveyError},
    math::{pi_digits::BLOCK_DIGITS, residue::Prime},
};

/// The content of a store. It lists keys in full, with their prefix.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The number of entries that were read.
    pub entries: usize,
    /// The number of those that are what their keys say.
    pub proven: usize,
    /// The keys of entries whose bytes or type are not what the key says, and the key of the mark when it holds something
    /// else. They are never served: an answer that meets one evaluates it anew.
    pub bad: Vec<String>,
    /// Keys below the prefix that this version of phipi does not write.
    pub unknown: Vec<String>,
    /// The highest index that the ladder of Fibonacci numbers vouches for.
    pub mark: Option<u32>,
    /// The numbers of the rungs up to the mark that are lost. An answer that needs one evaluates it anew.
    pub lost_rungs: Vec<usize>,
    /// The number of blocks of digits of π that are vouched for.
    pub blocks: Option<u32>,
    /// The numbers of those blocks that are lost. An answer that needs one evaluates it anew.
    pub lost_blocks: Vec<usize>,
    /// The number of bad entries that were removed.
    pub removed: usize,
}

/// The report for a person.
impl Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = if self.entries == 1 { "entry" } else { "entries" };
        let (bad, unknown) = (self.bad.len(), self.unknown.len());
        writeln!(out, "{} {entries}: {} proven, {bad} bad, {unknown} unknown", self.entries, self.proven)?;
        let lost = |lost: &[usize], parts: &str| match lost.len() {
            0 => format!("none of its {parts} is lost"),
            1 => format!("1 of its {parts} is lost, and the next answer that needs it writes it again"),
            lost => format!("{lost} of its {parts} are lost, and the next answers that need them write them again"),
        };
        if let Some(mark) = self.mark {
            writeln!(out, "the ladder is vouched for up to F({mark}); {}", lost(&self.lost_rungs, "rungs"))?;
        }
        if let Some(blocks) = self.blocks {
            let digits = 1 + blocks as usize * BLOCK_DIGITS;
            let lost = lost(&self.lost_blocks, "blocks");
            writeln!(out, "π is vouched for up to {digits} digits; {lost}")?;
        }
        let bad = match (self.removed, bad) {
            (0, 1) => "1 entry is not what its key says; remove it with --repair".into(),
            (0, bad) => format!("{bad} entries are not what their keys say; remove them with --repair"),
            (_, 1) => "1 entry was not what its key says, and is removed".into(),
            (_, bad) => format!("{bad} entries were not what their keys say, and are removed"),
        };
        list(out, &bad, &self.bad)?;
        let unknown = match unknown {
            1 => "1 key is not of this version of phipi, and is left alone".into(),
            unknown => format!("{unknown} keys are not of this version of phipi, and are left alone"),
        };
        list(out, &unknown, &self.unknown)
    }
}

/// Lists keys, a line each, below a line that says what they are. Without any it writes nothing.
fn list(out: &mut fmt::Formatter<'_>, title: &str, keys: &[String]) -> fmt::Result {
    if !keys.is_empty() {
        writeln!(out, "{title}:")?;
    }
    // A terminal would obey what another program has put into the name of a key.
    keys.iter().try_for_each(|key| writeln!(out, "  {}", key.replace(char::is_control, "\u{fffd}")))
}

/// Reads every entry of the store at `location` under `prefix` and proves it; with `repair` the bad ones are removed.
/// Unknown entries are left alone. `progress` is called with the number read so far.
///
/// It may run beside processes that serve. Time: one pass over all bytes.
///
/// # Errors
/// When there is no store, or it does not answer.
pub async fn check(
    location: &Location,
    prefix: &str,
    prime: &Prime,
    repair: bool,
    progress: &mut dyn FnMut(usize),
) -> Result<Report, SurveyError> {
    let mut survey = Survey::open(location, prefix, &MARKS, repair).await?;
    let (mut report, mut seen, mut proven) = (Report::default(), BTreeSet::new(), BTreeSet::new());
    let mut unknown = BTreeSet::new();
    // Before the entries, so that the rungs that they vouch for are older.
    let mut marks = [None; MARKS.len()];
    for (ladder, mark) in marks.iter_mut().enumerate() {
        match survey.mark(ladder).await {
            Err(SurveyError::MarkIsTaken(_)) => {
                report.entries += 1;
                report.bad.push(MARKS[ladder].into());
            }
            found => *mark = found?,
        }
    }
    loop {
        if repair && report.removed < report.bad.len() {
            survey.remove(&report.bad[report.removed..]).await?;
            report.removed = report.bad.len();
        }
        progress(report.entries);
        let Some(page) = survey.next().await? else { break };
        for (name, bytes) in page {
            let key = Key::of(&name);
            // A scan may meet an entry twice.
            let is_new = key.map_or_else(|| unknown.insert(name.clone()), |key| seen.insert(key));
            report.entries += usize::from(is_new);
            match key.filter(|_| is_new) {
                None => {}
                Some(key) if bytes.is_some_and(|bytes| key.prove(&bytes, prime).is_some()) => {
                    report.proven += 1;
                    proven.extend(key.height().map(|_| key));
                }
                Some(_) => report.bad.push(name),
            }
        }
    }
    let lost = |ladder: usize| {
        let all = rungs(ladder, marks[ladder]).enumerate();
        all.filter(|(_, rung)| !proven.contains(rung)).map(|(number, _)| number).collect()
    };
    report = Report {
        mark: marks[fib::LADDER],
        lost_rungs: lost(fib::LADDER),
        blocks: marks[pi_digits::LADDER],
        lost_blocks: lost(pi_digits::LADDER),
        unknown: unknown.into_iter().collect(),
        ..report
    };
    survey.close().await?;
    for keys in [&mut report.bad, &mut report.unknown] {
        keys.iter_mut().for_each(|key| key.insert_str(0, prefix));
        keys.sort();
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_report_speaks_of_one_as_of_one() {
        let one = Report {
            entries: 1,
            bad: keys(&["phipi:1:pi:7"]),
            unknown: keys(&["phipi:\u{1b}[2J"]),
            mark: Some(300),
            lost_rungs: vec![2],
            ..Report::default()
        };
        assert_eq!(
            one.to_string(),
            "1 entry: 0 proven, 1 bad, 1 unknown\n\
             the ladder is vouched for up to F(300); 1 of its rungs is lost, and the next answer that needs it writes it \
             again\n\
             1 entry is not what its key says; remove it with --repair:\n  phipi:1:pi:7\n\
             1 key is not of this version of phipi, and is left alone:\n  phipi:\u{fffd}[2J\n"
        );
        let repaired = Report { removed: 1, unknown: Vec::new(), mark: None, ..one };
        assert_eq!(
            repaired.to_string(),
            "1 entry: 0 proven, 1 bad, 0 unknown\n1 entry was not what its key says, and is removed:\n  phipi:1:pi:7\n"
        );
    }

    #[test]
    fn the_report_speaks_of_none_and_of_several_as_of_several() {
        assert_eq!(Report::default().to_string(), "0 entries: 0 proven, 0 bad, 0 unknown\n");
        let several = Report {
            entries: 5,
            proven: 1,
            bad: keys(&["a", "b"]),
            unknown: keys(&["c", "d"]),
            mark: Some(300),
            lost_rungs: vec![1, 2],
            blocks: Some(28),
            lost_blocks: vec![3],
            removed: 2,
        };
        assert_eq!(
            several.to_string(),
            "5 entries: 1 proven, 2 bad, 2 unknown\n\
             the ladder is vouched for up to F(300); 2 of its rungs are lost, and the next answers that need them write \
             them again\n\
             π is vouched for up to 1032193 digits; 1 of its blocks is lost, and the next answer that needs it writes \
             it again\n\
             2 entries were not what their keys say, and are removed:\n  a\n  b\n\
             2 keys are not of this version of phipi, and are left alone:\n  c\n  d\n"
        );
        assert!(Report { lost_rungs: Vec::new(), ..several }.to_string().contains("none of its rungs is lost\n"));
    }
}
