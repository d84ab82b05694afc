//! Text recognition (OCR): pages without usable text are drawn by a worker and read by `tesseract`.
//!
//! Tesseract runs as a process of its own, page by page, under the same discipline as a parser: it is started
//! through a worker that first gives up its rights (no network, nothing to write, only system files to read)
//! and then becomes it. It sees a grey map drawn by us, never the file, and what it prints is a table of words
//! that is checked like anything else from outside.

use std::{
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use fontes_core::{Cancel, Language};
use serde::{Deserialize, Serialize};

use super::{
    pool::{Worker, WorkerCommand, WorkerLimits, WorkerPool},
    protocol::{self, Role},
};
use crate::{ExtractError, Picture, Recognised, RecognisedWord};

/// How pages without usable text are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recognition {
    /// Whether they are read at all.
    pub enabled: bool,
    /// The tesseract program: a path, or a name that is looked for in the usual places.
    pub program: PathBuf,
    /// Languages to expect. All of them are tried on the first page of a file, afterwards the one found.
    pub languages: Vec<Language>,
    /// Pixels per inch at which pages are drawn. 300 is what tesseract is trained for.
    pub dpi: u32,
    /// Most pages read per file. At three seconds a page, 200 take ten minutes.
    pub pages: u32,
    /// Wall-clock seconds per page.
    pub page_seconds: u64,
}

impl Default for Recognition {
    fn default() -> Self {
        use Language::{English, French, German, Italian};
        Self {
            enabled: true,
            program: "tesseract".into(),
            languages: vec![German, French, Italian, English],
            dpi: 300,
            pages: 200,
            page_seconds: 60,
        }
    }
}

/// What this machine offers for text recognition, for `fontes doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecognitionReport {
    /// Where the program was found.
    pub program: Option<PathBuf>,
    /// Wanted languages that it can read.
    pub languages: Vec<Language>,
    /// Wanted languages whose data is not installed.
    pub missing: Vec<Language>,
}

/// Folders that hold programs, for a name without a path: the environment is not asked.
const PROGRAM_FOLDERS: &[&str] = &["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin"];

/// Most bytes of a page's table. A dense page has 200 KB.
const TABLE_BYTES: u64 = 16 << 20;

/// Pages drawn at once: enough to open a file seldom, few enough to stay small (25 MB each).
const PAGES_AT_ONCE: usize = 4;

/// Below this confidence the language chosen from an earlier page is doubted and all are tried.
const DOUBT: f32 = 0.8;

/// Looks for tesseract and its languages; starts it once to ask.
pub fn recognition_report(settings: &Recognition) -> RecognitionReport {
    let found = settings.enabled.then(|| find(&settings.program)).flatten();
    let listed = found.as_deref().and_then(|program| {
        let listing = Command::new(program).arg("--list-langs").env_clear().stdin(Stdio::null()).output().ok()?;
        let listing = [listing.stdout, listing.stderr].concat();
        Some(String::from_utf8_lossy(&listing).lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>())
    });
    let Some(listed) = listed else {
        return RecognitionReport { program: None, languages: Vec::new(), missing: settings.languages.clone() };
    };
    let has = |language: &Language| code(*language).is_some_and(|code| listed.iter().any(|line| line == code));
    let (languages, missing) = settings.languages.iter().partition(|language| has(language));
    RecognitionReport { program: found, languages, missing }
}

fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| program.to_owned());
    }
    PROGRAM_FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

/// The name of a language's data (ISO 639-2, as tesseract files it).
fn code(language: Language) -> Option<&'static str> {
    Some(match language {
        Language::German => "deu",
        Language::French => "fra",
        Language::Italian => "ita",
        Language::English => "eng",
        Language::Spanish => "spa",
        Language::Portuguese => "por",
        Language::Dutch => "nld",
        Language::Danish => "dan",
        Language::Swedish => "swe",
        Language::Norwegian => "nor",
        Language::Finnish => "fin",
        Language::Hungarian => "hun",
        Language::Romanian => "ron",
        Language::Russian => "rus",
        Language::Greek => "ell",
        Language::Turkish => "tur",
        Language::Arabic => "ara",
        Language::Tamil => "tam",
        Language::Undetermined => return None,
    })
}

/// Reads drawn pages.
#[derive(Debug)]
pub(super) struct Recogniser {
    settings: Recognition,
    report: OnceLock<RecognitionReport>,
}

impl Recogniser {
    pub fn new(settings: Recognition) -> Self {
        Self { settings, report: OnceLock::new() }
    }

    /// Reads pages of a file; `None` when this machine cannot. A page that cannot be read in time is left out.
    ///
    /// # Errors
    /// Those of drawing the pages.
    pub fn pages(
        &self,
        pool: &WorkerPool,
        file: (&[u8], &str),
        pages: &[u32],
        cancel: &Cancel,
    ) -> Result<Option<Recognised>, ExtractError> {
        let report = self.report.get_or_init(|| recognition_report(&self.settings));
        let Some(program) = report.program.as_deref().filter(|_| !report.languages.is_empty()) else { return Ok(None) };
        let most = usize::try_from(self.settings.pages).unwrap_or(usize::MAX);
        let (mut recognised, mut chosen) = (Recognised::new(), None);
        for batch in pages[..pages.len().min(most)].chunks(PAGES_AT_ONCE) {
            for picture in pool.draw_held(file, batch, self.settings.dpi, cancel)? {
                let mut words = self.page(pool, program, &picture, chosen.as_slice(), cancel);
                let sure = words.as_deref().ok().and_then(crate::recognised::confidence);
                if chosen.is_some() && sure.is_none_or(|sure| sure < DOUBT) {
                    words = self.page(pool, program, &picture, &report.languages, cancel);
                } else if chosen.is_none() && sure.is_some_and(|sure| sure >= DOUBT) {
                    chosen = words.as_deref().ok().and_then(|words| language(words, &report.languages));
                }
                match words {
                    Ok(words) => drop(recognised.insert(picture.number, words)),
                    Err(error @ (ExtractError::Cancelled | ExtractError::WorkerUnavailable { .. })) => {
                        return Err(error);
                    }
                    Err(_) => {}
                }
            }
        }
        Ok(Some(recognised))
    }

    /// Reads one drawn page; no languages means all that there are.
    fn page(
        &self,
        pool: &WorkerPool,
        program: &Path,
        picture: &Picture,
        languages: &[Language],
        cancel: &Cancel,
    ) -> Result<Vec<RecognisedWord>, ExtractError> {
        let all = self.report.get().map_or(&[][..], |report| &report.languages);
        let languages = if languages.is_empty() { all } else { languages };
        let codes: Vec<&str> = languages.iter().filter_map(|language| code(*language)).collect();
        let dpi = format!("{:.0}", picture.dpi);
        let args = ["stdin", "stdout", "-l", &codes.join("+"), "--dpi", &dpi, "--psm", "3", "tsv"];
        let role = Role::Recogniser { program: program.to_owned(), args: args.map(str::to_owned).to_vec() };
        let table = table(pool.command(), pool.limits(), role, &picture.pgm(), self.settings.page_seconds, cancel)?;
        Ok(words(&table, picture))
    }
}

/// Runs tesseract over a grey map and gives the table it prints.
pub(super) fn table(
    command: &WorkerCommand,
    limits: &WorkerLimits,
    role: Role,
    map: &[u8],
    seconds: u64,
    cancel: &Cancel,
) -> Result<String, ExtractError> {
    let limits = WorkerLimits { wall_seconds: seconds, cpu_seconds: seconds, ..limits.clone() };
    let mut process = Worker::spawn(command)?;
    let setup = protocol::Setup::new(&limits, role);
    let printed = process.exchange_last(Duration::from_secs(seconds), cancel, |mut stdin, mut stdout| {
        protocol::write(&mut stdin, &setup, &[])?;
        stdin.write_all(map)?;
        drop(stdin);
        protocol::skip_to_preamble(&mut stdout)?;
        let mut printed = String::new();
        stdout.by_ref().take(TABLE_BYTES).read_to_string(&mut printed)?;
        if printed.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(printed) }
    });
    process.named(printed, &limits)
}

/// The words of a table: level, page, block, paragraph, line, word, left, top, width, height, confidence, text.
fn words(table: &str, picture: &Picture) -> Vec<RecognisedWord> {
    let points = 72.0 / picture.dpi.max(1.0);
    let mut words = Vec::new();
    for row in table.lines() {
        let columns: Vec<&str> = row.splitn(12, '\t').collect();
        let [level, _, block, paragraph, line, _, left, top, width, height, confidence, text] = columns[..] else {
            continue;
        };
        let numbers = [left, top, width, height, confidence].map(|number| number.parse::<f32>().unwrap_or(-1.0));
        let [left, top, width, height, confidence] = numbers;
        if level != "5" || text.trim().is_empty() || !(0.0..=100.0).contains(&confidence) || width < 0.0 {
            continue;
        }
        let count = |number: &str| number.parse::<u32>().unwrap_or(0).min(999);
        let paragraph = count(block) * 1_000 + count(paragraph);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
        let confidence = confidence.round() as u8;
        words.push(RecognisedWord {
            text: text.trim().to_owned(),
            area: [left, top, left + width, top + height].map(|pixels| pixels * points),
            confidence,
            paragraph,
            line: paragraph * 1_000 + count(line),
        });
    }
    words
}

/// The language of a page's words, when it is one of those expected.
fn language(words: &[RecognisedWord], expected: &[Language]) -> Option<Language> {
    let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    // A few words tell nothing.
    let found = (text.len() >= 40).then(|| Language::detect(&text.join(" ")))?;
    expected.contains(&found).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        Picture { number: 1, width: 600, height: 300, dpi: 300.0, rgb: vec![255; 600 * 300 * 3] }
    }

    #[test]
    fn tables_become_words_in_points() {
        let table = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n\
                     4\t1\t1\t1\t1\t0\t0\t0\t600\t50\t-1\t\n\
                     5\t1\t1\t2\t3\t1\t300\t150\t150\t30\t96.4\tGrüße\n\
                     5\t1\t1\t2\t3\t2\t500\t150\t50\t30\t-1\t \nnonsense\n5\t1\tx\n";
        let words = words(table, &picture());
        let expected = RecognisedWord {
            text: "Grüße".into(),
            area: [72.0, 36.0, 108.0, 43.2],
            confidence: 96,
            paragraph: 1_002,
            line: 1_002_003,
        };
        assert_eq!(words, [expected]);
    }

    #[test]
    fn a_machine_without_tesseract_says_so() {
        let settings = Recognition { program: "/nowhere/tesseract".into(), ..Recognition::default() };
        let report = recognition_report(&settings);
        assert_eq!((report.program, report.languages.len(), report.missing.len()), (None, 0, 4));
        let recogniser = Recogniser::new(settings);
        let pool = super::super::tests::pool(WorkerLimits::default());
        assert_eq!(recogniser.pages(&pool, (b"", "a.pdf"), &[1], &Cancel::default()), Ok(None));
    }
}
