//! Which files of a source are taken: by pattern, and by age.

use std::{
    fs::Metadata,
    path::Path,
    time::{Duration, SystemTime},
};

use fontes_core::{Error, Result};
use glob::{MatchOptions, Pattern};

/// `*` stays within a folder; a leading dot is nothing special, because hidden files are passed over anyway.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Decides which files of a source are taken. The default takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    keep: Option<Duration>,
}

impl Selection {
    /// Takes files that match one of `include` (or all when it is empty) and none of `exclude`, both against the
    /// path below the source, and that changed within the last `keep`.
    ///
    /// # Errors
    /// `Invalid` for a malformed pattern.
    pub fn new(include: &[String], exclude: &[String], keep: Option<Duration>) -> Result<Self> {
        let patterns = |texts: &[String]| texts.iter().map(|text| pattern(text)).collect::<Result<Vec<_>>>();
        Ok(Self { include: patterns(include)?, exclude: patterns(exclude)?, keep })
    }

    /// Says whether everything below the folder `path` is left.
    pub(crate) fn leaves_folder(&self, root: &Path, path: &Path) -> bool {
        let below = path.strip_prefix(root).unwrap_or(path);
        // `drafts/**` names everything in the folder, and so the folder.
        let probe = below.join("x");
        self.exclude.iter().any(|pattern| {
            pattern.matches_path_with(below, OPTIONS)
                || (pattern.as_str().ends_with("/**") && pattern.matches_path_with(&probe, OPTIONS))
        })
    }

    /// Says whether the file `path` is taken. A root that is a file itself is always taken: the caller named it.
    pub(crate) fn takes(&self, root: &Path, path: &Path) -> bool {
        let below = path.strip_prefix(root).unwrap_or(path);
        let named = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches_path_with(below, OPTIONS));
        below.as_os_str().is_empty() || ((self.include.is_empty() || named(&self.include)) && !named(&self.exclude))
    }

    /// Says whether a file is past its time. A time that cannot be told is not past.
    pub(crate) fn is_past(&self, metadata: &Metadata, now: SystemTime) -> bool {
        let age = || now.duration_since(metadata.modified().ok()?).ok();
        self.keep.is_some_and(|keep| age().is_some_and(|age| age > keep))
    }
}

fn pattern(text: &str) -> Result<Pattern> {
    Pattern::new(text).map_err(|error| {
        Error::invalid(format!("pattern {text:?} cannot be read: {}", error.msg))
            .advise("use * within a folder, ** across folders, ? for one character, [abc] for one of several")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: &[&str], exclude: &[&str]) -> Selection {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Selection::new(&owned(include), &owned(exclude), None).unwrap()
    }

    #[test]
    fn patterns_choose_below_the_root() {
        let root = Path::new("/srv/laws");
        let takes = |selection: &Selection, name: &str| selection.takes(root, &root.join(name));
        assert!(takes(&Selection::default(), "a/b.txt"));
        let chosen = selection(&["**/*.pdf", "*.md"], &["drafts/**", "**/old-*"]);
        assert!(takes(&chosen, "a.pdf") && takes(&chosen, "x/y/a.pdf") && takes(&chosen, "a.md"));
        assert!(!takes(&chosen, "x/a.md"), "* stays within a folder");
        assert!(!takes(&chosen, "drafts/a.pdf") && !takes(&chosen, "x/old-a.pdf") && !takes(&chosen, "a.txt"));
        assert!(chosen.takes(Path::new("/srv/a.txt"), Path::new("/srv/a.txt")), "a file named by itself");
        assert!(chosen.leaves_folder(root, &root.join("drafts")) && !chosen.leaves_folder(root, &root.join("x")));
    }

    #[test]
    fn files_past_their_time_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "x").unwrap();
        let metadata = std::fs::metadata(&file).unwrap();
        let keep = |days: u64| Selection { keep: Some(Duration::from_secs(days * 86_400)), ..Selection::default() };
        let in_ten_days = metadata.modified().unwrap() + Duration::from_secs(10 * 86_400);
        assert!(keep(9).is_past(&metadata, in_ten_days) && !keep(11).is_past(&metadata, in_ten_days));
        assert!(!Selection::default().is_past(&metadata, in_ten_days));
    }

    #[test]
    fn a_malformed_pattern_is_refused() {
        let error = Selection::new(&["[".into()], &[], None).unwrap_err();
        assert_eq!(error.kind(), fontes_core::ErrorKind::Invalid);
    }
}
