//! Spreadsheets of Excel in its three formats, through `calamine`: a page per sheet, a table per region.
//!
//! Cells are read one by one and kept sparse: a sheet that claims a million empty rows costs nothing. `calamine` cuts
//! the records of the binary formats without looking at their length and panics on damaged ones: contained here.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Cursor, Read, Seek},
    panic::{AssertUnwindSafe, catch_unwind},
};

use calamine::{Data, DataRef, ExcelDateTime, Reader, SheetType, Xls, XlsError, Xlsb, XlsbError, Xlsx, XlsxError};
use fontes_core::BlockKind;

use crate::{ExtractError, Extraction, MediaType, ParseLimits, builder::Builder, package::Package};

/// Parses an XLSX workbook.
pub(crate) fn parse_xlsx(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut package = checked(bytes, limits)?;
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| match error {
        XlsxError::Password => ExtractError::Encrypted { what: "the workbook".into() },
        _ => ExtractError::corrupted("XLSX workbook cannot be opened"),
    })?;
    let mut builder = Builder::new(limits);
    builder.metadata = super::metadata(&mut package, limits);
    let mut budget = limits.cells;
    for name in workbook.sheet_names() {
        let mut sheet = Sheet::default();
        let Ok(mut cells) = workbook.worksheet_cells_reader(&name) else {
            // Charts and macros are sheets too, without cells.
            builder.end_page(None);
            continue;
        };
        loop {
            match cells.next_cell() {
                Ok(Some(cell)) => {
                    let (row, column) = cell.get_position();
                    sheet.put(row, column, value_ref(cell.get_value()), &mut budget, limits)?;
                }
                Ok(None) => break,
                Err(_) => {
                    builder.warnings.push(format!("sheet {} is damaged; read up to there", builder.page_number()));
                    break;
                }
            }
        }
        sheet.write(&mut builder, &name);
    }
    super::embedded(&mut package, "xl/embeddings/", &mut builder.children)?;
    finish(builder, MediaType::Xlsx)
}

/// Parses an XLSB workbook.
pub(crate) fn parse_xlsb(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut package = checked(bytes, limits)?;
    let workbook: Xlsb<_> = match contained(|| Xlsb::new(Cursor::new(bytes))) {
        Some(Ok(workbook)) => workbook,
        Some(Err(XlsbError::Password)) => return Err(ExtractError::Encrypted { what: "the workbook".into() }),
        _ => return Err(ExtractError::corrupted("XLSB workbook cannot be opened")),
    };
    let mut builder = Builder::new(limits);
    builder.metadata = super::metadata(&mut package, limits);
    ranges(workbook, builder, MediaType::Xlsb, limits)
}

/// Parses an XLS workbook (BIFF).
pub(crate) fn parse_xls(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let workbook: Xls<_> = match contained(|| Xls::new(Cursor::new(bytes))) {
        Some(Ok(workbook)) => workbook,
        Some(Err(XlsError::Password)) => return Err(ExtractError::Encrypted { what: "the workbook".into() }),
        _ => return Err(ExtractError::corrupted("XLS workbook cannot be opened")),
    };
    ranges(workbook, Builder::new(limits), MediaType::Xls, limits)
}

/// What `calamine` gives, `None` where it panics.
fn contained<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// Opens the container and inflates the parts once under the limits, because `calamine` has none.
fn checked<'a>(bytes: &'a [u8], limits: &'a ParseLimits) -> Result<Package<'a>, ExtractError> {
    let mut package = Package::open(bytes, limits)?;
    for index in 0..package.names().len() {
        if package.names()[index].starts_with("xl/") && !package.names()[index].starts_with("xl/media/") {
            package.read_index(index)?;
        }
    }
    Package::open(bytes, limits)
}

/// Reads workbooks whose formats give whole ranges.
fn ranges<R: Read + Seek, W: Reader<R>>(
    mut workbook: W,
    mut builder: Builder,
    media: MediaType,
    limits: &ParseLimits,
) -> Result<Extraction, ExtractError> {
    let mut budget = limits.cells;
    for calamine::Sheet { name, typ, .. } in workbook.sheets_metadata().to_vec() {
        let mut sheet = Sheet::default();
        let range = contained(|| workbook.worksheet_range(&name));
        if let Some(Ok(range)) = range {
            let (top, left) = range.start().unwrap_or_default();
            for (row, column, value) in range.used_cells() {
                let place = |offset: usize, start: u32| start.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
                sheet.put(place(row, top), place(column, left), self::value(value), &mut budget, limits)?;
            }
        } else if typ == SheetType::WorkSheet {
            builder.warnings.push(format!("sheet {} is damaged; left out", builder.page_number()));
        }
        sheet.write(&mut builder, &name);
    }
    finish(builder, media)
}

fn finish(builder: Builder, media: MediaType) -> Result<Extraction, ExtractError> {
    if builder.is_empty() && builder.children.is_empty() {
        return Err(ExtractError::Empty);
    }
    builder.finish(media)
}

/// The filled cells of a sheet.
#[derive(Default)]
struct Sheet(BTreeMap<u32, Vec<(u32, String)>>);

impl Sheet {
    fn put(
        &mut self,
        row: u32,
        column: u32,
        value: String,
        budget: &mut u64,
        limits: &ParseLimits,
    ) -> Result<(), ExtractError> {
        if !value.trim().is_empty() {
            *budget = budget.checked_sub(1).ok_or_else(|| ExtractError::limit("number of cells", limits.cells))?;
            self.0.entry(row).or_default().push((column, value));
        }
        Ok(())
    }

    /// Writes the sheet as a page: its name, then a table for each run of rows without an empty one between.
    /// Columns that are empty throughout a table vanish.
    fn write(mut self, builder: &mut Builder, name: &str) {
        builder.block(BlockKind::Heading(1), name);
        let mut region: Vec<Vec<(u32, String)>> = Vec::new();
        let mut last = None;
        while let Some((row, cells)) = self.0.pop_first() {
            if last.is_some_and(|last| row > last + 1) {
                table(builder, &std::mem::take(&mut region));
            }
            region.push(cells);
            last = Some(row);
        }
        table(builder, &region);
        builder.end_page(None);
    }
}

fn table(builder: &mut Builder, region: &[Vec<(u32, String)>]) {
    let columns: BTreeSet<u32> = region.iter().flatten().map(|(column, _)| *column).collect();
    let places: BTreeMap<u32, usize> = columns.iter().zip(0..).map(|(column, place)| (*column, place)).collect();
    let rows: Vec<Vec<String>> = region
        .iter()
        .map(|cells| {
            let width = cells.iter().filter_map(|(column, _)| places.get(column)).max().map_or(0, |place| place + 1);
            let mut row = vec![String::new(); width];
            for (column, value) in cells {
                if let Some(place) = places.get(column) {
                    row[*place].clone_from(value);
                }
            }
            row
        })
        .collect();
    builder.table(&rows);
}

fn value_ref(value: &DataRef<'_>) -> String {
    match value {
        DataRef::SharedString(text) => (*text).to_owned(),
        other => self::value(&Data::from(other.clone())),
    }
}

/// A cell as a reader sees it, as far as that goes without its number format.
fn value(value: &Data) -> String {
    match value {
        Data::Int(number) => number.to_string(),
        Data::Float(number) => decimal(*number),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Bool(truth) => (if *truth { "TRUE" } else { "FALSE" }).to_owned(),
        Data::DateTime(moment) => date(moment),
        Data::Error(_) | Data::Empty => String::new(),
    }
}

/// A number with at most 11 significant digits, as spreadsheets show numbers without a format.
fn decimal(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, reason = "exponents of f64 are within ±324")]
    let exponent = number.abs().log10().floor() as i32;
    if !(-9..15).contains(&exponent) {
        return format!("{number:e}");
    }
    let places = usize::try_from(10 - exponent).unwrap_or(0);
    let text = format!("{number:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A date, with the time of day when there is one; durations, and times without a date, as hours and minutes.
fn date(moment: &ExcelDateTime) -> String {
    if moment.is_duration() || (0.0..1.0).contains(&moment.as_f64()) {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of any sheet fit; casts saturate")]
        let seconds = (moment.as_f64() * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    match (hour, minute, second) {
        (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
        (_, _, 0) => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}"),
        _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::zipped;

    fn workbook(rows: &str) -> Vec<u8> {
        let sheet = format!(
            r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:XFD1048576"/><sheetData>{rows}</sheetData></worksheet>"#
        );
        zipped(&[
            ("[Content_Types].xml", b"<Types/>"),
            (
                "_rels/.rels",
                br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
            ),
            (
                "xl/workbook.xml",
                br#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Kosten" sheetId="1" r:id="r1"/></sheets></workbook>"#,
            ),
            (
                "xl/_rels/workbook.xml.rels",
                br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
            ),
            (
                "xl/styles.xml",
                br#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#,
            ),
            ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ])
    }

    #[test]
    fn sheets_are_pages_and_regions_tables() {
        let bytes = workbook(
            r#"<row r="1"><c r="A1" t="inlineStr"><is><t>Posten</t></is></c><c r="XFD1" t="inlineStr"><is><t>Betrag</t></is></c></row>
               <row r="2"><c r="A2" s="1"><v>45293</v></c><c r="XFD2"><v>0.30000000000000004</v></c></row>
               <row r="1048576"><c r="B1048576"><v>1200</v></c></row>"#,
        );
        assert_eq!(MediaType::detect(&bytes, "x").unwrap(), MediaType::Xlsx);
        let document = parse_xlsx(&bytes, &ParseLimits::default()).unwrap().document;
        assert_eq!(document.text, "Kosten\n\nPosten\tBetrag\n2024-01-02\t0.3\n\n1200\n");
        assert_eq!(document.pages.len(), 1);
        let limits = ParseLimits { cells: 3, ..ParseLimits::default() };
        assert_eq!(parse_xlsx(&bytes, &limits).unwrap_err().code(), "limit");
    }

    /// A binary record: type and length in groups of seven bits (MS-XLSB 2.1.4), and what it holds.
    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        let kind = if kind < 0x80 { vec![kind] } else { vec![kind, 1] };
        [kind.as_slice(), &[u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn wide(text: &str) -> Vec<u8> {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        [&u32::try_from(text.len()).unwrap().to_le_bytes(), units.as_slice()].concat()
    }

    /// A binary workbook: what stands before the identifier of a sheet, and the cells of its two sheets.
    fn binary(before: &[u8], cells: [&[u8]; 2]) -> Vec<u8> {
        let listed = |id: &str, name: &str| record(0x9C, &[before, &wide(id), &wide(name)].concat());
        let book = [listed("r1", "Eins"), listed("r2", "Zwei"), record(0x90, &[]), record(0x9D, &[])].concat();
        let sheet = |cell: &[u8]| {
            let row = [record(0, &[0; 17]).as_slice(), cell].concat();
            [record(0x94, &[0; 16]), record(0x91, &[]), row, record(0x92, &[])].concat()
        };
        zipped(&[
            ("[Content_Types].xml", b"<Types/>"),
            ("xl/workbook.bin", &book),
            (
                "xl/_rels/workbook.bin.rels",
                br#"<Relationships><Relationship Id="r1" Target="worksheets/1.bin"/><Relationship Id="r2" Target="worksheets/2.bin"/></Relationships>"#,
            ),
            ("xl/worksheets/1.bin", &sheet(cells[0])),
            ("xl/worksheets/2.bin", &sheet(cells[1])),
        ])
    }

    #[test]
    fn damaged_binary_records_cost_their_sheet_or_the_workbook() {
        let cell = |text: &str| record(6, &[vec![0; 8], wide(text)].concat());
        let limits = ParseLimits::default();
        let read = |before: &[u8], first: &[u8]| parse_xlsb(&binary(before, [first, &cell("zwei")]), &limits);
        assert_eq!(read(&[0; 8], &cell("eins")).unwrap().document.text, "Eins\n\neins\nZwei\n\nzwei\n");
        // A shared string that is not there.
        let damaged = read(&[0; 8], &record(7, &[0; 12])).unwrap();
        assert_eq!(damaged.document.text, "Eins\nZwei\n\nzwei\n");
        assert_eq!(damaged.warnings, ["sheet 1 is damaged; left out"]);
        // A record of a beta version has four bytes more.
        assert_eq!(read(&[0; 12], &cell("eins")).unwrap_err().code(), "corrupted");
    }

    #[test]
    fn times_without_a_date_have_none() {
        let moment = |days: f64| ExcelDateTime::new(days, calamine::ExcelDateTimeType::DateTime, false);
        assert_eq!(date(&moment(0.75)), "18:00:00");
        assert_eq!(date(&moment(45293.75)), "2024-01-02 18:00");
    }

    #[test]
    fn numbers_are_written_as_shown() {
        let cases =
            [(0.1 + 0.2, "0.3"), (1200.0, "1200"), (-3.25, "-3.25"), (1e20, "1e20"), (12345678.9, "12345678.9")];
        for (number, expected) in cases {
            assert_eq!(decimal(number), expected);
        }
    }
}
