//! Reports as Markdown, and as one HTML page with plots.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    AnswerReport, GroupReport, Interval, RetrievalReport,
    plot::{bars, escaped, recall_curve},
};

/// The order in which ranking figures are shown.
const COLUMNS: [&str; 7] = ["ndcg@10", "recall@10", "recall@100", "mrr@10", "map", "success@1", "success@5"];

/// Writes a retrieval report: one row per mode, means with the half-width of their interval.
pub fn retrieval_markdown(report: &RetrievalReport) -> String {
    let mut text = format!(
        "## {}\n\n{} documents, {} questions, {:.1} s. Means ± half of the 95 % bootstrap interval.\n\n",
        report.dataset, report.documents, report.queries, report.seconds
    );
    let _ = writeln!(text, "| mode | {} | p50 ms | p99 ms | p |", COLUMNS.join(" | "));
    let _ = writeln!(text, "|---|{}---:|---:|---:|", "---:|".repeat(COLUMNS.len()));
    for (mode, figures) in &report.per_mode {
        let _ = write!(text, "| {mode} |");
        for column in COLUMNS {
            let value = figures.metrics.get(column).copied().unwrap_or_default();
            let _ = write!(text, " {} |", with_half_width(value, figures.intervals.get(column)));
        }
        let p_value = report.p_values.get(mode).map_or_else(|| "–".to_owned(), |p| format!("{p:.4}"));
        let _ = writeln!(text, " {:.1} | {:.1} | {p_value} |", figures.p50_ms, figures.p99_ms);
    }
    text.push_str("\np: paired randomisation test on nDCG@10 against hybrid.\n");
    for (name, groups) in
        [("language of the question", &report.per_language), ("class of the question", &report.per_class)]
    {
        text.push_str(&groups_markdown(name, groups));
    }
    text
}

/// nDCG@10 of groups of questions; nothing when all are in one.
fn groups_markdown(name: &str, groups: &BTreeMap<String, GroupReport>) -> String {
    let Some(first) = groups.values().next().filter(|_| groups.len() > 1) else { return String::new() };
    let modes: Vec<&str> = first.ndcg.keys().map(String::as_str).collect();
    let mut text =
        format!("\n| {name} | questions | {} |\n|---|---:|{}\n", modes.join(" | "), "---:|".repeat(modes.len()));
    for (group, figures) in groups {
        let values: Vec<String> = figures.ndcg.values().map(|value| format!("{value:.3}")).collect();
        let _ = writeln!(text, "| {group} | {} | {} |", figures.queries, values.join(" | "));
    }
    text
}

/// Writes a retrieval report as one page: the tables of [`retrieval_markdown`] and two plots. It loads nothing.
pub fn retrieval_html(report: &RetrievalReport) -> String {
    let mut body = String::new();
    let mut table = false;
    for line in retrieval_markdown(report).lines() {
        let row = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
        if row.is_some() != table {
            body.push_str(if table { "</table>\n" } else { "<table>\n" });
            table = !table;
        }
        match row {
            Some(rule) if rule.starts_with("---") => {}
            Some(row) => {
                let cells: String = row.split('|').map(|cell| format!("<td>{}</td>", escaped(cell.trim()))).collect();
                let _ = writeln!(body, "<tr>{cells}</tr>");
            }
            None if line.is_empty() => {}
            None => {
                let (tag, text) = line.strip_prefix("## ").map_or(("p", line), |title| ("h1", title));
                let _ = writeln!(body, "<{tag}>{}</{tag}>", escaped(text));
            }
        }
    }
    if table {
        body.push_str("</table>\n");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{}</title>\n<style>{STYLE}</style>\n{body}{}{}</html>\n",
        escaped(&report.dataset),
        bars(report),
        recall_curve(report)
    )
}

/// The look of the page, on light and dark screens.
const STYLE: &str = ":root{color-scheme:light dark}body{font:16px sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;margin:1rem 0}td{border:1px solid #8888;padding:.2rem .5rem;text-align:right}\
td:first-child{text-align:left}tr:first-child{font-weight:bold}svg{display:block;margin:1rem 0;max-width:100%}";

/// Writes an answer report: one row per figure.
pub fn answers_markdown(report: &AnswerReport) -> String {
    let mut text = format!(
        "## {}\n\n{} questions, answered by {}; checker: {}. Time per answer: p50 {:.0} ms, p99 {:.0} ms.\n\n",
        report.dataset, report.queries, report.model, report.checker, report.p50_ms, report.p99_ms
    );
    text.push_str("| figure | mean ± half of the 95 % bootstrap interval |\n|---|---:|\n");
    for (name, value) in &report.metrics {
        let _ = writeln!(text, "| {name} | {} |", with_half_width(*value, report.intervals.get(name)));
    }
    text.push_str("\n| threshold | coverage | risk | false answers |\n|---:|---:|---:|---:|\n");
    let used = &report.operating_point;
    let every_second = report.curve.iter().step_by(4);
    for (point, mark) in std::iter::once((used, " (in use)")).chain(every_second.map(|point| (point, ""))) {
        let _ = writeln!(
            text,
            "| {:.3}{mark} | {:.3} | {:.3} | {:.3} |",
            point.threshold, point.coverage, point.risk, point.false_answers
        );
    }
    text
}

/// The figures that an ablation compares.
const ABLATED: [&str; 8] = [
    "citations_resolve",
    "citation_recall",
    "citation_precision",
    "statement_recall",
    "statement_precision",
    "answer_recall",
    "f1",
    "false_answers",
];

/// Writes what each part does: one row per variant, the whole system first.
pub fn ablation_markdown(variants: &[(String, AnswerReport)]) -> String {
    let mut text =
        format!("| variant | {} | p50 ms |\n|---|{}---:|\n", ABLATED.join(" | "), "---:|".repeat(ABLATED.len()));
    for (name, report) in variants {
        let figures = ABLATED
            .iter()
            .map(|figure| report.metrics.get(*figure).map_or("–".to_owned(), |value| format!("{value:.3}")));
        let _ = writeln!(text, "| {name} | {} | {:.0} |", figures.collect::<Vec<_>>().join(" | "), report.p50_ms);
    }
    text
}

fn with_half_width(value: f64, interval: Option<&Interval>) -> String {
    let half = interval.map_or(0.0, |interval| (interval.high - interval.low) / 2.0);
    format!("{value:.3} ± {half:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_a_row_of_every_column() {
        let text = retrieval_markdown(&crate::retrieval::tests::report());
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 5, "{text}");
        assert!(rows.iter().all(|row| row.matches('|').count() == COLUMNS.len() + 5), "{text}");
        assert!(text.contains("| hybrid | 1.000 ± 0.000 |"), "{text}");
    }

    #[test]
    fn the_page_holds_tables_and_plots() {
        let page = retrieval_html(&crate::retrieval::tests::report());
        assert_eq!(page.matches("<table>").count(), page.matches("</table>").count());
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(page.contains("<td>hybrid</td><td>1.000 ± 0.000</td>"), "{page}");
        assert!(!page.contains("src=") && !page.contains("href="), "it loads nothing");
    }

    #[test]
    fn every_figure_of_answers_has_a_row() {
        let report = crate::answers::tests::report();
        let text = answers_markdown(&report);
        assert!(report.metrics.keys().all(|name| text.contains(&format!("| {name} |"))), "{text}");
        assert!(text.contains("known answer spans") && text.contains("(in use)"));
        let table = ablation_markdown(&[("whole".into(), report)]);
        assert!(table.lines().all(|line| line.matches('|').count() == ABLATED.len() + 3), "{table}");
    }
}
