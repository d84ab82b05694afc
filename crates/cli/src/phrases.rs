//! The few words around an answer on a terminal, in the language of the question.

use fontes_core::Language;

/// Words around an answer.
pub struct Phrases {
    /// One page.
    pub page: &'static str,
    /// Several pages.
    pub pages: &'static str,
    /// In front of the passages of an abstention.
    pub closest: &'static str,
    /// The sentences are quoted; no model ran.
    pub quoted: &'static str,
    /// The sentences are quoted, because nothing a model wrote held.
    pub quoted_instead: &'static str,
    /// The sentences are quoted, although a model found nothing.
    pub silent: &'static str,
    /// After a sentence that no source carries.
    pub unsupported: &'static str,
    /// Sentences were left out; their number follows.
    pub left_out: &'static str,
    /// Passages hide text; their markers follow.
    pub hidden: &'static str,
    /// Passages contradict each other; their markers follow.
    pub conflict: &'static str,
    /// Documents say of themselves that they no longer hold; their markers follow.
    pub replaced: &'static str,
    /// One of several things asked is not in the sources; it follows.
    pub not_said: &'static str,
    /// The question as it was understood follows.
    pub understood: &'static str,
    /// A generator was to rewrite the question for the search and failed.
    pub not_rewritten: &'static str,
    /// What was searched for follows.
    pub searched: &'static str,
    /// A passage was left out and this was answered.
    pub without: &'static str,
    /// How likely the sources hold the answer; the share follows.
    pub confidence: &'static str,
    /// What texts are counted in; two numbers stand before.
    pub tokens: &'static str,
    /// How long it took until a model began to write; the time follows.
    pub first_token: &'static str,
    /// Which state of the index was searched; its number follows.
    pub index: &'static str,
    /// Where the same is said; places follow.
    pub also_in: &'static str,
}

/// The words for a question in `language`; English where there are none.
pub fn phrases(language: Language) -> &'static Phrases {
    match language {
        Language::German => &GERMAN,
        Language::French => &FRENCH,
        Language::Italian => &ITALIAN,
        _ => &ENGLISH,
    }
}

const GERMAN: Phrases = Phrases {
    page: "Seite",
    pages: "Seiten",
    closest: "am nächsten",
    quoted: "wörtlich aus den Quellen, ohne Sprachmodell",
    quoted_instead: "Was das Sprachmodell schrieb, hält vor den Quellen nicht stand; sie sind wörtlich zitiert.",
    silent: "Das Sprachmodell fand nichts; die Quellen sagen es wohl doch und sind wörtlich zitiert.",
    unsupported: "durch die Quellen nicht belegt",
    left_out: "Weggelassene Sätze, von keiner Quelle getragen oder neben der Frage:",
    hidden: "Diese Stellen enthalten unsichtbaren Text, der entfernt wurde:",
    conflict: "Diese Quellen widersprechen sich, bitte selbst vergleichen:",
    replaced: "Sagt von sich selbst, dass es ersetzt oder aufgehoben ist:",
    not_said: "Dazu sagen die Quellen nichts:",
    understood: "Verstanden als:",
    not_rewritten: "Das Sprachmodell hat die Frage nicht rechtzeitig umformuliert; gesucht wurde mit der Frage selbst.",
    searched: "Einzeln gesucht:",
    without: "ohne",
    confidence: "Zuversicht",
    tokens: "Token",
    first_token: "erstes nach",
    index: "Indexstand",
    also_in: "auch in",
};

const FRENCH: Phrases = Phrases {
    page: "page",
    pages: "pages",
    closest: "au plus près",
    quoted: "cité mot pour mot, sans modèle de langue",
    quoted_instead: "Ce que le modèle a écrit ne tient pas devant les sources ; elles sont citées mot pour mot.",
    silent: "Le modèle n'a rien trouvé ; les sources le disent sans doute et sont citées mot pour mot.",
    unsupported: "non étayé par les sources",
    left_out: "Phrases écartées, sans source ou à côté de la question :",
    hidden: "Ces passages contiennent du texte invisible, qui a été retiré :",
    conflict: "Ces sources se contredisent, à comparer vous-même :",
    replaced: "Se dit lui-même remplacé ou abrogé :",
    not_said: "Les sources n'en disent rien :",
    understood: "Compris comme :",
    not_rewritten: "Le modèle n'a pas reformulé la question à temps ; la recherche s'est faite avec la question même.",
    searched: "Recherché séparément :",
    without: "sans",
    confidence: "confiance",
    tokens: "jetons",
    first_token: "premier après",
    index: "état de l'index",
    also_in: "aussi dans",
};

const ITALIAN: Phrases = Phrases {
    page: "pagina",
    pages: "pagine",
    closest: "più vicino",
    quoted: "citato testualmente, senza modello linguistico",
    quoted_instead: "Ciò che il modello ha scritto non regge davanti alle fonti; sono citate testualmente.",
    silent: "Il modello non ha trovato nulla; le fonti probabilmente lo dicono e sono citate testualmente.",
    unsupported: "non confermato dalle fonti",
    left_out: "Frasi tralasciate, senza fonte o fuori tema:",
    hidden: "Questi passaggi contengono testo invisibile, che è stato rimosso:",
    conflict: "Queste fonti si contraddicono, da confrontare di persona:",
    replaced: "Dice di sé di essere sostituito o abrogato:",
    not_said: "Le fonti non dicono nulla su:",
    understood: "Inteso come:",
    not_rewritten: "Il modello non ha riformulato la domanda in tempo; si è cercata la domanda stessa.",
    searched: "Cercato separatamente:",
    without: "senza",
    confidence: "fiducia",
    tokens: "token",
    first_token: "primo dopo",
    index: "stato dell'indice",
    also_in: "anche in",
};

const ENGLISH: Phrases = Phrases {
    page: "page",
    pages: "pages",
    closest: "closest",
    quoted: "quoted from the sources, no language model",
    quoted_instead: "What the language model wrote does not hold against the sources; they are quoted instead.",
    silent: "The language model found nothing; the sources probably do say it and are quoted.",
    unsupported: "not supported by the sources",
    left_out: "Sentences left out, carried by no source or beside the question:",
    hidden: "These passages contain invisible text, which was removed:",
    conflict: "These sources contradict each other, compare them yourself:",
    replaced: "Says of itself that it was replaced or is no longer in force:",
    not_said: "The sources do not say:",
    understood: "Understood as:",
    not_rewritten: "The model did not rewrite the question in time; it was searched for as it stands.",
    searched: "Searched for one by one:",
    without: "without",
    confidence: "confidence",
    tokens: "tokens",
    first_token: "first after",
    index: "index state",
    also_in: "also in",
};
