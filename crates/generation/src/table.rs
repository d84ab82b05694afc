//! Tables: cells are separated by tabs and rows by line ends in the stored text; which row names the columns is told by form.

use fontes_core::Span;

/// Columns of a table whose first row names them, whatever is in the others: fewer may be names and values.
const COLUMNS: usize = 3;

/// The row that names the columns of `table`. It is the first one if a column in which rows have figures has none there, or if there
/// are several columns and it has no cell that is little but a figure; nothing can be told of two columns of words.
pub(crate) fn head(table: &str) -> Option<Span> {
    let end = table.find('\n')?;
    let head: Vec<&str> = table[..end].split('\t').collect();
    let figure = |cell: &str| cell.contains(|c: char| c.is_ascii_digit());
    let rows: Vec<Vec<&str>> = table[end + 1..].lines().map(|line| line.split('\t').collect()).collect();
    let is_of_figures = |column: usize| {
        let with = rows.iter().filter(|cells| cells.get(column).is_some_and(|cell| figure(cell))).count();
        2 * with > rows.len()
    };
    let names = (0..head.len()).any(|column| !figure(head[column]) && is_of_figures(column));
    let is_value = |cell: &&str| {
        let count = |of: fn(&char) -> bool| cell.chars().filter(of).count();
        let digits = count(char::is_ascii_digit);
        digits > 0 && count(|c| c.is_alphabetic()) <= digits
    };
    let wide =
        head.len() >= COLUMNS && rows.len() > 1 && !head.iter().any(|cell| is_value(cell) || cell.trim().is_empty());
    (names || wide).then(|| Span::new(0, end))
}

/// Says whether a text is a row of a table.
pub(crate) fn is_row(text: &str) -> bool {
    text.contains('\t')
}

/// The cells of a row, without the white space around them.
pub(crate) fn cells(row: &str) -> impl Iterator<Item = Span> {
    let mut at = 0;
    row.split('\t').map(move |cell| {
        let begin = at + cell.len() - cell.trim_start().len();
        at += cell.len() + 1;
        Span::new(begin, begin + cell.trim().len())
    })
}

/// Says whether two rows have as many cells.
pub(crate) fn alike(one: &str, other: &str) -> bool {
    let cells = |row: &str| row.matches('\t').count();
    cells(one) == cells(other)
}

/// A row with the name of its column before each cell: `Land: Italien; Pauschale EUR: 42`. Empty cells are left out.
pub(crate) fn labelled(head: &str, row: &str) -> String {
    let cells = head.split('\t').zip(row.split('\t')).map(|(name, cell)| (name.trim(), cell.trim()));
    let told = cells.filter(|(_, cell)| !cell.is_empty()).map(|(name, cell)| match name {
        "" => cell.to_owned(),
        name => format!("{name}: {cell}"),
    });
    told.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Land\tPauschale EUR\tNacht EUR\nItalien\t42\t130\nSchweiz\t50\t";

    #[test]
    fn a_row_is_told_with_the_names_of_its_columns() {
        let head = head(TABLE).unwrap();
        assert_eq!(
            labelled(head.of(TABLE).unwrap(), "Italien\t42\t130"),
            "Land: Italien; Pauschale EUR: 42; Nacht EUR: 130"
        );
        assert_eq!(labelled("Land\tPauschale EUR\tNacht EUR", "Schweiz\t50\t"), "Land: Schweiz; Pauschale EUR: 50");
    }

    #[test]
    fn the_first_row_need_not_name_columns() {
        assert_eq!(head("Adresse\tMusterweg 1\nTelefon\t044 123"), None);
        assert_eq!(head("Name\tOrt\nMuster\tBern"), None, "words alone tell nothing");
        assert_eq!(head("one line"), None);
        let renal = "Wirkstoff\tClearance 30 bis 50 ml/min\tClearance unter 30 ml/min\nCefarolin\t2 g\t1 g\nMeropan\t1 g\t500 mg";
        assert_eq!(
            head(renal).and_then(|head| head.of(renal)),
            renal.lines().next(),
            "figures in the names of columns"
        );
        assert_eq!(
            head("Cefarolin\t2 g\t1 g\nMeropan\t1 g\t500 mg\nPipravel\t3 g\t2 g"),
            None,
            "values from the first row on"
        );
        assert!(!alike("a\tb", "1") && alike("a\tb", "1\t"));
    }
}
