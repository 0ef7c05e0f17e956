//! Proves every entry of a store.

use std::{
    collections::BTreeSet,
    fmt::{self, Display},
};

use serde::Serialize;

use super::{
    entry::{Key, LADDER_MARK},
    question::LADDER_TOP,
};
use crate::{
    cache::{Location, Survey, SurveyError},
    math::{residue::Prime, rung::Rung},
};

/// The content of a store. It lists keys in full, with their prefix.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The number of entries that were read.
    pub entries: usize,
    /// The number of those that are what their keys say.
    pub proven: usize,
    /// The keys of entries whose bytes or type are not what the key says, and the key of the mark when it holds something
    /// of another type. They are never served: an answer that meets one evaluates it anew.
    pub bad: Vec<String>,
    /// Keys below the prefix that are none of this version of phipi.
    pub unknown: Vec<String>,
    /// The highest index that the ladder vouches for.
    pub mark: Option<u32>,
    /// The numbers of the rungs up to the mark that are lost. An answer that needs one evaluates it anew.
    pub lost_rungs: Vec<u32>,
    /// The number of bad entries that were removed.
    pub removed: usize,
}

/// The report for a person.
impl Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = if self.entries == 1 { "entry" } else { "entries" };
        let (bad, unknown) = (self.bad.len(), self.unknown.len());
        writeln!(out, "{} {entries}: {} proven, {bad} bad, {unknown} unknown", self.entries, self.proven)?;
        if let Some(mark) = self.mark {
            let lost = match self.lost_rungs.len() {
                0 => "none of its rungs is lost".into(),
                1 => "1 of its rungs is lost, and the next answer that needs it writes it again".into(),
                lost => format!("{lost} of its rungs are lost, and the next answers that need them write them again"),
            };
            writeln!(out, "the ladder is vouched for up to F({mark}); {lost}")?;
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
    let mut survey = Survey::open(location, prefix, LADDER_MARK, repair).await?;
    let (mut report, mut seen, mut rungs) = (Report::default(), BTreeSet::new(), BTreeSet::new());
    // Before the entries, so that the rungs that it vouches for are older.
    match survey.mark().await {
        Err(SurveyError::MarkIsTaken(_)) => {
            report.entries += 1;
            report.bad.push(LADDER_MARK.into());
        }
        mark => report.mark = mark?,
    }
    loop {
        if repair && report.removed < report.bad.len() {
            survey.remove(&report.bad[report.removed..]).await?;
            report.removed = report.bad.len();
        }
        progress(report.entries);
        let Some(page) = survey.next().await? else { break };
        for (name, bytes) in page {
            // A scan may meet an entry twice.
            if !seen.insert(name.clone()) {
                continue;
            }
            report.entries += 1;
            match Key::of(&name) {
                None => report.unknown.push(name),
                Some(key) if bytes.is_some_and(|bytes| key.prove(&bytes, prime).is_some()) => {
                    report.proven += 1;
                    rungs.extend(key.rung());
                }
                Some(_) => report.bad.push(name),
            }
        }
    }
    let highest = report.mark.map(|mark| mark.min(LADDER_TOP) / Rung::SPACING);
    report.lost_rungs = highest.map_or_else(Vec::new, |highest| (0..=highest).filter(|r| !rungs.contains(r)).collect());
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
            removed: 2,
        };
        assert_eq!(
            several.to_string(),
            "5 entries: 1 proven, 2 bad, 2 unknown\n\
             the ladder is vouched for up to F(300); 2 of its rungs are lost, and the next answers that need them write \
             them again\n\
             2 entries were not what their keys say, and are removed:\n  a\n  b\n\
             2 keys are not of this version of phipi, and are left alone:\n  c\n  d\n"
        );
        assert!(Report { lost_rungs: Vec::new(), ..several }.to_string().contains("none of its rungs is lost\n"));
    }
}
