//! The default back end: `hayro` interprets the page and hands over every glyph with its place.
//!
//! Pure Rust without `unsafe`, and the same interpreter that draws the page ([`super::render`]): what is
//! cited and what is shown cannot drift apart. It also says what else is on the page: pictures, and text that
//! is drawn invisibly.

use hayro::{
    hayro_interpret::{
        BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
        InterpreterSettings, RenderContent, SoftMask, TransformExt as _,
        font::{Glyph as FontGlyph, GlyphRun},
        hayro_cmap::{BfString, WritingMode},
        interpret_page,
    },
    hayro_syntax::{object::Dict, page::Page},
    kurbo::{Affine, BezPath, Point, Rect, Shape as _},
};

use super::{
    GLYPH_LIMIT, Glyph, PageText,
    names::{self, Names},
    replacement::Replacements,
    spelled_out,
};

/// Glyph space: a thousand units are one em.
const EM: f64 = 1000.0;

/// Reads a page into `out`, glyphs in the order in which they are drawn. What came before a panic is kept.
pub(super) fn read<'a>(page: &Page<'a>, cache: &InterpreterCache<'a>, names: &mut Names<'_>, out: &mut PageText) {
    let transform = page.initial_transform(true).to_kurbo();
    let (width, height) = page.render_dimensions();
    let frame = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
    // Fields and comments are read from their dictionaries, with their labels.
    let settings = InterpreterSettings { render_content: RenderContent::PAGE, ..InterpreterSettings::default() };
    let mut context = Context::new(transform, frame, cache, page.xref(), settings);
    let mut collector = Collector::new(frame, out, names);
    interpret_page(page, &mut context, &mut collector);
    collector.name_by_code();
}

/// A page on which at most one character in this many has no name is otherwise well encoded.
const FEW: usize = 20;

/// The device that keeps places instead of drawing.
struct Collector<'o, 'p> {
    frame: Rect,
    out: &'o mut PageText,
    names: &'o mut Names<'p>,
    /// Range of the glyphs of the last filled run: stroking them once more is no second text.
    filled: (usize, usize),
    /// Glyphs whose font does not name them, and the codes that drew them.
    unknown: Vec<(usize, char)>,
    replacements: Replacements,
}

impl<'a> Device<'a> for Collector<'_, '_> {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, _mode: &DrawMode) {
        // Only curves count: letters drawn as outlines have them, rules and frames do not.
        if path.elements().len() > 8 && self.frame.overlaps(props.transform.transform_rect_bbox(path.bounding_box())) {
            self.out.outlines += 1;
        }
    }

    fn push_clip_path(&mut self, _path: &ClipPath) {}

    fn push_transparency_group(&mut self, _opacity: f32, _mask: Option<SoftMask<'a>>, _mode: BlendMode) {}

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        let glyphs = run.glyphs();
        let Some(first) = glyphs.first() else { return };
        let from = self.out.glyphs.len();
        if matches!(mode, DrawMode::Stroke(_)) && self.repeats(props.transform * first.transform(), glyphs.len()) {
            return;
        }
        let vertical = matches!(run.writing_mode(), WritingMode::Vertical);
        let style = Style { hidden: matches!(mode, DrawMode::Invisible), bold: is_bold(first) };
        let stretches = stretches(run);
        for (glyph, stretch) in glyphs.iter().zip(stretches) {
            if self.out.glyphs.len() >= GLYPH_LIMIT {
                return;
            }
            let advance = match &**glyph {
                FontGlyph::Outline(outline) => outline.advance_width(),
                FontGlyph::Type3(drawn) => drawn.advance_width(),
            };
            let advance = f64::from(advance.unwrap_or(0.0)) / stretch;
            let end = if vertical { Point::new(0.0, -EM) } else { Point::new(advance, 0.0) };
            let text = match self.name(glyph) {
                Some(BfString::Char(c)) => spelled_out(c.encode_utf8(&mut [0; 4])),
                Some(BfString::String(text)) => spelled_out(&text),
                None => {
                    let code = char::from_u32(glyph.char_code()).filter(|code| *code <= '\u{FF}');
                    self.unknown.extend(code.map(|code| (self.out.glyphs.len(), code)));
                    String::from(char::REPLACEMENT_CHARACTER)
                }
            };
            self.put(props.transform * glyph.transform(), end, text, style);
        }
        if matches!(&**first, FontGlyph::Type3(_)) {
            resize(&mut self.out.glyphs[from..]);
        }
        self.filled = (from, self.out.glyphs.len());
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        let pixels = Rect::new(0.0, 0.0, f64::from(image.width()), f64::from(image.height()));
        let area = props.transform.transform_rect_bbox(pixels).intersect(self.frame).area();
        #[expect(clippy::cast_possible_truncation, reason = "a share of the page")]
        let share = (area.max(0.0) / self.frame.area().max(1.0)) as f32;
        self.out.pictures += share;
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}

    fn begin_marked_content(&mut self, _tag: &[u8], properties: Option<&Dict<'_>>) {
        self.replacements.begin(properties, self.out.glyphs.len());
    }

    fn end_marked_content(&mut self) {
        if let Some(from) = self.replacements.end(&mut self.out.glyphs) {
            self.unknown.retain(|(index, _)| *index < from);
        }
    }
}

impl<'o, 'p> Collector<'o, 'p> {
    fn new(frame: Rect, out: &'o mut PageText, names: &'o mut Names<'p>) -> Self {
        Self { frame, out, names, filled: (0, 0), unknown: Vec::new(), replacements: Replacements::default() }
    }

    /// What a glyph says: as the file tells, unless that is no character, else as its font knows.
    fn name(&mut self, glyph: &FontGlyph<'_>) -> Option<BfString> {
        let told = glyph.as_unicode();
        let means_nothing = |text: &BfString| {
            matches!(
                text,
                BfString::Char('\u{0}'..='\u{8}' | '\u{E}'..='\u{1F}' | '\u{FFFD}' | '\u{E000}'..='\u{F8FF}')
            )
        };
        match (told, glyph) {
            (Some(text), _) if !means_nothing(&text) => Some(text),
            (told, FontGlyph::Outline(outline)) => self.names.find(outline).or(told),
            (told, FontGlyph::Type3(_)) => told,
        }
    }

    /// Says whether the last filled run began where this one begins.
    fn repeats(&self, transform: Affine, count: usize) -> bool {
        let (from, to) = self.filled;
        let start = point(transform * Point::ORIGIN);
        to - from == count && self.out.glyphs.get(from).is_some_and(|glyph| glyph.from == start)
    }

    /// Takes the code of a nameless character for its name where they are few, as other readers do: letters of
    /// mathematical fonts with names of their own. Where they are many, codes often mean something to the font only;
    /// those of old TeX bitmap fonts mean letters.
    fn name_by_code(&mut self) {
        let few = self.unknown.len() * FEW <= self.out.glyphs.len();
        if !few && !names::reads(self.unknown.iter().map(|(_, code)| *code)) {
            return;
        }
        for (index, code) in &self.unknown {
            let unnamed = self.out.glyphs.get_mut(*index).filter(|glyph| glyph.text == "\u{FFFD}");
            let Some(glyph) = unnamed else { continue };
            match names::by_code(*code) {
                Some(ligature) if !few => ligature.clone_into(&mut glyph.text),
                _ if matches!(code, ' '..='~') || !few && *code >= '\u{A1}' => glyph.text = code.to_string(),
                _ => {}
            }
        }
    }

    fn put(&mut self, transform: Affine, end: Point, text: String, style: Style) {
        let (from, to) = (point(transform * Point::ORIGIN), point(transform * end));
        let [_, _, c, d, _, _] = transform.as_coeffs();
        let up = point(Point::new(c * EM, d * EM));
        let size = up.0.hypot(up.1);
        if [from.0, from.1, to.0, to.1, size].iter().all(|number| number.is_finite()) && !text.is_empty() {
            let Style { hidden, bold } = style;
            self.out.glyphs.push(Glyph { text, from, to, size, hidden, bold });
        }
    }
}

/// Sets the size of a run whose font is drawn by the page's own means: its glyph space may have any scale, so that the
/// nominal size says nothing where it is far from twice the usual advance.
fn resize(run: &mut [Glyph]) {
    let advance = |glyph: &Glyph| (glyph.to.0 - glyph.from.0).hypot(glyph.to.1 - glyph.from.1);
    let advances: Vec<f32> = run.iter().map(advance).filter(|advance| *advance > 0.0).collect();
    #[expect(clippy::cast_precision_loss, reason = "characters of a run")]
    let usual = advances.iter().sum::<f32>() / advances.len().max(1) as f32;
    for glyph in run.iter_mut().filter(|glyph| usual > 0.0 && !(0.8..8.0).contains(&(glyph.size / usual))) {
        glyph.size = 2.0 * usual;
    }
}

/// How a run is drawn.
#[derive(Clone, Copy)]
struct Style {
    hidden: bool,
    bold: bool,
}

/// Says whether a glyph's font is a heavy one, by its weight (semibold is 600) or its name.
fn is_bold(glyph: &FontGlyph<'_>) -> bool {
    let FontGlyph::Outline(outline) = glyph else { return false };
    let Some(font) = outline.font_data() else { return false };
    let name = font.postscript_name.unwrap_or_default().to_ascii_lowercase();
    font.weight.is_some_and(|weight| weight >= 600)
        || ["bold", "black", "heavy", "demi"].iter().any(|weight| name.contains(weight))
}

/// By how much each glyph of a run is stretched to fit the width that the file states for it. Only fonts that
/// are not embedded are, and then differently from glyph to glyph; an even stretch is horizontal scaling.
fn stretches(run: &GlyphRun<'_, '_>) -> Vec<f64> {
    let ratio = |transform: Affine| {
        let [a, b, c, d, _, _] = transform.as_coeffs();
        let (across, up) = (a.hypot(b), c.hypot(d));
        if across > 0.0 && up > 0.0 { across / up } else { 1.0 }
    };
    let ratios: Vec<f64> = run.glyphs().iter().map(|glyph| ratio(glyph.transform())).collect();
    let even = ratios.windows(2).all(|pair| (pair[0] - pair[1]).abs() <= 0.01 * pair[0]);
    if even { vec![1.0; ratios.len()] } else { ratios }
}

#[expect(clippy::cast_possible_truncation, reason = "points on a page fit f32")]
fn point(point: Point) -> (f32, f32) {
    (point.x as f32, point.y as f32)
}
