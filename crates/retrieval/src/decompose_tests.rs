//! Tests of decomposition: what is taken apart, what stays whole, and what a part takes along.

use super::parts;

#[test]
fn two_questions_are_told_in_four_languages() {
    let cases: [(&str, &[&str]); 12] = [
        (
            "Wie lange gilt die Bewilligung und was kostet die Verlängerung?",
            &["Wie lange gilt die Bewilligung?", "was kostet die Verlängerung?"],
        ),
        (
            "Bis wann muss ich die Steuererklärung einreichen und wo bekomme ich eine Fristverlängerung?",
            &["Bis wann muss ich die Steuererklärung einreichen?", "wo bekomme ich eine Fristverlängerung?"],
        ),
        (
            "Wer bewilligt Telearbeit? Wie viele Tage sind erlaubt?",
            &["Wer bewilligt Telearbeit?", "Wie viele Tage sind erlaubt?"],
        ),
        ("Was sagt Art. 5 und was sagt Art. 6?", &["Was sagt Art. 5?", "was sagt Art. 6?"]),
        (
            "Können Sie mir sagen, wie lange die Frist dauert und wer Fristen verlängern darf?",
            &["wie lange die Frist dauert?", "wer Fristen verlängern darf?"],
        ),
        (
            "Quel est le délai de recours et à partir de quand court le délai de paiement ?",
            &["Quel est le délai de recours?", "à partir de quand court le délai de paiement?"],
        ),
        (
            "Puis-je travailler à l'étranger et combien de jours sont autorisés ?",
            &["Puis-je travailler à l'étranger?", "combien de jours sont autorisés?"],
        ),
        (
            "Chi rilascia il passaporto e quali documenti servono per il rinnovo?",
            &["Chi rilascia il passaporto?", "quali documenti servono per il rinnovo?"],
        ),
        (
            "Dove si presenta la domanda? Quanto costa il permesso di lavoro?",
            &["Dove si presenta la domanda?", "Quanto costa il permesso di lavoro?"],
        ),
        (
            "How long are files kept and who may destroy secret files?",
            &["How long are files kept?", "who may destroy secret files?"],
        ),
        (
            "Can I work from abroad, and do I need a work permit?",
            &["Can I work from abroad?", "do I need a work permit?"],
        ),
        (
            "Ich bin Grenzgänger. Wo zahle ich Steuern? Welche Unterlagen braucht das Steueramt?",
            &["Wo zahle ich Steuern?", "Welche Unterlagen braucht das Steueramt?"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(parts(text), expected, "{text}");
    }
}

#[test]
fn a_part_that_leans_takes_the_subject_along() {
    let cases = [
        ("Wie lange gilt die Bewilligung und was kostet sie?", "gilt Bewilligung: was kostet sie?"),
        ("Wer bezahlt die Reise und wie hoch ist die Gebühr?", "bezahlt Reise: wie hoch ist die Gebühr?"),
        ("Quel est le délai de recours et à qui faut-il l'adresser ?", "délai de recours: à qui faut-il l'adresser?"),
        ("Qual è il termine di ricorso e quanto costa?", "termine di ricorso: quanto costa?"),
        ("How long is the permit valid and how much does it cost?", "permit valid: how much does it cost?"),
    ];
    for (text, second) in cases {
        assert_eq!(parts(text).get(1).map(String::as_str), Some(second), "{text}");
    }
    let relative =
        "Who was the main crew of Apollo 1, of which they named themselves, and what nationality is Hoesung Lee?";
    assert_eq!(parts(relative).len(), 2, "{:?}", parts(relative));
    // A name needs nothing; the subject is found past another part that leans.
    assert_eq!(parts("Wann starb Tesla und was ist die NASUWT?")[1], "was ist die NASUWT?");
    let three = parts("Wann wurde die Stadt gegründet, wo liegt sie und wie viele Einwohner hat sie?");
    assert_eq!(three[1..], ["Stadt gegründet: wo liegt sie?", "Stadt gegründet: wie viele Einwohner hat sie?"]);
}

#[test]
fn one_question_stays_whole() {
    for text in [
        "",
        "???",
        "Kündigungsfrist",
        "Frist und Gebühr",
        "Wie lange gilt die Bewilligung?",
        "Wann und wo wurde Tesla geboren?",
        "In welchem Jahr und in welcher Stadt wurde Tesla geboren?",
        "Wer ist zuständig und warum?",
        "Ich habe einen Hund. Was kostet die Hundesteuer?",
        "Was bedeutet \"Wer bin ich und was bin ich?\" im Roman?",
        "Boykott, Sitzstreiks und Wehrdienstverweigerung erschweren was?",
        "Südkalifornische Gemeinden sind gross, weitläufig und von welchem anderen Merkmal gekennzeichnet?",
        "Quand, où et par qui fut vaincu le général de Rochambeau?",
        "Quels sont les notables qui se font leur place et dans quel endroit ?",
        "Quel est l'artiste qui a peint la Joconde et qui a sculpté le David ?",
        "Il Reno ridistribuisce nell' Ijssel e in quale altro corpo?",
        "La California è famosa per il turismo e che cosa si chiama quartiere?",
        "Who is the man who wrote the book and who directed the film?",
        "What is the difference between what Kant said and what Hegel said?",
        "How and when did the first variant of y. pestis enter Europe?",
    ] {
        assert_eq!(parts(text), [""; 0], "{text}");
    }
}

#[test]
fn any_text_is_taken_in() {
    assert_eq!(parts(&"Was kostet der Pass? ".repeat(40)).len(), 4, "and the number of parts is bounded");
    // The capital İ is longer in lower case; places must not shift.
    assert_eq!(parts("Wo liegt İstanbul und wann wurde İzmir gegründet?")[1], "wann wurde İzmir gegründet?");
    assert_eq!(parts(&"Was kostet der Pass? ".repeat(400)), [""; 0], "a document asks nothing");
    for text in ["und", "und und?", "?? und wer", "wer,und,was?", "\u{202e}wer? \u{0}was?", "„wer? und", "e e e e"] {
        parts(text);
    }
}

#[test]
fn of_too_many_questions_the_last_stay_together() {
    let text = "Was kostet ein Pass? Wie lange gilt eine Bewilligung? Wer erteilt Visa? Wo liegt das Archiv? \
                Wann öffnet die Kanzlei?";
    let parts = parts(text);
    assert_eq!(parts.len(), 4);
    assert_eq!(parts[3], "Wo liegt das Archiv? Wann öffnet die Kanzlei?");
}

#[test]
fn question_words_alone_ask_for_nothing() {
    assert!(parts("Wer? Wo? Wann? Warum? Wie? Was? Wie viele?").is_empty());
    assert!(parts("Who? Where? When?").is_empty());
    assert_eq!(parts("Wo liegt das Archiv? Wann?"), ["Wo liegt das Archiv?", "liegt Archiv: Wann?"]);
}
