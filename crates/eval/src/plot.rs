//! Plots as SVG: plain shapes and text, no script, readable on light and dark pages.

use std::fmt::Write as _;

use crate::RetrievalReport;

const WIDTH: f64 = 640.0;
/// Colours of modes, in the order of the report (Okabe and Ito's palette, told apart by colour-blind readers).
const COLOURS: [&str; 4] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"];

/// Bars of nDCG@10 with their 95 % intervals, one per mode.
pub fn bars(report: &RetrievalReport) -> String {
    let row = 34.0;
    let height = 40.0 + row * report.per_mode.len() as f64;
    let x = |value: f64| 110.0 + value.clamp(0.0, 1.0) * (WIDTH - 180.0);
    let mut body = String::new();
    for (at, (mode, figures)) in report.per_mode.iter().enumerate() {
        let y = 30.0 + row * at as f64;
        let value = figures.metrics.get("ndcg@10").copied().unwrap_or_default();
        let colour = COLOURS[at % COLOURS.len()];
        let _ = writeln!(body, "<text x=\"100\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", y + 15.0, escaped(mode));
        let width = x(value) - x(0.0);
        let _ = writeln!(
            body,
            "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"20\" fill=\"{colour}\"/>",
            x(0.0)
        );
        if let Some(interval) = figures.intervals.get("ndcg@10") {
            let (low, high, middle) = (x(interval.low), x(interval.high), y + 10.0);
            let _ = writeln!(
                body,
                "<path d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {:.1}v8M{high:.1} {:.1}v8\" stroke=\"currentColor\"/>",
                y + 6.0,
                y + 6.0
            );
        }
        let _ = writeln!(body, "<text x=\"{:.1}\" y=\"{:.1}\">{value:.3}</text>", WIDTH - 60.0, y + 15.0);
    }
    svg(height, "nDCG@10 and 95 % interval", &body)
}

/// Recall by depth, one line per mode; the axis of depths is logarithmic.
pub fn recall_curve(report: &RetrievalReport) -> String {
    let (height, left, bottom) = (300.0, 50.0, 260.0);
    let deepest = report.per_mode.values().flat_map(|mode| &mode.recall).map(|(depth, _)| *depth).max().unwrap_or(1);
    let x = |depth: usize| left + (depth.max(1) as f64).ln() / (deepest.max(2) as f64).ln() * (WIDTH - left - 130.0);
    let y = |recall: f64| bottom - recall.clamp(0.0, 1.0) * (bottom - 40.0);
    let mut body = String::new();
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let _ = writeln!(
            body,
            "<path d=\"M{left} {0:.1}H{1:.1}\" stroke=\"currentColor\" opacity=\"0.2\"/><text x=\"44\" y=\"{2:.1}\" text-anchor=\"end\">{share}</text>",
            y(share),
            WIDTH - 130.0,
            y(share) + 4.0
        );
    }
    for (at, (mode, figures)) in report.per_mode.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let points: Vec<String> =
            figures.recall.iter().map(|(depth, recall)| format!("{:.1},{:.1}", x(*depth), y(*recall))).collect();
        let _ = writeln!(
            body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        let _ = writeln!(
            body,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
            WIDTH - 120.0,
            60.0 + 18.0 * at as f64,
            escaped(mode)
        );
    }
    let depths = report.per_mode.values().next().map(|mode| mode.recall.as_slice()).unwrap_or_default();
    for (depth, _) in depths {
        let _ = writeln!(
            body,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{depth}</text>",
            x(*depth),
            bottom + 18.0
        );
    }
    svg(height, "Recall by depth", &body)
}

fn svg(height: f64, title: &str, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" fill=\"currentColor\" font-family=\"sans-serif\" font-size=\"13\">\n<title>{title}</title>\n<text x=\"10\" y=\"18\" font-weight=\"bold\">{title}</text>\n{body}</svg>\n"
    )
}

/// Text that means nothing to HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_drawn() {
        let report = crate::retrieval::tests::report();
        let (bars, curve) = (bars(&report), recall_curve(&report));
        assert_eq!(bars.matches("<rect").count(), 3);
        assert_eq!(curve.matches("<polyline").count(), 3);
        for plot in [bars, curve] {
            assert!(report.per_mode.keys().all(|mode| plot.contains(&format!(">{mode}</text>"))), "{plot}");
            assert_eq!(plot.matches("<text").count(), plot.matches("</text>").count());
            assert!(!plot.contains("NaN"));
        }
    }

    #[test]
    fn names_cannot_be_markup() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
