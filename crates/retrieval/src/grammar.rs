//! The few words by which clauses that ask can be told: closed classes of German, French, Italian and English.
//!
//! Lower case, without punctuation; what an apostrophe or a hyphen joins is two words (`qu` `est`, `faut` `il`).

/// What the rules of decomposition know of a language.
pub(crate) struct Grammar {
    /// What joins two clauses; a joint of two words is written with a blank.
    pub joints: &'static [&'static str],
    /// Words that ask and stand alone: who, when, why.
    pub asking: &'static [&'static str],
    /// Words that ask and take a noun: which, how many.
    pub choosing: &'static [&'static str],
    /// Words that ask and also begin relative clauses: behind a comma they ask nothing.
    pub relative: &'static [&'static str],
    /// What may stand before a word that asks.
    pub before: &'static [&'static str],
    /// Verbs that open a question, followed by one of `subjects`.
    pub opening: &'static [&'static str],
    /// Pronouns that follow an opening verb and no other.
    pub subjects: &'static [&'static str],
    /// Verbs that make a clause of words: most clauses that ask have one.
    pub verbs: &'static [&'static str],
    /// Whether nearly every clause that asks has one of `verbs`.
    pub verb_needed: bool,
    /// Pronouns that stand for something named before. `es`, `il` and `it` are among them although they often stand for
    /// nothing: what leans on nothing loses little when it is searched together with what was before.
    pub pointing: &'static [&'static str],
    /// Whether nouns are written with a capital letter, so that one says nothing about a name.
    pub capital_nouns: bool,
    /// Fewest words of a clause that asks.
    pub fewest: usize,
}

/// The languages whose clauses are told apart.
pub(crate) const GRAMMARS: [Grammar; 4] = [GERMAN, FRENCH, ITALIAN, ENGLISH];

const GERMAN: Grammar = Grammar {
    joints: &["und", "sowie"],
    asking: &[
        "wer", "wen", "wem", "wessen", "was", "wann", "wo", "woher", "wohin", "warum", "weshalb", "wieso", "wie",
        "womit", "wofür", "wogegen", "worauf", "woraus", "wodurch", "wonach", "wovon", "wozu", "worin", "woran",
        "wobei", "worüber", "worum", "wieviel",
    ],
    choosing: &["welche", "welcher", "welches", "welchen", "welchem"],
    relative: &["welche", "welcher", "welches", "welchen", "welchem", "was"],
    before: &[
        "in",
        "im",
        "an",
        "am",
        "auf",
        "aus",
        "bei",
        "bis",
        "durch",
        "für",
        "gegen",
        "mit",
        "nach",
        "ohne",
        "seit",
        "um",
        "unter",
        "über",
        "von",
        "vom",
        "vor",
        "während",
        "wegen",
        "zu",
        "zum",
        "zur",
        "ab",
        "innert",
        "innerhalb",
    ],
    opening: &[
        "ist", "sind", "kann", "können", "könnte", "muss", "müssen", "darf", "dürfen", "soll", "sollte", "wird",
        "werden", "hat", "haben", "gibt", "gilt", "braucht", "brauche", "brauchen", "bekomme", "bekommt", "wissen",
    ],
    subjects: &["man", "ich", "wir", "sie", "er", "es", "jemand"],
    verbs: &[
        "ist", "sind", "war", "waren", "wird", "werden", "wurde", "wurden", "hat", "haben", "hatte", "hatten", "kann",
        "können", "muss", "müssen", "darf", "gibt", "gab", "gilt", "gelten", "heisst", "heißt", "liegt", "kostet",
    ],
    verb_needed: false,
    pointing: &[
        "er", "sie", "es", "ihn", "ihm", "ihr", "ihre", "ihren", "ihrer", "ihrem", "sein", "seine", "seinen", "seiner",
        "dieser", "diese", "dieses", "diesem", "diesen", "dazu", "davon", "dafür", "dagegen", "daran", "dabei", "dort",
        "das",
    ],
    capital_nouns: true,
    fewest: 3,
};

const FRENCH: Grammar = Grammar {
    joints: &["et", "ainsi que"],
    asking: &["qui", "que", "qu", "quoi", "où", "quand", "comment", "pourquoi", "combien"],
    choosing: &["quel", "quelle", "quels", "quelles", "lequel", "laquelle", "lesquels", "lesquelles"],
    relative: &["qui", "que", "qu", "quoi", "où", "lequel", "laquelle", "lesquels", "lesquelles"],
    before: &[
        "à", "au", "aux", "en", "dans", "de", "du", "des", "d", "par", "pour", "sur", "sous", "avec", "sans", "chez",
        "depuis", "jusqu", "jusque", "vers", "contre", "selon", "partir", "pendant", "lors", "l",
    ],
    opening: &[
        "est", "sont", "peut", "peuvent", "puis", "doit", "dois", "faut", "a", "ont", "pouvez", "y", "existe", "savez",
        "devons", "pouvons",
    ],
    subjects: &["il", "elle", "on", "je", "ce", "t", "ils", "elles", "vous", "nous"],
    verbs: &[
        "est", "sont", "était", "étaient", "fut", "furent", "a", "ont", "avait", "avaient", "peut", "doit", "faut",
        "peuvent", "doivent", "sera", "coûte", "fait", "vaut",
    ],
    verb_needed: false,
    pointing: &[
        "il", "elle", "ils", "elles", "lui", "leur", "leurs", "son", "sa", "ses", "cela", "ça", "celui", "celle",
        "ceux", "cet", "cette", "ces", "là",
    ],
    capital_nouns: false,
    fewest: 3,
};

const ITALIAN: Grammar = Grammar {
    joints: &["e", "ed", "nonché"],
    asking: &["chi", "cosa", "cos", "dove", "dov", "quando", "come", "com", "perché", "perchè", "quanto", "quant"],
    choosing: &["che", "quale", "quali", "qual", "quanti", "quante", "quanta"],
    relative: &["che", "chi", "dove", "quale", "quali"],
    before: &[
        "a", "ad", "al", "alla", "alle", "ai", "da", "dal", "dalla", "di", "in", "nel", "nella", "nei", "con", "per",
        "su", "sul", "tra", "fra", "entro", "fino", "verso", "contro", "partire", "durante", "secondo",
    ],
    opening: &["si", "posso", "devo", "possiamo", "dobbiamo", "può", "deve", "è", "bisogna", "occorre", "esiste"],
    subjects: &["può", "deve", "io", "noi", "possibile", "necessario", "necessaria", "obbligatorio", "obbligatoria"],
    verbs: &[
        "è", "sono", "era", "erano", "fu", "furono", "ha", "hanno", "aveva", "può", "possono", "deve", "devono", "si",
        "viene", "vengono", "costa", "costano", "dura", "vale",
    ],
    verb_needed: false,
    pointing: &[
        "lui", "lei", "essa", "esso", "loro", "suo", "sua", "suoi", "sue", "questo", "questa", "questi", "queste",
        "quello", "quella", "ciò", "ne", "ci",
    ],
    capital_nouns: false,
    fewest: 2,
};

const ENGLISH: Grammar = Grammar {
    joints: &["and", "as well as"],
    asking: &["who", "whom", "when", "where", "why", "how", "what"],
    choosing: &["which", "whose"],
    relative: &["who", "whom", "whose", "which", "where", "when"],
    before: &[
        "in", "on", "at", "by", "for", "from", "to", "with", "of", "under", "until", "since", "after", "before",
        "during", "into", "through", "within", "about", "against", "as",
    ],
    opening: ENGLISH_VERBS,
    subjects: &["i", "you", "we", "they", "it", "he", "she", "there", "one"],
    verbs: ENGLISH_VERBS,
    verb_needed: true,
    pointing: &[
        "he", "she", "it", "they", "them", "him", "his", "her", "its", "their", "this", "that", "these", "those",
        "there",
    ],
    capital_nouns: false,
    fewest: 3,
};

const ENGLISH_VERBS: &[&str] = &[
    "is", "are", "was", "were", "do", "does", "did", "can", "could", "has", "have", "had", "will", "would", "should",
    "must", "may", "might", "shall",
];

/// Words that say little by themselves: articles, prepositions, conjunctions, pronouns, auxiliaries, words that ask, and
/// adverbs that follow them.
pub(crate) const WEAK: &[&str] = &[
    // German
    "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "eines", "kein", "keine", "und",
    "oder", "aber", "denn", "auch", "noch", "nur", "sich", "man", "ich", "wir", "mich", "mir", "uns", "nicht", "viel",
    "viele", "vielen", "lange", "lang", "oft", "hoch", "genau", "dann", "denn", "gibt", "ist", "sind", "war", "waren",
    "wird", "werden", "wurde", "wurden", "hat", "haben", "hatte", "hatten", "kann", "können", "muss", "müssen", "darf",
    "soll", "als", "dass", "wenn", // French
    "le", "la", "les", "un", "une", "des", "du", "l", "d", "s", "n", "c", "qu", "t", "et", "ou", "mais", "ne", "pas",
    "se", "je", "on", "nous", "vous", "ce", "est", "sont", "était", "étaient", "fut", "a", "ont", "peut", "doit",
    "faut", "aussi", "y", "temps", // Italian
    "il", "lo", "gli", "i", "uno", "una", "e", "ed", "o", "ma", "non", "si", "è", "sono", "era", "erano", "fu", "ha",
    "hanno", "può", "deve", "dell", "della", "dello", "delle", "degli", "nell", "all", "sull", "anche",
    // English
    "the", "an", "and", "or", "but", "not", "is", "are", "was", "were", "be", "do", "does", "did", "can", "could",
    "has", "have", "had", "will", "would", "should", "must", "may", "many", "much", "long", "also", "i", "you", "we",
    "one",
];
