//! Every entry of a store, proven.

use std::{
    collections::BTreeSet,
    fmt::{self, Display},
};

use serde::Serialize;

use super::entry::{Key, LADDER_MARK, LADDER_TOP};
use crate::{
    cache::{Location, Survey, SurveyError},
    math::{residue::Prime, rung::Rung},
};

/// What a store holds.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many entries were read.
    pub entries: usize,
    /// How many of them are what their keys say.
    pub proven: usize,
    /// The keys, after the prefix, of entries that are not. They are never served: an answer that meets one evaluates
    /// it anew.
    pub bad: Vec<String>,
    /// Keys, after the prefix, that are none of this version of phipi.
    pub unknown: Vec<String>,
    /// The highest index that the ladder vouches for.
    pub mark: Option<u32>,
    /// Rungs up to the mark that are lost. An answer that needs one evaluates it anew.
    pub lost_rungs: Vec<u32>,
    /// How many bad entries were removed.
    pub removed: usize,
}

/// For a person.
impl Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} entries, of which {} are proven", self.entries, self.proven)?;
        if let Some(mark) = self.mark {
            writeln!(
                out,
                "the ladder is vouched for up to F({mark}); {} of its rungs are lost",
                self.lost_rungs.len()
            )?;
        }
        if !self.bad.is_empty() {
            let rest = if self.removed == 0 { "remove them with --repair" } else { "they are removed" };
            writeln!(out, "{} are not what they should be; {rest}: {}", self.bad.len(), self.bad.join(", "))?;
        }
        if !self.unknown.is_empty() {
            writeln!(
                out,
                "{} are not of this version, and are left alone: {}",
                self.unknown.len(),
                self.unknown.join(", ")
            )?;
        }
        Ok(())
    }
}

/// Reads every entry of the store at `location` under `prefix` and proves it; with `repair` the bad ones are removed.
/// What is unknown is left alone. `progress` hears how many were read so far.
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
    // Before the entries, so that the rungs that it vouches for are older.
    let mut report = Report { mark: survey.mark().await?, ..Report::default() };
    let (mut seen, mut rungs) = (BTreeSet::new(), BTreeSet::new());
    while let Some(page) = survey.next().await? {
        let before = report.bad.len();
        for (name, bytes) in page {
            // A scan may meet an entry twice.
            if !seen.insert(name.clone()) {
                continue;
            }
            report.entries += 1;
            match Key::of(&name) {
                None => report.unknown.push(name),
                Some(key) if key.prove(&bytes, prime).is_none() => report.bad.push(name),
                Some(key) => {
                    report.proven += 1;
                    rungs.extend(key.rung());
                }
            }
        }
        if repair && report.bad.len() > before {
            survey.remove(&report.bad[before..]).await?;
            report.removed = report.bad.len();
        }
        progress(report.entries);
    }
    let highest = report.mark.map(|mark| mark.min(LADDER_TOP) / Rung::SPACING);
    report.lost_rungs = highest.map_or_else(Vec::new, |highest| (0..=highest).filter(|r| !rungs.contains(r)).collect());
    survey.close().await?;
    report.bad.sort();
    report.unknown.sort();
    Ok(report)
}
