//! Tables: aligned columns, two blanks apart, nothing behind the last one.

use super::color;
use super::text::one_line;
use crate::out::Out;
use anstyle::Style;
use std::io;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The space between two columns.
const GAP: usize = 2;
/// The narrowest that a column is cut to.
const NARROWEST: usize = 12;

/// One cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell in a colour.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Cell {
        Cell { text: one_line(&text.into()).into_owned(), style }
    }

    /// A cell with a status word, in the word's colour.
    pub(crate) fn status(word: &str) -> Cell {
        Cell::styled(word, color::status(word))
    }

    /// The cell with another text, in the same colour.
    #[must_use]
    pub(crate) fn with_text(self, text: &str) -> Cell {
        Cell::styled(text, self.style)
    }

    /// A cell that says that something is done.
    pub(crate) fn done(word: &str) -> Cell {
        Cell::styled(word, color::status("done"))
    }

    /// A cell that says whether there is a risk.
    pub(crate) fn risk(risk: bool) -> Cell {
        if risk { Cell::styled("risk", color::WARNING) } else { Cell::from("ok") }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::styled(text, color::PLAIN)
    }
}

/// A table that is printed when all its rows are known.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    /// Which columns may be cut to fit a terminal. Ids never are: people copy them.
    elastic: Vec<usize>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(headings: impl IntoIterator<Item = &'static str>) -> Table {
        Table { headings: headings.into_iter().collect(), elastic: Vec::new(), rows: Vec::new() }
    }

    /// Lets the columns with these headings be cut where the terminal is too narrow.
    #[must_use]
    pub(crate) fn elastic(mut self, headings: &[&str]) -> Table {
        let columns = self.headings.iter().enumerate();
        self.elastic =
            columns.filter(|(_, name)| headings.contains(name)).map(|(index, _)| index).collect();
        self
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.headings.len(), "a cell for each heading");
        self.rows.push(cells);
    }

    /// Prints it.
    pub(crate) fn print(self, out: &mut Out) -> io::Result<()> {
        let headings: Vec<Cell> =
            self.headings.iter().map(|name| Cell::styled(*name, color::HEADING)).collect();
        let mut widths: Vec<usize> = headings.iter().map(|cell| cell.text.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        if let Some(limit) = out.width() {
            shrink(&mut widths, &self.elastic, limit);
        }
        let colored = out.is_colored();
        let mut line = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            line.clear();
            write_row(&mut line, row, &widths, colored);
            out.line(&line)?;
        }
        Ok(())
    }
}

/// Cuts the widest elastic columns until everything fits, or nothing is left to cut.
fn shrink(widths: &mut [usize], elastic: &[usize], limit: usize) {
    let mut total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    while total > limit {
        let widest = elastic.iter().copied().max_by_key(|column| widths[*column]);
        let Some(column) = widest.filter(|column| widths[*column] > NARROWEST) else { return };
        let cut = (total - limit).min(widths[column] - NARROWEST);
        widths[column] -= cut;
        total -= cut;
    }
}

fn write_row(line: &mut String, row: &[Cell], widths: &[usize], colored: bool) {
    let last = row.len().saturating_sub(1);
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        let text = cut(&cell.text, *width);
        if colored && cell.style != color::PLAIN {
            let style = cell.style;
            line.push_str(&format!("{style}{text}{style:#}"));
        } else {
            line.push_str(&text);
        }
        if index < last {
            let blanks = width.saturating_sub(text.width()) + GAP;
            line.extend(std::iter::repeat_n(' ', blanks));
        }
    }
    // An empty last cell leaves the blanks of the one before it.
    line.truncate(line.trim_end_matches(' ').len());
}

/// `text` in at most `width` columns of the screen, `...` where something is missing.
pub(crate) fn cut(text: &str, width: usize) -> std::borrow::Cow<'_, str> {
    if text.width() <= width {
        return text.into();
    }
    let mut left = width.saturating_sub(3);
    let mut short = String::new();
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        short.push(c);
    }
    short.push_str("...");
    short.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(table: Table, width: Option<usize>, colored: bool) -> String {
        let (mut out, written) = Out::to_memory(width, colored);
        table.print(&mut out).unwrap();
        drop(out);
        written.text()
    }

    fn sample() -> Table {
        let mut table = Table::new(["ID", "STATUS", "NOTE"]).elastic(&["NOTE"]);
        table.row(vec!["a-long-id".into(), Cell::status("running"), "x".into()]);
        table.row(vec!["\u{65e5}\u{672c}".into(), "-".into(), "".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        assert_eq!(
            lines(sample(), None, false),
            "ID         STATUS   NOTE\n\
             a-long-id  running  x\n\
             \u{65e5}\u{672c}       -\n"
        );
    }

    #[test]
    fn colour_changes_no_column() {
        let colored = lines(sample(), None, true);
        assert!(colored.contains("\u{1b}["));
        assert_eq!(
            anstream::adapter::strip_str(&colored).to_string(),
            lines(sample(), None, false)
        );
    }

    #[test]
    fn only_elastic_columns_give_way_to_a_narrow_terminal() {
        let table = |note: &str| {
            let mut table = Table::new(["ID", "NOTE"]).elastic(&["NOTE"]);
            table.row(vec!["x".repeat(30).into(), note.into()]);
            table
        };
        let fits = lines(table("a note that is much too long"), Some(48), false);
        assert_eq!(fits.lines().nth(1).unwrap(), format!("{}  a note that i...", "x".repeat(30)));
        let never = lines(table("short"), Some(10), false);
        assert!(never.contains(&"x".repeat(30)));
        assert!(lines(table("a note that is much too long"), None, false).contains("too long"));
    }
}
