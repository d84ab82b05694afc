//! The state machine of groups and control words.

use std::collections::HashMap;

use fontes_core::BlockKind;

use super::charset::Charset;
use crate::{ExtractError, ParseLimits, builder::Builder, clean::collapse, time::rfc3339};

/// Destinations whose text no reader sees as text.
const SKIPPED: &[&str] = &[
    "colortbl",
    "pict",
    "objdata",
    "objclass",
    "themedata",
    "datastore",
    "xmlnstbl",
    "listtable",
    "listoverridetable",
    "rsidtbl",
    "generator",
    "fldinst",
    "nonshppict",
    "sn",
    "sv",
    "bkmkstart",
    "bkmkend",
    "filetbl",
    "revtbl",
    "latentstyles",
    "mmathPr",
    "colorschememapping",
    "atnid",
    "atnref",
    "atndate",
    "atntime",
    "pgptbl",
    "private",
    "ftnsep",
    "ftnsepc",
    "aftnsep",
    "aftnsepc",
    "template",
    "fchars",
    "lchars",
    "xe",
    "tc",
];

/// Destinations marked as ignorable (`\*`) that hold text all the same.
const READ_THOUGH_STARRED: &[&str] =
    &["shpinst", "shptxt", "annotation", "footnote", "listtext", "pntext", "atnauthor"];

/// What the text of a group is for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Body,
    Skip,
    Fonts,
    Styles,
    /// An information field, by control word.
    Info(&'static str),
    Note,
    Comment,
    Running,
    Label,
}

#[derive(Clone, Debug)]
struct Group {
    target: Target,
    charset: Charset,
    /// Characters that stand for a `\u` character in readers without Unicode.
    fallback: usize,
    hidden: bool,
}

pub(super) struct Reader {
    builder: Builder,
    groups: Vec<Group>,
    /// Text being collected: the body's paragraph, then one per open note, header or field with its depth.
    texts: Vec<(usize, String)>,
    bytes: Vec<u8>,
    units: Vec<u16>,
    skip: usize,
    starred: bool,
    file_charset: Charset,
    fonts: HashMap<i32, Charset>,
    styles: HashMap<i32, u8>,
    /// Number that a font or style table is at.
    entry: i32,
    level: Option<u8>,
    in_table: bool,
    item: bool,
    row: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
    note_count: u32,
    running: Vec<String>,
    created: [i32; 5],
    hidden_runs: usize,
    depth_limit: usize,
}

impl Reader {
    pub fn new(limits: &ParseLimits) -> Self {
        Self {
            builder: Builder::new(limits),
            groups: vec![Group { target: Target::Body, charset: Charset::LATIN, fallback: 1, hidden: false }],
            texts: vec![(0, String::new())],
            bytes: Vec::new(),
            units: Vec::new(),
            skip: 0,
            starred: false,
            file_charset: Charset::LATIN,
            fonts: HashMap::new(),
            styles: HashMap::new(),
            entry: 0,
            level: None,
            in_table: false,
            item: false,
            row: Vec::new(),
            rows: Vec::new(),
            notes: Vec::new(),
            note_count: 0,
            running: Vec::new(),
            created: [0, 1, 1, 0, 0],
            hidden_runs: 0,
            depth_limit: usize::try_from(limits.nesting).unwrap_or(256) * 4,
        }
    }

    /// Reads a whole file; a file that is cut ends where it ends.
    pub fn read(mut self, bytes: &[u8]) -> Result<Builder, ExtractError> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'{' => self.open()?,
                b'}' => self.close(),
                b'\\' => at = self.control(bytes, at),
                b'\r' | b'\n' | 0 => {}
                byte => self.byte(*byte),
            }
        }
        self.paragraph();
        self.table();
        for text in std::mem::take(&mut self.running) {
            self.builder.block(BlockKind::Furniture, &text);
        }
        let [year, month, day, hour, minute] = self.created;
        if year > 0 {
            self.builder.metadata.created = rfc3339(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:00"));
        }
        if self.hidden_runs > 0 {
            self.builder.warnings.push(format!("left out {} runs of hidden text", self.hidden_runs));
        }
        Ok(self.builder)
    }

    fn group(&mut self) -> &mut Group {
        self.groups.last_mut().expect("the outermost group is never popped")
    }

    fn open(&mut self) -> Result<(), ExtractError> {
        self.flush();
        self.starred = false;
        if self.groups.len() >= self.depth_limit {
            return Err(ExtractError::limit("nesting of RTF groups", self.depth_limit));
        }
        let group = self.group().clone();
        self.groups.push(group);
        Ok(())
    }

    fn close(&mut self) {
        self.flush();
        self.starred = false;
        self.skip = 0;
        if self.texts.last().is_some_and(|(depth, _)| *depth == self.groups.len() && *depth > 0) {
            let (_, text) = self.texts.pop().unwrap_or_default();
            self.finish_text(text);
        }
        if self.groups.len() > 1 {
            self.groups.pop();
        }
    }

    /// Begins to collect the text of this group apart from its surroundings.
    fn capture(&mut self, target: Target) {
        self.group().target = target;
        self.texts.push((self.groups.len(), String::new()));
    }

    /// Puts the text of a group that was collected apart where it belongs.
    fn finish_text(&mut self, text: String) {
        let target = self.group().target;
        let text = text.trim().to_owned();
        if text.is_empty() {
            return;
        }
        match target {
            Target::Info("title") => self.builder.metadata.title = Some(text),
            Target::Info(_) => self.builder.metadata.author = Some(text),
            Target::Note => {
                self.note_count += 1;
                let mark = format!("[{}]", self.note_count);
                self.push(&mark);
                self.notes.push(format!("{mark} {text}"));
            }
            Target::Comment => self.notes.push(format!("Comment: {text}")),
            Target::Running if !self.running.contains(&text) => self.running.push(text),
            Target::Label => {
                self.item = true;
                let label = if text.chars().any(char::is_alphanumeric) { text } else { "-".to_owned() };
                self.push(&format!("{label} "));
            }
            _ => {}
        }
    }

    fn push(&mut self, text: &str) {
        if let Some((_, open)) = self.texts.last_mut() {
            open.push_str(text);
        }
    }

    /// One byte of text.
    fn byte(&mut self, byte: u8) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        match self.group().target {
            Target::Skip | Target::Fonts => {}
            _ => {
                self.flush_units();
                self.bytes.push(byte);
            }
        }
    }

    /// Decodes what was collected, with the charset that held while it was.
    fn flush(&mut self) {
        self.flush_units();
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let text = self.group().charset.decode(&bytes);
        self.text(&text);
    }

    fn flush_units(&mut self) {
        if !self.units.is_empty() {
            let text = String::from_utf16_lossy(&std::mem::take(&mut self.units));
            self.text(&text);
        }
    }

    fn text(&mut self, text: &str) {
        let Group { target, hidden, .. } = *self.group();
        match target {
            Target::Skip | Target::Fonts => {}
            Target::Styles => self.style_name(text),
            _ if hidden => self.hidden_runs += usize::from(!text.trim().is_empty()),
            _ => self.push(text),
        }
    }

    /// Remembers the level of a style named `heading 1` (also in other languages: `Überschrift 1`).
    fn style_name(&mut self, text: &str) {
        let name = text.trim().trim_end_matches(';').to_lowercase();
        let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let known = ["heading ", "überschrift ", "titre ", "titolo "].contains(&word);
        if let Some(level) = name[word.len()..].parse().ok().filter(|level| known && (1..=9).contains(level)) {
            self.styles.insert(self.entry, level);
        }
    }

    /// Reads a control word or symbol that begins at `at`; returns where the text goes on.
    fn control(&mut self, bytes: &[u8], at: usize) -> usize {
        let Some(first) = bytes.get(at) else { return at };
        if !first.is_ascii_alphabetic() {
            return self.symbol(bytes, at, *first);
        }
        let letters = bytes[at..].iter().take(40).take_while(|byte| byte.is_ascii_alphabetic()).count();
        let word = std::str::from_utf8(&bytes[at..at + letters]).unwrap_or("");
        let mut end = at + letters;
        let sign = bytes.get(end) == Some(&b'-');
        let digits_from = end + usize::from(sign);
        let digits =
            bytes[digits_from.min(bytes.len())..].iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        let mut number = None;
        if digits > 0 {
            let text = std::str::from_utf8(&bytes[digits_from..digits_from + digits]).unwrap_or("");
            let value = text.parse::<i64>().unwrap_or(0);
            number = i32::try_from(if sign { -value } else { value }).ok();
            end = digits_from + digits;
        }
        if bytes.get(end) == Some(&b' ') {
            end += 1;
        }
        if word == "bin" {
            let length = usize::try_from(number.unwrap_or(0)).unwrap_or(0);
            return end.saturating_add(length).min(bytes.len());
        }
        if word != "u" {
            self.flush();
        }
        let starred = std::mem::take(&mut self.starred);
        if self.group().target != Target::Skip {
            self.word(word, number, starred);
        }
        end
    }

    fn symbol(&mut self, bytes: &[u8], at: usize, symbol: u8) -> usize {
        match symbol {
            b'\'' => {
                let code = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
                if let Some(code) = code.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                    self.byte(code);
                }
                return (at + 3).min(bytes.len());
            }
            b'*' => self.starred = true,
            b'~' => self.byte(b' '),
            b'_' => self.byte(b'-'),
            b'\\' | b'{' | b'}' => self.byte(symbol),
            b'\r' | b'\n' => {
                self.flush();
                self.paragraph();
            }
            _ => {}
        }
        at + 1
    }

    fn word(&mut self, word: &str, number: Option<i32>, starred: bool) {
        let value = number.unwrap_or(0);
        match word {
            "par" | "sect" => self.end_paragraph(),
            "page" | "softpage" => {
                if self.texts.len() == 1 {
                    self.paragraph();
                    if !self.builder.page_is_empty() {
                        self.builder.end_page(None);
                    }
                }
            }
            "line" => self.push("\n"),
            "tab" => self.push(" "),
            "emdash" => self.text("—"),
            "endash" => self.text("–"),
            "bullet" => self.text("•"),
            "lquote" => self.text("‘"),
            "rquote" => self.text("’"),
            "ldblquote" => self.text("“"),
            "rdblquote" => self.text("”"),
            "pard" => {
                self.level = None;
                self.in_table = false;
            }
            "plain" => self.group().hidden = false,
            "v" => self.group().hidden = number != Some(0),
            "u" => self.unicode(value),
            "uc" => self.group().fallback = usize::try_from(value).unwrap_or(1).min(16),
            "outlinelevel" if (0..9).contains(&value) => self.level = u8::try_from(value + 1).ok(),
            "intbl" => self.in_table = true,
            "cell" | "nestcell" => self.cell(),
            "row" | "nestrow" => {
                let row = std::mem::take(&mut self.row);
                self.rows.push(row);
            }
            "ansicpg" => self.set_file_charset(Charset::of_code_page(value)),
            "mac" => self.set_file_charset(Charset::of_code_page(10000)),
            "pc" | "pca" => self.set_file_charset(Charset::Dos),
            "f" | "fcharset" | "cpg" | "s" => self.font_or_style(word, value),
            "yr" => self.created[0] = value,
            "mo" => self.created[1] = value,
            "dy" => self.created[2] = value,
            "hr" => self.created[3] = value,
            "min" => self.created[4] = value,
            _ => self.destination(word, starred),
        }
    }

    fn set_file_charset(&mut self, charset: Charset) {
        self.file_charset = charset;
        self.group().charset = charset;
    }

    fn font_or_style(&mut self, word: &str, value: i32) {
        let charset = self.fonts.get(&value).copied().unwrap_or(self.file_charset);
        match (self.group().target, word) {
            (Target::Fonts, "f") | (Target::Styles, "s") => self.entry = value,
            (Target::Fonts, "fcharset") => {
                self.fonts.extend(Charset::of_font(value).map(|charset| (self.entry, charset)));
            }
            (Target::Fonts, "cpg") => {
                self.fonts.insert(self.entry, Charset::of_code_page(value));
            }
            (_, "f") => self.group().charset = charset,
            (_, "s") => self.level = self.styles.get(&value).copied(),
            _ => {}
        }
    }

    /// A control word that may open a destination.
    fn destination(&mut self, word: &str, starred: bool) {
        match word {
            "fonttbl" => self.group().target = Target::Fonts,
            "stylesheet" => self.group().target = Target::Styles,
            "title" => self.capture(Target::Info("title")),
            "author" => self.capture(Target::Info("author")),
            // The rest of the information group describes the file, not its text; times are read above.
            "subject" | "keywords" | "doccomm" | "operator" | "company" | "manager" | "category" | "revtim"
            | "printim" | "buptim" | "comment" | "hlinkbase" => self.group().target = Target::Skip,
            "footnote" => self.capture(Target::Note),
            "annotation" => self.capture(Target::Comment),
            "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr" | "footerf" => {
                self.capture(Target::Running);
            }
            "listtext" | "pntext" => self.capture(Target::Label),
            word if SKIPPED.contains(&word) || word == "atnauthor" => self.group().target = Target::Skip,
            word if starred && !READ_THOUGH_STARRED.contains(&word) => self.group().target = Target::Skip,
            _ => {}
        }
    }

    fn unicode(&mut self, value: i32) {
        if !self.bytes.is_empty() {
            self.flush();
        }
        // Written as a signed 16-bit number; some programs write it unsigned.
        let unit = u16::try_from(if value < 0 { value + 0x1_0000 } else { value }).unwrap_or(0xFFFD);
        self.units.push(unit);
        self.skip = self.group().fallback;
    }

    fn end_paragraph(&mut self) {
        match self.texts.len() {
            1 if self.in_table => self.push("\n"),
            1 => self.paragraph(),
            _ => self.push("\n"),
        }
    }

    fn cell(&mut self) {
        let text = self.texts.first_mut().map(|(_, text)| std::mem::take(text)).unwrap_or_default();
        self.row.push(collapse(&text));
        self.item = false;
    }

    /// Ends the body's paragraph.
    fn paragraph(&mut self) {
        self.flush();
        let text = self.texts.first_mut().map(|(_, text)| std::mem::take(text)).unwrap_or_default();
        if !text.trim().is_empty() {
            self.table();
            let kind = match (self.level, self.item) {
                (Some(level), _) => BlockKind::Heading(level),
                (None, true) => BlockKind::ListItem,
                (None, false) => BlockKind::Paragraph,
            };
            self.builder.block(kind, &text);
        }
        self.item = false;
        self.notes();
    }

    fn table(&mut self) {
        if !self.rows.is_empty() {
            let rows = std::mem::take(&mut self.rows);
            self.builder.table(&rows);
            self.notes();
        }
    }

    fn notes(&mut self) {
        for note in std::mem::take(&mut self.notes) {
            self.builder.block(BlockKind::Footnote, &note);
        }
    }
}
