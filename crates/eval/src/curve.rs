//! Risk and coverage: what silence costs and what it buys, over every threshold of confidence.
//!
//! An answering system that may stay silent is not one point but a curve (El-Yaniv and Wiener, JMLR 2010). The
//! curve here has a second line, because the worst error is an answer where there is none.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// How one question went, with every answer given that the system could give.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Confidence when the answer is there.
    pub confidence: f64,
    /// Whether a citation then holds the known answer.
    pub right: bool,
    /// Confidence when every relevant document is gone; 0 when the system had nothing to say.
    pub confidence_without: f64,
}

/// What a threshold gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Answers below this confidence are not given.
    pub threshold: f64,
    /// Share of the answerable questions that are answered.
    pub coverage: f64,
    /// Share of those answers no citation of which holds the known answer.
    pub risk: f64,
    /// Share of the questions answered although every relevant document is gone.
    pub false_answers: f64,
}

/// Points of the curve that a report keeps.
const POINTS: usize = 41;

/// The curve over thresholds from 0 to 1, from full coverage to none.
pub fn curve(trials: &[Trial]) -> Vec<CurvePoint> {
    (0..POINTS).map(|step| point(trials, step as f64 / (POINTS - 1) as f64)).collect()
}

/// What `threshold` gives on `trials`; all zero when there are none.
pub fn point(trials: &[Trial], threshold: f64) -> CurvePoint {
    let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let answered: Vec<&Trial> = trials.iter().filter(|trial| trial.confidence >= threshold).collect();
    let wrong = answered.iter().filter(|trial| !trial.right).count();
    let falsely =
        trials.iter().filter(|trial| trial.confidence_without > 0.0 && trial.confidence_without >= threshold).count();
    CurvePoint {
        threshold,
        coverage: share(answered.len(), trials.len()),
        risk: share(wrong, answered.len()),
        false_answers: share(falsely, trials.len()),
    }
}

/// Size of the drawing and the box of its axes, in pixels.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 40.0;
const BOX_WIDTH: f64 = 480.0;
const BOX_HEIGHT: f64 = 260.0;

/// A figure read off a point.
type Reading = fn(&CurvePoint) -> f64;

/// Draws the curve: risk and false answers over coverage, the threshold in use as dots.
pub fn curve_svg(title: &str, curve: &[CurvePoint], used: &CurvePoint) -> String {
    let x = |coverage: f64| LEFT + BOX_WIDTH * coverage;
    let y = |share: f64| TOP + BOX_HEIGHT * (1.0 - share);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\">\n<title>{title}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         fill=\"#ffffff\"/>\n<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n",
        title = escaped(title)
    );
    for tick in 0..=5 {
        let share = f64::from(tick) / 5.0;
        let (across, down) = (x(share), y(share));
        let _infallible = write!(
            svg,
            "<path d=\"M{LEFT} {down:.1}H{right}M{across:.1} {TOP}V{bottom}\" stroke=\"#dddddd\" fill=\"none\"/>\n\
             <text x=\"{text_left}\" y=\"{text_y:.1}\" text-anchor=\"end\">{share:.1}</text>\n\
             <text x=\"{across:.1}\" y=\"{under}\" text-anchor=\"middle\">{share:.1}</text>\n",
            right = LEFT + BOX_WIDTH,
            bottom = TOP + BOX_HEIGHT,
            text_left = LEFT - 8.0,
            text_y = down + 4.0,
            under = TOP + BOX_HEIGHT + 18.0,
        );
    }
    let _infallible = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">coverage: share of answerable questions answered</text>",
        LEFT + BOX_WIDTH / 2.0,
        HEIGHT - 20.0
    );
    let lines: [(&str, &str, Reading); 2] = [
        ("risk: no citation holds the answer", "#8a1f1f", |point| point.risk),
        ("answered although the answer is gone", "#1f4e8a", |point| point.false_answers),
    ];
    for (row, (label, colour, value)) in lines.into_iter().enumerate() {
        let points: Vec<String> =
            curve.iter().map(|point| format!("{:.1},{:.1}", x(point.coverage), y(value(point)))).collect();
        let below = TOP + 16.0 + 18.0 * row as f64;
        let _infallible = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\" fill=\"{colour}\"/>\n\
             <text x=\"{}\" y=\"{below}\" fill=\"{colour}\">{label}</text>\n",
            points.join(" "),
            x(used.coverage),
            y(value(used)),
            LEFT + 10.0,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIALS: [Trial; 4] = [
        Trial { confidence: 0.9, right: true, confidence_without: 0.1 },
        Trial { confidence: 0.6, right: false, confidence_without: 0.7 },
        Trial { confidence: 0.5, right: true, confidence_without: 0.0 },
        Trial { confidence: 0.1, right: false, confidence_without: 0.2 },
    ];

    #[test]
    fn a_point_is_counted_by_its_definition() {
        let all = point(&TRIALS, 0.0);
        assert_eq!((all.coverage, all.risk, all.false_answers), (1.0, 0.5, 0.75));
        let half = point(&TRIALS, 0.5);
        assert_eq!((half.coverage, half.false_answers), (0.75, 0.25));
        assert!((half.risk - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(point(&[], 0.5).coverage, 0.0);
    }

    #[test]
    fn raising_the_threshold_never_answers_more() {
        let points = curve(&TRIALS);
        assert_eq!(points.len(), POINTS);
        assert!(points.windows(2).all(|pair| pair[0].coverage >= pair[1].coverage));
        assert!(points.windows(2).all(|pair| pair[0].false_answers >= pair[1].false_answers));
    }

    #[test]
    fn the_drawing_holds_both_lines_and_no_markup_from_outside() {
        let svg = curve_svg("a <b>", &curve(&TRIALS), &point(&TRIALS, 0.5));
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("a &lt;b&gt;") && !svg.contains("<b>"));
    }
}
