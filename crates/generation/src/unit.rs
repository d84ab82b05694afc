//! Units of the four working languages, as they stand beside a number: ten days are not ten working days.

use std::{collections::HashMap, sync::LazyLock};

/// Most words of a unit: `jours de travail`.
const LONGEST: usize = 3;

/// Common names, and what they are written as, in lower case. What a site's documents may hold against each other with
/// harm: times, money, shares, doses, measures. Words that mean something else as well are left out (`an`, `l`, `cents`).
const UNITS: &[(&str, &str)] = &[
    ("percent", "%|prozent|pourcent|pour cent|per cento|percento|percent|per cent"),
    (
        "percentage point",
        "prozentpunkt|prozentpunkte|prozentpunkten|% punkte|% punkten|point de pourcentage|points de pourcentage|\
         punto percentuale|punti percentuali|percentage point|percentage points",
    ),
    ("per mille", "‰|promille|pour mille|per mille"),
    ("franc", "franken|chf|fr|franc|francs|franco|franchi|sfr"),
    ("rappen", "rappen|rp|centime|centimes|centesimo|centesimi"),
    ("euro", "€|eur|euro|euros"),
    ("dollar", "$|usd|dollar|dollars|dollari"),
    ("million", "million|millionen|millions|milione|milioni|mio"),
    ("billion", "milliarde|milliarden|milliard|milliards|miliardo|miliardi|billion|mrd|mia"),
    ("second", "sekunde|sekunden|secondes|secondi|seconds"),
    ("minute", "minute|minuten|minutes|minuto|minuti|min"),
    ("hour", "stunde|stunden|std|heure|heures|ora|ore|hour|hours|h"),
    (
        "day",
        "tag|tages|tage|tagen|kalendertag|kalendertage|kalendertagen|jour|jours|jours civils|jours calendaires|giorno|\
         giorni|giorni civili|giorni di calendario|day|days|calendar day|calendar days",
    ),
    (
        "working day",
        "arbeitstag|arbeitstages|arbeitstage|arbeitstagen|werktag|werktages|werktage|werktagen|bankwerktage|\
         bankwerktagen|jour ouvrable|jours ouvrables|jour ouvré|jours ouvrés|jour de travail|jours de travail|\
         giorno lavorativo|giorni lavorativi|giorno feriale|giorni feriali|giorni di lavoro|working day|working days|\
         business day|business days|workday|workdays",
    ),
    ("week", "woche|wochen|semaine|semaines|settimana|settimane|week|weeks"),
    ("working week", "arbeitswoche|arbeitswochen"),
    ("month", "monat|monats|monate|monaten|mois|mese|mesi|month|months"),
    ("quarter", "quartal|quartale|quartalen|trimestre|trimestres|trimestri"),
    ("half-year", "semester|semestern|semestre|semestres|semestri"),
    ("year", "jahr|jahres|jahre|jahren|ans|année|années|anno|anni|year|years"),
    ("microgram", "µg|μg|mcg|mikrogramm|microgramme|microgrammes|microgrammi|micrograms"),
    ("milligram", "mg|milligramm|milligramme|milligrammes|milligrammi|milligrams"),
    ("gram", "g|gramm|gramme|grammes|grammo|grammi|gram|grams"),
    ("kilogram", "kg|kilogramm|kilo|kilos|kilogramme|kilogrammes|chilogrammi|chili|kilograms"),
    ("tonne", "tonne|tonnen|tonnes|tonnellata|tonnellate"),
    ("international unit", "ie|iu|ui"),
    ("millimole", "mmol"),
    ("millilitre", "ml|milliliter|millilitern|millilitre|millilitres|millilitri|milliliters"),
    ("centilitre", "cl|zentiliter|zentilitern|centilitre|centilitres|centilitri"),
    ("decilitre", "dl|deziliter|dezilitern|décilitre|décilitres|decilitri"),
    ("litre", "liter|litern|litre|litres|litro|litri|liters"),
    ("millimetre", "mm|millimeter|millimetern|millimètre|millimètres|millimetri|millimetres"),
    ("centimetre", "cm|zentimeter|zentimetern|centimètre|centimètres|centimetri|centimetres"),
    ("metre", "meter|metern|mètre|mètres|metro|metri|metre|metres|meters"),
    ("kilometre", "km|kilometer|kilometern|kilomètre|kilomètres|chilometro|chilometri|kilometre|kilometres|kilometers"),
    (
        "square metre",
        "m²|m2|quadratmeter|quadratmetern|mètre carré|mètres carrés|metri quadrati|square metres|square meters",
    ),
    ("hectare", "ha|hektar|hektaren|hectare|hectares|ettaro|ettari"),
];

/// Stems of German adjectives that hold their number, `zehntägig`, or follow it, `10-tägig`, and their units.
const ADJECTIVES: [(&str, &str); 6] = [
    ("minütig", "minute"),
    ("stündig", "hour"),
    ("tägig", "day"),
    ("wöchig", "week"),
    ("monatig", "month"),
    ("jährig", "year"),
];

/// What stands before the unit in a lowercase German adjective, possibly nothing, and the unit.
pub(crate) fn adjective(lower: &str) -> Option<(&str, &'static str)> {
    ADJECTIVES.iter().find_map(|(stem, unit)| {
        let (number, ending) = lower.split_once(stem)?;
        matches!(ending, "" | "e" | "em" | "en" | "er" | "es").then_some((number, *unit))
    })
}

/// The unit that `tokens` begin with, by its common name, and how many of them it takes.
pub(crate) fn unit(tokens: &[&str]) -> Option<(&'static str, usize)> {
    static NAMES: LazyLock<HashMap<&str, &'static str>> = LazyLock::new(|| {
        UNITS.iter().flat_map(|(name, written)| written.split('|').map(move |one| (one, *name))).collect()
    });
    let most = tokens.len().min(LONGEST);
    let named = |count: usize| Some((*NAMES.get(tokens[..count].join(" ").to_lowercase().as_str())?, count));
    let adjective = || {
        let lower = tokens.first()?.to_lowercase();
        adjective(&lower).filter(|(number, _)| number.is_empty()).map(|(_, unit)| (unit, 1))
    };
    (1..=most).rev().find_map(named).or_else(adjective)
}

/// Says whether a unit measures time.
pub(crate) fn is_time(unit: &str) -> bool {
    let times = "second|minute|hour|day|working day|week|working week|month|quarter|half-year|year";
    times.split('|').any(|time| time == unit)
}

/// Says whether a unit measures weight.
pub(crate) fn is_mass(unit: &str) -> bool {
    matches!(unit, "microgram" | "milligram" | "gram" | "kilogram" | "tonne")
}

/// Says whether a unit may stand before its number: `CHF 20`.
pub(crate) fn is_currency(unit: &str) -> bool {
    matches!(unit, "franc" | "euro" | "dollar" | "rappen")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unit_counts() {
        for (text, name, count) in [
            ("Tagen ab heute", "day", 1),
            ("jours ouvrables dès", "working day", 2),
            ("jours de travail", "working day", 3),
            ("jours de congé", "day", 1),
            ("giorni lavorativi", "working day", 2),
            ("Business Days", "working day", 2),
            ("% Punkte", "percentage point", 2),
            ("pour cent", "percent", 2),
            ("tägige Frist", "day", 1),
        ] {
            let tokens: Vec<&str> = text.split(' ').collect();
            assert_eq!(unit(&tokens), Some((name, count)), "{text}");
        }
        assert_eq!(unit(&["an", "den"]), None);
        assert_eq!(unit(&["zehntägige"]), None, "the number of another unit");
        assert_eq!(adjective("zehntägiger"), Some(("zehn", "day")));
        assert_eq!(adjective("allmählich"), None);
        assert_eq!(unit(&[]), None);
    }

    #[test]
    fn every_spelling_has_one_meaning_and_is_found() {
        let mut seen = HashMap::new();
        for (name, written) in UNITS {
            for one in written.split('|') {
                assert_eq!(seen.insert(one, name), None, "{one}");
                assert!(one.split(' ').count() <= LONGEST && one == one.to_lowercase(), "{one}");
            }
        }
    }
}
