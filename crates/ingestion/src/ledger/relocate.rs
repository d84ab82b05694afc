//! Documents that moved: the same identity and content in another place.

use fontes_core::{DocumentId, Result};
use rusqlite::Row;

use super::{SqliteLedger, error::LedgerError, read::all, row, write::next_snapshot};

/// What is at a locator, or inside the file there.
const AT_OR_INSIDE: &str = "source = ?1 AND (locator = ?2 OR (locator >= ?3 AND locator < ?4))";

impl SqliteLedger {
    /// Notes that a document, with everything found inside it, now is at `locator`; says whether it could, which it
    /// cannot where another document is or was.
    pub(crate) fn relocate(&self, document: DocumentId, locator: &[u8], path: &str) -> Result<bool> {
        self.write(|connection| {
            let sql = "SELECT source, locator, path FROM documents WHERE id = ?1";
            let Some((source, from, from_path)) = all(connection, sql, [document.as_bytes()], place)?.pop() else {
                return Err(row::damaged("a document to move is not there"));
            };
            let sql = format!("SELECT source, locator, path FROM documents WHERE {AT_OR_INSIDE}");
            let (first, last) = inside(locator);
            if !all(connection, &sql, (&source, locator, &first, &last), place)?.is_empty() {
                return Ok(false);
            }
            let (first, last) = inside(&from);
            for table in ["documents", "quarantine"] {
                let sql = format!("SELECT source, locator, path FROM {table} WHERE {AT_OR_INSIDE}");
                // What was set aside at the new place was another file.
                let update =
                    format!("UPDATE OR REPLACE {table} SET locator = ?3, path = ?4 WHERE source = ?1 AND locator = ?2");
                for (_, old, old_path) in all(connection, &sql, (&source, &from, &first, &last), place)? {
                    let new = [locator, &old[from.len()..]].concat();
                    let new_path = format!("{path}{}", old_path.strip_prefix(&from_path).unwrap_or_default());
                    connection.execute(&update, (&source, &old, &new, &new_path))?;
                }
            }
            next_snapshot(connection)?;
            Ok(true)
        })
    }
}

/// The range of locators of what is inside the file at `locator`.
fn inside(locator: &[u8]) -> (Vec<u8>, Vec<u8>) {
    // The byte after `/` ends the range.
    ([locator, b"!/"].concat(), [locator, b"!0"].concat())
}

/// Source, locator and path of a row.
fn place(row: &Row<'_>) -> Result<(String, Vec<u8>, String), LedgerError> {
    Ok((row.get("source")?, row.get("locator")?, row.get("path")?))
}
