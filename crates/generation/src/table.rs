//! Tables: cells are separated by tabs and rows by line ends in the stored text; which row names the columns is told by form.

use fontes_core::Span;

/// The row that names the columns of `table`. It is the first one if a column in which rows have figures has none there; nothing can
/// be told of a table of words alone.
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
    names.then(|| Span::new(0, end))
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
        assert!(!alike("a\tb", "1") && alike("a\tb", "1\t"));
    }
}
